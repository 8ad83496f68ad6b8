import string
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from components.image_example_gen import splitting
from components.image_example_gen.splitting import ClassUnit

KEYS = st.binary(min_size=32, max_size=32).map(bytes.hex)
NAMES = ("train", "eval", "test")
SHARES = st.fixed_dictionaries({name: st.integers(1, 20) for name in NAMES})
UNITS = st.dictionaries(KEYS, st.integers(1, 5), min_size=3, max_size=40)


@given(KEYS, SHARES)
def test_a_split_depends_on_the_unit_and_the_shares_alone(key, shares):
    split = splitting.split_of(key, shares)
    assert split in shares
    assert splitting.split_of(key.upper(), dict(shares)) == split


@given(SHARES)
def test_each_split_gets_exactly_its_share_of_all_hashes(shares):
    total = sum(shares.values())
    found = [splitting.split_of(f"{number:064x}", shares) for number in range(total)]
    assert {name: found.count(name) for name in shares} == shares


@given(KEYS, KEYS, st.text(string.printable, min_size=1))
def test_images_of_a_group_are_one_unit_and_others_are_their_own(one, other, group):
    assert splitting.unit_of(one, group) == splitting.unit_of(other, group) != one
    assert splitting.unit_of(one, "") == one


def test_an_image_assigned_to_two_splits_never_leaves_the_test_split():
    assert splitting.strictest_split({"train", "eval", "test"}) == "test"
    assert splitting.strictest_split({"train", "eval", ""}) == "eval"
    assert splitting.strictest_split({""}) == ""


EIGHT = {"train": 8, "eval": 1, "test": 1}


def shares(unit_split: str, *source_splits: str) -> dict[str, int]:
    return splitting.allowed_shares(unit_split, set(source_splits), EIGHT)


def test_a_split_that_the_source_assigns_is_kept():
    for name in NAMES:
        assert shares(name, *NAMES) == {name: EIGHT[name]}
        assert shares(name, name, "") == {name: EIGHT[name]}


def test_a_split_without_assigned_images_is_taken_out_of_train():
    assert shares("train", "train", "test") == {"train": 8, "eval": 1}
    assert shares("test", "train", "test") == {"test": 1}


def test_an_assigned_eval_or_test_split_is_complete_and_the_hash_decides_for_the_rest():
    assert shares("", "test", "") == {"train": 8, "eval": 1}
    assert shares("", *NAMES, "") == {"train": 8}
    assert shares("", "train", "") == EIGHT
    assert shares("train", "train", "") == {"train": 8}
    assert shares("", "") == EIGHT


def class_units(units: dict[str, int], shares: dict[str, int]) -> list[ClassUnit]:
    return [ClassUnit(unit, images, tuple(shares.items())) for unit, images in units.items()]


@given(UNITS, SHARES)
def test_stratified_gives_every_split_a_unit_and_no_unit_twice(units, shares):
    chosen = splitting.stratify(class_units(units, shares))
    assert set(chosen) == set(units)
    assert set(chosen.values()) == set(NAMES)


@given(st.lists(KEYS, min_size=20, max_size=60, unique=True))
def test_stratified_gives_each_split_its_share(keys):
    chosen = Counter(splitting.stratify(class_units(dict.fromkeys(keys, 1), EIGHT)).values())
    for name in ("eval", "test"):
        assert chosen[name] == max(1, round(len(keys) / 10))


@given(st.lists(KEYS, min_size=4, max_size=60, unique=True))
def test_adding_an_image_moves_at_most_one_other_across_each_boundary_when_stratified(keys):
    new, *before = keys
    old = splitting.stratify(class_units(dict.fromkeys(before, 1), EIGHT))
    now = splitting.stratify(class_units(dict.fromkeys([*before, new], 1), EIGHT))
    assert sum(old[key] != now[key] for key in before) <= 2


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=20))
def test_merged_units_have_one_representative_and_the_order_does_not_matter(numbers):
    pairs = [(f"{one:02}", f"{other:02}") for one, other in numbers]
    merged_units = splitting.merge_units(pairs)
    assert all(merged_units[one] == merged_units[other] for one, other in pairs)
    assert splitting.merge_units([pair[::-1] for pair in reversed(pairs)]) == merged_units
    assert all(merged_units[unit] <= unit for unit in merged_units)
    # Nothing else is merged: there are as many sets as the graph of these pairs has components.
    units = set(merged_units)
    sets = {unit: {unit} for unit in units}
    for one, other in pairs:
        union = sets[one] | sets[other]
        for unit in union:
            sets[unit] = union
    assert len(set(merged_units.values())) == len({frozenset(members) for members in sets.values()})
