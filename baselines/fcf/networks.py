"""FcF's networks: an encoder, and StyleGAN2's synthesis whose skip connections pass through Fourier convolutions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import BenchError
from bench.method import Noise
from bench.nn import across
from bench.nn import stylegan2_blocks as blocks
from bench.nn.fourier import FFCResBlock, split
from bench.nn.stylegan2 import NoiseMaps, Synthesis, Width, check_size, fixed
from bench.nn.stylegan2_blocks import GAIN, Activation, ConvLayer, EqualLinear, minibatch_deviation

GROUP = 4  # images of the minibatch deviation


class TrackedMapping(blocks.Mapping):
    """The mapping network; it follows the mean of its codes while it trains, the centre of the truncation."""

    mean: Tensor

    def __init__(self, dim: int, depth: int, decay: float = 0.995):
        super().__init__(dim, depth)
        self.decay = decay
        self.register_buffer("mean", torch.zeros(dim))

    def forward(self, z: Tensor) -> Tensor:
        w = super().forward(z)
        if self.training:
            now = across.mean(w.detach().mean(0))
            self.mean.copy_(now.lerp(self.mean, self.decay))
        return w

    def truncated(self, z: Tensor, psi: float) -> Tensor:
        """Codes at `psi` of their distance from the mean."""
        return self.mean.lerp(self(z), psi)


class WideLinear(EqualLinear):
    """An activated layer that scales what it is given in the place of its 8 million weights: 2 % of a completion."""

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(F.linear(x * self.scale, self.weight, self.bias * self.rate), 0.2) * GAIN


class Encoder(nn.Module):
    """[0.5 - mask, masked image] (N, 4, size, size) -> maps by side, and the code of the whole picture (N, whole)."""

    def __init__(self, size: int, width: Width, whole: int, clamp: float | None):
        super().__init__()
        self.first = ConvLayer(4, width(size), 1, clamp=clamp)
        self.convs = nn.ModuleList()
        for power in range(check_size(size), 2, -1):
            here, below = width(2**power), width(2 ** (power - 1))
            self.convs += [ConvLayer(here, here, 3, clamp=clamp), ConvLayer(here, below, 3, down=True, clamp=clamp)]
        self.last = ConvLayer(width(4) + 1, width(4), 3, clamp=clamp)
        self.whole = WideLinear(width(4) * 16, whole)

    def forward(self, x: Tensor) -> tuple[dict[int, Tensor], Tensor]:
        x = self.first(x)
        maps = {}
        for same, down in zip(self.convs[::2], self.convs[1::2], strict=True):
            maps[x.shape[-1]] = x = same(x)
            x = down(x)
        # tests complete each image alone, as the authors do
        maps[4] = self.last(minibatch_deviation(x, GROUP if self.training else 1))
        return maps, self.whole(maps[4].flatten(1))


class Unbiased(Activation):
    """The activation of released synthesis layers, whose bias exists and is never added."""

    def forward(self, x: Tensor) -> Tensor:
        return self.limited(x)


class FourierSkip(nn.Module):
    """Merges a skip of the encoder: x + 3 t + f(t), t = x + skip; f: two fast Fourier convolutions, no batch norm.

    The factor 3 comes from three nested residual sums in the released code.
    """

    def __init__(self, channels: int):
        super().__init__()
        if channels % 32:
            raise BenchError(
                f"FcF's Fourier convolutions take channels in multiples of 32, not {channels}: set width, limit"
            )
        self.channels = split(channels)
        self.block = FFCResBlock(self.channels, norm=False, local_unit=True)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        t = x + skip
        f = torch.cat(self.block.residual(t.split(self.channels, dim=1)), dim=1)
        return torch.add(x, t, alpha=2).add_(f.add_(t))


class Generator(Synthesis):
    """Co-modulated synthesis: every layer sees [its code w, the code of the whole picture].

    After each upsampling layer the encoder's map of that size comes in: added below `fourier` px, by `FourierSkip`
    from there on.
    """

    def __init__(self, size: int, width: Width, code: int, whole: int, depth: int, clamp: float | None, fourier: int):
        super().__init__(size, width, code + whole, clamp)
        self.whole = whole
        self.style = TrackedMapping(code, depth)
        self.encoder = Encoder(size, width, whole, clamp)
        self.start = WideLinear(whole, width(4) * 16)
        self.conv1.activate = Unbiased(width(4))
        for layer, side in enumerate(self.sides[1:], start=1):
            self.convs[layer - 1].activate = Unbiased(width(side), clamp)
            self.register_buffer(f"constant{layer}", torch.randn(1, 1, side, side))  # noise of tests
        self.skips = nn.ModuleDict(
            {str(side): FourierSkip(width(side)) for side in self.sides[1::2] if side >= fourier}
        )

    def random(self, noise: Noise) -> dict[str, Any]:
        """What `forward` takes from random numbers: in training dropout and noise maps, in tests the first map."""
        if self.training:
            return {"kept": noise.uniform(self.whole) < 0.5, "noise": noise.maps(self.sides)}
        constants = [self.get_buffer(f"constant{layer}") for layer in range(1, len(self.sides))]
        return {"noise": [*noise.maps(self.sides[:1]), *constants]}

    def forward(
        self, masked: Tensor, mask: Tensor, codes: Tensor, noise: NoiseMaps = None, kept: Tensor | None = None
    ) -> Tensor:
        """The image (N, 3, size, size), linear, of `codes` (N, layers, D); `kept`: dropout on the whole's code."""
        fixed(self.size).check(masked, "this network")
        maps, whole = self.encoder(torch.cat([0.5 - mask, masked], dim=1))
        if kept is not None:
            whole = whole * kept * 2
        codes = torch.cat([codes, whole[:, None].expand(-1, codes.shape[1], -1)], dim=2)

        def merge(layer: int, x: Tensor) -> Tensor:
            if layer % 2 == 0:
                return x
            side = x.shape[-1]
            return self.skips[str(side)](x, maps[side]) if str(side) in self.skips else x + maps[side]

        return self.synthesise(maps[4] + self.start(whole).reshape_as(maps[4]), codes, noise, merge)
