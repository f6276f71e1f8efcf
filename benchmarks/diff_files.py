"""Two Parquet files of binary predictions: this package against bare DuckDB queries, as ratios inside one run.

    python benchmarks/diff_files.py --rows 1000000
    python benchmarks/diff_files.py --rows 100000000 --memory 2GB --folder /data

Every measurement runs in a process of its own, so that its peak memory is its own; ours and the bare query take turns. The bare
query for files in the same order joins by position, compares the ids and takes one mean; for shuffled files it is a hash join
and one mean. `diff` is the command `traintwice diff` with its default measures; `log loss` is the same with `--also log_loss` (two
logarithms for each row); `slices` is `diff` with `--by country --cluster user` (users of 50 rows each, 20 countries); `sums` opens,
checks every cell, matches the rows and sums churn and flips;
`batches` brings every row to Python. Beside the time on the clock stands that of all processors together: the bare query by
position runs in one thread, ours in all, and where others use the machine only the second is worth comparing.
Both are taken twice: of the comparison alone, inside the process once everything is imported, and of the process from start to
finish. The goals are about the first: importing takes the same time however many rows there are.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

MEASURES = {
    "flips": "v0 <> v1",
    "right_old": "v0 = y",
    "right_new": "v1 = y",
    "negative_flips": "v0 = y AND v1 <> y",
    "positive_flips": "v0 <> y AND v1 = y",
    "total_variation": "abs(p0_1 - p1_1)",
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
    user = "i // 50 AS user, 'c' || hash(i // 50) % 20 AS country"
    old = f"SELECT i AS row_id, {score.format(noise=0)} AS p, {label} AS y, {user} FROM range({rows}) t(i)"
    new = f"SELECT i AS row_id, {score.format(noise=noise)} AS p, {label} AS y FROM range({rows}) t(i)"
    connection.execute(f"COPY ({old}) TO '{folder}/old.parquet' (FORMAT parquet)")
    connection.execute(f"COPY ({new}) TO '{folder}/new.parquet' (FORMAT parquet)")
    connection.execute(
        f"COPY (SELECT * FROM '{folder}/new.parquet' ORDER BY hash(row_id + 11)) TO '{folder}/shuffled.parquet' (FORMAT parquet)"
    )


def files_of(case: str, folder: Path) -> tuple[Path, Path]:
    return folder / "old.parquet", folder / ("new.parquet" if case == "same" else "shuffled.parquet")


def run_one(who: str, case: str, folder: Path, memory: str) -> None:
    """One measurement in this process; prints the seconds and processor seconds of the work alone, as JSON."""
    work = prepare(who, case, folder, memory)
    start, processor = time.perf_counter(), time.process_time()
    work()
    print(json.dumps({"seconds": time.perf_counter() - start, "processor": time.process_time() - processor}))


def prepare(who: str, case: str, folder: Path, memory: str) -> Callable[[], None]:
    """The work to be timed, with all that it needs imported."""
    import duckdb

    old, new = files_of(case, folder)

    def bare() -> None:
        connection = duckdb.connect(config={"memory_limit": memory, "temp_directory": str(folder / "spill")})
        connection.execute(BARE[case].format(old=old, new=new)).fetchall()

    if who == "bare":
        return bare
    import traintwice.cli
    import traintwice.cli._output
    import traintwice.compare
    import traintwice.tables
    from traintwice import predictions

    def command() -> None:
        options = ["--id", "row_id", "--label", "y", "--probs", "p", "--memory", memory, "--json"]
        options += {"log loss": ["--also", "log_loss"], "slices": ["--by", "country", "--cluster", "user"]}.get(who, [])
        sys.argv = ["traintwice", "diff", str(old), str(new), *options]
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                traintwice.cli.main()
            except SystemExit as ended:
                if ended.code:
                    raise

    def read() -> None:
        with predictions.open_predictions([old, new], id="row_id", probs="p", label="y", memory=memory) as both:
            if who == "sums":
                both.sums(MEASURES)
            else:
                for _ in both.batches():
                    pass

    return command if who in ("diff", "log loss", "slices") else read


def measure(who: str, case: str, folder: Path, memory: str) -> dict[str, float]:
    """Seconds and processor seconds of the work alone and of its whole process, and the peak bytes of that."""
    command = [sys.executable, __file__, "--one", who, case, "--folder", str(folder), "--memory", memory]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    whole = {"whole seconds": time.perf_counter() - start, "whole processor": used.ru_utime + used.ru_stime}
    return json.loads(printed) | whole | {"peak": used.ru_maxrss * 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--memory", default="2GB")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--who", nargs="+", default=["diff", "log loss", "slices"], choices=["diff", "log loss", "slices", "sums", "batches"]
    )
    parser.add_argument("--folder", type=Path, help="where the files go, kept and used again; default: a temporary folder")
    parser.add_argument("--one", nargs=2, metavar=("WHO", "CASE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        run_one(*options.one, options.folder, options.memory)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)) / f"rows-{options.rows}"
        if not (folder / "shuffled.parquet").exists():
            folder.mkdir(parents=True, exist_ok=True)
            maker = multiprocessing.get_context("spawn").Process(target=make_files, args=(folder, options.rows))
            maker.start()  # a process of its own: the peak memory of this one would count as that of its children
            maker.join()
        print(f"{datetime.now(tz=UTC):%Y-%m-%d}, {os.cpu_count()} cores, {options.rows:,} rows x 2, memory {options.memory}")
        for case, goal in (("same", 1.5), ("shuffled", 1.25)):
            found: dict[str, list[dict[str, float]]] = {who: [] for who in ("bare", *options.who)}
            for _ in range(options.repeat):
                for who, results in found.items():
                    results.append(measure(who, case, folder, options.memory))
            least = {who: {name: min(r[name] for r in results) for name in results[0]} for who, results in found.items()}
            print(f"{case} order, least of {options.repeat} (goal {goal} times)")
            for who, one in least.items():
                peak = max(r["peak"] for r in found[who]) / 1e6
                for part in ("", "whole "):
                    times = [one[part + name] for name in ("seconds", "processor")]
                    ratios = [one[part + name] / least["bare"][part + name] for name in ("seconds", "processor")]
                    told = [f"{t:7.2f} s {ratio:5.2f} times" for t, ratio in zip(times, ratios, strict=True)]
                    what = "start to finish" if part else f"{who}, alone"
                    print(f"  {what:16} clock {told[0]}   processors {told[1]}" + (f"   peak {peak:6.0f} MB" if part else ""))


if __name__ == "__main__":
    main()
