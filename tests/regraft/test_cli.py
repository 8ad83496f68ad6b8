"""The command line: help, arguments, exit codes, shell completion. Nothing runs here but what is fast."""

from __future__ import annotations

import importlib.metadata
import os
import re
import resource
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import click
import command_line
import pytest

from components.serving_directory import ServingDirectory
from config.errors import BadInputError, ExitCode
from kubeflow import submit
from pipeline import local_runner, predict
from regraft import cli
from regraft.commands import main

ROOT = Path(__file__).parents[2]


def commands(group: click.Group = main, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and group, with its words behind `regraft`."""
    yield path, group
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name), command


ALL = dict(commands())
LEAVES = {path: command for path, command in ALL.items() if not isinstance(command, click.Group)}


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """An empty folder, and no settings of the person who runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("PIPELINE_", "KFP_", "_REGRAFT"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def parsed(monkeypatch):
    """Makes every command do nothing; has the name and the arguments of those that were called."""
    calls: list[tuple[tuple[str, ...], dict[str, object]]] = []

    def replacement(path: tuple[str, ...]):
        def called(*_, **arguments: object) -> ExitCode:
            calls.append((path, arguments))
            return ExitCode.OK

        return called

    for path, command in LEAVES.items():
        monkeypatch.setattr(command, "callback", replacement(path))
    return calls


# help


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_is_short_and_has_an_example(path, capsys):
    assert command_line.run(*path, "--help") == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"Usage: {' '.join(['regraft', *path])} ")
    assert re.search(r"\n  Examples?:\n(    .+\n)*    (eval \"\$\()?regraft ", printed.out)
    assert len(printed.out.splitlines()) < 40 and max(map(len, printed.out.splitlines())) <= 80
    assert printed.err == ""


@pytest.mark.parametrize("path", [path for path in ALL if path], ids=" ".join)
def test_every_option_and_every_command_is_described(path):
    command = ALL[path]
    summary = command.get_short_help_str(limit=60)
    assert summary.endswith(".") and not summary.endswith("...")
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or parameter.help


def examples() -> Iterator[str]:
    """Every command of the help texts, the docs and the examples."""
    for command in ALL.values():
        yield from (line.strip() for line in (command.epilog or "").splitlines() if line.strip().startswith("regraft "))
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in re.findall(r"^```\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            yield from re.findall(r"^(?:\$ )?(?:\.venv/bin/)?(regraft .*)$", block, re.MULTILINE)
    for file in sorted((ROOT / "examples").glob("*.yaml")):
        lines = re.findall(r"^# .*?(regraft .*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        yield from (line for line in lines if re.search(r"\.yaml\b", line))


def test_every_example_is_a_valid_command(parsed):
    lines = [re.split(r"  +", line)[0] for line in examples()]
    assert len(lines) > 25
    for line in lines:
        assert command_line.run(*shlex.split(line, comments=True)[1:]) == 0, line
    assert {path for path, _ in parsed} >= set(LEAVES) - {("completion",)}


def rows() -> list[list[str]]:
    """The commands in the README's table, as words behind `regraft`."""
    found = []
    for row in re.findall(r"^\| (`regraft .*?) \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE):
        first, *others = re.findall(r"`([^`]+)`", row)
        words = [word for word in first.split()[1:] if word.islower()]
        found += [words, *([*words[:-1], other] for other in others)]
    return found


def test_the_readme_has_every_command():
    found = rows()
    shells = [words for words in found if words[0] == "completion"]
    assert {words[1] for words in shells} == {"bash", "zsh", "fish"}
    assert {tuple(words) for words in found if words not in shells} == set(LEAVES) - {("completion",)}


# imports


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["kubeflow", "run", "--help"], ["completion", "zsh"]]
)
def test_help_loads_neither_tensorflow_nor_tfx(arguments):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done, loaded = command_line.imports(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0 and loaded == set(), done.stderr
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.5


@pytest.mark.parametrize("command", [["run"], ["check"], ["kubeflow", "compile"]])
def test_a_missing_configuration_is_refused_before_tensorflow_is_loaded(command):
    done, loaded = command_line.imports(*command, "nowhere.yaml")
    assert done.returncode == 2 and not loaded & {"tensorflow", "tfx", "apache_beam"}
    (line,) = done.stderr.splitlines()
    assert line.startswith("nowhere.yaml: there is no such configuration file")


_INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
class Interrupter:
    def find_spec(name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupter)
from regraft.cli import main
main(["--help"])
"""


@pytest.mark.parametrize("module", ["config.interruption", "regraft.commands", "pydantic"])
def test_ctrl_c_while_the_project_is_loaded_is_one_line(module):
    program = _INTERRUPTED.format(module=module)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


# arguments and exit codes


def test_it_is_installed_as_a_command():
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="regraft")
    assert entry.load() is cli.main
    version = f"regraft {importlib.metadata.version('regraft')}\n"
    assert command_line.process("--version").stdout == version
    script = Path(sysconfig.get_path("scripts"), "regraft")
    assert subprocess.run([script, "--version"], capture_output=True, text=True, check=True).stdout == version


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "No such command 'train'"),
        (["run", "x.yaml", "--gpu"], "No such option '--gpu'"),
        (["run"], "CONFIG is required; name a YAML file, or set the environment variable PIPELINE_CONFIG"),
        (["check"], "CONFIG is required"),
        (["kubeflow", "status"], "CONFIG is required"),
        (["run", "x.yaml", "y.yaml"], "unexpected extra argument"),
        (["run", "x.yaml", "--bless-anyway", " "], "--bless-anyway: a reason is required"),
        (["run", "x.yaml", "--bless-anyway", ""], "--bless-anyway: a reason is required"),
        (["run", "x.yaml", "--gate-only", "m", "--bless-anyway", "r"], "cannot be used together"),
        (["run", "x.yaml", "--gate-only", "", "--bless-anyway", ""], "cannot be used together"),
        (["predict", "models"], "Missing argument 'IMAGE...'"),
        (["explain", "folder", "--run", "last"], "is not a valid integer"),
        (["versions", "promote", "models"], "Missing argument 'VERSION'"),
        (["versions", "rollback", "models", "--to", "x"], "is not a valid integer"),
        (["completion", "powershell"], "is not one of 'bash', 'zsh', 'fish'"),
    ],
)
def test_wrong_usage_is_refused(arguments, message, capsys):
    assert command_line.run(*arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err and "--help" in printed.err and printed.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "."], "is a directory"),
        (["predict", "nowhere", "photo.jpg"], "nowhere: a SavedModel or a folder of numbered versions is expected"),
        (["history", "nowhere"], "nowhere: no runs here; name a folder <workspace>/<pipeline name>"),
        (["explain", "nowhere"], "nowhere: no runs here"),
        (["versions", "list", "nowhere"], "nowhere: there is no such folder"),
        (["versions", "rollback", "nowhere"], "nowhere: there is no such folder"),
        (["versions", "promote", "nowhere", "1"], "nowhere: there is no such folder"),
        (["kubeflow", "run", "nowhere.yaml"], "--host: an address with http:// or https:// is expected"),
    ],
)
def test_bad_input_is_one_message(arguments, message, capsys):
    assert command_line.run(*arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err and "Traceback" not in printed.err and printed.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["history", "nowhere", "--html"],
        ["check", "nowhere.yaml", "--json"],
        ["kubeflow", "report", "1", "--host", "http://localhost:1", "--output"],
        ["predict", "nowhere", "photo.jpg", "--why", "--why-dir"],
    ],
    ids=" ".join,
)
def test_an_output_that_cannot_be_written_is_refused_before_the_work(arguments, capsys):
    assert command_line.run(*arguments, "/proc/x/out") == 2
    folder = "/proc/x/out" if arguments[0] == "predict" else "/proc/x"
    reason = "the folder cannot be made (No such file or directory)"
    assert capsys.readouterr().err == f"{arguments[-1]}: {folder}: {reason}\n"


def test_a_folder_in_the_place_of_a_picture_is_named(tmp_path, capsys):
    (tmp_path / "photo.jpg.why.png").mkdir()
    assert command_line.run("predict", "nowhere", "photo.jpg", "--why") == 2
    assert capsys.readouterr().err == "--why-dir: photo.jpg.why.png: Is a directory\n"


@pytest.mark.parametrize("code", ExitCode)
@pytest.mark.parametrize("arguments", [["run", "x.yaml"], ["kubeflow", "run", "x.yaml"]])
def test_the_result_is_the_exit_code(code, arguments, monkeypatch):
    monkeypatch.setattr(local_runner, "run", lambda *_, **__: code)
    monkeypatch.setattr(submit, "run", lambda *_, **__: code)
    assert command_line.run(*arguments) == code


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [(BadInputError("field: wrong"), 2, "field: wrong\n"), (KeyboardInterrupt(), 130, "interrupted\n")],
)
@pytest.mark.parametrize("arguments", [["check", "x.yaml"], ["kubeflow", "status", "x.yaml"]])
def test_an_expected_error_is_one_message(error, code, message, arguments, monkeypatch, capsys):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(local_runner, "check", fail)
    monkeypatch.setattr(submit, "status", fail)
    assert command_line.run(*arguments) == code
    assert capsys.readouterr().err == message


SERVER = submit.ServerOptions(host=None)


@pytest.mark.parametrize(
    ("arguments", "module", "function", "expected"),
    [
        (["run", "x.yaml"], local_runner, "run", ("x.yaml", "workspace", "")),
        (["run", "x.yaml", "--workspace", "w"], local_runner, "run", ("x.yaml", "w", "")),
        (["run", "x.yaml", "--bless-anyway", "why"], local_runner, "run", ("x.yaml", "workspace", "why")),
        (["run", "x.yaml", "--gate-only", "m/3"], local_runner, "judge", ("x.yaml", "workspace", "m/3")),
        (["check", "x.yaml"], local_runner, "check", ("x.yaml", "workspace", None)),
        (["check", "x.yaml", "--json", "f.json"], local_runner, "check", ("x.yaml", "workspace", "f.json")),
        (["predict", "m", "a.jpg", "b.png"], predict, "predict", ("m", ("a.jpg", "b.png"))),
        (["kubeflow", "run", "x.yaml"], submit, "run", ("x.yaml", SERVER, (), None, True, True)),
        (
            ["kubeflow", "run", "x.yaml", "--no-cache", "--no-wait", "--parameter", "a=1", "--parameter", "b=2"],
            submit,
            "run",
            ("x.yaml", SERVER, ("a=1", "b=2"), None, False, False),
        ),
        (["kubeflow", "schedule", "x.yaml", "--service-account", "s"], submit, "schedule", ("x.yaml", SERVER, "s")),
        (["kubeflow", "unschedule", "x.yaml"], submit, "unschedule", ("x.yaml", SERVER)),
        (
            shlex.split(
                "kubeflow status x.yaml --json --host http://h --namespace n --experiment e --ca-certificate c"
            ),
            submit,
            "status",
            ("x.yaml", submit.ServerOptions("http://h", "n", "e", "c"), True),
        ),
    ],
)
def test_arguments_reach_the_function(arguments, module, function, expected, monkeypatch):
    calls = []
    monkeypatch.setattr(module, function, lambda *given, **named: calls.append((*given, *named.values())) or 0)
    assert command_line.run(*arguments) == 0
    (call,) = calls
    assert call[: len(expected)] == expected


def test_the_environment_replaces_arguments(parsed, monkeypatch):
    variables = {
        "PIPELINE_CONFIG": "e.yaml",
        "PIPELINE_WORKSPACE": "/data",
        "KFP_HOST": "http://h",
        "KFP_NAMESPACE": "n",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for arguments in (["run"], ["run", "x.yaml", "--workspace", "w"], ["kubeflow", "status"]):
        assert command_line.run(*arguments) == 0
    (_, from_environment), (_, from_arguments), (_, on_kubeflow) = parsed
    assert (from_environment["config"], from_environment["workspace"]) == ("e.yaml", "/data")
    assert (from_arguments["config"], from_arguments["workspace"]) == ("x.yaml", "w")
    assert (on_kubeflow["config"], on_kubeflow["host"], on_kubeflow["namespace"]) == ("e.yaml", "http://h", "n")


def test_a_run_can_import_from_the_current_folder(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "my_head_of_this_test.py").write_text("VALUE = 3")
    program = (
        "import os, sys; from pipeline import local_runner\n"
        "local_runner.run = lambda *_: __import__('my_head_of_this_test').VALUE\n"
        "from regraft import cli; cli.main(['run', 'x.yaml'], prog_name='regraft')"
    )
    script = tmp_path / "program.py"  # unlike -c and -m, a script does not put the current folder on sys.path
    script.write_text(program)
    done = subprocess.run([sys.executable, str(script)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr


# versions


@pytest.fixture
def serving(tmp_path) -> str:
    """A directory with the versions 1 and 2."""
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").write_text(name)
        ServingDirectory(tmp_path / "serving").push(tmp_path / name, {})
    return "serving"


def test_versions_can_be_listed_rolled_back_and_promoted(serving, capsys):
    assert command_line.run("versions", "list", serving) == 0
    rows = [row.split() for row in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows if row and row[0].isdecimal()] == ["1", "2"]
    assert command_line.run("versions", "rollback", serving) == 0
    assert capsys.readouterr().out == "version 2 is rolled back; the current version is serving/3\n"
    assert command_line.run("versions", "promote", serving, "1", "--into", "production") == 0
    assert capsys.readouterr().out == "the current version is production/1\n"
    assert command_line.run("versions", "promote", serving, "9") == 2
    assert "9" in capsys.readouterr().err


# completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_says_how_to_use_it(shell, capsys):
    assert command_line.run("completion", shell) == 0
    script = capsys.readouterr().out
    assert "_REGRAFT_COMPLETE" in script
    assert script.splitlines()[-1].startswith("# To use it, ") and f"regraft completion {shell}" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_the_shell_gets_the_commands():
    words = {"COMP_WORDS": "regraft versions ro", "COMP_CWORD": "2", "_REGRAFT_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [Path(sysconfig.get_path("scripts"), "regraft")], env={**os.environ, **words}, capture_output=True, text=True
    )
    assert done.stdout.split() == ["plain,rollback"], done.stderr


def test_a_folder_that_can_not_be_written_is_named_in_one_line(serving, monkeypatch, capsys):
    def read_only(*_):
        raise OSError(30, "Read-only file system", "serving/.lock")

    monkeypatch.setattr(ServingDirectory, "roll_back", read_only)
    assert command_line.run("versions", "rollback", serving) == 2
    assert capsys.readouterr().err == "serving/.lock: Read-only file system\n"


def test_predict_warns_of_a_damaged_version(serving, capsys):
    (Path(serving) / "2" / "saved_model.pb").write_text("damaged")
    assert command_line.run("predict", serving, "photo.jpg") == 2
    assert capsys.readouterr().err.startswith("warning: serving/2: its files are not the ones that were pushed\n")
