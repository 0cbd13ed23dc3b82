"""FaceReenactment: a linear map turns differences of pose and expression into shifts of StyleGAN2's codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.optim import Adam

from baselines.editor import CodeEditor, EditorConfig
from baselines.facereenactment.networks import Directions
from baselines.facereenactment.training import DirectionStage, ParameterStage
from baselines.psp import resized
from bench.data.attributes import EXPRESSIONS, POSE, chosen
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Noise, Source, Stage
from bench.nn.regressor import Regressor

CARD = Card(
    slug="facereenactment",
    name="FaceReenactment",
    title="Finding Directions in GAN's Latent Space for Neural Face Reenactment",
    authors="Bounareli, Argyriou, Tzimiropoulos",
    year=2022,
    venue="BMVC; arXiv 2202.00046",
    url="https://arxiv.org/abs/2202.00046",
    task="editing",
    resolution=256,
    params={"directions": 65_536},
    macs={"directions": 61_440.0},
    training="Adam 1e-4, weight decay 5e-4, batch 12, 100,000 iterations; shape 1, identity 10, LPIPS (AlexNet) 10; "
    "generator and encoder frozen",
    features="IR-SE50 (ArcFace), AlexNet (LPIPS v0.1); DECA for the parameters of a face",
    convention="no masks; faces of 256 px in [-1, 1], cut as in VoxCeleb",
    licence="none stated (code); DECA and FLAME: no commercial use, no redistribution",
    weights="the authors' Google Drive: the matrix A (VoxCeleb1) as `weights`: {linear.weight, linear.bias}; their "
    "StyleGAN2 of VoxCeleb1 as `weights` of the prior stylegan2. Their encoder's file, {e: ...}, holds neither "
    "generator nor mean code and is not read: the prior e4e is trained on their generator",
    requires=("e4e",),
    needs=("source", "attributes", "wanted"),
    choices={
        "attributes": "the paper's parameters are DECA's; they come with the data set (pose, jaw and 11 coefficients "
        "of expression of every picture, in a CSV file), or synthetic faces know them",
        "regressor": "stands for DECA in the shape loss: a network of our own, first trained on the data set's "
        "pictures and their parameters; `regressor_share` of the budget",
        "shape": "L1 of the scaled parameters, where the paper has that of FLAME's vertices: jaw and expression stand "
        "in them for the paper's terms of mouth and eyes, too, whose wanted landmarks only the 3D model tells",
        "pairs": "drawn codes, the default of the authors' program; its pairs of video frames need videos",
        "ranges": "of jaw and expressions: those of all pictures that the regressor learnt from, 0 among them; for the "
        "released matrix those of ranges_voxceleb.npy",
        "finetune": "200 steps on the squared error of the source, on the convolutions' weights; LPIPS, which the "
        "authors have there too, would need weights that are not the method's own. tiny: 30",
        "truncation": "0.7, of all codes that the generator is given, their shift included. tiny: of drawn ones alone, "
        "before their shift, for the codes of e4e tiny lie near the mean anyway (`truncated`)",
        "photos": "0: as published. tiny: half of the pairs start from pictures of the data set, inverted",
    },
    notes="With `finetune` every picture costs as many passes of the generator, forth and back, as it has steps. "
    "`paper` stands on the presets 256 of e4e and paper of stylegan2, whose generator is as wide as the authors'.",
)


class FaceReenactmentConfig(EditorConfig):
    """Sizes and losses of FaceReenactment."""

    expressions: int = Field(default=11, ge=0, le=len(EXPRESSIONS))  # coefficients, beside pose and jaw
    rows: int = 8  # codes that are moved, the first ones
    angles: tuple[float, float, float] = (40.0, 20.0, 20.0)  # yaw, pitch and roll that become `reach`
    reach: float = 6.0  # the other parameters' ranges become [-reach, reach]
    ranges: tuple[tuple[float, float], ...] | None = None  # of jaw and expressions; None: the training data's
    truncated: bool = True  # codes of pictures and shifts are truncated, too
    finetune: int = Field(default=200, ge=0)  # steps on the generator for each picture
    finetune_rate: float = 3e-3
    regressor_size: int = 128  # pixels of the regressor's input
    regressor_widths: tuple[int, ...] = (32, 64, 128, 256, 512)
    regressor_rate: float = 1e-3
    regressor_share: float = 0.5  # of the training budget
    learning_rate: float = 1e-4
    weight_decay: float = 5e-4
    shape: float = 1.0
    identity: float = 10.0
    lpips: float = 10.0

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of what is compared, in the order of the matrix's columns."""
        return (*POSE, "jaw", *EXPRESSIONS[: self.expressions])


class FaceReenactment(CodeEditor):
    """The map of directions, on the suite's own StyleGAN2 and e4e."""

    card = CARD
    Config = FaceReenactmentConfig
    config: FaceReenactmentConfig
    lowest: Tensor  # (K,) of each parameter in training, at most 0
    highest: Tensor
    presets = {
        "paper": FaceReenactmentConfig(),
        "tiny": FaceReenactmentConfig(
            dim=64, expressions=2, rows=6, truncation=0.7, truncated=False, finetune=30, photos=0.5,
            regressor_size=64, regressor_widths=(16, 32, 64, 64, 64), learning_rate=5e-3, identity=0.3, lpips=0.1,
        ),
    }  # fmt: skip
    prior_presets = {"paper": {"e4e": "256", "stylegan2": "paper"}}

    def __init__(self, config: FaceReenactmentConfig):
        super().__init__(config)
        c = config
        count = len(c.parameters)
        self.directions = Directions(count, c.rows, c.dim)
        self.regressor = Regressor(c.parameters, c.regressor_size, c.regressor_widths)
        self.register_buffer("lowest", torch.zeros(count))
        self.register_buffer("highest", torch.zeros(count))
        self.released = False
        if c.ranges is not None:
            if len(c.ranges) != 1 + c.expressions:
                raise BenchError(f"facereenactment: `ranges` has {len(c.ranges)} pairs: {1 + c.expressions} are needed")
            for buffer, bounds in zip((self.lowest, self.highest), zip(*c.ranges, strict=True), strict=True):
                buffer[len(POSE) :] = torch.tensor(bounds)

    def networks(self) -> dict[str, nn.Module]:
        """Without the regressor, which training alone needs."""
        return {"directions": self.directions, **self.prior_networks()}

    @torch.no_grad()
    def note(self, values: Tensor) -> None:
        """Follow the ranges of parameters (N, K), unless the options say them."""
        if self.config.ranges is None:
            self.lowest.copy_(torch.minimum(self.lowest, values.amin(0)))
            self.highest.copy_(torch.maximum(self.highest, values.amax(0)))

    def scaled(self, values: Tensor) -> Tensor:
        """Parameters (N, K), of which 6 is much: angles over their own reach, the others by their ranges."""
        c = self.config
        width = self.highest - self.lowest
        width = torch.where(width > 0, width, 1.0)  # what never changed says nothing
        factor, start = 2 * c.reach / width, self.lowest
        pose = len(POSE)
        factor = torch.cat([c.reach / torch.tensor(c.angles).to(factor), factor[pose:]])
        offset = torch.cat([torch.zeros_like(start[:pose]), -start[pose:] * factor[pose:] - c.reach])
        return values * factor + offset

    def change(self, batch: Batch) -> Tensor:
        """By how much the parameters (N, K) shall change."""
        if self.released and self.config.ranges is None:
            raise BenchError(
                "facereenactment: the released matrix was trained with other ranges of jaw and expressions: copy those "
                "of ranges_voxceleb.npy to the suite's `options: {ranges: [[MIN, MAX], ...]}`"
            )
        names, slug = self.config.parameters, self.card.slug
        both = (chosen(batch.need(guide), names, slug) for guide in ("wanted", "attributes"))
        wanted, own = (self.scaled(values.to(batch.image)) for values in both)
        return wanted - own

    def codes(self, images: Tensor) -> Tensor:
        """Codes (N, styles, dim) of pictures, as they are given to the generator."""
        codes = super().codes(images)
        return self.truncated(codes) if self.config.truncated else codes

    def moved(self, codes: Tensor, change: Tensor) -> Tensor:
        """Codes as the generator is given them, moved: mean + t (w + shift - mean), which is theirs + t shift."""
        return self.directions.shifted(codes, change, self.config.truncation if self.config.truncated else 1.0)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        self.config.sizes().check(batch.need("source"), self.card.name)
        maps = noise.maps(self.decoder.sides)
        if not self.config.finetune:
            return self.fitted(self.reenacted(batch, maps), batch)
        each = ((batch.only(i), [m[i : i + 1] for m in maps]) for i in range(len(batch)))
        return self.fitted(torch.cat([self.reenacted(*one) for one in each]), batch)

    def reenacted(self, batch: Batch, maps: list[Tensor]) -> Tensor:
        """The generator's images of moved codes; with `finetune`, of one picture, by a generator that knows it."""
        codes = self.codes(batch.need("source"))
        moved = self.moved(codes, self.change(batch))
        if not self.config.finetune:
            return self.decode(moved, maps)
        tuned = self.tuned(batch.need("source"), codes, maps)
        return functional_call(self.decoder, tuned, (moved[:, : self.decoder.codes], maps))

    def tuned(self, source: Tensor, codes: Tensor, maps: list[Tensor]) -> dict[str, Tensor]:
        """Weights of the generator, by name, with which the codes (1, styles, dim) give the source (1, 3, H, W)."""
        c, generator = self.config, self.decoder
        with torch.inference_mode(False), torch.enable_grad():
            names = [name for name, _ in generator.named_parameters() if name.endswith("conv.weight")]
            weights = {name: generator.get_parameter(name).detach().clone().requires_grad_() for name in names}
            given = codes[:, : generator.codes].detach().clone()
            own = [m.clone() for m in maps]
            target = resized(source.clone(), generator.size)
            adam = Adam(weights.values(), c.finetune_rate)
            for _ in range(c.finetune):
                loss = F.mse_loss(functional_call(generator, weights, (given, own)), target)
                for weight, slope in zip(weights.values(), torch.autograd.grad(loss, [*weights.values()]), strict=True):
                    weight.grad = slope
                adam.step()
        return {name: weight.detach() for name, weight in weights.items()}

    def stages(self, features: Source = "official") -> list[Stage]:
        self.inverter.check_generator()
        parameters, directions = ParameterStage(self), DirectionStage(self, features)
        parameters.share, directions.share = self.config.regressor_share, 1 - self.config.regressor_share
        return [parameters, directions]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take the matrix A; the option `ranges` says for which parameters it was made."""
        self.directions.load_state_dict(state)
        self.released = True


def _run(network: Directions, inputs: Inputs) -> dict[str, Tensor]:
    differences = inputs.latent(2, 15)
    codes = Inputs(inputs.seed + 1).latent(2, 14, 512)
    return {"shift": network(differences), "shifted": network.shifted(codes, differences)}


FaceReenactment.golden = {
    "facereenactment.directions": Golden(
        build=Directions,
        run=_run,
        parts=lambda network: {"directions": network},
        costs={"directions": lambda network: network(torch.empty(1, 15))},
    ),
}
