from traintwice import metrics
from traintwice.report._facts import READING, groups, reading
from traintwice.study import MATCHED, MEASURES


def test_every_measure_has_a_line_on_how_to_read_it(study):
    table = study({"baseline": 0.3, "other": 0.1}).table(matched=MATCHED)
    explained = dict(reading(table))
    for metric in MEASURES:
        assert explained[metric.definition.title].endswith(".")
    assert {"T", "(T)", "train", "serve"} <= set(explained)
    assert set(READING) <= {m.definition.name for m in metrics.ALL} | {"temperature", "train", "serve"}


def test_groups_hold_every_column_once(study):
    table = study({"baseline": 0.3, "other": 0.1}).table(matched=MATCHED)
    lines = [line for group in groups(table) for line in group.lines]
    assert sorted(line.title for line in lines) == sorted(column.title for column in table.columns)
    by_title = {line.title: line.cells for line in lines}
    for at, column in enumerate(table.columns):
        assert by_title[column.title] == tuple(cells[at] for cells in table.strings())


def test_soft_measures_stand_under_churn_and_accuracy(study):
    first, soft, *_ = groups(study({"baseline": 0.3}).table(matched=MATCHED))
    assert [line.title for line in first.lines[:2]] == ["accuracy", "churn"]
    assert "Δ₁" in [line.title for line in soft.lines]
