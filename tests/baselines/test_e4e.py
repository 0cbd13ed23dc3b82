"""e4e: offsets from the base code, the schedule, the critic and its pool of codes."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from baselines.e4e import E4E, CodePool, E4EStage
from baselines.hfgi import HFGI
from baselines.stylegan2 import StyleGAN2
from bench import golden
from bench.errors import BenchError
from bench.method import Batch, Noise


def create(**options: object) -> E4E:
    torch.manual_seed(0)
    method = E4E.create("tiny", **options)
    method.attach({"stylegan2": StyleGAN2.create("tiny")})
    return method


def stage(**options: object) -> E4EStage:
    return create(**options).stages("embedded")[0]


def images(count: int = 4) -> torch.Tensor:
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_rows_after_the_last_are_the_base() -> None:
    encoder = create().encoder.eval()
    with torch.no_grad():
        every, some, base = encoder(images()), encoder(images(), 4), encoder(images(), 0)
    assert torch.equal(every[:, :5], some[:, :5])
    assert torch.equal(some[:, 5:], base[:, 5:])
    assert torch.equal(base, base[:, :1].expand_as(base))
    assert not torch.equal(every[:, 5:], base[:, 5:])


@pytest.mark.parametrize(
    ("done", "last"), [(0, 0), (19_999, 0), (20_000, 1), (21_999, 1), (22_000, 2), (52_000, 17), (300_000, 17)]
)
def test_offsets_join_as_published(done: int, last: int) -> None:
    one = stage()
    one.config = E4E.presets["paper"]
    one.adversary.iteration.fill_(done)
    assert one.last() == last


def test_a_pool_fills_then_gives_older_codes() -> None:
    pool = CodePool(4, 1)
    first = torch.arange(4.0)[:, None]
    assert torch.equal(pool.exchange(first, Noise.shared(0, 4)), first)
    swapped, seen = 0, set(range(4))
    for i in range(100):
        code = torch.full((1, 1), float(10 + i))
        given = pool.exchange(code, Noise([i]))
        assert int(given) in seen | {10 + i}
        swapped += int(given) != 10 + i
        seen = {int(value) for value in pool.codes}
    assert 35 <= swapped <= 65


def test_losses_of_a_step() -> None:
    """The critic first, with its penalty at iteration 0 alone; offsets count from their first iteration on."""
    one, order, totals = stage(start=1, every=1), [], []

    def update(name: str, loss: torch.Tensor) -> None:
        order.append(name)
        totals.append(loss.detach())

    data = Batch(images(), torch.zeros(4, 1, 64, 64))
    losses = one.step(data, update, Noise.shared(0, 4))
    assert order == ["discriminator", "discriminator", "encoder"]
    assert "offsets" not in losses
    losses = one.step(data, update, Noise.shared(1, 4))
    assert order[3:] == ["discriminator", "encoder"]
    expected = losses["l2"] + 0.8 * losses["lpips"] + 0.1 * losses["identity"] + 0.1 * losses["adversarial"]
    torch.testing.assert_close(totals[-1], (expected + 2e-4 * losses["offsets"]).detach())
    assert int(one.adversary.iteration) == 2 and int(one.fake.count) == int(one.real.count) == 8


@pytest.mark.parametrize("options", [{"pool": 0}, {"start": None}])
def test_options_train(options: dict[str, object]) -> None:
    losses = stage(**options).step(
        Batch(images(), torch.zeros(4, 1, 64, 64)), lambda name, loss: None, Noise.shared(0, 4)
    )
    assert all(value.isfinite() for value in losses.values())


@pytest.mark.parametrize("method", [E4E, HFGI])
def test_the_norm_of_codes_is_of_psp_alone(method: type[E4E]) -> None:
    with pytest.raises(BenchError, match=f"{method.card.slug}: options.norm: Input should be less than or equal to 0"):
        method.create("tiny", norm=0.005)


def test_a_stage_goes_on_from_its_saved_state() -> None:
    """Schedule and pools are part of the state, so an interrupted run repeats no step."""
    one, other = stage(start=0, every=1), stage(start=0, every=1)
    data = Batch(images(), torch.zeros(4, 1, 64, 64))
    one.step(data, lambda name, loss: None, Noise.shared(0, 4))
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    other.method.load_state_dict(one.method.state_dict())
    assert one.last() == other.last() == 2
    again = [s.step(data, lambda name, loss: None, Noise.shared(1, 4)) for s in (one, other)]
    assert all(torch.equal(again[0][name], again[1][name]) for name in again[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["e4e.encoder", "e4e.encoder256"])
def test_large_golden_files_pass(name: str, shared: Path) -> None:
    """They fill some 250 million weights in double precision, so their copies are not among the tests' own files."""
    known = {name: ("e4e", E4E.golden[name])}
    result = golden.check(shared / "golden" / f"{name}.npz", shared / "specs", known)
    assert result.passed, golden.line(result)
