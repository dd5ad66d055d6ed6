"""Reading sources: class folders, arrays, IDX, Parquet, bundled and downloaded data; plugins add more."""

from typing import TYPE_CHECKING, Any

from recurra.readers.reader import Block, Form, Kind, Reader, Refused, Samples, Source

if TYPE_CHECKING:
    from recurra.readers.opening import BUILT_IN, open_source
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


def __getattr__(name: str) -> Any:
    # Pillow and pyarrow are not for those who want the types alone: the list of plugins is printed without them.
    if name in ("BUILT_IN", "open_source"):
        from recurra.readers import opening

        return getattr(opening, name)
    if name == "open_unlabelled":
        from recurra.readers import unlabelled

        return unlabelled.open_unlabelled
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
