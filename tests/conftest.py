"""Which tests run, how they are shared out to two processes, so that both end together; and what each restores."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from pathlib import Path, PurePosixPath

import hypothesis
import import_time
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from config import garbage_collection

# They want the pipeline's first run, which is made once in each process that runs one of them.
_OF_FIRST_RUN = ("test_code_changes.py", "test_drift.py", "test_input.py", "test_pipeline.py", "test_tfx_cli.py")


# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("regraft", deadline=None)
hypothesis.settings.load_profile("regraft")


@pytest.fixture(autouse=True)
def _log_levels_are_restored() -> Iterator[None]:
    """A command that a test calls lets TFX write its progress to the log."""
    loggers = logging.getLogger(), logging.getLogger("absl")
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    with garbage_collection.paused_for_imports():
        return (yield)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="only tests that are not slow and do not load TensorFlow")
    parser.addoption("--no-skips", action="store_true", help="a test that is skipped fails, and says what it needs")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With --fast: ignores files, and folders with a conftest.py, that load TensorFlow when they are imported."""
    if not config.getoption("--fast"):
        return None
    file = collection_path / "conftest.py" if collection_path.is_dir() else collection_path
    return True if file.is_file() and file.suffix == ".py" and import_time.is_slow(file) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest tests first; with --fast, none of them."""
    items.sort(key=lambda item: "slow" not in item.keywords)
    if config.getoption("--fast"):
        items[:] = [item for item in items if "slow" not in item.keywords]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.config.getoption("--no-skips"):
        report.outcome = "failed"
    return report


@pytest.fixture(autouse=True)
def _fast_tests_load_no_tensorflow(request: pytest.FixtureRequest) -> Iterator[None]:
    before = import_time.loaded()
    yield
    if request.config.getoption("--fast") and (loaded := import_time.loaded() - before):
        pytest.fail(f"this test has loaded {', '.join(sorted(loaded))}: with `import` at the top, --fast leaves it out")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return _Scheduling(config, log)


class _Scheduling(LoadFileScheduling):
    """A process takes file after file, and all that share a run of the pipeline as one."""

    def _split_scope(self, nodeid: str) -> str:
        file = PurePosixPath(super()._split_scope(nodeid))
        if file.parent.name == "end_to_end" and file.name in _OF_FIRST_RUN:
            return str(file.parent)
        return str(file)
