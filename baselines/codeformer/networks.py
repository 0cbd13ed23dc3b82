"""CodeFormer's networks: a VQGAN between whose encoder and decoder a transformer predicts the codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.vqgan import Attention, Down, Quantiser, ResidualBlock, Up, conv, group_norm

Edit = Callable[[int, Tensor], Tensor]
"""(level, maps of the decoder) -> maps that take their place."""


class Encoder(nn.Module):
    """Two residual blocks a level, of `widths` channels from fine to coarse; attention at the coarsest alone."""

    def __init__(self, widths: Sequence[int], dim: int, groups: int):
        super().__init__()
        blocks: list[nn.Module] = [conv(3, widths[0])]
        self.ends: list[int] = []  # the last residual block of each level
        before, coarsest = widths[0], len(widths) - 1
        for level, width in enumerate(widths):
            for inputs in (before, width):
                blocks.append(ResidualBlock(inputs, width, groups))
                last = len(blocks) - 1
                if level == coarsest:
                    blocks.append(Attention(width, groups=groups))
            self.ends.append(last)
            if level < coarsest:
                blocks.append(Down(width))
            before = width
        blocks += middle(before, groups)
        self.blocks = nn.ModuleList([*blocks, group_norm(before, groups), conv(before, dim)])

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Vectors (N, dim, h, w) of images (N, 3, H, W), and the maps of each level, fine to coarse."""
        x, maps = images, []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.ends:
                maps.append(x)
        return x, maps


class Decoder(nn.Module):
    """The encoder's mirror image."""

    def __init__(self, widths: Sequence[int], dim: int, groups: int):
        super().__init__()
        before, coarsest = widths[-1], len(widths) - 1
        blocks: list[nn.Module] = [conv(dim, before), *middle(before, groups)]
        self.starts: dict[int, int] = {}  # the first residual block of a level -> the level
        for level in range(coarsest, -1, -1):
            width = widths[level]
            self.starts[len(blocks)] = level
            for inputs in (before, width):
                blocks.append(ResidualBlock(inputs, width, groups))
                if level == coarsest:
                    blocks.append(Attention(width, groups=groups))
            if level:
                blocks.append(Up(width))
            before = width
        self.blocks = nn.ModuleList([*blocks, group_norm(before, groups), conv(before, 3)])

    def forward(self, codes: Tensor, edit: Edit = lambda level, x: x) -> Tensor:
        """The image, linear, of vectors (N, dim, h, w); `edit` changes what the first block of each level gives."""
        x = codes
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.starts:
                x = edit(self.starts[i], x)
        return x

    @property
    def last(self) -> Tensor:
        """The weight of the last convolution."""
        weight = self.blocks[-1].weight
        assert isinstance(weight, Tensor)
        return weight


def middle(width: int, groups: int) -> list[nn.Module]:
    """The blocks between the coarsest level and the codes."""
    return [
        ResidualBlock(width, width, groups),
        Attention(width, groups=groups),
        ResidualBlock(width, width, groups),
    ]


class TransformerLayer(nn.Module):
    """Self-attention with positions in queries and keys alone, then a feed-forward network; both normalise before."""

    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Tokens (N, L, width) of tokens and positions (L, width)."""
        h = self.norm1(tokens)
        at = h + positions
        tokens = tokens + self.self_attn(at, at, h, need_weights=False)[0]
        return tokens + self.linear2(F.gelu(self.linear1(self.norm2(tokens))))


class Fusion(nn.Module):
    """Controllable feature transformation: maps of the encoder scale and shift those of the decoder, times w."""

    def __init__(self, width: int, groups: int):
        super().__init__()
        self.encode_enc = ResidualBlock(2 * width, width, groups)
        self.scale = nn.Sequential(conv(width, width), nn.LeakyReLU(0.2), conv(width, width))
        self.shift = nn.Sequential(conv(width, width), nn.LeakyReLU(0.2), conv(width, width))

    def forward(self, encoded: Tensor, x: Tensor, w: float) -> Tensor:
        h = self.encode_enc(torch.cat([encoded, x], dim=1))
        return x + w * (x * self.scale(h) + self.shift(h))


def adain(x: Tensor, style: Tensor) -> Tensor:
    """Adaptive instance normalisation: maps x get mean and deviation of each channel of `style`."""

    def moments(maps: Tensor) -> tuple[Tensor, Tensor]:
        variance, mean = torch.var_mean(maps, dim=(2, 3), keepdim=True)
        return mean, (variance + 1e-5).sqrt()

    (mean, deviation), (wanted, spread) = moments(x), moments(style)
    return (x - mean) / deviation * spread + wanted


class CodeFormerNetwork(nn.Module):
    """Encoder, transformer, codebook, decoder, and a fusion at each of the sides `fusion` of images of `size`."""

    def __init__(
        self,
        size: int,
        widths: Sequence[int],
        groups: int,
        codes: int,
        dim: int,
        layers: int,
        embedding: int,
        heads: int,
        fusion: Sequence[int],
    ):
        super().__init__()
        self.position_emb = nn.Parameter(torch.zeros((size >> (len(widths) - 1)) ** 2, embedding))
        self.quantize = Quantiser(codes, dim)
        self.feat_emb = nn.Linear(dim, embedding)
        self.ft_layers = nn.ModuleList(TransformerLayer(embedding, heads, 2 * embedding) for _ in range(layers))
        self.idx_pred_layer = nn.Sequential(nn.LayerNorm(embedding), nn.Linear(embedding, codes, bias=False))
        self.levels = {(size // side).bit_length() - 1: str(side) for side in fusion}  # with a fusion
        fusions = {side: Fusion(widths[level], groups) for level, side in self.levels.items()}
        self.fuse_convs_dict = nn.ModuleDict(fusions)
        self.encoder = Encoder(widths, dim, groups)
        self.generator = Decoder(widths, dim, groups)

    def predict(self, encoded: Tensor) -> Tensor:
        """Logits (N, h w, codes) of the encoder's vectors (N, dim, h, w), row by row."""
        tokens = self.feat_emb(encoded.flatten(2).transpose(1, 2))
        for layer in self.ft_layers:
            tokens = layer(tokens, self.position_emb)
        return self.idx_pred_layer(tokens)

    def decode(self, logits: Tensor, encoded: Tensor, maps: Sequence[Tensor], w: float, normalised: bool) -> Tensor:
        """The image, linear, of the most likely codes; gradients reach the fusions and the decoder alone.

        w: how much the encoder's maps change it, 0 to 1; `normalised`: codes take the encoder's colours (`adain`).
        """
        codes = self.quantize.lookup(logits.argmax(2).reshape(len(encoded), *encoded.shape[2:])).detach()
        if normalised:
            codes = adain(codes, encoded)

        def edit(level: int, x: Tensor) -> Tensor:
            if w == 0 or level not in self.levels:
                return x
            return self.fuse_convs_dict[self.levels[level]](maps[level].detach(), x, w)

        return self.generator(codes, edit)

    def forward(self, images: Tensor, w: float, normalised: bool) -> Tensor:
        """Restored images (N, 3, size, size), linear, of images in [-1, 1]."""
        encoded, maps = self.encoder(images)
        return self.decode(self.predict(encoded), encoded, maps, w, normalised)
