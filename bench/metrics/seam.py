"""What a viewer sees of the mask's edge: how much more the picture changes there than the original does.

After Gradient@edge of ASUKA (Wang et al., arXiv 2312.04831), which takes Sobel's filter at the edge. Here the
original's own edges are taken off, so that hair that crosses the mask counts for nothing. Let E be all pairs (p, q) of
neighbouring pixels, left and right or above and below, of which one lies in the hole and the other is known, and B all
pixels that stand in such a pair: one pixel on either side of the edge. For a completion C of T, both in [0, 1]:

    seam       = mean over (p, q) in E of |C(p) - C(q)| - |T(p) - T(q)|    |.|: root of the mean square of R, G and B
    seam@sobel = mean over p in B of S(C)(p) - S(T)(p)                     S: skimage.filters.sobel of the grey picture

0 is an edge like the original's, above 0 a visible one, below 0 one that is smoother than the photograph. An image
without an edge, all hole or none, has NaN.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.metrics.pixel import grey, mirrored, weighted_sum

SMOOTH, SLOPE = [0.25, 0.5, 0.25], [-1.0, 0.0, 1.0]


def step(completed: Tensor, truth: Tensor, masks: Tensor) -> Tensor:
    """`seam`: uint8 (N, 3, H, W) twice and bool (N, 1, H, W) to (N,) float64 in [-1, 1]."""
    total: Tensor | int = 0
    pairs: Tensor | int = 0
    for axis in (2, 3):
        across = masks.diff(dim=axis)  # of bool: where two neighbours differ
        more = _distance(completed, axis) - _distance(truth, axis)
        total = total + (more * across).sum(dim=(1, 2, 3))
        pairs = pairs + across.sum(dim=(1, 2, 3))
    assert isinstance(total, Tensor)
    return total / pairs


def sobel(completed: Tensor, truth: Tensor, masks: Tensor) -> Tensor:
    """`seam@sobel`: uint8 (N, 3, H, W) twice and bool (N, 1, H, W) to (N,) float64 in [-1, 1]."""
    band = torch.zeros_like(masks)
    for axis in (2, 3):
        across, n = masks.diff(dim=axis), masks.shape[axis]
        band.narrow(axis, 0, n - 1).logical_or_(across)
        band.narrow(axis, 1, n - 1).logical_or_(across)
    more = magnitude(completed) - magnitude(truth)
    return (more * band).sum(dim=(1, 2, 3)) / band.sum(dim=(1, 2, 3))


def magnitude(images: Tensor) -> Tensor:
    """Sobel's filter as scikit-image has it, root of the mean square of both directions, of grey pictures in [0, 1].

    uint8 (N, 3, H, W) to (N, 1, H, W) float64; the border is mirrored.
    """
    around = mirrored(grey(images), 1, 1)
    down, right = weighted_sum(around, SLOPE, SMOOTH), weighted_sum(around, SMOOTH, SLOPE)
    return ((down.square() + right.square()) / 2).sqrt()


def _distance(images: Tensor, axis: int) -> Tensor:
    """Between each two neighbours along an axis: (N, 1, H, W), the axis one shorter, float64 in [0, 1]."""
    return (images.double() / 255).diff(dim=axis).square().mean(dim=1, keepdim=True).sqrt()
