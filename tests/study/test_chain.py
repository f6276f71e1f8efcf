"""Chains of daily retrains, against trainings and measures by hand."""

import signal
from dataclasses import replace

import numpy as np
import pytest
import tomli_w

from interrupted import interrupted
from traintwice.data import Days, Digits, Table
from traintwice.engine import train
from traintwice.errors import BadInput, BadSpec, StoreError
from traintwice.methods import ensemble, logged_distillation
from traintwice.nets import MLP
from traintwice.recipes import Earlier, Recipe
from traintwice.report import write_chain
from traintwice.report._sheet_pages import cards_of_chain
from traintwice.served import Stored
from traintwice.study import Chain, Store, chain, prepare_chain

BASE = Recipe(network=MLP((8,)), epochs=2, batch_size=32)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Ten days of thirty digits each."""
    digits = Digits(train=300, validation=20, test=20).load().train
    header = ",".join(["day", *[f"x{k}" for k in range(64)], "y"])
    lines = [
        ",".join([f"2024-03-{1 + n // 30:02d}", *map(str, x.tolist()), str(y)])
        for n, (x, y) in enumerate(zip(digits.inputs, digits.labels, strict=True))
    ]
    file = tmp_path_factory.mktemp("days") / "digits.csv"
    file.write_text("\n".join([header, *lines]))
    return Table(str(file), "y", train=200, validation=50, test=50, date="day", most_values=20)


@pytest.fixture(scope="module")
def plan(source):
    return Chain("daily", source, BASE, days=2, history=5, window=4, test_days=2, replicas=3)


@pytest.fixture(scope="module")
def done(plan, tmp_path_factory):
    """A chain that SIGKILL ended between two days, and that was run again; all tests below are about its numbers."""
    folder = tmp_path_factory.mktemp("chain")
    (folder / "chain.toml").write_text(tomli_w.dumps(plan.to_dict()))
    options = ["chain", folder / "chain.toml", "--no-report", "--jobs", "1"]
    status = interrupted(options, folder / "runs", signal.SIGKILL, pattern="replicas/*/*[0-9].json", records=4)
    store = Store(folder / "runs")
    assert status == -signal.SIGKILL
    assert 0 < len(prepare_chain(plan, store).plan.missing) <= 21 - 4
    return store, chain(plan, store=store)


def test_each_day_trains_on_the_dates_before_it(source):
    for day, dates in ((0, range(2, 6)), (1, range(3, 7)), (2, range(4, 8))):
        data = Days(source, day, days=2, history=5, window=4, test_days=2).load()
        assert sorted(set(data.train.dates)) == [f"2024-03-{d:02d}" for d in dates]
        assert set(data.validation.dates) == {f"2024-03-{max(dates) + 1:02d}"}
        assert sorted(set(data.test.dates)) == ["2024-03-08", "2024-03-09"]
        assert len(data.train) == 120
        assert not set(data.ids_of("train")) & set(data.ids_of("test"))
    assert len(Days(source, 2, days=2, history=5, test_days=2).load().train) == 210
    assert len(Days(source, 2, days=2, history=5, test_days=2, test=20).load().test) == 20


def test_the_trainings_are_those_of_the_engine(plan, done):
    store, _ = done
    keys = prepare_chain(plan, store).keys
    days = [plan.day(t).load() for t in range(3)]
    first = train(BASE, days[0], seed=0, replica=1)
    assert np.allclose(store.load(keys["warm"][0], 1)["test"], first.outputs["test"], atol=1e-5)
    warm = BASE.change(start=Earlier(BASE))
    second = train(warm, days[1], seed=1, replica=1, start=first.weights)
    assert np.allclose(store.load(keys["warm"][1], 1)["test"], second.outputs["test"], atol=1e-4)
    logged = BASE.change(method=logged_distillation(0.5), teacher=Stored(keys["logged"][0]))
    taught = train(logged, days[1], seed=1, replica=1, teacher=first.weights)
    assert np.allclose(store.load(keys["logged"][1], 1)["test"], taught.outputs["test"], atol=1e-4)


def test_the_measures_are_those_of_loops(plan, done):
    store, found = done
    keys, labels = prepare_chain(plan, store).keys, [plan.day(t).load().validation.labels for t in range(3)]
    for way in plan.ways:
        votes = np.array([[store.load(key, m)["test"][0].argmax(-1) for m in range(3)] for key in keys[way]])
        daily = [[np.mean(votes[t, m] != votes[t - 1, m]) for m in range(3)] for t in (1, 2)]
        row = found[way]
        assert row.churn.value == pytest.approx(np.mean(daily))
        assert row.days[2].churn.value == pytest.approx(np.mean(daily[1]))
        assert row.drift.value == pytest.approx(np.mean([np.mean(votes[2, m] != votes[0, m]) for m in range(3)]))
        pairs = [np.mean(votes[2, a] != votes[2, b]) for a, b in ((0, 1), (0, 2), (1, 2))]
        assert row.floor.value == pytest.approx(np.mean(pairs))
        served = [store.load(keys[way][t], m)["validation"][0].argmax(-1) == labels[t] for t in (1, 2) for m in range(3)]
        assert row.accuracy.value == pytest.approx(np.mean(served))
    assert found["warm"].churn.value < found["fresh"].churn.value
    assert found["warm"].change.estimate.value == pytest.approx(found["warm"].churn.value - found["fresh"].churn.value)
    assert found["fresh"].days[0] == found["warm"].days[0]
    assert "warm, day 2" in str(found)
    assert found.to_dict()["ways"][1]["way"] == "warm"


def test_a_chain_continues_and_grows(plan, done, tmp_path):
    store, found = done
    assert not prepare_chain(plan, store).plan.missing
    assert chain(plan, store=store).to_dict() == found.to_dict()
    more = prepare_chain(replace(plan, replicas=4), store).plan.missing
    assert len(more) == 7
    assert {task.replica for task in more} == {3}
    (store.folder(prepare_chain(plan, store).keys["warm"][1]) / "0001.json").unlink()
    assert [task.row for task in prepare_chain(plan, store).plan.missing] == ["warm, day 1"]
    assert chain(plan, store=store).to_dict() == found.to_dict()
    with pytest.raises(StoreError, match="chain named 'daily' with other settings"):
        prepare_chain(replace(plan, share=0.25), store)


def test_the_file(plan):
    assert Chain.from_dict(plan.to_dict()) == plan


def test_a_chain_that_cannot_be(source, tmp_path):
    for settings, message in (
        ({"ways": ("often",)}, "ways: got"),
        ({"recipe": BASE.change(method=ensemble(2))}, '"logged" replaces'),
        ({"days": 0}, r"Days\.days: got 0"),
        ({"share": 1.5}, "share, days: got 1.5"),
        ({"replicas": 1}, "replicas: got 1"),
    ):
        with pytest.raises(BadSpec, match=message):
            Chain("daily", **{"data": source, "recipe": BASE, **settings})
    with pytest.raises(BadInput, match="has 10 dates, and history 7, days 7 and test_days 7 need 21"):
        chain(Chain("daily", source, BASE), store=tmp_path)
    with pytest.raises(BadInput, match="rows have no dates"):
        chain(Chain("daily", Digits(), BASE), store=tmp_path)
    with pytest.raises(BadSpec, match="rows: a chain has one recipe"):
        Chain.from_dict({"name": "daily", "data": {"type": "Digits"}, "rows": {}})
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(BadSpec, match=r"bad\.toml: not a TOML file"):
        Chain.read(tmp_path / "bad.toml")


def test_the_page_has_a_card_for_each_way(done, tmp_path):
    _, found = done
    cards = cards_of_chain(found)
    assert [c.title for c in cards] == [w.way for w in found.ways]
    assert cards[0].answer == ""
    for card, way in zip(cards[1:], found.ways[1:], strict=True):
        lower = way.change.estimate.value < 0
        expected = ("significantly lower" if lower else "significantly higher") if way.change.significant else "inconclusive"
        assert card.answer == expected
    page = write_chain(found, tmp_path).read_text()
    assert page.count('<li class="card') == len(cards)
    assert all(f"<b>{c.number}</b> {c.interval}".replace(" %", "\u00a0%") in page for c in cards)
    assert "prefers-color-scheme: dark" in page
