"""Kills `traintwice replicate` at random times, continues it, and compares the predictions with those of an undisturbed run, bit for bit.

    PYTHONPATH=src python tests/kills.py [--kills 50] [--seed 0] [--form function]

Both forms are killed so often: a function, and a command. A run that finishes before its kill is compared, and a new store is begun. The
script ends with status 1 where a prediction, a record or a file differs. It takes about 8 minutes of processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import traintwice

REPLICAS = 6

TRAINING = '''
"""Logistic regression by stochastic gradient descent, as a function and as a command."""
import sys
import numpy as np

data = np.random.default_rng(0)
x, y = data.normal(size=(3000, 5)), data.integers(2, size=3000)
x[:, 0] += y


def train(seed, rate=0.1):
    w = np.zeros(5)
    for i in np.random.default_rng(seed).integers(2000, size=30_000):
        w += rate * (y[i] - 1 / (1 + np.exp(-x[i] @ w))) * x[i]
    p = 1 / (1 + np.exp(-x[2000:] @ w))
    return {"id": np.arange(2000, 3000), "p_0": 1 - p, "p_1": p, "y": y[2000:]}


if __name__ == "__main__":
    table = train(int(sys.argv[1]), *map(float, sys.argv[3:]))
    with open(sys.argv[2], "w") as file:
        print(*table, sep=",", file=file)
        for row in zip(*(column.tolist() for column in table.values())):
            print(*row, sep=",", file=file)
'''

FORMS = {
    "function": ["--recipe", "base=", "--recipe", "slow=rate=0.02", "training:train"],
    "command": ["--recipe", "base=", "--recipe", "slow=0.02", "--", sys.executable, "training.py", "{seed}", "{out}"],
}
OF_ITS_TIME = ("seconds", "finished")
"""Entries of a record that no two runs have in common."""


def started(folder: Path, form: str, store: str) -> subprocess.Popen[bytes]:
    """A run of three replicas of each recipe."""
    words = ["replicate", "--replicas", str(REPLICAS // 2), "--store", store, "--jobs", "2", *FORMS[form]]
    paths = os.pathsep.join([str(Path(traintwice.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    output = (folder / f"{form}.log").open("wb")
    with output:
        return subprocess.Popen(
            [sys.executable, "-m", "traintwice", *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": paths},
            stdout=output,
            stderr=output,
        )


def contents(store: Path) -> dict[str, object]:
    """What the folders of a store hold, without what depends on the time: predictions as bytes, records, the names of other files."""
    found: dict[str, object] = {}
    for path in sorted(path for path in store.glob("*/**/*") if path.is_file()):
        name = str(path.relative_to(store))
        if path.suffix == ".parquet":
            found[name] = path.read_bytes()
        elif name.startswith("records"):
            found[name] = {key: value for key, value in json.loads(path.read_bytes()).items() if key not in OF_ITS_TIME}
        else:
            found[name] = None
    return found


def killed(folder: Path, form: str, kills: int, rng: np.random.Generator) -> bool:
    """Kill runs of a form; returns whether every finished store is that of an undisturbed run."""
    begun = time.perf_counter()
    if started(folder, form, f"{form}-whole").wait() != 0:
        sys.exit((folder / f"{form}.log").read_text())
    longest, expected = time.perf_counter() - begun, contents(folder / f"{form}-whole")
    done, stores, same, with_replicas = 0, 0, True, 0
    while done < kills or stores == 0:
        store, finished = folder / f"{form}-{stores}", False
        while not finished:
            process = started(folder, form, store.name)
            try:
                process.wait(timeout=rng.uniform(0, longest) if done < kills else None)
                finished = process.returncode == 0
                if not finished:
                    sys.exit((folder / f"{form}.log").read_text())
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                done += 1
                with_replicas += any((store / "records").rglob("*.json"))
        stores += 1
        found = contents(store)
        different = sorted(name for name in expected.keys() | found.keys() if expected.get(name, 0) != found.get(name, 0))
        same = same and not different
        if different:
            print(f"{form}, store {stores}: {', '.join(different)} differ from the undisturbed run", flush=True)
    print(
        f"{form}: {done} kills ({with_replicas} of them after the first finished replica), {stores} stores of {REPLICAS} replicas, "
        f"{'all equal to the undisturbed run, bit for bit' if same else 'not all equal'}",
        flush=True,
    )
    return same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--form", choices=FORMS)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "training.py").write_text(TRAINING)
        results = [killed(Path(place), form, options.kills, rng) for form in ([options.form] if options.form else FORMS)]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
