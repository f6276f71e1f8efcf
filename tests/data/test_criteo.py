import threading

import numpy as np
import pytest
from data_formats import criteo_rows, criteo_text_of
from numpy.testing import assert_array_equal

from traintwice.data import Criteo
from traintwice.data._criteo import Lines, hashed, parse
from traintwice.errors import BadInput

LINE = (
    b"0\t1\t1\t5\t0\t1382\t4\t15\t2\t181\t1\t2\t\t2\t68fd1e64\t80e26c9b\tfb936136\t7b4723c4\t25c83c98\t7e0ccccf\tde7995b8\t1f89b562\t"
    b"a73ee510\ta8cd5504\tb2cb9c98\t37c9c164\t2824a5f6\t1adce6ef\t8ba8b39a\t891b62e7\te5ba7672\tf54016b9\t21ddcdc9\tb1252a9d\t07b5194c\t"
    b"\t3a171ecb\tc5c50484\te8b83407\t9727dd16"
)
"""A line as in the published sample of the challenge."""


def test_a_published_line(tmp_path):
    p = parse(LINE, tmp_path)
    assert_array_equal(p.labels, [0])
    assert_array_equal(p.numbers, [[1, 1, 5, 0, 1382, 4, 15, 2, 181, 1, 2, np.nan, 2]])
    assert p.categories[0, 0] == 0x68FD1E64
    assert p.categories[0, -1] == 0x9727DD16
    assert_array_equal(np.flatnonzero(p.categories[0] == 1 << 32), [21])


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_fields_are_what_was_written(tmp_path, end):
    rows = criteo_rows(50)
    p = parse(criteo_text_of(rows, end), tmp_path)
    assert_array_equal(p.labels, [label for label, _, _ in rows])
    assert_array_equal(p.numbers, np.array([numbers for _, numbers, _ in rows], dtype=float))
    assert_array_equal(p.categories, [[1 << 32 if c is None else c for c in categories] for _, _, categories in rows])


def test_a_file_that_ends_after_an_empty_field_is_cut_short(tmp_path):
    label, numbers, categories = criteo_rows(1)[0]
    text = criteo_text_of([(label, numbers, [*categories[:-1], None])])
    assert parse(text, tmp_path).labels.tolist() == [label]
    with pytest.raises(BadInput, match="the file ends inside its last line"):
        parse(text[:-1], tmp_path)


@pytest.mark.parametrize("last", [b"\n", b""])
def test_blocks_are_found_wherever_the_file_is_cut(tmp_path, small_blocks, last):
    rows = criteo_rows(40)
    label, numbers, categories = rows[-1]
    rows[-1] = (label, numbers, [*categories[:-1], 7])
    path = tmp_path / "train.txt"
    path.write_bytes(criteo_text_of(rows)[:-1] + last)
    lines = Lines(path)
    assert_array_equal(lines.labels, [label for label, _, _ in rows])
    read = np.array([0, 39, 7, 6, 21, 7])
    for which, block, places in lines.parts(read):
        for row, place in zip(read[which], places, strict=True):
            assert_array_equal(block.numbers[place], np.array(rows[row][1], dtype=float))
    assert len(lines._held) == 2


GOOD = criteo_text_of(criteo_rows(3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty"),
        (GOOD + b"1\t2\n", "line 4 has 2 fields, expected 40"),
        (GOOD + LINE + b"\t\n", "line 4 has 41 fields"),
        (GOOD + LINE.partition(b"\t")[2] + b"\n", "line 4 has 39 fields"),
        (GOOD + LINE.replace(b"1382", b"13.2") + b"\n", r"line 4, field 6: got '13\.2', expected a whole number"),
        (
            GOOD + LINE.replace(b"1382", b"1" * 16) + b"\n",
            "field 6: got '1111111111111111', expected a whole number of at most 15",
        ),
        (GOOD + LINE.replace(b"1382", b"-") + b"\n", "field 6: got '-', expected a whole number"),
        (
            GOOD + LINE.replace(b"68fd1e64", b"68fd1e6g") + b"\n",
            "line 4, field 15: got '68fd1e6g', expected 8 hexadecimal digits",
        ),
        (GOOD + LINE.replace(b"68fd1e64", b"68fd") + b"\n", "line 4, field 15: got '68fd', expected 8 hexadecimal digits"),
        (GOOD + b"01" + LINE[1:] + b"\n", "line 4, field 1: got '01', expected a label"),
        (GOOD + b"2" + LINE[1:] + b"\n", "line 4 has no label"),
    ],
)
def test_bad_files_are_named_by_line_and_field(tmp_path, text, message):
    path = tmp_path / "train.txt"
    path.write_bytes(text)
    with pytest.raises(BadInput, match=message):
        Lines(path).block(0)


def test_rows_of_the_stream(tmp_path, small_blocks):
    rows = criteo_rows(60)
    path = tmp_path / "train.txt"
    path.write_bytes(criteo_text_of(rows))
    data = Criteo(str(path), buckets=50).load()
    assert (len(data.train), data.shape, data.columns.sizes) == (60, (39,), (50,) * 26)
    whole = data.train.inputs.read(np.arange(60))
    expected = [0.0 if n is None else np.sign(n) * np.log1p(abs(n)) for n in rows[5][1]]
    np.testing.assert_allclose(whole[5, :13], expected, rtol=1e-6)
    codes = whole[:, 13:]
    assert_array_equal(codes == 0, [[c is None for c in categories] for _, _, categories in rows])
    assert codes.max() < 50
    for name, split in (("validation", data.validation), ("test", data.test)):
        assert_array_equal(split.inputs.read(np.arange(len(split))), whole[data.places[name]])
        assert_array_equal(split.labels, [rows[at][0] for at in data.places[name]])
    assert data.digest == Criteo(str(path), buckets=50).load().digest
    others = {Criteo(str(path), **changed).load().digest for changed in ({"buckets": 51}, {"buckets": 50, "rows": 59})}
    assert data.digest not in others


def test_hash_is_of_column_and_value_and_spreads():
    values = np.random.default_rng(0).integers(0, 2**32, 20_000)
    codes = hashed(np.stack([values, values], axis=1), 101)
    counts = np.bincount(codes[:, 0], minlength=101)
    assert counts[0] == 0
    assert counts[1:].min() > 140
    assert (codes[:, 0] == codes[:, 1]).mean() < 0.02
    assert_array_equal(hashed(values[:5, None], 101), hashed(values[:5, None], 101))


def test_threads_read_the_same(tmp_path, small_blocks):
    path = tmp_path / "train.txt"
    path.write_bytes(criteo_text_of(criteo_rows(60)))
    inputs = Criteo(str(path)).load().train.inputs
    expected = inputs.read(np.arange(60))
    found = [None] * 4

    def read(number):
        for _ in range(20):
            found[number] = inputs.read(np.arange(60))

    threads = [threading.Thread(target=read, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for rows in found:
        assert_array_equal(rows, expected)


def test_settings_and_missing_files(tmp_path, monkeypatch):
    with pytest.raises(BadInput, match=r"no file .*none\.txt\. Get the data of .*to this place"):
        Criteo(str(tmp_path / "none.txt")).load()
    monkeypatch.setenv("TRAINTWICE_DATA", str(tmp_path))
    with pytest.raises(BadInput, match=r"no file .*/Criteo/train\.txt\. "):
        Criteo().load()
    with pytest.raises(BadInput, match="expected 2 to 16,777,216"):
        Criteo("any", buckets=1).load()
    path = tmp_path / "train.txt"
    path.write_bytes(GOOD)
    with pytest.raises(BadInput, match="expected 1 to 3"):
        Criteo(str(path), rows=4).load()
    (tmp_path / "Criteo").mkdir()
    path.rename(tmp_path / "Criteo" / "train.txt")
    assert Criteo().load().train.inputs.shape == (3, 39)
