"""Every 40th flight of `Flights`, which the package ships: real data for a demonstration that needs no other package."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SAMPLE = Path(__file__).parent / "sample" / "flights.parquet"
"""8,184 flights of 2013 from New York in the order of their departure; the data of `Flights` (CC0)."""

EVERY = 40
"""One flight in so many of `Flights`; column ``flight`` has its place there."""

NUMBERS = ("log_distance", "temp", "wind_speed", "log_rain", "visib")
NAMES = ("carrier", "origin", "dest")


def flights_sample() -> dict[str, np.ndarray]:
    """The columns of the sample: place, month, hour, carrier, origin, dest, distance, weather, and late (0 or 1).

    >>> flights = flights_sample()
    >>> len(flights["late"]), flights["origin"][0]
    (8184, 'EWR')
    """
    import duckdb

    with duckdb.connect() as session:
        found = session.execute(f"SELECT * FROM '{SAMPLE}'").fetchnumpy()  # noqa: S608  (a file of the package)
    return {name: np.ma.filled(column, np.nan) if name in NUMBERS else np.asarray(column) for name, column in found.items()}
