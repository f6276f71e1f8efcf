"""Seconds of the query of sums in DuckDB by millions of rows, the slope, and what it gives for two billion rows.

python benchmarks/sums.py 10 30 100
"""

import sys
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np

from traintwice.sums import diff_sums, query

ROWS = 2_000


def seconds(millions: float, folder: Path) -> float:
    """Time of the query and of the comparison from its result."""
    rows = round(millions * 1e6)
    with duckdb.connect(config={"temp_directory": str(folder)}) as connection:
        connection.execute("SET preserve_insertion_order = false")
        for m in (1, 2):
            score = f"least(1, (hash(i) % 1000) / 1000 + (hash(i * {m}) % 100) / 2000)"
            columns = f"i AS id, {score} AS p, (hash(i * 7) % 2)::INTEGER AS y, 'c' || i % 20 AS country"
            connection.execute(f"COPY (SELECT {columns} FROM range({rows}) t(i)) TO '{folder}/v{m}.parquet'")
            connection.execute(f"CREATE VIEW v{m} AS FROM '{folder}/v{m}.parquet'")
        text = query("v1", "v2", dialect="duckdb", id="id", score="p", label="y", by="country", thresholds=[0.5])
        start = time.perf_counter()
        found = diff_sums(connection.sql(text).to_arrow_table())
        took = time.perf_counter() - start
    print(f"{millions:g} million rows: {took:.1f} s, churn {found['churn'].value:.4f}", flush=True)
    return took


def main(sizes: list[float]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        times = [seconds(size, Path(folder)) for size in sizes]
    if len(sizes) > 1:
        slope, start = np.polyfit(sizes, times, 1)
        print(f"{slope:.3f} s a million rows and {start:.1f} s; for {ROWS:,} million rows {(start + slope * ROWS) / 60:.0f} min")


if __name__ == "__main__":
    main([float(word) for word in sys.argv[1:]] or [1, 3])
