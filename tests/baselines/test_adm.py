"""ADM as a prior: released layouts, one iteration, its samplers' common parts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from baselines.adm import ADM, Sampler
from baselines.ddrm import DDRM
from baselines.diffpir import DiffPIR
from baselines.dps import DPS
from baselines.ilvr import ILVR
from baselines.repaint import RePaint
from bench import golden
from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.nn.diffusion import Diffusion
from bench.profile import count_macs, count_parameters

FOLDER = Path(__file__).parents[1] / "golden"
SAMPLERS = (RePaint, ILVR, DDRM, DPS, DiffPIR)
ABAR = torch.from_numpy(Diffusion.linear().abar).float()


def batch(count: int = 2) -> Batch:
    image, exemplar = torch.rand(2, count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(count, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(image, mask, guides={"exemplar": exemplar})


@pytest.mark.parametrize(("preset", "name"), [("paper", "ilvr.unet"), ("repaint", "repaint.unet")])
def test_released_layouts_fit(preset: str, name: str) -> None:
    with torch.device("meta"):
        method = ADM.create(preset)
    rows = golden.read_keys(FOLDER / f"{name}.keys.csv")
    method.load_official({key: torch.empty(shape, device="meta") for key, shape, _ in rows})


def test_it_completes_no_image() -> None:
    with pytest.raises(BenchError, match="priors"):
        ADM.create("tiny").complete(batch(), Noise(range(2)))


def test_a_size_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(BenchError, match=r"adm: options.size: 100 cannot be halved 3 times"):
        ADM.create("tiny", size=100)


def losses(method: ADM) -> dict[str, Tensor]:
    return method.stages("embedded")[0].step(batch(), lambda name, loss: None, Noise.shared(0, 2))


@pytest.mark.parametrize("predicts", ["noise", "velocity"])
def test_it_learns_the_noise_of_the_same_pictures(predicts: str) -> None:
    method, given, shared = ADM.create("tiny", predicts=predicts, variances="learned"), batch(), Noise.shared(0, 2)
    steps = (shared.uniform() * 1000).long()
    normal, share = shared.normal(3, 64, 64), ABAR[steps][:, None, None, None]
    expected = normal if predicts == "noise" else share.sqrt() * normal - (1 - share).sqrt() * given.image
    before = losses(method)["noise"].detach()
    assert float(before) == pytest.approx(float((expected**2).mean()), rel=1e-4)  # it says 0 when it is made

    def knows(x: Tensor, k: Tensor) -> Tensor:
        assert torch.equal(k, steps)
        torch.testing.assert_close(x, share.sqrt() * given.image + (1 - share).sqrt() * normal)
        return torch.cat([expected, -torch.ones_like(normal)], dim=1)

    method.network.forward = knows  # type: ignore[method-assign]
    told = losses(method)
    assert told["noise"] < 1e-8
    assert told["bound"].abs() < 1e-5


def test_least_variances_are_those_of_a_step_whose_end_is_known() -> None:
    x, coarse = batch().image, Diffusion.linear().respaced(10)
    told = coarse.reverse(x, 4, ADM.create("tiny").predict(x, int(coarse.times[4])))
    assert told.log_variance.unique().tolist() == pytest.approx([coarse.log_posterior[4]])
    assert set(losses(ADM.create("tiny"))) == {"noise"}


def test_p2_counts_little_noise_less() -> None:
    plain, weighted = (losses(ADM.create("tiny", predicts="noise", gamma=gamma))["noise"] for gamma in (0, 1))
    k = (Noise.shared(0, 2).uniform() * 1000).long()
    signal_to_noise = ABAR[k] / (1 - ABAR[k])
    assert abs(weighted / plain - (1 / (1 + signal_to_noise)).mean()) < 0.02


@pytest.mark.parametrize("kind", SAMPLERS)
def test_the_card_states_the_cost_of_a_whole_completion(kind: type[Sampler]) -> None:
    with torch.device("meta"):
        method, prior = kind.create(), ADM.create(kind.official)
        method.attach({"adm": prior})
        once = count_macs(lambda prior: prior.predict(torch.empty(1, 3, 256, 256), 0), prior)
    assert kind.card.macs["network"] == pytest.approx(method.calls * once, rel=1e-5)
    assert kind.card.params == {"network": count_parameters(method.networks()["network"])}


def small() -> ADM:
    """As tiny, with fewer channels."""
    torch.manual_seed(0)
    made = ADM.create("tiny", width=8, multipliers=(1, 1), attention=(), head=8, groups=4)
    assert isinstance(made, ADM)
    return made


def made(kind: type[Sampler], **options: object) -> Sampler:
    method, prior = kind.create("tiny", steps=8, **options), small()
    for parameter in prior.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    method.attach({"adm": prior.eval()})
    return method.eval()


@pytest.mark.parametrize("kind", SAMPLERS)
def test_a_completion_calls_the_network_as_often_as_it_says_and_shows_some_pictures(kind: type[Sampler]) -> None:
    method, seen = made(kind), []
    method.prior.network.register_forward_pre_hook(lambda module, given: seen.append(given[1].unique().tolist()))
    with torch.no_grad():
        shown, final = method.steps(batch(), Noise([0, 1])), method.complete(batch(), Noise([0, 1]))
    assert len(seen) == 2 * method.calls
    assert seen[0] == [999] and seen[-1] == [0]  # all pictures of a batch are at the same step
    assert len(shown) == min(6, method.calls)
    assert method.remarks() == [f"a completion calls its network {method.calls} times"]
    assert torch.equal(shown[-1], final)
    assert not torch.equal(shown[0], final)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_another_seed_is_another_completion(kind: type[Sampler]) -> None:
    method = made(kind)
    with torch.no_grad():
        one, other = (method.complete(batch(), Noise(seeds)) for seeds in ([0, 1], [0, 2]))
    assert torch.allclose(one[0], other[0], atol=1e-5)
    assert (one[1] - other[1]).abs().mean() > 0.01


@pytest.mark.parametrize("kind", SAMPLERS)
def test_a_prior_of_another_size_and_none_are_refused(kind: type[Sampler]) -> None:
    method, slug = kind.create("tiny", size=32), kind.card.slug
    with pytest.raises(BenchError, match=f"{slug} is for images of 32 px, its prior adm makes 64 px: set the option"):
        method.attach({"adm": small()})
    with pytest.raises(BenchError, match=f"{slug} has no diffusion model"):
        kind.create("tiny").complete(batch(), Noise([0, 1]))


def test_the_prior_stays_as_it_is() -> None:
    assert not any(parameter.requires_grad for parameter in made(RePaint).parameters())


@pytest.mark.slow
def test_golden_file_passes(shared: Path) -> None:
    """A network of 194 G multiply-accumulates in double precision."""
    known = {"ilvr.unet": ("adm", ADM.golden["ilvr.unet"])}
    result = golden.check(shared / "golden" / "ilvr.unet.npz", shared / "specs", known)
    assert result.passed, golden.line(result)
