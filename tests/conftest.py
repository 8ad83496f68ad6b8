"""How the tests are shared out to two processes, so that they end at about the same time; and what each restores."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# They want the pipeline's first run, which is made once in each process that runs one of them.
_OF_FIRST_RUN = ("test_code_changes.py", "test_drift.py", "test_input.py", "test_pipeline.py", "test_tfx_cli.py")


@pytest.fixture(autouse=True)
def _log_levels_are_restored() -> Iterator[None]:
    """A command that a test calls lets TFX write its progress to the log."""
    loggers = logging.getLogger(), logging.getLogger("absl")
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first."""
    items.sort(key=lambda item: "slow" not in item.keywords)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return _Scheduling(config, log)


class _Scheduling(LoadFileScheduling):
    """A process takes file after file, and all that share a run of the pipeline as one."""

    def _split_scope(self, nodeid: str) -> str:
        file = PurePosixPath(super()._split_scope(nodeid))
        if file.parent.name == "end_to_end" and file.name in _OF_FIRST_RUN:
            return str(file.parent)
        return str(file)
