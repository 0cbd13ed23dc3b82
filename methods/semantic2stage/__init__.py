"""Semantic2Stage: one network lays out the face's regions under the hole, a second one paints them.

A proposal: only the paper's abstract and summaries of it are public. What they say is kept; every layer, size, weight
and number of steps is this project's own.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.data.guides.semantics import one_hot, palette
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.faceparsing import FaceParser
from bench.nn.perceptual import FeatureLoss
from methods.semantic2stage.networks import CLASSES, Critic, LayoutGenerator, TextureGenerator
from methods.semantic2stage.training import JointPhase, LayoutPhase, TexturePhase

CARD = Card(
    slug="semantic2stage",
    name="Semantic2Stage",
    title="Semantic-Guided Two-Stage GAN for Face Inpainting with Hybrid Perceptual Encoding",
    authors="Bhattacharya, Roy",
    year=2025,
    venue="arXiv 2512.05039",
    url="https://arxiv.org/abs/2512.05039",
    resolution=256,
    params={"layout": 9_709_891, "texture": 20_342_411, "critic": 6_960_577},
    macs={"layout": 9.964e9, "texture": 57.984e9, "critic": 1.947e9},
    published={"figures": "none that can be compared: the abstract names CelebA-HQ and FFHQ, LPIPS, PSNR and SSIM"},
    training="WGAN-GP in progressive stages, as a summary says. Ours: Adam 1e-4 (0.5, 0.9), batch 8; layout 100,000 "
    "iterations; texture 300,000, adversarial from 20,000 on; both 100,000 at 2e-5; cross-entropy of the layout 1, L1 "
    "1 on known pixels and 6 in the hole, perceptual 0.1, cross-entropy of the re-parsed output 0.5, adversarial "
    "0.001, gradient penalty 10; EMA 0.999",
    features="networks that are not public; here VGG-16 (ImageNet)",
    convention="1 = hole; holes filled with 0; the range of images is not public, here [-1, 1]",
    licence="no code was released; CelebAMask-HQ's labels are non-commercial",
    weights="none were released",
    takes=("semantics",),
    choices={
        "design": "not public; summaries tell of two encoders of picture and mask (residual blocks and stride 2; "
        "patches with learned positions), a 1 x 1 fusion, a probabilistic layout and contextual attention at several "
        "scales. Channels, layers, heads, the decoders and the critic are ours",
        "attention": "not public; the abstract's dynamic attention is, here, an offset of the scores by the validity "
        "of each token, which grows where holes are filled",
        "ramp": "not public; an image has a predicted layout, not the true one, with a probability that grows linearly",
        "losses": "not public, but for WGAN-GP; the critic sees the mask and judges composites, one step for one of "
        "the generator's",
        "labels": "given: with the data, as CelebAMask-HQ's. parser: a face parser's, for FFHQ; whose is not public, "
        "here BiSeNet's on its official weights",
        "semantics": "not in the paper; labels that a condition shows replace the predicted layout in the hole",
    },
    notes="Our reading of the abstract and of summaries: neither code nor numbers were published, so it reproduces no "
    "result of the paper.",
)


class Semantic2StageConfig(Config):
    """Sizes and losses; all are ours."""

    size: int = 256  # of the images
    layout_widths: tuple[int, ...] = (32, 64, 128, 256, 256)  # channels of full size, half of it, ...; last: tokens too
    layers: int = 6  # of the transformer
    layout_heads: int = 8  # of its attention
    texture_width: int = 48  # channels at full size, doubled with each of three halvings
    dilations: tuple[int, ...] = (1, 2, 4, 1, 2, 4)  # of the texture generator's residual blocks
    texture_heads: int = 4  # of its contextual attention
    keys: int = 32  # largest side of the map that its keys are pooled to
    hidden: int = 64  # channels of a modulation by the layout
    critic_widths: tuple[int, ...] = (64, 128, 256, 512, 512)  # channels of its convolutions with stride 2
    shares: tuple[float, float, float] = (0.2, 0.6, 0.2)  # of the budget: layout, texture, both
    ramp: int = 300_000  # iterations of the texture phase until all layouts are predicted
    warmup: int = 20_000  # iterations of the texture phase without the adversarial loss
    learning_rate: float = 1e-4
    joint_rate: float = 2e-5  # learning rate of the last phase
    betas: tuple[float, float] = (0.5, 0.9)  # of Adam
    batch_size: int = 8
    layout: float = 1.0  # weight of the layout's cross-entropy
    known: float = 1.0  # weight of L1 on known pixels, divided by all
    hole: float = 6.0  # and in the hole
    perceptual: float = 0.1  # of the output and of the composite
    semantic: float = 0.5  # weight of the re-parsed output's cross-entropy
    adversarial: float = 0.001
    penalty: float = 10.0  # weight of the gradient penalty
    ema: float = 0.999  # moving average of both generators
    masks: str = "semantic2stage"  # training draw
    labels: Literal["given", "parser"] = "given"  # that it learns from: with the data, or what BiSeNet sees

    def sizes(self, features: Source | None = None) -> Sizes:
        multiple = max(2 ** (len(self.layout_widths) - 1), 8)
        smallest = 2 * multiple  # instance norm needs more than one pixel
        if features is not None:
            smallest = max(smallest, 2 ** (len(self.critic_widths) + 1))
        return Sizes(multiple, smallest, only=self.size, option="size")

    def stand_ins(self, guides: Collection[str]) -> list[str]:
        return ["networks and losses are this project's proposal; the authors published neither code nor numbers"]


class Semantic2Stage(Method):
    """Our reading of the paper: layout, softmax, texture."""

    card = CARD
    Config = Semantic2StageConfig
    config: Semantic2StageConfig
    presets = {
        "paper": Semantic2StageConfig(),
        "tiny": Semantic2StageConfig(
            size=64, layout_widths=(16, 32, 64, 64), layers=2, layout_heads=4, texture_width=16, dilations=(1, 2, 1, 2),
            hidden=16, critic_widths=(16, 32, 64, 64), shares=(0.25, 0.5, 0.25), ramp=150, warmup=50,
            learning_rate=1e-3, joint_rate=5e-4, ema=0.98,
        ),
    }  # fmt: skip

    def __init__(self, config: Semantic2StageConfig):
        super().__init__(config)
        c = config
        self.layout = LayoutGenerator(c.size, c.layout_widths, c.layers, c.layout_heads)
        self.texture = TextureGenerator(c.texture_width, c.dilations, c.texture_heads, c.keys, c.hidden)

    def predicted(self, batch: Batch) -> Tensor:
        """S: probabilities (N, 19, H, W) of each pixel's label, of the masked picture."""
        self.config.sizes().check(batch.image, CARD.name)
        return self.layout(batch.masked, batch.mask).softmax(dim=1)

    def laid_out(self, batch: Batch) -> Tensor:
        """S with, in the hole, the labels that guide the completion, where there are some."""
        predicted = self.predicted(batch)
        if batch.semantics is None:
            return predicted
        return torch.where(batch.mask > 0, one_hot(batch.semantics).to(predicted), predicted)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.texture(batch.masked, batch.mask, self.laid_out(batch))

    def steps(self, batch: Batch, noise: Noise) -> list[Tensor]:
        """The likeliest layout in display colours, then the completion."""
        layout = self.laid_out(batch)
        colours = palette(layout.argmax(dim=1)).to(layout) / 127.5 - 1
        return [colours, self.texture(batch.masked, batch.mask, layout)]

    def stages(self, features: Source = "official") -> list[Stage]:
        critic = Critic(self.config.critic_widths)
        loss = FeatureLoss(("pool1", "pool2", "pool3"), (), features, backbone="vgg16")
        parser = FaceParser() if self.config.labels == "parser" else None
        return [
            LayoutPhase(self, parser),
            TexturePhase(self, parser, critic, loss),
            JointPhase(self, parser, critic, loss),
        ]


def _run(method: Semantic2Stage, inputs: Inputs) -> dict[str, Tensor]:
    mask = inputs.mask()
    masked = inputs.image() * (1 - mask)
    logits = method.layout(masked, mask)
    return {"logits": logits[:, ::4], "out": method.texture(masked, mask, logits.softmax(dim=1))}


def _empty(*channels: int) -> list[Tensor]:
    return [torch.empty(1, n, 256, 256) for n in channels]


def _run_parser(parser: FaceParser, inputs: Inputs) -> dict[str, Tensor]:
    x = parser.normalised(inputs.image())
    out, out16, out32 = parser.network(x)
    larger = parser.network(F.interpolate(x, (512, 512), mode="bilinear", align_corners=False))[0]
    return {
        "out": out[:, ::4],
        "out16": out16[:, ::9],
        "out32": out32[:, ::9],
        "out512": larger[:, ::6, ::4, ::4],
        "labels": parser(inputs.image())[:, None],
    }


Semantic2Stage.golden = {
    "semantic2stage": Golden(
        build=Semantic2Stage.create,
        run=_run,
        parts=Method.networks,
        costs={
            "layout": lambda method: method.layout(*_empty(3, 1)),
            "texture": lambda method: method.texture(*_empty(3, 1, CLASSES)),
        },
    ),
    "semantic2stage.critic": Golden(
        build=lambda: Critic(Semantic2StageConfig().critic_widths),
        run=lambda network, inputs: {"out": network(inputs.image(), inputs.mask())},
        parts=lambda network: {"critic": network},
        costs={"critic": lambda network: network(*_empty(3, 1))},
    ),
    "faceparsing": Golden(
        build=lambda: FaceParser(pretrained=False),
        load=lambda parser, state: parser.network.load_state_dict(state),
        run=_run_parser,
        parts=lambda parser: {"faceparsing": parser.network},
        costs={
            "faceparsing": lambda parser: parser.network(*_empty(3)),
            "faceparsing at 512": lambda parser: parser.network(torch.empty(1, 3, 512, 512)),
        },
    ),
}
