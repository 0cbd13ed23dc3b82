"""Version 2 of VQFR's network: codes are predicted, and the main branch adds to the textures."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from baselines.vqfr.blocks import Branch, Residual, initialise, level, resized
from baselines.vqfr.networks import Layout, Network, Restored
from bench.nn.vqgan import Down, Quantiser, Up, group_norm


class Shrink(nn.Module):
    """Bilinear resizing by a factor."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return resized(x, self.factor)


class Attention(nn.Module):
    """Self-attention over all places, with one head. (N, C, H, W) -> same."""

    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.norm = group_norm(channels, groups)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm(x)
        q, k, v = (layer(inner).flatten(2).transpose(1, 2).contiguous() for layer in (self.q, self.k, self.v))
        found = F.scaled_dot_product_attention(q, k, v)  # (N, H W, C)
        return x + self.proj_out(found.transpose(1, 2).reshape(x.shape))


def residual(inputs: int, outputs: int, groups: int) -> Residual:
    return Residual(inputs, outputs, groups, "residual_func")


def stage(inputs: int, outputs: int, layout: Layout, attends: bool) -> list[nn.Module]:
    """Two residual blocks; at the smallest level with attention behind each."""
    groups = layout.groups
    attention = [Attention(outputs, groups)] if attends else []
    more = [Attention(outputs, groups)] if attends else []
    return [residual(inputs, outputs, groups), *attention, residual(outputs, outputs, groups), *more]


def middle(channels: int, groups: int) -> nn.Sequential:
    ends = residual(channels, channels, groups), residual(channels, channels, groups)
    return nn.Sequential(ends[0], Attention(channels, groups), ends[1])


class Encoder(nn.Module):
    """(N, 3, H, W) -> (N, dim, h, w)."""

    def __init__(self, layout: Layout):
        super().__init__()
        widths, last = layout.widths, len(layout.widths) - 1
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList()
        for i, width in enumerate(widths):
            before = widths[max(i - 1, 0)]
            down = [Down(before)] if i else []
            self.blocks.append(nn.Sequential(*down, *stage(before, width, layout, i == last)))
        self.mid_blocks = middle(widths[-1], layout.groups)
        self.conv_out = layout.tail(widths[-1], layout.dim)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for blocks in self.blocks:
            x = blocks(x)
        return self.conv_out(self.mid_blocks(x))


class Decoder(nn.Module):
    """The texture decoder."""

    def __init__(self, layout: Layout):
        super().__init__()
        widths, last = layout.widths, len(layout.widths) - 1
        self.conv_in = nn.Conv2d(layout.dim, widths[-1], 3, padding=1)
        self.mid_blocks = middle(widths[-1], layout.groups)
        self.blocks = nn.ModuleList()
        for i in range(last, -1, -1):
            before = widths[min(i + 1, last)]
            up = [Up(before)] if i < last else []
            self.blocks.append(nn.Sequential(*up, *stage(before, widths[i], layout, i == last)))
        self.conv_out = layout.tail(widths[0], 3)

    def forward(self, codes: Tensor) -> list[Tensor]:
        """The maps by level."""
        x = self.mid_blocks(self.conv_in(codes))
        maps: list[Tensor] = []
        for blocks in self.blocks:
            x = blocks(x)
            maps.insert(0, x)
        return maps


class MainBranch(Branch):
    """What is added to the largest texture maps."""

    def __init__(self, layout: Layout):
        super().__init__()
        widths, groups = layout.widths, layout.groups
        upwards = range(len(widths) - 2, -1, -1)
        self.decoder_dict = nn.ModuleDict({level(i): residual(2 * widths[i], widths[i], groups) for i in upwards})
        self.pre_upsample_dict = nn.ModuleDict(
            {
                level(i): nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(widths[i + 1], widths[i], 3, padding=1))
                for i in upwards
            }
        )
        shrinking = (Shrink(1 / 2**i) for i in range(1, len(widths)))
        self.align_func_dict = layout.warpings([nn.Identity(), *shrinking])


class VersionTwo(Network):
    """The network of October 2022. `fidelity` in [0, 1]: how much of the main branch is added to the textures."""

    def __init__(self, layout: Layout, fidelity: float = 1.0):
        super().__init__()
        self.fidelity = fidelity
        self.encoder = Encoder(layout)
        self.decoder = Decoder(layout)
        self.main_branch = MainBranch(layout)
        self.inpfeat_extraction = nn.Conv2d(3, layout.guide, 3, padding=1)
        self.quantizer = Quantiser(layout.codes, layout.dim)
        self.feat2index = nn.Sequential(nn.LayerNorm(layout.dim), nn.Linear(layout.dim, layout.codes))
        initialise(self)

    @property
    def codebook(self) -> Quantiser:  # type: ignore[override]
        return self.quantizer

    def encoding(self) -> nn.Module:
        return self.encoder

    def decode(self, codes: Tensor) -> tuple[Tensor, list[Tensor]]:
        maps = self.decoder(codes)
        return self.decoder.conv_out(maps[0]), maps

    def forward(self, degraded: Tensor) -> Restored:
        z = self.encode(degraded)
        logits = self.feat2index(z.movedim(1, -1))
        quantised = self.codebook.lookup(logits.argmax(-1))
        texture, maps = self.decode(quantised)
        branch = self.main_branch.merge(self.inpfeat_extraction(degraded), maps)
        image = self.decoder.conv_out(maps[0] + self.fidelity * branch)
        return Restored(image, texture, z, quantised, logits)

    def autoencoder(self) -> list[nn.Module]:
        return [self.encoder, self.quantizer, self.decoder]

    def restorer(self) -> list[nn.Module]:
        return [self.inpfeat_extraction, self.main_branch]

    def finder(self) -> list[nn.Module]:
        return [self.encoder, self.feat2index]

    def last(self) -> dict[str, nn.Module]:
        return {"main": self.decoder.conv_out[-1]}
