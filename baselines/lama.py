"""LaMa: a one-stage residual network with fast Fourier convolutions, trained with large masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Source, Stage, Update
from bench.nn.dilated_resnet import DilatedResNet50, SegmentationLoss
from bench.nn.fourier import FFCLayer, FFCResBlock, Pair, split
from bench.nn.losses import differentiable_twice, feature_matching, r1

CARD = Card(
    slug="lama",
    name="LaMa",
    title="Resolution-robust Large Mask Inpainting with Fourier Convolutions",
    authors="Suvorov, Logacheva, Mashikhin, Remizova, Ashukha, Silvestrov, Kong, Goka, Park, Lempitsky",
    year=2022,
    venue="WACV; arXiv 2109.07161",
    url="https://arxiv.org/abs/2109.07161",
    resolution=256,
    params={"generator": 27_048_835, "discriminator": 6_962_369, "perceptual network (frozen)": 23_631_808},
    macs={"generator": 31.874e9, "discriminator": 3.144e9, "perceptual network (frozen)": 26.687e9},
    published={
        "parameters": "27.05 M (lama-fourier); 51 M (big-lama: preset `big`, 50,975,875)",
        "FLOPs": "42.87 G at 256 px by thop's rule (lama-fourier), which counts transposed convolutions four times",
    },
    training="Adam, generator 1e-3, discriminator 1e-4 (0.9, 0.999), gradient norm clipped to 1, batch 30 (big: 120), "
    "1,000,000 iterations; L1 on known pixels 10, high-receptive-field perceptual 30, adversarial 10, "
    "feature matching 100, R1 0.001 in every step; no augmentation on faces",
    features="dilated ResNet-50 trained for segmentation on ADE20K",
    convention="1 = hole; holes filled with 0; images in [0, 1]; sides padded to multiples of 8",
    licence="Apache-2.0",
    weights="big-lama.zip (Hugging Face smartywu/big-lama), lama-models.zip (Google Drive; CelebA-HQ 256 "
    "lama-fourier): Lightning files whose state_dict has the prefix `generator.`",
    trained_on={"celeba-hq": "lama", "places365": "train"},
    choices={
        "perceptual_layers": "sum: released code, over the four layers. mean: the paper",
        "batch_size": "30 in total, as the paper; the released configuration has 10 on each GPU, and below 20 in total "
        "the batch norm degrades strongly",
    },
    notes="preset `paper`: lama-fourier, 9 blocks; preset `big`: big-lama, 18 blocks",
)


class LaMaConfig(Config):
    """Sizes and losses of LaMa."""

    width: int = 64  # channels of the first convolution
    downsamplings: int = 3  # each halves the size and doubles the channels
    blocks: int = 9  # residual blocks; 18 in big-lama
    share: float = 0.75  # of the channels that are global
    discriminator_width: int = 64
    discriminator_layers: int = 4
    l1: float = 10.0  # weight of the reconstruction of known pixels
    perceptual: float = 30.0
    perceptual_layers: Literal["sum", "mean"] = "sum"  # of the differences of the layers
    gan: float = 10.0
    matching: float = 100.0  # weight of feature matching
    r1: float = 0.001  # weight of the gradient penalty on real images
    learning_rate: float = 1e-3
    discriminator_rate: float = 1e-4
    clip: float = 1.0  # largest norm of a gradient
    batch_size: int = 30
    masks: str = "lama"  # training draw
    ema: float | None = None  # moving average of the generator; the paper has none


class Join(nn.Module):
    """Local and global channels side by side."""

    def forward(self, x: Pair) -> Tensor:
        return torch.cat(x, dim=1)


class Generator(nn.Module):
    """Downsampling, residual FFC blocks, upsampling (Fig. 2). (N, 4, H, W) -> (N, 3, H, W) in [0, 1].

    Input: the masked image in [0, 1] and the mask. H and W are multiples of 2 ** downsamplings.
    """

    def __init__(self, config: LaMaConfig):
        super().__init__()
        widths = [config.width * 2**i for i in range(config.downsamplings + 1)]
        pair = split(widths[-1], config.share)
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), FFCLayer((4, 0), (widths[0], 0), 7)]
        for inputs, outputs in pairwise(widths):
            layers.append(FFCLayer((inputs, 0), pair if outputs == widths[-1] else (outputs, 0), 3, 2, 1))
        layers += [FFCResBlock(pair) for _ in range(config.blocks)]
        layers.append(Join())
        for inputs, outputs in pairwise(reversed(widths)):
            layers += [nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, 1), nn.BatchNorm2d(outputs), nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(widths[0], 3, 7), nn.Sigmoid()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.model:
            # the layers before the split give (local, None)
            x = layer(x[0] if isinstance(x, tuple) and x[1] is None else x)
        return x


class Discriminator(nn.Module):
    """pix2pixHD's patch discriminator. (N, 3, H, W) in [0, 1] -> logits (N, 1, h, w) and all activations before."""

    def __init__(self, width: int, layers: int):
        super().__init__()
        widths = [3, *(min(width * 2**i, 8 * width) for i in range(layers)), min(width * 2**layers, 8 * width)]
        for i, (inputs, outputs) in enumerate(pairwise(widths)):
            norm = [nn.BatchNorm2d(outputs)] if i else []
            convolution = nn.Conv2d(inputs, outputs, 4, 2 if i < layers else 1, 2)
            self.add_module(f"model{i}", nn.Sequential(convolution, *norm, nn.LeakyReLU(0.2)))
        self.add_module(f"model{layers + 1}", nn.Sequential(nn.Conv2d(widths[-1], 1, 4, 1, 2)))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        maps = [x]
        for layer in self.children():
            maps.append(layer(maps[-1]))
        return maps[-1], maps[1:-1]


class ClippedAdam(Adam):
    """Adam on gradients whose common norm is at most `clip`."""

    def __init__(self, parameters: Any, lr: float, clip: float):
        super().__init__(parameters, lr)
        self.clip = clip

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        nn.utils.clip_grad_norm_([p for group in self.param_groups for p in group["params"]], self.clip)
        return super().step(closure)


class LaMa(Method):
    """LaMa as published: lama-fourier (`paper`) and big-lama (`big`)."""

    card = CARD
    Config = LaMaConfig
    config: LaMaConfig
    presets = {
        "paper": LaMaConfig(),
        "big": LaMaConfig(blocks=18, batch_size=120),
        "tiny": LaMaConfig(
            width=16,
            downsamplings=2,
            blocks=4,
            discriminator_width=16,
            discriminator_layers=3,
            gan=1.0,
            matching=20.0,
            learning_rate=2e-3,
            discriminator_rate=2e-4,
            batch_size=8,
            masks="irregular",
            ema=0.97,
        ),
    }

    def __init__(self, config: LaMaConfig):
        super().__init__(config)
        self.generator = Generator(config)

    def predict(self, batch: Batch) -> Tensor:
        """The network's image in [0, 1], at the size of the batch (any size)."""
        masked = (batch.image + 1) / 2 * (1 - batch.mask)
        height, width = batch.image.shape[2:]
        x = pad_to_multiple(torch.cat([masked, batch.mask], dim=1), 2**self.config.downsamplings)
        return self.generator(x)[:, :, :height, :width]

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return 2 * self.predict(batch) - 1

    def stages(self, features: Source = "official") -> list[Stage]:
        return [LaMaStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take a Lightning checkpoint, or its state_dict; losses, evaluators and the discriminator are left out."""
        state = state.get("state_dict", state)
        ours = {name: value for name, value in state.items() if name.startswith("generator.")}
        if not ours:
            raise BenchError("lama: the checkpoint has no names with the prefix `generator.`: give models/best.ckpt")
        self.load_state_dict(ours)


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Mirror the right and bottom edges, edge pixels included, up to multiples of `multiple`."""
    for dim in (2, 3):
        size = x.shape[dim]
        place = torch.arange(-(-size // multiple) * multiple, device=x.device) % (2 * size)
        x = x.index_select(dim, torch.minimum(place, 2 * size - 1 - place))
    return x


class LaMaStage(Stage):
    """Joint training: one step of the generator, then one of the discriminator on a new forward pass (section 2.2)."""

    method: LaMa
    iterations = 1_000_000
    mirrored = False  # as published for faces

    def __init__(self, method: LaMa, features: Source):
        super().__init__(method)
        config = method.config
        self.config, self.masks, self.batch_size = config, config.masks, config.batch_size
        self.ema = {"generator": config.ema} if config.ema else {}
        self.discriminator = Discriminator(config.discriminator_width, config.discriminator_layers)
        self.perceptual = SegmentationLoss(features)

    def optimisers(self) -> dict[str, Optimizer]:
        c = self.config
        return {
            "generator": ClippedAdam(self.method.generator.parameters(), c.learning_rate, c.clip),
            "discriminator": ClippedAdam(self.discriminator.parameters(), c.discriminator_rate, c.clip),
        }

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        real = (batch.image + 1) / 2
        losses = self.generator_losses(batch, real)
        c = self.config
        update(
            "generator",
            c.l1 * losses["l1"]
            + c.perceptual * losses["perceptual"]
            + c.gan * losses["generator"]
            + c.matching * losses["matching"],
        )
        with torch.no_grad():
            fake = self.method.predict(batch)
        losses["discriminator"], losses["r1"] = discriminator_losses(self.discriminator, fake, real, batch.mask)
        update("discriminator", losses["discriminator"] + c.r1 * losses["r1"])
        return losses

    def generator_losses(self, batch: Batch, real: Tensor) -> dict[str, Tensor]:
        """The terms of Eq. 7, on the network's image, not the composite."""
        output = self.method.predict(batch)
        logits, fake_maps = self.discriminator(output)
        with torch.no_grad():
            _, real_maps = self.discriminator(real)
        differences = self.perceptual(output, real)  # Eq. 3
        return {
            "l1": ((output - real).abs() * (1 - batch.mask)).mean(),
            "perceptual": differences.sum() if self.config.perceptual_layers == "sum" else differences.mean(),
            "generator": F.softplus(-logits).mean(),  # Eq. 5
            "matching": feature_matching(fake_maps, real_maps),
        }


def discriminator_losses(network: Discriminator, fake: Tensor, real: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """(Eq. 4, R1): only patches that see the hole count as fake, other patches of completions as real."""
    real = real.detach().requires_grad_()
    with differentiable_twice():
        real_logits, _ = network(real)
    fake_logits, _ = network(fake)
    hole = F.interpolate(mask, fake_logits.shape[2:], mode="nearest")
    judged = F.softplus(fake_logits) * hole + F.softplus(-fake_logits) * (1 - hole)
    return F.softplus(-real_logits).mean() + judged.mean(), r1(real_logits, real)


def _thin(x: Tensor) -> Tensor:
    """The values that the golden files keep of a feature map."""
    return x[:, ::8, ::4, ::4]


def _run_generator(method: LaMa, inputs: Inputs) -> dict[str, Tensor]:
    image, mask = inputs.image(), inputs.mask()
    model, blocks = method.generator.model, method.config.blocks
    first = 2 + method.config.downsamplings
    seen: dict[str, Any] = {}
    watched = {"down": model[first - 1], "block0": model[first], "last": model[first + blocks - 1]}
    watched["fourier"] = model[first].get_submodule("conv1.ffc.convg2g.fu")
    for name, module in watched.items():
        module.register_forward_hook(lambda module, given, output, name=name: seen.update({name: output}))
    out = method.predict(Batch(image, mask))
    maps = {name: _thin(torch.cat(x, dim=1) if isinstance(x, tuple) else x) for name, x in seen.items()}
    return {**maps, "out": out, "comp": mask * out + (1 - mask) * (image + 1) / 2}


def _generator(preset: str, name: str) -> Golden:
    return Golden(
        build=lambda: LaMa.create(preset),
        load=LaMa.load_official,
        run=_run_generator,
        parts=lambda method: {name: method.generator},
        costs={name: lambda method: method.generator(torch.empty(1, 4, 256, 256))},
    )


def _run_discriminator(network: Discriminator, inputs: Inputs) -> dict[str, Tensor]:
    logits, maps = network((inputs.image() + 1) / 2)
    return {"logits": logits, **{f"feature{i}": x[:, ::8, ::8, ::8] for i, x in enumerate(maps)}}


def _load_discriminator(network: Discriminator, state: Mapping[str, Tensor]) -> None:
    network.load_state_dict({name.removeprefix("discriminator."): value for name, value in state.items()})


def _run_perceptual(network: DilatedResNet50, inputs: Inputs) -> dict[str, Tensor]:
    maps, others = (network((inputs.image(offset=offset) + 1) / 2) for offset in (0, 1))
    mse = torch.stack([F.mse_loss(a, b) for a, b in zip(maps, others, strict=True)])
    return {"mse": mse, **{f"layer{i}": x[:, ::16, ::4, ::4] for i, x in enumerate(maps, start=1)}}


LaMa.golden = {
    "lama.fourier": _generator("paper", "fourier"),
    "lama.big": _generator("big", "big"),
    "lama.discriminator": Golden(
        build=lambda: Discriminator(64, 4),
        load=_load_discriminator,
        run=_run_discriminator,
        parts=lambda network: {"discriminator": network},
        costs={"discriminator": lambda network: network(torch.empty(1, 3, 256, 256))},
    ),
    "lama.resnet_pl": Golden(
        build=DilatedResNet50,
        run=_run_perceptual,
        parts=lambda network: {"resnet_pl": network},
        costs={"resnet_pl": lambda network: network(torch.empty(1, 3, 256, 256))},
    ),
}
