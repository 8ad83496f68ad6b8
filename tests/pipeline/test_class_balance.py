import pytest

from components.image_example_gen.report import Counts
from modules import statistics
from pipeline import class_balance
from pipeline.config import Gate


def counts(**test: int) -> Counts:
    splits = {"train": dict.fromkeys(test, 100), "eval": dict.fromkeys(test, 10), "test": test}
    return Counts(found=0, quarantined=0, duplicates=0, splits=splits, fingerprint="")


def test_a_class_too_small_for_its_bound_is_named_with_what_it_takes():
    gate = Gate(min_accuracy=0.5, min_recall={"yellow": 0.95}, confidence=0.95)
    (said,) = class_balance.warnings(counts(red=40, yellow=3), gate)
    assert said == (
        "yellow: 3 images of the test: were all of them right, its recall might still be 53% (95% sure); "
        "a bound of 95% takes 52"
    )


@pytest.mark.parametrize("bound", [0.5, 0.9, 0.95, 0.99])
def test_so_many_are_needed_and_no_fewer(bound):
    gate = Gate(min_accuracy=0.0, min_recall=bound)
    needed = statistics.images_for_share(bound, gate.confidence)
    assert class_balance.warnings(counts(red=needed), gate) == []
    assert class_balance.warnings(counts(red=needed - 1), gate)
    assert statistics.share_bounds(needed, needed, gate.confidence)[0] >= bound
    assert statistics.share_bounds(needed - 1, needed - 1, gate.confidence)[0] < bound


def test_without_a_bound_of_its_own_that_of_all_images_counts():
    assert class_balance.warnings(counts(red=3), Gate(min_accuracy=0.95))
    assert not class_balance.warnings(counts(red=3), Gate(min_accuracy=0.1))
    assert not class_balance.warnings(counts(red=3), Gate(min_accuracy=1.0)), "no number of images is enough"


def test_a_share_is_of_all_examples():
    assert class_balance.share(counts(red=20, yellow=0), "red") == pytest.approx(130 / 240)
