"""ILVR: a diffusion model of whole pictures draws a face that has the low frequencies of a reference picture."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field
from torch import Tensor, nn

from baselines.adm import Sampler, SamplerConfig
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Noise
from bench.nn.cubic import low_pass, resized
from bench.nn.diffusion import Diffusion

CARD = Card(
    slug="ilvr",
    name="ILVR",
    title="ILVR: Conditioning Method for Denoising Diffusion Probabilistic Models",
    authors="Choi, Kim, Jeong, Gwon, Yoon",
    year=2021,
    venue="ICCV; arXiv 2108.02938",
    url="https://arxiv.org/abs/2108.02938",
    task="exemplar",
    resolution=256,
    params={"network": 93_563_910},
    macs={"network": 19_396.7e9},
    published={"CelebA-HQ, pose-matched exemplars": "FID 62.27, LPIPS 0.3495 (thesis, table 6.7)"},
    training="none of its own: 100 steps, the reference's low frequencies put in until 20 are left",
    convention="no mask: the whole picture is drawn anew",
    licence="MIT",
    weights="ffhq_10m.pt of jychoi118/ilvr_adm (also under `priors`, for adm's preset `paper`)",
    trained_on={"ffhq": "all"},
    requires=("adm",),
    needs=("exemplar",),
    choices={
        "reference": "the exemplar in the hole, the known pixels around it: the thesis does not say how its edits by "
        "masks were made; ILVR itself knows no mask",
        "factor": "32, as the released command; its figures have 8 and 16, too",
        "until": "20 of 100 steps, as the released command",
        "level": "as released: the reference is noised for the step that was taken, not for the one that x is at (y of "
        "t - 1 in the paper)",
    },
    notes="A completion calls the network 100 times in `paper`, 50 times in `tiny`; the multiply-accumulates are those "
    "of all calls. Known pixels change: a row with `paste: false` shows it.",
)


class ILVRConfig(SamplerConfig):
    """The schedule of ILVR."""

    steps: int = Field(default=100, ge=2, le=1000)  # of the 1,000, equally spaced
    factor: int = Field(default=32, ge=1)  # low frequencies are what a picture so many times smaller still has
    until: int = Field(default=20, ge=0)  # the last steps, to this one, are free


class ILVR(Sampler):
    """ILVR as released, with the masked picture in the place of the reference's surroundings."""

    card = CARD
    Config = ILVRConfig
    config: ILVRConfig
    presets = {"paper": ILVRConfig(), "tiny": ILVRConfig(size=64, steps=50, factor=8, until=10)}

    def __init__(self, config: ILVRConfig):
        super().__init__(config)
        if config.size % config.factor:
            raise BenchError(f"ilvr: options.factor: {config.size} px are no multiple of {config.factor}")

    @property
    def calls(self) -> int:
        return self.config.steps

    def pictures(self, batch: Batch, noise: Noise) -> Iterator[Tensor]:
        """Algorithm 1: each step back, then the reference's low frequencies in the place of its own."""
        c, reference = self.config, batch.composite(batch.need("exemplar"))
        diffusion, shape = Diffusion.linear().respaced(c.steps), reference.shape[1:]
        x = noise.normal(*shape)
        for k in reversed(range(c.steps)):
            told = diffusion.reverse(x, k, self.prior.predict(x, int(diffusion.times[k])))
            yield told.clean
            x = told.drawn(noise.normal(*shape))
            if k > c.until:
                x = x + low_pass(diffusion.noised(reference, k, noise.normal(*shape)) - x, c.factor)


def _run(network: nn.Module, inputs: Inputs) -> dict[str, Tensor]:
    image, found = inputs.image(), {}
    for factor in (4, 32):
        found[f"down{factor}"] = resized(image, (256 // factor, 256 // factor))
        found[f"lowpass{factor}"] = low_pass(image, factor)
    return found


ILVR.golden = {"ilvr.resizer": Golden(build=nn.Identity, run=_run, keys={})}
