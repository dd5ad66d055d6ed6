import os

from hypothesis import given
from hypothesis import strategies as st

from recurra.readers.names import escaped, natural, split_of, split_prefix, unescaped


@given(st.binary(max_size=40))
def test_any_file_name_becomes_printable_utf8_and_back(raw: bytes) -> None:
    name = os.fsdecode(raw)
    text = escaped(name)
    text.encode("utf-8")
    assert not any(ord(char) < 32 or 0xD800 <= ord(char) < 0xE000 for char in text)
    assert unescaped(text) == name


@given(st.text(max_size=40).filter(lambda text: text.isprintable()))
def test_different_names_have_different_texts(name: str) -> None:
    assert (escaped(name) == escaped(name + "\\")) is False
    assert escaped("\\xff") != escaped(os.fsdecode(b"\xff"))


def test_frame_2_comes_before_frame_10() -> None:
    names = ["frame10.png", "frame2.png", "frame1.png", "a.png", "10.png", "9.png"]
    assert sorted(names, key=natural) == ["9.png", "10.png", "a.png", "frame1.png", "frame2.png", "frame10.png"]


def test_folders_and_file_names_say_their_split() -> None:
    assert [split_of(name) for name in ("Train", "val", "testing", "cats")] == ["train", "validation", "test", None]
    assert split_prefix("validation-00000-of-00001.parquet") == "validation"
    assert split_prefix("trainers.parquet") is None
