"""GRIG's generator: a convolutional encoder and decoder around a Restormer, joined by skip-layer excitation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from bench.nn.aot import AOTBlock
from bench.nn.fastgan import GLU, Down, SkipLayerExcitation, Up, conv
from bench.nn.restormer import Downsample, PatchEmbed, TransformerBlock, Upsample
from bench.nn.sizes import Sizes

Body = Literal["transformer", "convolution"]
SIZES = Sizes(64)


class Generator(nn.Module):
    """The residual network G: completed picture so far and mask -> the change of this step.

    Names follow the sizes of the feature maps at 256 px. (N, 3, H, W), (N, 1, H, W) and two noise maps
    (N, 1, H / 2, W / 2) -> (N, 3, H, W), linear.

    `width`: channels of the 128-px map; `dim`: channels of transformer level 1; `blocks`, `heads`: of the transformer
    levels 1 to 4; `refinement`: blocks after the decoder; `rates`: dilations of the AOT blocks. `body`: "convolution"
    is ablation (E), with FastGAN's down- and upsampling blocks in the place of the transformer.
    """

    def __init__(
        self,
        width: int,
        dim: int,
        blocks: Sequence[int],
        heads: Sequence[int],
        refinement: int,
        rates: Sequence[int],
        body: Body = "transformer",
    ):
        super().__init__()
        w256, w128, w64, w32 = width // 2, width, 2 * width, 2 * width
        d1, d2, d3, d4 = (dim * 2**level for level in range(4))
        h1, h2, h3, h4 = heads
        n1, n2, n3, n4 = blocks

        def transformer(channels: int, heads: int, count: int) -> nn.Module:
            if body == "convolution":
                return nn.Identity()
            return nn.Sequential(*(TransformerBlock(channels, heads) for _ in range(count)))

        def down(channels: int) -> nn.Module:
            return Downsample(channels) if body == "transformer" else Down(channels, 2 * channels)

        def up(channels: int) -> nn.Module:
            return Upsample(channels) if body == "transformer" else Up(channels, channels // 2, "bilinear")

        def context(channels: int) -> list[nn.Module]:
            return [AOTBlock(channels, rates, norm=spectral_norm) for _ in range(2)]

        def fuse(channels: int) -> list[nn.Module]:
            return [conv(channels, channels, 1), nn.BatchNorm2d(channels), GLU()]

        self.down_from_big = nn.Sequential(conv(4, w256, 3), nn.LeakyReLU(0.2))
        self.down_4 = Down(w256, w128)
        self.down_8 = nn.Sequential(Down(w128, w64), *context(w64))
        self.down_16 = Down(w64, w32)
        self.se_256_16 = SkipLayerExcitation(w256, d2)
        self.se_128_8 = SkipLayerExcitation(w128, d3)
        self.se_64_4 = SkipLayerExcitation(w64, d4)

        self.patch_embed = PatchEmbed(w32, d1)
        self.encoder_level1 = transformer(d1, h1, n1)
        self.down1_2 = down(d1)
        self.encoder_level2 = transformer(d2, h2, n2)
        self.down2_3 = down(d2)
        self.encoder_level3 = transformer(d3, h3, n3)
        self.down3_4 = down(d3)
        self.latent = transformer(d4, h4, n4)
        self.up4_3 = up(d4)
        self.reduce_chan_level3 = nn.Conv2d(2 * d3, d3, 1, bias=False)
        self.decoder_level3 = transformer(d3, h3, n3)
        self.up3_2 = up(d3)
        self.reduce_chan_level2 = nn.Conv2d(2 * d2, d2, 1, bias=False)
        self.decoder_level2 = transformer(d2, h2, n2)
        self.up2_1 = up(d2)
        self.decoder_level1 = transformer(2 * d1, h1, n1)
        self.refinement = transformer(2 * d1, h1, refinement)
        self.output = nn.Conv2d(2 * d1, w32, 3, padding=1, bias=False)

        self.feat_64 = Up(w32, w64, "bilinear")
        self.conv_64_3_3 = nn.Sequential(*fuse(2 * w64), *context(w64))
        self.feat_128 = Up(w64, w128, "bilinear", noisy=True)
        self.conv_128_3_3 = nn.Sequential(*fuse(2 * w128))
        self.feat_256 = Up(w128, w256, "bilinear")
        self.up_se_64 = SkipLayerExcitation(d4, w64)
        self.up_se_128 = SkipLayerExcitation(d3, w128)
        self.up_se_256 = SkipLayerExcitation(d2, w256)
        self.to_big = conv(w256, 3, 3)

    def forward(self, filled: Tensor, mask: Tensor, noise: Sequence[Tensor]) -> Tensor:
        SIZES.check(filled, "GRIG")
        f256 = self.down_from_big(torch.cat([filled, mask], dim=1))
        f128 = self.down_4(f256)
        f64 = self.down_8(f128)
        f32 = self.down_16(f64)

        e1 = self.encoder_level1(self.patch_embed(f32))
        i2 = self.down1_2(e1)
        e2 = self.se_256_16(f256, self.encoder_level2(i2))
        i3 = self.down2_3(e2)
        e3 = self.se_128_8(f128, self.encoder_level3(i3))
        i4 = self.se_64_4(f64, self.down3_4(e3))
        x = self.up4_3(self.latent(i4))
        x = self.decoder_level3(self.reduce_chan_level3(torch.cat([x, e3], dim=1)))
        x = self.decoder_level2(self.reduce_chan_level2(torch.cat([self.up3_2(x), e2], dim=1)))
        x = self.refinement(self.decoder_level1(torch.cat([self.up2_1(x), e1], dim=1)))
        x = self.output(x) + f32

        x = self.up_se_64(i4, self.conv_64_3_3(torch.cat([self.feat_64(x), f64], dim=1)))
        x = self.up_se_128(i3, self.feat_128(x, noise))
        x = self.up_se_256(i2, self.feat_256(self.conv_128_3_3(torch.cat([x, f128], dim=1))))
        return self.to_big(x)
