"""Batched, differentiable augmentations of training images, each drawn from an explicit noise source."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.batch import Noise


def _between(noise: Noise, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * noise.uniform(*shape)


def flip(images: Tensor, noise: Noise) -> Tensor:
    """Mirror each image left to right with probability 1/2."""
    return torch.where(noise.uniform(1, 1, 1) < 0.5, images.flip(3), images)


def resized_crop(images: Tensor, noise: Noise, area: tuple[float, float], aspect: float = 4 / 3) -> Tensor:
    """Random resized crop: a share `area` of the picture, aspect 1/`aspect` to `aspect`, back to the full size."""
    share = _between(noise, *area)
    ratio = torch.exp(_between(noise, -math.log(aspect), math.log(aspect)))
    width, height = (share * ratio).sqrt().clamp_max(1), (share / ratio).sqrt().clamp_max(1)
    theta = torch.zeros(len(images), 2, 3, device=images.device)
    theta[:, 0, 0], theta[:, 1, 1] = width, height
    theta[:, 0, 2] = (1 - width) * _between(noise, -1, 1)
    theta[:, 1, 2] = (1 - height) * _between(noise, -1, 1)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False).clamp(-1, 1)


def colour_jitter(images: Tensor, noise: Noise, strength: float) -> Tensor:
    """Brightness, contrast and saturation by factors 1 ± strength, hue turned by ± strength of the circle."""
    if not strength:
        return images
    x = (images + 1) / 2
    x = (x * _between(noise, 1 - strength, 1 + strength, 1, 1, 1)).clamp(0, 1)
    luma = x.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    grey = (x * luma).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    x = ((x - grey) * _between(noise, 1 - strength, 1 + strength, 1, 1, 1) + grey).clamp(0, 1)
    grey = (x * luma).sum(1, keepdim=True)
    x = (x - grey) * _between(noise, 1 - strength, 1 + strength, 1, 1, 1) + grey
    # the hue turns in the chroma plane of YIQ, an orthogonal stand-in for HSV's hue without its divisions
    to_yiq = x.new_tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    angle = _between(noise, -strength, strength) * 2 * math.pi
    turn = torch.zeros(len(x), 3, 3, device=x.device)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = torch.cos(angle)
    turn[:, 1, 2], turn[:, 2, 1] = -torch.sin(angle), torch.sin(angle)
    matrix = torch.linalg.inv(to_yiq) @ turn @ to_yiq
    return torch.einsum("nij,njhw->nihw", matrix, x).clamp(0, 1) * 2 - 1


def diff_augment(images: Tensor, noise: Noise, shift: float = 0.125) -> Tensor:
    """DiffAugment 'color,translation' (Zhao et al., 2020), each image on its own; values may leave [-1, 1].

    Brightness + U(-0.5, 0.5); saturation x U(0, 2); contrast x U(0.5, 1.5); a shift by up to `shift` of the side
    with zero fill.
    """
    x = images + _between(noise, -0.5, 0.5, 1, 1, 1)
    mean = x.mean(1, keepdim=True)
    x = (x - mean) * _between(noise, 0, 2, 1, 1, 1) + mean
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (x - mean) * _between(noise, 0.5, 1.5, 1, 1, 1) + mean
    return translate(x, noise, shift)


def translate(images: Tensor, noise: Noise, shift: float) -> Tensor:
    """Shift each image by whole pixels, up to `shift` of the side on each axis; zero fill."""
    height, width = images.shape[2:]
    limit = round(height * shift)
    dy, dx = (torch.floor(_between(noise, -limit, limit + 1)).long() for _ in range(2))
    rows = torch.arange(height, device=images.device) - dy[:, None]
    columns = torch.arange(width, device=images.device) - dx[:, None]
    inside = ((rows >= 0) & (rows < height))[:, None, :, None] & ((columns >= 0) & (columns < width))[:, None, None, :]
    index = torch.arange(len(images), device=images.device)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[
        index, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]
    ]
    return moved.permute(0, 3, 1, 2) * inside
