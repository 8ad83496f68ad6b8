"""The programs of docs/serving.md, as they stand there, ask a model that was exported as Trainer exports it."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import beam_services
import model_server
import pytest
import tensorflow as tf
from drawing import encode, flat, stripes

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
CLASSES = ["cyan", "magenta", "yellow"]  # as in conftest.py
FILES = {"photo.jpg": encode(stripes(64), "JPEG"), "another.png": encode(flat("yellow"))}


def blocks(heading: str, language: str) -> list[str]:
    """The programs below a heading of the page."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert found, f"docs/serving.md has no {language} below {heading}"
    return found


@pytest.fixture(scope="module")
def expected(version) -> dict[str, tuple[str, list[float]]]:
    """File to label and probabilities, as the model answers when it is called in this process."""
    answer = tf.saved_model.load(str(version)).signatures["serve_images"](images=tf.constant(list(FILES.values())))
    labels, rows = (answer[name].numpy().tolist() for name in ("label", "probabilities"))
    assert len({tuple(row) for row in rows}) == 2
    return {file: (label.decode(), row) for file, label, row in zip(FILES, labels, rows, strict=True)}


@pytest.fixture(scope="module")
def server(version):
    with model_server.running(version, "traffic-lights") as server:
        yield server


@pytest.fixture
def run(server, tmp_path):
    """Runs a program in a folder with the images; gives what it prints."""
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)

    def run(command: list[str], program: str) -> str:
        program = program.replace("localhost:8501", f"localhost:{server.rest}")
        program = program.replace("localhost:8500", f"localhost:{server.grpc}")
        environment = {**os.environ, "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            [*command, program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def checked_lines(output: str, expected: dict[str, tuple[str, list[float]]]) -> None:
    """Lines such as `photo.jpg cyan {'cyan': 0.9, …}`."""
    lines = output.splitlines()
    for line, (file, (label, probabilities)) in zip(lines, expected.items(), strict=True):
        found_file, found_label, found = line.split(" ", 2)
        assert (found_file, found_label, list(ast.literal_eval(found))) == (file, label, CLASSES)
        assert list(ast.literal_eval(found).values()) == pytest.approx(probabilities, abs=1e-5)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl(run, expected):
    classify, names = blocks("REST with curl", "sh")
    (prediction,) = json.loads(run(["sh", "-c"], classify))["predictions"]
    label, probabilities = expected["photo.jpg"]
    assert (prediction["label"], prediction["score"]) == (label, pytest.approx(max(probabilities), abs=1e-5))
    assert prediction["probabilities"] == pytest.approx(probabilities, abs=1e-5)
    assert json.loads(run(["sh", "-c"], names)) == {"predictions": [CLASSES]}


def test_rest_with_python(run, expected):
    (program,) = blocks("REST with Python", "python")
    checked_lines(run([sys.executable, "-c"], program), expected)


def test_grpc_with_python(run, expected):
    images, examples = blocks("gRPC with Python", "python")
    *lines, last = run([sys.executable, "-c"], images + examples).splitlines()
    checked_lines("\n".join(lines), expected)
    assert last == expected["photo.jpg"][0]


def test_saved_model_cli(run, version):
    (program,) = blocks("Look at a model", "sh")
    output = run(["sh", "-ec"], program.replace("workspace/traffic-lights/serving/1", str(version)))
    assert re.search(r"inputs\['images'\].*\n\s+dtype: DT_STRING\n\s+shape: \(-1\)", output)
    assert output.splitlines()[-1] == "[[b'cyan' b'magenta' b'yellow']]"


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("javac") is None or shutil.which("mvn") is None, reason="needs a Java development kit and Maven"
)
def test_tensorflow_for_java(expected, version, tmp_path):
    (program,) = blocks("TensorFlow for Java", "java")
    (tmp_path / "Classify.java").write_text(program, encoding="utf-8")
    (tmp_path / "photo.jpg").write_bytes(FILES["photo.jpg"])
    jars = _jars()
    command = ["java", f"-Djava.io.tmpdir={tmp_path}", f"-Dorg.bytedeco.javacpp.cachedir={tmp_path / 'native'}"]
    command += ["-cp", f"{jars}/*", "Classify.java", str(version), "photo.jpg"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    label, probabilities = expected["photo.jpg"]
    first, *rest = done.stdout.splitlines()
    assert first == label
    assert [line.split()[0] for line in rest] == CLASSES
    assert [float(line.split()[1]) for line in rest] == pytest.approx(probabilities, abs=1e-5)


def _jars() -> Path:
    """TensorFlow for Java, from Maven Central; the test is skipped if it cannot be had."""
    folder = ROOT / "build" / "java"
    if not (folder / "target" / "lib").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "tests" / "java" / "pom.xml", folder)
        beam_services.fetch(["mvn", "--batch-mode", "--quiet", "--file", str(folder / "pom.xml"), "package"])
    return folder / "target" / "lib"


def test_the_server_of_these_tests_refuses_what_tf_serving_refuses(tmp_path):
    """Else the tests above would show nothing: a signature without inputs, and an output that is no batch."""

    class Earlier(tf.Module):
        @tf.function(input_signature=[])
        def names(self):
            return {"class_names": tf.constant(CLASSES)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "unused")])
        def unbatched(self, unused):
            return {"class_names": tf.constant([CLASSES]), "first": unused[:1]}

    module = Earlier()
    tf.saved_model.save(module, str(tmp_path), {"class_names": module.names, "unbatched": module.unbatched})
    model = model_server._Model(model_server.Server(str(tmp_path)), "earlier")
    for signature, refusal in (
        ("class_names", "Failed to get input map"),
        ("unbatched", "Batched output tensor's 0th"),
    ):
        with pytest.raises(model_server.RefusedError, match=refusal):
            model_server._predictions(model, {"signature_name": signature, "instances": [""]})
