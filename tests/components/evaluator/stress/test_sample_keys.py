"""Which test images are corrupted."""

from collections import Counter

from components.evaluator.stress.sample_keys import chosen

LABELS = {f"{number:064x}": "abc"[0 if number % 10 else 1 + number // 10 % 2] for number in range(1000)}


def test_sample_has_the_classes_in_the_shares_of_the_test_split():
    assert Counter(LABELS[key] for key in chosen(LABELS, 100)) == {"a": 90, "b": 5, "c": 5}
    assert sum(Counter(LABELS[key] for key in chosen(LABELS, 33)).values()) == 33
    assert chosen(LABELS, 5000) == set(LABELS)


def test_an_image_more_changes_at_most_one_of_the_sample():
    before = chosen(LABELS, 100)
    after = chosen({**LABELS, "0" * 63 + "a" + "5": "a"}, 100)
    assert len(after) == 100 and len(before - after) <= 1
