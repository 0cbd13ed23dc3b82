"""Contextual attention and gated convolution, against plain loops."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.batch import Noise
from bench.nn.contextual import ContextualAttention, fuse
from bench.nn.gated import GatedConv, PaddedConv
from bench.nn.mmediting import generator_in_rgb, local_patch, random_patch


def features(size: tuple[int, int] = (12, 16), channels: int = 3, count: int = 2) -> torch.Tensor:
    return torch.randn(count, channels, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def hole(size: tuple[int, int] = (12, 16), count: int = 2) -> torch.Tensor:
    mask = torch.zeros(count, 1, *size, dtype=torch.float64)
    mask[:, :, 2:5, 3:7] = 1
    return mask


def test_fusion_is_a_convolution_with_the_identity_row_by_row_and_column_by_column() -> None:
    height, width = 3, 5
    scores = torch.randn(1, 15, 15, generator=torch.Generator().manual_seed(0))
    kernel = torch.eye(3)[None, None]
    columns = torch.arange(15).view(height, width).T.flatten()  # row-major places in column-major order
    once = F.conv2d(scores[None], kernel, padding=1)[0, 0]
    turned = F.conv2d(once[columns][:, columns][None, None], kernel, padding=1)[0, 0]
    expected = torch.empty_like(turned)
    expected[columns[:, None], columns[None]] = turned
    torch.testing.assert_close(fuse(scores, height, width)[0], expected)


def test_holes_are_rebuilt_from_patches_without_hole_pixels() -> None:
    x, mask = features(), hole()
    out, scores = ContextualAttention()(x, mask)
    assert out.shape == x.shape and scores.shape == (2, 48, 48)
    torch.testing.assert_close(scores.sum(1), torch.ones(2, 48, dtype=torch.float64))
    half = mask[0, 0, ::2, ::2]
    for place in range(48):
        row, column = divmod(place, 8)
        window = half[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        assert (scores[0, place].max() == 0) == bool(window.any())


def test_a_picture_that_repeats_itself_is_pasted_exactly() -> None:
    """Attention that picks patch q for query q gives the features back where windows overlap fully."""
    x = 100 * features()
    out, scores = ContextualAttention(scale=1e3)(x, torch.zeros_like(x[:, :1]))
    if bool((scores.argmax(1) == torch.arange(48)).all()):
        torch.testing.assert_close(out, x)
    else:
        pytest.fail("every patch should match itself best")


def test_release_multiplies_the_scores_and_divides_by_four() -> None:
    x, mask = features(), hole()
    _, scores = ContextualAttention("multiply")(x, mask)
    known = F.unfold(mask[:, :, ::2, ::2], 3, padding=1).sum(1) == 0
    assert scores[~known].abs().max() == 0
    assert scores.sum(1).max() <= 1 + 1e-9
    empty = torch.zeros_like(mask)
    excluded, multiplied = (ContextualAttention(kind)(x, empty)[0] for kind in ("exclude", "multiply"))
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    torch.testing.assert_close(excluded[inside], multiplied[inside])
    torch.testing.assert_close(excluded[:, :, 0, 1:-1], 2 * multiplied[:, :, 0, 1:-1])


@pytest.mark.parametrize("masking", ["exclude", "multiply"])
def test_a_hole_without_known_patches_gives_no_nan(masking: str) -> None:
    x = features().requires_grad_()
    out, _ = ContextualAttention(masking)(x, torch.ones(2, 1, 12, 16, dtype=torch.float64))
    assert out.isfinite().all()
    assert torch.autograd.grad(out.sum(), x)[0].isfinite().all()


def test_gate_multiplies_the_features() -> None:
    layer = GatedConv(2, 3)
    x = torch.randn(1, 2, 8, 8)
    both = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), layer.conv.conv.weight, layer.conv.conv.bias)
    torch.testing.assert_close(layer(x), F.elu(both[:, :3]) * torch.sigmoid(both[:, 3:]))


@pytest.mark.parametrize(("kernel", "before", "after"), [(3, 0, 1), (5, 1, 2)])
def test_same_padding_at_stride_two_puts_the_odd_pixel_last(kernel: int, before: int, after: int) -> None:
    layer = PaddedConv(1, 1, kernel, stride=2, padding="same")
    padded = layer.pad(torch.ones(1, 1, 8, 8))[0, 0, before + 1]
    assert padded.tolist() == [0] * before + [1] * 8 + [0] * after
    assert layer(torch.ones(1, 1, 8, 8)).shape == (1, 1, 4, 4)
    assert PaddedConv(1, 1, 3, dilation=4, padding="same")(torch.ones(1, 1, 9, 7)).shape == (1, 1, 9, 7)


def test_local_patch_shares_the_centre_of_the_hole_and_stays_inside() -> None:
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(20.0), indexing="ij")
    images = torch.stack([y, x, y]).expand(4, 3, 16, 20)
    mask = torch.zeros(4, 1, 16, 20)
    mask[0, :, 6:10, 8:12] = 1  # 4 x 4 in the middle
    mask[1, :, 0:2, 18:20] = 1  # in a corner
    mask[2, :, 1:15, 2:18] = 1  # larger than the patch; the last one has no hole
    patch = local_patch(images, mask, 8)
    assert patch.shape == (4, 3, 8, 8)
    assert [tuple(p[:2, 0, 0].tolist()) for p in patch] == [(4, 6), (0, 12), (4, 6), (4, 6)]
    assert torch.equal(patch[0, 1, 0], torch.arange(6.0, 14.0))


def test_random_patches_lie_anywhere_inside() -> None:
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(10.0), indexing="ij")
    patch = random_patch(torch.stack([y, x]).expand(400, 2, 12, 10), 8, Noise.shared(0, 400))
    assert patch.shape == (400, 2, 8, 8)
    assert torch.equal(patch - patch[:, :, :1, :1], torch.stack([y, x])[:, :8, :8].expand_as(patch))
    assert {tuple(corner.tolist()) for corner in patch[:, :, 0, 0]} == {(a, b) for a in range(5) for b in range(3)}


def test_weights_for_bgr_images_see_rgb_images_alike() -> None:
    torch.manual_seed(0)
    first, last = nn.Conv2d(4, 5, 3), nn.Conv2d(5, 6, 3)
    state = {f"generator.{n}.{k}": v for n, m in (("a", first), ("z", last)) for k, v in m.state_dict().items()}
    turned = generator_in_rgb({"state_dict": state, "meta": {}}, ("generator.a.",), ("generator.z.",), "x")
    x = torch.randn(1, 4, 9, 9)
    swapped = torch.cat([x[:, :3].flip(1), x[:, 3:]], dim=1)
    expected = last(first(x))
    hidden = F.conv2d(swapped, turned["generator.a.weight"], turned["generator.a.bias"])
    out = F.conv2d(hidden, turned["generator.z.weight"], turned["generator.z.bias"])
    torch.testing.assert_close(out, torch.cat([expected[:, :3].flip(1), expected[:, 3:].flip(1)], dim=1))
