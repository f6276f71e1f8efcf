"""Simulated votes of replicas, and random probabilities."""

import numpy as np
import pytest
from scipy.special import softmax


@pytest.fixture
def draw():
    def draw(M=4, N=40, K=3, *, seed=0):
        rng = np.random.default_rng(seed)
        probs = softmax(1.5 * rng.normal(size=(1, N, K)) + rng.normal(size=(M, N, K)), axis=2)
        return probs, rng.integers(0, K, N)

    return draw


@pytest.fixture
def write(tmp_path):
    """Writes models as Parquet, all with ids and labels, a group column and more columns, and returns their paths."""
    from traintwice.predictions._session import Session

    def write(models, labels=None, groups=None, ids=None, shuffle=False, start=0, more=None):
        session = Session()
        paths = []
        for m, model in enumerate(models):
            columns = {"id": np.arange(len(model)) if ids is None else ids}
            if model.ndim == 2:
                columns |= {f"p_{k}": np.ascontiguousarray(model[:, k]) for k in range(model.shape[1])}
            else:
                columns["pred"] = model
            if labels is not None:
                columns["y"] = labels
            if groups is not None:
                columns["country"] = groups
            columns |= more or {}
            order = np.random.default_rng(m).permutation(len(model)) if shuffle and m else np.arange(len(model))
            columns = {name: column[order] for name, column in columns.items()}
            session.connection.register("columns_", columns)
            path = tmp_path / f"m{start + m}.parquet"
            session.connection.execute(f"COPY (SELECT * FROM columns_) TO '{path}' (FORMAT parquet)")
            paths.append(path)
        session.close()
        return paths

    return write
