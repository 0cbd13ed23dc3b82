"""Networks of RGTSI: two encoders, the inference of texture and structure, the decoder, the discriminators.

The fine half of the encoders' levels is texture, the coarse half structure. Names are those of the authors' code, which
calls layers by the side of their maps at 256 px.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise, product

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm

from bench.nn.alignment import Alignment

NINE = list(product(range(3), repeat=2))  # a place and its neighbours, as shifts of a map with a border of 1


def widths(width: int, levels: int) -> list[int]:
    """Channels of the encoders' maps, fine to coarse: doubled once in each fine level and in the first coarse one."""
    return [width << min(level, levels // 2) for level in range(levels)]


class Layer(nn.Module):
    """Layers behind each other, under the authors' name for them."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, the first with dilation 2; no activation after the sum. (N, channels, H, W) -> same."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(2), nn.Conv2d(channels, channels, 3, dilation=2, bias=False),
            nn.InstanceNorm2d(channels), nn.ReLU(),
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=False), nn.InstanceNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class Encoder(nn.Module):
    """(N, inputs, H, W) -> its maps, of half the size, a quarter, and so on.

    All but the last are activated: the authors' activations work in place, on the maps that are handed on.
    """

    def __init__(self, inputs: int, width: int, levels: int, blocks: int):
        super().__init__()
        self.levels = levels
        for level, (before, after) in enumerate(pairwise([inputs, *widths(width, levels)]), start=1):
            layers: list[nn.Module] = [nn.Conv2d(before, after, 4, 2, 1)]
            if level > 1:
                layers.insert(0, nn.Identity())  # the authors' activation; here that of the map before
            if 1 < level < levels:
                layers.append(nn.InstanceNorm2d(after, affine=True))
            self.add_module(f"Encoder_{level}", Layer(*layers))
        self.middle = nn.Sequential(*(ResidualBlock(after) for _ in range(blocks)))

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for level in range(1, self.levels):
            x = F.leaky_relu(self.get_submodule(f"Encoder_{level}")(x), 0.2)
            maps.append(x)
        return [*maps, self.middle(self.get_submodule(f"Encoder_{self.levels}")(x))]


def block(inputs: int, outputs: int, kernel: int = 1, activated: bool = True) -> list[nn.Module]:
    """Convolution, instance norm, leaky ReLU; at kernel 4 to half the size."""
    stride, padding = (2, 1) if kernel == 4 else (1, 0)
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
    return [convolution, nn.InstanceNorm2d(outputs), *([nn.LeakyReLU(0.2)] if activated else [])]


class Resized(nn.Module):
    """Bilinear resizing, then a 1x1 convolution with norm and activation."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv, self.norm, self.activation = block(inputs, outputs)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        x = F.interpolate(x, size, mode="bilinear", align_corners=False)
        return self.activation(self.norm(self.conv(x)))


class Aligned(nn.Module):
    """Features with those of the reference, aligned to them, added."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.deformblock = Alignment(channels, 2 * channels, width)

    def forward(self, x: Tensor, reference: Tensor) -> Tensor:
        return x + self.deformblock(x, reference)


class Convolutions(nn.Module):
    """The two of a partial convolution: that of the map, and that of the mask, which is frozen."""

    def __init__(self, channels: int, kernel: int):
        super().__init__()
        self.input_conv, self.mask_conv = (
            nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False) for _ in range(2)
        )
        self.mask_conv.requires_grad_(False)


class PartialConv(nn.Module):
    """The released partial convolution. (N, channels, H, W) -> same.

    Its mask is 1 everywhere, for no hole arrives here. What is left of it is the division by what the kernels of the
    mask make of that: where they are ones, by the number of values in the window. As the mask is the same for all
    images and channels, one plane stands for all.
    """

    def __init__(self, channels: int, kernel: int):
        super().__init__()
        self.conv, self.bn = Convolutions(channels, kernel), nn.InstanceNorm2d(channels, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.bn(self.conv.input_conv(x) * self.ratio(x)), 0.2)

    def ratio(self, x: Tensor) -> Tensor:
        """What the convolved map is multiplied by (1, channels, H, W); 0 where nothing was counted."""
        kernels = self.conv.mask_conv.weight.sum(1, keepdim=True)
        count = F.conv2d(x.new_ones(1, 1, *x.shape[2:]), kernels, padding=kernels.shape[-1] // 2)
        return torch.where(count == 0, 0, 1 / count)


class SqueezeExcitation(nn.Module):
    """Channels weighed by what the spatial means say of them (Hu et al., 2018)."""

    def __init__(self, channels: int):
        super().__init__()
        inner = channels // 16
        self.fc = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.ReLU(), nn.Conv2d(inner, channels, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc(x.mean((2, 3), keepdim=True))


class Equalisation(nn.Module):
    """Feature equalisation of MEDFE (Liu et al., ECCV 2020). (N, C, H, W) -> same.

    A Gaussian mean over the whole map, and a mean over each place's neighbourhood by likeness; both are made of the
    channel-weighed map and joined.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.model = nn.Sequential(SqueezeExcitation(channels))
        self.down = nn.Sequential(*block(2 * channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        z = self.model(x)
        return self.down(torch.cat([scrambled(gaussian_mean(z)), scrambled(likeness_mean(z))], dim=1))


def scrambled(x: Tensor) -> Tensor:
    """The map's values place by place, read again as if they stood channel by channel, image by image.

    The released code does so, and its weights have learned with it.
    """
    return x.permute(0, 2, 3, 1).reshape(x.shape)


def gaussian_mean(x: Tensor) -> Tensor:
    """Each place's mean of its whole map under a Gaussian around it. (N, C, H, W) -> same."""
    rows, columns = (gaussian(side, x.dtype, x.device) for side in x.shape[2:])  # the sum over a map separates
    return rows @ x @ columns.T


@lru_cache(maxsize=64)
def gaussian(side: int, dtype: torch.dtype, device: torch.device, deviation: float = 1.5) -> Tensor:
    """Weights (side, side) of the places of a line around each of them; their sum is 1 inside the line."""
    with torch.inference_mode(False):  # what is kept must serve training, too
        place = torch.arange(side, dtype=dtype, device=device)
        return (-(place[:, None] - place).square() / (2 * deviation**2)).softmax(1)


def likeness_mean(x: Tensor) -> Tensor:
    """Each place's mean of itself and its eight neighbours, weighed by how like they are. (N, C, H, W) -> same."""
    height, width = x.shape[2:]

    def neighbours(values: Tensor) -> list[Tensor]:
        bordered = F.pad(values, (1, 1, 1, 1))
        return [bordered[:, :, dy : dy + height, dx : dx + width] for dy, dx in NINE]

    gates = x.sigmoid()
    likeness = [(gates * near).mean(1, keepdim=True) for near in neighbours(gates)]
    weights = torch.stack(likeness).softmax(0)
    return torch.stack([weight * near for weight, near in zip(weights, neighbours(x), strict=True)]).sum(0)


class InferenceBlock(nn.Module):
    """Infers texture and structure of the picture, with what the reference shows (section 2).

    Maps of both encoders -> (maps for the decoder, texture, structure), fine to coarse; texture and structure have the
    size of the coarsest map that holds texture.
    """

    def __init__(self, width: int, levels: int, estimator: int, depth: int):
        super().__init__()
        self.levels, self.textured = levels, levels // 2
        self.kernels = [3 + 2 * number for number in range(self.textured)]  # a stack for each level of texture
        fine = widths(width, levels)[: self.textured]
        inner = fine[-1]  # channels of texture and of structure; maps of both have twice as many
        for level, given in enumerate(fine, start=1):
            steps = pairwise(given << step for step in range(self.textured - level + 1))
            layers = [layer for before, after in steps for layer in block(before, after, 4)]
            self.add_module(f"down_{256 >> level}", Layer(*(layers or block(given, inner))))
            self.add_module(f"up_{256 >> level}", Resized(2 * inner, given))
        for level in range(self.textured + 1, levels + 1):
            last = level - self.textured
            layers = [part for n in range(1, last + 1) for part in block(2 * inner, 2 * inner, 4, activated=n < last)]
            self.add_module(f"down_{256 >> level}", Layer(*layers))
        self.up = Resized(2 * inner, inner)
        self.TextureAlignment, self.StructureAlignment = (Aligned(self.textured * inner, estimator) for _ in range(2))
        self.down = Layer(*block(self.textured * inner, inner))  # for all that is joined
        for kernel in self.kernels:
            self.add_module(f"cov_{kernel}", nn.Sequential(*(PartialConv(inner, kernel) for _ in range(depth))))
        self.fuse, self.base = Layer(*block(2 * inner, 2 * inner)), Equalisation(2 * inner)

    def forward(self, maps: list[Tensor], reference: list[Tensor]) -> tuple[list[Tensor], Tensor, Tensor]:
        texture, structure = self.gathered(maps)
        their_texture, their_structure = self.gathered(reference)
        texture = self.TextureAlignment(texture, their_texture)
        structure = self.StructureAlignment(structure, their_structure)
        texture, structure = self.filled(torch.cat([texture, structure])).chunk(2)  # the same layers fill both
        x = self.base(self.fuse(torch.cat([structure, texture], dim=1)))
        return [y + self.at(level, x, y) for level, y in enumerate(maps, start=1)], texture, structure

    def gathered(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Texture and structure: the fine maps and the coarse ones, each at one size and joined."""
        maps = [F.leaky_relu(x, 0.2) for x in maps]  # all but the last once more
        fine, coarse = maps[: self.textured], maps[self.textured :]
        texture = [self.get_submodule(f"down_{256 >> level}")(x) for level, x in enumerate(fine, start=1)]
        size = fine[-1].shape[2:]
        return torch.cat(texture, dim=1), torch.cat([self.up(x, size) for x in coarse], dim=1)

    def filled(self, x: Tensor) -> Tensor:
        """What stacks of partial convolutions make of a map, joined."""
        x = self.down(x)
        return self.down(torch.cat([self.get_submodule(f"cov_{kernel}")(x) for kernel in self.kernels], dim=1))

    def at(self, level: int, x: Tensor, like: Tensor) -> Tensor:
        """The map that the decoder is given at a level, before the encoder's is added."""
        if level > self.textured:
            return self.get_submodule(f"down_{256 >> level}")(x)
        return self.get_submodule(f"up_{256 >> level}")(x, like.shape[2:])


class Head(nn.Module):
    """A small picture (N, 3, h, w) in [-1, 1] of the inferred texture or structure."""

    def __init__(self, channels: int):
        super().__init__()
        self.down_model = nn.Sequential(nn.Conv2d(channels, 3, 1), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        return self.down_model(x)


class Inference(nn.Module):
    """The inference block, and the head that training looks at texture and structure with."""

    def __init__(self, width: int, levels: int, estimator: int, depth: int):
        super().__init__()
        self.pc_block = InferenceBlock(width, levels, estimator, depth)
        self.loss = nn.ModuleList([Head(widths(width, levels)[levels // 2 - 1])])

    def forward(self, maps: list[Tensor], reference: list[Tensor]) -> tuple[list[Tensor], Tensor, Tensor]:
        return self.pc_block(maps, reference)


class Decoder(nn.Module):
    """Maps, fine to coarse -> images (N, 3, H, W) in [-1, 1]."""

    def __init__(self, width: int, levels: int):
        super().__init__()
        sizes = [3, *widths(width, levels)]
        for number, (after, before) in enumerate(reversed([*pairwise(sizes)]), start=1):
            joined = before if number == 1 else 2 * before
            end = nn.Tanh() if number == levels else nn.InstanceNorm2d(after, affine=True)
            layers = nn.ReLU(), nn.ConvTranspose2d(joined, after, 4, 2, 1), end
            self.add_module(f"Decoder_{number}", Layer(*layers))

    def forward(self, maps: list[Tensor]) -> Tensor:
        first, *others = self.children()
        x = first(maps[-1])
        for layer, beside in zip(others, reversed(maps[:-1]), strict=True):
            x = layer(torch.cat([x, beside], dim=1))
        return x


class Generator(nn.Module):
    """All networks that complete an image (Fig. 2).

    Images with filled holes and what is known of them (N, 6, H, W), references (N, 3, H, W) ->
    (images, texture, structure), images (N, 3, H, W) in [-1, 1].
    """

    def __init__(self, width: int, levels: int, blocks: int, estimator: int, depth: int):
        super().__init__()
        self.EN, self.RefEN = (Encoder(inputs, width, levels, blocks) for inputs in (6, 3))
        self.RGTSI, self.DE = Inference(width, levels, estimator, depth), Decoder(width, levels)

    def forward(self, x: Tensor, reference: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps, texture, structure = self.RGTSI(self.EN(x), self.RefEN(reference))
        return self.DE(maps), texture, structure


class Discriminator(nn.Module):
    """Five 4x4 convolutions under spectral norm, each to half the size. (N, 3, H, W) -> logits (N, 1, H/32, W/32)."""

    def __init__(self, width: int):
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise([3, width, 2 * width, 4 * width, 8 * width, 1]):
            layers += [spectral_norm(nn.Conv2d(before, after, 4, 2, 1)), nn.LeakyReLU(0.2)]
        self.model = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)
