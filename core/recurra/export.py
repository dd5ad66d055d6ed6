"""Generated samples as files that other programs take: a folder for each class, or one Parquet table."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np

from recurra.dataset import Dataset, schema
from recurra.durable import fsync_folder, fsync_tree
from recurra.errors import InputError
from recurra.generation import Samples
from recurra.readers.names import is_ignored, split_of

Format = Literal["auto", "png", "gif", "npy", "parquet"]
FORMATS = ("png", "gif", "npy", "parquet")
FRAME_MILLISECONDS = 100
SCALED = "values were scaled to 0..255 to be looked at; npy and parquet keep them"
MERGED = "a GIF holds equal frames in a row as one that is shown longer, and 256 colours; npy and parquet keep them all"
AS_IMAGES = "colour images as .npy look like clips; read them with data.kind: images"
UNSAFE = '/\\:*?"<>|'


def settled(wanted: Format, dataset: Dataset) -> Format:
    """The format that is written; an InputError where it cannot hold such samples.

    `auto`: png for 8-bit images, npy for clips and for grey float images, parquet for float images in colour: what
    keeps every value, and is read again for what it is.
    """
    kind = dataset.sample.kind
    if wanted == "auto":
        if kind == "clip":
            return "npy"
        return "png" if dataset.dtype == np.uint8 else "npy" if dataset.sample.channels == 1 else "parquet"
    if wanted == "png" and kind == "clip":
        raise InputError("--format png: these samples are clips; choose gif, npy or parquet")
    if wanted in ("png", "gif") and dataset.sample.channels not in (1, 3):
        raise InputError(
            f"--format {wanted}: it holds 1 or 3 channels, these have {dataset.sample.channels}; choose npy"
        )
    return wanted


def export(blocks: Iterable[Samples], dataset: Dataset, out: Path, wanted: Format = "auto") -> list[str]:
    """Writes samples into the folder `out`, whole or not at all; what a person should know of it.

    png, gif, npy: OUT/CLASS/000000.png, ...; npy: clips [T, H, W, C], images [H, W] or [H, W, C]. parquet:
    OUT/samples.parquet, with the columns image (fixed-size binary, its shape and dtype in the field's metadata) and
    label. recurra reads each of them as a source again, where a note says how. InputError where `out` is there and not
    empty.
    """
    form = settled(wanted, dataset)
    with _draft(out) as folder:
        if form == "parquet":
            _table(blocks, dataset, folder / "samples.parquet")
        else:
            _files(blocks, dataset, folder, form)
    return list(_notes(form, dataset))


def _notes(form: str, dataset: Dataset) -> Iterator[str]:
    image = dataset.sample.kind == "image"
    if form in ("png", "gif") and dataset.dtype != np.uint8:
        yield SCALED
    if form == "gif" and (not image or dataset.sample.channels > 1):
        yield MERGED
    if form == "npy" and image and dataset.sample.channels > 1:
        yield AS_IMAGES
    if form != "parquet":
        names = zip(dataset.classes, folder_names(dataset.classes), strict=True)
        changed = [f"'{name}' is {folder}" for name, folder in names if name != folder]
        if changed:
            shown = ", ".join(changed[:5]) + (", ..." if len(changed) > 5 else "")
            yield f"class folders have other names where a folder could not have the class's: {shown}"


def folder_names(classes: Sequence[str]) -> list[str]:
    """Classes' names as folders' names, which recurra reads as classes. No two become one, whether or not the file
    system tells cases apart; what cannot stay is written %XX, as in an address.
    """
    names = [_folder_name(name) for name in classes]
    alike = Counter(map(_alike, names))
    return [name if alike[_alike(name)] == 1 else _percent(own) for own, name in zip(classes, names, strict=True)]


def _folder_name(name: str) -> str:
    kept = "".join(_percent(c) if c in UNSAFE or c == "%" or ord(c) < 32 else c for c in name)
    if not kept.strip(". "):
        return _percent(name) or "%"
    # Hidden files are passed over by readers, and a folder named train is a split.
    return _percent(kept[0]) + kept[1:] if is_ignored(kept) or split_of(kept) else kept


def _percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


def _alike(name: str) -> str:
    """Equal for names that are one on some file systems."""
    return unicodedata.normalize("NFC", name).casefold()


@contextmanager
def _draft(out: Path) -> Iterator[Path]:
    from shutil import rmtree
    from tempfile import mkdtemp

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--out {out}: it is there already; name a folder that is new or empty")
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    try:
        folder.chmod(0o755)
        yield folder
        fsync_tree(folder)
        folder.replace(out)
        fsync_folder(out.parent)
    finally:
        rmtree(folder, ignore_errors=True)


def _files(blocks: Iterable[Samples], dataset: Dataset, folder: Path, form: str) -> None:
    write = WRITERS[form]
    names = folder_names(dataset.classes)
    still = dataset.sample.kind == "image"
    for block in blocks:
        pixels = block.pixels if form == "npy" else eight_bit(block.pixels, dataset)
        for number, label, sample in zip(block.numbers.tolist(), block.labels.tolist(), pixels, strict=True):
            place = folder / names[label]
            place.mkdir(exist_ok=True)
            write(place / f"{number // len(names):06}.{form}", sample[0] if still else sample)


def eight_bit(pixels: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Pixels to be looked at: 8-bit ones as they are, others from the real training split's least to its largest."""
    if pixels.dtype == np.uint8:
        return pixels
    low, high = (np.asarray(dataset.summary["statistics"][end], np.float32) for end in ("low", "high"))
    share = (pixels - low) / np.maximum(high - low, np.float32(1e-12))
    return (np.clip(share, 0, 1) * 255).round().astype(np.uint8)


def _picture(frame: np.ndarray) -> object:
    from PIL import Image

    return Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame)


def _png(path: Path, sample: np.ndarray) -> None:
    _picture(sample).save(path)  # type: ignore[attr-defined]


def _gif(path: Path, sample: np.ndarray) -> None:
    first, *rest = (_picture(frame) for frame in (sample if sample.ndim == 4 else sample[None]))
    first.save(path, save_all=True, append_images=rest, duration=FRAME_MILLISECONDS, loop=0, optimize=False)  # type: ignore[attr-defined]


def _npy(path: Path, sample: np.ndarray) -> None:
    # [H, W] can only be an image; [H, W, 1] could be a clip of narrow frames.
    grey_image = sample.ndim == 3 and sample.shape[-1] == 1
    np.save(path, sample[..., 0] if grey_image else sample, allow_pickle=False)


WRITERS: dict[str, Callable[[Path, np.ndarray], None]] = {"png": _png, "gif": _gif, "npy": _npy}


def _table(blocks: Iterable[Samples], dataset: Dataset, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pixels = schema(dataset.sample, str(dataset.dtype), groups=False).field("pixels")
    names = pa.array(dataset.classes, pa.string())
    label = pa.field("label", pa.dictionary(pa.int32(), pa.string()), nullable=False)
    columns = pa.schema([pixels.with_name("image"), label])
    with pq.ParquetWriter(path, columns, compression="none", write_page_checksum=True) as to:
        for block in blocks:
            flat = np.ascontiguousarray(block.pixels)
            image = pa.FixedSizeBinaryArray.from_buffers(pixels.type, len(flat), [None, pa.py_buffer(flat)])
            classes = pa.DictionaryArray.from_arrays(pa.array(block.labels, pa.int32()), names)
            to.write_table(pa.Table.from_arrays([image, classes], schema=columns))
