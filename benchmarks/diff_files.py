"""Two Parquet files of binary predictions: this package against bare DuckDB queries, as ratios inside one run.

    python benchmarks/diff_files.py --rows 1000000
    python benchmarks/diff_files.py --rows 100000000 --memory 2GB --folder /data

Every measurement runs in a process of its own, so that its peak memory is its own; ours and the bare query take turns. The
bare query for files in the same order joins by position, compares the ids and takes one mean; for shuffled files it is a hash
join and one mean. Ours opens, checks every cell, matches the rows and sums the measures of two binary models, without and
with the log loss of both (two logarithms for each row), or brings every row to Python in batches.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MEASURES = {
    "flips": "v0 <> v1",
    "right_old": "v0 = y",
    "right_new": "v1 = y",
    "negative_flips": "v0 = y AND v1 <> y",
    "positive_flips": "v0 <> y AND v1 = y",
    "total_variation": "abs(p0_1 - p1_1)",
}

LOG_LOSS = {
    "log_loss_old": "-ln(CASE WHEN y = 1 THEN p0_1 ELSE p0_0 END)",
    "log_loss_new": "-ln(CASE WHEN y = 1 THEN p1_1 ELSE p1_0 END)",
}

BARE = {
    "same": "SELECT count(*) FILTER (a.id <> b.other), avg(abs(p - q)) FROM (SELECT row_id AS id, p FROM '{old}') a "
    "POSITIONAL JOIN (SELECT row_id AS other, p AS q FROM '{new}') b",
    "shuffled": "SELECT avg(abs(a.p - b.p)) FROM '{old}' a JOIN '{new}' b USING (row_id)",
}


def make_files(folder: Path, rows: int) -> None:
    import duckdb

    connection = duckdb.connect(config={"temp_directory": str(folder / "spill")})
    connection.execute("SET preserve_insertion_order = true")
    score = "least(0.999, greatest(0.001, (hash(i) % 1000003) / 1000003.0 + {noise}))::FLOAT"
    noise = "0.1 * ((hash(i + 7) % 1009) / 1009.0 - 0.5)"
    label = "((hash(i + 3) % 1009) / 1009.0 < (hash(i) % 1000003) / 1000003.0)::INT"
    old = f"SELECT i AS row_id, {score.format(noise=0)} AS p, {label} AS y FROM range({rows}) t(i)"
    new = f"SELECT i AS row_id, {score.format(noise=noise)} AS p, {label} AS y FROM range({rows}) t(i)"
    connection.execute(f"COPY ({old}) TO '{folder}/old.parquet' (FORMAT parquet)")
    connection.execute(f"COPY ({new}) TO '{folder}/new.parquet' (FORMAT parquet)")
    connection.execute(
        f"COPY (SELECT * FROM '{folder}/new.parquet' ORDER BY hash(row_id + 11)) TO '{folder}/shuffled.parquet' (FORMAT parquet)"
    )


def run_one(who: str, case: str, folder: Path, memory: str) -> dict[str, float]:
    old, new = folder / "old.parquet", folder / ("new.parquet" if case == "same" else "shuffled.parquet")
    import duckdb

    if who == "bare":
        start = time.perf_counter()
        connection = duckdb.connect(config={"memory_limit": memory, "temp_directory": str(folder / "spill")})
        connection.execute(BARE[case].format(old=old, new=new)).fetchall()
    else:
        import traintwice.predictions as predictions

        start = time.perf_counter()
        with predictions.open_predictions([old, new], id="row_id", probs="p", label="y", memory=memory) as both:
            if who == "ours":
                both.sums(MEASURES)
            elif who == "with log loss":
                both.sums(MEASURES | LOG_LOSS)
            else:
                for _ in both.batches():
                    pass
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--memory", default="2GB")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the files go, kept and used again; default: a temporary folder")
    parser.add_argument("--one", nargs=2, metavar=("WHO", "CASE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run_one(*options.one, options.folder, options.memory)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)) / f"rows-{options.rows}"
        if not (folder / "shuffled.parquet").exists():
            folder.mkdir(parents=True, exist_ok=True)
            make_files(folder, options.rows)
        print(f"{options.rows:,} rows x 2, memory {options.memory}, best of {options.repeat}")
        for case, goal in (("same", 1.5), ("shuffled", 1.25)):
            found: dict[str, list[dict[str, float]]] = {"bare": [], "ours": [], "with log loss": [], "batches": []}
            for _ in range(options.repeat):
                for who, results in found.items():
                    command = [sys.executable, __file__, "--one", who, case, "--folder", str(folder), "--memory", options.memory]
                    results.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            bare = min(r["seconds"] for r in found["bare"])
            print(f"{case} order (goal {goal} times)")
            for who, results in found.items():
                best, peak = min(r["seconds"] for r in results), max(r["peak"] for r in results) / 1e6
                print(f"  {who:14} {best:7.2f} s  {best / bare:5.2f} times  peak {peak:6.0f} MB")


if __name__ == "__main__":
    main()
