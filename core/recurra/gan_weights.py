"""The recurrent GAN: its equations, and the canonical layout of its weights. First weights: `recurra.weights`.

Names and layouts (all float32):

| name                             | shape                | meaning |
| -------------------------------- | -------------------- | ------- |
| generator.embedding              | [K, E]               | of the classes |
| generator.rnn.lstmI.*            | as in a recogniser   | over z_t |
| generator.start.kernel / .bias   | [L, h w c] / [h w c] | the first map, in the order height, width, channel |
| generator.convI.kernel / .bias   | [4, 4, in, out] / [out] | transposed convolution I = 1, 2, ..., n |
| generator.normI.kernel / .bias   | [L, 2c] / [2c]       | before it: scale and shift of its c channels, from l_t |
| frame.convI.kernel / .bias       | [4, 4, in, out] / [out] | the frame discriminator's convolutions |
| frame.output.kernel / .bias      | [F, 1] / [1]         | |
| frame.projection                 | [K, F]               | one row for each class |
| clip.convI.kernel / .bias        | [4, 4, in, out] / [out] | the clip discriminator's, over each frame |
| clip.dense.kernel / .bias        | [h w c, D] / [D]     | |
| clip.timeI.kernel / .bias        | [4, in, out] / [out] | convolutions over time |
| clip.output.*, clip.projection   | as of the frame's    | |
| average.generator.*              | as generator.*       | the moving average of the generator's weights |
| frame.*.u, clip.*.u              | [out]                | with `spectral_norm`, of every kernel and projection |

Generator, of a sample with label y:
    z_t = [noise_t ; content ; embedding_y];  h_1..h_T = the recurrent network over z_1..z_T (`recurra.weights`; every
    step's hidden state, of both directions where there are two)
    l_t = [h_t ; content ; embedding_y]
    a = reshape(l_t start.kernel + start.bias, [h, w, channels_1]),  h = ceil(H / 2^n), w = ceil(W / 2^n)
    a = up(ReLU(norm_I(a)), convI.kernel) + convI.bias  for I = 1..n; the last is frame t
    What is more than H x W is cut off below and right.
    norm_I(a) = (1 + scale) (a - mean) / sqrt(var + 1e-5) + shift, mean and (population) variance over height, width
    and channels of one frame; [scale ; shift] = l_t normI.kernel + normI.bias (adaptive layer norm: nothing couples the
    samples of a batch, and nothing is remembered)
    up: out[2i + p - 1, 2j + q - 1] += a[i, j] kernel[p, q], height and width doubled (stride 2, padding 1).
    Where the pixels have bounds (low, high), a frame is low + (high - low) (1 + tanh(x)) / 2.

Discriminators, of samples after the augmentation A, LeakyReLU of slope 0.2 (at 0, too). Where the pixels have bounds,
they see 2 (x - low) / (high - low) - 1:
    frame: maps = LeakyReLU(conv(x, kernel) + bias) for each width: kernel 4, stride 2, padding 1, height and width
        halved (rounded down); phi = flatten(maps)
    clip: the same maps of each frame; LeakyReLU(flatten(maps) dense.kernel + dense.bias) gives a vector for each frame;
        LeakyReLU(convolution over time: kernel 4, stride 2, padding 1) for each width (skipped where fewer than two
        steps are left); phi = flatten over time and width
    logit = phi output.kernel + output.bias + projection_y . phi (projection, Miyato and Koyama, 2018)
    Of a clip, the frame discriminator sees the frames that `GanBatches.frames` names. An image has no clip
    discriminator.

Augmentation A (Zhao et al., 2020), of draws u [5] of a sample, all of its frames alike, worked out in float64, in this
order:
    brightness  x + (2 u_0 - 1) brightness
    translation by floor(u (2m + 1)) - m rows (u_1) and columns (u_2), positive: down and right, m = floor(translation H
                + 1/2) or of W; 0s come in
    cutout      rows r - s // 2 to r - s // 2 + s - 1 with r = floor(u_3 (H + 1)), s = floor(cutout H + 1/2), columns
                alike with u_4 and W: 0

Losses, D the logits of real samples x and generated ones g with the same labels, means over the batch (of the frame
discriminator: over all frames that it sees), summed over the discriminators:
    non-saturating  L_D = E softplus(-D(x)) + E softplus(D(g));       L_G = E softplus(-D(g))
    hinge           L_D = E max(0, 1 - D(x)) + E max(0, 1 + D(g));    L_G = -E D(g)
    relativistic    L_D = E softplus(D(g_i) - D(x_i));                L_G = E softplus(D(x_i) - D(g_i))
    penalties       f (r1 / 2 E |dD(x)/dx|^2 + r2 / 2 E |dD(g)/dg|^2) is added to L_D; f = `GanBatches.penalty` of the
                    step; the gradient is by what the discriminator sees (a frame, or a whole clip)
Each side has Adam as `recurra.optimiser` writes it, with `train.gan`'s betas; weight decay and clip_norm act on each by
itself. Then, t the steps that are done, this one among them (`GanBatches.first_step` + 1 after its first):
    average = d average + (1 - d) generator,  d = min(train.gan.average, (1 + t) / (10 + t))

Spectral normalisation (Miyato et al., 2018) of every kernel and projection of the discriminators, W as a matrix
[all axes but the last, the last], u and v constants of the gradient, n(a) = a / max(|a|, 1e-12):
    in the discriminators' update, before it, once: v = n(W u), u = n(W^T v); else: v = n(W u) and u as it is
    W / (v^T W u) stands for W
"""

from __future__ import annotations

import math

from recurra.contract import GanSpec
from recurra.errors import InputError
from recurra.recurrent import recurrent_layout, recurrent_width

KERNEL = 4
"""Height and width of every kernel (and steps of one over time), so that each doubles or halves exactly."""
AVERAGE = "average."
Shapes = dict[str, tuple[int, ...]]


def start_map(spec: GanSpec) -> tuple[int, int, int]:
    """(height, width, channels) of the generator's first map."""
    widths = spec.model.gan.channels
    scale = 2 ** len(widths)
    return -(-spec.sample.height // scale), -(-spec.sample.width // scale), widths[0]


def latent_width(spec: GanSpec) -> int:
    """Width of l_t."""
    return recurrent_width(spec.model.rnn) + spec.model.gan.content + spec.model.gan.embedding


def discriminator_map(spec: GanSpec, widths: tuple[int, ...], field: str) -> tuple[int, int, int]:
    """(height, width, channels) of a discriminator's last map; an InputError where nothing is left of a frame."""
    scale = 2 ** len(widths)
    height, width = spec.sample.height // scale, spec.sample.width // scale
    if min(height, width) < 1:
        raise InputError(
            f"model.gan.{field}: nothing is left of {spec.sample.height}x{spec.sample.width} frames after"
            f" {len(widths)} halvings; give fewer widths, or a larger data.size"
        )
    return height, width, widths[-1]


def time_steps(spec: GanSpec) -> list[int]:
    """Steps that each of the clip discriminator's convolutions over time leaves; one that would leave none is out."""
    steps, left = spec.sample.frames, []
    for _ in spec.model.gan.clip_steps:
        if steps < 2:
            break
        steps //= 2
        left.append(steps)
    return left


def has_clip_discriminator(spec: GanSpec) -> bool:
    """Whether samples are more than single frames."""
    return spec.sample.frames > 1


def gan_layout(spec: GanSpec) -> Shapes:
    """Canonical name -> shape, in the order of the forward pass."""
    generator, discriminators = _generator(spec), _frame(spec)
    if has_clip_discriminator(spec):
        discriminators |= _clip(spec)
    if spec.model.gan.spectral_norm:
        normed = {n: s for n, s in discriminators.items() if n.endswith((".kernel", ".projection"))}
        discriminators |= {f"{name}.u": (shape[-1],) for name, shape in normed.items()}
    averages = {f"{AVERAGE}{name}": shape for name, shape in generator.items()}
    return generator | discriminators | averages


def is_trained(name: str) -> bool:
    """Whether an optimiser moves the weight; averages and spectral normalisation's vectors follow by themselves."""
    return not name.startswith(AVERAGE) and not name.endswith(".u")


def is_generators(name: str) -> bool:
    """Whether the generator's optimiser moves the weight."""
    return name.startswith("generator.")


def _generator(spec: GanSpec) -> Shapes:
    gan, latent = spec.model.gan, latent_width(spec)
    shapes: Shapes = {"generator.embedding": (spec.classes, gan.embedding)}
    shapes |= recurrent_layout(spec.model.rnn, gan.noise + gan.content + gan.embedding, "generator.rnn")
    size = math.prod(start_map(spec))
    shapes |= {"generator.start.kernel": (latent, size), "generator.start.bias": (size,)}
    outputs = (*gan.channels[1:], spec.sample.channels)
    for number, width in enumerate(gan.channels, 1):
        shapes[f"generator.norm{number}.kernel"] = (latent, 2 * width)
        shapes[f"generator.norm{number}.bias"] = (2 * width,)
    return shapes | _convolutions("generator.conv", (KERNEL, KERNEL), gan.channels[0], outputs)


def _frame(spec: GanSpec) -> Shapes:
    widths = spec.model.gan.frame_channels
    shapes = _convolutions("frame.conv", (KERNEL, KERNEL), spec.sample.channels, widths)
    return shapes | _head("frame", math.prod(discriminator_map(spec, widths, "frame_channels")), spec.classes)


def _clip(spec: GanSpec) -> Shapes:
    gan = spec.model.gan
    shapes = _convolutions("clip.conv", (KERNEL, KERNEL), spec.sample.channels, gan.clip_channels)
    size = math.prod(discriminator_map(spec, gan.clip_channels, "clip_channels"))
    shapes |= {"clip.dense.kernel": (size, gan.clip_width), "clip.dense.bias": (gan.clip_width,)}
    steps = time_steps(spec)
    widths = gan.clip_steps[: len(steps)]
    shapes |= _convolutions("clip.time", (KERNEL,), gan.clip_width, widths)
    features = (steps[-1] if steps else spec.sample.frames) * (widths[-1] if widths else gan.clip_width)
    return shapes | _head("clip", features, spec.classes)


def _convolutions(name: str, kernel: tuple[int, ...], inputs: int, widths: tuple[int, ...]) -> Shapes:
    shapes: Shapes = {}
    for number, width in enumerate(widths, 1):
        shapes[f"{name}{number}.kernel"] = (*kernel, inputs, width)
        shapes[f"{name}{number}.bias"] = (width,)
        inputs = width
    return shapes


def _head(name: str, features: int, classes: int) -> Shapes:
    return {
        f"{name}.output.kernel": (features, 1),
        f"{name}.output.bias": (1,),
        f"{name}.projection": (classes, features),
    }
