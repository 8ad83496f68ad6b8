import csv
import io
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.label_check import results
from components.label_check.results import Kind, LabelFindings, Neighbour, Suspect, Totals

TOTALS = Totals({"train": 2, "test": 1}, {Kind.WRONG: {"test": 2}, Kind.NEAR_DUPLICATE: {"test": 1, "train": 4}})
# Names of files and classes are any text; bytes that are not UTF-8 arrive as surrogate escapes.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
paths = st.binary(min_size=1, max_size=20).filter(lambda raw: b"\0" not in raw).map(os.fsdecode)
suspects = st.builds(
    Suspect,
    path=paths,
    key=st.text("0123456789abcdef", min_size=64, max_size=64),
    split=st.sampled_from(["train", "eval", "test"]),
    label=texts,
    likely_label=texts,
    score=st.integers(0, 10**6).map(lambda millionths: millionths / 10**6),
    kind=st.sampled_from([kind.value for kind in Kind]),
)


@settings(max_examples=50, deadline=None)
@given(several=st.lists(suspects, max_size=3), path=paths, label=texts)
def test_what_is_written_is_read_again(several, path, label, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("found"))
    findings = LabelFindings(several, {"b" * 64: [Neighbour("a" * 64, path, label, 0.25)]}, TOTALS)
    results.write(folder, findings)
    assert results.read(folder) == findings


def test_the_table_has_a_column_for_decisions_and_keeps_the_bytes_of_names(tmp_path):
    one = Suspect(os.fsdecode(b"a\xff.png"), "0" * 64, "test", "<b>x</b>", 'say "y", or\nz', 0.5, Kind.CHECK)
    results.write(str(tmp_path), LabelFindings([one], {}, TOTALS))
    content = Path(tmp_path, results.SUSPECTS).read_bytes()
    assert b"a\xff.png" in content
    rows = list(csv.reader(io.StringIO(content.decode("utf-8", "surrogateescape"), newline="")))
    assert rows[0] == ["file", "label", "likely_label", "score", "kind", "split", "key", "decision"]
    assert rows[1][2] == one.likely_label and rows[1][-1] == ""


def test_the_most_serious_kind_comes_first_and_the_highest_score():
    def suspect(kind: Kind, score: float) -> Suspect:
        return Suspect("p", "k", "test", "a", "b", score, kind.value)

    given = [suspect(Kind.OUTLIER, 2.0), suspect(Kind.CHECK, 1.0), suspect(Kind.WRONG, 0.5), suspect(Kind.WRONG, 0.9)]
    assert [(one.kind, one.score) for one in results.in_order(given)] == [
        *(("likely wrong", 0.9), ("likely wrong", 0.5), ("check", 1.0), ("outlier", 2.0))
    ]


def test_outliers_and_images_worth_a_look_do_not_bound_the_accuracy():
    assert (
        Totals({}, {Kind.WRONG: {"test": 2, "train": 9}, Kind.CHECK: {"test": 5}, Kind.NEAR_DUPLICATE: {}}).in_test == 2
    )
    assert TOTALS.in_test == 3


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        results.read(str(tmp_path))
