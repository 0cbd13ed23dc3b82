"""ILVR: what it takes of the reference, and what it leaves free."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from baselines.ilvr import ILVR
from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.nn.cubic import low_pass
from tests.baselines.test_adm import batch, small


def drawn(given: Batch, **options: int) -> Tensor:
    method = ILVR.create("tiny", steps=10, **options)
    method.attach({"adm": small()})  # as it is made, it takes all for picture and nothing for noise
    with torch.no_grad():
        return method.eval().complete(given, Noise([0, 1]))


def test_the_reference_is_the_exemplar_in_the_hole() -> None:
    given = batch()
    elsewhere = given.guided(exemplar=given.exemplar + (1 - given.mask))
    inside = given.guided(exemplar=given.exemplar * (1 - given.mask))
    assert torch.equal(drawn(given, until=0), drawn(elsewhere, until=0))
    assert not torch.allclose(drawn(given, until=0), drawn(inside, until=0), atol=0.01)


def test_low_frequencies_are_the_references() -> None:
    given = batch()
    given = Batch(given.mask - 0.6, given.mask, guides={"exemplar": 0 * given.image + 0.6})
    reference = given.composite(given.exemplar)
    distances = [float((low_pass(drawn(given, until=until) - reference, 8)).abs().mean()) for until in (0, 9)]
    assert distances[0] < 0.15
    assert distances[1] > 0.4


def test_a_factor_that_does_not_divide_the_size_is_refused() -> None:
    with pytest.raises(BenchError, match=r"ilvr: options.factor: 64 px are no multiple of 24"):
        ILVR.create("tiny", factor=24)
