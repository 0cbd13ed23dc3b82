"""FACEMUG's networks: style encoder, latent warping, aggregation of the modalities, generator with style fusion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.comodgan import CoModulated
from baselines.e4e import E4E
from baselines.psp import resized
from bench.data import guides
from bench.data.guides.semantics import CLASSES, one_hot
from bench.errors import BenchError
from bench.method import Batch
from bench.nn.irse import Trunk
from bench.nn.psp import ProgressiveEncoder
from bench.nn.stylegan2 import Generator, NoiseMaps, Width, bank_channels, feature_bank, fixed
from bench.nn.stylegan2_blocks import GAIN, ConvLayer, EqualConv2d, ModulatedConv2d
from bench.nn.tacc import TACC

GUIDES = {"sketch": 1, "semantics": CLASSES, "colour": 3}  # channels, in the order of the encoder's input
CHANNELS = 3 + sum(GUIDES.values())

FusionKind = Literal["style", "gated", "addition"]
Encoded = tuple[Mapping[int, Tensor], Tensor]  # maps by side, code of the whole picture


def shown(batch: Batch, masks: Mapping[str, Tensor]) -> Batch:
    """The batch with its guides times their masks (N, 1, H, W), 0 or 1; a guide without a mask is absent."""

    def cut(name: str) -> Tensor | None:
        guide, mask = batch.guides.get(name), masks.get(name)
        return None if guide is None or mask is None else guides.get(name).masked(guide, mask)

    return batch.guided(**{name: cut(name) for name in GUIDES})


def stacked(batch: Batch) -> Tensor:
    """X (N, 26, H, W): the image with holes 0, sketch, one plane a label, colours; what is absent is 0."""
    image = batch.masked
    labels = None if batch.semantics is None else one_hot(batch.semantics, CLASSES + 1)[:, :CLASSES]
    given = {"sketch": batch.sketch, "semantics": labels, "colour": batch.colour}
    maps = [image]
    for name, channels in GUIDES.items():
        guide = given[name]
        maps.append(image.new_zeros(len(image), channels, *image.shape[2:]) if guide is None else guide.to(image))
    return torch.cat(maps, dim=1)


class StyleEncoder(E4E):
    """E: e4e whose encoder reads the 26 channels of `stacked`; generator and mean latent are the prior's."""

    def make_encoder(self) -> Trunk:
        c = self.config
        return ProgressiveEncoder(c.styles, CHANNELS, c.pixels, c.widths, c.units, c.dim)

    @classmethod
    def of(cls, prior: E4E) -> StyleEncoder:
        """A copy of e4e's weights; only the first convolution, which has more inputs, is new."""
        first, ours = "input_layer.0.weight", cls(prior.config)
        new = {first: ours.encoder.state_dict()[first]}
        ours.encoder.load_state_dict(prior.encoder.state_dict() | new)
        ours.latent_avg.copy_(prior.latent_avg)
        ours.decoder = prior.decoder
        return ours

    def exemplar_codes(self, images: Tensor) -> Tensor:
        """Codes (N, styles, dim) of whole images (N, 3, H, W) without guides."""
        return self.codes(F.pad(resized(images, self.config.pixels), (0, 0, 0, 0, 0, CHANNELS - 3)))

    def features(self, codes: Tensor, size: int, noise: NoiseMaps) -> dict[int, Tensor]:
        """The feature bank F_s: the generator's maps by side, 8 to `size`, after each first layer of a resolution."""
        generator = self.decoder
        _, maps = feature_bank(generator, codes[:, : generator.codes], noise, size)
        return {side: x for side, x in maps.items() if side >= 8}


class LatentWarping(nn.Module):
    """H (Eqs. 6.2 and 6.15): blocks of attention turn the codes w_so, conditioned on w_r = w_ta - w_so."""

    def __init__(self, dim: int = 512, blocks: int = 4):
        super().__init__()
        self.blocks = nn.ModuleList(TACC(dim, dim) for _ in range(blocks))

    def forward(self, residual: Tensor, source: Tensor) -> Tensor:
        """The offset (N, L, dim) that is added to the source codes, of codes of that shape."""
        offset = source
        for block in self.blocks:
            offset = block(offset, residual)
        return offset


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and a 1 x 1 shortcut, sum / sqrt(2); `activate`: the second one has an activation too."""

    def __init__(self, inputs: int, outputs: int, activate: bool = True):
        super().__init__()
        self.conv1 = ConvLayer(inputs, outputs, 3)
        self.conv2 = ConvLayer(outputs, outputs, 3, activate=activate)
        self.bias = None if activate else nn.Parameter(torch.zeros(outputs, 1, 1))  # no effect on softmax scores
        self.skip = EqualConv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x)) + self.skip(x)
        return (y if self.bias is None else y + self.bias) / GAIN


class Aggregation(nn.Module):
    """A (section 6.4.2): maps of the four modalities, averaged at each pixel by the softmax of their scores.

    [X, M - 0.5] (N, 27, H, W) -> F_a (N, width, H, W). The scores' block is shared.
    """

    def __init__(self, width: int = 64):
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBlock(channels, width) for channels in (4, *GUIDES.values()))
        self.score = ResidualBlock(width, 1, activate=False)

    def forward(self, given: Tensor) -> Tensor:
        image, *guides, mask = given.split((3, *GUIDES.values(), 1), dim=1)
        modalities = (torch.cat([image, mask], dim=1), *guides)
        maps = [block(modality) for block, modality in zip(self.blocks, modalities, strict=True)]
        shares = torch.stack([self.score(x) for x in maps]).softmax(0)
        return (torch.stack(maps) * shares).sum(0)


class StyleConv(nn.Module):
    """SC: a modulated 3 x 3 convolution with bias; no noise, no activation."""

    def __init__(self, channels: int, code: int):
        super().__init__()
        self.conv = ModulatedConv2d(channels, channels, 3, code)
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        x = self.conv(x, code)
        return x + self.bias.to(x.dtype)


class Fusion(nn.Module):
    """How the decoder's map F_de meets the encoder's F_en and the bank's F_s; here by element-wise addition.

    `bank`: whether there is an F_s. Maps are (N, channels, H, W), `code` (N, D).
    """

    def __init__(self, channels: int, code: int, bank: bool):
        super().__init__()
        self.channels, self.maps = channels, 2 + bank
        self.fit: nn.Module = nn.Identity()

    def accept(self, channels: int) -> None:
        """Let F_s have that many channels: a 1 x 1 convolution brings them to the decoder's, where they differ."""
        if channels != self.channels:
            self.fit = EqualConv2d(channels, self.channels, 1)

    def forward(self, decoded: Tensor, encoded: Tensor, stored: Tensor | None, code: Tensor) -> Tensor:
        return self.fuse(decoded, encoded, None if stored is None else self.fit(stored), code)

    def fuse(self, decoded: Tensor, encoded: Tensor, stored: Tensor | None, code: Tensor) -> Tensor:
        """The map that goes on, of maps of one size."""
        return decoded + encoded if stored is None else decoded + encoded + stored


class GatedFusion(Fusion):
    """Ablation (C): one gated convolution over all maps."""

    def __init__(self, channels: int, code: int, bank: bool):
        super().__init__(channels, code, bank)
        self.features = ConvLayer(self.maps * channels, channels, 3)
        self.gates = ConvLayer(self.maps * channels, channels, 3, activate=False)

    def fuse(self, decoded: Tensor, encoded: Tensor, stored: Tensor | None, code: Tensor) -> Tensor:
        x = torch.cat([decoded, encoded] if stored is None else [decoded, encoded, stored], dim=1)
        return self.features(x) * self.gates(x).sigmoid()


class StyleFusion(Fusion):
    """Style fusion block: F_en scaled and shifted by F_de (Eq. 6.7), then mixed with F_s by a mask of it (Eq. 6.8)."""

    def __init__(self, channels: int, code: int, bank: bool):
        super().__init__(channels, code, bank)
        self.scale, self.shift = StyleConv(channels, code), StyleConv(channels, code)
        if bank:
            self.gate = StyleConv(channels, code)

    def fuse(self, decoded: Tensor, encoded: Tensor, stored: Tensor | None, code: Tensor) -> Tensor:
        scale, shift = self.scale(decoded, code).sigmoid() + 1, F.leaky_relu(self.shift(decoded, code), 0.2)
        fused = scale * encoded + shift
        if stored is None:
            return fused
        mask = self.gate(stored, code).sigmoid()
        return mask * stored + (1 - mask) * fused


FUSIONS: dict[FusionKind, type[Fusion]] = {"style": StyleFusion, "gated": GatedFusion, "addition": Fusion}


class MultimodalGenerator(CoModulated):
    """A and G (section 6.2.5): EXE-GAN's generator without a mapping network, behind the aggregation of modalities.

    A fusion stands behind every upsampling layer, where EXE-GAN adds the encoder's map. `sides` from 8 on are those of
    the feature bank.
    """

    def __init__(
        self, size: int, width: Width, code: int = 512, whole: int = 1024, aggregated: int = 64,
        fusion: FusionKind = "style", bank: bool = True,
    ):  # fmt: skip
        super().__init__(size, width, code, whole, depth=0)
        self.down_from_big = ConvLayer(aggregated, width(size), 1)
        self.down_from_big.insert(0, Aggregation(aggregated))
        self.fusions = nn.ModuleDict({str(side): FUSIONS[fusion](width(side), code, bank) for side in self.sides[1::2]})

    def accept(self, bank: Generator) -> None:
        """Let the features be those of another generator, of at least this size."""
        if bank.size < self.size:
            raise BenchError(f"facemug at {self.size} px takes features of a generator as large, not {bank.size} px")
        for fusion, channels in zip(self.fusions.values(), bank_channels(bank), strict=False):
            assert isinstance(fusion, Fusion)
            fusion.accept(channels)

    def forward(
        self, given: Tensor, mask: Tensor, codes: Tensor, noise: NoiseMaps = None, kept: Tensor | None = None,
        bank: Mapping[int, Tensor] | None = None, encoded: Encoded | None = None,
    ) -> Tensor:  # fmt: skip
        """The image (N, 3, size, size), linear, of X (N, 26, size, size), codes (N, layers, D) and features by side.

        `kept`: dropout on the code of the whole picture. `encoded`: what `encode` gave before for the same X.
        """
        fixed(self.size).check(given, "this network")
        maps, whole = encoded or self.encode(given, mask)
        if kept is not None:
            whole = whole * kept * 2
        both = torch.cat([codes, whole[:, None].expand(-1, codes.shape[1], -1)], dim=2)

        def fuse(layer: int, x: Tensor) -> Tensor:
            if layer % 2 == 0:
                return x
            side = x.shape[-1]
            return self.fusions[str(side)](x, maps[side], None if bank is None else bank[side], codes[:, layer + 1])

        return self.synthesise(self.start(maps, whole), both, noise, fuse)
