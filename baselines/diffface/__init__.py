"""DiffFace: a diffusion model that is told an identity swaps a face, steered at each step by networks that see it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from baselines.diffface.guidance import Guide
from baselines.diffface.networks import IDENTITIES, IdentityUNet, Judges, judges
from baselines.diffface.training import DiffFaceStage
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Noise, Source, Stage
from bench.nn import embedded
from bench.nn.denoising import LINEAR, GuidedConfig, times
from bench.nn.diffusion import Diffusion, Reverse
from bench.nn.iterative import Iterative

CARD = Card(
    slug="diffface",
    name="DiffFace",
    title="DiffFace: Diffusion-based Face Swapping with Facial Guidance",
    authors="Kim et al.",
    year=2022,
    venue="arXiv 2212.13344",
    url="https://arxiv.org/abs/2212.13344",
    task="editing",
    resolution=256,
    params={"network": 554_388_998},
    macs={"network": 83_987.55e9},
    training="squared error of the noise and the variational bound, with the identity of the picture itself, + 0.01 "
    "times its distance from that of the clean estimate; AdamW 1e-4, batch 8, EMA 0.9999",
    features="ArcFace, BiSeNet; they steer completions, too",
    convention="no masks: the region is made from the target's parts; source and target in the paper are our exemplar "
    "and source",
    licence="CC BY-NC 4.0 (code and weights); its bases, Blended Diffusion and guided-diffusion: MIT",
    weights="the authors' shared folder: Model.pt, a plain state",
    needs=("source", "exemplar"),
    choices={
        "identity network": "the published IR-SE50 with its own crop. The authors' is a pickled module of a depth that "
        "is not stated, which sees the whole picture, reduced to 112 px without a filter; its colours are normalised "
        "when it steers, not when it teaches",
        "gaze": "left out: its network is a file of another project, whose layers the paper does not state. As "
        "released, it counts from step 49 to 11",
        "training": "the loss as released. Ours: learning rate, batch, iterations and EMA, which it does not state",
        "repetitions": "one; the released program makes four, and which of them is shown is not stated. A suite may "
        "ask for several",
        "times": "the network is told the steps of training that the 100 are, as all networks of guided-diffusion",
        "weights": "6000 for the mean of eight copies' distances of identity, 200 for the sum of the parts', 50 for "
        "the pixels' mean square: as released. The pixels pull towards the target. `tiny` has its own",
        "parser": "is fed pictures that are normalised twice, as released",
        "skipped": "25 of 100: as released. 24 of 40, ours for `tiny`, whose network draws faces from less noise alone",
        "taught": "1,000: all steps. 400, ours for `tiny`, which draws from no others",
        "judges": "official: those networks. embedded, ours for `tiny`: the project's own for synthetic faces",
        "predicts": "noise: as released. velocity (Salimans and Ho, ICLR 2022): ours, for the short training of `tiny`",
        "variances": "learned: as released. least: those of a step whose end is known, ours for `tiny`",
        "zeros": "true: as released. false, ours for `tiny`: layers that end blocks begin with a tenth of PyTorch's "
        "own values",
    },
    notes="Works on whole aligned pictures. A completion calls the network 75 times and goes back through it each "
    "time but the last, with ArcFace on eight copies and BiSeNet; the last estimate is the face, as released. The "
    "multiply-accumulates are those of the calls forward.",
)


class DiffFaceConfig(GuidedConfig):
    """Sizes and losses of DiffFace, and what steers it."""

    learning_rate: float = 1e-4
    iterations: int = 500_000
    identity: float = 0.01  # weight of the identity in training
    judges: Source = "official"  # the networks that tell identities and parts
    steps: int = Field(default=100, ge=2, le=1000)
    skipped: int = Field(default=25, ge=0)  # of these steps: the target is noised to where the others begin
    full: int = Field(default=30, ge=0)  # step from which on the whole face is the network's; it fades in until then
    weights: tuple[float, float, float] = (6000.0, 200.0, 50.0)  # of identity, parts and pixels in each step
    copies: int = Field(default=8, ge=1)  # of a face, moved, of which the identity is compared

    def stand_ins(self, guides: Collection[str]) -> list[str]:
        if self.judges == "official":
            return []
        told = embedded.fingerprint("training")
        return [f"identities and parts are told by {told}; the preset `paper` takes ArcFace and BiSeNet"]


class DiffFace(Iterative):
    """DiffFace as released, without gaze."""

    card = CARD
    Config = DiffFaceConfig
    config: DiffFaceConfig
    presets = {
        "paper": DiffFaceConfig(),
        "tiny": DiffFaceConfig(
            width=24, multipliers=(1, 1, 2, 4), blocks=1, attention=(3,), head=24, groups=8, batch_size=8,
            learning_rate=1e-3, left=0.02, taught=400, predicts="velocity", variances="least", zeros=False, ema=0.995,
            steps=40, skipped=24, full=6, judges="embedded", weights=(1200, 20, 5), copies=2,
        ),
    }  # fmt: skip

    def __init__(self, config: DiffFaceConfig):
        super().__init__(config)
        c = config
        if not c.full < c.steps - c.skipped:
            raise BenchError(f"diffface: options.full: {c.full} is not below the {c.steps - c.skipped} steps taken")
        self.network = c.started(IdentityUNet(IDENTITIES[c.judges], **c.layers))
        self.released = False

    def judges(self, like: Tensor) -> Judges:
        """The networks that steer, of a tensor's type and device."""
        return judges(self.config.judges, like.device, like.dtype)

    @property
    def calls(self) -> int:
        return self.config.steps - self.config.skipped

    def predict(self, x: Tensor, k: int | Tensor, identities: Tensor) -> Tensor:
        """(noise, v) (N, 6, H, W) of pictures x_k, of all or (N,), of these identities (N, D)."""
        return self.config.noise_and_v(self.network(x, times(k, x), identities), x, k)

    def pictures(self, batch: Batch, noise: Noise) -> Iterator[Tensor]:
        """The face of `source` with the identity of `exemplar`."""
        c, target = self.config, batch.need("source")
        guide = self.guide(target, batch.need("exemplar"))
        diffusion, shape = LINEAR.respaced(c.steps), target.shape[1:]
        x = diffusion.noised(target, self.calls - 1, noise.normal(*shape))
        for k in reversed(range(1, self.calls)):
            told, gradient = self.guided(diffusion, x, k, guide, noise)
            yield told.clean
            moved = told._replace(mean=told.mean - told.log_variance.exp() * gradient)
            soft = guide.region * min(1.0, (self.calls - (k + 1)) / (self.calls - c.full))
            x = moved.drawn(noise.normal(*shape))
            x = soft * x + (1 - soft) * diffusion.noised(target, k, noise.normal(*shape))
        face = self.told(diffusion, x, 0, guide).clean
        yield (guide.region * face + (1 - guide.region) * target).clamp(-1, 1)

    @torch.inference_mode(False)
    @torch.no_grad()
    def guide(self, target: Tensor, exemplar: Tensor) -> Guide:
        """What steers towards the face of `exemplar` in the place of the target's."""
        seen, target, exemplar = self.judges(target), target.clone(), exemplar.clone()
        region, identity, parts = seen.region(target), seen.identity(exemplar), seen.parts(target)
        return Guide(seen, target, region, identity, parts, self.config.weights, self.config.copies)

    def told(self, diffusion: Diffusion, x: Tensor, k: int, guide: Guide) -> Reverse:
        """What the network tells of x_k."""
        output = self.predict(x, int(diffusion.times[k]), guide.identity)
        return diffusion.reverse(x, k, output, clipped=False)

    @torch.inference_mode(False)
    @torch.enable_grad()
    def guided(self, diffusion: Diffusion, x: Tensor, k: int, guide: Guide, noise: Noise) -> tuple[Reverse, Tensor]:
        """What the network tells of x_k, and the gradient by it of the guide's loss.

        The guide sees the clean estimate, mixed with x by how much noise there is.
        """
        x = x.clone().requires_grad_()
        told = self.told(diffusion, x, k, guide)
        share = float(1 - diffusion.abar[k]) ** 0.5
        loss = guide.loss(share * told.clean + (1 - share) * x, noise)
        (gradient,) = torch.autograd.grad(loss.sum(), x)
        return Reverse(*(part.detach() for part in told)), gradient

    def stages(self, features: Source = "official") -> list[Stage]:
        return [DiffFaceStage(self)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take Model.pt."""
        self.network.load_state_dict(state)
        self.released = True

    def remarks(self) -> list[str]:
        """Whose identities released weights are given, too."""
        other = "its weights were trained with another network's identities than it is given: the authors' ArcFace"
        return [*super().remarks(), *([other] if self.released else [])]


def _run(method: DiffFace, inputs: Inputs) -> dict[str, Tensor]:
    x, identity = 0.5 * inputs.latent(1, 3, 64, 64) + 0.5 * inputs.image(64), inputs.latent(1, 512, offset=3)
    return {"eps_and_v": method.predict(x, 500, identity / identity.norm())}


DiffFace.golden = {
    "diffface.unet64": Golden(
        build=lambda: DiffFace.create(width=64),
        load=DiffFace.load_official,
        run=_run,
        parts=lambda method: {"total": method.network},
        costs={"64": lambda method: method.predict(torch.empty(1, 3, 64, 64), 500, torch.empty(1, 512))},
    ),
}
