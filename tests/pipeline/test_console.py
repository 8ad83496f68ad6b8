"""Terminal and log are separate."""

import subprocess
import sys

PROGRAM = """
import ctypes, logging, os, sys
from pathlib import Path
from pipeline import console
print("before")
with console.redirected(Path(sys.argv[1])) as terminal:
    print("output of Python")
    sys.stderr.write("errors of Python\\n")
    ctypes.CDLL(None).puts(b"output of C"); ctypes.CDLL(None).fflush(None)
    os.system("echo output of a child process")
    logging.getLogger("regraft.trainer").info("progress")
    print("table", file=terminal)
logging.getLogger("regraft.trainer").info("no handler prints this any more")
print("after")
"""


def test_the_terminal_gets_reports_and_the_log_everything_else(tmp_path):
    log = tmp_path / "run.log"
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(log)], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["before", "progress", "table", "after", ""]
    assert done.stderr == ""
    for line in ("output of Python", "errors of Python", "output of C", "output of a child process"):
        assert line in log.read_text()
