"""The experiment file: what to read, which network, how to train it. Every field, its bounds and its default."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from recurra.errors import InputError

Fraction = Annotated[float, Field(ge=0, lt=1)]
Width = Annotated[int, Field(ge=1, le=65_536)]
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$"
"""What an experiment, a champion or scores can be named: it becomes a part of file names."""


def _one_fault(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    # Pydantic tells a fault for each form that a field may have; a person gave one value.
    try:
        return check(value)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
    if isinstance(value, str):
        raise ValueError("input should be a whole number, or auto")
    raise ValueError(fault["msg"])


BatchSize = Annotated[Annotated[int, Field(ge=1, le=65_536)] | Literal["auto"], WrapValidator(_one_fault)]


def _pair(value: Any) -> Any:
    return (value, value) if isinstance(value, int) else value


class Part(BaseModel):
    """A part of the experiment file: unknown fields are refused, values do not change once read."""

    # Infinity is no number in JSON, and a run's record is JSON.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


def _changed(part: Part, name: str) -> bool:
    # Not `model_fields_set`: a copy, or a record read back, sets every field.
    return getattr(part, name) != type(part).model_fields[name].get_default(call_default_factory=True)


def _refuse(where: str, part: Part, why: str) -> None:
    """A ValueError for the first field of the part that is not at its default."""
    for name in (name for name in type(part).model_fields if _changed(part, name)):
        raise ValueError(f"{where}.{name} has no meaning {why}; leave it out")


class Clip(Part):
    """How clips of different lengths become clips of one length."""

    frames: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Frames of every clip after preprocessing; left out: the median length of the training clips."""
    fit: Literal["resample", "pad"] = "resample"
    """`resample` takes frame floor((i + 0.5) * length / frames) for each i; `pad` cuts to the first `frames` frames or
    repeats the last one."""


class Normalise(Part):
    """How pixel values become the numbers that a network sees."""

    remove: Literal["none", "frame_median", "frame_mean", "clip_median", "clip_mean"] = "none"
    """What is subtracted from each sample, per channel, before scaling: for sensors whose background drifts."""
    scale: Literal["auto", "unit", "standard", "none"] = "auto"
    """`unit` divides by 255; `standard` uses the training split's mean and standard deviation per channel; `auto` is
    `unit` for 8-bit values with nothing removed, else `standard`."""


class Group(Part):
    """Which samples belong together (a recording, a person), so that a split never parts them."""

    folder: int | None = None
    """Folder level of the sample's source path below the source: 0 is the topmost, -1 the sample's own folder."""
    pattern: str | None = None
    """A regular expression searched in the sample's file name; its first group (or the whole match) names the group."""
    column: str | None = None
    """A column of a Parquet table."""
    hold_out: tuple[str, ...] | None = None
    """The groups to hold out; left out: groups are drawn by the seed until the fraction is reached."""

    @field_validator("hold_out", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        # YAML reads 20170209 as a number, and a group's name is text.
        if isinstance(value, (str, int)):
            value = [value]
        return [str(v) for v in value] if isinstance(value, (list, tuple)) else value

    @model_validator(mode="after")
    def _one_way(self) -> Group:
        if sum(x is not None for x in (self.folder, self.pattern, self.column)) != 1:
            raise ValueError("name exactly one of folder, pattern, column")
        return self

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        import re

        if value is not None:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from None
        return value


class Columns(Part):
    """Which columns of a Parquet table hold what."""

    image: str = "image"
    """Encoded files (bytes, or a struct with a `bytes` field) or fixed-size binary with shape and dtype metadata."""
    label: str = "label"
    """Integers or strings."""


class Augment(Part):
    """Random changes of the training samples, a pure function of (seed, epoch, sample), after normalisation."""

    flip: Literal["none", "horizontal", "vertical", "both"] = "none"
    """Mirror with probability one half (each axis by itself for `both`)."""
    shift: Annotated[int, Field(ge=0, le=4096)] = 0
    """Largest shift in pixels, rows and columns; uncovered pixels become 0 (the background after normalisation)."""
    rotate: bool = False
    """Rotate by a random multiple of 90 degrees (square samples only)."""
    brightness: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Add one number drawn from [-brightness, brightness] to every pixel of a sample, on the normalised scale."""
    temporal_crop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Largest part of a clip's time that is cut away; the rest is resampled to the full number of frames."""
    temporal_reverse: bool = False
    """Play a clip backwards with probability one half. Wrong where the class is a direction."""
    gan: Annotated[str, Field(min_length=1)] | None = None
    """Add generated samples to the training split: a run of a GAN that was trained on this very dataset, or its
    experiment file, which is run first where that is needed."""
    generated: Annotated[float, Field(gt=0, le=100)] = 1.0
    """With `gan`: generated samples for each real one, class by class."""

    @property
    def active(self) -> bool:
        """Whether any of it changes a sample while training."""
        return self.classical() != Augment()

    def classical(self) -> Augment:
        """The random changes alone, without generated samples."""
        return self.model_copy(update={"gan": None, "generated": 1.0})


class Data(Part):
    """Where the samples are and how they become a dataset."""

    source: str
    """A path, or a name: digits, moving-digits (bundled); fashion-mnist, mnist, cifar10 (downloaded once)."""
    reader: str | None = None
    """Which reader reads the source; left out: the one that recognises it."""
    kind: Literal["auto", "images", "clips"] = "auto"
    """Where a source could be either (a folder of animated GIFs): what its samples are."""
    size: Annotated[tuple[Width, Width], BeforeValidator(_pair)] | None = None
    """[height, width] of every frame; one number for a square; left out: the sources' own, if all agree."""
    fit: Literal["stretch", "pad", "crop"] = "stretch"
    """How another aspect ratio becomes `size`: stretched, padded with the background, or cropped at the centre."""
    channels: Literal["auto", "grey", "rgb"] = "auto"
    """`auto` keeps grey grey and colour colour."""
    clip: Clip = Clip()
    """Only for clips."""
    normalise: Normalise = Normalise()
    columns: Columns = Columns()
    """Only for Parquet tables."""
    test_fraction: Fraction = 0.2
    """Part of the samples kept for the test where the source has no test split of its own."""
    test_group: Group | None = None
    """Split the test by groups rather than by samples; the validation too, unless it has a grouping of its own."""
    validation_fraction: Fraction = 0.1
    """Part of the training samples held out to choose the best epoch; 0 for none."""
    validation_group: Group | None = None
    """Hold out whole groups: a random split of recordings flatters. Left out where `test_group` is set: the grouping of
    that, with groups drawn by the seed."""
    train_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Part of each class's training samples that is used, drawn by the seed; the smaller parts lie within the larger
    ones. Validation and test stay whole."""
    max_refused: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Largest part of the samples that may be unreadable before the run stops."""
    max_pixels: Annotated[int, Field(ge=1)] = 100_000_000
    """Pixels above which one image is refused unread."""
    compression: Literal["none", "lz4", "zstd"] = "none"
    """Of the dataset's pixels: `none` is read fastest, `zstd` is smallest."""
    augment: Augment = Augment()


class Cnn(Part):
    """Convolutions: for each width, Conv ReLU MaxPool; then flatten and any dense layers (ReLU)."""

    channels: Annotated[tuple[Width, ...], Field(min_length=1, max_length=16)] = (32, 64)
    """Width of each convolution."""
    kernel: Annotated[int, Field(ge=1, le=31)] = 3
    """Height and width of every kernel."""
    pool: Annotated[int, Field(ge=1, le=16)] = 2
    """Height, width and stride of every max pooling (rounded down); 1 for none."""
    padding: Literal["same", "valid"] = "same"
    """Whether a convolution keeps height and width (`same`) or uses whole windows alone (`valid`)."""
    dense: Annotated[tuple[Width, ...], Field(max_length=8)] = ()
    """Widths of dense layers (ReLU) after the flattening."""

    @model_validator(mode="after")
    def _odd_kernel(self) -> Cnn:
        # An even kernel has no centre, so "same" would need a convention that frameworks do not share.
        if self.padding == "same" and self.kernel % 2 == 0:
            raise ValueError("an even kernel needs padding: valid")
        return self


class Rnn(Part):
    """A recurrent network over the rows of an image or the frames of a clip."""

    cell: Literal["lstm", "gru"] = "lstm"
    """The kind of recurrent cell; `recurra.weights` has the equations."""
    units: Width = 128
    """Width of the hidden state."""
    layers: Annotated[int, Field(ge=1, le=8)] = 1
    """Layers on top of each other."""
    bidirectional: bool = False
    """Whether every layer also runs from the last step to the first."""
    frame_pool: Annotated[int, Field(ge=1, le=64)] = 1
    """Average each frame of a clip over squares of this side before it is flattened; 1 for none."""


class Gan(Part):
    """The recurrent GAN; its recurrent network is `rnn`. `recurra.gan_weights` has the equations."""

    content: Width = 64
    """Width of the content code, one for a whole sample."""
    noise: Width = 16
    """Width of the noise, drawn anew at every step."""
    embedding: Width = 32
    """Width of a class's embedding."""
    channels: Annotated[tuple[Width, ...], Field(min_length=1, max_length=8)] = (64, 32)
    """Widths in the generator, from the smallest map on; each is followed by a doubling of height and width."""
    frame_channels: Annotated[tuple[Width, ...], Field(min_length=1, max_length=8)] = (32, 64)
    """Widths of the frame discriminator; each halves height and width."""
    clip_channels: Annotated[tuple[Width, ...], Field(min_length=1, max_length=8)] = (32, 64)
    """Widths of the clip discriminator's maps of each frame; each halves height and width. Only for clips."""
    clip_width: Width = 128
    """Width of what the clip discriminator keeps of each frame."""
    clip_steps: Annotated[tuple[Width, ...], Field(max_length=8)] = (128, 128)
    """Widths of its convolutions over time; each halves the number of steps."""
    spectral_norm: bool = False
    """Divide the discriminators' kernels by their largest singular value (Miyato et al., 2018)."""


PARTS = {"cnn": ("cnn",), "rnn": ("rnn",), "fusion": ("cnn", "rnn"), "gan": ("rnn", "gan")}
"""Which parts of `Model` each kind uses."""


class Model(Part):
    """The network. `cnn` uses cnn, `rnn` uses rnn, `fusion` uses both, `gan` uses rnn and gan."""

    kind: Literal["cnn", "rnn", "fusion", "gan"] = "fusion"
    """Which network: one of three recognisers, or a generator with its discriminators."""
    cnn: Cnn = Cnn()
    rnn: Rnn = Rnn()
    gan: Gan = Gan()

    def settings(self) -> dict[str, Any]:
        """The kind and the parts that it uses, as plain values."""
        return self.model_dump(mode="json", include={"kind", *PARTS[self.kind]})


class EarlyStopping(Part):
    """Stop when the monitored value has not got better for `patience` epochs."""

    patience: Annotated[int, Field(ge=1)] = 5
    """Epochs without improvement; of a GAN, those in which its samples are measured."""
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    """What counts as improvement: more than this."""


class Adversarial(Part):
    """How a GAN is trained; the learning rate is the generator's."""

    loss: Literal["non-saturating", "hinge", "relativistic"] = "non-saturating"
    """`non-saturating` (Goodfellow et al., 2014), `hinge` (Lim and Ye, 2017) or `relativistic`, paired
    (Jolicoeur-Martineau, 2019; Huang et al., 2024)."""
    discriminator_learning_rate: Annotated[float, Field(gt=0, le=10)] | None = None
    """Of the discriminators, before the schedule (Heusel et al., 2017); left out: that of the generator."""
    beta_1: Fraction = 0.0
    """Adam's, of all networks."""
    beta_2: Fraction = 0.99
    """Adam's, of all networks."""
    r1: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the penalty on the discriminators' gradient at real samples (Mescheder et al., 2018)."""
    r2: Annotated[float, Field(ge=0)] = 1.0
    """The same at generated samples."""
    penalty_every: Annotated[int, Field(ge=1, le=1000)] = 8
    """Steps between two penalties, which then weigh as many times more (Karras et al., 2020)."""
    translation: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Shift what the discriminators see, real or generated, by up to this part of height and width (differentiable
    augmentation, Zhao et al., 2020; it helps where samples are few)."""
    cutout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Blank a square of this part of height and width in what the discriminators see."""
    brightness: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Add one number drawn from [-brightness, brightness] to what the discriminators see, on the normalised scale."""
    frames: Annotated[int, Field(ge=1, le=64)] = 2
    """Frames of each clip that the frame discriminator judges in a step, drawn anew each time."""
    average: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay of the moving average of the generator's weights, which is what generates; 0 for none."""
    measure_every: Annotated[int, Field(ge=1)] = 1
    """Epochs between two measurements of generated samples; the last epoch always has one."""
    measured: Annotated[int, Field(ge=50, le=1_000_000)] = 2000
    """Samples generated for each measurement, and real ones they are compared with (no more than there are)."""
    monitor: Literal["frechet", "kernel", "recall", "label_accuracy"] = "frechet"
    """What makes an epoch the best."""


class Train(Part):
    """How the network is trained."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 10
    """Passes over the training split."""
    batch_size: BatchSize = 32
    """Samples of one step; an epoch's last batch may be smaller. `auto`: the largest power of two, 256 at most, that
    the training split has and the device's memory holds, found when the training begins."""
    devices: Annotated[int, Field(ge=1, le=64)] = 1
    """Devices that share one training, each with its part of every batch. Of a recogniser."""
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-3
    """Adam's, before the schedule."""
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    """How the learning rate goes to 0 over all steps after the warm-up; `constant`: not at all."""
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    """Epochs over which the learning rate rises linearly from 0."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Decoupled (Loshchilov and Hutter, 2019), on kernels and not on biases."""
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    """Largest global norm of the gradient."""
    dropout: Fraction = 0.0
    """On the features, before the output layer."""
    early_stopping: EarlyStopping | None = None
    monitor: Literal["val_loss", "val_accuracy"] = "val_accuracy"
    """What makes a recogniser's epoch the best (train_loss where nothing is held out)."""
    keep: Literal["best", "last"] = "best"
    """Which epoch's weights are evaluated."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """`bf16`: matrix products and convolutions in bfloat16, weights and optimiser in float32."""
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 300.0
    """Longest time between two checkpoints within an epoch; every epoch ends with one."""
    gan: Adversarial = Adversarial()
    """Only for a GAN."""

    @property
    def samples_per_step(self) -> int:
        """`batch_size` as a number; an InputError where it is `auto`, which a training alone puts a number in place
        of (`recurra.training.fitting`).
        """
        if self.batch_size == "auto":
            raise InputError("train.batch_size: auto is found when a training begins, and a number is needed before")
        return self.batch_size


class Recogniser(Part):
    """The recogniser that a GAN is judged with."""

    model: Model | None = None
    """Its network; left out: the default cnn for images, the default fusion for clips."""
    train: Train = Train()
    """How it is trained, on real samples as on generated ones."""

    @model_validator(mode="after")
    def _recognises(self) -> Recogniser:
        if self.model is not None and self.model.kind == "gan":
            raise ValueError("a GAN is judged with a recogniser: cnn, rnn or fusion")
        _refuse("train.gan", self.train.gan, "for the recogniser that judges a GAN")
        return self


class Generated(Part):
    """How a GAN is judged: a recogniser is trained on the real training split, and one like it on generated samples."""

    recogniser: Recogniser = Recogniser()
    per_class: Annotated[int, Field(ge=2, le=100_000)] | None = None
    """Samples generated for each class to train a recogniser on; left out: as many as the training split has of it. A
    validation split of them comes on top where the real samples have one."""
    components: Annotated[int, Field(ge=2, le=1024)] = 64
    """Principal components of the real samples' features that distances are measured in."""
    neighbours: Annotated[int, Field(ge=1, le=100)] = 3
    """k of precision and recall (Kynkaanniemi et al., 2019)."""


class Evaluate(Part):
    """What is measured on the test split."""

    top_k: Annotated[int, Field(ge=1)] = 3
    """The answer counts as right where the label is among so many. Not for a GAN."""
    bootstrap: Annotated[int, Field(ge=0, le=100_000)] = 2000
    """Resamples for the 95% interval of accuracy (of a GAN, of both recognisers' accuracy); 0 for none."""
    calibration_bins: Annotated[int, Field(ge=2, le=100)] = 15
    """Bins of equal width for the expected calibration error. Not for a GAN."""
    gan: Generated = Generated()
    """Only for a GAN."""


class Experiment(Part):
    """One experiment file."""

    name: Annotated[str, Field(pattern=NAME)]
    """Letters, digits, dot, dash and underscore; left out: the file's own name."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Of the first weights, the order of the samples, augmentation, dropout, and splits that are drawn."""
    backend: str = "torch"
    """A name that `recurra plugins` lists."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|gpu(:\d+)?)$")] = "auto"
    """auto, cpu, gpu or gpu:N."""
    data: Data
    model: Model = Model()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()

    @model_validator(mode="after")
    def _used(self) -> Experiment:
        # A setting that does nothing would be believed to do something.
        if self.data.augment.gan is None and _changed(self.data.augment, "generated"):
            raise ValueError("data.augment.generated has no meaning without data.augment.gan; leave it out")
        if self.model.kind == "gan":
            self._used_by_a_gan()
        else:
            _refuse("train.gan", self.train.gan, "without model.kind: gan")
            _refuse("evaluate.gan", self.evaluate.gan, "without model.kind: gan")
        return self

    def _used_by_a_gan(self) -> None:
        idle = {
            "train": (self.train, ("dropout", "monitor", "devices")),
            "data.augment": (self.data.augment, ("gan",)),
            "model.rnn": (self.model.rnn, ("frame_pool",)),
            "evaluate": (self.evaluate, ("top_k", "calibration_bins")),
        }
        for where, (part, names) in idle.items():
            for name in (name for name in names if _changed(part, name)):
                own = "; train.gan.monitor is a GAN's" if name == "monitor" else ""
                raise ValueError(f"{where}.{name} has no meaning for a GAN; leave it out{own}")
        if self.train.precision != "fp32":
            raise ValueError("train.precision: a GAN is trained in fp32")
