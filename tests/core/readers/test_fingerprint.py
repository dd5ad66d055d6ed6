import os
import time
from pathlib import Path

import pytest

from recurra.readers import fingerprint
from recurra.readers.fingerprint import digest_of_files

LONG_AGO = time.time() - 3600


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[str]]:
    """Enough old files to be remembered."""
    monkeypatch.setenv("RECURRA_HOME", str(tmp_path / "home"))
    root, names = tmp_path / "tree", [f"{n}.bin" for n in range(300)]
    root.mkdir()
    for name in names:
        write(root / name, name.encode())
    return root, names


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    os.utime(path, (LONG_AGO, LONG_AGO))


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that were read."""
    seen, plain = [], fingerprint._sha256

    def noted(path: str) -> bytes:
        seen.append(path)
        return plain(path)

    monkeypatch.setattr(fingerprint, "_sha256", noted)
    return seen


def test_files_that_have_not_changed_are_not_read_again(tree, hashed: list[str]) -> None:
    root, names = tree
    first = digest_of_files(str(root), names)
    assert len(hashed) == 300
    assert digest_of_files(str(root), reversed(names)) == first
    assert len(hashed) == 300


def test_a_changed_file_is_read_again_and_changes_the_digest(tree, hashed: list[str]) -> None:
    root, names = tree
    first = digest_of_files(str(root), names)
    write(root / "7.bin", b"another")
    assert digest_of_files(str(root), names) != first
    assert len(hashed) == 301
    write(root / "7.bin", b"7.bin")
    assert digest_of_files(str(root), names) == first


def test_a_name_counts_and_the_place_of_the_tree_does_not(tree, tmp_path: Path) -> None:
    root, names = tree
    first = digest_of_files(str(root), names)
    root.rename(tmp_path / "moved")
    assert digest_of_files(str(tmp_path / "moved"), names) == first
    (tmp_path / "moved/7.bin").rename(tmp_path / "moved/x.bin")
    assert digest_of_files(str(tmp_path / "moved"), [*names[:7], "x.bin", *names[8:]]) != first


def test_a_file_changed_just_now_is_not_trusted_to_be_the_same(tree, hashed: list[str]) -> None:
    root, names = tree
    (root / "7.bin").write_bytes(b"fresh")
    digest_of_files(str(root), names)
    digest_of_files(str(root), names)
    assert len(hashed) == 301


@pytest.mark.parametrize("damage", [b"", b"nonsense"])
def test_a_damaged_memory_costs_a_reading_and_nothing_else(tree, tmp_path: Path, damage: bytes) -> None:
    root, names = tree
    first = digest_of_files(str(root), names)
    (memory,) = (tmp_path / "home/digests").iterdir()
    memory.write_bytes(damage)
    assert digest_of_files(str(root), names) == first


def test_a_home_that_cannot_be_written_to_is_no_obstacle(tree, tmp_path: Path) -> None:
    root, names = tree
    (tmp_path / "home").write_text("a file where the folder would be")
    assert digest_of_files(str(root), names) == digest_of_files(str(root), names)
