"""Labels that are text: one class in two spellings, missing cells that are written as a word, and Python objects."""

import numpy as np
import pytest

from traintwice.errors import BadInput
from traintwice.predictions import open_predictions, open_rows
from traintwice.predictions._classes import MISSING

NAMES = ["cat", "dog", "café"]


def votes(*columns, **reading):
    """Predicted labels of one file for each column but the last, which has the labels."""
    *predicted, y = [np.array(column) for column in columns]
    tables = [{"id": np.arange(len(y)), "pred": column, "y": y} for column in predicted]
    with open_predictions(tables, **reading) as opened:
        return opened.read(), opened.summary.class_rule


@pytest.mark.parametrize(
    ("name", "other"), [("dog", "dog "), ("dog", "Dog"), ("café", "cafe\u0301"), ("cat", "\u00a0cat"), ("dog", "ＤＯＧ")]
)
@pytest.mark.parametrize("place", ["predictions", "labels"])
def test_one_class_in_two_spellings(name, other, place):
    renamed = [other if word == name else word for word in NAMES]
    columns = (NAMES, renamed, NAMES[:1] * 3) if place == "predictions" else (NAMES, NAMES, renamed)
    with pytest.raises(BadInput, match=r"different label maps: .* differ only in capitals, spaces or Unicode form") as told:
        votes(*columns)
    assert repr(other) not in told.value.without_cells
    found, _ = votes(*columns, classes=[*NAMES, other])
    assert found.votes.shape == (2, 3)


@pytest.mark.parametrize("write", ["{:.1f}%", "{:.2f} %", "0,{:.0f}", "-{:.0f},5e-3"])
def test_numbers_as_text_are_no_classes(write):
    words = [write.format(100 + k) for k in range(21)]
    with pytest.raises(
        BadInput, match=r"'pred' holds numbers that are written as text \(such as .*write them as numbers"
    ) as told:
        votes(words, words[::-1], words)
    assert words[0] not in told.value.without_cells
    found, _ = votes(words[:20], words[:20], words[:20])
    assert len(found.class_names) == 20


def test_classes_that_differ_in_capitals_in_one_column_are_two():
    found, _ = votes(["us", "US", "us"], ["us", "us", "US"], ["us", "US", "US"])
    assert found.class_names == ("US", "us")


@pytest.mark.parametrize("word", ["nan", "NaN", "None", "NULL", "<NA>", "\\N", "-", "?", "", " "])
def test_a_missing_cell_that_is_written_as_a_word(word):
    names = [*NAMES, word]
    for columns, others in (
        ((NAMES * 2, names + NAMES[:2]), "no file predicts it"),
        ((names, NAMES[:1] * 4), "no label is that"),
    ):
        with pytest.raises(BadInput, match=f"looks like a missing cell: {others}. Leave missing cells empty, or pass --classes"):
            votes(*columns)
    found, rule = votes(names, names)
    assert (found.votes == found.labels).all()
    assert rule.endswith(f"; {word!r} counted as a class")
    found, _ = votes(NAMES * 2, names + NAMES[:2], classes=names)
    assert found.labels.tolist() == [0, 1, 2, 3, 0, 1]


def test_a_score_has_no_class_of_missing_cells():
    table = {"id": np.arange(3), "p": np.array([0.9, 0.1, 0.2]), "y": np.array(["fraud", "nan", "fraud"])}
    with pytest.raises(BadInput, match="'nan' in 'y' looks like a missing cell"), open_predictions(table, positive="fraud"):
        pass


def test_minus_with_plus_is_a_class():
    table = {"id": np.arange(3), "p": np.array([0.9, 0.1, 0.2]), "y": np.array(["+", "-", "+"])}
    with open_predictions(table, positive="+") as opened:
        found = opened.read()
    assert (found.class_names, found.labels.tolist()) == (("-", "+"), [1, 0, 1])


def test_words_of_missing_cells_are_in_small_letters():
    assert {word.lower() for word in MISSING} == MISSING


@pytest.mark.parametrize("missing", [None, np.nan, float("nan")])
@pytest.mark.parametrize("kind", [str, int, bool])
def test_labels_of_objects(missing, kind):
    labels = np.array([kind(1), missing, kind(0), kind(1)], dtype=object)
    predicted = np.array([1, 1, 0, 0]).astype(kind)
    with open_rows([predicted, predicted[::-1]], label=labels) as rows:
        found = rows.read()
    assert found.votes.tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]
    assert found.known.labels.tolist() == [1, -1, 0, 1]


def test_predicted_labels_of_objects_that_are_missing():
    predicted = np.array(["cat", None, np.nan], dtype=object)
    with pytest.raises(BadInput, match="2 of 3 rows have no predicted label"), open_rows([predicted, predicted[::-1]]) as rows:
        rows.read()


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([[0.1, 0.9], [0.2, 0.8, 0.0]], r"\(list\); expected text, numbers"),
        ([1, "a"], r"\(int, str\)"),
        ([True, 2], r"\(bool, int\)"),
    ],
)
def test_objects_that_are_not_read(entries, told):
    array = np.empty(2, dtype=object)
    array[:] = entries
    with pytest.raises(BadInput, match=told), open_rows([array, array]):
        pass


def test_objects_of_numbers_and_bytes():
    with open_rows(
        [np.array([0.9, 0.2], dtype=object), np.array([0.4, 0.3], dtype=object)], label=np.array([1.0, np.nan])
    ) as rows:
        found = rows.read()
    assert (found.probs[:, :, 1].tolist(), found.known.labels.tolist()) == ([[0.9, 0.2], [0.4, 0.3]], [1, -1])
    with open_rows([np.array(["né".encode()] * 2), np.array(["né", "b"])]) as rows:
        assert rows.read().class_names == ("b", "né")
    latin = np.array(["né".encode("latin-1")])
    with pytest.raises(BadInput, match="holds bytes that are not UTF-8 text"), open_rows([latin, latin]):
        pass


@pytest.mark.parametrize("place", ["predictions", "labels"])
@pytest.mark.parametrize("kind", [int, str, float])
def test_classes_that_count_from_0_and_from_1(place, kind):
    from_0, other = np.array([0, 1, 2, 1]), np.array([1, 2, 3, 2])
    columns = (from_0, other, from_0) if place == "predictions" else (from_0, from_0, other)
    given = columns if kind is int else [*columns[:2], columns[2].astype(kind)]
    message = (
        r"different label maps: classes are 0 … 2 in .* and 1 … 3 in .*; write the labels of all files alike, or pass --classes"
    )
    with pytest.raises(BadInput, match=message):
        votes(*given)
    if kind is int:
        with pytest.raises(BadInput, match=message), open_rows([*columns[:2]], label=columns[2]):
            pass
    found, _ = votes(*given, classes=["0", "1", "2", "3"])
    assert found.votes.tolist() == [columns[0].tolist(), columns[1].tolist()]


@pytest.mark.parametrize("other", [[1, 2, 2, 4], [1, 2, 2, 2], [1, 1, 1, 1], [0, 1, 3, 3]])
def test_classes_in_other_ranges_may_be_the_same(other):
    votes([0, 1, 2, 2], other, [0, 1, 2, 2])
    votes([0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0])
    votes([0, 1, 1, 0], [1, 2, 2, 1], [0, 1, 2, 2])  # the labels have both ends: neither model predicts all classes
