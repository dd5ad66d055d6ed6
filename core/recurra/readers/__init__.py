"""Reading sources: class folders, arrays, IDX, Parquet, bundled and downloaded data; plugins add more."""

from recurra.readers.opening import BUILT_IN, open_source
from recurra.readers.reader import Block, Form, Kind, Reader, Refused, Samples, Source
from recurra.readers.unlabelled import open_unlabelled

__all__ = [
    "BUILT_IN",
    "Block",
    "Form",
    "Kind",
    "Reader",
    "Refused",
    "Samples",
    "Source",
    "open_source",
    "open_unlabelled",
]
