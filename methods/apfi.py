"""APFI: recurrent reasoning fills the features before the U-Net's encoder sees them; gated only where it encodes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from bench import weights
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn.partial import PartialConv2d, freeze_batch_norm
from bench.nn.patchgan import PatchGAN
from bench.nn.perceptual import EmbeddedFeatures, Frozen, VGGFeatures, frozen, gram
from bench.nn.recurrent import KnowledgeConsistentAttention, Memory, merge

CARD = Card(
    slug="apfi",
    name="APFI",
    title="Asymmetric Periodic Feature Inference: cyclic progressive face completion",
    authors="-",
    year=2022,
    venue="Application Research of Computers 39(8)",
    url="",
    resolution=256,
    params={"generator": 18_285_136, "discriminator": 2_763_776},
    macs={"generator": 80.681e9, "discriminator": 3.147e9},
    training="Adam, batch 6, 4e-4, then 1e-5; 450,000 iterations in all on CelebA; adversarial (Wasserstein) 0.05, "
    "perceptual 0.05, style 120, L1 1; NVIDIA's irregular masks",
    features="VGG-16 trained on faces, images resized to 224 x 224",
    convention="1 = known",
    licence="no code was released",
    weights="none were released",
    choices={
        "masks": "mask files are those of `masks: apfi:DIR`; without them MMEditing's irregular strokes stand in",
        "layers": "the text fixes the modules and their order; channels, depths, norms, Adam's betas and the length of "
        "the fine-tuning (100,000 iterations with frozen batch norms, after RFR) are this project's",
        "face_vgg": "which face weights were used is not stated: ImageNet's VGG-16, or the file named here",
        "style": "the printed equation 2 lacks the Gram matrices and the layers: relu1_2, relu2_2, relu3_3 are used",
        "adversarial": "the exact form is not stated: D(fake) - D(real), Lipschitz by spectral norm, no penalty",
    },
    notes="The tables of the paper are not in the text at hand, so no published figures can stand here; 6 recurrences "
    "are reported to be best.",
)


class APFIConfig(Config):
    """Sizes and losses of APFI."""

    width: int = 64  # channels of the recurrent features
    kernel: int = 7  # of the partial convolutions
    recurrences: int = 6
    discriminator_width: int = 64  # channels of its first convolution
    shares: tuple[float, float] = (7 / 9, 2 / 9)  # of the budget: training, fine-tuning
    learning_rate: float = 4e-4
    finetune_rate: float = 1e-5
    batch_size: int = 6
    gan: float = 0.05  # weight of the adversarial loss
    perceptual: float = 0.05
    style: float = 120.0
    l1: float = 1.0
    feature_size: int | None = 224  # pixels a side of what the feature network sees; None: the image's own
    face_vgg: Path | None = None  # VGG-16 trained on faces (VGG-Face; PyTorch file of the names conv1_1 ...)
    masks: str = "apfi"  # training draw

    def files(self) -> list[Path]:
        return [self.face_vgg] if self.face_vgg else []

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(16)


class Gated(nn.Module):
    """Gated convolution to half the size: batch norm of leaky ReLU(features) sigmoid(gates)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.feature = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        self.gate = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(F.leaky_relu(self.feature(x), 0.2) * torch.sigmoid(self.gate(x)))


def up(inputs: int, outputs: int) -> nn.Sequential:
    """Transposed convolution to twice the size, batch norm, leaky ReLU."""
    convolution = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)
    layers = OrderedDict(conv=convolution, norm=nn.BatchNorm2d(outputs), activation=nn.LeakyReLU(0.2))
    return nn.Sequential(layers)


class FeatureReasoning(nn.Module):
    """The reasoning module: gated encoder, plain decoder with skips and attention. (N, width, H, W) -> same."""

    def __init__(self, width: int):
        super().__init__()
        w = width
        self.enc1, self.enc2, self.enc3 = Gated(w, 2 * w), Gated(2 * w, 4 * w), Gated(4 * w, 8 * w)
        self.dec3 = up(8 * w, 4 * w)
        self.att = KnowledgeConsistentAttention(4 * w)
        self.dec2, self.dec1 = up(8 * w, 2 * w), up(4 * w, w)

    def forward(self, x: Tensor, mask: Tensor, memory: Memory | None) -> tuple[Tensor, Memory]:
        e1 = self.enc1(x)
        e2 = self.enc2(e1)
        x, memory = self.att(self.dec3(self.enc3(e2)), mask, memory)
        x = self.dec2(torch.cat([x, e2], dim=1))
        return self.dec1(torch.cat([x, e1], dim=1)), memory


class Generator(nn.Module):
    """Recurrent reasoning, merging, then a U-Net with a parallel dilated bottom.

    Input: image in [-1, 1] with holes 0 (N, 3, H, W), and its mask (N, 1, H, W), 1 = known; output (N, 3, H, W) in
    [-1, 1].
    """

    def __init__(self, config: APFIConfig):
        super().__init__()
        w, k = config.width, config.kernel
        self.sizes, self.recurrences = config.sizes(), config.recurrences
        self.in1, self.bn1 = PartialConv2d(3, w, k, stride=2), nn.BatchNorm2d(w)
        self.in2, self.bn2 = PartialConv2d(w, w, k), nn.BatchNorm2d(w)
        self.area1, self.area2, self.bn3 = PartialConv2d(w, w, k), PartialConv2d(w, w, k), nn.BatchNorm2d(w)
        self.reason = FeatureReasoning(w)
        self.enc1, self.enc2, self.enc3 = Gated(w, 2 * w), Gated(2 * w, 4 * w), Gated(4 * w, 8 * w)
        self.dil2, self.dil4 = (nn.Conv2d(8 * w, 4 * w, 3, padding=d, dilation=d, bias=False) for d in (2, 4))
        self.bnd = nn.BatchNorm2d(8 * w)
        self.dec3, self.dec2 = up(16 * w, 4 * w), up(8 * w, 2 * w)
        self.dec1, self.dec0 = up(4 * w, w), up(2 * w, w // 2)
        self.out = nn.Conv2d(w // 2 + 4, 3, 3, padding=1)

    def infer(self, image: Tensor, known: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Features (N, width, H/2, W/2) and known area of each step: the input layers, then every recurrence."""
        x, mask = self.in1(image, known)
        x, mask = self.in2(F.relu(self.bn1(x)), mask)
        x, memory = F.relu(self.bn2(x)), None
        steps = [(x, mask)]
        for _ in range(self.recurrences):
            x, mask = self.area2(*self.area1(x, mask))  # area identification: the known area grows
            x, memory = self.reason(F.leaky_relu(self.bn3(x)), mask, memory)
            x = x * mask  # what lies deeper in the hole is inferred again
            steps.append((x, mask))
        return steps

    def forward(self, image: Tensor, known: Tensor) -> Tensor:
        self.sizes.check(image, CARD.name)
        merged = merge(self.infer(image, known))
        e1 = self.enc1(merged)
        e2 = self.enc2(e1)
        e3 = self.enc3(e2)
        x = F.leaky_relu(self.bnd(torch.cat([self.dil2(e3), self.dil4(e3)], dim=1)), 0.2)
        for decoder, skip in ((self.dec3, e3), (self.dec2, e2), (self.dec1, e1), (self.dec0, merged)):
            x = decoder(torch.cat([x, skip], dim=1))
        return self.out(torch.cat([x, image, known], dim=1)).tanh()


def vgg_face(layers: Sequence[str], path: Path) -> VGGFeatures:
    """VGG-16 trained on faces (Parkhi et al., 2015); it sees RGB in [0, 255] minus the mean face colour."""
    state: Mapping[str, Tensor] = weights.read(path)
    names = [f"conv{block}_{i}" for block, count in ((1, 2), (2, 2), (3, 3)) for i in range(1, count + 1)]
    if missing := [name for name in names if f"{name}.weight" not in state or f"{name}.bias" not in state]:
        raise BenchError(f"{path} is no VGG-16 with the names conv1_1.weight to conv3_3.bias: {missing[0]} is missing")
    network = VGGFeatures(layers, pretrained=False, backbone="vgg16")
    convolutions = [layer for layer in network.network if isinstance(layer, nn.Conv2d)]
    for name, convolution in zip(names, convolutions, strict=True):
        convolution.load_state_dict({leaf: state[f"{name}.{leaf}"] for leaf in ("weight", "bias")})
    network.mean.copy_(torch.tensor([129.1863, 104.7624, 93.5940]).view(1, 3, 1, 1) / 255)
    network.std.fill_(1 / 255)
    return network


class FeatureLosses(Frozen):
    """Perceptual loss (Eq. 1) on relu3_3 and style loss (Eq. 2) on relu1_2, relu2_2 and relu3_3 of VGG-16."""

    def __init__(self, config: APFIConfig, source: Source):
        super().__init__()
        layers = ("relu1_2", "relu2_2", "relu3_3")
        self.size = config.feature_size
        self.network: VGGFeatures | EmbeddedFeatures
        if source == "embedded":
            self.network = EmbeddedFeatures()  # its first three maps have the same sizes
        elif config.face_vgg:
            self.network = vgg_face(layers, config.face_vgg)
        else:
            self.network = VGGFeatures(layers, backbone="vgg16")
        frozen(self)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Three feature maps of images (N, 3, H, W) in [-1, 1], fine to coarse."""
        if self.size:
            images = F.interpolate(images, (self.size, self.size), mode="bilinear", align_corners=False)
        return self.network(images)[:3]

    def forward(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """(perceptual, style): mean squared difference of the last maps; squared Frobenius norms over Gram matrices."""
        ours = self.maps(output)
        with torch.no_grad():
            theirs = self.maps(target)
        styles = [(gram(a) - gram(b)).square().sum((1, 2)).mean() for a, b in zip(ours, theirs, strict=True)]
        return F.mse_loss(ours[-1], theirs[-1]), torch.stack(styles).sum()


class APFI(Method):
    """APFI after the paper's text."""

    card = CARD
    Config = APFIConfig
    config: APFIConfig
    presets = {
        "paper": APFIConfig(),
        "tiny": APFIConfig(
            width=16, recurrences=3, discriminator_width=16, learning_rate=1e-3, finetune_rate=3e-4, batch_size=8,
            gan=0.001, perceptual=0.2, style=3.0, feature_size=None, masks="irregular",
        ),
    }  # fmt: skip

    def __init__(self, config: APFIConfig):
        super().__init__(config)
        self.generator = Generator(config)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.generator(batch.masked, 1 - batch.mask)

    def stages(self, features: Source = "official") -> list[Stage]:
        """Both stages share the discriminator: fine-tuning goes on with it."""
        discriminator = PatchGAN(3, self.config.discriminator_width)
        losses = FeatureLosses(self.config, features)
        return [APFIStage(self, discriminator, losses), FinetuneStage(self, discriminator, losses)]


class APFIStage(Stage):
    """Training with batch statistics (Eqs. 1 to 4)."""

    method: APFI
    iterations = 350_000

    def __init__(self, method: APFI, discriminator: PatchGAN, features: FeatureLosses):
        super().__init__(method)
        config = method.config
        self.config, self.masks, self.batch_size = config, config.masks, config.batch_size
        self.share, self.learning_rate = config.shares[0], config.learning_rate
        self.discriminator, self.features = discriminator, features

    def optimisers(self) -> dict[str, Optimizer]:
        networks = {"generator": self.method.generator, "discriminator": self.discriminator}
        return {name: Adam(n.parameters(), self.learning_rate, (0.5, 0.999)) for name, n in networks.items()}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        output, c = self.method.complete(batch, noise), self.config
        perceptual, style = self.features(output, batch.image)
        score = lambda images: self.discriminator(images)[-1].mean()  # noqa: E731
        losses = {
            "l1": F.l1_loss(output, batch.image),
            "perceptual": perceptual,
            "style": style,
            "generator": -score(output),
            "discriminator": score(output.detach()) - score(batch.image),
        }
        total = c.l1 * losses["l1"] + c.perceptual * perceptual + c.style * style
        update("generator", total + c.gan * losses["generator"])
        update("discriminator", losses["discriminator"])
        return losses


class FinetuneStage(APFIStage):
    """Fine-tuning with frozen batch-norm statistics; their scales and biases go on learning."""

    name = "finetune"
    iterations = 100_000

    def __init__(self, method: APFI, discriminator: PatchGAN, features: FeatureLosses):
        super().__init__(method, discriminator, features)
        self.share, self.learning_rate = self.config.shares[1], self.config.finetune_rate

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        freeze_batch_norm(self.method)
        return super().step(batch, update, noise)


def _load(method: APFI, state: Mapping[str, Tensor]) -> None:
    """The names of the reference build, whose attention is one module; it held the checkpoint in float32."""
    renamed = {"reason.att.ratio": "reason.att.att.ratio"} | {
        f"reason.att.combine.{leaf}": f"reason.att.combiner.{leaf}" for leaf in ("weight", "bias")
    }
    method.generator.load_state_dict({renamed.get(name, name): value.float() for name, value in state.items()})


def _run_generator(method: APFI, inputs: Inputs) -> dict[str, Tensor]:
    image, known = inputs.image(), 1 - inputs.mask()
    steps = method.generator.infer(image * known, known)
    return {
        "area": torch.stack([mask[:, 0].mean((1, 2)) for _, mask in steps], dim=1),
        "step1": steps[1][0][:, ::8],
        "merged": merge(steps)[:, ::8],
        "out": method.generator(image * known, known),
    }


def _run_discriminator(network: PatchGAN, inputs: Inputs) -> dict[str, Tensor]:
    maps = network(inputs.image())
    return {"out": maps[-1], "conv3": maps[2][:, ::8, ::4, ::4]}


APFI.golden = {
    "apfi.generator": Golden(
        build=APFI.create,
        load=_load,
        run=_run_generator,
        parts=lambda method: {"generator": method.generator, "reason": method.generator.reason},
        costs={"generator": lambda m: m.generator(torch.empty(1, 3, 256, 256), torch.empty(1, 1, 256, 256))},
    ),
    "apfi.discriminator": Golden(
        build=lambda: PatchGAN(3, APFIConfig().discriminator_width),
        run=_run_discriminator,
        parts=lambda network: {"discriminator": network},
        costs={"discriminator": lambda network: network(torch.empty(1, 3, 256, 256))},
    ),
}
