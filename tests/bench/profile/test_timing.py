from __future__ import annotations

import pytest
import torch
from torch import nn

from bench import registry
from bench.batch import Batch, Noise
from bench.method import Config, Method
from bench.profile import cell, timing
from bench.profile.cell import Setting, measure

CPU = torch.device("cpu")


def clock(monkeypatch, seconds: list[float]) -> None:
    """Calls take these seconds, one after another."""
    given = iter(seconds)
    monkeypatch.setattr(timing, "_once", lambda call, batch, device: next(given))


def test_medians_of_rounds_with_their_spread(monkeypatch) -> None:
    """Three calls to warm up, five rounds of three: the slowest call moves p95 alone."""
    rounds = [[10, 11, 12], [10, 10, 10], [12, 13, 40], [9, 10, 11], [11, 11, 11]]
    clock(monkeypatch, [99, 50, 20, *(t for round_ in rounds for t in round_)])
    found = timing.timed(lambda _: None, CPU, seconds=5.0)
    assert (found.median, found.spread, found.calls) == (11, 2, 15)
    assert found.p95 == pytest.approx(13 + 0.3 * (40 - 13))


@pytest.mark.parametrize(("one", "calls"), [(10.1, 1), (10.0, 3), (0.1, 10), (1e-9, 200)])
def test_a_round_lasts_about_as_long_as_asked(monkeypatch, one: float, calls: int) -> None:
    """At least 3 calls, of slow ones 1, at most 200."""
    clock(monkeypatch, [one] * 2000)
    assert timing.timed(lambda _: None, CPU, seconds=1.0).calls == 5 * calls


linux = pytest.mark.skipif(not timing.STATUS.exists(), reason="only Linux keeps a peak that starts anew")


@linux
def test_the_peak_of_a_call_counts_what_it_takes_beside_what_is_held() -> None:
    size = 256 * 2**20
    kept = torch.ones(size // 16)
    base = timing.held(CPU)
    assert timing.peak_of(lambda: torch.ones(size // 4), CPU) - base == pytest.approx(size, rel=0.1)
    base = timing.held(CPU, [kept])
    assert timing.peak_of(lambda: None, CPU) - base == pytest.approx(size / 4, rel=0.1)


@linux
def test_the_peak_of_a_call_is_the_same_after_others_that_left_gaps() -> None:
    """Blocks below the heap's threshold: what stays of them between others is no memory of the call."""
    base = timing.held(CPU)
    kept = [torch.ones(2**18) for _ in range(256)][::2]
    gaps = sum(block.nbytes for block in kept)
    taken = timing.peak_of(lambda: torch.ones(2**24), CPU) - base
    assert taken == pytest.approx(gaps + 2**26, rel=0.1)


class Normalised(Method):
    """32 MiB of weights, which a hook normalises into a copy whenever they are used."""

    card = registry.get("mean").card

    def __init__(self, config: Config):
        super().__init__(config)
        self.layer = nn.utils.spectral_norm(nn.Linear(2896, 2896))

    def complete(self, batch: Batch, noise: Noise) -> torch.Tensor:
        return batch.image + 0 * self.layer(batch.image.new_zeros(1, 2896)).sum()


@linux
def test_memory_counts_normalised_weights(monkeypatch) -> None:
    monkeypatch.setattr("bench.profile.cell.create", lambda *_: Normalised(Config()))
    found = cell._measure(Setting("mean", size=64, threads=1, seconds=0.01))
    assert found["memory"] == pytest.approx(3 * 2896**2 * 4, rel=0.1)  # the last copy is there until the next one is


@linux
def test_memory_of_a_method_is_its_weights_and_maps() -> None:
    """G&L at 256 px: 6.07 M parameters are 24 MB; the mean colour has none, and needs little."""
    assert 24e6 < measure(Setting("gl", seconds=0.01))["memory"] < 400e6
    assert measure(Setting("mean", seconds=0.01))["memory"] < 10e6
