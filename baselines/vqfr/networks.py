"""The networks of VQFR: a vector-quantised autoencoder, and a second decoder that warps its textures.

Levels go from the picture, 0, to the codes; level k is smaller by 2^k. Names inside are those of the released files.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from baselines.vqfr.blocks import (
    Branch,
    Residual,
    TextureWarping,
    activated,
    initialise,
    level,
    resized,
)
from bench.nn.vqgan import Quantiser


@dataclass(frozen=True)
class Layout:
    """Sizes of the networks."""

    widths: Sequence[int]  # channels of the levels
    codes: int  # entries of the dictionary
    dim: int  # entries of a code
    guide: int  # channels that tell of the degraded picture
    groups: int  # of the normalisations

    def tail(self, inputs: int, outputs: int) -> nn.Sequential:
        """Normalisation, SiLU, 3 x 3."""
        return nn.Sequential(*activated(inputs, self.groups), nn.Conv2d(inputs, outputs, 3, padding=1))

    def warpings(self, downs: Sequence[nn.Module]) -> nn.ModuleDict:
        """The texture warping of each level, smallest first; `downs` bring the guide to the levels, largest first."""
        widths = [*self.widths, 0]
        return nn.ModuleDict(
            {
                level(i): TextureWarping(widths[i], self.guide, widths[i + 1], self.groups, downs[i])
                for i in range(len(self.widths) - 1, -1, -1)
            }
        )


@dataclass(frozen=True)
class Restored:
    """What a network makes of degraded pictures."""

    image: Tensor  # (N, 3, H, W) by the main decoder, linear
    texture: Tensor  # (N, 3, H, W) of the codes alone, linear
    z: Tensor  # (N, D, h, w) before the codes
    quantised: Tensor  # (N, D, h, w) the codes
    logits: Tensor | None = None  # (N, h, w, K) of the codes, where they are predicted

    @property
    def pictures(self) -> dict[str, Tensor]:
        """The pictures that training compares with the original; predicted codes stop the gradient of textures."""
        return {"main": self.image} if self.logits is not None else {"texture": self.texture, "main": self.image}


class Network(nn.Module):
    """A version of VQFR."""

    codebook: Quantiser

    @abstractmethod
    def encoding(self) -> nn.Module:
        """The network of images (N, 3, H, W) in [-1, 1] that gives what is quantised, (N, D, h, w)."""

    def encode(self, images: Tensor) -> Tensor:
        """What is quantised, (N, D, h, w)."""
        return self.encoding()(images)

    @abstractmethod
    def decode(self, codes: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The picture (N, 3, H, W) of codes (N, D, h, w), and the decoder's maps by level."""

    @abstractmethod
    def forward(self, degraded: Tensor) -> Restored:
        """Restore pictures (N, 3, H, W) in [-1, 1]."""

    @abstractmethod
    def autoencoder(self) -> list[nn.Module]:
        """What the first stage trains."""

    @abstractmethod
    def restorer(self) -> list[nn.Module]:
        """What the second stage trains, but for `finder`."""

    def finder(self) -> list[nn.Module]:
        """What finds the codes, where the second stage trains it at a rate of its own."""
        return []

    @abstractmethod
    def last(self) -> dict[str, nn.Module]:
        """The convolutions that make the texture picture and the main one."""


class Down(nn.Module):
    """Half the size, then 3 x 3."""

    def __init__(self, inputs: int, outputs: int, factor: float = 0.5):
        super().__init__()
        self.conv, self.factor = nn.Conv2d(inputs, outputs, 3, padding=1), factor

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(resized(x, self.factor))


class Up(nn.Module):
    """3 x 3, then twice the size."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return resized(self.conv(x), 2)


def residual(inputs: int, outputs: int, groups: int) -> Residual:
    return Residual(inputs, outputs, groups, "shortcut_conv")


def residuals(count: int, channels: int, groups: int) -> nn.Sequential:
    return nn.Sequential(*(residual(channels, channels, groups) for _ in range(count)))


class Encoder(nn.Module):
    """Two residual blocks a level. (N, 3, H, W) -> the maps of the last level."""

    def __init__(self, layout: Layout):
        super().__init__()
        widths, last = layout.widths, len(layout.widths) - 1
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        self.encoder_dict = nn.ModuleDict({level(i): residuals(2, n, layout.groups) for i, n in enumerate(widths)})
        self.pre_downsample_dict = nn.ModuleDict(
            {level(i): Down(before, here) for i, (before, here) in enumerate(pairwise(widths), start=1)}
        )
        self.enc_convout_dict = nn.ModuleDict({level(last): layout.tail(widths[-1], widths[-1])})

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for name, blocks in self.encoder_dict.items():
            if name in self.pre_downsample_dict:
                x = self.pre_downsample_dict[name](x)
            x = blocks(x)
        return self.enc_convout_dict[name](x)


class Codes(Quantiser):
    """The codes, and the 1 x 1 convolutions around them."""

    def __init__(self, layout: Layout):
        super().__init__(layout.codes, layout.dim)
        self.quant_conv = nn.Conv2d(layout.widths[-1], layout.dim, 1)
        self.post_quant_conv = nn.Conv2d(layout.dim, layout.widths[-1], 1)


class Decoder(nn.Module):
    """The texture decoder: three residual blocks a level, from the codes to the picture."""

    def __init__(self, layout: Layout):
        super().__init__()
        widths = layout.widths
        downwards = range(len(widths) - 1, -1, -1)
        self.decoder_dict = nn.ModuleDict({level(i): residuals(3, widths[i], layout.groups) for i in downwards})
        self.pre_upsample_dict = nn.ModuleDict({level(i): Up(widths[i + 1], widths[i]) for i in downwards[1:]})
        self.conv_out = layout.tail(widths[0], 3)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The picture, and the maps by level."""
        maps: list[Tensor] = []
        for name, blocks in self.decoder_dict.items():
            if name in self.pre_upsample_dict:
                x = self.pre_upsample_dict[name](x)
            x = blocks(x)
            maps.insert(0, x)
        return self.conv_out(x), maps


class MainDecoder(Branch):
    """The main decoder, whose last convolution sees the degraded picture, too."""

    def __init__(self, layout: Layout):
        super().__init__()
        widths, guide, groups = layout.widths, layout.guide, layout.groups
        upwards = range(len(widths) - 2, -1, -1)
        self.decoder_dict = nn.ModuleDict({level(i): residual(2 * widths[i], widths[i], groups) for i in upwards})
        self.pre_upsample_dict = nn.ModuleDict({level(i): Up(widths[i + 1], widths[i]) for i in upwards})
        downs = [nn.Identity(), *(Down(guide, guide, 1 / 2**i) for i in range(1, len(widths)))]
        self.align_func_dict = layout.warpings(downs)
        self.conv_out_1 = nn.Sequential(*activated(widths[0], groups))
        self.conv_out = nn.Sequential(nn.Conv2d(widths[0] + 3, 3, 3, padding=1))

    def forward(self, degraded: Tensor, guide: Tensor, maps: Sequence[Tensor]) -> Tensor:
        return self.conv_out(torch.cat([self.conv_out_1(self.merge(guide, maps)), degraded], dim=1))


class Features(nn.Module):
    """One convolution that looks at the degraded picture."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3, padding=1)

    def forward(self, degraded: Tensor) -> Tensor:
        return self.conv(degraded)


class VersionOne(Network):
    """The network of the paper."""

    def __init__(self, layout: Layout):
        super().__init__()
        self.inpfeat_extraction = Features(layout.guide)
        self.encoder = Encoder(layout)
        smallest = level(len(layout.widths) - 1)
        self.quantizer = nn.Module()
        self.quantizer.quantize_dict = nn.ModuleDict({smallest: Codes(layout)})
        self.decoder = Decoder(layout)
        self.main_decoder = MainDecoder(layout)
        initialise(self)

    @property
    def codebook(self) -> Codes:  # type: ignore[override]
        (quantiser,) = self.quantizer.quantize_dict.values()  # type: ignore[operator, union-attr]
        return quantiser

    def encoding(self) -> nn.Module:
        return nn.Sequential(self.encoder, self.codebook.quant_conv)

    def decode(self, codes: Tensor) -> tuple[Tensor, list[Tensor]]:
        return self.decoder(self.codebook.post_quant_conv(codes))

    def forward(self, degraded: Tensor) -> Restored:
        z = self.encode(degraded)
        quantised, _, _ = self.codebook(z)
        texture, maps = self.decode(quantised)
        image = self.main_decoder(degraded, self.inpfeat_extraction(degraded), maps)
        return Restored(image, texture, z, quantised)

    def autoencoder(self) -> list[nn.Module]:
        return [self.encoder, self.quantizer, self.decoder]

    def restorer(self) -> list[nn.Module]:
        around = [self.codebook.quant_conv, self.codebook.post_quant_conv]
        return [self.encoder, *around, self.decoder, self.inpfeat_extraction, self.main_decoder]

    def last(self) -> dict[str, nn.Module]:
        return {"texture": self.decoder.conv_out[-1], "main": self.main_decoder.conv_out[-1]}
