"""Which class names are taken for one another, and that the warning shows their difference."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.image_example_gen import confusable_names


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["Cat", "cat", "dog"], ["'Cat'", "'cat'"]),
        (
            ["green light", "greenlight", "green-light", "green_light"],
            ["'green light'", "'green-light'", "'greenlight'"],
        ),
        (["cat", "cat\u200b"], ["'cat'", r"'cat\u200b'"]),
        (["cat", "\ufeffcat"], ["'cat'", r"'\ufeffcat'"]),
        (["a b", "a\u00a0b"], ["'a b'", r"'a\xa0b'"]),
        (["cat", "c\u00adat"], ["'cat'", r"'c\xadat'"]),
        (["cat", "cat\ufe0f"], ["'cat'", r"'cat\ufe0f'"]),  # shows nothing, but Python takes it for printable
        (["cat", "ｃａｔ"], ["'cat'", r"'\uff43\uff41\uff54'"]),
        (["cat", "с\u0430t"], ["'cat'", r"'\u0441\u0430t'"]),  # Cyrillic
        (["straße", "STRASSE"], ["'STRASSE'", "'straße'"]),
        (["1", "001"], ["'001'", "'1'"]),
        (["fi", "ﬁ"], ["'fi'", r"'\ufb01'"]),
    ],
)
def test_names_that_look_alike_are_shown_so_that_they_differ(names, shown):
    (warning,) = confusable_names.warnings(names)
    assert warning.startswith("classes with nearly the same name: ")
    for spelling in shown:
        assert spelling in warning
    assert "dog" not in warning


@pytest.mark.parametrize(
    "names",
    [["cat", "cats"], ["1.1", "1.10"], ["é", "e"], ["+", "-"], ["1", "10"], ["a", "b"], ["_", "-"], ["0", "00x"]],
)
def test_other_names_are_not(names):
    assert confusable_names.warnings(names) == []


@given(st.lists(st.text(string.ascii_lowercase, min_size=1), unique=True))
def test_different_words_are_never_alike(names):
    assert not [warning for warning in confusable_names.warnings(names) if "nearly the same" in warning]


def test_only_some_groups_are_shown():
    names = [name for letter in "abcde" for name in (letter, letter.upper())]
    assert confusable_names.warnings(names)[0].endswith(
        "'C' and 'c' and 2 more; if they are one class, give their images one label"
    )


@pytest.mark.parametrize("name", ["none", "NULL", "N/A", "NA", "<NA>", "undefined", "#REF!"])
def test_a_class_named_like_a_missing_label_is_pointed_out(name):
    (warning,) = confusable_names.warnings(["cat", name])
    assert warning.startswith(f"a class is named like a missing label: {name!r}; ")


def test_folders_that_became_one_class_are_named():
    (warning,) = confusable_names.warnings(["cat", "dog"], {"cat": ["cat", "cat "]})
    assert warning == "the folders 'cat' and 'cat ' are one class, 'cat'"
    (warning,) = confusable_names.warnings(["caf\u00e9"], {"caf\u00e9": ["caf\u00e9", "cafe\u0301"]})
    assert r"'caf\xe9' and 'cafe\u0301'" in warning
