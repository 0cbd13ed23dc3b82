"""RePaint: a diffusion model of whole pictures fills a hole; known pixels are noised and put in at every step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.adm import Sampler, SamplerConfig
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Noise
from bench.nn.diffusion import Diffusion

CARD = Card(
    slug="repaint",
    name="RePaint",
    title="RePaint: Inpainting using Denoising Diffusion Probabilistic Models",
    authors="Lugmayr, Danelljan, Romero, Yu, Timofte, Van Gool",
    year=2022,
    venue="CVPR; arXiv 2201.09865",
    url="https://arxiv.org/abs/2201.09865",
    resolution=256,
    params={"network": 552_814_086},
    macs={"network": 2_698_797.53e9},
    training="none of its own: 250 steps with jumps of 10 steps, each stretch crossed 10 times",
    convention="the authors' mask is 1 = known; no composite at the end",
    licence="CC BY-NC-SA 4.0 (code and weights)",
    weights="celeba256_250000.pt of andreas128/RePaint (also under `priors`, for adm's preset `repaint`)",
    trained_on={"celeba-hq": ""},
    requires=("adm",),
    choices={
        "known": "before: as released, known pixels of the same noise as x are put in before the network sees it, but "
        "not at the first step. after: of one step less, after the step, as Blended Diffusion does and RePaint's "
        "Algorithm 1 prints",
        "resamplings": "10, as released; the counter of a jump is not refilled when the sampler passes it again",
    },
    notes="A completion calls the network 2,410 times in `paper` and 140 times in `tiny`; the multiply-accumulates are "
    "those of all calls. The variant `Blended` is Blended Diffusion's pasting (Avrahami et al., CVPR 2022) without its "
    "guidance by text.",
)


class RePaintConfig(SamplerConfig):
    """The schedule of RePaint."""

    steps: int = Field(default=250, ge=2, le=1000)  # of the 1,000, equally spaced
    jump: int = Field(default=10, ge=1)  # steps that a resampling goes forward again
    resamplings: int = Field(default=10, ge=1)  # times that each stretch is crossed; 1: no jumps
    known: Literal["before", "after"] = "before"  # known pixels are put in before a step, or after it


class RePaint(Sampler):
    """RePaint as released, for the prior `adm`."""

    card = CARD
    Config = RePaintConfig
    config: RePaintConfig
    official = "repaint"
    presets = {"paper": RePaintConfig(), "tiny": RePaintConfig(size=64, steps=50, jump=5, resamplings=3)}
    prior_presets = {"paper": {"adm": "repaint"}}
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "without resampling": {"resamplings": 1},
        "Blended": {"resamplings": 1, "known": "after"},
    }

    @property
    def times(self) -> list[int]:
        c = self.config
        return schedule(c.steps, c.jump, c.resamplings)

    @property
    def calls(self) -> int:
        return sum(after < before for before, after in pairwise(self.times))

    def pictures(self, batch: Batch, noise: Noise) -> Iterator[Tensor]:
        diffusion = Diffusion.linear().respaced(self.config.steps)
        x = noise.normal(*batch.image.shape[1:])
        return walk(self.prior.predict, diffusion, self.times, x, batch, noise, self.config.known)


def schedule(steps: int, jump: int, resamplings: int) -> list[int]:
    """The steps that the sampler visits, from the last to -1: a lower one follows by a step back, else by one forward.

    It jumps forward from every `jump`-th step, `resamplings` - 1 times from each.
    """
    left = dict.fromkeys(range(0, steps - jump, jump), resamplings - 1)
    times, t = [], steps
    while t >= 1:
        times.append(t := t - 1)
        if left.get(t, 0) > 0:
            left[t] -= 1
            times += range(t + 1, t + jump + 1)
            t += jump
    return [*times, -1]


def walk(
    network: Callable[[Tensor, int], Tensor],
    diffusion: Diffusion,
    times: Sequence[int],
    x: Tensor,
    batch: Batch,
    noise: Noise,
    known: Literal["before", "after"] = "before",
) -> Iterator[Tensor]:
    """Algorithm 1 along a schedule: the clean picture (N, 3, H, W) that each call of the network tells."""
    shape = x.shape[1:]

    def pasted(x: Tensor, k: int) -> Tensor:
        return batch.mask * x + (1 - batch.mask) * diffusion.noised(batch.image, k, noise.normal(*shape))

    for number, (k, following) in enumerate(pairwise(times)):
        if following > k:
            x = diffusion.forward(x, k, noise.normal(*shape))
            continue
        z = noise.normal(*shape)
        if known == "before" and number:
            x = pasted(x, k)
        told = diffusion.reverse(x, k, network(x, int(diffusion.times[k])))
        x = told.drawn(z) if k else told.mean
        if known == "after":
            x = pasted(x, k - 1) if k else batch.composite(x)
        yield told.clean if k else x


class _Recorded(Noise):
    """The normal values of a golden file, in the order in which they are drawn."""

    def __init__(self, inputs: Inputs, first: int):
        self.inputs, self.next = inputs, first

    def normal(self, *shape: int) -> Tensor:
        self.next += 1
        return self.inputs.latent(1, *shape, offset=self.next - 1)


def _run(network: nn.Module, inputs: Inputs) -> dict[str, Tensor]:
    """Lists and constants, single steps under a stand-in network, and a whole run."""
    found: dict[str, Tensor] = {}
    for setting in ((250, 10, 10), (100, 10, 5), (50, 5, 3)):
        times = schedule(*setting)
        padded = times + [-2] * (-len(times) % 2500)
        found["times_{}_{}_{}".format(*setting)] = torch.tensor(padded).view(-1, 50, 50).double()
    fine = Diffusion.linear().respaced(250)
    constants = {"timestep_map": fine.times, "betas": fine.beta, "alphas_cumprod": fine.abar}
    constants["posterior_log_variance"] = fine.log_posterior
    found |= {f"{name}_250": torch.from_numpy(values).view(5, 50) for name, values in constants.items()}
    a, b, x = (inputs.latent(1, 3, 32, 32, offset=i) for i in (1, 2, 3))
    z, e, forward = (inputs.latent(1, 3, 32, 32, offset=i) for i in (100, 101, 200))
    batch = Batch(inputs.image(32), inputs.mask(32))

    def stand_in(x: Tensor, time: int) -> Tensor:
        return torch.cat([0.9 * x + 0.1 * a, 0.5 * b * time / 999], dim=1)

    for name, k in (("first249", 249), ("t137", 137), ("t1", 1), ("t0", 0)):
        given = x if k == 249 else batch.mask * x + (1 - batch.mask) * fine.noised(batch.image, k, e)
        told = fine.reverse(given, k, stand_in(given, int(fine.times[k])))
        found |= {f"{name}_network_input": given, f"{name}_sample": told.drawn(z) if k else told.mean}
        found |= {f"{name}_pred_xstart": told.clean, f"{name}_mean": told.mean}
        found[f"{name}_log_variance"] = told.log_variance
    found["undo137"] = fine.forward(x, 137, forward)
    coarse = Diffusion.linear().respaced(20)
    *_, found["run20_sample"] = walk(stand_in, coarse, schedule(20, 10, 10), x, batch, _Recorded(inputs, 1000))
    return found


RePaint.golden = {"repaint.schedule": Golden(build=nn.Identity, run=_run, keys={})}
