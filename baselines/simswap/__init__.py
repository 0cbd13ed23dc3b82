"""SimSwap: the face of one picture with the identity of another one, by any recogniser's embedding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, cast

import torch
from torch import Tensor

from baselines.arcface import ArcFace
from baselines.simswap.networks import Generator, Judge
from baselines.simswap.training import PatchStage, ProjectedStage
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.perceptual import frozen
from bench.nn.projected import smallest_judged

CARD = Card(
    slug="simswap",
    name="SimSwap",
    title="SimSwap: An Efficient Framework For High Fidelity Face Swapping",
    authors="Chen, Chen, Ni, Ge",
    year=2020,
    venue="ACM MM; arXiv 2106.06340",
    url="https://arxiv.org/abs/2106.06340",
    task="editing",
    resolution=224,
    params={"generator": 55_051_779, "discriminator": 6_962_369},
    macs={"generator": 62.848e9},
    training="hinge loss 1, feature matching 10, identity 20 (released: 30), L1 10 where source and target are one "
    "person; Adam 2e-4 (0.5, 0.999) (released: 4e-4, (0, 0.99)), batch 8 (512 px: 16), up to 1,000,000 iterations of "
    "VGGFace2 (512 px: VGGFace2-HQ)",
    features="an ArcFace",
    backbone="lite0",
    convention="no masks; pictures and results in [0, 1]: (tanh + 1) / 2; the identity is seen at 112 px, reduced "
    "without a filter, in ImageNet's colours",
    licence="CC BY-NC 4.0 (code and weights); parts of its networks: NVIDIA, CC BY-NC-SA 4.0",
    weights="GitHub release 1.0 of the authors: people/latest_net_G.pth of checkpoints.zip for `paper`, "
    "550000_net_G.pth of 512.zip for `512`; plain states of the generator",
    requires=("arcface",),
    needs=("source", "exemplar"),
    choices={
        "identity network": "the prior arcface, which sees what its own losses see. The authors' is a pickled module "
        "of a depth that is not stated; released generators read its embeddings, no others",
        "pairs": "the batch's: each face with its own identity, then with its neighbour's, in turn. The authors take "
        "another picture of the person for the first, which needs labels of people",
        "identity": "20, as the options of the time; 30 in the released training",
        "matched": "2: weak feature matching compares the last maps before the logits; how many is not stated",
        "judge": "patch: the paper's. projected: the released training's, without augmentation (`released`, `512`)",
        "centred": "false: as the released weights. true: as the authors' newer programs, of `released`",
        "penalty": "none: the authors' options name one on gradients, whose value their program returns as 0",
    },
    notes="Works on whole aligned pictures: the authors cut faces out, align and paste them back. At 512 px the "
    "generator has 55,079,427 parameters and 70.121 G MACs. The identity network is not counted.",
)


class SimSwapConfig(Config):
    """Sizes and losses of SimSwap."""

    width: int = 64  # channels of the generator's first layer, doubled with each halving
    halvings: Literal[2, 3, 4] = 3
    blocks: int = 9  # with the identity
    code: int = 512  # values of an identity
    centred: bool = False  # linear, on normalised colours
    judge: Literal["patch", "projected"] = "patch"
    judge_width: int = 64  # channels of a discriminator's first layer or finest map
    judge_halvings: int = 4
    resolution: int = 224  # that a projected discriminator is laid out for
    matched: int = 2  # maps of each discriminator that are compared
    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    batch_size: int = 8
    iterations: int = 1_000_000
    matching: float = 10.0  # weights of the losses
    identity: float = 20.0
    reconstruction: float = 10.0
    falls: bool = False  # the learning rate falls to 0 in the second half; as published: no
    ema: float = 0.0  # moving average of the generator; as published: none

    def sizes(self, features: Source | None = None) -> Sizes:
        taken = Sizes(2**self.halvings, 2 ** (self.halvings + 1), square=True)  # as its recogniser
        if features is None:
            return taken
        if self.judge == "projected":
            return replace(taken, smallest=max(taken.smallest, smallest_judged(self.resolution, features)))
        # at half the size, the halvings leave 3 pixels for two layers that take one each
        return replace(taken, smallest=max(taken.smallest, 3 * 2 ** (self.judge_halvings + 1)))


RELEASED = SimSwapConfig(judge="projected", centred=True, learning_rate=4e-4, betas=(0, 0.99), identity=30)


class SimSwap(Method):
    """SimSwap as published; `released` as its released training, `512` with the released network of 512 px."""

    card = CARD
    Config = SimSwapConfig
    config: SimSwapConfig
    presets = {
        "paper": SimSwapConfig(),
        "released": RELEASED,
        "512": RELEASED.model_copy(update={"width": 32, "halvings": 4, "centred": False, "resolution": 512,
                                           "batch_size": 16}),
        "tiny": SimSwapConfig(
            width=32, halvings=2, blocks=3, code=128, judge_width=32, judge_halvings=3, learning_rate=1e-3, falls=True,
            matching=5, identity=8, reconstruction=20, ema=0.99,
        ),
    }  # fmt: skip
    prior_presets = {"released": {"arcface": "paper"}, "512": {"arcface": "paper"}}

    def __init__(self, config: SimSwapConfig):
        super().__init__(config)
        c = config
        self.generator = Generator(c.width, c.halvings, c.blocks, c.code, c.centred)
        self.released = False

    def attach(self, priors: Mapping[str, Method]) -> None:
        arcface = cast(ArcFace, priors["arcface"])
        if arcface.config.dim != self.config.code:
            raise BenchError(
                f"simswap is set to identities of {self.config.code} values, its prior arcface has "
                f"{arcface.config.dim}: change `code` of the one or `dim` of the other"
            )
        self.recogniser = arcface
        frozen(arcface)

    def embed(self, images: Tensor) -> Tensor:
        """Identities (N, code) of length 1."""
        return self.recogniser.eval().embed(images)

    def swap(self, images: Tensor, identities: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) in [-1, 1] with other identities (N, code)."""
        return 2 * self.generator((images + 1) / 2, identities) - 1

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        """The face of `source` with the identity of `exemplar`."""
        source = batch.need("source")
        self.config.sizes().check(source, CARD.slug)
        return self.swap(source, self.embed(batch.need("exemplar"))).clamp(-1, 1)

    def stages(self, features: Source = "official") -> list[Stage]:
        return [PatchStage(self) if self.config.judge == "patch" else ProjectedStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take latest_net_G.pth or 550000_net_G.pth."""
        self.generator.load_state_dict(state)
        self.released = True

    def remarks(self) -> list[str]:
        """Whose identities a released generator is given."""
        if not self.released:
            return []
        return ["its weights were trained with another network's identities than it is given: the authors' ArcFace"]


def _generator(preset: str, side: int, counted: int) -> Golden:
    def run(network: Generator, inputs: Inputs) -> dict[str, Tensor]:
        identity = torch.nn.functional.normalize(inputs.latent(1, 512))
        return {"image": network((inputs.image(side) + 1) / 2, identity)}

    return Golden(
        build=lambda: SimSwap.create(preset).get_submodule("generator"),
        run=run,
        parts=lambda network: {"total": network},
        costs={str(counted): lambda network: network(torch.empty(1, 3, counted, counted), torch.empty(1, 512))},
    )


def _run_judge(network: Judge, inputs: Inputs) -> dict[str, Tensor]:
    maps = network(inputs.image(224))
    return {"out": maps[-1], "down2": maps[1][:, ::16], "conv1": maps[4][:, ::32]}


SimSwap.golden = {
    "simswap.generator": _generator("paper", 224, 224),
    "simswap.generator512": _generator("512", 256, 512),
    "simswap.discriminator": Golden(
        build=Judge,
        run=_run_judge,
        parts=lambda network: {"discriminator": network},
        costs={"224": lambda network: network(torch.empty(1, 3, 224, 224))},
    ),
}
