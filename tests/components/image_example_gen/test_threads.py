import threading
import time
from concurrent.futures import ThreadPoolExecutor

from components.image_example_gen import threads


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
