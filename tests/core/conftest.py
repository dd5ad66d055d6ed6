"""Sources in memory, for tests of what happens between a reader and a network; and pages, read and browsed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from recurra.readers.reader import Block, Form, Kind, Refused, Samples


@dataclass
class MemorySource:
    """Arrays [T, H, W, C] with labels; `broken` rows are refused when they are decoded, `headless` ones before."""

    arrays: Sequence[np.ndarray]
    samples: Samples
    classes: tuple[str, ...]
    kind: Kind = "image"
    refused: Sequence[Refused] = ()
    broken: frozenset[int] = frozenset()
    headless: frozenset[int] = frozenset()
    decoded: list[int] = field(default_factory=list)

    def digest(self) -> str:
        return hashlib.sha256(b"".join(array.tobytes() for array in self.arrays)).hexdigest()

    def forms(self, rows: np.ndarray) -> Sequence[Form | Refused]:
        return [self._refused(row) if row in self.headless else self._form(self.arrays[row]) for row in map(int, rows)]

    def read(self, rows: np.ndarray) -> Block:
        self.decoded += rows.tolist()
        good = [row for row in map(int, rows) if row not in self.broken]
        bad = tuple(self._refused(row) for row in map(int, rows) if row in self.broken)
        return Block(np.array(good, np.int64), [self.arrays[row] for row in good], bad)

    def _refused(self, row: int) -> Refused:
        return Refused(row, self.samples.sources[row], "is cut short")

    @staticmethod
    def _form(array: np.ndarray) -> Form:
        frames, height, width, channels = array.shape
        return Form(frames, height, width, channels, str(array.dtype))  # type: ignore[arg-type]


def in_memory(
    arrays: Sequence[np.ndarray],
    labels: Sequence[int],
    splits: Sequence[str] | None = None,
    sources: Sequence[str] | None = None,
    **fields: object,
) -> MemorySource:
    """A source of these arrays; classes `a`, `b`, ... and no splits of its own unless said."""
    names = sources or [f"{'abcdefgh'[label]}/{row:04}.png" for row, label in enumerate(labels)]
    own = np.array(splits if splits is not None else [""] * len(labels))
    samples = Samples(names, np.array(labels, np.int32), own, {})
    classes = tuple("abcdefgh"[: max(labels) + 1])
    return MemorySource(arrays, samples, classes, **fields)  # type: ignore[arg-type]


@pytest.fixture
def source_of() -> object:
    """`in_memory`, for tests to call."""
    return in_memory


@pytest.fixture
def images() -> MemorySource:
    """Sixty 8-bit images of 6x5 in three classes."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 1, 6, 5, 1), dtype=np.uint8)
    return in_memory(list(pixels), [row % 3 for row in range(60)])


@pytest.fixture
def clips() -> MemorySource:
    """Forty float32 clips of 4x4, of 3 to 9 frames, in two classes; each fifth is for the test."""
    random = np.random.default_rng(0)
    arrays = [random.normal(20, 2, (3 + row % 7, 4, 4, 1)).astype(np.float32) for row in range(40)]
    splits = ["test" if row % 5 == 0 else "train" for row in range(40)]
    return in_memory(arrays, [row % 2 for row in range(40)], splits, kind="clip")


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text within."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag in tags]


@pytest.fixture
def elements_of() -> type[Elements]:
    """`Elements`, for tests to call."""
    return Elements


@pytest.fixture
def browsed(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A page in a real Chromium: what it makes of it on stdout, its console on stderr."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed")

    def browse(page: str, scheme: str, width: int = 1100) -> subprocess.CompletedProcess[str]:
        (tmp_path / "page.html").write_text(page, encoding="utf-8")
        options = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
        options += " --disable-component-update --disable-sync --enable-logging=stderr --v=0 --dump-dom"
        options += f" --user-data-dir={tmp_path}/user --window-size={width},900"
        options += f" --blink-settings=preferredColorScheme={int(scheme == 'light')}"
        command = [chromium, *options.split(), (tmp_path / "page.html").as_uri()]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)

    return browse


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a distribution with one entry point on the path, as pip would."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(
        name: str, code: str, distribution: str = "strange-plugin", requires: str = "", group: str = "recurra.backends"
    ) -> None:
        module = f"{distribution.replace('-', '_')}_{name}"
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{distribution}-1.2.dist-info"
        info.mkdir(exist_ok=True)
        needs = f"Provides-Extra: engine\nRequires-Dist: {requires}; extra == 'engine'\n" if requires else ""
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n{needs}")
        extra = " [engine]" if requires else ""
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}{extra}\n")
        sys.modules.pop(module, None)

    return make
