from __future__ import annotations

import pytest
import torch

from bench.profile import timing

CPU = torch.device("cpu")


def clock(monkeypatch, seconds: list[float]) -> None:
    """Calls take these seconds, one after another."""
    given = iter(seconds)
    monkeypatch.setattr(timing, "_once", lambda call, device: next(given))


def test_medians_of_rounds_with_their_spread(monkeypatch) -> None:
    """Three calls to warm up, five rounds of three: the slowest call moves p95 alone."""
    rounds = [[10, 11, 12], [10, 10, 10], [12, 13, 40], [9, 10, 11], [11, 11, 11]]
    clock(monkeypatch, [99, 50, 20, *(t for round_ in rounds for t in round_)])
    found = timing.timed(lambda: None, CPU, seconds=1.0)
    assert (found.median, found.spread, found.calls) == (11, 2, 15)
    assert found.p95 == pytest.approx(13 + 0.3 * (40 - 13))


@pytest.mark.parametrize(("one", "calls"), [(10.0, 3), (0.1, 10), (1e-9, 200)])
def test_a_round_lasts_about_as_long_as_asked(monkeypatch, one: float, calls: int) -> None:
    """At least 3 calls, at most 200."""
    clock(monkeypatch, [one] * 2000)
    assert timing.timed(lambda: None, CPU, seconds=1.0).calls == 5 * calls


def test_memory_is_the_peak_of_the_process() -> None:
    before = timing.peak(CPU)
    block = torch.ones(64 * 2**20 // 4 + before // 16)
    assert timing.peak(CPU) >= before
    assert block.numel() > 0
