"""TensorFlow as this backend wants it: quiet, without Keras, deterministic, not taking a GPU's whole memory at once.

Every other module takes `tf` from here, so that none can import it another way.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
QUIET = "3"
LEGACY_KERAS = "TF_USE_LEGACY_KERAS"
_GREETING = re.compile(rb"(WARNING: All log messages before absl::InitializeLog|I\d{4} )")


@contextmanager
def _without_greetings() -> Iterator[None]:
    """Drops the informational lines that TensorFlow's libraries write to descriptor 2 while they are loaded.

    They are written before the log level is read. All other lines are passed on; a user who chose another level gets
    them all.
    """
    if os.environ.setdefault(LOG_LEVEL, QUIET) != QUIET:
        yield
        return
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            caught.seek(0)
            for line in caught:
                if not _GREETING.match(line):
                    os.write(2, line)


@contextmanager
def _without_keras() -> Iterator[None]:
    """Keeps `import tensorflow` from importing Keras, which is half of its seconds and is not used here.

    TensorFlow's own switch makes it ask for tf_keras instead. The switch is put back, so `tf.keras` still loads Keras
    when it is first touched.
    """
    if LEGACY_KERAS in os.environ or importlib.util.find_spec("tf_keras") is not None:
        yield
        return
    os.environ[LEGACY_KERAS] = "1"
    try:
        yield
    finally:
        del os.environ[LEGACY_KERAS]


with _without_greetings(), _without_keras():
    import tensorflow as tf

if os.environ[LOG_LEVEL] == QUIET:
    # Among others that networks are built one after the other, which for TensorFlow is a graph traced in a loop.
    tf.get_logger().setLevel("ERROR")

# Exactness is promised: without it, cuDNN and some kernels may add up in the order in which threads finish. On the CPU
# it cost nothing that could be measured.
tf.config.experimental.enable_op_determinism()
# float32 means float32, as on the other backends: TF32 has ten bits. `precision: bf16` is the fast one.
tf.config.experimental.enable_tensor_float_32_execution(False)
for _gpu in tf.config.list_physical_devices("GPU"):
    tf.config.experimental.set_memory_growth(_gpu, True)

__all__ = ["tf"]
