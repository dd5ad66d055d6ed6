import numpy as np
import pytest

from recurra.errors import InputError
from recurra.experiment import Data
from recurra.readers import Source, open_source
from recurra.readers.moving_digits import FRAMES, MOTIONS, SIDE, TRAIN_DIGITS, Clips, clips


def opened(name: str, **settings) -> Source:
    return open_source(name, Data(source=name, **settings))


def test_digits_are_spread_over_the_8_bit_range() -> None:
    from sklearn.datasets import load_digits

    source = opened("digits")
    assert (source.kind, source.classes, len(source.samples)) == ("image", tuple("0123456789"), 1797)
    assert set(source.samples.splits) == {""}
    block = source.read(np.array([1796, 3]))
    expected = np.round(load_digits().images[[1796, 3]] * 255 / 16)
    np.testing.assert_array_equal(block.arrays[:, 0, :, :, 0], expected)


def test_moving_digits_are_the_same_every_time() -> None:
    first, again = opened("moving-digits"), opened("moving-digits")
    rows = np.array([3599, 0, 17])
    np.testing.assert_array_equal(first.read(rows).arrays, again.read(rows).arrays)
    assert first.digest() == again.digest()
    assert first.read(rows).arrays.shape == (3, FRAMES, SIDE, SIDE, 1)


def test_digits_of_the_test_clips_are_in_no_training_clip() -> None:
    source = opened("moving-digits")
    tested = source.samples.splits == "test"
    assert clips().digit[tested].min() >= TRAIN_DIGITS > clips().digit[~tested].max()
    for split in (tested, ~tested):
        assert len(set(np.bincount(source.samples.labels[split]))) == 1


def every_clip_of(motion: str) -> Clips:
    """The clips of one motion of one digit from every place, at every speed and phase: the whole distribution."""
    row, column, speed, phase = (
        axis.ravel() for axis in np.meshgrid(range(SIDE), range(SIDE), (1, 2), range(16), indexing="ij")
    )
    number = np.full(row.shape, MOTIONS.index(motion))
    return Clips(np.zeros_like(row), number.astype(np.int32), np.stack([row, column], -1), speed, phase)


@pytest.mark.parametrize("motion", MOTIONS)
def test_no_frame_by_itself_tells_the_motion(motion: str) -> None:
    # Of all clips of a motion, each frame shows the digit in each place equally often: as in every other motion.
    corners = every_clip_of(motion).paths()
    for frame in range(FRAMES):
        places = corners[:, frame, 0] * SIDE + corners[:, frame, 1]
        assert set(np.bincount(places, minlength=SIDE * SIDE)) == {len(places) // SIDE**2}


@pytest.mark.parametrize(("motion", "reverse"), [MOTIONS[at : at + 2] for at in (0, 2, 4)])
def test_frames_in_no_order_do_not_tell_a_motion_from_its_reverse(motion: str, reverse: str) -> None:
    def each(clips_of: np.ndarray) -> list[bytes]:
        return sorted(np.sort(path[:, 0] * SIDE + path[:, 1]).tobytes() for path in clips_of)

    assert each(every_clip_of(motion).paths()) == each(every_clip_of(reverse).paths())


def test_digits_move_as_their_class_says() -> None:
    start = np.full((6, 2), 8)
    six = Clips(np.zeros(6, int), np.arange(6, dtype=np.int32), start, np.ones(6, int), np.zeros(6, int))
    steps = (six.paths()[:, 1] - six.paths()[:, 0]).tolist()
    assert steps[:4] == [[0, -1], [0, 1], [-1, 0], [1, 0]]
    # Both circles begin at their rightmost point: clockwise goes down from there, and rows grow downwards.
    assert steps[4][0] > 0 > steps[5][0]


def test_moving_digits_are_no_images() -> None:
    with pytest.raises(InputError, match=r"data\.kind"):
        opened("moving-digits", kind="images")
