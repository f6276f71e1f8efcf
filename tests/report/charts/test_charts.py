import itertools
import json

import numpy as np
import pytest
import vl_convert

from traintwice import metrics
from traintwice.report.charts import accuracy_churn, by_confidence, churn_by_confidence, churn_matrix
from traintwice.report.charts.labels import Point, _box, _overlap, place
from traintwice.report.charts.matrix import pair_churn

DRAW = (accuracy_churn, churn_by_confidence, churn_matrix)


@pytest.mark.parametrize("draw", DRAW)
def test_charts_draw_and_name_every_recipe(trained, draw):
    figure = draw(trained)
    for spec in (figure.wide, figure.narrow):
        sized = {**json.loads(json.dumps(spec, allow_nan=False)), **({"width": 300} if spec.get("width") == "container" else {})}
        svg = vl_convert.vegalite_to_svg(sized)
        names = list(trained.rows) if draw is not churn_by_confidence else list(trained.rows)[1:]
        assert all(name.split()[0] in svg for name in names)
    assert all(name in figure.alt for name in trained.rows)
    assert figure.wide["description"] == figure.alt


def test_points_and_crosses_are_the_estimates(trained):
    records = accuracy_churn(trained).wide["datasets"]["recipes"]
    for record in records:
        for metric in (metrics.churn, metrics.accuracy):
            name = metric.definition.name
            estimate = trained.estimate(metric, record["recipe"])
            assert [record[name], record[f"{name}_low"], record[f"{name}_high"]] == pytest.approx(
                [100 * estimate.value, 100 * estimate.low, 100 * estimate.high]
            )


def test_bins_by_confidence(trained):
    test = trained["twice"].test
    probs, votes = np.asarray(test.probs), np.asarray(test.votes)
    replicas, examples = votes.shape
    gamma = [np.mean([np.subtract(*sorted(probs[m, n])[:-3:-1]) for m in range(replicas)]) for n in range(examples)]
    order = sorted(range(examples), key=lambda n: gamma[n])
    found = by_confidence(trained, "twice", bins=9)
    for number, point in enumerate(found):
        part = order[number * 10 : number * 10 + 10]
        flips = [votes[a, n] != votes[b, n] for n in part for a, b in itertools.combinations(range(replicas), 2)]
        assert point["confidence"] == pytest.approx(np.mean([gamma[n] for n in part]), abs=1e-4)
        assert point["churn"] == pytest.approx(100 * np.mean(flips), abs=1e-4)
    assert sum(p["examples"] for p in found) == pytest.approx(100, abs=0.1)
    assert sum(p["flips"] for p in found) == pytest.approx(100, abs=0.1)


def test_mean_of_the_matrix_is_churn(trained):
    votes = np.asarray(trained["baseline"].test.votes)
    matrix = pair_churn(votes)
    assert np.array_equal(matrix, matrix.T)
    assert not np.diag(matrix).any()
    assert matrix[~np.eye(len(matrix), dtype=bool)].mean() == pytest.approx(metrics.churn(votes))


def test_many_replicas_are_cut(study):
    pairs = churn_matrix(study({"baseline": 0.3}, replicas=33, examples=20)).wide["datasets"]["pairs"]
    assert max(record["a"] for record in pairs) == 29


@pytest.mark.parametrize("seed", range(5))
def test_labels_do_not_cover_each_other_where_there_is_room(seed):
    rng = np.random.default_rng(seed)
    points = [Point(float(x), float(y), f"recipe {i}") for i, (x, y) in enumerate(rng.random((8, 2)) * [600, 380] + 20)]
    boxes = [_box(point, label) for point, label in zip(points, place(points, 640, 400), strict=True)]
    assert all(_overlap(a, b) == 0 for a, b in itertools.combinations(boxes, 2))
    assert all(box[0] >= 0 and box[2] <= 640 for box in boxes)
