"""A step back whose noise is kept, drawn anew, or part of each.

Song, Meng, Ermon, "Denoising Diffusion Implicit Models" (ICLR 2021).
"""

from __future__ import annotations

from torch import Tensor

from bench.nn.diffusion import Diffusion


def back(diffusion: Diffusion, picture: Tensor, x: Tensor, k: int, fresh: float, normal: Tensor) -> Tensor:
    """x_(k - 1) of a picture (N, 3, H, W), by the noise that x_k has beside it and normal values; at 0 the picture.

    `fresh`, 0 .. 1: the share of the normal values in the noise's deviation.
    """
    abar = float(diffusion.abar[k])
    before = float(diffusion.abar[k - 1]) if k else 1.0
    own = (x - abar**0.5 * picture) / (1 - abar) ** 0.5
    return before**0.5 * picture + (1 - before) ** 0.5 * ((1 - fresh**2) ** 0.5 * own + fresh * normal)
