"""FACEMUG's editing by text: gradient descent on the codes that the feature bank is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.optim import Adam

from bench.method import Source
from bench.nn import text
from bench.nn.text import FACE, TextImage

LEAST = 0.1  # length of a change in the cosine, which is not defined for images that are still equal


@lru_cache
def judge(source: Source, device: torch.device) -> TextImage:
    """The network that compares texts and images, loaded once for all completions."""
    return text.load(source).to(device)


def edited(
    codes: Tensor,
    texts: Sequence[str],
    draw: Callable[[Tensor], Tensor],
    network: TextImage,
    steps: int,
    rate: float,
    weight: float,
    distance: float,
) -> Tensor:
    """w* (N, L, D) near `codes`, whose images `draw(w*)` change as the texts say, each on its own.

    Adam minimises weight (1 - cos(dT, dI)) + distance mean (w - codes)^2, where dT leads from "face" to the text and
    dI from the image of `codes` to that of w, in the space of CLIP.
    """
    target = network.texts(texts) - network.texts([FACE])
    before = network.images(draw(codes).float())
    with torch.enable_grad():
        w = codes.detach().clone().requires_grad_()
        optimiser = Adam([w], rate)
        for _ in range(steps):
            change = network.images(draw(w).float()) - before
            lengths = target.norm(dim=1).clamp_min(1e-8) * change.square().sum(1).clamp_min(LEAST**2).sqrt()
            cosine = (target * change).sum(1) / lengths
            loss = weight * (1 - cosine) + distance * (w - codes).square().mean((1, 2))
            (w.grad,) = torch.autograd.grad(loss.sum(), [w])
            optimiser.step()
    return w.detach()
