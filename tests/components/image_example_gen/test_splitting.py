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


def hashed(units: dict[str, int], shares: dict[str, int]) -> dict[str, str]:
    return {unit: splitting.split_of(unit, shares) for unit in units}


def filled(units: dict[str, int], shares: dict[str, int]) -> dict[str, str]:
    empty = set(shares) - set(hashed(units, shares).values())
    return splitting.fill_empty_splits(class_units(units, shares), empty) if empty else hashed(units, shares)


@given(UNITS, SHARES)
def test_empty_splits_are_filled_from_train_and_no_other_unit_moves(units, shares):
    by_hash, chosen = hashed(units, shares), filled(units, shares)
    assert set(chosen) == set(units) and set(chosen.values()) == set(NAMES)
    moved = {unit for unit in units if chosen[unit] != by_hash[unit]}
    if list(by_hash.values()).count("train") > 2:
        assert {by_hash[unit] for unit in moved} <= {"train"}
        assert {chosen[unit] for unit in moved} == set(NAMES) - set(by_hash.values())
    if set(by_hash.values()) == set(NAMES):
        assert not moved


@given(st.sets(KEYS, min_size=1, max_size=60), SHARES)
def test_a_filled_split_gets_its_share_and_train_keeps_a_unit(keys, shares):
    by_hash, chosen = hashed(dict.fromkeys(keys, 1), shares), filled(dict.fromkeys(keys, 1), shares)
    for split in set(NAMES) - set(by_hash.values()) - {"train"}:
        wanted = max(1, round(len(keys) * shares[split] / sum(shares.values())))
        assert list(chosen.values()).count(split) <= wanted
    assert "train" in chosen.values()
    if len(keys) == 2:
        assert "test" in chosen.values()


@given(st.lists(KEYS, min_size=5, max_size=60, unique=True))
def test_an_added_image_moves_others_only_of_a_class_that_had_or_has_empty_splits(keys):
    new, *before = keys
    old, now = filled(dict.fromkeys(before, 1), EIGHT), filled(dict.fromkeys(keys, 1), EIGHT)
    empty = set(NAMES) - set(hashed(dict.fromkeys(before, 1), EIGHT).values())
    moved = {key for key in before if old[key] != now[key]}
    if list(hashed(dict.fromkeys(before, 1), EIGHT).values()).count("train") <= 2:
        return
    assert all(old[key] in {"train", *empty} for key in moved)
    if splitting.split_of(new, EIGHT) not in empty:  # it changes the order of the hashes, and perhaps the share
        assert len(moved) <= 2 * len(empty)


def test_units_that_can_not_be_in_a_split_do_not_fill_it():
    units = {f"{index:064x}": 1 for index in range(8)}  # all in train
    chosen = splitting.fill_empty_splits(class_units(units, {"train": 8, "eval": 1}), {"eval", "test"})
    assert Counter(chosen.values()) == {"train": 7, "eval": 1} and chosen[max(units)] == "eval"


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
