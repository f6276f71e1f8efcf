import json

import numpy as np
import pytest

from traintwice.engine import choose
from traintwice.errors import StoreError
from traintwice.specs import digest, identity
from traintwice.study import Store, plan
from traintwice.study._worker import train_into


@pytest.fixture
def trained(small, data, tmp_path):
    store = Store(tmp_path / "runs")
    for row in small.rows:
        store.prepare(small.key(row, data), identity(small.rows[row], data.digest, small.seed))
        list(train_into(store, small.rows[row], small.data, data, seed=small.seed, replicas=[1]))
    return store


def missing(made):
    return [(task.row, task.replica) for task in made.missing]


def test_only_what_is_missing_is_planned(small, data, trained):
    assert missing(plan(small, data, trained)) == [("baseline", 0), ("ensemble", 0), ("baseline", 2), ("ensemble", 2)]


def test_damaged_replicas_are_planned_and_named(small, data, trained):
    path = trained.folder(small.key("ensemble", data)) / "0001.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    made = plan(small, data, trained)
    assert ("ensemble", 1) in missing(made)
    assert [(d.replica, d.reason) for d in made.damaged] == [
        (1, "0001.safetensors is truncated or was changed after it was written")
    ]


def test_rows_that_train_the_same_are_trained_once(small, data, tmp_path):
    twice = small.override(['rows.logits.method={builder="ensemble", keep="mean-logit"}'])
    assert len(plan(twice, data, Store(tmp_path / "runs")).missing) == 2 * 3


def test_other_numerics_are_refused_unless_asked_for(small, data, trained):
    path = trained.folder(small.key("baseline", data)) / "0001.json"
    record = json.loads(path.read_text())
    record["numerics"]["threads"] = 2
    del record["record"], record["schema"]
    path.write_text(json.dumps({"schema": 1, **record, "record": digest(record)}))
    with pytest.raises(StoreError, match=r"replica 1 of 'baseline' was trained with other numerics \(threads 2 there, 1 here\)"):
        plan(small, data, trained)
    assert len(plan(small, data, trained, mix_numerics=True).missing) == 4


def test_records_say_where_replicas_come_from(small, data, trained):
    record = trained.record(small.key("baseline", data), 1)
    assert record["data"]["digest"] == data.digest
    assert record["seed"] == small.seed
    assert record["numerics"]["engine"] == choose(small.rows["baseline"], data).engine
    assert record["versions"]["numpy"] == np.__version__
    assert {"steps", "seconds", "finished", "logits"} <= set(record)
