"""Champions: challenged as they are in use, replaced by what is surely better and by nothing else, and gone back to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from recurra.champion import challenge as challenging
from recurra.champion.challenge import Sides, challenge
from recurra.champion.duel import Duel, paired
from recurra.champion.findings import Findings
from recurra.champion.promotion import OvertakenError, Verdict, enter, first, tell, untold, verdict
from recurra.champion.record import Network, champion_run, champions, existing, read
from recurra.champion.rollback import roll_back
from recurra.champion.rules import Rules
from recurra.champion.seeing import not_comparable
from recurra.champion.words import markdown
from recurra.dataset import Dataset
from recurra.errors import InputError
from recurra.experiment import Data, Experiment
from recurra.home import Home
from recurra.predictions import PredictionWriter
from recurra.preprocess import preprocess
from recurra.progress import Silent
from recurra.run import Run
from recurra.store import Outcome


def experiment(**data: Any) -> Experiment:
    return Experiment.model_validate({"name": "e", "data": {"source": "x", **data}})


Made = Callable[..., Any]


@pytest.fixture
def source(source_of: Any) -> Made:
    """Makes images of 6x5 with names and noise of their own; the first pixel says the class: 10 for a, 20 for b, ..."""

    def make(rows: Sequence[int], classes: str = "abc", seed: int = 0) -> Any:
        labels = [row % len(classes) for row in rows]
        arrays = [np.random.default_rng([seed, row]).integers(0, 256, (1, 6, 5, 1), dtype=np.uint8) for row in rows]
        for array, label in zip(arrays, labels, strict=True):
            array[0, 0, 0, 0] = 10 * ("abcdefgh".index(classes[label]) + 1)
        made = source_of(arrays, labels, sources=[f"{row:05}.png" for row in rows])
        return replace(made, classes=tuple(classes))

    return make


class Reader:
    """A network that reads the class from the first pixel, by the statistics and classes of its own dataset."""

    def __init__(self, dataset: Dataset, blind: str = "") -> None:
        self.dataset, self.blind = dataset, blind

    def logits(self, x: np.ndarray) -> np.ndarray:
        scale, offset = self.dataset.normalisation.scale[0], self.dataset.normalisation.offset[0]
        number = np.rint((x[:, 0, 0, 0, 0] - offset) / scale / 10).astype(int) - 1
        answers = np.zeros((len(x), len(self.dataset.classes)), np.float32)
        for row, each in enumerate(number):
            name = "abcdefgh"[each] if 0 <= each < 8 else ""
            place = self.dataset.classes.index(name) if name in self.dataset.classes and name not in self.blind else 0
            answers[row, place] = 5
        return answers


def predictions(file: Path, dataset: Dataset, network: Reader) -> Path:
    test = dataset.splits["test"]
    with PredictionWriter(file, dataset.classes) as writer:
        logits = network.logits(dataset.normalisation.apply(test.pixels()))
        writer.write(np.arange(len(test)), test.sources(), test.labels(), logits)
    return file


@pytest.fixture
def meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """A challenge between networks of two sources: the champion's, blind for some classes, and the new one's."""

    def findings(old: Any, new: Any, blind: str = "", champion: Any = None, **data: Any) -> Findings:
        sets = []
        for name, each, fields in (("old", old, champion or {}), ("new", new, data)):
            (tmp_path / name).mkdir()
            sets.append(preprocess(each, experiment(**fields), tmp_path / name, Silent()))
        reader = Reader(sets[0], blind)
        monkeypatch.setattr(challenging, "trained", lambda *_: SimpleNamespace(classifier=reader))
        own = predictions(tmp_path / "own.parquet", sets[0], reader)
        theirs = predictions(tmp_path / "theirs.parquet", sets[1], Reader(sets[1]))
        (tmp_path / "made").mkdir()
        sides = Sides(experiment(), sets[0].folder, tmp_path / "weights", own, sets[1].folder, theirs)
        challenge(sides, lambda: new, tmp_path / "made", Silent())
        return Findings.read(tmp_path / "made")

    return findings


def test_the_champion_answers_by_its_own_statistics_and_classes(meet: Made, source: Made) -> None:
    # The new dataset has other statistics and its classes in another order.
    bright = source(range(300), "cba", seed=1)
    found = meet(source(range(300, 600)), bright, normalise={"scale": "standard"})
    assert found.duel is not None
    assert (found.duel.champion, found.duel.challenger) == (1, 1)
    assert found.duel.samples == found.data.test_after == 60
    assert (found.data.added, found.data.removed, found.shared) == (300, 300, None)


def test_added_samples_leave_test_samples_in_place_and_learnt_ones_are_left_out(meet: Made, source: Made) -> None:
    found = meet(source(range(300)), source(range(450)), blind="b")
    data, tested = found.data, found.tested
    assert (data.before, data.after, data.added, data.removed, data.changed) == (300, 450, 150, 0, 0)
    assert tested.samples + tested.learnt == data.test_after
    # The new test split is old test samples, samples that the champion learnt from, and added ones.
    assert 50 <= tested.own <= 60
    assert 0 < tested.learnt < 10
    assert found.duel.only_challenger == pytest.approx(found.duel.samples / 3, abs=5)
    assert verdict(found, Rules()).decision == "promoted"


def test_a_sample_that_was_learnt_under_another_name_is_left_out_too(meet: Made, source: Made) -> None:
    old = source(range(300))
    names = [f"renamed-{name}" for name in old.samples.sources]
    found = meet(old, replace(old, samples=replace(old.samples, sources=names)))
    assert (found.data.added, found.data.removed) == (300, 300)
    assert found.tested.own == 0
    assert 30 < found.tested.learnt < 60
    assert found.tested.samples + found.tested.learnt == 60


def test_samples_of_a_group_that_one_network_alone_learnt_from_do_not_count(meet: Made, source: Made) -> None:
    old = source(range(300))
    old.samples.groups["person"] = [f"p{row // 30}" for row in range(300)]
    new = source(range(300, 600))
    new.samples.groups["person"] = [f"p{row // 30}" for row in range(300)]
    held = {"column": "person", "hold_out": ["p1", "p2"]}
    found = meet(old, new, test_group={"column": "person", "hold_out": ["p2", "p3"]}, champion={"test_group": held})
    assert (found.tested.samples, found.tested.learnt) == (30, 30)
    assert (found.duel.groups, found.duel.worth) == (1, 1)
    page = markdown("e", "told", network("new"), network("old"), found, Rules())
    assert "They are of 1 group, and worth 1 independent sample." in page


def test_pictures_that_both_networks_know_from_training_do_not_count(meet: Made, source: Made) -> None:
    old, new = source(range(300)), source(range(300, 600))
    new.arrays[:] = [new.arrays[row % 3] for row in range(300)]
    found = meet(old, new)
    assert (found.tested.repeated, found.tested.samples, found.duel) == (60, 0, None)
    assert verdict(found, Rules()).why == "no test sample is left that both networks can read and neither learnt from"


def test_a_class_that_the_champion_does_not_know_counts_against_it_and_is_told_apart(meet: Made, source: Made) -> None:
    found = meet(source(range(300)), source(range(300, 700), "abcd"))
    assert found.data.classes_added == ("d",)
    assert found.duel.champion == pytest.approx(0.75, abs=0.02)
    assert found.shared.champion == found.shared.challenger == 1
    assert verdict(found, Rules()).decision == "promoted"
    page = markdown("e", "told", network("new"), network("old"), found, Rules())
    assert "New: class d. The champion does not know that" in page


def test_where_the_champion_names_a_class_that_is_gone_it_is_wrong(meet: Made, source: Made) -> None:
    found = meet(source(range(300)), source(range(300, 500), "bc"), blind="b")
    assert found.data.classes_removed == ("a",)
    assert (found.duel.champion, found.shared) == (0.5, None)


def test_a_champion_of_other_geometry_is_given_the_source_by_its_own_preprocessing(meet: Made, source: Made) -> None:
    found = meet(source(range(300)), source(range(450)), size=8)
    assert found.data.prepared
    # Its own samples are known by their pixels, which are its own again.
    assert (found.data.changed, found.data.added) == (0, 150)
    assert found.duel.champion == 1
    assert found.tested.unreadable == 0


def test_samples_that_the_champions_preprocessing_refuses_do_not_count(meet: Made, source: Made) -> None:
    new = source(range(450))
    new.arrays[:] = [array.astype(np.float32) * 1000 for array in new.arrays]
    found = meet(source(range(300)), new)
    assert (found.data.prepared, found.duel) == (True, None)
    assert found.tested.unreadable == found.data.test_after == 90
    assert {each.name for each in found.drift} == {"classes"}
    assert verdict(found, Rules()).decision == "kept"
    assert "refuses them: 90" in markdown("e", "told", network("new"), network("old"), found, Rules())


def test_what_the_new_samples_look_like_is_told_and_not_only_the_mean_of_all(meet: Made, source: Made) -> None:
    old, new = source(range(600)), source(range(612))
    for row in range(600, 612):
        new.arrays[row] = np.concatenate([new.arrays[row][:, :1], new.arrays[row][:, 1:] // 3], 1)
    found = meet(old, new)
    alarmed = {(each.name, each.of) for each in found.drift if each.alarms(Rules().threshold(each.name))}
    assert ("brightness", "new samples") in alarmed
    assert ("brightness", "training samples") not in alarmed
    assert (found.fresh, found.asked) == (12, 12)


def test_images_do_not_challenge_clips(images: Any, clips: Any, tmp_path: Path) -> None:
    sets = []
    for name, each in (("i", images), ("c", clips)):
        (tmp_path / name).mkdir()
        sets.append(preprocess(each, experiment(), tmp_path / name, Silent()))
    assert not_comparable(*sets) == "the champion recognises clips, and the data are images now"


def duel(n: int, only_champion: int, only_challenger: int) -> Duel:
    """Of n samples: so many that one alone has right, both the rest."""
    champion, challenger = np.ones(n, bool), np.ones(n, bool)
    champion[:only_challenger] = False
    challenger[n - only_champion :] = only_champion == 0
    found = Duel.of(champion, challenger)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("only_champion", "only_challenger", "margin", "decision"),
    [
        (10, 40, 0.0, "promoted"),
        (40, 10, 0.0, "kept"),
        (20, 25, 0.0, "kept"),  # the interval holds 0
        (0, 4, 0.0, "kept"),  # four heads in a row are no wonder
        (0, 6, 0.0, "promoted"),
        (0, 0, 0.0, "kept"),
        (0, 0, -0.01, "promoted"),
        (0, 0, -0.005, "kept"),  # a difference of half a point may show in none of 1,000
        (10, 40, 0.02, "kept"),
        (22, 20, -0.03, "promoted"),
    ],
)
def test_only_a_difference_that_is_sure_promotes(
    only_champion: int, only_challenger: int, margin: float, decision: str
) -> None:
    found = SimpleNamespace(duel=duel(1000, only_champion, only_challenger), shared=None)
    assert verdict(found, Rules(margin=margin)).decision == decision  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("samples", [1, 3, 10, 300])
def test_few_samples_do_not_show_that_a_network_is_no_worse(samples: int) -> None:
    found = SimpleNamespace(duel=duel(samples, 0, 0), shared=None)
    assert verdict(found, Rules(margin=-0.01)).decision == "kept"  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("samples", "telling", "truth"), [(12, 0.1, -0.1), (80, 0.1, 0.0), (600, 0.04, 0.02)])
def test_the_interval_holds_the_difference_as_often_as_it_says(samples: int, telling: float, truth: float) -> None:
    random = np.random.default_rng(0)
    outside = 0
    for _ in range(1000):
        ours, theirs, _ = random.multinomial(samples, [(telling + truth) / 2, (telling - truth) / 2, 1 - telling])
        outside += truth not in paired(int(theirs), int(ours), samples)
    assert outside <= 50


def test_samples_of_a_group_do_not_count_as_if_they_were_independent() -> None:
    random, groups = np.random.default_rng(0), np.repeat(np.arange(20), 50)
    promoted = 0
    for _ in range(300):
        champion, challenger = (random.random(1000) < np.repeat(random.beta(4, 1, 20), 50) for _ in range(2))
        found = SimpleNamespace(duel=Duel.of(champion, challenger, groups), shared=None)
        promoted += verdict(found, Rules()).decision == "promoted"  # pyright: ignore[reportArgumentType]
    assert promoted <= 12  # of two that are equally good; 71 were without the groups
    same = Duel.of(np.ones(1000, bool), np.ones(1000, bool), groups)
    assert same is not None
    assert (same.groups, same.worth) == (20, 20)


def test_a_network_that_gains_by_a_new_class_alone_and_loses_on_the_others_is_not_promoted() -> None:
    found = SimpleNamespace(duel=duel(1000, 30, 200), shared=duel(800, 30, 2))
    decided = verdict(found, Rules())  # pyright: ignore[reportArgumentType]
    assert (decided.decision, "worse on the classes that the champion knows" in decided.why) == ("kept", True)


def network(run: str) -> Network:
    return Network(run, f"sha-{run}", {}, {"accuracy": 0.5}, {"dataset": "k", "digest": "d", "samples": 10})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_a_decision_is_recorded_once_however_often_it_is_reached(home: Home) -> None:
    kept = Verdict("kept", "no better")
    assert enter(home, "e", network("a"), first(), None) is not None
    assert enter(home, "e", network("b"), kept, network("a")) is not None
    assert enter(home, "e", network("b"), kept, network("a")) is None
    assert [each.decision for each in read(home, "e").history] == ["promoted", "kept"]
    assert [each.network.run for each in untold(home, "e")] == ["a", "b"]
    tell(home, "e", untold(home, "e")[0])
    assert [each.network.run for each in untold(home, "e")] == ["b"]
    written = json.loads((home.path / "champions/e/champion.json").read_text())
    assert (written["schema"], written["current"]["run"], written["current"]["why"]) == (
        1,
        "a",
        "there was no champion yet",
    )


def test_of_many_that_beat_the_same_champion_at_once_one_is_promoted(home: Home) -> None:
    enter(home, "e", network("a"), first(), None)
    said: list[str] = []

    def promote(run: str) -> None:
        try:
            enter(home, "e", network(run), Verdict("promoted", "better"), network("a"))
            said.append("promoted")
        except OvertakenError:
            said.append("overtaken")

    threads = [threading.Thread(target=promote, args=(f"b{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["overtaken"] * 5 + ["promoted"]
    assert len(read(home, "e").history) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 2, "name": "e", "history": []}', '{"schema": 1}'])
def test_a_record_that_cannot_be_read_is_refused_and_left_as_it_is(home: Home, text: str) -> None:
    path = home.path / "champions/e/champion.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(InputError, match=r"champion\.json is not a champion's record"):
        enter(home, "e", network("a"), first(), None)
    assert path.read_text() == text


def _run(home: Home, roles: Sequence[str] = ("preprocess", "train", "evaluate")) -> Network:
    """A run with artifacts that are there, as a network."""
    run = Run.create(home, Experiment(name="e", data=Data(source="digits")))
    made = {role: _made(home, role, run.id) for role in roles}
    for role, outcome in made.items():
        run.stage_done(outcome, role)
    places = {role: {"stage": role, "key": o.artifact.key, "digest": o.artifact.digest} for role, o in made.items()}
    return replace(network(run.id), weights=made["train"].artifact.sha256("f"), artifacts=places)


def _made(home: Home, role: str, run: str, text: str = "") -> Outcome:
    def make(folder: Path) -> None:
        (folder / "f").write_text(text or run)

    return home.store.obtain(role, {"of": run}, make)


def test_going_back_twice_leads_further_back_and_a_network_given_up_is_not_promoted_again(home: Home) -> None:
    a, b, c = (_run(home) for _ in range(3))
    enter(home, "e", a, first(), None)
    enter(home, "e", b, Verdict("promoted", "better"), a)
    enter(home, "e", c, Verdict("promoted", "better"), b)
    assert champion_run(home, "champion:e").id == c.run
    assert roll_back(home, "e").network.run == b.run
    assert roll_back(home, "e").network.run == a.run
    assert Run.open(home, "champion:e").id == a.run
    record = existing(home, "e")
    assert [record.dismissed(each.weights) for each in (a, b, c)] == [False, True, True]
    with pytest.raises(InputError, match="was the first; there is none before it"):
        roll_back(home, "e")
    assert roll_back(home, "e", c.run).network.run == c.run
    assert not existing(home, "e").dismissed(c.weights)


def test_after_going_back_two_steps_a_promotion_that_was_made_before_is_made_again(home: Home) -> None:
    a, b, c = (_run(home) for _ in range(3))
    enter(home, "e", a, first(), None)
    for network, against in ((b, a), (c, b)):
        enter(home, "e", network, Verdict("promoted", "better"), against)
    roll_back(home, "e", a.run)
    assert not existing(home, "e").dismissed(b.weights)
    assert enter(home, "e", b, Verdict("promoted", "better"), a) is not None
    assert existing(home, "e").current == b


def test_a_champion_that_was_made_again_as_another_network_is_not_used(home: Home) -> None:
    a = _run(home)
    enter(home, "e", a, first(), None)
    home.store.remove(Run.open(home, a.run).artifact("train"))
    with pytest.raises(InputError, match=r"train artifact .* is gone.*`recurra resume .*remove .*champion\.json"):
        champion_run(home, "champion:e")
    _made(home, "train", a.run, "on another processor")
    with pytest.raises(InputError, match="is not the one that became the champion; remove"):
        Run.open(home, "champion:e")
    b = _run(home)
    enter(home, "e", b, Verdict("promoted", "better"), a)
    with pytest.raises(InputError, match=r"is not the one that became the champion; `recurra champion rollback e --to"):
        roll_back(home, "e")


def test_there_is_no_way_back_to_what_is_not_there(home: Home) -> None:
    a, b = (_run(home) for _ in range(2))
    enter(home, "e", a, first(), None)
    enter(home, "e", b, Verdict("promoted", "better"), a)
    (home.store.place("train", a.artifacts["train"]["key"]) / "f").write_text("g")
    with pytest.raises(InputError, match="its train artifact is damaged or gone"):
        roll_back(home, "e")
    with pytest.raises(InputError, match="no run that was a champion of e"):
        roll_back(home, "e", "nothing")
    with pytest.raises(InputError, match="is the champion already"):
        roll_back(home, "e", b.run)
    assert champion_run(home, "champion:e").id == b.run
    assert champions(home) == ["e"]
    with pytest.raises(InputError, match="no champion 'f'"):
        champion_run(home, "champion:f")
    with pytest.raises(InputError, match="no champion can be named"):
        champion_run(home, "champion:../e")
