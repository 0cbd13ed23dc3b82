"""The networks: layout generator (CNN and transformer), texture generator, critic; all are proposals of this project.

The paper's abstract and summaries say what the parts do; layers and sizes are ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = 19  # labels of CelebAMask-HQ


class ConvNorm(nn.Module):
    """Convolution, instance norm, ReLU. (N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
        self.norm = nn.InstanceNorm2d(outputs, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with instance norm, the first one dilated. (N, channels, H, W) -> same."""

    def __init__(self, channels: int, dilation: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, dilation, dilation)
        self.norm1 = nn.InstanceNorm2d(channels, affine=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.norm2 = nn.InstanceNorm2d(channels, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))


def dynamic_attention(q: Tensor, k: Tensor, v: Tensor, validity: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
    """Trust tokens by their validity u in [0, 1]: softmax(q kᵀ / sqrt(d) + softplus(beta) log(u + 1e-3)) v.

    q (N, heads, queries, d); k, v (N, heads, keys, d); validity (N, keys); beta (heads,), learned. No mask is special:
    where all tokens are invalid, this is plain attention. Returns what was attended to, like q, and the weights
    (N, heads, queries, keys).
    """
    trust = F.softplus(beta)[:, None] * (validity + 1e-3).log()[:, None]  # (N, heads, keys)
    weights = (q @ k.transpose(2, 3) / math.sqrt(q.shape[3]) + trust[:, :, None]).softmax(dim=3)
    return weights @ v, weights


class TransformerLayer(nn.Module):
    """A pre-norm layer with dynamic attention: tokens (N, L, dim), validity (N, L) -> the same.

    Holes become usable as they are filled: a token is at least as valid as, on average, what it attended to.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.beta = nn.Parameter(torch.zeros(heads))
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor, validity: Tensor) -> tuple[Tensor, Tensor]:
        q, k, v = self.qkv(self.norm1(x)).unflatten(2, (3, len(self.beta), -1)).permute(2, 0, 3, 1, 4)
        attended, weights = dynamic_attention(q, k, v, validity, self.beta)
        x = x + self.proj(attended.transpose(1, 2).flatten(2))
        x = x + self.fc2(F.gelu(self.fc1(self.norm2(x))))
        return x, torch.maximum(validity, (weights.mean(1) @ validity[:, :, None])[:, :, 0])


class LayoutGenerator(nn.Module):
    """Stage 1: a convolutional and a transformer encoder see the masked picture, one decoder draws a layout.

    Masked images (N, 3, size, size) and masks (N, 1, size, size) -> logits (N, 19, size, size).

    `widths`: channels of the full size and after each halving; the last is the transformer's.
    """

    def __init__(self, size: int, widths: Sequence[int], layers: int, heads: int):
        super().__init__()
        dim, self.patch_size = widths[-1], 2 ** (len(widths) - 1)
        self.stem = ConvNorm(4, widths[0], 7)
        self.down = nn.ModuleList(nn.Sequential(ConvNorm(i, o, 3, 2), ResidualBlock(o)) for i, o in pairwise(widths))
        self.patch = nn.Conv2d(4, dim, self.patch_size, self.patch_size)
        self.pos = nn.Parameter(0.02 * torch.randn(1, (size // self.patch_size) ** 2, dim))
        self.layers = nn.ModuleList(TransformerLayer(dim, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.fuse = nn.Conv2d(2 * dim, dim, 1)
        self.up = nn.ModuleList()
        inputs, skips = dim, widths[-2::-1]  # coarse to fine
        for skip, outputs in zip(skips, (*skips[1:], widths[0]), strict=True):
            self.up.append(ConvNorm(inputs + skip, outputs))
            inputs = outputs
        self.head = nn.Conv2d(widths[0], CLASSES, 1)

    def forward(self, masked: Tensor, mask: Tensor) -> Tensor:
        given = torch.cat([masked, mask], dim=1)
        maps = [self.stem(given)]
        for down in self.down:
            maps.append(down(maps[-1]))
        x = self.fuse(torch.cat([maps.pop(), self.transformed(given, mask)], dim=1))
        for up in self.up:
            x = up(torch.cat([F.interpolate(x, scale_factor=2), maps.pop()], dim=1))
        return self.head(x)

    def transformed(self, given: Tensor, mask: Tensor) -> Tensor:
        """The transformer's features (N, dim, H / patch, W / patch)."""
        patches = self.patch(given)
        x, size = patches.flatten(2).transpose(1, 2) + self.pos, patches.shape[2:]
        validity = F.avg_pool2d(1 - mask, self.patch_size).flatten(1)
        for layer in self.layers:
            x, validity = layer(x, validity)
        return self.norm(x).transpose(1, 2).unflatten(2, size)


class ContextualAttention(nn.Module):
    """Pixels attend to known places: dynamic attention, keys and values pooled to at most `keys` x `keys`.

    Features (N, channels, H, W), known pixels (N, 1, any size) -> features.
    """

    def __init__(self, channels: int, heads: int, keys: int):
        super().__init__()
        self.keys = keys
        self.beta = nn.Parameter(torch.zeros(heads))
        self.q, self.k, self.v, self.o = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        height, width = x.shape[2:]
        few = min(height, self.keys), min(width, self.keys)
        pooled = F.adaptive_avg_pool2d(x, few)
        validity = F.adaptive_avg_pool2d(known, few).flatten(1)
        q, k, v = (
            x.flatten(2).unflatten(1, (len(self.beta), -1)).transpose(2, 3)
            for x in (self.q(x), self.k(pooled), self.v(pooled))
        )
        attended, _ = dynamic_attention(q, k, v, validity, self.beta)
        return x + self.o(attended.transpose(2, 3).flatten(1, 2).unflatten(2, (height, width)))


class Modulation(nn.Module):
    """SPADE (Park et al., 2019): instance norm, scaled and shifted at each pixel as the layout there says."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.norm = nn.InstanceNorm2d(channels)
        self.shared = nn.Conv2d(CLASSES, hidden, 3, 1, 1)
        self.gamma, self.beta = (nn.Conv2d(hidden, channels, 3, 1, 1) for _ in range(2))

    def forward(self, x: Tensor, layout: Tensor) -> Tensor:
        told = F.relu(self.shared(layout))
        return self.norm(x) * (1 + self.gamma(told)) + self.beta(told)


class ModulatedBlock(nn.Module):
    """A residual block whose two convolutions are modulated by the layout. (N, inputs, H, W) -> (N, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int, hidden: int):
        super().__init__()
        self.conv1, self.mod1 = nn.Conv2d(inputs, outputs, 3, 1, 1), Modulation(outputs, hidden)
        self.conv2, self.mod2 = nn.Conv2d(outputs, outputs, 3, 1, 1), Modulation(outputs, hidden)
        self.short = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, layout: Tensor) -> Tensor:
        layout = F.interpolate(layout, x.shape[2:], mode="bilinear", align_corners=False)
        y = F.leaky_relu(self.mod1(self.conv1(x), layout), 0.2)
        return self.short(x) + F.leaky_relu(self.mod2(self.conv2(y), layout), 0.2)


class TextureGenerator(nn.Module):
    """Stage 2, the multi-modal texture generator: picture, mask and layout -> the painted picture, by attention at two
    scales.

    Masked images (N, 3, H, W), masks (N, 1, H, W), layouts (N, 19, H, W) that sum to 1 -> (N, 3, H, W) in [-1, 1].
    Names follow the sizes of the feature maps at 256 px.

    `dilations`: of the residual blocks at an eighth of the size; `keys`: largest side of attention's keys; `hidden`:
    channels of a modulation.
    """

    def __init__(self, width: int, dilations: Sequence[int], heads: int, keys: int, hidden: int):
        super().__init__()
        w256, w128, w64, w32 = (width * 2**i for i in range(4))
        self.stem = ConvNorm(3 + 1 + CLASSES, w256, 7)
        self.down = nn.ModuleList(ConvNorm(i, o, 3, 2) for i, o in pairwise((w256, w128, w64, w32)))
        self.middle = nn.Sequential(*(ResidualBlock(w32, dilation) for dilation in dilations))
        self.att32 = ContextualAttention(w32, heads, keys)
        self.up64 = ModulatedBlock(w32 + w64, w64, hidden)
        self.att64 = ContextualAttention(w64, heads, keys)
        self.up128 = ModulatedBlock(w64 + w128, w128, hidden)
        self.up256 = ModulatedBlock(w128 + w256, w256, hidden)
        self.out = nn.Conv2d(w256, 3, 7, 1, 3)

    def forward(self, masked: Tensor, mask: Tensor, layout: Tensor) -> Tensor:
        maps = [self.stem(torch.cat([masked, mask, layout], dim=1))]
        for down in self.down:
            maps.append(down(maps[-1]))

        def up(block: nn.Module, x: Tensor) -> Tensor:
            return block(torch.cat([F.interpolate(x, scale_factor=2), maps.pop()], dim=1), layout)

        known = 1 - mask
        x = self.att32(self.middle(maps.pop()), known)
        x = self.att64(up(self.up64, x), known)
        return self.out(up(self.up256, up(self.up128, x))).tanh()


class Critic(nn.Module):
    """The Wasserstein critic: images (N, 3, H, W) and masks -> a map of scores, 7 x 7 at 256 px.

    No norm: the gradient penalty is one image's own.
    """

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 4, 2, 1) for i, o in pairwise((4, *widths)))
        self.out = nn.Conv2d(widths[-1], 1, 4, 1, 1)

    def forward(self, images: Tensor, mask: Tensor) -> Tensor:
        x = torch.cat([images, mask], dim=1)
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
        return self.out(x)
