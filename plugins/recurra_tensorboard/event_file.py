"""One event file, written by TensorBoard's own record writer.

Not by its `EventFileWriter`, which asks for TensorFlow's file system, and so imports TensorFlow where that is
installed: into a process that trains with another framework.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue] # made by protobuf
from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue] # made by protobuf
from tensorboard.summary.writer.record_writer import RecordWriter


class EventFile:
    """A new file in a new folder, which is what TensorBoard calls a run; closed between epochs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        now = time.time()
        self.path = folder / f"events.out.tfevents.{now:.0f}.{socket.gethostname()}.{os.getpid()}"
        self._append(Event(wall_time=now, file_version="brain.Event:2"))

    def write(self, step: int, values: Mapping[str, float | None]) -> None:
        """Adds the values that were measured, each a scalar by its tag."""
        scalars = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items() if value is not None]
        self._append(Event(wall_time=time.time(), step=step, summary=Summary(value=scalars)))

    def _append(self, event: Event) -> None:
        with self.path.open("ab") as file:
            RecordWriter(file).write(event.SerializeToString())
