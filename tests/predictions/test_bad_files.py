"""Bad input tried on purpose: each gives one clear error, or the right number; nothing is left behind."""

import bz2
import gzip
import lzma
import math
import os
import re
import struct
import zipfile
from pathlib import Path

import duckdb
import numpy as np
import pytest

from traintwice.compare import diff
from traintwice.errors import BadInput, TraintwiceError
from traintwice.predictions import open_predictions

GOOD = "id,p,y\n1,0.9,1\n2,0.2,0\n3,0.6,0\n4,0.4,1\n"
"""Votes 1 0 1 0."""

OTHER = "id,p,y\n1,0.8,1\n2,0.7,0\n3,0.6,0\n4,0.1,1\n"
"""Votes 1 1 1 0: churn 1/4 against GOOD."""


def text(name, content, encoding="utf-8"):
    def make(folder):
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return make


def parquet(name, select):
    def make(folder):
        path = folder / name
        duckdb.sql(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
        return path

    return make


def arrays(name, **content):
    def make(folder):
        path = folder / name
        np.savez(path, **content)
        return path

    return make


def array(name, content):
    def make(folder):
        path = folder / name
        np.save(path, content, allow_pickle=True)
        return path

    return make


def safetensors(name, **content):
    def make(folder):
        from safetensors.numpy import save_file

        save_file(content, folder / name)
        return folder / name

    return make


def zipped(name, member):
    def make(folder):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr(member, GOOD)
        return folder / name

    return make


def hard_link(folder):
    (folder / "link.csv").hardlink_to(good(folder))
    return folder / "link.csv"


def cut_short(make, keep):
    def cut(folder):
        path = make(folder)
        path.write_bytes(path.read_bytes()[:keep])
        return path

    return cut


def renamed(make, name):
    return lambda folder: make(folder).rename(folder / name)


def named(name):
    """A path that is not made."""
    return lambda folder: folder / name


good, other = text("good.csv", GOOD), text("other.csv", OTHER)
small = "SELECT * FROM (VALUES (1, 0.9, 1), (2, 0.2, 0), (3, 0.6, 0), (4, 0.4, 1)) t(id, p, y)"
three = "id,p_0,p_1,p_2\n1,0.5,0.3,0.2\n2,0.1,0.1,0.8\n"

REFUSED = {
    # files
    "no such file": ([named("none.csv")], {}, r"none\.csv: no such file"),
    "no match of a glob": ([named("none*.csv")], {}, r"no such file, and nothing matches it as a glob"),
    "empty directory": ([lambda f: f], {}, r"no prediction files in this directory; known endings"),
    "the same file twice": ([good, good], {}, r"good\.csv is named twice"),
    "a hard link to the same file": ([good, hard_link], {}, r"is named twice"),
    "unknown ending": (
        [text("a.xlsx", "x")],
        {},
        r"a\.xlsx: neither the name nor the first bytes say the format; expected one of Parquet, CSV",
    ),
    "empty CSV": ([text("a.csv", "")], {}, r"a\.csv is empty \(0 bytes\)"),
    "empty Parquet": ([text("a.parquet", "")], {}, r"a\.parquet is empty \(0 bytes\)"),
    "empty npz": ([text("a.npz", "")], {}, r"a\.npz is empty \(0 bytes\)"),
    "header only": ([text("a.csv", "id,p\n")], {}, r"a\.csv has columns but no rows"),
    "blank first line": ([text("a.csv", "\n\n1,2\n")], {}, r"the first line is blank"),
    "no header": (
        [text("a.csv", "1,0.5\n2,0.4\n")],
        {},
        r"the first line holds only numbers .*expected the names of the columns",
    ),
    "Parquet without rows": ([parquet("a.parquet", small + " WHERE id > 9")], {}, r"a\.parquet has columns but no rows"),
    "truncated Parquet": (
        [cut_short(parquet("a.parquet", small), 200)],
        {},
        r"a\.parquet: reading Parquet: No magic bytes found",
    ),
    "text called Parquet": ([text("a.parquet", GOOD)], {}, r"a\.parquet: reading Parquet: .*(No magic bytes|too small)"),
    "truncated npz": ([cut_short(arrays("a.npz", p=np.ones(500) / 2), 300)], {}, r"a\.npz: cannot be read as npz"),
    "truncated npy": ([cut_short(array("a.npy", np.ones(500)), 300)], {"by_position": True}, r"a\.npy: cannot be read as npy"),
    "truncated safetensors": ([cut_short(safetensors("a.safetensors", p=np.ones(9)), 90)], {}, r"cannot be read as safetensors"),
    "safetensors header too long": (
        [text("a.safetensors", struct.pack("<Q", 1 << 60) + b"{}")],
        {},
        r"a\.safetensors: cannot be read as safetensors",
    ),
    "truncated gzip": ([text("a.csv.gz", gzip.compress(GOOD.encode() * 99)[:40])], {}, r"a\.csv\.gz: "),
    "bzip2": ([text("a.csv.bz2", bz2.compress(GOOD.encode()))], {}, r"a\.csv\.bz2: is compressed with bzip2; decompress it"),
    "xz": (
        [text("a.jsonl.xz", lzma.compress(b'{"id": 1, "p": 0.5}'))],
        {},
        r"a\.jsonl\.xz: is compressed with xz; decompress it",
    ),
    "zip": ([zipped("a.csv.zip", "a.csv")], {}, r"a\.csv\.zip: .*'a\.csv' in it is not an array; unpack"),
    "Parquet called CSV": ([parquet("a.csv", small)], {}, r"a\.csv: its first bytes are those of parquet, expected text"),
    "JSON lines called CSV": ([text("a.csv", '{"id": 1, "p": 0.5}\n')], {}, r"a\.csv: holds JSON; expected the names"),
    "JSON array in gzip": ([text("a.json.gz", gzip.compress(b'[{"id": 1, "p": 0.5}]'))], {}, r"a\.json\.gz: holds JSON"),
    "pickled objects": (
        [array("a.npy", np.array([{"p": 1}, None], dtype=object))],
        {"by_position": True},
        r"a\.npy: holds Python objects, which are never unpickled",
    ),
    "a device": ([lambda f: Path("/dev/null")], {}, r"/dev/null is not a regular file"),
    "UTF-16": ([text("a.csv", GOOD, "utf-16")], {}, r"a\.csv: the first line holds zero bytes; this is not UTF-8"),
    "Latin-1 header": ([text("a.csv", "id,p,caf\xe9\n1,0.5,2\n", "latin-1")], {}, r"the first line is not UTF-8 text"),
    "mixed encodings": ([text("a.csv", b"id,p\nna\xc3\xafve,0.5\nna\xefve,0.5\n")], {}, r"a\.csv: reading: .*not utf-8"),
    "ragged row": (
        [text("a.csv", "id,p\n1,0.5\n2,0.5,7\n")],
        {},
        r"a\.csv: reading: .*Line: 3.*Expected Number of Columns: 2 Found: 3",
    ),
    "short row": ([text("a.csv", "id,p\n1,0.5\n2\n")], {}, r"a\.csv: reading: .*Line: 3.*Expected Number of Columns: 2 Found: 1"),
    "broken JSON": ([text("a.jsonl", '{"id": 1, "p": 0.5}\n{"id": 2, "p": \n')], {}, r"a\.jsonl: reading JSON lines: .*JSON"),
    "JSON key twice": ([text("a.jsonl", '{"id": 1, "id": 2, "p": 0.5}\n')], {}, r"a\.jsonl: reading: .*duplicate key \"id\""),
    "JSON array": ([text("a.jsonl", '[{"id": 1, "p": 0.5}]\n')], {}, r"a\.jsonl: "),
    "JSON ids of two types": (
        [text("a.jsonl", '{"id": 7, "p": 0.5}\n{"id": "7", "p": 0.5}\n')],
        {},
        r"id column 'id' has type JSON",
    ),
    # columns
    "duplicate columns": ([text("a.csv", "id,p,p\n1,0.5,0.5\n")], {}, r"a\.csv: 2 columns are named 'p'"),
    "columns alike but for case": (
        [parquet("a.parquet", "SELECT 1 AS id, 0.5 AS p"), text("b.csv", "id,p,P\n1,0.5,0.5\n")],
        {},
        r"b\.csv: the columns 'p' and 'P' differ only in case",
    ),
    "no predictions": (
        [text("a.csv", "id,age\n1,30\n")],
        {},
        r"it is not clear which columns hold the predictions: none has a usual name; pass --probs.*id, age",
    ),
    "two candidates": ([text("a.csv", "id,p,score\n1,0.5,0.5\n")], {}, r"several could hold them \(p, score\); pass --probs"),
    "a column that is not there": ([good], {"probs": "q"}, r"no column 'q' \(named by --probs\); the columns are id, p, y"),
    "a label that is not there": ([good], {"label": "z"}, r"no column 'z' \(named by --label\)"),
    "a group that is not there": ([good], {"by": ["z"]}, r"no column 'z' \(named by --by\)"),
    "a weight that is not there": ([good], {"weight": "z"}, r"no column 'z' \(named by --weight\)"),
    "no id": ([text("a.csv", "p,y\n0.5,1\n")], {}, r"pass --id, or --by-position"),
    "two ids": ([text("a.csv", "id,uid,p\n1,2,0.5\n")], {}, r"several columns could be the id \(id, uid\); pass --id"),
    "gap in the classes": ([text("a.csv", "id,p_0,p_2\n1,0.5,0.5\n")], {}, r"columns p_0 … p_2 lack p_1"),
    "classes from one": ([text("a.csv", "id,p_1,p_2\n1,0.5,0.5\n")], {}, r"columns p_1 … p_2 lack p_0; classes count from 0"),
    "logits not told": ([text("a.csv", "id,logit_0,logit_1\n1,0.5,-3\n")], {}, r"logit looks like logits; pass --logits"),
    "K = 1": (
        [text("a.jsonl", '{"id": 1, "p": [1.0]}\n')],
        {},
        r"the list 'p' has 1 entries in its first row; expected .*two or more classes",
    ),
    "three axes": (
        [array("a.npy", np.ones((2, 3, 4)) / 4)],
        {"by_position": True},
        r"shape \(2, 3, 4\), expected \(examples, classes\): a file holds one replica",
    ),
    "arrays of different length": (
        [arrays("a.npz", probs=np.ones((4, 2)) / 2, y=np.zeros(3, int))],
        {"by_position": True},
        r"array 'y' has 3 entries and 'probs_0' has 4",
    ),
    "complex numbers": ([array("a.npy", np.ones((2, 2), complex))], {"by_position": True}, r"has dtype complex128"),
    "text for probabilities": (
        [parquet("a.parquet", "SELECT 1 AS id, 'x' AS p_0, 'z' AS p_1")],
        {},
        r"column 'p_0' has type VARCHAR, expected numbers",
    ),
    "a struct for a prediction": ([parquet("a.parquet", "SELECT 1 AS id, {'a': 1} AS p")], {}, r"column 'p' has type STRUCT"),
    "a nested list": (
        [parquet("a.parquet", "SELECT 1 AS id, [[0.5], [0.5]] AS p")],
        {"probs": "p"},
        r"column 'p' has type .*expected a list of numbers",
    ),
    # ids
    "ids that differ in type": (
        [parquet("a.parquet", "SELECT 7 AS id, 0.5 AS p"), parquet("b.parquet", "SELECT '7' AS id, 0.5 AS p")],
        {},
        r"ids differ in type: .*a\.parquet has INTEGER in 'id', .*b\.parquet has VARCHAR in 'id'; 7 and '7' are different ids",
    ),
    "007 against 7": (
        [text("a.csv", "id,p\n007,0.5\n"), parquet("b.parquet", "SELECT 7 AS id, 0.5 AS p")],
        {},
        r"ids differ in type",
    ),
    "ids in floating point": (
        [parquet("a.parquet", "SELECT 7.5::DOUBLE AS id, 0.5 AS p")],
        {},
        r"id column 'id' has type DOUBLE, which does not identify rows exactly",
    ),
    "missing id": ([text("a.csv", "id,p\n1,0.5\n,0.4\n")], {}, r"1 of 2 rows have no id \(first: row 1: NULL\)"),
    "duplicated ids, same order": (
        [text("a.csv", "id,p\n1,0.5\n2,0.4\n2,0.3\n"), text("b.csv", "id,p\n1,0.5\n2,0.4\n2,0.3\n")],
        {},
        r"a\.csv: 1 ids are on more than one of its 3 rows \(first: 2\); an id must .*--cluster.*--draws COLUMN.*--on-missing drop",
    ),
    "duplicated ids, joined": (
        [good, text("b.csv", "id,p\n4,0.5\n3,0.5\n2,0.4\n1,0.3\n1,0.2\n")],
        {},
        r"b\.csv: 1 ids are on more than one of its 5 rows \(first: 1\)",
    ),
    "duplicates that hide a missing id": (
        [text("a.csv", "id,p\n1,0.5\n1,0.4\n2,0.3\n3,0.3\n"), text("b.csv", "id,p\n1,0.5\n1,0.4\n4,0.3\n5,0.3\n")],
        {},
        r"a\.csv: 1 ids are on more than one of its 4 rows",
    ),
    "missing ids": (
        [good, text("b.csv", "id,p\n3,0.6\n1,0.5\n")],
        {},
        r"2 of 4 ids of .*good\.csv are missing from .*b\.csv \(first: 2, 4\)\. Pass --on-missing drop to compare the 2 rows",
    ),
    "extra ids": (
        [good, text("b.csv", "id,p\n" + "".join(f"{i},0.5\n" for i in range(1, 12)))],
        {},
        r"7 of 11 ids of .*b\.csv are extra, not in .*good\.csv \(first: 5, 6, 7, 8, 9\)",
    ),
    "no shared id": ([good, text("b.csv", "id,p\nx,0.5\n")], {}, r"They share no id: choose another --id"),
    "ids with blanks": (
        [good, text("b.csv", OTHER.replace("\n1,", "\n1 ,"))],
        {},
        r"'1' and '1 ' differ only in how they are written",
    ),
    "a workbook": ([zipped("a.xlsx", "[Content_Types].xml")], {}, r"a\.xlsx: is a workbook; save its sheet as CSV"),
    "no shared id, dropped": ([good, text("b.csv", "id,p\n9,0.5\n")], {"on_missing": "drop"}, r"no id is in all 2 files"),
    "different lengths by position": (
        [good, text("b.csv", "p\n0.5\n")],
        {"by_position": True},
        r"cannot be matched by position: .*good\.csv has 4, .*b\.csv has 1",
    ),
    "id and by position": ([good], {"id": "id", "by_position": True}, r"--id and --by-position exclude each other"),
    # predictions
    "not numbers": (
        [text("a.csv", "id,p\n1,0.5\n2,abc\n3,0.1\n")],
        {"on_missing": "drop"},
        r"a\.csv: 1 of 3 rows have no number in 'p' \(first: row 1: 'abc'\)",
    ),
    "missing probability": (
        [parquet("a.parquet", "SELECT 1 AS id, NULL::DOUBLE AS p")],
        {},
        r"1 of 1 rows have a probability that is missing",
    ),
    "NaN": (
        [text("a.csv", "id,p\n1,0.5\n2,nan\n")],
        {},
        r"1 of 2 rows have a probability that is NaN or infinite \(first: row 1, id 2: nan\)",
    ),
    "NaN in Parquet": (
        [parquet("a.parquet", "SELECT i AS id, CASE WHEN i = 3 THEN 'nan'::FLOAT ELSE 0.5 END AS p FROM range(9) t(i)")],
        {},
        r"1 of 9 rows have a probability that is NaN or infinite \(first: row 3, id 3: nan\)",
    ),
    "infinity": ([text("a.csv", "id,p\n1,inf\n")], {}, r"1 of 1 rows have a probability that is NaN or infinite"),
    "score above one": (
        [text("a.csv", "id,p\n1,0.5\n2,1.5\n3,-2\n")],
        {},
        r"2 of 3 rows have a score in 'p' outside \[0, 1\] \(first: row 1, id 2: 1\.5\); pass --logits .* --regression",
    ),
    "negative probability": (
        [text("a.csv", "id,p_0,p_1\n1,1.5,-0.5\n")],
        {},
        r"1 of 1 rows have a negative probability \(first: row 0, id 1: 1\.5, -0\.5\); pass --logits",
    ),
    "sum is not one": (
        [text("a.csv", "id,p_0,p_1\n1,0.5,0.5\n2,0.5,0.4\n")],
        {},
        r"1 of 2 rows have probabilities that do not sum to 1 \(first: row 1, id 2: sum 0\.9\)",
    ),
    "lists of different length": (
        [text("a.jsonl", '{"id": 1, "p": [0.5, 0.5]}\n{"id": 2, "p": [1.0]}\n')],
        {},
        r"1 of 2 rows do not have 2 probabilities, as the first row has \(first: row 1, id 2: 1 entries\)",
    ),
    "null in a list": (
        [text("a.jsonl", '{"id": 1, "p": [0.5, 0.5]}\n{"id": 2, "p": [1.0, null]}\n')],
        {},
        r"1 of 2 rows have a missing probability",
    ),
    "different K": (
        [text("a.csv", three), text("b.csv", "id,p_0,p_1\n1,0.5,0.5\n2,0.5,0.5\n")],
        {},
        r"a\.csv has 3 classes .*b\.csv 2",
    ),
    "NaN logits": (
        [text("a.csv", "id,logit_0,logit_1\n1,nan,1\n")],
        {"logits": True},
        r"1 of 1 rows have a logit that is NaN or infinite",
    ),
    "labels against probabilities": (
        [good, text("b.csv", "id,pred\n1,cat\n2,dog\n3,cat\n4,cat\n")],
        {},
        r"holds probabilities .* predicted labels .*pass --probs",
    ),
    "negative predicted label": (
        [text("a.csv", "id,pred\n1,-1\n2,1\n")],
        {},
        r"1 of 2 rows have a negative predicted label \(first: row 0, id 1: -1\)",
    ),
    # labels, weights, maps
    "label out of range": (
        [text("a.csv", "id,p,y\n1,0.5,1\n2,0.5,2\n")],
        {},
        r"1 of 2 rows have a label in 'y' that is not one of the classes 0 … 1 \(first: row 1, id 2: 2\)",
    ),
    "fractional label": ([text("a.csv", "id,p,y\n1,0.5,0.5\n")], {}, r"have a label in 'y' that is not one of the classes"),
    "labels that differ between files": (
        [good, text("b.csv", OTHER.replace("2,0.7,0", "2,0.7,1"))],
        {},
        r"b\.csv: 1 of 4 rows have another label in 'y' than in .*good\.csv",
    ),
    "names for too many classes": (
        [text("a.csv", "id,p,y\n1,0.5,a\n2,0.5,b\n3,0.5,c\n")],
        {},
        r"labels in 'y' are text with 3 distinct values \(a, b, c\) and 'p' is a score, which is for two",
    ),
    "different label maps": (
        [parquet("a.parquet", "SELECT 1 AS id, 1 AS pred"), parquet("b.parquet", "SELECT 1 AS id, 'cat' AS pred")],
        {},
        r"different label maps: .*b\.parquet has text in 'pred' and .*a\.parquet has INTEGER in 'pred'",
    ),
    "different names of classes": (
        [text("a.csv", "id,p_cat,p_dog\n1,0.5,0.5\n"), text("b.csv", "id,p_cat,p_fox\n1,0.5,0.5\n")],
        {},
        r"different label maps: .*a\.csv has the classes cat, dog and .*b\.csv has cat, fox",
    ),
    "an unknown name": (
        [text("a.csv", "id,p_cat,p_dog,y\n1,0.5,0.5,cat\n2,0.5,0.5,cow\n")],
        {},
        r"1 of 2 rows have a label in 'y' that is not one of the classes",
    ),
    "a class named twice": ([text("a.csv", three)], {"classes": ["a", "b", "a"]}, r"a class name is given twice"),
    "too few names": ([text("a.csv", three)], {"classes": ["a", "b"]}, r"2 class names were given for 3 classes"),
    "named label outside": (
        [text("a.csv", "id,p_a,p_b,y\n1,0.5,0.5,c\n")],
        {},
        r"that is not one of the classes \(first: row 0, id 1: 'c'; the classes are a, b\)",
    ),
    "text among weights": ([text("a.csv", "id,p,w\n1,0.5,x\n")], {"weight": "w"}, r"no number in 'w' \(first: row 0: 'x'\)"),
    "minus zero is not zero": ([good, text("b.csv", GOOD.replace("\n1,", "\n-0,"))], {}, r"extra, .* \(first: '-0'\)"),
    "negative weight": (
        [text("a.csv", "id,p,w\n1,0.5,1\n2,0.5,-1\n")],
        {"weight": "w"},
        r"1 of 2 rows have a weight in 'w' that is missing, negative or not finite \(first: row 1, id 2: -1\.0\)",
    ),
    "all weights zero": ([text("a.csv", "id,p,w\n1,0.5,0\n")], {"weight": "w"}, r"all weights in 'w' are zero"),
    # options
    "memory in no unit": ([good], {"memory": "2 apples"}, r"memory: got '2 apples', expected a size such as '2GB'"),
    "memory too small": ([good], {"memory": "1MB"}, r"expected at least 64,000,000"),
    "unknown on_missing": ([good], {"on_missing": "ignore"}, r"on_missing: got 'ignore', expected 'refuse' or 'drop'"),
    "logits and regression": ([good], {"logits": True, "regression": True}, r"--logits and --regression exclude each other"),
    "regression of lists": ([text("a.csv", three)], {"regression": True}, r"--regression needs one column of predictions, got 3"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_is_refused(case, tmp_path):
    makers, options, message = REFUSED[case]
    paths = [make(tmp_path) for make in makers]
    with pytest.raises(TraintwiceError) as caught:  # noqa: SIM117
        with open_predictions(paths, **options) as opened:
            opened.read()
    told = str(caught.value)
    assert re.search(message, told, re.DOTALL), told
    assert "\n" not in told
    assert len(told) < 1000


def churn(folder, makers, **options):
    with open_predictions([make(folder) for make in makers], **options) as both:
        votes = both.read().votes
        assert both.sums({"flips": "v0 <> v1"})["flips"] == (votes[0] != votes[1]).sum()
        return (votes[0] != votes[1]).mean()


quoted = 'id,"p""; DROP TABLE x; --",y\n1,0.8,1\n2,0.7,0\n3,0.6,0\n4,0.1,1\n'
huge = 2**53
TAKEN = {
    "one row": ([text("a.csv", "id,p\n1,0.9\n"), text("b.csv", "id,p\n1,0.1\n")], {}, 1.0),
    "one class in the labels": ([text("a.csv", "id,p,y\n1,0.9,1\n2,0.8,1\n"), text("b.csv", "id,p\n2,0.1\n1,0.8\n")], {}, 0.5),
    "all ties go to the lowest class": ([text("a.csv", "id,p\n1,0.5\n2,0.5\n"), text("b.csv", "id,p\n1,0.4\n2,0.6\n")], {}, 0.5),
    "a path with spaces, quotes and glob characters": ([text("it's [1] *?{a,b}.csv", GOOD), other], {}, 0.25),
    "a Parquet path with them": ([renamed(parquet("a.parquet", small), "it's [1] *?.parquet"), other], {}, 0.25),
    "byte order mark": ([text("a.csv", "\ufeff" + GOOD), other], {}, 0.25),
    "carriage returns": ([text("a.csv", GOOD.replace("\n", "\r\n")), other], {}, 0.25),
    "columns without a name": (
        [
            text(
                "a.csv",
                GOOD.replace("id,p,y", ",id,p,y,")
                .replace("\n1", "\n0,1")
                .replace("\n2", "\n1,2")
                .replace("\n3", "\n2,3")
                .replace("\n4", "\n3,4")
                .replace("y,\n", "y\n"),
            ),
            other,
        ],
        {},
        0.25,
    ),
    "semicolons": ([text("a.csv", GOOD.replace(",", ";")), other], {}, 0.25),
    "tabs": ([text("a.tsv", GOOD.replace(",", "\t")), other], {}, 0.25),
    "gzip": ([text("a.csv.gz", gzip.compress(GOOD.encode())), other], {}, 0.25),
    "upper-case ending": ([text("A.CSV", GOOD), other], {}, 0.25),
    "ids beyond 2^53": (
        [
            text("a.csv", f"id,p\n{huge},0.9\n{huge + 1},0.1\n"),
            parquet("b.parquet", f"SELECT {huge + 1} AS id, 0.2 AS p UNION ALL SELECT {huge}, 0.3"),
        ],
        {},
        0.5,
    ),
    "ids beyond 2^64": (
        [text("a.csv", f"id,p\n{2**70},0.9\n{2**70 + 1},0.1\n"), text("b.csv", f"id,p\n{2**70 + 1},0.1\n{2**70},0.1\n")],
        {},
        0.5,
    ),
    "unsigned ids beyond 2^63": (
        [
            parquet("a.parquet", f"SELECT {2**64 - 1}::UBIGINT AS id, 0.9 AS p"),
            parquet("b.parquet", f"SELECT {2**64 - 1}::HUGEINT::UBIGINT AS id, 0.1 AS p"),
        ],
        {},
        1.0,
    ),
    "p_10 before p_2": (
        [
            text(
                "a.csv",
                "id,"
                + ",".join(f"p_{k}" for k in sorted(range(11), key=str))
                + "\n1,"
                + ",".join("0.9" if k == 10 else "0.01" for k in sorted(range(11), key=str))
                + "\n",
            ),
            arrays("b.npz", id=np.array([1]), p=np.eye(11)[[10]]),
        ],
        {},
        0.0,
    ),
    "float16": (
        [
            arrays("a.npz", id=np.arange(3), probs=np.array([[0.9, 0.1], [0.3, 0.7], [1 / 3, 2 / 3]], np.float16)),
            text("b.csv", "id,p\n0,0.4\n1,0.2\n2,0.9\n"),
        ],
        {},
        1 / 3,
    ),
    "denormals": ([text("a.csv", "id,p\n1,5e-324\n2,0.9\n"), text("b.csv", "id,p\n1,0\n2,0.1\n")], {}, 0.5),
    "exact zeros and ones": ([text("a.csv", "id,p\n1,0\n2,1\n"), text("b.csv", "id,p\n1,0.0\n2,0\n")], {}, 0.5),
    "big-endian arrays": (
        [arrays("a.npz", id=np.arange(2, dtype=">i8"), p=np.array([0.9, 0.1], ">f4")), text("b.csv", "id,p\n0,0.4\n1,0.2\n")],
        {},
        0.5,
    ),
    "column order of Fortran": (
        [arrays("a.npz", id=np.arange(2), p=np.asfortranarray([[0.9, 0.1], [0.2, 0.8]])), text("b.csv", "id,p\n0,0.4\n1,0.2\n")],
        {},
        0.5,
    ),
    "SQL in a column name": (
        [text("a.csv", quoted), text("b.csv", quoted.replace("0.7", "0.2"))],
        {"probs": 'p"; DROP TABLE x; --'},
        0.25,
    ),
    "a column called file_row_number": (
        [
            parquet(
                "a.parquet",
                small.replace("t(id, p, y)", "t(file_row_number, p, y)").replace("SELECT *", "SELECT *, file_row_number AS id"),
            ),
            other,
        ],
        {},
        0.25,
    ),
    "a column called r": ([text("a.csv", GOOD.replace("id,p,y", "id,p,r")), other], {"by": "r"}, 0.25),
    "whole numbers as scores": ([text("a.csv", "id,p\n1,1\n2,0\n"), text("b.csv", "id,p\n1,0.2\n2,0.3\n")], {}, 0.5),
    "numbers and text as labels": ([text("a.csv", "id,pred\n1,7\n2,8\n"), text("b.csv", "id,pred\n1,7\n2,cat\n")], {}, 0.5),
    "labels missing in some rows": ([text("a.csv", "id,p,y\n1,0.9,1\n2,0.9,\n"), text("b.csv", "id,p\n1,0.1\n2,0.8\n")], {}, 0.5),
    "a cell of ten million characters": (
        [text("a.csv", f"id,p\n{'a' * 10_000_000},0.9\nb,0.1\n"), text("b.csv", f"id,p\nb,0.6\n{'a' * 10_000_000},0.9\n")],
        {},
        0.5,
    ),
    "a list of ids that are dates": ([text("a.csv", "id,p\n2024-01-01,0.9\n"), text("b.csv", "id,p\n2024-01-01,0.1\n")], {}, 1.0),
    "logits that overflow": (
        [
            text("a.csv", "id,logit_0,logit_1\n1,1e300,-1e300\n2,0,800\n"),
            text("b.csv", "id,logit_0,logit_1\n1,-900,900\n2,0,1\n"),
        ],
        {"logits": True},
        0.5,
    ),
    "missing and extra ids dropped": ([good, text("b.csv", "id,p\n9,0.1\n2,0.9\n1,0.9\n")], {"on_missing": "drop"}, 0.5),
    "duplicated ids dropped": ([good, text("b.csv", "id,p\n3,0.9\n2,0.9\n1,0.9\n4,0.4\n4,0.4\n")], {"on_missing": "drop"}, 1 / 3),
}


@pytest.mark.parametrize("case", TAKEN)
def test_gives_the_right_number(case, tmp_path):
    makers, options, expected = TAKEN[case]
    assert math.isclose(churn(tmp_path, makers, **options), expected)


def test_a_file_replaced_while_it_is_read(tmp_path):
    old = parquet("a.parquet", small)(tmp_path)
    with open_predictions([old, other(tmp_path)]) as both:
        replacement = parquet("b.parquet", small.replace("0.9", "0.1"))(tmp_path)
        replacement.replace(old)
        with pytest.raises(BadInput, match=r"a\.parquet was replaced or changed while it was read"):
            both.read()


def test_a_file_changed_between_batches(tmp_path):
    old = parquet("a.parquet", small)(tmp_path)
    with open_predictions([old, other(tmp_path)]) as both:
        assert both.summary.rows == 4
        batches = both.batches()
        os.utime(old, (1, 1))
        with pytest.raises(BadInput, match="was replaced or changed"):
            list(batches)


def test_the_temporary_folder_goes(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "spill"))
    (tmp_path / "spill").mkdir()
    with open_predictions([good(tmp_path), other(tmp_path)]) as both:
        both.read()
        assert len(list((tmp_path / "spill").iterdir())) == 1
    with pytest.raises(BadInput):
        open_predictions([good(tmp_path)], label="none")
    assert list((tmp_path / "spill").iterdir()) == []


CANARY = "zebra"
LEAKS = {
    "ragged row": f"id,p\n1,0.5\n{CANARY},0.5,7\n",
    "unclosed quote": f'id,p\n1,0.5\n"{CANARY},0.5\n',
    "quote inside": f'id,p\n1,0.5\n{CANARY},"0.5"x\n',
    "not UTF-8": b"id,p\n1,0.5\n" + CANARY.encode() + b"\xef,0.5\n",
    "duplicated id": f"id,p\n{CANARY},0.5\n{CANARY},0.5\n",
    "missing id": f"id,p\n1,0.5\n{CANARY},0.5\n",
    "no number": f"id,p\n1,0.5\n{CANARY},high\n",
    "score outside": f"id,p\n1,0.5\n{CANARY},7\n",
    "text labels": f"id,p,y\n1,0.5,{CANARY}\n2,0.5,b\n3,0.5,c\n",
    "too many labels": f"id,p_a,p_b,y\n1,0.5,0.5,{CANARY}\n",
}


@pytest.mark.parametrize("case", [*LEAKS, "JSON", "JSON types", "Parquet"])
def test_no_cell_is_quoted_where_rows_are_kept_out(case, tmp_path):
    if case.startswith("JSON"):
        line = f'{{"id": "{CANARY}", "p": ' + ("\n" if case == "JSON" else '"high"}\n')
        bad = text("bad.jsonl", '{"id": "a", "p": 0.5}\n' + line)(tmp_path)
    elif case == "Parquet":
        bad = parquet("bad.parquet", f"SELECT * FROM (VALUES ('{CANARY}', 'nan'::DOUBLE)) t(id, p)")(tmp_path)
    else:
        bad = text("bad.csv", LEAKS[case])(tmp_path)
    old = text("old.csv", "id,p\n1,0.5\n2,0.5\n")(tmp_path)
    with pytest.raises(BadInput) as told:
        diff(old, bad, no_rows=True)
    assert CANARY not in str(told.value)
    assert "high" not in str(told.value)
    assert "bad." in str(told.value) or "pass --positive" in str(told.value), told.value
    with pytest.raises(BadInput):
        diff(old, bad)


def test_there_are_enough_cases():
    assert len(REFUSED) + len(TAKEN) >= 60
