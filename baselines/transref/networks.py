"""Networks of TransRef: a pyramid transformer that embeds the reference, a transformer in its middle, a light tail.

Between layers, tokens are maps. Names are those of the authors' code, but for the encoder's stages.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.alignment import Alignment

if TYPE_CHECKING:
    from baselines.transref import TransRefConfig


def tokens(x: Tensor) -> Tensor:
    """The pixels of a map (N, C, H, W), row by row: (N, H W, C)."""
    return x.flatten(2).transpose(1, 2)


def mapped(x: Tensor, size: torch.Size) -> Tensor:
    """Tokens (N, H W, C) as a map (N, C, H, W) of this size."""
    return x.transpose(1, 2).unflatten(2, size)


def normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """A map whose pixels are normalised."""
    return mapped(norm(tokens(x)), x.shape[2:])


class Embedding(nn.Module):
    """Overlapping patches: a strided convolution and a norm. (N, inputs, H, W) -> (N, width, H / stride, ...)."""

    def __init__(self, inputs: int, width: int, kernel: int = 3, stride: int = 2):
        super().__init__()
        self.proj, self.norm = nn.Conv2d(inputs, width, kernel, stride, kernel // 2), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return normed(self.norm, self.proj(x))


class Attention(nn.Module):
    """Attention of tokens to a map that is made smaller by `reduction` before."""

    def __init__(self, width: int, heads: int, reduction: int):
        super().__init__()
        self.heads, self.reduction = heads, reduction
        self.q, self.kv, self.proj = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        if reduction > 1:
            self.sr, self.norm = nn.Conv2d(width, width, reduction, reduction), nn.LayerNorm(width)

    def forward(self, x: Tensor, source: Tensor, size: torch.Size) -> Tensor:
        if self.reduction > 1:
            source = self.norm(tokens(self.sr(mapped(source, size))))
        q, k, v = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self.q(x), *self.kv(source).chunk(2, dim=2))
        )
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """A feed-forward network whose tokens see their neighbours."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.dwconv = nn.ModuleDict({"dwconv": nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)})

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        x = tokens(self.dwconv["dwconv"](mapped(self.fc1(x), size)))
        return self.fc2(F.gelu(x))


class Block(nn.Module):
    """A transformer block on maps (N, width, H, W); where `guided`, its keys and values are those of a reference.

    `drop`: probability that an image passes it unchanged in training (stochastic depth).
    """

    def __init__(self, width: int, heads: int, ratio: int, reduction: int, drop: float, guided: bool = False):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.norm1_Ref = nn.LayerNorm(width, eps=1e-6) if guided else None
        self.attn, self.mlp = Attention(width, heads, reduction), Mlp(width, ratio * width)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor, reference: Tensor | None = None) -> Tensor:
        size, x = x.shape[2:], tokens(x)
        query = self.norm1(x)
        source = query if reference is None or self.norm1_Ref is None else self.norm1_Ref(tokens(reference))
        x = x + self.kept(x) * self.attn(query, source, size)
        x = x + self.kept(x) * self.mlp(self.norm2(x), size)
        return mapped(x, size)

    def kept(self, x: Tensor) -> Tensor:
        """What each image's part is multiplied by: 0 where it is left out."""
        return self.drop(x.new_ones(len(x), 1, 1))


class Harmonisation(nn.Module):
    """Joins the picture's features with the aligned ones of the reference, channels weighed at each pixel."""

    def __init__(self, width: int):
        super().__init__()
        both, inner = 2 * width, width // 8
        self.fc = nn.Sequential(nn.Conv2d(both, inner, 1), nn.GELU(), nn.Conv2d(inner, both, 1), nn.GELU())
        self.reduc = nn.Sequential(nn.Conv2d(both, width, 1), nn.GELU())

    def forward(self, x: Tensor, reference: Tensor) -> Tensor:
        both = torch.cat([x, reference], dim=1)
        return self.reduc(both * self.fc(both))


class ReferencePatchAlignment(nn.Module):
    """The Ref-PA module: patch alignment, then patch harmonisation. (N, width, H, W) twice -> same."""

    def __init__(self, width: int, estimator: int, halvings: int):
        super().__init__()
        self.PA, self.PH = Alignment(width, width, estimator, halvings), Harmonisation(width)

    def forward(self, x: Tensor, reference: Tensor) -> Tensor:
        return self.PH(x, self.PA(x, reference))


class EncoderStage(nn.Module):
    """One scale: main patches with their transformer, and what the reference says to the next, coarser scale (Fig. 2).

    `number`: 0 to 3; the last scale guides none, and its layers for the reference are in the checkpoint but never used.
    `drops`: of its two blocks.
    """

    def __init__(self, config: TransRefConfig, number: int, drops: list[float]):
        super().__init__()
        widths = config.widths
        self.last = last = number == len(widths) - 1
        width, coarse = widths[number], widths[number] if last else widths[number + 1]
        reduction = (4, 2, 2, 1)[number]  # of keys and values

        def embedding(inputs: int) -> nn.Module:
            return Embedding(inputs, width) if number else Embedding(inputs, width, kernel=7, stride=4)

        self.patch_embed, self.patch_embed_ref = (embedding(widths[number - 1] if number else n) for n in (6, 3))
        self.block = nn.Sequential(*(Block(width, config.heads[number], 2, reduction, drop) for drop in drops))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        given = widths[0] if last else width
        self.mini_patch_embed, self.mini_patch_embed_ref = (Embedding(given, coarse) for _ in range(2))
        if not last:
            self.RefPA = ReferencePatchAlignment(width, config.estimator, config.halvings)
            heads = config.reference_heads[number]
            self.patch_block = nn.ModuleList([Block(coarse, heads, 2, reduction, drops[0], guided=True)])
            self.pnorm = nn.LayerNorm(coarse, eps=1e-6)

    def forward(self, x: Tensor, reference: Tensor, guide: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """This scale's map, the reference's, and what guides the next scale (the last scale: the latter unchanged)."""
        x = self.patch_embed(x)
        if guide is not None:
            x = x + guide
        if not self.last:
            reference = self.patch_embed_ref(reference)
            aligned = self.mini_patch_embed(self.RefPA(x, reference))
            refined = self.patch_block[0](aligned, self.mini_patch_embed_ref(reference))  # the Ref-PT module
            guide = normed(self.pnorm, refined)
        return normed(self.norm, self.block(x)), reference, guide


class Encoder(nn.Module):
    """Images with filled holes and what is known (N, 6, H, W), references (N, 3, H, W) -> maps, fine to coarse.

    They have 1/4, 1/8, 1/16 and 1/32 of the size.
    """

    def __init__(self, config: TransRefConfig):
        super().__init__()
        drops = [config.depth * block / 7 for block in range(8)]
        self.stages = nn.ModuleList(EncoderStage(config, n, drops[2 * n : 2 * n + 2]) for n in range(4))

    def forward(self, x: Tensor, reference: Tensor) -> list[Tensor]:
        maps: list[Tensor] = []
        guide: Tensor | None = None
        for stage in self.stages:
            x, reference, guide = stage(x, reference, guide)
            maps.append(x)
        return maps


class Decoder(nn.Module):
    """The transformer at half of the coarsest map's size. (N, width, h, w) -> (N, width, h / 2, w / 2)."""

    def __init__(self, width: int, heads: int, depth: float):
        super().__init__()
        self.patch_embed1 = Embedding(width, width)
        drops = [depth * block / 15 for block in range(3)]  # the first of 16
        self.block1 = nn.Sequential(*(Block(width, heads, 4, 1, drop) for drop in drops))
        self.norm1 = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return normed(self.norm1, self.block1(self.patch_embed1(x)))


class Wrapped(nn.Module):
    """A convolution under the authors' name for it."""

    def __init__(self, convolution: nn.Module):
        super().__init__()
        self.conv2d = convolution

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2d(x)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, of which a tenth is added. (N, width, H, W) -> same."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1, self.conv2 = (Wrapped(nn.Conv2d(width, width, 3, padding=1)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.1 * self.conv2(F.relu(self.conv1(x)))


class Tail(nn.Module):
    """Transposed convolutions to the full size, joined by the encoder's maps on the way."""

    def __init__(self, widths: tuple[int, ...], tail: tuple[int, int]):
        super().__init__()
        sizes = [widths[-1], *reversed(widths), *tail]
        self.convd32x, self.convd16x, self.convd8x, self.convd4x, self.convd2x, self.convd1x = (
            Wrapped(nn.ConvTranspose2d(before, after, 4, 2, 1)) for before, after in pairwise(sizes)
        )
        self.dense_4, self.dense_3, self.dense_2, self.dense_1 = (
            nn.Sequential(ResidualBlock(width)) for width in sizes[2:-1]
        )
        self.conv_output = Wrapped(nn.Conv2d(tail[-1], 3, 3, padding=1))  # never used

    def forward(self, x: Tensor, maps: list[Tensor]) -> Tensor:
        fine, middle, coarse, coarsest = maps
        height, width = coarsest.shape[2:]  # an odd map was halved to one that doubles to one more
        x = self.convd32x(x)[:, :, :height, :width] + coarsest
        x = self.dense_4(self.convd16x(x)) + coarse
        x = self.dense_3(self.convd8x(x)) + middle
        x = self.dense_2(self.convd4x(x)) + fine
        return self.convd1x(self.dense_1(self.convd2x(x)))


class Generator(nn.Module):
    """Encoder, decoder and tail (Fig. 2).

    Images with filled holes and what is known (N, 6, H, W), references (N, 3, H, W) -> images (N, 3, H, W) in [-1, 1].
    """

    def __init__(self, config: TransRefConfig):
        super().__init__()
        self.Tenc = Encoder(config)
        self.Tdec = Decoder(config.widths[-1], config.decoder_heads, config.depth)
        self.convtail = Tail(config.widths, config.tail)
        self.clean = Wrapped(nn.Conv2d(config.tail[-1], 3, 3, padding=1))
        initialise(self.Tenc)
        initialise(self.Tdec)

    def forward(self, x: Tensor, reference: Tensor) -> Tensor:
        maps = self.Tenc(x, reference)
        return self.clean(self.convtail(self.Tdec(maps[-1]), maps)).tanh()


def initialise(network: nn.Module) -> None:
    """Linear weights N(0, 0.02²), cut off; convolutions N(0, 2 / fan-out); biases 0; batch norms begin with nothing."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
        elif isinstance(layer, nn.Conv2d):
            fan_out = layer.out_channels * math.prod(layer.kernel_size) / layer.groups
            nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / fan_out))
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.zeros_(layer.weight)
            continue
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
