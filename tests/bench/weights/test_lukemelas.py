"""Names of efficientnet_pytorch under timm's: each of the packages' tensors has its place."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench import weights
from bench.errors import BenchError
from bench.weights.lukemelas import to_timm

FILE = Path("net.pth")


@pytest.mark.parametrize(("variant", "tensors"), [("lite0", 296), ("lite1", 386)])
def test_every_tensor_fits_timms_network(variant: str, tensors: int) -> None:
    import timm

    file = weights.packaged(f"efficientnet-{variant}")
    state = to_timm(weights.read(file), file)
    assert len(state) == len(weights.read(file)) == tensors
    timm.create_model(f"tf_efficientnet_{variant}").load_state_dict(dict(state), strict=True)
    assert to_timm(state, file) is state


@pytest.mark.parametrize("change", ["a block too few", "a block of another kind", "another network"])
def test_other_files_are_refused(change: str) -> None:
    state = dict(weights.read(weights.packaged("efficientnet-lite0")))
    if change == "a block too few":
        state = {key: value for key, value in state.items() if not key.startswith("_blocks.15.")}
    elif change == "a block of another kind":
        state["_blocks.3._se_reduce.weight"] = torch.zeros(1)
    else:
        state = {"features.0.weight": torch.zeros(1)}
    with pytest.raises(BenchError, match=r"net\.pth is no EfficientNet-Lite0 or Lite1"):
        to_timm(state, FILE)
