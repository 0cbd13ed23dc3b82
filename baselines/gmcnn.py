"""GMCNN: three parallel columns with kernels 7, 5 and 3, confidence-driven reconstruction, and the ID-MRF loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm
from torch.optim import Adam, Optimizer

from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn import across
from bench.nn.init import normal_init
from bench.nn.mrf import IDMRFLoss, closeness, id_mrf

CARD = Card(
    slug="gmcnn",
    name="GMCNN",
    title="Image Inpainting via Generative Multi-column Convolutional Neural Networks",
    authors="Wang, Tao, Qi, Shen, Jia",
    year=2018,
    venue="NeurIPS; arXiv 1810.08771",
    url="https://arxiv.org/abs/1810.08771",
    resolution=256,
    params={"generator": 12_561_891, "discriminators": 5_417_730},
    macs={"generator": 67.196e9, "discriminators": 2.720e9},
    published={"parameters": "12.56 M", "FLOPs": "67.20 G at 256 px"},
    training="Adam 1e-5 (0.5, 0.9), 40 epochs a stage; pretraining (batch 8): confidence-weighted L1 1.4, L1 of known "
    "pixels 1.2; then (batch 6) also ID-MRF 0.05 (batch sum) and adversarial 0.001, five updates of the discriminators "
    "an iteration",
    features="VGG-19 (ImageNet), its mean subtracted, not divided by the deviation",
    convention="1 = hole; holes filled with 0; images in [-1, 1]",
    licence="MIT",
    weights="the authors' Google Drive (PyTorch: CelebA-HQ 256, rectangles): *_net_GM.pth, a plain state dict",
    trained_on={"celeba-hq": ""},
    choices={
        "local": "rectangle: the local discriminator and the ID-MRF loss see the square that begins where the hole "
        "does. image: they see the whole image, the authors' setting for strokes (masks: gmcnn-strokes)",
    },
    notes="The authors' PyTorch version; their TensorFlow version is another network. Its ID-MRF does not exclude the "
    "best match from a set as the paper does, and its confidence weights come from a box filter: the Gaussian of the "
    "paper is cut at a thirtieth of its deviation.",
)


class GMCNNConfig(Config):
    """Sizes and losses of GMCNN."""

    width: int = 32  # channels of a column's first convolution
    dilations: tuple[int, ...] = (2, 4, 8, 16)  # of the dilated convolutions of a column
    discriminator_width: int = 64
    resolution: int = 256  # of the images that it is trained on: the discriminators have linear layers
    local: Literal["rectangle", "image"] = "rectangle"  # what the local discriminator and the ID-MRF loss see
    spread: float = 0.02  # standard deviation of the generator's first weights
    confidence_kernel: int = 65  # side of the filter that carries confidence into the hole
    shares: tuple[float, float] = (0.5, 0.5)  # of the budget: pretraining, adversarial training
    learning_rate: float = 1e-5
    batch_sizes: tuple[int, int] = (8, 6)
    discriminator_updates: int = 5  # an iteration
    reconstruction: float = 1.4  # weight of the confidence-weighted L1 loss in the hole
    known: float = 1.2  # L1 on known pixels
    mrf: float = 0.05
    gan: float = 0.001
    masks: str = "gmcnn"  # training draw
    ema: float | None = None  # moving average of the generator; the paper has none

    def sizes(self, features: Source | None = None) -> Sizes:
        # the borders that are reflected, for kernels of up to 7, are smaller than their map, a quarter of the size
        smallest = 4 * 3 * max(self.dilations, default=0) + 1
        if features is None:
            return Sizes(4, smallest)
        smallest = max(smallest, self.confidence_kernel // 2 + 1)
        return Sizes(4, smallest, only=self.resolution, option="resolution")


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size (at stride 1) by reflection padding."""
    padding = dilation * (kernel // 2)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, padding_mode="reflect")


class Column(nn.Sequential):
    """One column: an encoder with dilated convolutions at a quarter of the size, then its upsampling.

    Reflection padding, ELU after each convolution. `steps`: of the upsampling, an Upsampling or output channels.
    """

    def __init__(self, config: GMCNNConfig, kernel: int, steps: list[Upsampling | int]):
        w, k = config.width, kernel
        layers: list[nn.Module] = [
            conv(4, w, k), conv(w, 2 * w, k, 2), conv(2 * w, 2 * w, k), conv(2 * w, 4 * w, k, 2),
            conv(4 * w, 4 * w, k), conv(4 * w, 4 * w, k),
            *(conv(4 * w, 4 * w, k, dilation=rate) for rate in config.dilations),
            conv(4 * w, 4 * w, k), conv(4 * w, 4 * w, k),
        ]  # fmt: skip
        channels = 4 * w
        for step in steps:
            if isinstance(step, int):
                layers.append(conv(channels, step, k))
                channels = step
            else:
                layers.append(step)
        super().__init__(*layers)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self:
            x = F.elu(layer(x)) if isinstance(layer, nn.Conv2d) else layer(x)
        return x


class Upsampling(nn.Upsample):
    """A class of its own: counters that charge exactly nn.Upsample pass it over, as in the published columns."""


def bilinear(factor: int) -> Upsampling:
    """Bilinear upsampling, corners aligned."""
    return Upsampling(scale_factor=factor, mode="bilinear", align_corners=True)


class Generator(nn.Module):
    """Three columns joined by two convolutions. (masked image, mask) -> (N, 3, H, W), clamped to [-1, 1]."""

    def __init__(self, config: GMCNNConfig):
        super().__init__()
        w = config.width
        self.sizes = config.sizes()
        self.EB1 = Column(config, 7, [bilinear(4)])
        self.EB2 = Column(config, 5, [Upsampling(scale_factor=2), 2 * w, 2 * w, bilinear(2)])
        double = Upsampling(scale_factor=2)
        self.EB3 = Column(config, 3, [double, 2 * w, 2 * w, double, w, w])
        self.decoding_layers = nn.ModuleList([conv(7 * w, w // 2, 3), conv(w // 2, 3, 3)])
        normal_init(self, config.spread)

    def forward(self, masked: Tensor, mask: Tensor) -> Tensor:
        self.sizes.check(masked, CARD.name)
        x = torch.cat([masked, mask], dim=1)
        return self.decode(torch.cat([self.EB1(x), self.EB2(x), self.EB3(x)], dim=1))

    def decode(self, columns: Tensor) -> Tensor:
        """The image from the joined columns."""
        first, last = self.decoding_layers
        return last(F.elu(first(columns))).clamp(-1, 1)


class Discriminator(nn.Module):
    """Four strided convolutions and a linear layer, all with spectral norm. (N, 3, size, size) -> (N, 1)."""

    def __init__(self, width: int, size: int):
        super().__init__()
        self.size = size
        channels = [3, width, 2 * width, 4 * width, 4 * width]
        self.layers = nn.ModuleList(
            [
                *(spectral_norm(nn.Conv2d(a, b, 5, stride=2, padding=2)) for a, b in pairwise(channels)),
                spectral_norm(nn.Linear(4 * width * math.ceil(size / 16) ** 2, 1)),
            ]
        )

    def embed(self, x: Tensor) -> Tensor:
        """The input of the linear layer."""
        Sizes(only=self.size, option="resolution").check(x, "GMCNN's discriminator")
        for layer in self.layers[:-1]:
            x = F.elu(layer(x))
        return x.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers[-1](self.embed(x))


class Discriminators(nn.Module):
    """The global and the local discriminator."""

    def __init__(self, config: GMCNNConfig):
        super().__init__()
        width, size = config.discriminator_width, config.resolution
        self.global_discriminator = Discriminator(width, size)
        self.local_discriminator = Discriminator(width, size // 2 if config.local == "rectangle" else size)

    def forward(self, whole: Tensor, part: Tensor) -> tuple[Tensor, Tensor]:
        return self.global_discriminator(whole), self.local_discriminator(part)


class GMCNN(Method):
    """GMCNN as published."""

    card = CARD
    Config = GMCNNConfig
    config: GMCNNConfig
    presets = {
        "paper": GMCNNConfig(),
        "tiny": GMCNNConfig(
            width=8, dilations=(2, 4), discriminator_width=12, resolution=64, local="image", spread=0.04,
            confidence_kernel=17, shares=(0.7, 0.3), learning_rate=3e-4, batch_sizes=(8, 8), discriminator_updates=1,
            masks="irregular", ema=0.99,
        ),
    }  # fmt: skip

    def __init__(self, config: GMCNNConfig):
        super().__init__(config)
        self.generator = Generator(config)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.generator(batch.masked, batch.mask)

    def stages(self, features: Source = "official") -> list[Stage]:
        return [PretrainStage(self), AdversarialStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        self.generator.load_state_dict(state)


class PretrainStage(Stage):
    """Training with the reconstruction losses alone."""

    name = "pretrain"
    method: GMCNN
    mirrored = False  # as published

    def __init__(self, method: GMCNN, phase: int = 0):
        super().__init__(method)
        config = method.config
        self.config, self.masks = config, config.masks
        self.share, self.batch_size = config.shares[phase], config.batch_sizes[phase]
        self.ema = {"generator": config.ema} if config.ema else {}

    def optimisers(self) -> dict[str, Optimizer]:
        return {"generator": Adam(self.method.generator.parameters(), self.config.learning_rate, (0.5, 0.9))}

    def reconstruct(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """The completion with the known pixels, the losses, and their weighted sum."""
        output = self.method.generator(batch.masked, batch.mask)
        composite, known = batch.composite(output), 1 - batch.mask
        weights = confidence(batch.mask, self.config.confidence_kernel)
        losses = {
            "reconstruction": ((composite - batch.image).abs() * weights).mean() / across.mean(batch.mask.mean()),
            "known": ((output - batch.image).abs() * known).mean() / across.mean(known.mean()),
        }
        total = self.config.reconstruction * losses["reconstruction"] + self.config.known * losses["known"]
        return composite, losses, total

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        _, losses, total = self.reconstruct(batch)
        update("generator", total)
        return losses


class AdversarialStage(PretrainStage):
    """Training with the discriminators and the ID-MRF loss as well."""

    name = "adversarial"

    def __init__(self, method: GMCNN, features: Source):
        super().__init__(method, phase=1)
        self.discriminators = Discriminators(self.config)
        self.mrf = IDMRFLoss(features)

    def optimisers(self) -> dict[str, Optimizer]:
        discriminators = Adam(self.discriminators.parameters(), self.config.learning_rate, (0.5, 0.9))
        return {**super().optimisers(), "discriminators": discriminators}

    def part(self, images: Tensor, mask: Tensor) -> Tensor:
        """What the local discriminator and the ID-MRF loss see."""
        return crop_to_hole(images, mask, images.shape[-1] // 2) if self.config.local == "rectangle" else images

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        composite, losses, total = self.reconstruct(batch)
        fake, part = composite.detach(), self.part(batch.image, batch.mask)
        for _ in range(self.config.discriminator_updates):
            real_logits = self.discriminators(batch.image, part)
            fake_logits = self.discriminators(fake, self.part(fake, batch.mask))
            judged = [F.relu(1 - x).mean() for x in real_logits] + [F.relu(1 + x).mean() for x in fake_logits]
            losses["discriminators"] = torch.stack(judged).sum()
            update("discriminators", losses["discriminators"])
        completed = self.part(composite, batch.mask)
        losses["mrf"] = self.mrf(completed, part)
        losses["generator"] = -torch.stack([x.mean() for x in self.discriminators(composite, completed)]).sum()
        update("generator", total + self.config.mrf * losses["mrf"] + self.config.gan * losses["generator"])
        return losses


def crop_to_hole(images: Tensor, mask: Tensor, side: int) -> Tensor:
    """The square of each image that begins at its hole's first row and column, moved inside. -> (N, C, side, side)."""
    last = images.shape[-1] - side
    rows = mask[:, 0].amax(2).argmax(1).clamp_max(last)[:, None] + torch.arange(side, device=mask.device)
    columns = mask[:, 0].amax(1).argmax(1).clamp_max(last)[:, None] + torch.arange(side, device=mask.device)
    index = torch.arange(len(images), device=mask.device)[:, None, None]
    return images.movedim(1, -1)[index, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def blur_line(size: int, **options: Any) -> Tensor:
    """The filter of the confidence weights, one axis of it (size,); its sum is 1.

    The authors take differences of the normal distribution within a fortieth of a deviation: nearly a box.
    """
    reach = 1 / 40
    end = reach + (2 * reach + 1) / size / 2
    points = torch.linspace(-end, end, size + 1, dtype=torch.float64)
    line = torch.special.ndtr(points).diff().sqrt()
    return (line / line.sum()).to(**options)


def confidence(mask: Tensor, kernel: int, iterations: int = 7) -> Tensor:
    """Spatially variant weights: they fall from the hole's border inwards, 0 outside. Shape of `mask`."""
    line, radius = blur_line(kernel, dtype=mask.dtype, device=mask.device), kernel // 2
    trusted, weights = 1 - mask, mask
    for _ in range(iterations):
        padded = F.pad(trusted, (radius,) * 4, mode="reflect")
        weights = F.conv2d(F.conv2d(padded, line.view(1, 1, -1, 1)), line.view(1, 1, 1, -1)) * mask
        trusted = weights + (1 - mask)
    return weights


def _run_generator(method: GMCNN, inputs: Inputs) -> dict[str, Tensor]:
    image, mask = inputs.image(), inputs.mask()
    x = torch.cat([image * (1 - mask), mask], dim=1)
    columns = [column(x) for column in (method.generator.EB1, method.generator.EB2, method.generator.EB3)]
    out = method.generator.decode(torch.cat(columns, dim=1))
    first, second, third = (column[:, :, ::4, ::4] for column in columns)
    comp = out * mask + image * (1 - mask)
    return {"branch1": first, "branch2": second, "branch3": third[:, ::4], "out": out, "comp": comp}


def _load_discriminators(network: Discriminators, state: Mapping[str, Tensor]) -> None:
    """The authors' own spectral norm has other names."""
    network.load_state_dict({k.replace(".module", "").replace("weight_bar", "weight_orig"): state[k] for k in state})


def _run_discriminators(network: Discriminators, inputs: Inputs) -> dict[str, Tensor]:
    """Training mode: the authors' spectral norm makes a power iteration in every pass."""
    image = inputs.image(batch=4)
    network.train()
    whole, part = network.global_discriminator, network.local_discriminator
    embedding = whole.embed(image)
    return {
        "global_logit": whole.layers[-1](embedding),
        "local_logit": part(image[:, :, 64:192, 64:192]),
        "global_embedding": embedding[:, ::1024],
    }


def _run_losses(network: nn.Module, inputs: Inputs) -> dict[str, Tensor]:
    kernel = GMCNNConfig().confidence_kernel
    line = blur_line(kernel)
    targets = [inputs.latent(2, 32, 12, 10, offset=j) for j in range(4)]
    pairs = [(0.5 * t + 0.7 * inputs.latent(2, 32, 12, 10, offset=50 + j), t) for j, t in enumerate(targets)]
    return {
        "confidence": confidence(inputs.mask(), kernel),
        "kernel_row": line[kernel // 2] * line,
        "mrf": torch.stack([id_mrf(*pair) for pair in pairs]),
        "mrf_kmax": closeness(*pairs[0]),
    }


GMCNN.golden = {
    "gmcnn": Golden(
        build=GMCNN.create,
        load=GMCNN.load_official,
        run=_run_generator,
        parts=GMCNN.networks,
        costs={"generator": lambda m: m.generator(torch.empty(1, 3, 256, 256), torch.empty(1, 1, 256, 256))},
    ),
    "gmcnn.discriminator": Golden(
        build=lambda: Discriminators(GMCNNConfig()),
        load=_load_discriminators,
        run=_run_discriminators,
        parts=lambda network: {"discriminator": network},
        costs={"discriminator": lambda n: n(torch.empty(1, 3, 256, 256), torch.empty(1, 3, 128, 128))},
    ),
    "gmcnn.losses": Golden(build=nn.Identity, run=_run_losses, keys={}),
}
