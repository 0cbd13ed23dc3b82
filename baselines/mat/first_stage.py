"""MAT's first stage: a convolutional head, five stages of attention to known tokens, a convolutional tail."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.stylegan2_blocks import (
    Activation,
    ConvLayer,
    EqualConv2d,
    EqualLinear,
    ModulatedConv2d,
    ToRGB,
    low_pass,
)

FAR = -100.0  # added to the logits of keys that are not attended to


class TransposedConv2d(EqualConv2d):
    """Twice the size: transposed convolution with equalised learning rate, then the low-pass filter."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv_transpose2d(x, (self.weight * self.scale).transpose(0, 1), stride=2)
        return low_pass(x, padding=1, gain=4.0)


class UpsamplingLayer(nn.Sequential):
    """`ConvLayer` that doubles the size."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(TransposedConv2d(inputs, outputs, 3), Activation(outputs))


class PartialConv(nn.Module):
    """3 x 3 convolution, bias and activation, times the inverse share of known pixels in the window.

    Takes and gives maps and their mask (N, 1, H, W), 1 = known; without a mask it is the plain layer. The padding
    counts as unknown.
    """

    def __init__(self, inputs: int, outputs: int, down: bool = False, up: bool = False):
        super().__init__()
        self.conv = UpsamplingLayer(inputs, outputs) if up else ConvLayer(inputs, outputs, 3, down=down)
        self.stride = 2 if down else 1

    def forward(self, x: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor | None]:
        x = self.conv(x)
        if known is None:
            return x, None
        count = F.avg_pool2d(known, 3, self.stride, padding=1, divisor_override=1)
        known = count.clamp(0, 1)
        return x * (9 / (count + 1e-8) * known).to(x.dtype), known


class Attention(nn.Module):
    """Multi-head attention inside windows (N, windows, tokens, C); queries and keys are made of unit tokens."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.q, self.k, self.v, self.proj = (EqualLinear(dim, dim) for _ in range(4))
        self.heads, self.scale = heads, (dim // heads) ** -0.5

    def forward(self, x: Tensor, offset: Tensor | None) -> Tensor:
        """`offset`: added to the logits, broadcast to (N, windows, heads, queries, keys)."""
        unit = F.normalize(x, dim=-1)
        q, k, v = (
            layer(y).unflatten(-1, (self.heads, -1)).transpose(2, 3)
            for layer, y in ((self.q, unit), (self.k, unit), (self.v, x))
        )
        logits = q * self.scale @ k.transpose(-2, -1)
        if offset is not None:
            logits = logits + offset
        return self.proj((logits.softmax(dim=-1) @ v).transpose(2, 3).flatten(3))


class MLP(nn.Module):
    """Two layers, twice as wide inside."""

    def __init__(self, dim: int):
        super().__init__()
        self.fc1, self.fc2 = EqualLinear(dim, 2 * dim, activate=True), EqualLinear(2 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.fc1(x))


class Block(nn.Module):
    """The adjusted transformer block: no normalisation; features and attention are fused instead of added.

    Tokens (N, side, side, C) and their mask (N, side, side, 1), 1 = known. All tokens of a window become known if
    one is.
    """

    apart: Tensor | None  # (windows, 1, tokens, tokens): which pairs of a shifted window were no neighbours

    def __init__(self, dim: int, heads: int, side: int, window: int, shift: int):
        super().__init__()
        self.attn, self.fuse, self.mlp = Attention(dim, heads), EqualLinear(2 * dim, dim, activate=True), MLP(dim)
        self.side, self.window, self.shift = side, window, shift
        self.register_buffer("apart", shift_mask(side, window, shift) if shift else None, persistent=False)

    def forward(self, x: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor | None]:
        offset = self.apart
        if known is not None:
            seen = self.cut(known)
            unseen = FAR * (1 - seen).transpose(2, 3)[:, :, None]
            offset = unseen if offset is None else offset + unseen
            known = self.joined(seen.amax(2, keepdim=True).expand_as(seen))
        attended = self.joined(self.attn(self.cut(x), offset))
        return self.mlp(self.fuse(torch.cat([x, attended], dim=-1))), known

    def cut(self, x: Tensor) -> Tensor:
        """Tokens of each window of the shifted map (N, windows, window², C)."""
        return cut(x.roll((-self.shift, -self.shift), (1, 2)) if self.shift else x, self.window)

    def joined(self, x: Tensor) -> Tensor:
        """The map of these tokens, shifted back: the inverse of `cut`."""
        count = self.side // self.window
        x = x.unflatten(1, (count, count)).unflatten(3, (self.window, self.window))
        x = x.transpose(2, 3).flatten(3, 4).flatten(1, 2)
        return x.roll((self.shift, self.shift), (1, 2)) if self.shift else x


def cut(x: Tensor, window: int) -> Tensor:
    """A map (N, H, W, C) in square windows (N, windows, window², C)."""
    x = x.unflatten(2, (-1, window)).unflatten(1, (-1, window))  # (N, rows, window, columns, window, C)
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def shift_mask(side: int, window: int, shift: int) -> Tensor:
    """0 for pairs of tokens that lie side by side in the map, `FAR` for those that the cyclic shift brought together.

    (windows, 1, window², window²)
    """
    place = torch.arange(side)
    band = (place >= side - window).long() + (place >= side - shift).long()
    region = cut((3 * band[:, None] + band)[None, :, :, None], window)[0, :, :, 0]
    return (FAR * (region[:, :, None] != region[:, None, :]).to(torch.get_default_dtype()))[:, None]


class Body(nn.Module):
    """One stage: [resampling,] blocks, of which every second shifts its windows, and a convolution with a shortcut."""

    def __init__(self, dim: int, heads: int, depth: int, side: int, window: int, resample: PartialConv | None):
        super().__init__()
        self.downsample = resample
        shifts = (window // 2 if j % 2 and window < side else 0 for j in range(depth))
        self.blocks = nn.ModuleList(Block(dim, heads, side, window, shift) for shift in shifts)
        self.conv = PartialConv(dim, dim)

    def forward(self, x: Tensor, known: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if self.downsample is not None:
            x, known = self.downsample(x, known)
        tokens, seen = x.permute(0, 2, 3, 1), None if known is None else known.permute(0, 2, 3, 1)
        for block in self.blocks:
            tokens, seen = block(tokens, seen)
        y, known = self.conv(tokens.permute(0, 3, 1, 2), None if seen is None else seen.permute(0, 3, 1, 2))
        return x + y, known


class Whole(nn.Module):
    """The code (N, outputs) of a whole map: halved some times, then averaged."""

    def __init__(self, inputs: int, outputs: int, halvings: int):
        super().__init__()
        self.conv = nn.Sequential(*(ConvLayer(inputs, inputs, 3, down=True) for _ in range(halvings)))
        self.fc = EqualLinear(inputs, outputs, activate=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(x).mean((2, 3)))


def styled(x: Tensor, square: Tensor, kept: Tensor) -> Tensor:
    """The style manipulation module: random values of a map are replaced by a map (N, H W) that the code gives.

    `kept`: where the features stay, bool (N, C, H, W).
    """
    return torch.where(kept, x, square.unflatten(1, (1, *x.shape[2:])).to(x.dtype))


class StyledLayer(nn.Module):
    """`StyledConv` without noise."""

    def __init__(self, dim: int, code: int, up: bool = False):
        super().__init__()
        self.conv, self.activate = ModulatedConv2d(dim, dim, 3, code, up=up), Activation(dim)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        return self.activate(self.conv(x, code))


class Upsampling(nn.Module):
    """A level of the tail: twice the size, the map of the head added; its picture on top of the one before."""

    def __init__(self, dim: int, code: int):
        super().__init__()
        self.conv0, self.conv1 = StyledLayer(dim, code, up=True), StyledLayer(dim, code)
        self.to_rgb = ToRGB(dim, code)

    def forward(self, x: Tensor, skip: Tensor, code: Tensor, image: Tensor | None) -> tuple[Tensor, Tensor]:
        x = self.conv1(self.conv0(x, code) + skip, code)
        return x, self.to_rgb(x, code, image)


def sides_of(tokens: int) -> tuple[int, ...]:
    """Of the five maps with attention."""
    return tokens, tokens // 2, tokens // 4, tokens // 2, tokens


class FirstStage(nn.Module):
    """(N, 3, size, size), linear, from the known pixels, the mask (1 = known) and the code w.

    `tokens`: side of the finest map with attention.
    """

    def __init__(
        self, size: int, dim: int, heads: int, depths: Sequence[int], windows: Sequence[int], tokens: int, code: int
    ):
        super().__init__()
        halvings = int(math.log2(size // tokens))
        self.conv_first = PartialConv(4, dim)
        self.enc_conv = nn.ModuleList(PartialConv(dim, dim, down=True) for _ in range(halvings))
        resamplings = (None, *(PartialConv(dim, dim, down=i < 2, up=i >= 2) for i in range(4)))
        given = zip(depths, sides_of(tokens), windows, resamplings, strict=True)
        self.tran = nn.ModuleList(Body(dim, heads, *each) for each in given)
        self.to_style = Whole(dim, 2 * dim, int(math.log2(tokens // 4)))
        self.ws_style = EqualLinear(code, dim, activate=True)
        self.to_square = EqualLinear(dim, (tokens // 4) ** 2, activate=True)
        self.dec_conv = nn.ModuleList(Upsampling(dim, 3 * dim) for _ in range(halvings))

    def forward(self, masked: Tensor, known: Tensor, code: Tensor, kept: Tensor) -> Tensor:
        """`code` (N, D) of the last layer; `kept`: see `styled`."""
        seen: Tensor | None = known
        x, seen = self.conv_first(torch.cat([known - 0.5, masked], dim=1), seen)
        skips = []
        for conv in self.enc_conv:
            skips.append(x)
            x, seen = conv(x, seen)
        fine, seen = self.tran[0](x, seen)
        middle, _ = self.tran[1](fine, seen)
        x, _ = self.tran[2](middle)  # from here on, all tokens count as known
        style = self.ws_style(code)
        x = styled(x, self.to_square(style), kept)
        style = torch.cat([self.to_style(x), style], dim=1)
        x = self.tran[3](x)[0] + middle
        x = self.tran[4](x)[0] + fine
        image = None
        for level, skip in zip(self.dec_conv, reversed(skips), strict=True):
            x, image = level(x, skip, style, image)
        assert image is not None
        return image
