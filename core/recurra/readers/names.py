"""Names of files: as text that no writer chokes on, in the order people expect, and what they say of a sample."""

from __future__ import annotations

import os
import re
from typing import Literal

Split = Literal["train", "validation", "test"]

_SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}
_DESKTOP = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx"})
_ESCAPED = re.compile(r"\\(?:\\|x([0-9a-f]{2}))")
# What ends a line for some program, or turns the direction of a terminal's text.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def escaped(name: str) -> str:
    r"""A file name as printable UTF-8: bytes that are not, and control characters, as `\xNN`, a backslash doubled."""
    if "\\" not in name and not _UNPRINTABLE.search(name):
        return name
    return _UNPRINTABLE.sub(
        lambda match: "".join(f"\\x{byte:02x}" for byte in _bytes(match[0])), name.replace("\\", "\\\\")
    )


def _bytes(char: str) -> bytes:
    # Half a surrogate pair is in no file's name, but can stand in an experiment file.
    return char.encode("utf-8", "surrogatepass") if "\ud800" <= char < "\udc80" else os.fsencode(char)


def unescaped(text: str) -> str:
    """The file name that `escaped` made the text from."""
    parts, end = [], 0
    for match in _ESCAPED.finditer(text):
        byte = bytes.fromhex(match[1]) if match[1] else b"\\"
        parts += [os.fsencode(text[end : match.start()]), byte]
        end = match.end()
    return os.fsdecode(b"".join([*parts, os.fsencode(text[end:])]))


def natural(name: str) -> tuple[list[str | int], str]:
    """A sort key that puts frame2 before frame10."""
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], name


def is_ignored(name: str) -> bool:
    """Whether the system or a desktop left the file there: hidden files, Thumbs.db and the like."""
    return name.startswith(".") or name.casefold() in _DESKTOP


def split_of(name: str) -> Split | None:
    """The split that a folder's name stands for."""
    return _SPLITS.get(name.casefold())


def split_prefix(name: str) -> Split | None:
    """The split that a file's name begins with: `train-00000-of-00002.parquet`, `x_test.npy` after its `x_`."""
    return split_of(re.split(r"[-_.]", name, maxsplit=1)[0])


def extension(name: str) -> str:
    """The extension in lower case, with its dot."""
    return os.path.splitext(name)[1].lower()
