"""The coarse-to-fine generator of CA (DeepFill v1, CVPR 2018) and GConv (DeepFill v2, ICCV 2019)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.contextual import ContextualAttention
from bench.nn.gated import GatedConv, PaddedConv, Padding, identity
from bench.nn.sizes import Sizes

Block = Callable[..., nn.Module]  # (inputs, outputs, kernel, stride, dilation, activation) -> a layer
Variant = Literal["mmediting", "release"]
COARSE, CONV, ATTENTION = (1, 2, 2, 4, 4, 4), (1, 1, 2, 2, 4, 4), (1, 1, 2, 4, 4, 4)  # encoder widths


@dataclass(frozen=True)
class Design:
    """What tells the networks of the family apart."""

    gated: bool  # gated convolutions (GConv) or plain ones (CA)
    width: int  # channels of the first layer
    joint_width: int  # the same for the decoder of stage 2
    dilations: tuple[int, ...]
    gated_output: bool  # the last layer of a decoder has a gate too
    refined_inputs: int  # 5: image, ones and mask go into stage 2. 3: the image alone
    output: Literal["clamp", "tanh"]
    variant: Variant  # MMEditing's padding, masking and activations, or those of the authors' release

    @property
    def padding(self) -> Padding:
        """Of all convolutions."""
        return "reflect" if self.variant == "mmediting" else "same"

    @property
    def sizes(self) -> Sizes:
        """What the generator takes: borders that are reflected are smaller than their map, a quarter of the size."""
        return Sizes(8, smallest=4 * max(self.dilations, default=0) + 1 if self.padding == "reflect" else 1)


class Encoder(nn.Module):
    """Six convolutions, two of them with stride 2: (N, inputs, H, W) -> (N, 4 width, H / 4, W / 4)."""

    def __init__(self, block: Block, inputs: int, widths: Sequence[int], relu: bool = False):
        super().__init__()
        for i, outputs in enumerate(widths, start=1):
            # the release lets no negative features into the attention
            activation = {"activation": F.relu} if relu and i == len(widths) else {}
            layer = block(inputs, outputs, 5 if i == 1 else 3, 2 if i in (2, 4) else 1, **activation)
            self.add_module(f"enc{i}", layer)
            inputs = outputs

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = layer(x)
        return x


class DilationNeck(nn.Module):
    """Dilated convolutions at a quarter of the size."""

    def __init__(self, block: Block, channels: int, dilations: Sequence[int]):
        super().__init__()
        self.dilation_convs = nn.Sequential(*(block(channels, channels, dilation=d) for d in dilations))

    def forward(self, x: Tensor) -> Tensor:
        return self.dilation_convs(x)


class Decoder(nn.Module):
    """Seven convolutions, twice enlarged (nearest): (N, inputs, H / 4, W / 4) -> (N, 3, H, W) in [-1, 1]."""

    def __init__(self, block: Block, inputs: int, width: int, last: Block, output: str):
        super().__init__()
        self.output = output
        for i, outputs in enumerate((4 * width, 4 * width, 2 * width, 2 * width, width, width // 2), start=1):
            self.add_module(f"dec{i}", block(inputs, outputs))
            inputs = outputs
        self.dec7 = last(inputs, 3, activation=identity)

    def forward(self, x: Tensor) -> Tensor:
        for i, layer in enumerate(self.children(), start=1):
            x = layer(x)
            if i in (2, 4):
                x = F.interpolate(x, scale_factor=2, mode="nearest")
        return torch.tanh(x) if self.output == "tanh" else x.clamp(-1, 1)


class AttentionNeck(nn.Module):
    """Contextual attention and two convolutions."""

    def __init__(self, block: Block, channels: int, variant: Variant):
        super().__init__()
        self.contextual_attention = ContextualAttention("exclude" if variant == "mmediting" else "multiply")
        self.conv1, self.conv2 = block(channels, channels), block(channels, channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x, _ = self.contextual_attention(x, F.interpolate(mask, x.shape[2:], mode="nearest"))
        return self.conv2(self.conv1(x))


class Coarse(nn.Module):
    """Stage 1: a first guess."""

    def __init__(self, block: Block, last: Block, design: Design):
        super().__init__()
        self.encoder = Encoder(block, 5, [design.width * n for n in COARSE])
        self.dilation_neck = DilationNeck(block, 4 * design.width, design.dilations)
        self.decoder = Decoder(block, 4 * design.width, design.width, last, design.output)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.dilation_neck(self.encoder(x)))


class Refiner(nn.Module):
    """Stage 2: a branch of dilated convolutions and one of contextual attention, joined by one decoder."""

    def __init__(self, block: Block, last: Block, design: Design):
        super().__init__()
        inputs, width, release = design.refined_inputs, design.width, design.variant == "release"
        self.encoder_conv = Encoder(block, inputs, [width * n for n in CONV])
        self.dilation_neck = DilationNeck(block, 4 * width, design.dilations)
        self.encoder_attention = Encoder(block, inputs, [width * n for n in ATTENTION], relu=release)
        self.contextual_attention_neck = AttentionNeck(block, 4 * width, design.variant)
        self.decoder = Decoder(block, 8 * width, design.joint_width, last, design.output)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        dilated = self.dilation_neck(self.encoder_conv(x))
        attended = self.contextual_attention_neck(self.encoder_attention(x), mask)
        return self.decoder(torch.cat([dilated, attended], dim=1))


class Generator(nn.Module):
    """Both stages. Masked image (N, 3, H, W) and mask (N, 1, H, W) -> the images of stage 1 and stage 2."""

    def __init__(self, design: Design):
        super().__init__()
        plain, gated = partial(PaddedConv, padding=design.padding), partial(GatedConv, padding=design.padding)
        block: Block = gated if design.gated else plain
        last: Block = gated if design.gated_output else plain
        self.sizes, self.refined_inputs = design.sizes, design.refined_inputs
        self.stage1 = Coarse(block, last, design)
        self.stage2 = Refiner(block, last, design)

    def forward(self, masked: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        self.sizes.check(masked, "contextual attention")
        extra = torch.cat([torch.ones_like(mask), mask], dim=1)
        coarse = self.stage1(torch.cat([masked, extra], dim=1))
        filled = coarse * mask + masked * (1 - mask)
        if self.refined_inputs > 3:
            filled = torch.cat([filled, extra], dim=1)
        return coarse, self.stage2(filled, mask)


FIRST = tuple(
    f"generator.{name}.enc1." for name in ("stage1.encoder", "stage2.encoder_conv", "stage2.encoder_attention")
)
LAST = ("generator.stage1.decoder.dec7.", "generator.stage2.decoder.dec7.")
"""The layers that see and make images, by MMEditing's names."""
