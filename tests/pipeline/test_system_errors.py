"""What the machine lacks is told in a sentence, and no other error is."""

from __future__ import annotations

import errno
import os

import pytest
import tensorflow as tf

from pipeline import system_errors
from pipeline.worker_errors import failure

FULL = "the disk is full, or a quota is used up; free some space, and try again"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/a b"), f"/data/a b: {FULL}"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), FULL),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), FULL),
        (
            RuntimeError(
                "mysql_query failed: errno: database or disk is full, query: INSERT INTO `Type`(`a`) VALUES(1)"
            ),
            FULL,
        ),
        (
            tf.errors.ResourceExhaustedError(
                None,
                None,
                "{{function_node __wrapped__SaveV2}} /ws/variables.tempstate; No space left on device [Op:SaveV2]",
            ),
            f"/ws/variables.tempstate: {FULL}",
        ),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE), "x.jpg"), "x.jpg: too many files are open at once; raise"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "ws/logs"), "ws/logs: this user has no permission; "),
        (OSError(errno.EROFS, os.strerror(errno.EROFS), "ws"), "ws: the file system or the file is read-only; "),
        (OSError(errno.EFBIG, os.strerror(errno.EFBIG)), "the file would be larger than "),
        (OSError(errno.EIO, os.strerror(errno.EIO)), "a disk, or the network to it, failed; "),
        (MemoryError(), "memory ran out; use a smaller training.batch_size"),
        (
            tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[9]\n\t [[{{node a}}]]"),
            "memory ran",
        ),
        (RuntimeError("can't start new thread"), "the machine allows no more processes or threads; "),
        (RuntimeError("Concurrent writes aborted after max number of retries."), "another program locks a database"),
        (RuntimeError("database disk image is malformed query: SELECT * FROM `Type`"), "the database is damaged; "),
    ],
)
def test_what_the_machine_lacks_is_a_sentence(error, sentence):
    found = failure(error)
    assert found.message.startswith(sentence) and not found.bad_input
    for raw in ("{{", "[Op:", "query", "Errno", "INSERT"):
        assert raw not in found.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{function_node __wrapped__Cast}} Unknown image [Op:DecodeImage] name: x", "Unknown image"),
        ("INVALID: no column, query: SELECT `a`\nFROM `b`", "no column"),
        (
            "Graph execution error:\n\nDetected at node a\nlogits must be 2-D\n\t [[{{node a}}]] [Op:f]",
            "logits must be 2-D",
        ),
    ],
)
def test_graph_and_sql_stay_in_the_log(text, message):
    found = failure(ValueError(text)).message
    assert found.endswith(message) and "{{" not in found and "SELECT" not in found


def test_the_free_space_of_each_disk_is_named(tmp_path):
    missing = tmp_path / "workspace" / "fruit"
    sentence = system_errors.sentence("OSError: [Errno 28] No space left on device", [missing, tmp_path])
    assert f"({tmp_path}: " in sentence and " MiB free" in sentence


@pytest.mark.parametrize(
    "text", ["ValueError: shapes differ", "KeyError: 'disk'", "NonFiniteLossError: the loss became nan"]
)
def test_other_errors_are_left_alone(text):
    assert system_errors.sentence(text) is None
