"""RFR-Net: fills the hole from its border inwards, in six recurrences of one feature reasoning module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn.losses import total_variation
from bench.nn.partial import PartialConv2d, freeze_batch_norm
from bench.nn.perceptual import FeatureLoss
from bench.nn.recurrent import KnowledgeConsistentAttention, Memory, merge

CARD = Card(
    slug="rfr",
    name="RFR",
    title="Recurrent Feature Reasoning for Image Inpainting",
    authors="Li, Wang, Zhang, Du, Tao",
    year=2020,
    venue="CVPR",
    url="https://github.com/jingyuanli001/RFR-Inpainting",
    resolution=256,
    params={"generator": 31_224_065},
    macs={"generator": 127.768e9},
    published={
        "parameters": "30.59 M, by thop's rule, which misses the partial convolutions and the attention's ratio",
        "FLOPs": "206.17 G at 256 px, by thop's rule (true: 127.77 G; 171.94 G with mask updates as convolutions)",
    },
    training="Adam (0.9, 0.999), batch 6; 2e-4, then 5e-5 with frozen batch-norm statistics; CelebA 350,000 + 150,000 "
    "iterations, Paris 400,000 + 200,000, Places2 2,000,000 + 1,000,000; valid 1, hole 6, perceptual 0.05, style 120, "
    "total variation 0.1",
    features="VGG-16 (ImageNet), images in [0, 1] without normalisation",
    convention="1 = known, three channels; holes filled with 0; images in [0, 1]",
    licence="MIT (partial convolution: BSD-3-Clause, NVIDIA)",
    weights="the authors' Google Drive folder (CelebA, Paris StreetView; 256 px): checkpoint_celeba.pth, a dict with "
    "the state under `generator`",
    trained_on={"celeba": "", "psv": "train"},
    choices={
        "kernel": "7: the paper's network. 5: the authors' RFRNet_Smaller_Hole (30,929,153 parameters) for small holes",
    },
    notes="The recurrences reach about 75 pixels into a hole at 256 px; what lies deeper is decoded from zeros. The "
    "total variation is that of the hole on black, as released, so the hole's outline counts as an edge. No "
    "discriminator.",
)


class RFRConfig(Config):
    """Sizes and losses of RFR."""

    width: int = 64  # channels of the recurrent features
    kernel: int = 7  # of the partial convolutions at half resolution
    recurrences: int = 6
    shares: tuple[float, float] = (0.7, 0.3)  # of the budget: training, fine-tuning
    learning_rate: float = 2e-4
    finetune_rate: float = 5e-5
    batch_size: int = 6
    valid: float = 1.0  # weight of the L1 loss on known pixels
    hole: float = 6.0
    perceptual: float = 0.05
    style: float = 120.0
    variation: float = 0.1
    masks: str = "rfr"  # training draw

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(16)


def down(inputs: int, outputs: int, stride: int = 2, dilation: int = 1) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def up(inputs: int, outputs: int) -> nn.Sequential:
    """Transposed convolution to twice the size, batch norm, leaky ReLU."""
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)
    )


def flat(inputs: int, outputs: int) -> nn.Sequential:
    """Dilated 3x3 convolution, batch norm, leaky ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 1, 2, 2, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2))


class FeatureReasoning(nn.Module):
    """The feature reasoning module: an encoder-decoder with skips and attention. (N, width, H, W) -> same."""

    def __init__(self, width: int):
        super().__init__()
        w = width
        self.enc_1, self.enc_2, self.enc_3 = down(w, 2 * w), down(2 * w, 4 * w), down(4 * w, 8 * w)
        self.enc_4, self.enc_5, self.enc_6 = (down(8 * w, 8 * w, stride=1, dilation=2) for _ in range(3))
        self.dec_5, self.dec_4, self.dec_3 = flat(16 * w, 8 * w), flat(16 * w, 8 * w), up(16 * w, 8 * w)
        self.att = KnowledgeConsistentAttention(8 * w)
        self.dec_2, self.dec_1 = up(12 * w, 4 * w), up(6 * w, w)

    def forward(self, x: Tensor, mask: Tensor, memory: Memory | None) -> tuple[Tensor, Memory]:
        h1 = self.enc_1(x)
        h2 = self.enc_2(h1)
        h3 = self.enc_3(h2)
        h4 = self.enc_4(h3)
        h5 = self.enc_5(h4)
        x = self.dec_5(torch.cat([self.enc_6(h5), h5], dim=1))
        x = self.dec_4(torch.cat([x, h4], dim=1))
        x, memory = self.att(self.dec_3(torch.cat([x, h3], dim=1)), mask, memory)
        x = self.dec_2(torch.cat([x, h2], dim=1))
        return self.dec_1(torch.cat([x, h1], dim=1)), memory


class Bottleneck(nn.Module):
    """Residual bottleneck of three convolutions. (N, channels, H, W) -> same."""

    def __init__(self, channels: int):
        super().__init__()
        inner = channels // 4
        self.conv1, self.bn1 = nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = nn.Conv2d(inner, inner, 3, padding=1, bias=False), nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, channels, 1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(x + self.bn3(self.conv3(y)))


class Generator(nn.Module):
    """Area identification, recurrent feature reasoning, adaptive merging, decoding (Fig. 2).

    Input: image in [0, 1] with holes 0, and its mask, (N, 3, H, W) both, 1 = known; output (N, 3, H, W), about [0, 1].
    """

    def __init__(self, config: RFRConfig):
        super().__init__()
        w, k = config.width, config.kernel
        self.sizes, self.recurrences = config.sizes(), config.recurrences
        self.Pconv1, self.bn1 = PartialConv2d(3, w, 7, stride=2), nn.BatchNorm2d(w)
        self.Pconv2, self.bn20 = PartialConv2d(w, w, k), nn.BatchNorm2d(w)
        self.Pconv21 = PartialConv2d(w, w, k)
        self.Pconv22, self.bn2 = PartialConv2d(w, w, k), nn.BatchNorm2d(w)
        self.RFRModule = FeatureReasoning(w)
        self.Tconv, self.bn3 = nn.ConvTranspose2d(w, w, 4, 2, 1, bias=False), nn.BatchNorm2d(w)
        self.tail1 = PartialConv2d(w + 3, w // 2, 3)
        self.tail2 = Bottleneck(w // 2)
        self.out = nn.Conv2d(w, 3, 3, 1, 1, bias=False)

    def forward(self, image: Tensor, known: Tensor) -> Tensor:
        self.sizes.check(image, CARD.name)
        x, mask = self.Pconv1(image, known)
        x, mask = self.Pconv2(F.relu(self.bn1(x)), mask)
        x, memory = F.relu(self.bn20(x)), None
        steps = [(x, mask)]
        for _ in range(self.recurrences):
            x, mask = self.Pconv22(*self.Pconv21(x, mask))
            x, memory = self.RFRModule(F.leaky_relu(self.bn2(x)), mask[:, :1], memory)
            x = x * mask  # what lies deeper in the hole is inferred again
            steps.append((x, mask))
        x = F.leaky_relu(self.bn3(self.Tconv(merge(steps))))
        masks = torch.cat([known, F.interpolate(mask, scale_factor=2)], dim=1)
        x = F.leaky_relu(self.tail1(torch.cat([image, x], dim=1), masks)[0])
        return self.out(torch.cat([x, self.tail2(x)], dim=1))


class RFR(Method):
    """RFR as published."""

    card = CARD
    Config = RFRConfig
    config: RFRConfig
    presets = {
        "paper": RFRConfig(),
        "tiny": RFRConfig(
            width=16, recurrences=3, learning_rate=1e-3, finetune_rate=3e-4, batch_size=8, masks="irregular"
        ),
    }

    def __init__(self, config: RFRConfig):
        super().__init__(config)
        self.generator = Generator(config)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        known = 1 - batch.mask
        return self.generator((batch.masked + 1) / 2 * known, known.expand(-1, 3, -1, -1)) * 2 - 1

    def stages(self, features: Source = "official") -> list[Stage]:
        layers = ("pool1", "pool2", "pool3")
        loss = FeatureLoss(layers, layers, features, backbone="vgg16", scaling="raw")
        return [RFRStage(self, loss), FinetuneStage(self, loss)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        self.generator.load_state_dict(state["generator"])


class RFRStage(Stage):
    """Training with batch statistics."""

    method: RFR
    iterations = 350_000  # CelebA

    def __init__(self, method: RFR, features: FeatureLoss):
        super().__init__(method)
        config = method.config
        self.config, self.masks, self.batch_size = config, config.masks, config.batch_size
        self.share, self.learning_rate = config.shares[0], config.learning_rate
        self.features = features

    def optimisers(self) -> dict[str, Optimizer]:
        return {"generator": Adam(self.method.generator.parameters(), self.learning_rate)}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        output, c = self.method.complete(batch, noise), self.config
        composite = batch.composite(output)
        error = (output - batch.image).abs() / 2  # on the authors' scale [0, 1]
        raw, pasted = self.features(output, batch.image), self.features(composite, batch.image)
        losses = {
            "valid": (error * (1 - batch.mask)).mean(),
            "hole": (error * batch.mask).mean(),
            "perceptual": raw[0] + pasted[0],
            "style": raw[1] + pasted[1],
            "variation": total_variation((composite + 1) / 2 * batch.mask),
        }
        update("generator", torch.stack([getattr(c, name) * loss for name, loss in losses.items()]).sum())
        return losses


class FinetuneStage(RFRStage):
    """Fine-tuning with frozen batch-norm statistics; their scales and biases go on learning."""

    name = "finetune"
    iterations = 150_000  # CelebA

    def __init__(self, method: RFR, features: FeatureLoss):
        super().__init__(method, features)
        self.share, self.learning_rate = self.config.shares[1], self.config.finetune_rate

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        freeze_batch_norm(self.method)
        return super().step(batch, update, noise)


def _run(method: RFR, inputs: Inputs) -> dict[str, Tensor]:
    image, network = (inputs.image() + 1) / 2, method.generator
    seen: dict[str, list[Any]] = {"module": [], "att": [], "merged": []}
    hooks = [
        network.RFRModule.register_forward_hook(lambda module, inputs, output: seen["module"].append(output)),
        network.RFRModule.att.register_forward_hook(lambda module, inputs, output: seen["att"].append(output)),
        network.Tconv.register_forward_pre_hook(lambda module, inputs: seen["merged"].append(inputs[0])),
    ]
    frame = torch.zeros_like(inputs.mask())
    frame[..., 8:248, 8:248] = 1
    out, out_big = (network(image * (1 - m), (1 - m).expand(-1, 3, -1, -1)) for m in (inputs.mask(), frame))
    for hook in hooks:
        hook.remove()
    return {
        "module1": seen["module"][0][0][:, :, ::2, ::2],
        "module6": seen["module"][5][0][:, :, ::2, ::2],
        "att1": seen["att"][0][0][:, :8, ::4, ::4],
        "att6": seen["att"][5][0][:, :8, ::4, ::4],
        "scores6": seen["att"][5][1][0][:, ::64, ::4, ::4],
        "merged": seen["merged"][0][:, :, ::2, ::2],
        "out": out,
        "out_big": out_big,
        "merged_big": seen["merged"][1][:, :, ::2, ::2],
    }


def _pass(method: RFR) -> Tensor:
    return method.generator(*torch.empty(2, 1, 3, 256, 256))


RFR.golden = {
    "rfr": Golden(
        build=RFR.create,
        load=lambda method, state: method.load_official({"generator": state}),
        run=_run,
        parts=RFR.networks,
        costs={"generator_without_mask_updates": _pass},
    )
}
