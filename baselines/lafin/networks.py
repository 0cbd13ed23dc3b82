"""The networks of LaFIn: landmark predictor, inpainter, discriminator. Layer names are those of the checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm

from baselines.edgeconnect import ResidualBlock
from bench.nn.fastgan import settle
from bench.nn.init import normal_init
from bench.nn.patchgan import PatchGAN
from bench.nn.sizes import Sizes
from bench.nn.stylegan2_blocks import full_precision

POINTS = 68  # of iBUG 300-W
STAGES = (  # of MobileNetV2: expansion, channels, blocks, stride of the first block
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip
SIZES = Sizes(4)  # of the images that the inpainter takes


def landmark_map(landmarks: Tensor, images: Tensor) -> Tensor:
    """(N, 1, H, W): 1 in the pixel of each landmark (N, 68, 2), else 0. What lies outside is drawn on the border."""
    height, width = images.shape[2:]
    x, y = landmarks.long().unbind(2)
    places = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    return images.new_zeros(len(images), height * width).scatter_(1, places, 1).reshape(-1, 1, height, width)


def normed(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Convolution without bias, batch norm, ReLU6."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU6()]


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expansion, depthwise 3x3 convolution, linear projection; a sum where shapes allow."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int):
        super().__init__()
        inner = inputs * expansion
        self.conv = nn.Sequential(
            *(normed(inputs, inner) if expansion > 1 else []),
            *normed(inner, inner, 3, stride, groups=inner),
            *normed(inner, outputs)[:2],
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class LandmarkPredictor(nn.Module):
    """MobileNetV2 with features of three depths: picture in [0, 1] with white holes -> landmarks (N, 68, 2).

    (x, y) as shares of width and height. `width` multiplies the channels of MobileNetV2. It halves the picture
    `halvings` times; strides of 2 beyond are 1.
    """

    def __init__(self, width: float = 1.0, halvings: int = 5):
        super().__init__()
        channels, halved = round(32 * width), 1
        blocks: list[nn.Module] = [nn.Sequential(*normed(3, channels, 3, 2))]
        for expansion, outputs, count, stride in STAGES:
            if stride == 2 and (halved := halved + 1) > halvings:
                stride = 1
            for i in range(count):
                blocks.append(InvertedResidual(channels, round(outputs * width), expansion, 1 if i else stride))
                channels = round(outputs * width)
        self.features = nn.Sequential(*blocks)
        self.conv_node1 = nn.Conv2d(channels, 128, 1)
        self.last_block = nn.Sequential(*normed(channels, 4 * channels))
        self.conv_node2 = nn.Conv2d(4 * channels, 128, 1)
        self.conv1_after_mbnet, self.prelu = nn.Conv2d(4 * channels, 64, 1), nn.PReLU()
        self.fc_landmark = nn.Linear(128 + 128 + 64, 2 * POINTS)

    def forward(self, picture: Tensor) -> Tensor:
        trunk = self.features(picture)
        last = self.last_block(trunk)
        seen = (
            self.conv_node1(trunk).mean((2, 3)),
            self.conv_node2(last).mean((2, 3)),
            self.prelu(self.conv1_after_mbnet(last.mean((2, 3), keepdim=True))).flatten(1),
        )
        with full_precision(picture):  # bfloat16 cannot tell a pixel from the next
            features = torch.cat(seen, dim=1).to(self.fc_landmark.weight.dtype)
            return self.fc_landmark(features).unflatten(1, (POINTS, 2))


class Merge(nn.Module):
    """Residual block under spectral norm, which brings two maps beside each other together. (N, 2 c, H, W) -> c."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = spectral_norm(nn.Conv2d(2 * channels, channels, 3, padding=1))
        self.conv2 = spectral_norm(nn.Conv2d(channels, channels, 3, padding=1))
        self.bypass = spectral_norm(nn.Conv2d(2 * channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.leaky_relu(self.conv1(F.leaky_relu(x)))) + self.bypass(x)


class LongShortAttention(nn.Module):
    """Attention to the map itself (short) and to an earlier map of the encoder (long); (N, c, H, W) -> same.

    Both are attended to by the similarity of the map's own positions. The earlier map fills the hole; outside of it
    it stays as it was. Without an earlier map, the discriminator's case, `model` and `alpha` are not used.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.query_conv = nn.Conv2d(channels, channels // 4, 1)
        self.gamma, self.alpha = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
        self.model = Merge(channels)

    def forward(self, x: Tensor, earlier: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        query = self.query_conv(x).flatten(2)
        weights = (query.transpose(1, 2) @ query).softmax(2)  # (N, H W, H W)
        values = x if earlier is None else torch.cat([x, earlier], dim=1)
        attended = (values.flatten(2) @ weights.transpose(1, 2)).reshape(values.shape)
        if earlier is None:
            return self.gamma * attended + x
        assert mask is not None
        short, long = attended.chunk(2, dim=1)
        return self.model(torch.cat([self.gamma * short + x, self.alpha * mask * long + (1 - mask) * earlier], dim=1))


def block(convolution: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    """The convolution, instance norm, ReLU."""
    return [convolution, nn.InstanceNorm2d(convolution.out_channels), nn.ReLU()]


class Inpainter(nn.Module):
    """The landmark-guided inpainter: an encoder-decoder whose skips lead around the hole.

    Picture in [0, 1] with white holes, landmark map and mask, (N, 3, H, W), (N, 1, H, W) both, 1 = hole ->
    picture in [0, 1]. H and W are multiples of 4.
    """

    def __init__(self, width: int, blocks: int):
        super().__init__()
        w = width
        self.encoder1 = nn.Sequential(nn.ReflectionPad2d(3), *block(nn.Conv2d(4, w, 7)))
        self.encoder2 = nn.Sequential(*block(nn.Conv2d(w, 2 * w, 4, 2, 1)))
        self.encoder3 = nn.Sequential(*block(nn.Conv2d(2 * w, 4 * w, 4, 2, 1)))
        self.middle = nn.Sequential(*(ResidualBlock(4 * w, spectral=False) for _ in range(blocks)))
        self.auto_attn = LongShortAttention(4 * w)
        self.decoder1 = nn.Sequential(*block(nn.ConvTranspose2d(4 * w, 2 * w, 4, 2, 1)))
        self.fushion1 = nn.Sequential(*block(nn.Conv2d(4 * w, 4 * w, 1)))
        self.decoder2 = nn.Sequential(*block(nn.ConvTranspose2d(4 * w, w, 4, 2, 1)))
        self.fushion2 = nn.Sequential(*block(nn.Conv2d(2 * w, 2 * w, 1)))
        self.decoder3 = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(2 * w, 3, 7))
        settle(normal_init(self))

    def forward(self, picture: Tensor, landmarks: Tensor, mask: Tensor) -> Tensor:
        SIZES.check(picture, "LaFIn")
        half, quarter = (
            F.interpolate(mask, scale_factor=scale, mode="bilinear", align_corners=True) for scale in (1 / 2, 1 / 4)
        )
        first = self.encoder1(torch.cat([picture, landmarks], dim=1))
        second = self.encoder2(first)
        third = self.encoder3(second)
        x = self.decoder1(self.auto_attn(self.middle(third), third, quarter))
        x = self.fushion1(torch.cat([second * (1 - half), x], dim=1))
        x = self.decoder2(x)
        x = self.fushion2(torch.cat([first * (1 - mask), x], dim=1))
        return (self.decoder3(x).tanh() + 1) / 2


class Discriminator(PatchGAN):
    """EdgeConnect's PatchGAN with attention after its second convolution, on a picture and its landmark map.

    (N, 4, H, W) -> its five feature maps; the last one is the logits, 30 x 30 at 256 px.
    """

    def __init__(self, width: int):
        super().__init__(4, width)
        self.auto_attn = settle(normal_init(LongShortAttention(2 * width)))

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for i in range(1, 6):
            x = self.get_submodule(f"conv{i}")(x)
            maps.append(x := self.auto_attn(x) if i == 2 else x)
        return maps
