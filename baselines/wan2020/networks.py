"""The global stage: two variational autoencoders, and mappings from the latent space of the first to the second's.

Names inside are those of the released files.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.lgnet import Norm, ResidualBlock

PATCHES = (8, 4, 2)  # sides, in latent pixels, of what the HR mapping's stages put together
HOLE = 0.6  # share of scratched pixels from which on a patch is a hole


def normal(convolution: nn.Conv2d | nn.ConvTranspose2d, norm: Norm) -> list[nn.Module]:
    """A convolution, its normalisation, ReLU."""
    return [convolution, norm(convolution.out_channels), nn.ReLU()]


def blocks(number: int, channels: int, norm: Norm) -> list[ResidualBlock]:
    """Residual blocks."""
    return [ResidualBlock(channels, norm, bias=True) for _ in range(number)]


class VAE(nn.Module):
    """A variational autoencoder: images (N, 3, H, W) in [-1, 1] <-> latents (N, width, H/4, W/4).

    A latent is the mean of a normal distribution of variance 1.
    """

    def __init__(self, width: int, norm: Norm):
        super().__init__()
        w = width

        def half() -> list[nn.Module]:
            return normal(nn.Conv2d(w, w, 4, 2, 1), norm)

        def double() -> list[nn.Module]:
            return normal(nn.ConvTranspose2d(w, w, 4, 2, 1), norm)

        self.encoder = nn.Sequential(
            nn.ReflectionPad2d(3), *normal(nn.Conv2d(3, w, 7), norm), *half(), *half(), *blocks(4, w, norm)
        )
        self.decoder = nn.Sequential(
            *blocks(4, w, norm), *double(), *double(), nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh()
        )
        if norm is nn.Identity:
            settled(self)
            with torch.no_grad():
                self.encoder[7].get_parameter("weight").mul_(10)  # latents stand out of the noise
                self.decoder[-2].get_parameter("weight").mul_(0.1)  # pictures are grey


def settled(network: nn.Module) -> None:
    """Start a network without normalisation from He et al.'s values (2015), its residual blocks from the identity."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    for layer in network.modules():
        if isinstance(layer, ResidualBlock):
            nn.init.zeros_(layer.conv_block[5].weight)  # type: ignore[arg-type]


def widened(width: int, limit: int, norm: Norm) -> list[nn.Module]:
    """How all mappings begin: from the latent's channels to the most."""
    pairs = pairwise(_widths(width, limit))
    return [layer for pair in pairs for layer in normal(_convolution(*pair), norm)]


def narrowed(width: int, limit: int, norm: Norm) -> list[nn.Module]:
    """How all mappings end: back to the latent's channels; the last layer is linear."""
    *pairs, last = pairwise(_widths(width, limit)[::-1])
    return [*(layer for pair in pairs for layer in normal(_convolution(*pair), norm)), _convolution(*last)]


def _widths(width: int, limit: int) -> list[int]:
    return [min(width * 2**i, limit) for i in range(5)]


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class LatentMapping(nn.Module):
    """Latents of degraded images (N, width, h, w) -> of clean ones. Those of scratches also take a mask."""

    def forward(self, z: Tensor, mask: Tensor) -> Tensor:
        """`mask` (N, 1, H, W), 1 = scratch."""
        raise NotImplementedError


class QualityMapping(LatentMapping):
    """What blurs, noise and faded colours need: convolutions alone; it sees no mask."""

    def __init__(self, width: int, limit: int, norm: Norm):
        super().__init__()
        self.model = nn.Sequential(*widened(width, limit, norm), *blocks(6, limit, norm), *narrowed(width, limit, norm))

    def forward(self, z: Tensor, mask: Tensor) -> Tensor:
        return self.model(z)


class ScratchMapping(LatentMapping):
    """The mapping with a partial non-local block."""

    def __init__(self, width: int, limit: int, norm: Norm):
        super().__init__()
        self.before_NL = nn.Sequential(*widened(width, limit, norm))
        self.NL = PartialNonLocal(limit, norm)
        self.after_NL = nn.Sequential(*blocks(6, limit, norm), *narrowed(width, limit, norm))

    def forward(self, z: Tensor, mask: Tensor) -> Tensor:
        return self.after_NL(self.NL(self.before_NL(z), mask))


def touched(mask: Tensor, x: Tensor) -> Tensor:
    """Mask (N, 1, H, W) at the size of maps (N, C, h, w): 1 where bilinear resizing leaves anything of it."""
    return (F.interpolate(mask, x.shape[2:], mode="bilinear", align_corners=False) > 0).to(x.dtype)


class PartialNonLocal(nn.Module):
    """Partial non-local block: holes take the features of similar places that are intact."""

    def __init__(self, channels: int, norm: Norm):
        super().__init__()
        self.g, self.W, self.theta, self.phi = (nn.Conv2d(channels, channels, 1) for _ in range(4))
        nn.init.zeros_(self.W.weight)
        nn.init.zeros_(self.W.bias)  # type: ignore[arg-type]
        self.res_block = nn.Sequential(*blocks(3, channels, norm))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Maps (N, C, h, w) and mask (N, 1, H, W), 1 = scratch. The affinities take (h w)^2 numbers an image."""
        intact = (1 - touched(mask, x)) * F.interpolate(1 - mask, x.shape[2:], mode="nearest")
        theta, phi, g = (layer(x).flatten(2) for layer in (self.theta, self.phi, self.g))
        affinity = (theta.transpose(1, 2) @ phi).softmax(dim=2) * intact.flatten(2)  # (N, queries, keys)
        y = g @ F.normalize(affinity, p=1, dim=2).transpose(1, 2)
        y = self.res_block(self.W(y.reshape(x.shape)))
        return intact * x + (1 - intact) * y


class HRMapping(LatentMapping):
    """The mapping for large pictures: patches of holes are put together from whole ones, from large to small."""

    def __init__(self, width: int, limit: int, norm: Norm):
        super().__init__()
        self.before_NL = nn.Sequential(*widened(width, limit, norm), *blocks(2, limit, norm))
        for number, side in enumerate(PATCHES, start=1):
            self.add_module(f"NL_scale_{number}", PatchAttention(limit, side, norm))
            if number < len(PATCHES):
                self.add_module(f"res_block_{number}", nn.Sequential(*blocks(2, limit, norm)))
        self.after_NL = nn.Sequential(*blocks(2, limit, norm), *narrowed(width, limit, norm))

    def forward(self, z: Tensor, mask: Tensor) -> Tensor:
        z = self.before_NL(z)
        for number in range(1, len(PATCHES) + 1):
            z = self.get_submodule(f"NL_scale_{number}")(z, mask)
            if number < len(PATCHES):
                z = self.get_submodule(f"res_block_{number}")(z)
        return self.after_NL(z)


class PatchAttention(nn.Module):
    """Every patch is replaced by the most similar one that is no hole; a convolution makes one map of both."""

    def __init__(self, channels: int, side: int, norm: Norm):
        super().__init__()
        self.side = side
        self.F_Combine = nn.Conv2d(2 * channels + 1, channels, 3, padding=1)
        self.res_block = nn.Sequential(*blocks(1, channels, norm))

    def forward(self, z: Tensor, mask: Tensor) -> Tensor:
        """Maps (N, C, h, w) whose sides are multiples of the patch's, and mask (N, 1, H, W), 1 = scratch."""
        scratched = touched(mask, z)
        patches = F.unfold(self.res_block(z), self.side, stride=self.side)  # (N, C side², patches)
        holes = F.avg_pool2d(scratched, self.side).flatten(1) > HOLE  # (N, patches)
        unit = F.normalize(patches, dim=1)
        similar = (unit.transpose(1, 2) @ unit).masked_fill(holes[:, None], -1e9)
        nearest = similar.argmax(dim=2)  # (N, patches); softmax does not change which is the largest
        composed = patches.gather(2, nearest[:, None].expand_as(patches))
        composed = F.fold(composed, z.shape[2:], self.side, stride=self.side)
        return self.F_Combine(torch.cat([z, composed, scratched], dim=1))


MAPPINGS: dict[str, type[QualityMapping] | type[ScratchMapping] | type[HRMapping]] = {
    "quality": QualityMapping, "scratch": ScratchMapping, "hr": HRMapping,
}  # fmt: skip
