"""How many processes and threads read images."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from components.image_example_gen import parallelism
from components.image_example_gen.sources.item import Item

MANY = parallelism.MIN_IMAGES


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch):
    """Eight cores, and memory for three processes."""
    monkeypatch.setattr(parallelism.joblib, "cpu_count", lambda: 8)
    monkeypatch.setattr(parallelism.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 5 * 2**30}))


def photos(number: int) -> list[Item]:
    return [Item(f"{n}.jpg", f"/photos/{n}.jpg", "cat") for n in range(number)]


def chosen_workers(items: list[Item]) -> str:
    (found,) = parallelism.choose_workers(["--runner=x", parallelism.AUTOMATIC, "--y"], items)[1:2]
    return found.removeprefix("--direct_num_workers=")


def test_few_images_are_read_by_one_process():
    assert chosen_workers(photos(MANY - 1)) == "1"
    assert chosen_workers([]) == "1"


def test_memory_limits_the_number_of_processes():
    assert chosen_workers(photos(MANY)) == "3"


def test_cores_limit_the_number_of_processes(monkeypatch):
    monkeypatch.setattr(parallelism.joblib, "cpu_count", lambda: 2)
    assert chosen_workers(photos(MANY)) == "2"


def test_the_number_of_records_is_estimated_from_their_bytes():
    assert chosen_workers([Item("a", "/a", size=10**9 - 1, records=True)]) == "1"
    assert chosen_workers([Item("a", "/a", size=10**9, records=True)]) == "3"


def test_with_little_memory_there_is_one_process(monkeypatch):
    monkeypatch.setattr(parallelism.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 2**30}))
    assert chosen_workers(photos(MANY)) == "1"


@pytest.mark.parametrize("arguments", [["--direct_num_workers=1"], ["--runner=PortableRunner", "--parallelism=4"]])
def test_arguments_with_a_number_of_workers_stay_as_they_are(arguments):
    assert parallelism.choose_workers(arguments, photos(MANY)) == arguments


def test_results_keep_their_order_and_few_wait():
    started, lock = [0], threading.Lock()

    def slow(number: int) -> int:
        with lock:
            started[0] += 1
        time.sleep(0.02 if number % 4 == 0 else 0)
        return number * number

    with ThreadPoolExecutor(2) as pool:
        taken = []
        for result in parallelism.map_in_order(pool, slow, range(40), 2):
            taken.append(result)
            assert started[0] <= len(taken) + 4
    assert taken == [number * number for number in range(40)]
