"""GRIG: completes an image in T steps of residual reasoning; made for few training images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.fastgan import settle
from bench.nn.init import normal_init
from bench.nn.projected import EfficientNetLite, Lite, ProjectedDiscriminator, smallest_judged
from methods.grig.discriminators import PatchDiscriminator, label_map
from methods.grig.generator import SIZES, Body, Generator
from methods.grig.training import GRIGStage

CARD = Card(
    slug="grig",
    name="GRIG",
    title="GRIG: Data-Efficient Generative Residual Image Inpainting",
    authors="Lu, Jiang, Jin, Yang, Gong, Shi, Wang, Zhao",
    year=2025,
    venue="Computational Visual Media 11(6)",
    url="https://github.com/LonglongaaaGo/GRIG_few_shot_inpainting",
    resolution=256,
    params={
        "generator": 31_764_198,
        "projected discriminator (learnable)": 2_829_120,
        "forged-patch discriminator": 2_764_737,
    },
    macs={"generator (T=1)": 20.538e9, "projected discriminator": 1.344e9, "forged-patch discriminator": 3.147e9},
    published={
        "parameters": "31.76 M; discriminators 2.829 M and 2.765 M (learnable)",
        "FLOPs": "20.47 G (T = 1), 61.41 G (T = 3) at 256 px (thesis, table 4.4), by thop's rule",
    },
    training="Adam 2e-4 (0.5, 0.999) for all networks, batch 8, T = 3 updates an iteration, EMA 0.999; "
    "400,000 iterations few-shot, 1,000,000 FFHQ, CelebA-HQ and Paris StreetView, 2,000,000 Places365; "
    "projected 1, forged patch 1, LPIPS (VGG, batch sum) 1.5; DiffAugment; CoModGAN masks",
    features="LPIPS (VGG-16) and EfficientNet-Lite0 (ImageNet)",
    backbone="lite0",
    convention="1 = hole; holes filled with 0; images in [-1, 1]; linear output",
    licence="MIT",
    weights="the authors' Google Drive folder (FFHQ, CelebA-HQ, Paris StreetView, Places365; 256 px): a dict whose `g` "
    "is overwritten by the list `g_ema`; training needs the ImageNet file of the backbone",
    trained_on={"ffhq": "train", "celeba-hq": "", "psv": "train", "places365": "train"},
    choices={
        "backbone": "lite0: released code, EfficientNet-Lite0. lite1: the thesis",
        "generator_patch": "all: released code, the generator's patch loss covers all units. hole: the thesis, "
        "only units that see the hole (X)",
        "first_update": "discriminators: released code. generator: the thesis",
        "initialisation": "pretrained: the frozen backbone keeps its ImageNet weights, its projection is He-normal. "
        "released: as the authors' script, which draws the whole discriminator again, frozen parts included",
        "patch_loss": "ablations (C) and (D): the losses are not stated; plain: hinge on all units, soft: AOT-GAN's",
        "body": "ablation (E): the blocks are not described; FastGAN's, as in the rest of the generator",
        "steps": "T is fixed, 3 in training and test; the released test script keeps the step with the best FID on "
        "the test set",
    },
)


class GRIGConfig(Config):
    """Sizes and losses of GRIG."""

    steps: int = 3  # T, in training and test
    width: int = 64  # channels of the generator's map at half the size
    dim: int = 48  # channels of transformer level 1
    blocks: tuple[int, int, int, int] = (4, 6, 6, 8)  # transformer blocks of levels 1 to 4
    heads: tuple[int, int, int, int] = (1, 2, 4, 8)  # attention heads of levels 1 to 4
    refinement: int = 4  # transformer blocks after the decoder
    rates: tuple[int, ...] = (1, 2, 4, 8)  # dilation rates of the AOT blocks
    body: Body = "transformer"  # between the encoder and the decoder; convolution: down- and upsampling blocks
    backbone: Lite = "lite0"  # of the projected discriminator: lite0 (released) or lite1 (thesis)
    resolution: int = 256  # that the projected discriminator is laid out for
    projected_width: int = 64  # channels of its finest map
    initialisation: Literal["pretrained", "released"] = "pretrained"  # of its frozen parts
    patch_width: int = 64  # channels of the forged-patch discriminator's first convolution
    patch_strides: tuple[int, ...] = (2, 2, 2, 1, 1)  # its convolutions
    generator_patch: Literal["all", "hole"] = "all"  # units in the generator's patch loss (thesis: hole)
    first_update: Literal["discriminators", "generator"] = "discriminators"  # in each step (thesis: generator)
    projected: float = 1.0  # weight of the projected adversarial loss; 0: without this discriminator
    patch: float = 1.0  # weight of the forged-patch adversarial loss; 0: without this discriminator
    patch_loss: Literal["forged", "plain", "soft"] = "forged"  # plain: PatchGAN; soft: SM-PatchGAN of AOT-GAN
    lpips: float = 1.5  # weight of LPIPS, summed over the batch
    learning_rate: float = 2e-4
    batch_size: int = 8
    ema: float = 0.999  # moving average of the generator, T updates an iteration
    augment: bool = True  # DiffAugment on the training images
    masks: str = "comodgan"  # training draw

    def sizes(self, features: Source | None = None) -> Sizes:
        if features is None or not self.projected:
            return SIZES
        return replace(SIZES, smallest=smallest_judged(self.resolution, features))


class GRIG(Method):
    """GRIG as published."""

    card = CARD
    Config = GRIGConfig
    config: GRIGConfig
    presets = {
        "paper": GRIGConfig(),
        "tiny": GRIGConfig(
            width=16,
            dim=16,
            blocks=(1, 1, 1, 1),
            refinement=1,
            resolution=64,
            projected_width=16,
            patch_width=16,
            patch_strides=(2, 1, 1),
            learning_rate=1e-3,
            ema=0.98,
            augment=False,
        ),
    }

    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "(A)": {"patch": 0.0},  # table 4.5: without the forged-patch discriminator
        "(B)": {"projected": 0.0},  # without the projected discriminator
        "(C)": {"patch_loss": "plain"},  # PatchGAN in the place of the forged-patch discriminator
        "(D)": {"patch_loss": "soft"},  # SM-PatchGAN in its place
        "(E)": {"body": "convolution"},  # down- and upsampling blocks in the place of the transformer
        "T = 1": {"steps": 1},  # table 4.6
        "T = 3": {"steps": 3},
        "T = 5": {"steps": 5},
        "T = 7": {"steps": 7},
        "T = 9": {"steps": 9},
    }

    def __init__(self, config: GRIGConfig):
        super().__init__(config)
        c = config
        generator = Generator(c.width, c.dim, c.blocks, c.heads, c.refinement, c.rates, c.body)
        self.generator = settle(normal_init(generator))

    def refine(self, filled: Tensor, batch: Batch, noise: Noise) -> Tensor:
        """One step of residual reasoning: r_t = (r_{t-1} + G(r_{t-1}, M)) M + x (1 - M)."""
        return batch.composite(filled + self.generator(filled, batch.mask, noise_maps(filled, noise)))

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.steps(batch, noise)[-1]

    def steps(self, batch: Batch, noise: Noise) -> list[Tensor]:
        """r_1, ..., r_T."""
        filled = [batch.masked]
        for _ in range(self.config.steps):
            filled.append(self.refine(filled[-1], batch, noise))
        return filled[1:]

    def stages(self, features: Source = "official") -> list[Stage]:
        return [GRIGStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take the authors' checkpoint (`g`, then the averaged parameters `g_ema`) or a generator's state dict."""
        self.generator.load_state_dict(state.get("g", state))
        average = state.get("g_ema")
        if average is None:
            return
        parameters = dict(self.generator.named_parameters())
        names = [name for name in state["g"] if name in parameters]  # the authors' module order
        if [value.shape for value in average] != [parameters[name].shape for name in names]:
            raise BenchError("the checkpoint's g_ema does not list the parameters of g in their order: use g alone")
        with torch.no_grad():
            for name, value in zip(names, average, strict=True):
                parameters[name].copy_(value)


def noise_maps(images: Tensor, noise: Noise) -> list[Tensor]:
    """What the generator adds at half the size of these images."""
    height, width = images.shape[2:]
    return [noise.normal(1, height // 2, width // 2) for _ in range(2)]


def _run_generator(method: GRIG, inputs: Inputs) -> dict[str, Tensor]:
    image, mask = inputs.image(), inputs.mask()
    batch, noise = Batch(image * (1 - mask), mask), Noise([inputs.seed])
    outputs, filled = {}, batch.masked
    for t in range(1, 4):
        outputs[f"delta{t}"] = method.generator(filled, mask, noise_maps(filled, noise))
        filled = outputs[f"out{t}"] = batch.composite(filled + outputs[f"delta{t}"])
    return outputs


def _run_projected(network: ProjectedDiscriminator, inputs: Inputs) -> dict[str, Tensor]:
    maps = network.features(inputs.image())
    return {"features0": maps[0], "features3": maps[3], "out": network.discriminator(maps)}


def _projected(backbone: Lite) -> Golden:
    return Golden(
        build=lambda: ProjectedDiscriminator(EfficientNetLite(backbone), scales=1),
        run=_run_projected,
        parts=lambda network: {
            "projected discriminator": network,
            "learnable": network.discriminator,
            "frozen EfficientNet part": network.feature_network.pretrained,
            "frozen random projection": network.feature_network.scratch,
        },
        costs={"projected discriminator": lambda network: network(torch.empty(1, 3, 256, 256))},
    )


def _run_patch(network: PatchDiscriminator, inputs: Inputs) -> dict[str, Tensor]:
    return {"out": network(inputs.image()), "label": label_map(inputs.mask(), GRIGConfig().patch_strides)}


def _parts(method: GRIG) -> dict[str, nn.Module]:
    return {"generator": method.generator, **dict(method.generator.named_children())}


GRIG.golden = {
    "grig.generator": Golden(
        build=GRIG.create,
        load=GRIG.load_official,
        run=_run_generator,
        parts=_parts,
        costs={
            "generator (T=1)": lambda method: method.generator(
                torch.empty(1, 3, 256, 256), torch.empty(1, 1, 256, 256), [torch.empty(1, 1, 128, 128)] * 2
            )
        },
    ),
    "grig.projected": _projected("lite0"),
    "grig.projected_lite1": _projected("lite1"),
    "grig.patch": Golden(
        build=lambda: PatchDiscriminator(GRIGConfig().patch_width, GRIGConfig().patch_strides),
        run=_run_patch,
        parts=lambda network: {"forged-patch discriminator": network},
        costs={"forged-patch discriminator": lambda network: network(torch.empty(1, 3, 256, 256))},
    ),
}
