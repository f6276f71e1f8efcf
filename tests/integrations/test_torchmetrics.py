"""A measure fed tensor by tensor, merged, saved, and gathered from processes gives the number of the whole array."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from torchmetrics import MetricCollection

from heavy import heavy
from traintwice import metrics
from traintwice.compare import interval
from traintwice.errors import BadInput, TooFewReplicas, UnknownName
from traintwice.integrations.torchmetrics import ReplicaMetric

ONE_PASS = [m for m in metrics.ALL if m.definition.one_pass]


def draw(metric, rows=60):
    """Predictions that the metric takes, labels and weights."""
    rng = np.random.default_rng(3)
    replicas = 2 if metric.definition.old_vs_new else 4
    if metric.definition.needs_targets:
        return rng.normal(size=(replicas, rows)), rng.normal(size=rows), rng.random(rows)
    if metric.definition.needs_outcomes:
        return rng.random((replicas, rows)), None, rng.random(rows)
    if metric.definition.needs_scores:
        return rng.normal(size=(replicas, rows)) + 5, None, rng.random(rows)
    probs = rng.dirichlet(np.ones(2 if metric.definition.binary else 3), (replicas, rows))
    return probs, rng.integers(0, probs.shape[2], rows), rng.random(rows)


def tensor(array, rows=slice(None)):
    return None if array is None else torch.from_numpy(array[..., rows] if array.ndim == 1 else array[:, rows])


def whole(metric, predictions, labels, weights):
    return metric.measure(metric.definition.predictions_of(predictions, labels, weights))


@pytest.mark.parametrize("metric", ONE_PASS, ids=lambda m: m.__name__)
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_the_whole_array(metric, weighted):
    predictions, labels, weights = draw(metric)
    weights = weights if weighted else None
    parts, merged = ReplicaMetric(metric), ReplicaMetric(metric)
    expected = interval(whole(metric, predictions, labels, weights))
    for start in range(0, 60, 20):
        rows = slice(start, start + 20)
        part = ReplicaMetric(metric)
        for one in (parts, part):
            one.update(tensor(predictions, rows), tensor(labels, rows), tensor(weights, rows))
        merged.merge_state(part)
    for one in (parts, merged):
        assert one.compute().dtype == torch.float64
        assert float(one.compute()) == pytest.approx(expected.value, rel=1e-12)
        found = one.estimate()
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9, nan_ok=True)


def test_counts_stay_exact():
    votes = torch.randint(0, 3, (5, 3001), generator=torch.Generator().manual_seed(0))
    one = ReplicaMetric("churn")
    for part in votes.split([1, 999, 2001], dim=1):
        one.update(part)
    assert float(one.compute()) == metrics.churn(votes.numpy())


def test_forward_gives_the_batch_and_keeps_the_rest():
    predictions, labels, _ = draw(metrics.accuracy)
    one = ReplicaMetric("accuracy")
    for start in (0, 30):
        rows = slice(start, start + 30)
        batch = one(tensor(predictions, rows), tensor(labels, rows))
        assert float(batch) == pytest.approx(metrics.accuracy(predictions[:, rows], labels[rows]))
    assert float(one.compute()) == pytest.approx(metrics.accuracy(predictions, labels))
    one.reset()
    with pytest.raises(BadInput, match="no examples"), pytest.warns(UserWarning, match="before the ``update``"):
        one.compute()


def test_a_model_at_a_time_with_gradients_and_in_half_precision():
    models = [torch.softmax(torch.randn(7, 3, requires_grad=True), 1) for _ in range(3)]
    expected = metrics.churn(torch.stack(models).detach().numpy())
    one = ReplicaMetric("churn")
    one.update(models)
    assert float(one.compute()) == pytest.approx(expected)
    eighths = torch.tensor([[[0.125, 0.875]], [[0.5, 0.5]]], dtype=torch.bfloat16)
    half = ReplicaMetric("total_variation")
    half.update(eighths)
    assert float(half.compute()) == 0.375


def test_state_survives_saving_copying_and_a_collection():
    p = torch.softmax(torch.randn(3, 50, 4, generator=torch.Generator().manual_seed(1)), 2)
    kept = ReplicaMetric("surrogate_churn", options={"alpha": 2.5})
    kept.persistent(True)
    kept.update(p[:, :20])
    again = ReplicaMetric("surrogate_churn", options={"alpha": 2.5})
    again.load_state_dict(kept.state_dict())
    copied = copy.deepcopy(kept)
    for one in (again, copied):
        one.update(p[:, 20:])
        assert float(one.compute()) == pytest.approx(metrics.surrogate_churn(p.numpy(), alpha=2.5), rel=1e-6)
    assert float(kept.compute()) == pytest.approx(metrics.surrogate_churn(p[:, :20].numpy(), alpha=2.5), rel=1e-6)


def test_metrics_whose_sums_are_equal_at_first_stay_apart():
    """A collection joins metrics with equal states, which would freeze the second at the first's sums."""
    y = torch.tensor([0, 0, 1, 1])
    both = (
        MetricCollection([ReplicaMetric("negative_flips")]),
        MetricCollection({name: ReplicaMetric(name) for name in ("negative_flips", "positive_flips")}),
    )
    for collection in both:
        collection.update(torch.tensor([[0, 0], [0, 0]]), y[:2])
        collection.update(torch.tensor([[1, 1], [0, 1]]), y[2:])
    found = both[1].compute()
    assert (float(found["negative_flips"]), float(found["positive_flips"])) == (0.25, 0.0)


def test_what_cannot_be_merged_or_measured_is_refused():
    one, votes = ReplicaMetric("churn"), torch.zeros((3, 4), dtype=torch.int64)
    one.update(votes)
    with pytest.raises(BadInput, match="got 2 replicas, expected 3 as before"):
        one.update(votes[:2])
    with pytest.raises(BadInput, match=r"got sums_of_surrogate_churn\(alpha=2\), expected sums_of_surrogate_churn"):
        ReplicaMetric("surrogate_churn").merge_state(ReplicaMetric("surrogate_churn", options={"alpha": 2}))
    with pytest.raises(BadInput, match="Kendall τ needs all examples together"):
        ReplicaMetric("kendall_tau")
    with pytest.raises(BadInput, match="the sums would no longer be exact"):
        one.set_dtype(torch.float32)
    with pytest.raises(UnknownName, match="Did you mean 'churn'"):
        ReplicaMetric("chrun")
    with pytest.raises(TooFewReplicas):
        ReplicaMetric("churn").update(votes[:1])
    state = one.metric_state
    with pytest.raises(BadInput, match="cut short"):
        ReplicaMetric("churn").merge_state({key: value[:-1] for key, value in state.items()})


WORKER = """
import sys, torch, torch.distributed as dist
from traintwice.integrations.torchmetrics import ReplicaMetric
rank, folder = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
given = torch.load(f"{folder}/given.pt")
part = slice(0, 13) if rank == 0 else slice(13, 40)
both, one_sided = ReplicaMetric("surrogate_churn"), ReplicaMetric("churn")
both.update(given[:, part])
if rank == 0:
    one_sided.update(given[:, part])
    found = [float(both.compute()), float(one_sided.compute())]
else:
    found = [float(both.compute())]
    one_sided.sync()
    one_sided.unsync()
both.update(given[:, part])  # what was gathered is not counted twice
found.append(float(both.compute()))
other = ReplicaMetric("churn")
other.update(given[: 2 + rank])
try:
    other.sync()
except ValueError as error:
    found.append("must see the same models" in str(error))
print(*found)
dist.destroy_process_group()
"""


@heavy
def test_processes_are_merged(tmp_path):
    p = torch.softmax(torch.randn(3, 40, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2)), 2)
    torch.save(p, tmp_path / "given.pt")
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(rank), str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    said = [worker.communicate(timeout=120) for worker in workers]
    assert [w.returncode for w in workers] == [0, 0], said
    soft = metrics.surrogate_churn(p.numpy())
    first, second = (out.split() for out, _ in said)
    assert [float(n) for n in first[:3]] == pytest.approx([soft, metrics.churn(p[:, :13].numpy()), soft], rel=1e-13)
    assert [float(n) for n in second[:2]] == pytest.approx([soft, soft], rel=1e-13)
    assert (first[3], second[2]) == ("True", "True")
