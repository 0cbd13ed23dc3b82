"""RestoreFormer's network: a VQGAN whose decoder may attend from the encoder's maps to its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.vqgan import Attention, Down, Quantiser, ResidualBlock, Up, conv, group_norm


class CrossAttention(Attention):
    """Attention whose queries may come from elsewhere: (maps (N, C, H, W), given maps or None) -> (N, C, H, W)."""

    def __init__(self, channels: int, heads: int, groups: int):
        super().__init__(channels, heads, groups)
        self.norm2 = group_norm(channels, groups)  # of given maps; where there are none it has no use

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        h = self.norm(x)
        return x + self.attend(h if given is None else self.norm2(given), h)


class Middle(nn.Module):
    """The blocks at the coarsest level between encoder and decoder."""

    def __init__(self, width: int, heads: int, groups: int):
        super().__init__()
        self.block_1 = ResidualBlock(width, width, groups)
        self.attn_1 = CrossAttention(width, heads, groups)
        self.block_2 = ResidualBlock(width, width, groups)


class Level(nn.Module):
    """Residual blocks of one size, each with attention where `attends`."""

    def __init__(self, inputs: int, width: int, blocks: int, attends: bool, heads: int, groups: int):
        super().__init__()
        widths = [inputs, *[width] * (blocks - 1)]
        self.block = nn.ModuleList(ResidualBlock(before, width, groups) for before in widths)
        self.attn = nn.ModuleList(CrossAttention(width, heads, groups) for _ in range(blocks if attends else 0))

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        for i, block in enumerate(self.block):
            x = block(x)
            if self.attn:
                x = self.attn[i](x, given)
        return x


class DownLevel(Level):
    """A level of the encoder, which ends at half the size unless it is the coarsest."""

    def __init__(self, inputs: int, width: int, coarsest: bool, heads: int, groups: int):
        super().__init__(inputs, width, 2, coarsest, heads, groups)
        self.downsample = nn.Identity() if coarsest else Down(width)

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        return self.downsample(super().forward(x, given))


class UpLevel(Level):
    """A level of the decoder, which ends at twice the size unless it is the finest."""

    def __init__(self, inputs: int, width: int, finest: bool, coarsest: bool, heads: int, groups: int):
        super().__init__(inputs, width, 3, coarsest, heads, groups)
        self.upsample = nn.Identity() if finest else Up(width)

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        return self.upsample(super().forward(x, given))


class Encoded(NamedTuple):
    """What the encoder gives of degraded images."""

    vectors: Tensor  # (N, dim, h, w)
    first: Tensor  # (N, C, h, w), before the middle attention: for the decoder's coarsest level
    last: Tensor  # (N, C, h, w), after it: for the decoder's middle


class Encoder(nn.Module):
    """Two residual blocks a level, of `widths` channels from fine to coarse; attention at the coarsest alone."""

    def __init__(self, widths: Sequence[int], dim: int, heads: int, groups: int):
        super().__init__()
        coarsest = len(widths) - 1
        self.conv_in = conv(3, widths[0])
        self.down = nn.ModuleList(
            DownLevel(widths[max(i - 1, 0)], width, i == coarsest, heads, groups) for i, width in enumerate(widths)
        )
        self.mid = Middle(widths[-1], heads, groups)
        self.norm_out = group_norm(widths[-1], groups)
        self.conv_out = conv(widths[-1], dim)

    def forward(self, images: Tensor) -> Encoded:
        x = self.conv_in(images)
        for level in self.down:
            x = level(x)
        first = self.mid.block_1(x)
        last = self.mid.block_2(self.mid.attn_1(first))
        return Encoded(self.conv_out(F.silu(self.norm_out(last))), first, last)


class Decoder(nn.Module):
    """Three residual blocks a level, from coarse to fine; keys and values of its attention are its own maps."""

    def __init__(self, widths: Sequence[int], dim: int, heads: int, groups: int):
        super().__init__()
        coarsest = len(widths) - 1
        self.conv_in = conv(dim, widths[-1])
        self.mid = Middle(widths[-1], heads, groups)
        self.up = nn.ModuleList(  # fine to coarse
            UpLevel(widths[min(i + 1, coarsest)], width, i == 0, i == coarsest, heads, groups)
            for i, width in enumerate(widths)
        )
        self.norm_out = group_norm(widths[0], groups)
        self.conv_out = conv(widths[0], 3)

    def forward(self, codes: Tensor, given: Encoded | None = None) -> Tensor:
        """The image, linear, of codes (N, dim, h, w); maps `given` ask, the dictionary's maps answer."""
        x = self.mid.block_1(self.conv_in(codes))
        x = self.mid.block_2(self.mid.attn_1(x, given.last if given else None))
        for level in reversed(self.up):
            x = level(x, given.first if given else None)
        return self.conv_out(F.silu(self.norm_out(x)))

    def attention(self) -> list[nn.Parameter]:
        """The parameters of its attention."""
        blocks = [block for block in self.modules() if isinstance(block, CrossAttention)]
        return [parameter for block in blocks for parameter in block.parameters()]


class RestoreFormerNetwork(nn.Module):
    """Encoder, codebook, decoder; the same in both stages."""

    def __init__(self, widths: Sequence[int], codes: int, dim: int, heads: int, groups: int):
        super().__init__()
        self.encoder = Encoder(widths, dim, heads, groups)
        self.decoder = Decoder(widths, dim, heads, groups)
        self.quantize = Quantiser(codes, dim)
        self.quant_conv = conv(dim, dim, 1)
        self.post_quant_conv = conv(dim, dim, 1)

    def forward(self, images: Tensor, attends: bool = True) -> tuple[Tensor, Tensor]:
        """(images (N, 3, H, W), linear; the codebook's loss) of images in [-1, 1].

        `attends`: the encoder's maps ask the dictionary's; else the decoder's ask themselves, as in stage one.
        """
        encoded, vectors = self.encode(images)
        codes, loss, _ = self.quantize(vectors)
        return self.decode(codes, encoded if attends else None), loss

    def encode(self, images: Tensor) -> tuple[Encoded, Tensor]:
        """What the encoder gives of images, and the vectors (N, dim, h, w) that are quantised."""
        encoded = self.encoder(images)
        return encoded, self.quant_conv(encoded.vectors)

    def decode(self, codes: Tensor, given: Encoded | None = None) -> Tensor:
        """The images of codes (N, dim, h, w)."""
        return self.decoder(self.post_quant_conv(codes), given)
