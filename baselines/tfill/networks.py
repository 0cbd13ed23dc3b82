"""Networks of TFill: token encoder, transformer and decoder of the coarse picture; the refinement network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from baselines.tfill.layers import (
    AttentionAwareLayer,
    Confidence,
    PartialConv,
    PixelNorm,
    PlainBlock,
    PlainConv,
    ResBlock,
    ToRGB,
    TransformerLayer,
    Upsample,
    resize,
)

POSITIONS = 32  # rows and columns of the position tables


def doubled(width: int, levels: int) -> list[int]:
    """Channels at the full size, at half of it, and so on."""
    return [width * 2**i for i in range(levels + 1)]


class EncoderLevel(nn.Module):
    """Half the size, twice the channels."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.downsample = nn.ModuleDict({"conv": PartialConv(inputs, inputs, 2, stride=2)})
        self.block = nn.ModuleList([ResBlock(inputs, outputs, 1), ResBlock(outputs, outputs, 1)])

    def forward(self, x: Tensor, confidence: Confidence) -> tuple[Tensor, Confidence]:
        x, confidence = self.downsample["conv"](x, confidence)
        for block in self.block:
            x, confidence = block(x, confidence)
        return x, confidence


class Encoder(nn.Module):
    """The restrictive CNN (section 3.1): what a token knows comes from its own patch, of 2^levels pixels, alone.

    Image (N, 3, H, W) in [-1, 1] and its mask, 1 = known -> tokens (N, C, h, w) and the known share of each patch.
    """

    def __init__(self, width: int, levels: int):
        super().__init__()
        widths = doubled(width, levels)
        self.encode = PartialConv(3, width, 1)
        self.down = nn.ModuleList(EncoderLevel(*pair) for pair in pairwise(widths))
        self.mid = nn.ModuleDict({name: ResBlock(widths[-1], widths[-1], 1) for name in ("block1", "block2")})
        self.conv_out = ResBlock(widths[-1], widths[-1], 1)

    def forward(self, image: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        x, confidence = self.encode(image, Confidence(known))
        for layer in (*self.down, *self.mid.values(), self.conv_out):
            x, confidence = layer(x, confidence)
        return x, confidence.map


class Positions(nn.Module):
    """Learned positions (1, dim, H, W): the sum of one code a row and one a column."""

    def __init__(self, dim: int):
        super().__init__()
        self.row_embed, self.col_embed = nn.Embedding(POSITIONS, dim), nn.Embedding(POSITIONS, dim)
        for table in (self.row_embed, self.col_embed):
            nn.init.uniform_(table.weight)

    def forward(self, height: int, width: int) -> Tensor:
        rows, columns = self.row_embed.weight[:height, None], self.col_embed.weight[None, :width]
        return (rows + columns).permute(2, 0, 1)[None]


class Transformer(nn.Module):
    """Self-attention whose keys weigh as much as their patches are known; the weights even out (Eq. 3).

    Tokens (N, C, h, w) and the known share of their patches (N, 1, h, w) -> tokens (N, C, h, w).
    """

    def __init__(self, dim: int, layers: int, heads: int, hidden: int):
        super().__init__()
        self.token_embed = PartialConv(dim, dim, 1)
        self.pos_embed = Positions(dim)
        self.encoder_trans = nn.ModuleDict(
            {"layers": nn.ModuleList(TransformerLayer(dim, heads, hidden) for _ in range(layers))}
        )
        self.to_token = nn.Sequential(PixelNorm(dim), nn.GELU(), nn.Conv2d(dim, dim, 1))

    def forward(self, tokens: Tensor, score: Tensor) -> Tensor:
        x, _ = self.token_embed(tokens, Confidence(score))
        weight, position = score.clamp_min(0.01), self.pos_embed(*x.shape[2:])
        for layer in self.encoder_trans["layers"].children():
            x = layer(x, position, weight)
            weight = weight.sqrt()
        return self.to_token(x)


class HoleNoise(nn.Module):
    """x + alpha * noise in the hole: one normal map (N, 1, H, W) for all channels."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, noise: Tensor, known: Tensor) -> Tensor:
        return x + self.alpha * noise * (1 - known)


class Level(nn.Module):
    """A level of a decoder: two blocks, then its picture, then twice the size."""

    def __init__(self, inputs: int, outputs: int, first: bool):
        super().__init__()
        self.block = nn.ModuleList([PlainBlock(inputs, outputs, 3), PlainBlock(outputs, outputs, 3)])
        self.out = ToRGB(outputs if first else outputs + 3)
        self.upsample = Upsample(outputs)

    def finish(self, x: Tensor, image: Tensor | None) -> tuple[Tensor, Tensor]:
        """(features of twice the size, the picture at this one)."""
        return self.upsample(x), self.out(x, image)


class DecoderLevel(Level):
    """With noise before each block and, at the first level, attention after it."""

    def __init__(self, inputs: int, outputs: int, first: bool, heads: int, hidden: int):
        super().__init__(inputs, outputs, first)
        self.noise = nn.ModuleList([HoleNoise(), HoleNoise()])
        self.attn = nn.ModuleList(
            TransformerLayer(outputs, heads, hidden) if first else nn.Identity() for _ in range(2)
        )

    def forward(self, x: Tensor, image: Tensor | None, known: Tensor, noise: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        known = resize(known, x)
        for inject, block, attend, values in zip(self.noise, self.block, self.attn, noise, strict=True):
            x = attend(block(inject(x, values, known)))
        return self.finish(x, image)


class Decoder(nn.Module):
    """The coarse picture (N, 3, H, W) of tokens (N, C, h, w), 2^levels times their size.

    `known` (N, 1, H, W) says where noise goes; `noise`: two maps a level, of the sizes of the levels.
    """

    def __init__(self, width: int, levels: int, heads: int, hidden: int):
        super().__init__()
        widths = doubled(width, levels)[::-1]
        dim = widths[0]
        self.conv_in = PlainConv(dim, dim, 3, padding=1)
        self.mid = nn.ModuleDict(
            {
                "block1": PlainBlock(dim, dim, 3),
                "attn": TransformerLayer(dim, heads, hidden),
                "block2": PlainBlock(dim, dim, 3),
            }
        )
        self.up = nn.ModuleList(
            DecoderLevel(*pair, first=i == 0, heads=heads, hidden=hidden) for i, pair in enumerate(pairwise(widths))
        )
        self.decode = ToRGB(width + 3)

    def forward(self, tokens: Tensor, known: Tensor, noise: Sequence[Tensor]) -> Tensor:
        x, image = self.conv_in(tokens), None
        for layer in self.mid.values():
            x = layer(x)
        for level, first, second in zip(self.up, noise[::2], noise[1::2], strict=True):
            x, image = level(x, image, known, (first, second))
        return self.decode(x, image)


class RefinerDown(nn.Module):
    """Half the size, twice the channels; also the features in between."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.downsample = nn.ModuleDict({"conv": PlainConv(inputs, inputs, 3, stride=2, padding=1)})
        self.block = nn.ModuleList([PlainBlock(inputs, outputs, 3), PlainBlock(outputs, outputs, 3)])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        before = x = self.downsample["conv"](x)
        for block in self.block:
            x = block(x)
        return x, before


class RefinerLevel(Level):
    """With the attention-aware layer where `attention`."""

    def __init__(self, inputs: int, outputs: int, first: bool, attention: bool):
        super().__init__(inputs, outputs, first)
        self.attn = AttentionAwareLayer(outputs) if attention else None

    def forward(self, x: Tensor, image: Tensor | None, before: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        for block in self.block:
            x = block(x)
        if self.attn is not None:
            x = self.attn(x, before, resize(known, x))
        return self.finish(x, image)


class Refiner(nn.Module):
    """The refinement network (section 3.3): a picture with a coarse completion and its mask, 1 = known -> a picture.

    (N, 3, H, W) in [-1, 1]; sides are multiples of 2^levels. Only the attention-aware layer sees the mask.
    """

    def __init__(self, width: int, levels: int, blocks: int):
        super().__init__()
        widths = doubled(width, levels)
        self.encode = PlainConv(3, width, 3, padding=1)
        self.down = nn.ModuleList(RefinerDown(*pair) for pair in pairwise(widths))
        self.mid = nn.Sequential(*(PlainBlock(widths[-1], widths[-1], 3) for _ in range(blocks)))
        self.up = nn.ModuleList(
            RefinerLevel(*pair, first=i == 0, attention=i == 1) for i, pair in enumerate(pairwise(widths[::-1]))
        )
        self.decode = ToRGB(width + 3)

    def forward(self, image: Tensor, known: Tensor) -> Tensor:
        x, maps, picture = self.encode(image), [], None
        for level in self.down:
            x, before = level(x)
            maps.append(before)
        x = self.mid(x)
        for level, before in zip(self.up, reversed(maps), strict=True):
            x, picture = level(x, picture, before, known)
        return self.decode(x, picture)


def kaiming(network: nn.Module) -> nn.Module:
    """He-normal convolutions, biases 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network
