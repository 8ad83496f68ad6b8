import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from components.image_example_gen import looking, threads


def test_a_long_ingest_says_how_far_it_is_every_ten_seconds(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "regraft.ingest")
    clock = [100.0]
    monkeypatch.setattr(looking.time, "monotonic", lambda: clock[0])
    progress = looking.Progress(total=400)
    for _ in range(100):
        clock[0] += 0.3
        progress.count(1, 1)
    said = [record.message.strip() for record in caplog.records]
    assert said == [
        "34 images (8%), 3 images/s, 110 s left",
        "68 images (17%), 3 images/s, 100 s left",
    ]


def test_workers_of_a_process_share_their_progress():
    assert looking.Progress.of("one ingest", 10) is looking.Progress.of("one ingest", 10)
    assert looking.Progress.of("another", 10) is not looking.Progress.of("one ingest", 10)


def test_results_come_in_order_and_few_wait():
    started, lock = [0], threading.Lock()

    def slow(number: int) -> int:
        with lock:
            started[0] += 1
        time.sleep(0.02 if number % 4 == 0 else 0)
        return number * number

    with ThreadPoolExecutor(2) as pool:
        taken = []
        for result in threads.ordered(pool, slow, range(40), 2):
            taken.append(result)
            assert started[0] <= len(taken) + 4
    assert taken == [number * number for number in range(40)]
