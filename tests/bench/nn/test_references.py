"""What RGTSI and TransRef are given, and the network behind their losses."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench import weights
from bench.batch import Batch, Noise
from bench.nn.references import moved, references, shown
from bench.nn.repeated_vgg import RepeatedFeatureLoss, RepeatedVGG16
from tests import made_up_weights


def pictures(count: int = 4) -> torch.Tensor:
    """Each of one colour."""
    colours = torch.rand(count, 3, 1, 1, generator=torch.Generator().manual_seed(0)) * 1.6 - 0.8
    return colours.expand(-1, -1, 32, 32)


def test_the_hole_is_filled_with_the_mean_colour_and_the_mask_is_inverted() -> None:
    mask = torch.zeros(4, 1, 32, 32)
    mask[..., 8:16, :] = 1
    filled, valid = shown(Batch(pictures(), mask)).split(3, dim=1)
    assert torch.equal(valid, (1 - mask).expand(-1, 3, -1, -1))
    assert torch.equal(filled[..., :8, :], pictures()[..., :8, :])
    assert ((filled[0, :, 10, 3] + 1) * 255 / 2).tolist() == pytest.approx([123, 104, 117], abs=1e-4)


def test_references_show_the_picture_itself_or_the_one_before() -> None:
    images = pictures()

    def nearest(itself: float) -> list[int]:
        found = references(images, Noise.shared(0, 4), itself).mean((2, 3))
        return torch.cdist(found, images.mean((2, 3))).argmin(1).tolist()

    assert nearest(1) == [0, 1, 2, 3]
    assert nearest(0) == [3, 0, 1, 2]
    assert {a == b for a, b in zip(nearest(0.5), range(4), strict=True)} == {True, False}


def test_references_are_altered_and_repeat() -> None:
    images = F.interpolate(torch.rand(4, 3, 8, 8), (32, 32), mode="bilinear") * 2 - 1
    first, again, other = (references(images, Noise.shared(seed, 4), 1) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert all(not torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert first.abs().max() <= 1 and not torch.equal(first, images)


def test_nothing_moves_without_shift_and_scale() -> None:
    images = torch.rand(2, 3, 24, 32)
    torch.testing.assert_close(moved(images, Noise.shared(0, 2), 0, 0), images, atol=1e-5, rtol=0)
    shifted = moved(images, Noise.shared(0, 2), 0.1, 0)
    assert not torch.allclose(shifted[0], shifted[1])


def test_the_last_group_runs_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """relu1_1 to relu5_1 for content; relu2_2, relu3_3, relu4_3 and relu5_1 once more for style."""
    monkeypatch.setattr(weights, "load", made_up_weights.state)
    loss, image, other = RepeatedFeatureLoss("official"), *torch.rand(2, 1, 3, 64, 64)
    layers = loss.network.network

    def maps(x: torch.Tensor) -> dict[str, torch.Tensor]:
        found, block, number = {}, 1, 1
        for layer in layers:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                found[f"relu{block}_{number}"] = x.clone()
                number += 1
            elif isinstance(layer, nn.MaxPool2d):
                block, number = block + 1, 1
        assert f"relu{block}_{number - 1}" == "relu5_1"
        return found | {"relu5_2": layers[25](layers[24](layers[23](x)))}

    def gram(x: torch.Tensor) -> torch.Tensor:
        return torch.einsum("ncij,ndij->ncd", x, x) / x[0].numel()

    assert isinstance(loss.network, RepeatedVGG16)
    ours, theirs = maps(image), maps(other)
    content = [F.l1_loss(ours[f"relu{i}_1"], theirs[f"relu{i}_1"]) for i in range(1, 6)]
    style = [F.l1_loss(gram(ours[n]), gram(theirs[n])) for n in ("relu2_2", "relu3_3", "relu4_3", "relu5_2")]
    torch.testing.assert_close(loss(image, other), (sum(content), sum(style)))
