"""Generated samples as files that other programs take: a folder for each class, or one Parquet table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np

from recurra.dataset import Dataset, schema
from recurra.durable import fsync_folder, fsync_tree
from recurra.errors import InputError
from recurra.generation import Samples

Format = Literal["auto", "png", "gif", "npy", "parquet"]
FORMATS = ("png", "gif", "npy", "parquet")
FRAME_MILLISECONDS = 100
SCALED = "values were scaled to 0..255 to be looked at; npy and parquet keep them"
UNSAFE = '/\\:*?"<>|'


def settled(wanted: Format, dataset: Dataset) -> Format:
    """The format that is written; an InputError where it cannot hold such samples.

    `auto`: png for 8-bit images, gif for 8-bit grey clips, npy for all others, which a GIF of 256 colours would change.
    """
    kind, eight_bit = dataset.sample.kind, dataset.dtype == np.uint8
    if wanted == "auto":
        if not eight_bit or (kind == "clip" and dataset.sample.channels > 1):
            return "npy"
        return "png" if kind == "image" else "gif"
    if wanted == "png" and kind == "clip":
        raise InputError("--format png: these samples are clips; choose gif, npy or parquet")
    if wanted in ("png", "gif") and dataset.sample.channels not in (1, 3):
        raise InputError(
            f"--format {wanted}: it holds 1 or 3 channels, these have {dataset.sample.channels}; choose npy"
        )
    return wanted


def export(blocks: Iterable[Samples], dataset: Dataset, out: Path, wanted: Format = "auto") -> list[str]:
    """Writes samples into the folder `out`, whole or not at all; what a person should know of it.

    png, gif, npy: OUT/CLASS/000000.png, ..., which recurra reads as a source again. parquet: OUT/samples.parquet, with
    the columns image (fixed-size binary, its shape and dtype in the field's metadata) and label. InputError where
    `out` is there and not empty.
    """
    form = settled(wanted, dataset)
    with _draft(out) as folder:
        if form == "parquet":
            _table(blocks, dataset, folder / "samples.parquet")
        else:
            _files(blocks, dataset, folder, form)
    return [SCALED] if form in ("png", "gif") and dataset.dtype != np.uint8 else []


def folder_name(name: str) -> str:
    """A class's name as a folder's; no two names that differ become one."""
    kept = "".join(f"%{ord(c):02X}" if c in UNSAFE or c == "%" or ord(c) < 32 else c for c in name)
    return kept if kept.strip(". ") else "".join(f"%{ord(c):02X}" for c in name) or "%"


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
    names = [folder_name(name) for name in dataset.classes]
    for block in blocks:
        pixels = block.pixels if form == "npy" else eight_bit(block.pixels, dataset)
        for number, label, sample in zip(block.numbers.tolist(), block.labels.tolist(), pixels, strict=True):
            place = folder / names[label]
            place.mkdir(exist_ok=True)
            write(place / f"{number // len(names):06}.{form}", sample)


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
    _picture(sample[0]).save(path)  # type: ignore[attr-defined]


def _gif(path: Path, sample: np.ndarray) -> None:
    first, *rest = (_picture(frame) for frame in sample)
    first.save(path, save_all=True, append_images=rest, duration=FRAME_MILLISECONDS, loop=0, optimize=False)  # type: ignore[attr-defined]


def _npy(path: Path, sample: np.ndarray) -> None:
    np.save(path, sample if len(sample) > 1 else sample[0], allow_pickle=False)


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
