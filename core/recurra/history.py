"""A training's history.parquet, a row for each epoch, read."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def read_history(path: Path) -> dict[str, np.ndarray]:
    """Its columns, as float64 with NaN for null."""
    import pyarrow.parquet as pq

    table = pq.read_table(path, page_checksum_verification=True)
    return {
        name: np.asarray([np.nan if value is None else value for value in table[name].to_pylist()], np.float64)
        for name in table.column_names
    }
