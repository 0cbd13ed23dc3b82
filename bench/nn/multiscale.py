"""pix2pixHD's discriminators at several scales (Wang et al., 2018), and the losses of what learns from them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm

from bench.method import Source
from bench.nn.init import normal_init
from bench.nn.losses import feature_matching
from bench.nn.perceptual import EmbeddedFeatures, Frozen, VGGFeatures, frozen, mean_l1

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
LIMIT = 512  # channels
Maps = Sequence[Sequence[Tensor]]
"""Of each scale, full size first: the maps of all layers, the last of which are the logits."""


class Discriminator(nn.Module):
    """Patch discriminators of images at full size, half of it, and so on: (N, inputs, H, W) -> `Maps`.

    Each: `halvings` 4 x 4 convolutions of stride 2, two of stride 1, all padded by 2; instance norm after all but the
    first and the last, leaky ReLU after all but the last. `spectral`: under spectral norm. Names are pix2pixHD's, whose
    last scale sees the full size.
    """

    def __init__(self, inputs: int, width: int, scales: int = 2, halvings: int = 3, spectral: bool = False):
        super().__init__()
        self.scales, self.layers = scales, halvings + 2
        widths = [inputs, *(min(width * 2**i, LIMIT) for i in range(halvings + 1)), 1]
        for scale in range(scales):
            for i, (before, here) in enumerate(pairwise(widths)):
                convolution = nn.Conv2d(before, here, 4, stride=2 if i < halvings else 1, padding=2)
                layer: list[nn.Module] = [spectral_norm(convolution) if spectral else convolution]
                if 0 < i <= halvings:
                    layer.append(nn.InstanceNorm2d(here))
                if i <= halvings:
                    layer.append(nn.LeakyReLU(0.2))
                self.add_module(f"scale{scale}_layer{i}", nn.Sequential(*layer))
        normal_init(self)

    def forward(self, x: Tensor) -> Maps:
        found = []
        for scale in reversed(range(self.scales)):
            maps = []
            y = x
            for i in range(self.layers):
                y = self.get_submodule(f"scale{scale}_layer{i}")(y)
                maps.append(y)
            found.append(maps)
            if scale:
                x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return found


def least_squares(judged: Maps, real: bool) -> Tensor:
    """LSGAN (Mao et al., 2017): the mean squared distance of the logits from 1 or 0, summed over the scales."""
    return torch.stack([(maps[-1] - float(real)).square().mean() for maps in judged]).sum()


def matching(fake: Maps, real: Maps) -> Tensor:
    """Feature matching: L1 of all maps but the logits, mean over them, times 4. Maps of real images are constants.

    That is the authors' sum over the layers with weight 4 / (halvings + 1), averaged over the scales.
    """
    ours, theirs = ([one for maps in judged for one in maps[:-1]] for judged in (fake, real))
    return 4 * feature_matching(ours, theirs, F.l1_loss)


class VGGLoss(Frozen):
    """L1 of VGG-19's maps relu1_1 to relu5_1, with the weights 1/32, 1/16, 1/8, 1/4 and 1; a scalar.

    On `embedded` the same of its maps: the last has the weight 1, the one before 1/4, then 1/8, ...
    """

    def __init__(self, source: Source):
        super().__init__()
        self.network = frozen(EmbeddedFeatures() if source == "embedded" else VGGFeatures(LAYERS))

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Images (N, 3, H, W) in [-1, 1]."""
        ours = self.network(output)
        with torch.no_grad():
            theirs = self.network(target)
        shares = [*(2.0**-i for i in range(len(ours), 1, -1)), 1.0]
        near = [share * mean_l1(a, b) for share, a, b in zip(shares, ours, theirs, strict=True)]
        return torch.stack(near).sum()
