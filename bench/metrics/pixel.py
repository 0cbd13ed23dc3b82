"""Metrics of pixels: PSNR, SSIM and its published variants, L1 and relative MAE.

Every function takes `completed` and `truth`, uint8 (N, 3, H, W), and `masks`, bool (N, 1, H, W) or None, and returns
one float64 value for each image (N,).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.metrics.score import TooSmall

GREY = (0.2125, 0.7154, 0.0721)  # scikit-image's rgb2gray
LUMA = (65.481, 128.553, 24.966)  # MATLAB's rgb2ycbcr
K1, K2 = 0.01, 0.03  # Wang et al. (2004), section III-C


def psnr(completed: Tensor, truth: Tensor, masks: Tensor | None = None) -> Tensor:
    """10 log10(255² / MSE) over all channels; infinite for equal images."""
    return 10 * torch.log10(255**2 / _mean(_difference(completed, truth).square()))


def psnr_hole(completed: Tensor, truth: Tensor, masks: Tensor) -> Tensor:
    """`psnr` over the hole's pixels; infinite where they are the original's, NaN for an image without a hole."""
    squares = (_difference(completed, truth).square() * masks).sum(dim=(1, 2, 3)).double()
    return 10 * torch.log10(255**2 * 3 * masks.sum(dim=(1, 2, 3)) / squares)


def psnr_grey(completed: Tensor, truth: Tensor, masks: Tensor | None = None) -> Tensor:
    """PSNR of the grey images in [0, 1] (EdgeConnect)."""
    return 10 * torch.log10(1 / _mean((grey(completed) - grey(truth)).square()))


def psnr_y(completed: Tensor, truth: Tensor, masks: Tensor | None = None) -> Tensor:
    """PSNR of the luma (16 to 235) at a peak of 255 (BasicSR's `test_y_channel`)."""
    return _psnr(luma(completed), luma(truth))


def psnr_matched(completed: Tensor, truth: Tensor, masks: Tensor | None = None) -> Tensor:
    """PSNR after the result took the truth's colours (VQFR's script); NaN where a channel of the result is constant."""
    return _psnr(_matched(completed, truth), truth.double())


def l1(completed: Tensor, truth: Tensor, masks: Tensor | None = None) -> Tensor:
    """Mean absolute difference of intensities in [0, 1]."""
    return _mean(_difference(completed, truth).abs()) / 255


def l1_hole(completed: Tensor, truth: Tensor, masks: Tensor) -> Tensor:
    """`l1` over the hole's pixels; NaN for an image without a hole."""
    difference = _difference(completed, truth).abs() * masks
    return difference.sum(dim=(1, 2, 3)).double() / (3 * 255 * masks.sum(dim=(1, 2, 3)))


def damage(completed: Tensor, truth: Tensor, masks: Tensor) -> Tensor:
    """`l1` over the known pixels, which no method should change; NaN for an image that is all hole."""
    return l1_hole(completed, truth, ~masks)


def damage_psnr(completed: Tensor, truth: Tensor, masks: Tensor) -> Tensor:
    """`psnr` over the known pixels; infinite where none is changed, NaN for an image that is all hole."""
    return psnr_hole(completed, truth, ~masks)


def mae_aot(completed: Tensor, truth: Tensor, masks: Tensor | None = None) -> Tensor:
    """Sum of absolute differences over the sum of both images; 0 for two black images."""
    return _relative(completed.double(), truth.double())


def mae_edgeconnect(completed: Tensor, truth: Tensor, masks: Tensor | None = None) -> Tensor:
    """`mae_aot` of the grey images."""
    return _relative(grey(completed), grey(truth))


def ssim(completed: Tensor, truth: Tensor, masks: Tensor | None = None) -> Tensor:
    """SSIM (Wang et al., 2004, equation 13) as scikit-image defines it: uniform 7 x 7 window, sample covariance."""
    return _uniform_ssim(completed, truth, 7, 255)


def ssim_hole(completed: Tensor, truth: Tensor, masks: Tensor) -> Tensor:
    """The mean of the map of `ssim` over the hole's pixels and the colours; NaN for an image without a hole.

    Each pixel of the map has a whole window around it: beyond its border the picture is mirrored, as scikit-image
    does. So what is known counts as far as a window of the hole's rim sees it.
    """
    _fits(completed, 7)
    x, y = (mirrored(images, 3, 3) for images in (completed, truth))
    maps = by_image(lambda a, b: _uniform_map(a, b, 7, 255), x, y)
    return (maps.mean(dim=1, keepdim=True) * masks).sum(dim=(1, 2, 3)) / masks.sum(dim=(1, 2, 3))


def ssim_rgb51(completed: Tensor, truth: Tensor, masks: Tensor | None = None) -> Tensor:
    """SSIM with a uniform 51 x 51 window (GRIG, EXE-GAN)."""
    return _uniform_ssim(completed, truth, 51, 255)


def ssim_ec51(completed: Tensor, truth: Tensor, masks: Tensor | None = None) -> Tensor:
    """SSIM of the grey images with a uniform 51 x 51 window (EdgeConnect, LaFIn)."""
    return _uniform_ssim(grey(completed), grey(truth), 51, 1)


def ssim_wang(completed: Tensor, truth: Tensor, masks: Tensor | None = None) -> Tensor:
    """SSIM with the paper's Gaussian window: 11 x 11, deviation 1.5; where it fits whole."""
    return _gaussian_ssim(completed.double(), truth.double(), 255)


def ssim_lama(completed: Tensor, truth: Tensor, masks: Tensor | None = None) -> Tensor:
    """SSIM of LaMa's evaluator: Gaussian window, images in [0, 1] padded with zeros."""
    x, y = (F.pad(images.double() / 255, (5, 5, 5, 5)) for images in (completed, truth))
    return _gaussian_ssim(x, y, 1)


def ssim_y(completed: Tensor, truth: Tensor, masks: Tensor | None = None) -> Tensor:
    """`ssim_wang` of the luma (16 to 235) at a peak of 255 (BasicSR's `test_y_channel`)."""
    return _gaussian_ssim(luma(completed), luma(truth), 255)


def ssim_matched(completed: Tensor, truth: Tensor, masks: Tensor | None = None) -> Tensor:
    """`ssim_wang` after the result took the truth's colours (VQFR's script); NaN as in `psnr_matched`."""
    return _gaussian_ssim(_matched(completed, truth), truth.double(), 255)


def luma(images: Tensor) -> Tensor:
    """MATLAB's Y of 8-bit RGB, 16 to 235, not rounded: (N, 3, H, W) to (N, 1, H, W) float64."""
    weights = torch.tensor(LUMA, dtype=torch.float64, device=images.device)
    return (torch.einsum("nchw,c->nhw", images.double(), weights) / 255 + 16)[:, None]


def _matched(completed: Tensor, truth: Tensor) -> Tensor:
    """The truth's mean, then its deviation, for each channel, twice; scaling is around 0 and moves the mean again."""
    result, truth = completed.double(), truth.double()
    mean, deviation = (part(truth, dim=(2, 3), keepdim=True) for part in (torch.mean, torch.std))
    for _ in range(2):
        result = result - result.mean(dim=(2, 3), keepdim=True) + mean
        own = result.std(dim=(2, 3), keepdim=True)
        result = result / own.where(own > 0, torch.nan) * deviation
    return result


def _psnr(x: Tensor, y: Tensor) -> Tensor:
    return 10 * torch.log10(255**2 / _mean((x - y).square()))


def _difference(a: Tensor, b: Tensor) -> Tensor:
    """int32: sums of 8-bit differences are exact in whole numbers."""
    return a.int() - b.int()


def _mean(values: Tensor) -> Tensor:
    flat = values.flatten(1)
    return flat.mean(dim=1) if flat.is_floating_point() else flat.sum(dim=1).double() / flat.shape[1]


def grey(images: Tensor) -> Tensor:
    """scikit-image's rgb2gray of 8-bit RGB: (N, 3, H, W) to (N, 1, H, W) float64 in [0, 1]."""
    weights = torch.tensor(GREY, dtype=torch.float64, device=images.device)
    return torch.einsum("nchw,c->nhw", images.double() / 255, weights)[:, None]


def _relative(a: Tensor, b: Tensor) -> Tensor:
    total = (a + b).sum(dim=(1, 2, 3))
    difference = (a - b).abs().sum(dim=(1, 2, 3))
    return torch.where(total > 0, difference / total, 0)


def _uniform_ssim(x: Tensor, y: Tensor, window: int, peak: float) -> Tensor:
    """`x`, `y`: uint8, or float64 in [0, 1]. Window sums of 8-bit values and products are integers below 2^24 for
    windows up to 16, so float32 holds them exactly; larger windows and grey images take float64."""
    _fits(x, window)
    return by_image(lambda a, b: _mean(_uniform_map(a, b, window, peak)), x, y)


def one_by_one(images: Tensor) -> Sequence[Tensor]:
    """On the CPU one image at a time, whose temporaries fit the cache: several times as fast. Views."""
    return images.split(1) if images.device.type == "cpu" else [images]


def by_image(function: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """What `function` gives of two sets of images, `one_by_one`."""
    return torch.cat([function(a, b) for a, b in zip(one_by_one(x), one_by_one(y), strict=True)])


def _uniform_map(x: Tensor, y: Tensor, window: int, peak: float) -> Tensor:
    dtype = torch.float32 if x.dtype == torch.uint8 and window <= 16 else torch.float64
    x, y = x.to(dtype), y.to(dtype)
    n = window**2
    mean_x, mean_y, xx, yy, xy = (_box_sum(part, window).double() / n for part in (x, y, x * x, y * y, x * y))
    var_x, var_y, cov = (n / (n - 1) * part for part in _central(mean_x, mean_y, xx, yy, xy))
    return _ssim(mean_x, mean_y, var_x, var_y, cov, peak)


def _gaussian_ssim(x: Tensor, y: Tensor, peak: float) -> Tensor:
    _fits(x, 11)
    return by_image(lambda a, b: _mean(_gaussian_map(a, b, peak)), x, y)


def _gaussian_map(x: Tensor, y: Tensor, peak: float) -> Tensor:
    offsets = torch.arange(11, dtype=torch.float64, device=x.device) - 5
    gaussian = torch.exp(-offsets.square() / (2 * 1.5**2))
    weights = (gaussian / gaussian.sum()).tolist()
    mean_x, mean_y, xx, yy, xy = (weighted_sum(part, weights) for part in (x, y, x * x, y * y, x * y))
    return _ssim(mean_x, mean_y, *_central(mean_x, mean_y, xx, yy, xy), peak)


def _central(mean_x: Tensor, mean_y: Tensor, xx: Tensor, yy: Tensor, xy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return xx - mean_x * mean_x, yy - mean_y * mean_y, xy - mean_x * mean_y


def _ssim(mean_x: Tensor, mean_y: Tensor, var_x: Tensor, var_y: Tensor, cov: Tensor, peak: float) -> Tensor:
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
    return luminance * (2 * cov + c2) / (var_x + var_y + c2)


def mirrored(images: Tensor, before: int, after: int) -> Tensor:
    """The pictures with so many pixels more before and after each axis: mirrored, the border's pixels repeated."""
    for axis in (-2, -1):
        n = images.shape[axis]
        index = torch.arange(-before, n + after, device=images.device)
        index = torch.where(index < 0, -1 - index, torch.where(index >= n, 2 * n - 1 - index, index))
        images = images.index_select(images.ndim + axis, index)
    return images


def _box_sum(images: Tensor, window: int) -> Tensor:
    """Sums over all whole windows, by doubling: about 2 log2(window) additions of shifted images an axis."""
    for axis in (-2, -1):
        length = images.shape[axis] - window + 1
        power, width, start, total = images, 1, 0, None
        while width <= window:
            if window & width:
                part = power.narrow(axis, start, length)
                total, start = part if total is None else total + part, start + width
            if 2 * width <= window:
                reach = power.shape[axis] - width
                power = power.narrow(axis, 0, reach) + power.narrow(axis, width, reach)
            width *= 2
        images = total if total is not None else images
    return images


def weighted_sum(images: Tensor, down: list[float], right: list[float] | None = None) -> Tensor:
    """Correlate columns with `down` and rows with `right`, or both with `down`, over all whole windows."""
    for axis, weights in ((-2, down), (-1, right or down)):
        length = images.shape[axis] - len(weights) + 1
        total = images.narrow(axis, 0, length) * weights[0]
        for start, weight in enumerate(weights[1:], 1):
            total.add_(images.narrow(axis, start, length), alpha=weight)
        images = total
    return images


def _fits(images: Tensor, window: int) -> None:
    if min(images.shape[-2:]) < window:
        height, width = images.shape[-2:]
        raise TooSmall(f"SSIM with a window of {window} needs {window} pixels or more a side, got {width}x{height}")
