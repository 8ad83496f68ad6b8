"""How many processes read images where nobody says."""

from __future__ import annotations

import pytest

from components.image_example_gen import workers
from components.image_example_gen.sources.item import Item

MANY = workers.PROCESSES_FROM


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch):
    """Eight cores, memory for three."""
    monkeypatch.setattr(workers.joblib, "cpu_count", lambda: 8)
    monkeypatch.setattr(workers.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 5 * 2**30}))


def photos(number: int) -> list[Item]:
    return [Item(f"{n}.jpg", f"/photos/{n}.jpg", "cat") for n in range(number)]


def number(items: list[Item]) -> str:
    (found,) = workers.settled(["--runner=x", workers.LEFT_OPEN, "--y"], items)[1:2]
    return found.removeprefix("--direct_num_workers=")


def test_few_images_are_read_by_one():
    assert number(photos(MANY - 1)) == "1"
    assert number([]) == "1"


def test_many_are_read_by_as_many_as_there_is_memory_for():
    assert number(photos(MANY)) == "3"


def test_or_as_there_are_cores(monkeypatch):
    monkeypatch.setattr(workers.joblib, "cpu_count", lambda: 2)
    assert number(photos(MANY)) == "2"


def test_records_count_by_their_bytes():
    assert number([Item("a", "/a", size=10**9 - 1, records=True)]) == "1"
    assert number([Item("a", "/a", size=10**9, records=True)]) == "3"


def test_a_machine_without_memory_to_spare_still_works(monkeypatch):
    monkeypatch.setattr(workers.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 2**30}))
    assert number(photos(MANY)) == "1"


@pytest.mark.parametrize("arguments", [["--direct_num_workers=1"], ["--runner=PortableRunner", "--parallelism=4"]])
def test_what_was_said_stands(arguments):
    assert workers.settled(arguments, photos(MANY)) == arguments
