"""The training loss of a study: as values, as a table, and drawn."""

from dataclasses import replace

from traintwice.report._curves import training_loss
from traintwice.report._page import page
from traintwice.study import Results, curve_table


def with_curves(results):
    """Replica m of a row loses 1 + m, then 0.5 + m, in two points of the training; the last row is of an earlier version."""
    rows = dict(results.rows)
    for name in list(rows)[:-1]:
        records = tuple({**record, "loss": [1.0 + m, 0.5 + m]} for m, record in enumerate(rows[name].records))
        rows[name] = replace(rows[name], records=records)
    return Results(results.experiment, results.data, rows)


def test_values_and_table(study):
    results = with_curves(study({"baseline": 0.3, "calm": 0.1, "older": 0.1}, replicas=3, examples=20))
    epochs = results.baseline.recipe.epochs
    assert results.curves()["calm"] == {"epochs": [epochs / 2, epochs], "loss": {m: [1.0 + m, 0.5 + m] for m in range(3)}}
    assert list(results.curves()) == list(results.to_dict()["curves"]) == ["baseline", "calm"]
    assert results.to_dict()["curves"]["calm"]["loss"]["2"] == [3.0, 2.5]
    (first, _) = curve_table(results).rows
    assert first.cells == {"start": 2.0, "half": 1.5, "end": 1.5, "least": 0.5, "most": 2.5}
    assert curve_table(study({"baseline": 0.3}, examples=20)) is None


def test_they_are_drawn_where_there_are_some(study, parsed, svg):
    plain = study({"baseline": 0.3, "calm": 0.1, "older": 0.1}, replicas=3, examples=20)
    results = with_curves(plain)
    figure = training_loss(results)
    assert "calm: 0.5 to 2.5" in figure.alt
    for spec in (figure.wide, figure.narrow):
        assert "calm" in svg(spec)
        assert len(spec["datasets"]["lines"]) == 2 * 3 * 2
    assert training_loss(plain) is None
    assert any(e.get("href") == "#training" for e in parsed(page(results)).all("a"))
    assert not any(e.get("href") == "#training" for e in parsed(page(plain)).all("a"))


def test_many_rows_are_folded(fifteen):
    made = page(with_curves(fifteen))
    assert 'data-chart="curves"' in made
    assert 'data-chart="curves-rest"' in made
