"""Loss terms that several papers share. All return scalars; weights belong to the caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.batch import Noise
from bench.nn import across


def region_l1(output: Tensor, target: Tensor, region: Tensor) -> Tensor:
    """Mean absolute difference over the pixels of a region (N, 1, H, W) in {0, 1}, the whole batch as one."""
    count = across.mean(region.sum()) * output.shape[1]
    return ((output - target).abs() * region).sum() / (count + 1e-12)


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """Hinge loss of a discriminator: mean relu(1 - D(real)) + mean relu(1 + D(fake))."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def logistic(real: Tensor, fake: Tensor) -> Tensor:
    """Logistic loss of a discriminator: mean softplus(-D(real)) + mean softplus(D(fake))."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def nonsaturating(fake: Tensor) -> Tensor:
    """Non-saturating logistic loss of a generator (Goodfellow et al., 2014): mean softplus(-D(fake))."""
    return F.softplus(-fake).mean()


def differentiable_twice() -> AbstractContextManager[None]:
    """What networks give inside can have a penalty on its gradient: compiled ones run as they are written."""
    return torch.compiler.set_stance("force_eager")


def r1(logits: Tensor, images: Tensor) -> Tensor:
    """R1 penalty (Mescheder et al., 2018), without the factor 1/2: mean over the batch of |d sum(D(x)) / dx|².

    `images` are the real images that gave `logits`; they need `requires_grad_()` before the discriminator sees them,
    which is `differentiable_twice`.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    noise: Noise,
    region: Tensor | None = None,
    by_pixel: bool = False,
) -> Tensor:
    """WGAN-GP's penalty (Gulrajani et al., 2017) at a random point between each real and fake image: (|gradient| - 1)².

    One norm an image, of the gradient within `region` (N, 1, H, W) where one is given (DeepFill v1). `by_pixel`: one
    norm a pixel, the mean divided by the region's share (MMEditing).
    """
    share = noise.uniform(1, 1, 1).to(real)
    between = (share * real + (1 - share) * fake).detach().requires_grad_()
    with differentiable_twice():
        logits = critic(between)
    (gradient,) = torch.autograd.grad(logits.sum(), between, create_graph=True)
    if region is not None:
        gradient = gradient * region
    if not by_pixel:
        return (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    # a norm of exactly 0 has no gradient: the small constant keeps it finite
    penalty = ((gradient.square().sum(1) + 1e-16).sqrt() - 1).square().mean()
    return penalty if region is None else penalty / across.mean(region.mean())


def feature_matching(
    fake: Sequence[Tensor],
    real: Sequence[Tensor],
    distance: Callable[[Tensor, Tensor], Tensor] = F.mse_loss,
) -> Tensor:
    """Feature matching (Wang et al., 2018): the distance of a discriminator's maps, mean over the maps.

    The maps of the real images serve as constants.
    """
    return torch.stack([distance(a, b.detach()) for a, b in zip(fake, real, strict=True)]).mean()


def total_variation(images: Tensor) -> Tensor:
    """Mean absolute difference of vertical neighbours plus that of horizontal ones."""
    vertical = (images[:, :, 1:] - images[:, :, :-1]).abs().mean()
    return vertical + (images[:, :, :, 1:] - images[:, :, :, :-1]).abs().mean()
