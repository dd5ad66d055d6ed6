"""Image files become arrays: formats by allow-list, sizes from the header before any decoding.

Every mode becomes grey (C = 1) or colour (C = 3), uint8 or float32:

- 1, L, and palettes of greys: grey. RGB, other palettes, CMYK, YCbCr, LAB, HSV: colour.
- Transparency is laid on white, as a page or an image viewer shows it. (What lies below a transparent pixel is
  arbitrary: dropping the alpha channel would show it.)
- 16-bit greys are scaled, not clipped, to 0..255 as float32 (x * 255 / 65535), so that x / 255
  still gives 0..1.
- 32-bit integers and floats (TIFF) are float32 as they are, like .npy files; NaN and infinity are refused.
- The EXIF orientation is applied.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from recurra.readers import area, gif
from recurra.readers.reader import Form, Kind
from recurra.readers.unreadable import UnreadableError, explained

EXTENSIONS = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".tif", ".tiff", ".webp", ".bmp", ".dib"}
)
"""Of the files that are looked at; what they hold is told from their first bytes."""
MOVING = frozenset({".png", ".apng", ".gif", ".tif", ".tiff", ".webp"})
"""Of the formats that can hold several frames."""

_WHITE = (255, 255, 255, 255)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112

# The plugin classes by themselves: Image.open would try any format, warn about large images rather than refuse them,
# and turn a phone's JPEG with a preview into a two-frame MPO.
_FORMATS: tuple[tuple[bytes, type[ImageFile.ImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (b"GIF87a", GifImagePlugin.GifImageFile),
    (b"GIF89a", GifImagePlugin.GifImageFile),
    (b"II*\0", TiffImagePlugin.TiffImageFile),
    (b"MM\0*", TiffImagePlugin.TiffImageFile),
    (b"II+\0", TiffImagePlugin.TiffImageFile),
    (b"MM\0+", TiffImagePlugin.TiffImageFile),
    (b"RIFF", WebPImagePlugin.WebPImageFile),
    (b"BM", BmpImagePlugin.BmpImageFile),
)


@dataclass(frozen=True)
class _Opened:
    image: ImageFile.ImageFile
    first: int
    """The first frame that counts: 1 in an APNG whose first image is a stand-in for programs that show no animation."""
    orientation: int
    form: Form


def _plugin(start: bytes) -> type[ImageFile.ImageFile]:
    for magic, plugin in _FORMATS:
        if start.startswith(magic) and (magic != b"RIFF" or start[8:12] == b"WEBP"):
            return plugin
    if not start:
        raise UnreadableError("the file is empty")
    raise UnreadableError("not a PNG, JPEG, GIF, TIFF, WebP or BMP image, by its first bytes")


def _is_grey(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        palette = image.palette
        table = bytes(palette.palette or b"") if palette is not None and palette.mode == "RGB" else b"\0\0\1"
        return table[0::3] == table[1::3] == table[2::3]
    return image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;16")


def _depth(image: Image.Image, is_png: bool) -> int:
    """Bits of a value: 8, 16 or 32."""
    # A PNG in mode I is a 16-bit one too: Pillow before 11.3 widened it.
    if image.mode.startswith("I;16") or (image.mode == "I" and is_png):
        return 16
    return 32 if image.mode in ("I", "F") else 8


def _orientation(image: ImageFile.ImageFile) -> int:
    # TIFF is turned by Pillow itself; asking a PNG that has no EXIF before its pixels would decode it.
    if image.format == "TIFF" or (image.format in ("PNG", "WEBP", "GIF") and "exif" not in image.info):
        return 1
    try:
        turn = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF does not make the pixels useless
        return 1
    return turn if turn in _TURNS else 1


def _tiff_pages(image: Any, max_pixels: int) -> tuple[int, bool, int]:
    grey, depth, size, frames = True, 8, image.size, 0
    while True:
        grey, depth, frames = grey and _is_grey(image), max(depth, _depth(image, False)), frames + 1
        if image.size != size:
            raise UnreadableError(
                f"page {frames} is {image.width} x {image.height}, the first is {size[0]} x {size[1]}"
            )
        area.check(image.size, frames, max_pixels)
        try:
            image.seek(frames)
        except EOFError:
            break
    image.seek(0)
    return frames, grey, depth


def _counted(image: Any, content: str | bytes, file: IO[bytes], max_pixels: int) -> tuple[int, int, bool, int]:
    """(the first frame that counts, how many do, whether all are grey, the most bits of a value)."""
    if image.format == "GIF":
        return (0, *gif.scan(content if isinstance(content, bytes) else _all(file)), 8)
    if image.format == "TIFF":
        return (0, *_tiff_pages(image, max_pixels))
    frames = image.n_frames if image.format in ("PNG", "WEBP") else 1
    first = int(image.format == "PNG" and frames > 1 and image.default_image)
    return first, frames - first, _is_grey(image), _depth(image, image.format == "PNG")


def _opened(content: str | bytes, file: IO[bytes], kind: Kind, max_pixels: int) -> _Opened:
    plugin = _plugin(file.read(12))
    file.seek(0)
    image: Any = plugin(file)
    area.check(image.size, 1, max_pixels)
    first, frames, grey, depth = _counted(image, content, file, max_pixels)
    area.check(image.size, frames, max_pixels)
    _check_kind(image.format, kind, frames, moves=frames > 1 or first > 0)
    orientation = _orientation(image)
    width, height = image.size if orientation < 5 else image.size[::-1]
    form = Form(frames, height, width, 1 if grey else 3, "float32" if depth > 8 else "uint8", depth == 16)
    return _Opened(image, first, orientation, form)


def _check_kind(name: str, kind: Kind, frames: int, moves: bool) -> None:
    if frames < 1:
        raise UnreadableError("it has no frames")
    if kind == "image" and moves:
        raise UnreadableError(f"{frames} frames, where a still image is expected (data.kind: clips reads animations)")
    # A GIF, WebP or TIFF of one frame may be a clip in which nothing moves: writers drop frames that are alike.
    if kind == "clip" and not moves and name in ("JPEG", "BMP", "DIB", "PNG"):
        raise UnreadableError("a still image, where a clip is expected (data.kind: images reads stills)")


def _all(file: IO[bytes]) -> bytes:
    at = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(at)
    return data


def _open(content: str | bytes) -> IO[bytes]:
    return io.BytesIO(content) if isinstance(content, bytes) else open(content, "rb")


def _path(content: str | bytes) -> str | None:
    return content if isinstance(content, str) else None


def form(content: str | bytes, kind: Kind, max_pixels: int) -> Form:
    """What the image file (a path, or its bytes) decodes to, from its headers. UnreadableError with the reason."""
    with explained(file=_path(content)), _open(content) as file:
        return _opened(content, file, kind, max_pixels).form


def pixels(content: str | bytes, kind: Kind, max_pixels: int) -> np.ndarray:
    """[T, H, W, C] of the image file (a path, or its bytes), as `form` says. UnreadableError with the reason."""
    with explained(file=_path(content)), _open(content) as file:
        opened = _opened(content, file, kind, max_pixels)
        wanted = opened.form
        array = np.empty((wanted.frames, wanted.height, wanted.width, wanted.channels), wanted.dtype)
        for index in range(wanted.frames):
            if wanted.frames > 1 or opened.first:
                opened.image.seek(opened.first + index)
            array[index] = _frame(opened)
        if array.dtype == np.float32 and not np.isfinite(array).all():
            raise UnreadableError("it holds NaN or infinity")
        return array


def _frame(opened: _Opened) -> np.ndarray:
    image: Image.Image = opened.image
    image.load()
    if opened.orientation != 1:
        image = image.transpose(_TURNS[opened.orientation])
    depth = _depth(image, opened.image.format == "PNG")
    if depth > 8:
        return _deep(image, depth)[..., None]
    array = np.asarray(_opaque(image, "L" if opened.form.channels == 1 else "RGB"))
    return array[..., None] if array.ndim == 2 else array


def _deep(image: Image.Image, depth: int) -> np.ndarray:
    values = np.asarray(image)
    if depth == 16:
        return (values * (255 / 65535)).astype(np.float32)
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _opaque(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == mode and not image.has_transparency_data:
        return image
    if image.has_transparency_data:
        page = Image.new("RGBA", image.size, _WHITE)
        page.alpha_composite(image.convert("RGBA"))
        image = page
    # Greys survive the way through RGB exactly: Pillow's luma weights add up to one.
    return image if image.mode == mode else image.convert("RGB").convert(mode)
