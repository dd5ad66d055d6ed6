"""What a GIF file says of itself between its frames, without decoding one (GIF89a specification, 1990)."""

from __future__ import annotations

import struct

from recurra.readers.unreadable import UnreadableError


def _is_grey(table: bytes) -> bool:
    return table[0::3] == table[1::3] == table[2::3]


def _after_blocks(data: bytes, at: int) -> int:
    while data[at]:
        at += 1 + data[at]
    return at + 1


def scan(data: bytes) -> tuple[int, bool]:
    """(frames, whether every colour table is grey). UnreadableError where the file ends before its trailer."""
    flags, at, frames, grey = data[10], 13, 0, True
    if flags & 0x80:
        size = 3 << (flags & 7) + 1
        grey, at = _is_grey(data[at : at + size]), at + size
    try:
        while data[at] != 0x3B:
            if data[at] == 0x21:
                at = _after_blocks(data, at + 2)
            elif data[at] == 0x2C:
                (local,) = struct.unpack_from("B", data, at + 9)
                size = 3 << (local & 7) + 1 if local & 0x80 else 0
                grey = grey and _is_grey(data[at + 10 : at + 10 + size])
                at, frames = _after_blocks(data, at + 10 + size + 1), frames + 1
            else:
                raise UnreadableError(f"damaged: byte {at} begins no block of a GIF")
    except (IndexError, struct.error):
        raise UnreadableError(f"truncated: it ends within frame {frames + 1}") from None
    return frames, grey
