"""AD Table 3: the stream of flights by loss, λ and s."""

import re
from dataclasses import replace

import numpy as np
import pytest

from traintwice.data import Criteo, Flights
from traintwice.errors import BadInput
from traintwice.losses import Decorrelation, Difference
from traintwice.metrics import accuracy, log_loss, rank_loss, relative_delta_positive
from traintwice.presets import flights
from traintwice.study import Experiment, Store, gather, prepare
from traintwice.study._worker import train_into
from traintwice_reproduction.tables import ARTEFACTS, reproduce
from traintwice_reproduction.tables.cost import ROW_OF_A_STREAM, multiply_adds
from traintwice_reproduction.tables.guards import fourth_power, guards, pull
from traintwice_reproduction.tables.reproducing import study_of
from traintwice_reproduction.tables.side_by_side import latex

ARTEFACT = ARTEFACTS["ad.table3"]
FEW = Flights(rows=3000)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """What is left to train after `flights`, and the table, of the first flights and two replicas."""
    store, data = Store(tmp_path_factory.mktemp("table3") / "runs"), FEW.load()
    left = []

    def train(experiment):
        left.append([(task.row, task.replica) for task in prepare(experiment, data, store).missing])
        for row, replica in left[-1]:
            list(train_into(store, experiment.rows[row], FEW, data, seed=experiment.seed, replicas=[replica]))
        return gather(experiment, store, data)

    (part,) = ARTEFACT.parts("small")
    known = [recipe for recipe in flights().rows.values() if recipe in part.rows({}).values()]
    train(Experiment("flights", FEW, {str(i): recipe for i, recipe in enumerate(known)}, replicas=2))
    few = replace(ARTEFACT, parts=lambda scale: (replace(part, data=FEW),))
    reproduced = reproduce(few, replicas=2, train=train)
    return {row for row, _ in left[-1]}, reproduced


def test_lines_are_those_of_the_paper():
    for scale, share in (("small", 0.002), ("paper", 1.0)):
        (part,) = ARTEFACT.parts(scale)
        rows = list(part.rows({}).values())
        assert [recipe.method.components for recipe in rows] == [3] * 12
        assert all(recipe.fixed == ("initialisation",) and recipe.progressive is not None for recipe in rows)
        losses = [
            (term.loss, term.weight)
            for recipe in rows[1:]
            for term in recipe.method.terms
            if getattr(term.loss, "couples", False)
        ]
        kinds = [Decorrelation()] * 9 + [Decorrelation("covariance"), Difference()]
        assert [loss for loss, _ in losses] == kinds
        assert [weight for _, weight in losses] == pytest.approx([share * w for w in (0.5, 1, 5) * 3 + (1, 1)])
        assert [recipe.network.embedding_scale for recipe in rows] == [1] * 4 + [5] * 3 + [10] * 3 + [1] * 2
        assert [numbers["relative_delta_positive"] for numbers in part.printed.values()][:5] == [
            ".0650",
            ".0473",
            ".0422",
            ".0288",
            ".0452",
        ]


def test_what_flights_trained_is_not_trained_again(done):
    missing, reproduced = done
    assert missing == {
        "second moment, λ = 0.002, s = 1",
        "second moment, λ = 0.001, s = 5",
        "second moment, λ = 0.002, s = 5",
        "second moment, λ = 0.001, s = 10",
        "second moment, λ = 0.002, s = 10",
        "covariance, λ = 0.002, s = 1",
        "difference, λ = 0.002, s = 1",
    }
    (part,) = ARTEFACT.parts("small")
    assert part.data == flights().data
    assert study_of(ARTEFACT, part, "small", {}).seed == flights().seed
    assert len(reproduced.parts[0].results.rows) == 12


def test_columns_stand_in_the_papers_order(done):
    (table,) = done[1].tables
    results = done[1].parts[0].results
    assert table.header[:4] == ("AD type", "λ", "λ·⟨z²⟩²", "λ·L / CE")
    assert table.header[4:9] == ("λ of the paper", "s", "Log Loss change", "Rank Loss change", "Δʳ¹")
    assert {"Churn", "Acc"} <= set(table.header)
    assert [(*row[:2], *row[4:6]) for row in table.rows][:3] == [
        ("no AD", "0", "0", "1"),
        ("second moment", "0.001", "0.5", "1"),
        ("second moment", "0.002", "1", "1"),
    ]
    assert table.rows[0][6].ours == "–"
    row, line = list(results.rows)[3], table.rows[3]
    probs = {name: np.asarray(results[name].test.probs) for name in ("no AD", row)}
    for cell, metric in ((line[6], log_loss), (line[7], rank_loss)):
        of = {name: metric(p, results.data.test.labels) for name, p in probs.items()}
        value, *ends = map(float, re.findall(r"-?[\d.]+", cell.ours.replace("−", "-")))
        low, high = ends if len(ends) == 2 else (value - ends[0], value + ends[0])
        assert low <= 100 * (of[row] / of["no AD"] - 1) <= high
        assert low < value < high
    assert float(line[8].ours.split()[0]) == pytest.approx(relative_delta_positive(probs[row]), rel=0.05)
    assert [cell.paper for cell in line[6:9]] == ["4.660", "0.342", ".0288"]
    assert [row[6].paper for row in table.rows if "(−)" in row[6].paper] == ["(−)0.379", "(−)0.018", "(−)0.069"]
    assert any("in parentheses" in note for note in table.notes)
    assert any("3,000 examples in one pass" in note and "M = 2" in note for note in table.notes)
    assert latex(table.header[8]) == "$\\Delta$$^r$$^1$"


def test_paper_scale_says_which_file_to_get_and_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINTWICE_DATA", str(tmp_path))
    (part,) = ARTEFACT.parts("paper")
    assert part.data == Criteo()
    with pytest.raises(BadInput, match=r"Criteo/train\.txt\. Get the data of .*unpack train\.txt to this place"):
        part.data.load()


def test_the_time_of_a_stream_counts_its_rows_and_components():
    study = study_of(ARTEFACT, ARTEFACT.parts("small")[0], "small", {})
    assert multiply_adds(study, FEW.load()) > 12 * 10 * 3 * 3000 * ROW_OF_A_STREAM
    assert multiply_adds(study, replace(FEW, rows=6000).load()) == 2 * multiply_adds(study, FEW.load())


def test_a_weight_is_given_relative_to_the_logits(done):
    (table,) = done[1].tables
    (p,) = done[1].parts
    z = p.results["no AD"].logits["test"].astype(float)  # M J N 2, the first of which is 0
    fourth = (z[..., 1] ** 2).mean() ** 2
    assert fourth_power(p) == pytest.approx(fourth)
    for row, line in zip(p.results.rows, table.rows, strict=True):
        assert float(line[2]) == pytest.approx(float(line[1]) * fourth, rel=0.06)
        assert (line[3] == "–") == (row == "no AD")


def test_the_pull_of_a_term_is_its_weighted_loss_over_the_label_loss(done):
    (p,) = done[1].parts
    row = "second moment, λ = 0.01, s = 1"
    z = p.results["no AD"].logits["test"].astype(float)[..., 1]
    size, count = p.results[row].recipe.batch_size, z.shape[-1]
    labels = p.results.data.test.labels
    loss = label = 0.0
    for start in range(0, count - count % size, size):
        b, y = z[..., start : start + size], labels[start : start + size]
        for replica in b:
            moment = replica @ replica.T / size
            loss += 0.01 * ((moment**2).sum() - (np.diag(moment) ** 2).sum()) / 2
            label += np.logaddexp(0, np.where(y == 1, -replica, replica)).mean(-1).sum()
    assert pull(p, row) == pytest.approx(loss / label, rel=1e-6)


def test_a_term_that_dwarfs_the_label_loss_and_a_model_below_a_constant_are_reported(done, monkeypatch):
    (p,) = done[1].parts
    before = guards(p)
    assert not [note for note in before if "times the label loss" in note]
    assert set(before) <= set(done[1].tables[0].notes)
    literal = 500 * pull(p, "second moment, λ = 0.01, s = 1")  # λ = 5, as printed
    monkeypatch.setattr("traintwice_reproduction.tables.guards.DWARFS", 0.0)
    assert len([note for note in guards(p) if "times the label loss" in note]) == 11
    assert literal > 1
    real = p.results.estimate

    def worse(metric, row, **others):
        found = real(metric, row, **others)
        return replace(found, value=0.3, low=0.2, high=0.4) if metric is accuracy and row == "no AD" else found

    monkeypatch.setattr(p.results, "estimate", worse)
    (note,) = [note for note in guards(p) if note.startswith("no AD: accuracy")]
    assert note.startswith("no AD: accuracy 30 % is below that of a constant predictor, ")
