"""Where numbers come from, and runs that are deterministic to the bit."""

from __future__ import annotations

import re
import warnings

import pytest
import torch

from bench import __version__
from bench.provenance import FACTS, commit, exact_algorithms, recorded


def test_every_fact_is_recorded() -> None:
    with recorded(False, "auto", False) as facts:
        pass
    assert set(facts) == {*FACTS, "processor"}
    assert facts["device"] == "CPU"
    assert facts["precision"] == "32-true"
    assert facts["facebench"] == __version__
    assert facts["torch"] == torch.__version__.partition("+")[0]


def test_the_commit_of_a_checkout_else_the_version() -> None:
    assert re.fullmatch(rf"[0-9a-f]{{40}}(-dirty)?|v{re.escape(__version__)}", commit())


def test_deterministic_algorithms_are_on_inside_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    with recorded(False, "32-true", True) as facts:
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.benchmark
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark
    assert facts["deterministic"] is True
    assert facts["could not"] == []


def test_operations_without_a_deterministic_algorithm_are_named_once() -> None:
    text = " does not have a deterministic implementation, but you set 'torch.use_deterministic_algorithms(True)'"
    with warnings.catch_warnings(record=True) as others:
        warnings.simplefilter("always")
        for _ in range(2):  # also in the second job of a process
            with exact_algorithms() as operations:
                for name in ("grid_sampler_2d_backward_cuda", "grid_sampler_2d_backward_cuda", "histc_cuda"):
                    warnings.warn(name + text, UserWarning, stacklevel=1)
                warnings.warn("something else", UserWarning, stacklevel=1)
            assert operations == {"grid_sampler_2d_backward_cuda", "histc_cuda"}
    assert [str(other.message) for other in others] == ["something else"] * 2


def test_torch_warns_in_the_words_that_are_looked_for() -> None:
    with exact_algorithms() as operations:
        torch.zeros(5).put_(torch.tensor([0, 0]), torch.ones(2), accumulate=False)
    assert operations == {"put_"}


def test_an_error_inside_leaves_nothing_on() -> None:
    with pytest.raises(ZeroDivisionError), recorded(False, "auto", True):
        raise ZeroDivisionError
    assert not torch.are_deterministic_algorithms_enabled()
