"""A record of an artifact's files finds any damage, and none where files were only moved or copied."""

import json
import os
import shutil

import pytest

from components import artifact_files


@pytest.fixture
def artifact(tmp_path):
    folder = tmp_path / "artifact"
    (folder / "Split-test").mkdir(parents=True)
    for number in range(2):
        (folder / "Split-test" / f"{number}.gz").write_bytes(b"%d" % number * 50)
    (folder / "counts.json").write_text("{}")
    return folder


def replaced_by_the_other_shard(folder):
    shutil.copy2(folder / "0.gz", folder / "1.gz")
    os.utime(folder / "1.gz", ns=(5, 5))


DAMAGE = {
    "a file is gone": (lambda f: (f / "0.gz").unlink(), "1 file is missing (Split-test/0.gz)"),
    "all are gone": (shutil.rmtree, "2 files are missing (Split-test/0.gz, …)"),
    "cut short": (lambda f: os.truncate(f / "0.gz", 7), "1 file has changed (Split-test/0.gz)"),
    "empty": (lambda f: os.truncate(f / "0.gz", 0), "1 file has changed (Split-test/0.gz)"),
    "the other shard, of the same size": (replaced_by_the_other_shard, "1 file has changed (Split-test/1.gz)"),
    "one more": (lambda f: (f / "2.gz").write_bytes(b"2"), "1 file was added (Split-test/2.gz)"),
    "renamed": (
        lambda f: (f / "0.gz").rename(f / "9.gz"),
        "1 file is missing (Split-test/0.gz), 1 file was added (Split-test/9.gz)",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_and_named(artifact, name):
    spoil, words = DAMAGE[name]
    recorded = artifact_files.record(artifact)
    spoil(artifact / "Split-test")
    assert artifact_files.damage(artifact, recorded) == words


def test_a_folder_that_is_gone_is_damaged_unless_it_had_no_files(artifact, tmp_path):
    recorded = artifact_files.record(artifact)
    shutil.rmtree(artifact)
    assert artifact_files.damage(artifact, recorded).startswith("3 files are missing")
    assert artifact_files.damage(tmp_path / "none", artifact_files.record(tmp_path / "none")) == ""


def test_a_copy_with_other_times_is_whole_and_has_the_same_digest(artifact, tmp_path):
    recorded = artifact_files.record(artifact)
    copy = shutil.copytree(artifact, tmp_path / "copy", copy_function=shutil.copyfile)
    os.utime(copy / "counts.json", ns=(1, 1))
    (copy / ".DS_Store").write_bytes(b"made by a file manager")
    assert artifact_files.damage(copy, recorded) == ""
    (copy / ".DS_Store").unlink()
    assert artifact_files.digest(artifact_files.record(copy)) == artifact_files.digest(recorded)


def test_the_digest_depends_on_names_and_contents(artifact):
    digests = {artifact_files.digest(artifact_files.record(artifact))}
    (artifact / "counts.json").write_text("[]")
    digests.add(artifact_files.digest(artifact_files.record(artifact)))
    (artifact / "counts.json").rename(artifact / "count.json")
    digests.add(artifact_files.digest(artifact_files.record(artifact)))
    assert len(digests) == 3
    assert set(json.loads(artifact_files.record(artifact))) == {"Split-test/0.gz", "Split-test/1.gz", "count.json"}
