"""The columns of what scoring keeps: the inbox's listing, the ledger, the predictions."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa

from recurra import predictions

SCORED, REFUSED = "scored", "refused"
WHEN = pa.timestamp("us", "UTC")

LISTING = pa.schema(
    [
        pa.field(
            "file", pa.string(), nullable=False
        ),  # below the inbox, `names.escaped`; of a clip of frames its folder
        pa.field("size", pa.int64(), nullable=False),  # bytes; of frames their sum
        pa.field("mtime_ns", pa.int64(), nullable=False),  # of frames the latest
        pa.field("ctime_ns", pa.int64(), nullable=False),  # of the last change of any kind; no program can set it back
        pa.field("frames", pa.list_(pa.string())),  # their names; null for a sample that is one file
        pa.field("linked", pa.bool_(), nullable=False),  # whether the way to it leads through a link to a folder
        pa.field("reason", pa.string()),  # why it is refused by its name alone; null for what is to be read
    ]
)

LEDGER = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("mtime_ns", pa.int64(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),  # SCORED or REFUSED
        pa.field("reason", pa.string()),  # null where it was scored
        pa.field("part", pa.string(), nullable=False),
        pa.field("run", pa.string(), nullable=False),
        pa.field("when", WHEN, nullable=False),
    ]
)


def answers(classes: Sequence[str]) -> pa.Schema:
    """The columns of the predictions: those of `recurra.predictions`, `source` as `file` with what tells it from an
    earlier file of that name, and by whom and when it was answered.

    The types are the same whatever the classes, which the metadata of each file holds: a new champion may have others.
    """
    of_samples = predictions.schema(classes, labelled=False)
    kept = [field for field in of_samples if field.name not in ("sample", "source")]
    kept[-1] = kept[-1].with_type(pa.list_(pa.float32()))
    plain = [LISTING.field(name) for name in ("file", "size", "mtime_ns")]
    name = pa.dictionary(pa.int32(), pa.string())
    origin = [pa.field("run", name, nullable=False), pa.field("backend", name, nullable=False), LEDGER.field("when")]
    return pa.schema([*plain, *kept, *origin], {"classes": json.dumps(list(classes))})
