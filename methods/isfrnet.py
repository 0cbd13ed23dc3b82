"""ISFRNet: pSp's face fills the hole, a shallow network keeps its identity, a two-encoder U-Net mends its structure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from baselines.psp import PSP
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn.init import normal_init
from bench.nn.lgnet import LocalRefiner, SNDiscriminator
from bench.nn.losses import logistic, nonsaturating
from bench.nn.perceptual import FeatureLoss, frozen
from bench.nn.psp import GradualStyleEncoder

CARD = Card(
    slug="isfrnet",
    name="ISFRNet",
    title="ISFRNet: A Deep Three-stage Identity and Structure Feature Refinement Network for Facial Image Inpainting",
    authors="Wang, Shin",
    year=2023,
    venue="KSII TIIS 17(3)",
    url="",
    resolution=256,
    params={"ifr": 5_480_515, "sfr": 93_479_235, "discriminator": 4_318_401},
    macs={"ifr": 25.598e9, "sfr": 10.100e9, "discriminator": 4.443e9},
    published={
        "20-40 %": "PSNR 28.12 dB, SSIM 0.942 on CelebA (table 1)",
        "40-60 %": "PSNR 23.31 dB (abstract and table 2; table 1 prints 13.31), SSIM 0.840",
    },
    training="Adam 1e-4 (0.9, 0.999), batch 1, iterations not stated; stage two: L1 over the hole 1, adversarial 0.1; "
    "stage three: L1 50, perceptual 0.05, style 120, total variation 0.1, adversarial 1; NVIDIA's irregular masks",
    features="VGG-16 (ImageNet)",
    licence="no code was released",
    weights="none were released; the prior psp takes psp_ffhq_encode.pt",
    requires=("psp",),
    choices={
        "masks": "mask files are those of `masks: isfrnet:DIR`; without them MMEditing's irregular strokes stand in",
        "layers": "kernels and channels stand in figures that are not at hand: stage two and the discriminators are "
        "LGNet's, stage three is the 8-level U-Net of pix2pix with two encoders; instance norm, as the batch is 1",
        "weighting": "share: 1 / N_M with N_M as a share of the image, at most 10. count: N_M counted in pixels, as "
        "printed, which switches the skips off. none: the paper's ablation",
        "perceptual": "0.05, and style 120, as in LGNet and RFR; the paper prints them the other way round",
        "adversarial": "the non-saturating form; printed: log(1 - D)",
        "psp": "frozen and fed with the erased image; name {method: psp, options: {input: erased}} under `priors` to "
        "train it on erased images",
    },
    notes="Published only as a paper. Stage two covers the hole alone, so it is pasted into the image before stage "
    "three. Some cells of table 1 are doubtful: pSp+IFR at 40-60 % and pSp+SFR at 20-40 % are nearly equal.",
)


class ISFRNetConfig(Config):
    """Sizes, ablations and losses of ISFRNet."""

    width: int = 64  # channels of the first convolution of IFR, SFR and the discriminators
    blocks: int = 4  # residual blocks of IFR
    levels: int = Field(default=8, ge=1, le=11)  # of SFR: its encoders go down to 1 x 1 at 2 ** levels pixels
    ifr: bool = True  # with stage two
    sfr: bool = True  # with stage three
    weighting: Literal["none", "share", "count"] = "share"  # of the skips from the erased image, Eq. 1
    region: Literal["hole", "image"] = "hole"  # of stage two's L1 loss; image: its ablation without stage three
    learning_rate: float = 1e-4
    batch_size: int = 1
    iterations: int = 300_000  # a stage; not stated
    ifr_l1: float = 1.0
    ifr_gan: float = 0.1
    l1: float = 50.0  # weights of stage three
    perceptual: float = 0.05
    style: float = 120.0
    variation: float = 0.1
    gan: float = 1.0
    masks: str = "isfrnet"  # training draw

    def sizes(self, features: Source | None = None) -> Sizes:
        multiple = 2**self.levels if self.sfr else 4  # SFR halves `levels` times, IFR twice
        smallest = 1 if features is None else SNDiscriminator.smallest
        return Sizes(multiple, smallest, square=True)  # its prior inverts squares


class Encoder(nn.Module):
    """One encoder of SFR: 4x4 convolutions down to the bottleneck; its features, fine to coarse."""

    def __init__(self, inputs: int, widths: list[int]):
        super().__init__()
        sizes = zip([inputs, *widths[:-1]], widths, strict=True)
        self.convs = nn.ModuleList(nn.Conv2d(before, after, 4, 2, 1) for before, after in sizes)

    def forward(self, x: Tensor) -> list[Tensor]:
        features: list[Tensor] = []
        for level, convolution in enumerate(self.convs):
            x = convolution(F.leaky_relu(x, 0.2) if level else x)
            if 0 < level < len(self.convs) - 1:
                x = F.instance_norm(x)
            features.append(x)
        return features


class SFR(nn.Module):
    """Stage three (Fig. 5): encoders of the erased image and of stage two's, one decoder with weighted skips.

    H and W are multiples of 2 ** levels. Result (N, 3, H, W) in [-1, 1].
    """

    def __init__(self, width: int = 64, levels: int = 8):
        super().__init__()
        widths = [width * min(2**level, 8) for level in range(levels)]
        self.encoder_i, self.encoder_c = Encoder(4, widths), Encoder(3, widths)
        inputs = [3 * n for n in widths[:-1]] + [2 * widths[-1]]
        self.decoder = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 4, 2, 1) for before, after in zip(inputs, [3, *widths[:-1]], strict=True)
        )

    def forward(self, erased: Tensor, mask: Tensor, refined: Tensor, weight: Tensor) -> Tensor:
        """`refined`: stage two's image. `weight` (N, 1, 1, 1): of the erased image's skips (Eq. 1)."""
        ours, theirs = self.encoder_i(torch.cat([erased, mask], dim=1)), self.encoder_c(refined)
        x = torch.cat([ours[-1], theirs[-1]], dim=1)
        for level in reversed(range(len(self.decoder))):
            x = self.decoder[level](F.relu(x))
            if level:
                x = torch.cat([F.instance_norm(x), weight * ours[level - 1], theirs[level - 1]], dim=1)
        return x.tanh()


def skip_weight(mask: Tensor, weighting: Literal["none", "share", "count"]) -> Tensor:
    """1 / N_M (Eq. 1), one value an image (N, 1, 1, 1); N_M is the hole's area as a share of the image or in pixels."""
    count = mask.sum((1, 2, 3), keepdim=True).clamp_min(1)
    if weighting == "none":
        return torch.ones_like(count)
    return (mask[0].numel() / count).clamp_max(10) if weighting == "share" else 1 / count


class ISFRNet(Method):
    """ISFRNet after the paper's text."""

    card = CARD
    Config = ISFRNetConfig
    config: ISFRNetConfig
    psp: PSP
    presets = {
        "paper": ISFRNetConfig(),
        "tiny": ISFRNetConfig(
            width=16, blocks=2, levels=6, learning_rate=1e-3, batch_size=8, style=12.0, gan=0.2, masks="irregular"
        ),
    }
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "pSp+IFR": {"sfr": False, "region": "image"},  # table 1
        "pSp+SFR": {"ifr": False},
        "pSp+IFR+SFR (no weighting)": {"weighting": "none"},
        "ISFRNet": {},
    }

    def __init__(self, config: ISFRNetConfig):
        super().__init__(config)
        if not (config.ifr or config.sfr):
            raise BenchError("isfrnet: ifr and sfr are both off; keep one of the stages, or use the prior psp alone")
        if config.ifr:
            self.ifr = normal_init(LocalRefiner(config.width, config.blocks, nn.InstanceNorm2d))
        if config.sfr:
            self.sfr = normal_init(SFR(config.width, config.levels))

    def attach(self, priors: Mapping[str, Method]) -> None:
        prior = priors["psp"]
        assert isinstance(prior, PSP)
        self.psp = prior
        frozen(self.psp)

    def train(self, mode: bool = True) -> ISFRNet:
        super().train(mode)
        if "psp" in self._modules:
            self.psp.eval()  # frozen: its batch norms keep their statistics
        return self

    def invert(self, batch: Batch) -> Tensor:
        """Stage one: the known pixels, the hole filled by the face that pSp finds for the erased image."""
        with torch.no_grad():
            face = self.psp.decode(self.psp.codes(batch.masked))
            height, width = batch.image.shape[2:]
            return batch.composite(F.adaptive_avg_pool2d(face, (height, width)))

    def refine_identity(self, batch: Batch) -> Tensor:
        """Stages one and two: the hole filled by IFR."""
        filled = self.invert(batch)
        return batch.composite(self.ifr(torch.cat([filled, batch.mask], dim=1))) if self.config.ifr else filled

    def refine_structure(self, batch: Batch, refined: Tensor) -> Tensor:
        """Stage three on the image of stage two; the whole image."""
        return self.sfr(batch.masked, batch.mask, refined, skip_weight(batch.mask, self.config.weighting))

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        self.config.sizes().check(batch.image, CARD.name)
        refined = self.refine_identity(batch)
        return self.refine_structure(batch, refined) if self.config.sfr else refined

    def stages(self, features: Source = "official") -> list[Stage]:
        """Stages two and three, one after the other; pSp is a prior."""
        stages: list[Stage] = [IFRStage(self)] if self.config.ifr else []
        return [*stages, SFRStage(self, features)] if self.config.sfr else stages


class ISFRNetStage(Stage):
    """What both stages share: one network against its own discriminator."""

    method: ISFRNet

    def __init__(self, method: ISFRNet):
        super().__init__(method)
        config = method.config
        self.config, self.masks, self.batch_size = config, config.masks, config.batch_size
        self.iterations = config.iterations
        self.share = 1 / (config.ifr + config.sfr)
        self.discriminator = normal_init(SNDiscriminator(config.width))

    def network(self) -> nn.Module:
        """The network that this stage trains."""
        raise NotImplementedError

    def optimisers(self) -> dict[str, Optimizer]:
        networks = {"generator": self.network(), "discriminator": self.discriminator}
        return {name: Adam(n.parameters(), self.config.learning_rate) for name, n in networks.items()}

    def adversarial(self, output: Tensor, real: Tensor) -> dict[str, Tensor]:
        """The losses of both sides (Eqs. 3, 4 and 10), on the network's output."""
        judge = self.discriminator
        return {
            "generator": nonsaturating(judge(output)),
            "discriminator": logistic(judge(real), judge(output.detach())),
        }


class IFRStage(ISFRNetStage):
    """Stage two: L1 over the hole and adversarial loss (Eqs. 2 to 5)."""

    name = "ifr"

    def network(self) -> nn.Module:
        return self.method.ifr

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        if self.config.region == "hole":
            refined = self.method.refine_identity(batch)
        else:
            refined = self.method.ifr(torch.cat([self.method.invert(batch), batch.mask], dim=1))
        losses = {"l1": F.l1_loss(refined, batch.image)} | self.adversarial(refined, batch.image)
        update("generator", self.config.ifr_l1 * losses["l1"] + self.config.ifr_gan * losses["generator"])
        update("discriminator", losses["discriminator"])
        return losses


class SFRStage(ISFRNetStage):
    """Stage three: L1, perceptual, style, total variation and adversarial losses (Eqs. 6 to 10)."""

    name = "sfr"

    def __init__(self, method: ISFRNet, features: Source):
        super().__init__(method)
        layers = ("pool1", "pool2", "pool3")
        self.features = FeatureLoss(layers, layers, features, backbone="vgg16")

    def network(self) -> nn.Module:
        return self.method.sfr

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c = self.config
        with torch.no_grad():
            refined = self.method.refine_identity(batch)
        output = self.method.refine_structure(batch, refined)
        perceptual, style = self.features(output, batch.image)
        losses = {
            "l1": F.l1_loss(output, batch.image),
            "perceptual": perceptual,
            "style": style,
            "variation": hole_variation(batch.composite(output), batch.mask),
        } | self.adversarial(output, batch.image)
        weighted = {name: getattr(c, name) * losses[name] for name in ("l1", "perceptual", "style", "variation")}
        update("generator", torch.stack([*weighted.values(), c.gan * losses["generator"]]).sum())
        update("discriminator", losses["discriminator"])
        return losses


def hole_variation(images: Tensor, mask: Tensor) -> Tensor:
    """Total variation (Eq. 9): differences of neighbours inside the hole dilated by one pixel, over all elements."""
    region = F.max_pool2d(mask, 3, 1, 1)
    vertical = images.diff(dim=2).abs() * region[:, :, 1:] * region[:, :, :-1]
    horizontal = images.diff(dim=3).abs() * region[..., 1:] * region[..., :-1]
    return (vertical.sum() + horizontal.sum()) / images.numel()


def _run_ifr(network: LocalRefiner, inputs: Inputs) -> dict[str, Tensor]:
    mask = inputs.mask()
    merged = inputs.image() * (1 - mask) + inputs.image(offset=50) * mask
    return {"out": network(torch.cat([merged, mask], dim=1))}


def _run_sfr(network: SFR, inputs: Inputs) -> dict[str, Tensor]:
    mask = inputs.mask()
    given = (inputs.image() * (1 - mask), mask, inputs.image(offset=50))
    return {
        "out": network(*given, skip_weight(mask, "share")),
        "plain": network(*given, skip_weight(mask, "none")),
    }


ISFRNet.golden = {
    "isfrnet.ifr": Golden(
        build=lambda: LocalRefiner(norm=nn.InstanceNorm2d),
        run=_run_ifr,
        parts=lambda network: {"ifr": network},
        costs={"ifr": lambda network: network(torch.empty(1, 4, 256, 256))},
    ),
    "isfrnet.sfr": Golden(
        build=SFR,
        run=_run_sfr,
        parts=lambda network: dict(network.named_children()),
        costs={
            "sfr": lambda network: network(*(torch.empty(1, n, 256, 256) for n in (3, 1, 3)), torch.empty(1, 1, 1, 1))
        },
    ),
    "isfrnet.discriminator": Golden(
        build=SNDiscriminator,
        run=lambda network, inputs: {"out": network(inputs.image())},
        parts=lambda network: {"discriminator": network},
        costs={"discriminator": lambda network: network(torch.empty(1, 3, 256, 256))},
    ),
    "isfrnet.psp_encoder": Golden(
        build=GradualStyleEncoder,
        run=lambda network, inputs: {"codes": network(inputs.image() * (1 - inputs.mask()))},
        parts=lambda network: {"encoder": network},
        costs={"encoder": lambda network: network(torch.empty(1, 3, 256, 256))},
    ),
}
