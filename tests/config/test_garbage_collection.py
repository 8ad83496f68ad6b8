"""The collector while libraries are imported."""

from __future__ import annotations

import gc
import sys
import types

import pytest

from config import garbage_collection


@pytest.fixture(autouse=True)
def restored():
    threshold, modules = gc.get_threshold(), set(sys.modules)
    yield
    gc.set_threshold(*threshold)
    gc.enable()
    for name in sys.modules.keys() - modules:
        del sys.modules[name]


@pytest.fixture
def frozen(monkeypatch):
    """Calls of gc.freeze, which would keep the garbage of all tests before."""
    calls = []
    monkeypatch.setattr(gc, "freeze", lambda: calls.append("all"))
    return calls


def load(count: int) -> None:
    for number in range(count):
        sys.modules[f"imported_by_test_{number}"] = types.ModuleType("imported_by_test")


def test_nothing_is_collected_during_imports_and_what_they_made_is_never_visited(frozen):
    with garbage_collection.paused_for_imports():
        assert not gc.isenabled()
        load(1000)
    assert gc.isenabled()
    assert frozen == ["all"]


def test_what_ran_after_the_imports_can_be_collected(frozen):
    with garbage_collection.paused_for_imports():
        load(3)
    assert frozen == []


def test_an_error_leaves_the_collector_on():
    with pytest.raises(ImportError), garbage_collection.paused_for_imports():
        raise ImportError
    assert gc.isenabled()


def test_a_collector_that_is_off_stays_off():
    gc.disable()
    with garbage_collection.paused_for_imports():
        pass
    assert not gc.isenabled()


def test_garbage_is_collected_more_rarely_afterwards():
    gc.set_threshold(700, 10, 10)
    garbage_collection.relax()
    assert gc.get_threshold()[0] > 5_000
    assert gc.get_threshold()[1:] == (10, 10)
