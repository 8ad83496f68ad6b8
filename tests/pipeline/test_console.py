import subprocess
import sys

PROGRAM = """
import ctypes, logging, os, sys
from pathlib import Path
from pipeline import console
print("before")
with console.redirected(Path(sys.argv[1])) as terminal:
    print("python chatter")
    sys.stderr.write("more chatter\\n")
    ctypes.CDLL(None).puts(b"chatter from C"); ctypes.CDLL(None).fflush(None)
    os.system("echo chatter of a child")
    logging.getLogger("regraft.trainer").info("progress")
    print("table", file=terminal)
logging.getLogger("regraft.trainer").info("nobody listens any more")
print("after")
"""


def test_the_terminal_gets_reports_and_the_log_all_else(tmp_path):
    log = tmp_path / "run.log"
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(log)], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["before", "progress", "table", "after", ""]
    assert done.stderr == ""
    for line in ("python chatter", "more chatter", "chatter from C", "chatter of a child"):
        assert line in log.read_text()
