"""kubeflow/Dockerfile, its locks and .dockerignore; and the image's contents, built without Docker."""

from __future__ import annotations

import importlib.metadata
import json
import re
import runpy
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

import docker.utils
import pytest
import recipe
import setuptools
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kubeflow import compile as kubeflow_compile

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "kubeflow" / "Dockerfile"
STAGES = recipe.read(DOCKERFILE)
LAST = STAGES[-1]

CONFIG = """
name: fruit
data: {path: photos}
kubeflow:
  image: registry.example.com/regraft:1
  data_path: /mnt/photos
  push_directory: /mnt/models
  volumes: [{claim: photos, mount: /mnt}]
"""

# Runs in the image's Python: compiles the pipeline, and imports everything that its containers will.
IMPORTS = """
import json, sys
from pathlib import Path
from kubeflow import compile, verdict
from tfx.utils import import_utils
from modules.preprocessing import preprocessing_fn
from modules.trainer import run_fn
package = compile.build(compile.load(sys.argv[1]))
option = "--executor_class_path"
arguments = [package.container(task).get("args", []) for task in package.tasks]
paths = [several[several.index(option) + 1] for several in arguments if option in several]
classes = [import_utils.import_class_by_path(path) for path in paths]
files = [sys.modules[cls.__module__].__file__ for cls in [*classes, run_fn, preprocessing_fn, verdict.main]]
print(json.dumps({"tasks": len(package.tasks), "classes": len(classes), "files": files}))
"""


def read_lock(path: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Package to version and hashes."""
    entries = re.findall(r"^([\w.-]+)==(\S+)((?:\s+(?:\\|--hash=\S+))+)", (ROOT / path).read_text(), flags=re.MULTILINE)
    return {name: (version, frozenset(re.findall(r"--hash=(\S+)", rest))) for name, version, rest in entries}


def read_names(path: str) -> dict[str, Requirement]:
    """The requirements of a .in file, by name as a lock writes it."""
    lines = (line.split("#")[0].strip() for line in (ROOT / path).read_text().splitlines())
    requirements = [Requirement(line) for line in lines if line]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def context(folder: Path = ROOT) -> set[str]:
    """The files of a folder that the builder gets, without .dockerignore, which it always gets."""
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    return docker.utils.exclude_paths(str(folder), patterns, dockerfile="kubeflow/Dockerfile") - {".dockerignore"}


def sources() -> list[str]:
    """The files and folders that the Dockerfile copies from there."""
    return [source for stage in STAGES for copy in stage.copies if not copy.stage for source in copy.sources]


@pytest.fixture(scope="module")
def setup_arguments() -> dict:
    """The arguments that setup.py passes to setuptools."""
    passed: dict = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, "setup", lambda **arguments: passed.update(arguments))
        patch.chdir(ROOT)
        runpy.run_path(str(ROOT / "setup.py"))
    return passed


def test_hadolint_finds_nothing():
    program = shutil.which("hadolint", path=sysconfig.get_path("scripts")) or "hadolint"
    done = subprocess.run([program, "--no-color", str(DOCKERFILE)], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)


def test_every_stage_starts_from_one_image_with_a_full_tag():
    outside = {stage.base for stage in STAGES} - {stage.name for stage in STAGES}
    assert len(outside) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", outside.pop())


def test_the_last_stage_only_copies():
    assert LAST.base != STAGES[0].name
    assert {copy.stage for copy in LAST.copies} == {"dependencies", "package"}
    assert {copy.target for copy in LAST.copies} == {"/opt/venv"}
    commands = " ".join(LAST.all("RUN"))
    assert not re.search(r"\b(pip|apt|apt-get|dpkg|curl|wget|gcc|g\+\+|make|git)\b", commands)


def test_the_user_is_a_number_and_not_root():
    assert LAST.all("USER") == ["1000:1000"]
    assert LAST.instructions[-1][0] == "USER"
    assert "--uid 1000 " in LAST.all("RUN")[0]


def test_the_image_leaves_commands_and_health_checks_to_kubeflow():
    assert not {kind for stage in STAGES for kind, _ in stage.instructions} & {
        "HEALTHCHECK", "ENTRYPOINT", "CMD", "EXPOSE", "VOLUME", "ADD", "ONBUILD",
    }  # fmt: skip


def test_it_contains_no_secrets_and_addresses():
    text = "\n".join(f"{kind} {value}" for stage in STAGES for kind, value in stage.instructions)
    pattern = r"token|password|passwd|secret|credential|api_?key|://|index-url|find-links|trusted-host"
    assert not re.search(pattern, text, re.IGNORECASE)


def test_only_packages_in_the_locks_are_installed():
    installs = [part for stage in STAGES for run in stage.all("RUN") for part in re.findall(r"pip install[^&;]*", run)]
    assert len(installs) == 4
    for install in installs:
        assert "--no-deps" in install and "--no-build-isolation" in install
        assert "--require-hashes" in install or install.rstrip().endswith(" .")
        assert "--editable" not in install


def test_the_environment_is_that_of_the_emulated_pods():
    pod = pytest.importorskip("pod")
    environment = LAST.environment()
    assert {name: environment.get(name) for name in pod.ENVIRONMENT} == pod.ENVIRONMENT


def test_everything_is_written_to_tmp():
    environment = LAST.environment()
    assert environment["HOME"] == "/tmp"
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert environment["PATH"].startswith("/opt/venv/bin:/usr/local/bin:")
    assert LAST.all("WORKDIR") == ["/tmp"]


def test_anyone_may_write_to_the_launchers_folders(tmp_path):
    (command,) = re.findall(r"install --directory.*", LAST.all("RUN")[0])
    subprocess.run(["sh", "-c", re.sub(r" /(\w)", rf" {tmp_path}/\1", command)], check=True)
    modes = {path.name: path.stat().st_mode & 0o7777 for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("gcs", "s3", "minio"), 0o1777)


def test_the_commit_is_in_the_environment_and_on_a_label_and_comes_last():
    assert LAST.variables({"GIT_REVISION": "abc"})["GIT_REVISION"] == "abc"
    assert "GIT_REVISION" in LAST.environment()
    assert 'org.opencontainers.image.revision="${GIT_REVISION}"' in LAST.all("LABEL")[0]
    kinds = [kind for kind, _ in LAST.instructions]
    assert LAST.instructions.index(("ARG", 'GIT_REVISION=""')) > len(kinds) - 1 - kinds[::-1].index("COPY")


@pytest.mark.parametrize(
    ("accelerator", "exit_code", "output"),
    [("cpu", 0, ""), ("gpu", 0, "-r gpu.lock"), ("tpu", 2, "ACCELERATOR: cpu or gpu is expected. Received: tpu")],
)
def test_the_accelerator_selects_nvidias_libraries(tmp_path, accelerator, exit_code, output):
    kitchen = recipe.Kitchen(ROOT, tmp_path, ["/opt/venv"])
    python = kitchen.places["/opt/venv"] / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    (run,) = [run for run in STAGES[0].all("RUN") if "ACCELERATOR" in run]
    done = kitchen.run(run, STAGES[0].variables({"ACCELERATOR": accelerator}), tmp_path)
    assert done.returncode == exit_code
    assert done.stdout.strip().endswith(output) and bool(done.stdout) == bool(output)
    assert STAGES[0].variables({})["ACCELERATOR"] == "cpu"


def test_copied_files_exist_and_are_not_ignored():
    sent = context()
    assert sources()
    for source in sources():
        assert source in sent and (ROOT / source).exists(), source


def test_only_copied_files_are_sent_to_the_builder():
    copied = {source.split("/")[0] for source in sources()}
    sent = context()
    assert {path.split("/")[0] for path in sent} == copied
    assert not [path for path in sent if "__pycache__" in path or "/." in path]


def test_secrets_data_and_leftovers_are_ignored(tmp_path):
    wanted = {
        "setup.py",
        "config/run.py",
        "modules/trainer.py",
        "regraft/cli.py",
        "components/pusher/executor.py",
        "kubeflow/gpu.lock",
    }
    unwanted = {".env", ".git/config", "key.json", "data/photo.jpg", "workspace/model.keras", ".venv/bin/python"}
    unwanted |= {"modules/.env", "components/pusher/.cache/x", "modules/__pycache__/trainer.pyc", "tests/test_house.py"}
    for name in wanted | unwanted:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    sent = context(tmp_path)
    assert {path for path in sent if (tmp_path / path).is_file()} == wanted


def test_every_file_of_the_package_is_copied(setup_arguments):
    (package,) = [stage for stage in STAGES if stage.name == "package"]
    sent, copied = context(), [Path(source) for copy in package.copies for source in copy.sources]
    files = [path for name in setup_arguments["packages"] for path in (ROOT / name.replace(".", "/")).glob("*.py")]
    assert len(files) > 80
    for file in [path.relative_to(ROOT) for path in files]:
        assert str(file) in sent
        assert any(file.is_relative_to(source) for source in copied), file
    assert {Path(name) for name in [*setup_arguments["license_files"], "README.md", "pyproject.toml"]} <= set(copied)


def test_the_image_has_the_versions_that_the_tests_run_with():
    everything, image = read_lock("requirements.lock"), read_lock("kubeflow/requirements.lock")
    assert len(image) > 150
    assert all(hashes for _, hashes in everything.values())
    assert {name: everything.get(name) for name in image} == image


def test_the_image_has_the_codes_dependencies_and_no_tools(setup_arguments):
    image = read_lock("kubeflow/requirements.lock")
    named = read_names("requirements.in")
    assert {*named, *map(canonicalize_name, setup_arguments["install_requires"])} <= set(image)
    assert all(named[name].specifier.contains(image[name][0]) for name in named)
    tools = read_names("requirements-dev.in")
    assert set(tools) <= set(read_lock("requirements.lock"))
    assert not set(tools) & set(image)


def test_the_gpu_lock_has_tensorflows_requirements_that_the_other_lock_lacks():
    everything, gpu = read_lock("requirements.lock"), read_lock("kubeflow/gpu.lock")
    (tensorflow,) = read_names("kubeflow/gpu.in").values()
    assert tensorflow.extras == {"and-cuda"}
    assert tensorflow.specifier.contains(everything["tensorflow"][0])
    assert not set(gpu) & set(everything)
    assert all(hashes for _, hashes in gpu.values())
    required = [Requirement(text) for text in importlib.metadata.requires("tensorflow") or []]
    required = [one for one in required if one.marker and "and-cuda" in str(one.marker)]
    assert len(required) > 5
    assert {one.name for one in required} == set(gpu)
    assert all(one.specifier.contains(gpu[one.name][0]) for one in required)


@pytest.mark.slow
@pytest.mark.image
def test_the_image_starts_every_stage():
    """Runs the Dockerfile's instructions for a CPU: two minutes on an idle machine; 3.1 GB, deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="image-") as name:
        folder = Path(name)
        kitchen = recipe.Kitchen(ROOT, folder, ["/opt/venv", "/package", "/build", "/tmp"])
        for stage in STAGES[:-1]:
            kitchen.cook(stage, {"ACCELERATOR": "cpu"})
        for copy in LAST.copies:
            kitchen.copy(copy, folder)
        venv, home = kitchen.places["/opt/venv"], kitchen.places["/tmp"]
        (site,) = venv.glob("lib/python3.11/site-packages")
        assert_installed(site)
        before = files(venv)
        photos = home / "photos"
        for label in ("apple", "pear"):
            (photos / label).mkdir(parents=True)
            (photos / label / "0.png").write_text(label, encoding="utf-8")
        (home / "run.yaml").write_text(CONFIG, encoding="utf-8")

        def output(*arguments: str) -> str:
            environment = {key: kitchen.place(value) for key, value in LAST.environment().items()}
            done = subprocess.run(["python", *arguments], capture_output=True, text=True, cwd=home, env=environment)
            assert done.returncode == 0, done.stderr
            return done.stdout

        assert "--executor_class_path" in output("-m", "kubeflow.entrypoint", "--help")
        assert "--data-path" in output("-m", "kubeflow.external_state", "--help")
        assert "rollback" in output("-m", "regraft", "versions", "--help")
        states = ["--data-state", "states/data", "--files-state", "states/files"]
        assert output("-m", "kubeflow.external_state", "--data-path", str(photos), *states).startswith("2 files in ")
        found = json.loads(output("-c", IMPORTS, "run.yaml").splitlines()[-1])
        package = kubeflow_compile.build(kubeflow_compile.load(str(home / "run.yaml")))
        assert found["tasks"] == len(package.tasks)
        assert found["classes"] == len(package.tasks) - 3  # OutsideState, Report and Verdict have no executors
        assert all(Path(file).is_relative_to(site) for file in found["files"])
        assert files(venv) == before  # nothing is written there, not even bytecode
    assert not folder.exists()


def assert_installed(site: Path) -> None:
    """The packages of the lock and the code are installed and compiled, and nothing else."""
    locked = {name: version for name, (version, _) in read_lock("kubeflow/requirements.lock").items()}
    found = {one.name: one.version for one in importlib.metadata.distributions(path=[str(site)])}
    found = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found.items()}
    assert found.pop("regraft") == importlib.metadata.version("regraft")
    assert found == locked
    sources = [
        path for name in ("kubeflow", "modules", "regraft", "tfx", "tensorflow") for path in (site / name).rglob("*.py")
    ]
    compiled = [path.parent / "__pycache__" / f"{path.stem}.cpython-311.pyc" for path in sources]
    assert [path for path in compiled if path.read_bytes()[4:8] != b"\1\0\0\0"] == []  # PEP 552: by hash, unchecked


def files(folder: Path) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}
