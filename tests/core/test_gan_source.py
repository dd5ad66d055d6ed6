"""`data.augment.gan`: which GAN an experiment means, and which it must not take samples of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from recurra import stages
from recurra.config import load_experiment
from recurra.errors import InputError
from recurra.experiment import Experiment
from recurra.gan_source import again, gan_of, settled
from recurra.home import Home
from recurra.run import Run
from recurra.store import key_of

GAN = "data: {source: digits, size: 4, augment: {shift: 1}}\nmodel: {kind: gan}\ntrain: {epochs: 7}\nseed: 9\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "g.yaml").write_text(GAN)
    return Home(tmp_path / "home")


def takes(gan: str, *overrides: str) -> Experiment:
    """A recogniser of digits that takes samples of `gan`."""
    Path("e.yaml").write_text("data: {source: digits, augment: {flip: both}}\nseed: 3\n")
    return load_experiment(Path("e.yaml"), [f"data.augment.gan={gan}", *overrides])


@pytest.fixture
def ran(home: Home) -> Callable[..., Run]:
    """A run whose dataset was made and whose network was trained, as far as its record says."""

    def run(*overrides: str, roles: tuple[str, ...] = ("preprocess", "train")) -> Run:
        experiment = load_experiment(Path("g.yaml"), overrides)
        made = Run.create(home, experiment)
        if "preprocess" in roles:
            made.stage_done(stages.preprocess(experiment, home.store), "preprocess")
        if "train" in roles:
            made.stage_done(home.store.obtain("train", {"of": made.id}, lambda folder: None), "train")
        return made

    return run


def test_without_one_there_is_none(home: Home) -> None:
    Path("e.yaml").write_text("data: {source: digits}\n")
    assert gan_of(load_experiment(Path("e.yaml")), home) is None


def test_a_file_gives_the_network_and_its_training_and_the_recogniser_all_else(home: Home) -> None:
    experiment = takes("g.yaml", "backend=tensorflow", "device=cpu", "data.size=6")
    gan = gan_of(experiment, home)
    assert gan is not None
    assert (gan.name, gan.model.kind, gan.train.epochs, gan.data.augment.shift) == ("g", "gan", 7, 1)
    assert (gan.seed, gan.backend, gan.device, gan.data.size) == (3, "tensorflow", "cpu", (6, 6))
    source = stages.open_source(experiment, home.path)
    ours, theirs = (stages.preprocess_inputs(of, source) for of in (experiment, gan))
    assert key_of(ours) == key_of(theirs)


def test_a_backend_that_the_file_names_is_kept(home: Home) -> None:
    Path("g.yaml").write_text(f"{GAN}backend: torch\n")
    gan = gan_of(takes("g.yaml", "backend=tensorflow"), home)
    assert gan is not None
    assert gan.backend == "torch"


def test_a_run_with_the_very_dataset_is_taken_as_it_is(home: Home, ran: Callable[..., Run]) -> None:
    run = ran("seed=3")
    for name in (run.id, run.id[:12], "latest", str(run.folder)):
        assert gan_of(takes(name, "data.size=4"), home) == run.experiment


def test_a_run_with_other_data_is_refused_with_what_differs(home: Home, ran: Callable[..., Run]) -> None:
    run = ran("seed=3")
    with pytest.raises(
        InputError, match=rf"^data\.augment\.gan: run {run.id} was trained on another dataset"
    ) as refused:
        gan_of(takes(run.id), home)
    assert "data.size [4, 4] -> null" in str(refused.value)
    with pytest.raises(InputError, match=r"another dataset .*seed 3 -> 4"):
        gan_of(takes(run.id, "data.size=4", "seed=4"), home)


def test_a_run_that_did_not_train_is_refused_with_how_to_go_on(home: Home, ran: Callable[..., Run]) -> None:
    run = ran("seed=3", roles=("preprocess",))
    with pytest.raises(InputError, match=f"did not end its training; `recurra resume {run.id}`"):
        gan_of(takes(run.id), home)


@pytest.mark.parametrize(
    ("gan", "words"),
    [
        ("latest", r"data\.augment\.gan .*no run 'latest'"),
        ("h.yaml", r"h\.yaml: no such experiment file\. Did you mean 'g\.yaml'"),
        ("e.yaml", r"data\.augment\.gan: e\.yaml is no GAN, its model\.kind is fusion"),
        ("other.yaml", r"other\.yaml has data\.source moving-digits, this experiment digits"),
        ("own.yaml", r"own\.yaml: .*data\.augment\.gan has no meaning for a GAN"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(home: Home, gan: str, words: str) -> None:
    Path("other.yaml").write_text(GAN.replace("digits", "moving-digits"))
    Path("own.yaml").write_text(GAN.replace("shift: 1", "gan: g.yaml"))
    with pytest.raises(InputError, match=words) as refused:
        gan_of(takes(gan), home)
    assert "\n" not in str(refused.value)


def test_a_run_of_a_recogniser_is_refused(home: Home, ran: Callable[..., Run]) -> None:
    run = ran("model.kind=cnn")
    with pytest.raises(InputError, match=f"run {run.id} is no GAN, its model.kind is cnn"):
        gan_of(takes(run.id), home)


def test_the_latest_is_that_of_a_gan_and_is_settled_to_its_id(home: Home, ran: Callable[..., Run]) -> None:
    run = ran("seed=3")
    Run.create(home, load_experiment(Path("g.yaml"), ["model.kind=cnn", "name=later"]))
    for name in ("latest", run.id, str(run.folder)):
        assert settled(takes(name), home).data.augment.gan == run.id
    elsewhere = Home(Path("elsewhere"))
    assert settled(takes(str(run.folder)), elsewhere).data.augment.gan == str(run.folder)
    assert settled(takes("g.yaml"), home) == takes("g.yaml")


def test_a_dataset_of_another_version_is_the_same_and_the_training_is_done_again(
    home: Home, ran: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, now = ran("seed=3"), stages.preprocess_inputs
    made = {"settings": {"seed": 3}, "versions": {"recurra": "1"}}
    run.stage_done(home.store.obtain("train", made, lambda folder: None), "train")
    monkeypatch.setattr(stages, "preprocess_inputs", lambda *of: {**now(*of), "versions": {"recurra": "999"}})
    experiment = takes(run.id, "data.size=4")
    assert gan_of(experiment, home) == run.experiment
    assert again(experiment, home, made) == ""
    said = again(experiment, home, {**made, "versions": {"recurra": "2"}})
    assert said == f"data.augment.gan: the GAN of run {run.id} is trained again (versions.recurra 1 -> 2)"
    other = again(takes(str(run.folder)), Home(Path("elsewhere")), made)
    assert other.endswith(f"is trained again ({home.path} has its training, and not this home)")
    assert again(takes("g.yaml"), home, {"of": "nothing"}) == ""
    with pytest.raises(InputError, match=r"was trained on another dataset \(data\.size"):
        gan_of(takes(run.id), home)


def test_a_source_is_the_same_however_it_is_written(home: Home) -> None:
    Path("g.yaml").write_text(GAN.replace("digits", f"{Path.cwd()}/pictures/"))
    assert gan_of(takes("g.yaml", "data.source=./pictures"), home) is not None
