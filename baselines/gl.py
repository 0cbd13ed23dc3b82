"""G&L: a fully convolutional completion network with a global and a local discriminator, trained in three phases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import spsolve
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adadelta, Adam, Optimizer

from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn import across
from bench.nn.losses import region_l1
from bench.nn.mmediting import generator_in_rgb, local_patch, random_patch

CARD = Card(
    slug="gl",
    name="G&L",
    title="Globally and Locally Consistent Image Completion",
    authors="Iizuka, Simo-Serra, Ishikawa",
    year=2017,
    venue="ACM Transactions on Graphics 36(4), SIGGRAPH",
    url="https://doi.org/10.1145/3072959.3073659",
    resolution=256,
    params={"generator": 6_069_155, "discriminators": 45_060_225},
    macs={"generator": 32.554e9, "discriminators": 3.890e9},
    training="MMEditing: Adam 4e-4 (0.9, 0.999) for both networks, batch 96, 300,002 iterations: 40,000 completion "
    "network alone (L1 in the hole 1), 10,000 discriminators alone, then both (adversarial 0.001). Original: AdaDelta, "
    "batch 96, 90,000 + 10,000 of 500,000 iterations, squared error 1, adversarial 0.0004; holes of 96 to 128 pixels",
    convention="1 = hole; holes filled with 0; images in [-1, 1]; MMEditing's weights are for BGR",
    licence="MMEditing Apache-2.0; the authors' code CC BY-NC-SA 4.0",
    weights="MMEditing: gl_256x256_8x12_celeba_20200619-5af0493f.pth, a dict with `state_dict`",
    trained_on={"celeba-hq": ""},
    choices={
        "variant": "mmediting (preset `paper`): MMEditing's version, which the published comparisons ran: output "
        "clamped, L1, holes filled with 0, Adam. original (preset `original`): the paper's sigmoid output, squared "
        "error, holes filled with the mean colour of the training images, AdaDelta, and patches of real "
        "images from anywhere for the local discriminator",
        "postprocessing": "none: MMEditing. poisson: the original blends the hole into the known pixels",
    },
)


class GLConfig(Config):
    """Sizes and losses of G&L."""

    variant: Literal["mmediting", "original"] = "mmediting"
    postprocessing: Literal["none", "poisson"] = "none"
    width: int = 64  # channels of the first convolution
    dilations: tuple[int, ...] = (2, 4, 8, 16)
    resolution: int = 256  # that the discriminators are laid out for
    patch: int = 128  # side of the local discriminator's patch
    discriminator_width: int = 64
    embedding: int = 1024  # features of each discriminator
    gan: float = 0.001  # weight of the adversarial loss
    learning_rate: float = 4e-4
    phases: tuple[int, int, int] = (40_000, 10_000, 250_002)  # iterations: completion, discriminators, both
    batch_size: int = 96
    masks: str = "gl"  # training draw
    ema: float | None = None  # moving average of the completion network; the paper has none

    def sizes(self, features: Source | None = None) -> Sizes:
        if features is None:
            return Sizes(4)
        return Sizes(4, smallest=self.patch, only=self.resolution, option="resolution")


class Conv(nn.Module):
    """Convolution without bias, batch norm, ReLU; `up`: a 4x4 transposed convolution to twice the size."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, dilation: int = 1, up: bool = False
    ):
        super().__init__()
        padding = kernel // 2 * dilation
        self.conv = (
            nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)
            if up
            else nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)
        )
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Encoder(nn.Module):
    """(N, 4, H, W) -> (N, 4 width, H / 4, W / 4)."""

    def __init__(self, w: int):
        super().__init__()
        self.enc1, self.enc2 = Conv(4, w, 5), Conv(w, 2 * w, stride=2)
        self.enc3, self.enc4 = Conv(2 * w, 2 * w), Conv(2 * w, 4 * w, stride=2)
        self.enc5, self.enc6 = Conv(4 * w, 4 * w), Conv(4 * w, 4 * w)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = layer(x)
        return x


class DilationNeck(nn.Module):
    """Dilated convolutions at a quarter of the size."""

    def __init__(self, channels: int, dilations: tuple[int, ...]):
        super().__init__()
        self.dilation_convs = nn.Sequential(*(Conv(channels, channels, dilation=d) for d in dilations))

    def forward(self, x: Tensor) -> Tensor:
        return self.dilation_convs(x)


class Last(nn.Module):
    """The last convolution, with bias."""

    def __init__(self, inputs: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Decoder(nn.Module):
    """(N, 4 width, H / 4, W / 4) -> (N, 3, H, W), not limited."""

    def __init__(self, w: int):
        super().__init__()
        self.dec1, self.dec2 = Conv(4 * w, 4 * w), Conv(4 * w, 4 * w)
        self.dec3, self.dec4 = Conv(4 * w, 2 * w, up=True), Conv(2 * w, 2 * w)
        self.dec5, self.dec6 = Conv(2 * w, w, up=True), Conv(w, w // 2)
        self.dec7 = Last(w // 2)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = layer(x)
        return x


class Generator(nn.Module):
    """The completion network (section 3.2): filled image and mask (N, 4, H, W) -> (N, 3, H, W) in [-1, 1]."""

    def __init__(self, config: GLConfig):
        super().__init__()
        self.sigmoid = config.variant == "original"
        self.encoder = Encoder(config.width)
        self.dilation_neck = DilationNeck(4 * config.width, config.dilations)
        self.decoder = Decoder(config.width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.decoder(self.dilation_neck(self.encoder(x)))
        return 2 * torch.sigmoid(x) - 1 if self.sigmoid else x.clamp(-1, 1)


class Linear(nn.Module):
    """A linear layer on flattened features, ReLU."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.linear(x.flatten(1)))


class Discriminator(nn.Module):
    """5x5 convolutions with stride 2 down to 4 x 4, then one vector: (N, 3, size, size) -> (N, embedding)."""

    def __init__(self, size: int, width: int, embedding: int):
        super().__init__()
        channels, count = 3, 0
        while size > 4:
            size, count = (size + 1) // 2, count + 1
            outputs = width * min(2 ** (count - 1), 8)
            self.add_module(f"conv{count}", Conv(channels, outputs, 5, 2))
            channels = outputs
        self.fc = Linear(channels * size**2, embedding)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = layer(x)
        return x


class Discriminators(nn.Module):
    """Global and local discriminator with one joint logit (section 3.3). Images and patches -> (N, 1)."""

    def __init__(self, config: GLConfig):
        super().__init__()
        width, embedding = config.discriminator_width, config.embedding
        self.global_disc = Discriminator(config.resolution, width, embedding)
        self.local_disc = Discriminator(config.patch, width, embedding)
        self.fc = nn.Linear(2 * embedding, 1)

    def forward(self, images: Tensor, patches: Tensor) -> Tensor:
        return self.fc(torch.cat([self.global_disc(images), self.local_disc(patches)], dim=1))


class GL(Method):
    """G&L in MMEditing's version (`paper`) and as the paper describes it (`original`)."""

    card = CARD
    Config = GLConfig
    config: GLConfig
    presets = {
        "paper": GLConfig(),
        "original": GLConfig(
            variant="original",
            postprocessing="poisson",
            gan=0.0004,
            learning_rate=1.0,
            phases=(90_000, 10_000, 400_000),
            masks="gl-original",
        ),
        "tiny": GLConfig(
            width=20,
            dilations=(2, 4, 8),
            resolution=64,
            patch=32,
            discriminator_width=16,
            embedding=64,
            learning_rate=2e-3,
            phases=(70, 5, 25),
            batch_size=8,
            masks="irregular",
            ema=0.98,
        ),
    }
    colour: Tensor

    def __init__(self, config: GLConfig):
        super().__init__(config)
        self.generator = kaiming_init(Generator(config))
        self.register_buffer("colour", torch.zeros(1, 3, 1, 1))  # of the training images; fills holes in `original`

    def predict(self, batch: Batch) -> Tensor:
        """The completion network's image."""
        self.config.sizes().check(batch.image, CARD.name)
        return self.generator(torch.cat([batch.masked + self.colour * batch.mask, batch.mask], dim=1))

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        output = self.predict(batch)
        if self.config.postprocessing == "none":
            return output
        images = (x.float().cpu().numpy() for x in (output, batch.masked, batch.mask[:, 0]))
        blended = [poisson_blend(*row) for row in zip(*images, strict=True)]
        return torch.from_numpy(np.stack(blended)).to(output)

    def stages(self, features: Source = "official") -> list[Stage]:
        discriminators = kaiming_init(Discriminators(self.config))
        return [GLStage(self, discriminators, phase) for phase in PHASES]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take MMEditing's checkpoint; its BGR weights are turned to RGB."""
        if self.config.variant == "original":
            raise BenchError("gl: the authors' checkpoint is for Torch7; use the preset `paper` and MMEditing's file")
        state = generator_in_rgb(state, ("generator.encoder.enc1.conv",), ("generator.decoder.dec7.conv",), "gl")
        self.load_state_dict({**state, "colour": torch.zeros_like(self.colour)})


M = TypeVar("M", bound=nn.Module)


def kaiming_init(network: M) -> M:
    """Convolutions He-normal by their outputs, linear layers N(0, 0.02²), biases 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.02)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return network


Phase = Literal["completion", "discriminators", "joint"]
PHASES: tuple[Phase, ...] = ("completion", "discriminators", "joint")


class GLStage(Stage):
    """One of the three phases of Algorithm 1; the discriminators of the second go on in the third."""

    method: GL
    seen: Tensor
    mirrored = False  # as published

    def __init__(self, method: GL, discriminators: nn.Module, phase: Phase):
        super().__init__(method)
        config = method.config
        self.config, self.masks, self.batch_size, self.name = config, config.masks, config.batch_size, phase
        self.iterations = config.phases[PHASES.index(phase)]
        self.share = self.iterations / sum(config.phases)
        self.completes, self.judges = phase != "discriminators", phase != "completion"
        self.ema = {"generator": config.ema} if config.ema and self.completes else {}
        self.discriminators = discriminators
        self.register_buffer("seen", torch.zeros(()))  # batches behind the mean colour

    def optimisers(self) -> dict[str, Optimizer]:
        networks: dict[str, nn.Module] = {"generator": self.method.generator} if self.completes else {}
        if self.judges:
            networks["discriminators"] = self.discriminators
        kind = Adadelta if self.config.variant == "original" else Adam
        return {name: kind(n.parameters(), self.config.learning_rate) for name, n in networks.items()}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        if self.config.variant == "original" and self.name == "completion":
            self.seen += 1
            colour = across.mean(batch.image.mean((0, 2, 3), keepdim=True))
            self.method.colour.lerp_(colour, 1 / float(self.seen))
        losses: dict[str, Tensor] = {}
        with torch.set_grad_enabled(self.completes):
            output = self.method.predict(batch)
        fake = batch.composite(output)
        if self.judges:
            real_logits = self.discriminators(batch.image, self.real_patch(batch, noise))
            fake_logits = self.judge(fake.detach(), batch.mask)
            losses["discriminators"] = F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
            update("discriminators", losses["discriminators"])
        if not self.completes:
            return losses
        losses["reconstruction"] = total = self.reconstruction(output, batch)
        if self.judges:
            losses["generator"] = F.softplus(-self.judge(fake, batch.mask)).mean()
            total = total + self.config.gan * losses["generator"]
        update("generator", total)
        return losses

    def judge(self, images: Tensor, mask: Tensor) -> Tensor:
        """The joint logit of images and of the patches around their holes."""
        return self.discriminators(images, local_patch(images, mask, self.config.patch))

    def real_patch(self, batch: Batch, noise: Noise) -> Tensor:
        """What the local discriminator sees of real images: their hole, or in the original any place."""
        if self.config.variant == "original":
            return random_patch(batch.image, self.config.patch, noise)
        return local_patch(batch.image, batch.mask, self.config.patch)

    def reconstruction(self, output: Tensor, batch: Batch) -> Tensor:
        """Difference inside the hole (Eq. 2, squared in the original)."""
        if self.config.variant == "original":
            return ((output - batch.image) * batch.mask).square().mean()
        return region_l1(output, batch.image, batch.mask)


def poisson_blend(output: np.ndarray, known: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Poisson image blending (Pérez et al., 2003): the gradients of `output` inside the hole, the known pixels around.

    output, known: (3, H, W); mask: (H, W), 1 = hole. No condition is set where the hole meets the image's border. A
    hole that covers everything gives `output`.
    """
    hole = mask > 0
    if hole.all() or not hole.any():
        return output
    number = np.full(hole.shape, -1)
    number[hole] = np.arange(hole.sum())
    y, x = np.nonzero(hole)
    degree = np.zeros(len(y))
    right = np.zeros((len(y), len(output)))
    rows, columns = [], []
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        ny, nx = y + dy, x + dx
        inside = (ny >= 0) & (ny < hole.shape[0]) & (nx >= 0) & (nx < hole.shape[1])
        i, ny, nx = np.nonzero(inside)[0], ny[inside], nx[inside]
        degree[i] += 1
        right[i] += (output[:, y[i], x[i]] - output[:, ny, nx]).T
        free = hole[ny, nx]
        right[i[~free]] += known[:, ny[~free], nx[~free]].T
        rows.append(i[free])
        columns.append(number[ny[free], nx[free]])
    i, j = np.concatenate(rows), np.concatenate(columns)
    system = sparse.diags(degree) - sparse.coo_matrix((np.ones(len(i)), (i, j)), shape=(len(y), len(y)))
    blended = output.copy()
    blended[:, y, x] = spsolve(system.tocsc(), right).T
    return blended


def _run_generator(method: GL, inputs: Inputs) -> dict[str, Tensor]:
    image, mask = inputs.image(), inputs.mask()
    network = method.generator
    # the authors' network saw BGR, ours was turned to RGB: what they called channel 0 is our channel 2
    encoded = network.encoder(torch.cat([image.flip(1) * (1 - mask), mask], dim=1))
    neck = network.dilation_neck(encoded)
    out = network.decoder(neck).clamp(-1, 1).flip(1)
    return {"encoder": encoded[:, ::8], "neck": neck[:, ::8], "out": out, "composite": image * (1 - mask) + out * mask}


def _run_discriminators(network: Discriminators, inputs: Inputs) -> dict[str, Tensor]:
    full = inputs.image(batch=4)
    patch = full[:, :, 64:192, 64:192]
    features = {"global_feature": network.global_disc(full), "local_feature": network.local_disc(patch)}
    return {"logit": network(full, patch), **features}


def _load_discriminators(network: Discriminators, state: Mapping[str, Tensor]) -> None:
    network.load_state_dict({name.removeprefix("disc."): value for name, value in state.items()})


GL.golden = {
    "gl": Golden(
        build=GL.create,
        load=GL.load_official,
        run=_run_generator,
        parts=lambda method: {"generator": method.generator, **dict(method.generator.named_children())},
        costs={"generator": lambda method: method.generator(torch.empty(1, 4, 256, 256))},
    ),
    "gl.discriminator": Golden(
        build=lambda: Discriminators(GLConfig()),
        load=_load_discriminators,
        run=_run_discriminators,
        parts=lambda network: {"discriminator": network, **dict(network.named_children())},
        costs={"discriminator": lambda network: network(torch.empty(1, 3, 256, 256), torch.empty(1, 3, 128, 128))},
    ),
}
