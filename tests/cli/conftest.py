"""The command line as a stranger types it, and small files to type it on."""

import numpy as np
import pytest

from command_line import _command_built_once, traintwice  # noqa: F401  (fixtures)

ROWS = 600


def write_csv(path, probs, labels, country, ids):
    lines = ["row_id,p_0,p_1,p_2,y,country"]
    lines += [
        f"{i},{','.join(repr(float(x)) for x in p)},{y},{c}" for i, p, y, c in zip(ids, probs, labels, country, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def kept_files(tmp_path_factory):
    """Files old, new (worse in BR), again0 … again4, a new one in another order and one that lacks an id."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    true = 1.5 * rng.normal(size=(ROWS, 3))
    labels = (true + rng.gumbel(size=true.shape)).argmax(axis=1)
    country = rng.choice(["BR", "DE"], ROWS)
    ids = [f"id{i}" for i in range(ROWS)]

    def probs(noise):
        logits = true + noise[:, None] * rng.normal(size=true.shape)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    even = np.full(ROWS, 0.2)
    write_csv(folder / "old.csv", probs(even), labels, country, ids)
    for k in range(5):
        write_csv(folder / f"again{k}.csv", probs(even), labels, country, ids)
    new = probs(np.where(country == "BR", 1.2, 0.2))
    write_csv(folder / "new.csv", new, labels, country, ids)
    order = rng.permutation(ROWS)
    write_csv(folder / "shuffled.csv", new[order], labels[order], country[order], [ids[i] for i in order])
    write_csv(folder / "short.csv", new[:-1], labels[:-1], country[:-1], ids[:-1])
    return folder


@pytest.fixture
def files(kept_files, traintwice, tmp_path):  # noqa: F811
    """The same files in the current directory."""
    for path in kept_files.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path
