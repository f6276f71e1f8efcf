"""Rows that cannot be compared are refused in the words that files are refused with."""

import pytest
from models import database, text_of

from traintwice import diff
from traintwice.errors import TraintwiceError
from traintwice.sums import diff_sums, read

GOOD = """
SELECT i AS id, (i % 10) / 10.0 AS p, 1 - p AS p_0, p AS p_1, i % 2 AS y, 'c' || i % 3 AS c, 1.5 AS w, i % 2 AS v FROM range(30) t(i)
"""


def other(**cells):
    """The rows of `GOOD` with other cells in the rows 4 and 7."""
    return f"SELECT * REPLACE ({', '.join(f'CASE WHEN id IN (4, 7) THEN {v} ELSE {c} END AS {c}' for c, v in cells.items())}) FROM ({GOOD})"


CASES = {
    "a missing score": (other(p="NULL"), {}),
    "NaN": (other(p="'nan'::DOUBLE"), {}),
    "infinite": (other(p="'inf'::DOUBLE"), {}),
    "above one": (other(p="1.25"), {}),
    "a label that is no class": (other(y="3"), {}),
    "a label that is no whole number": (other(y="0.5"), {}),
    "another label": (other(y="1 - y"), {}),
    "no id": (other(id="NULL"), {}),
    "missing ids": (f"{GOOD} WHERE i > 2", {}),
    "more ids": (GOOD.replace("range(30)", "range(33)"), {}),
    "other ids": (GOOD.replace("i AS id", "i + 100 AS id"), {}),
    "repeated ids": (f"{GOOD} UNION ALL {GOOD} WHERE i < 2", {}),
    "a negative weight": (other(w="-1"), {"weight": "w"}),
    "a huge weight": (other(w="1e200"), {"weight": "w"}),
    "no cluster": (other(c="NULL"), {"cluster": "c"}),
    "another cluster": (other(c="'x'"), {"cluster": "c"}),
    "a sum that is not one": (other(p_0="0.9"), {"probs": ["p_0", "p_1"]}),
    "negative": (other(p_1="-0.1"), {"probs": ["p_0", "p_1"]}),
    "no predicted label": (other(v="NULL"), {"pred": "v"}),
    "a negative predicted label": (other(v="-1"), {"pred": "v"}),
    "no rows": (f"{GOOD} WHERE false", {}),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What comparisons by sums and by files of the same tables say."""
    folder = tmp_path_factory.mktemp("tables")

    def said(case, **how):
        sql, options = CASES[case]
        kind = next((k for k in ("probs", "pred") if k in options), "score")
        predicted = options.get(kind, "p")
        shared = {"id": "id", "label": "y"} | {k: v for k, v in options.items() if k != kind}
        for name, of in (("v1", GOOD), ("v2", sql)):
            connection.execute(f"CREATE OR REPLACE TABLE {name} AS {of}")
            connection.execute(f"COPY {name} TO '{folder / name}.parquet'")
        text = text_of(columns_of="both", **{kind: predicted}, **shared)
        lines = connection.sql(text).to_arrow_table()
        found = []
        for compare in (
            lambda: diff_sums(read(lines), **how),
            lambda: diff(folder / "v1.parquet", folder / "v2.parquet", probs=predicted, no_rows=True, **shared, **how),
        ):
            try:
                found.append(compare())
            except TraintwiceError as error:
                found.append(getattr(error, "without_cells", str(error)).partition("; row contents are hidden")[0])
        return [f if not isinstance(f, str) else f.replace(f"{folder}/", "").replace(".parquet", "") for f in found]

    with database() as connection:
        yield said


@pytest.mark.parametrize("case", CASES)
def test_the_words_are_those_for_files(said, case):
    of_sums, of_files = said(case)
    assert of_sums == of_files


@pytest.mark.parametrize("case", ["a missing score", "NaN", "missing ids", "more ids", "repeated ids", "no predicted label"])
def test_rows_that_are_dropped(said, case):
    of_sums, of_files = said(case, on_missing="drop")
    assert of_sums.alignment.dropped == of_files.alignment.dropped
    assert of_sums.alignment.rows == of_files.alignment.rows
    assert of_sums["churn"].to_dict() == of_files["churn"].to_dict()


@pytest.mark.parametrize("case", ["infinite", "above one", "other ids"])
def test_what_cannot_be_dropped(said, case):
    of_sums, of_files = said(case, on_missing="drop")
    assert isinstance(of_sums, str)
    assert of_sums == of_files
