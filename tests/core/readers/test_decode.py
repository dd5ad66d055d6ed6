import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recurra.readers import decode
from recurra.readers.reader import Kind
from recurra.readers.unreadable import UnreadableError

ANY = 1 << 30


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def read(content: bytes, kind: Kind = "image") -> np.ndarray:
    """The pixels, checked against the form that the header promised."""
    array, form = decode.pixels(content, kind, ANY), decode.form(content, kind, ANY)
    assert array.shape == (form.frames, form.height, form.width, form.channels)
    assert array.dtype == form.dtype
    return array


def ramp(mode: str) -> Image.Image:
    return Image.fromarray(np.arange(0, 240, 10, np.uint8).reshape(4, 6)).convert(mode)


@pytest.mark.parametrize(
    ("mode", "kind", "channels"),
    [
        ("1", "PNG", 1),
        ("L", "PNG", 1),
        ("LA", "PNG", 1),
        ("P", "PNG", 1),
        ("RGB", "PNG", 3),
        ("RGBA", "PNG", 3),
        ("L", "GIF", 1),
        ("L", "TIFF", 1),
        ("CMYK", "TIFF", 3),
        ("RGB", "TIFF", 3),
        ("LAB", "TIFF", 3),
        ("L", "BMP", 1),
        ("RGB", "BMP", 3),
        ("L", "JPEG", 1),
        ("CMYK", "JPEG", 3),
        ("RGB", "WEBP", 3),
    ],
)
def test_every_mode_becomes_grey_or_colour(mode: str, kind: str, channels: int) -> None:
    array = read(encoded(ramp(mode), kind))
    assert array.shape == (1, 4, 6, channels)
    assert array.dtype == np.uint8


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_greys_survive_a_palette_exactly(kind: str) -> None:
    image = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(4, 6))
    image.putpalette([level for grey in range(0, 240, 10) for level in (grey, grey, grey)])
    array = read(encoded(image, kind))
    np.testing.assert_array_equal(array[0, :, :, 0], np.arange(0, 240, 10).reshape(4, 6))


def test_bilevel_pixels_are_0_and_255() -> None:
    assert set(np.unique(read(encoded(ramp("1"), "PNG")))) == {0, 255}


def test_transparency_is_laid_on_white() -> None:
    half = Image.fromarray(np.array([[[10, 20, 30, 0], [10, 20, 30, 255]]], np.uint8))
    np.testing.assert_array_equal(read(encoded(half, "PNG"))[0, 0], [[255, 255, 255], [10, 20, 30]])
    grey = Image.fromarray(np.array([[[7, 0], [7, 255]]], np.uint8))
    np.testing.assert_array_equal(read(encoded(grey, "PNG"))[0, 0, :, 0], [255, 7])
    keyed = read(encoded(ramp("L"), "PNG", transparency=0))
    assert keyed[0, 0, 0, 0] == 255
    assert keyed[0, 0, 1, 0] == 10


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_greys_are_scaled_and_not_clipped(kind: str) -> None:
    values = np.array([[0, 257, 32768, 65535]], np.uint16)
    array = read(encoded(Image.fromarray(values), kind))
    assert array.dtype == np.float32
    np.testing.assert_allclose(array[0, 0, :, 0], values[0] * (255 / 65535), rtol=1e-6)


def test_floats_are_as_they_are_and_nan_is_refused() -> None:
    array = read(encoded(Image.fromarray(np.array([[-1.5, 300.25]], np.float32)), "TIFF"))
    np.testing.assert_array_equal(array[0, 0, :, 0], [-1.5, 300.25])
    with pytest.raises(UnreadableError, match="NaN"):
        read(encoded(Image.fromarray(np.array([[np.nan]], np.float32)), "TIFF"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(kind: str, orientation: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(ramp("RGB").resize((24, 16)), kind, exif=exif)
    with Image.open(io.BytesIO(content)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(read(content)[0], expected)


def moving(mode: str = "L", frames: int = 5) -> list[Image.Image]:
    pixels = np.zeros((frames, 8, 12), np.uint8)
    pixels[np.arange(frames), 2:5, np.arange(frames)] = 200
    return [Image.fromarray(frame).convert(mode) for frame in pixels]


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
def test_every_frame_of_an_animation_is_read(kind: str, mode: str) -> None:
    frames = moving(mode)
    options = {"lossless": True} if kind == "WEBP" else {}
    array = read(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options), "clip")
    expected = np.stack([np.asarray(frame.convert("L")) for frame in frames])
    assert array.shape[:3] == (5, 8, 12)
    np.testing.assert_array_equal(array[..., 0], expected)


def test_the_stand_in_image_of_an_apng_is_no_frame() -> None:
    still, *frames = moving()
    content = encoded(still, "PNG", save_all=True, append_images=frames, default_image=True)
    array = read(content, "clip")
    np.testing.assert_array_equal(array[..., 0], np.stack([np.asarray(frame) for frame in frames]))


def test_a_gif_with_one_coloured_frame_is_in_colour() -> None:
    grey, coloured = moving("RGB", 2)
    coloured.putpixel((0, 0), (255, 0, 0))
    array = read(encoded(grey, "GIF", save_all=True, append_images=[coloured]), "clip")
    assert array.shape[-1] == 3
    np.testing.assert_array_equal(array[1, 0, 0], [255, 0, 0])


def test_animations_and_stills_are_refused_where_the_other_is_expected() -> None:
    frames = moving()
    animation = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(UnreadableError, match=r"5 frames.*data\.kind: clips"):
        decode.form(animation, "image", ANY)
    with pytest.raises(UnreadableError, match=r"a still image.*data\.kind: images"):
        decode.form(encoded(frames[0], "PNG"), "clip", ANY)


@pytest.mark.parametrize(
    ("dtype", "kind", "scaled"),
    [(np.uint8, "PNG", False), (np.uint16, "PNG", True), (np.uint16, "TIFF", True), (np.float32, "TIFF", False)],
)
def test_the_form_says_whether_floats_are_on_the_scale_of_8_bit_values(dtype: type, kind: str, scaled: bool) -> None:
    content = encoded(Image.fromarray(np.ones((4, 6), dtype)), kind)
    assert decode.form(content, "image", ANY).scaled == scaled


def test_a_large_image_is_refused_by_its_header_alone() -> None:
    content = bytearray(encoded(Image.new("L", (4, 4)), "BMP"))
    content[18:26] = (60_000).to_bytes(4, "little") * 2
    with pytest.raises(UnreadableError, match=r"60000 x 60000 pixels.*data\.max_pixels"):
        decode.form(bytes(content), "image", 100_000_000)


def test_other_formats_are_refused_whatever_their_name(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.new("RGB", (4, 4)).save(path, "PPM")
    with pytest.raises(UnreadableError, match="not a PNG, JPEG"):
        decode.pixels(str(path), "image", ANY)
