"""ArcFace: face recognition with an additive angular margin; its frozen networks give identity losses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer

from bench import weights
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn.embedded import load as load_embedded
from bench.nn.irse import IRSE, UNITS, WIDTHS
from bench.nn.perceptual import Frozen, frozen

CARD = Card(
    slug="arcface",
    name="ArcFace",
    title="ArcFace: Additive Angular Margin Loss for Deep Face Recognition",
    authors="Deng, Guo, Xue, Zafeiriou",
    year=2019,
    venue="CVPR 2019; arXiv 1801.07698",
    url="https://arxiv.org/abs/1801.07698",
    task="prior",
    learns=("identity",),
    resolution=112,
    params={"network": 43_797_696},
    macs={"network": 6.297e9},
    published={"LFW, CFP-FP, AgeDB-30": "0.9952, 0.9504, 0.9622 (model_ir_se50.pth)"},
    training="SGD 0.1, momentum 0.9, weight decay 5e-4, batch 512, 180,000 iterations; margin 0.5, scale 64",
    convention="images in [-1, 1]; IR-SE50: rows 35-222 and columns 32-219 of 256, averaged to 112 px; "
    "ResNet-101: the whole image, bilinear to 112 px",
    licence="MIT (code); the weights were trained on MS-Celeb-1M: research only",
    weights="model_ir_se50.pth (TreB1eN/InsightFace_Pytorch; IR-SE50), Arcface.pth (Hugging Face Wanglong2/VSPBFR; "
    "ResNet-101): plain state dicts",
    choices={
        "network": "two networks go by this name. ir_se50: pSp, e4e. resnet101 (preset of that name): EXE-GAN, VSPBFR",
    },
    notes="The published networks saw faces aligned by five points; trained here, the network sees the data set's "
    "faces as the identity loss crops them. MACs at 112 px. The ResNet-101 has 43,024,704 parameters, 2.004 G MACs.",
)

CROP = (35 / 256, 223 / 256, 32 / 256, 220 / 256)  # top, bottom, left, right of pSp's identity loss; not centred


class ArcFaceConfig(Config):
    """Sizes and losses of ArcFace."""

    network: Literal["ir_se50", "resnet101"] = "ir_se50"
    size: int = 112  # pixels of a face as the network sees it
    dim: int = 512  # values of an embedding
    widths: tuple[int, int, int, int] = WIDTHS  # channels of the four groups of units (ir_se50)
    units: tuple[int, int, int, int] = UNITS  # units of a group
    identities: int = 85_742  # people in the training data, numbered from 0; MS1MV2 has 85,742
    margin: float = 0.5  # radians
    scale: float = 64.0
    dropout: float = 0.6
    learning_rate: float = 0.1
    weight_decay: float = 5e-4

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(square=True)


class ArcFace(Method):
    """A recogniser of faces: `embed` gives unit vectors whose dot product is the likeness of two faces."""

    card = CARD
    Config = ArcFaceConfig
    config: ArcFaceConfig
    presets = {
        "paper": ArcFaceConfig(),
        "resnet101": ArcFaceConfig(network="resnet101", dim=256),
        "tiny": ArcFaceConfig(
            size=48, dim=128, widths=(16, 32, 64, 128), units=(1, 1, 2, 1), identities=4096, margin=0.2, scale=16,
            dropout=0.1, learning_rate=0.05,
        ),
    }  # fmt: skip

    def __init__(self, config: ArcFaceConfig):
        super().__init__(config)
        if config.network == "resnet101":
            from torchvision.models import resnet101

            self.network: nn.Module = resnet101(num_classes=config.dim)
        else:
            self.network = IRSE(config.size, config.dim, config.widths, config.units, config.dropout)

    def crop(self, images: Tensor) -> Tensor:
        """What the network sees of whole images (N, 3, H, W) in [-1, 1], as in the authors' identity losses."""
        size = self.config.size
        if self.config.network == "resnet101":
            return F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
        height, width = images.shape[2:]
        top, bottom, left, right = (round(s * n) for s, n in zip(CROP, (height, height, width, width), strict=True))
        return F.adaptive_avg_pool2d(images[:, :, top:bottom, left:right], size)

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings (N, dim) of length 1."""
        return F.normalize(self.network(self.crop(images)), dim=1)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        raise BenchError("arcface recognises faces and completes none: name it under `priors`, not under `methods`")

    def stages(self, features: Source = "official") -> list[Stage]:
        return [ArcFaceStage(self)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state)


class ArcFaceStage(Stage):
    """Classification of the people in the training data with an angular margin."""

    method: ArcFace
    guides = ("identity",)
    iterations, batch_size = 180_000, 512

    def __init__(self, method: ArcFace):
        super().__init__(method)
        self.config = method.config
        self.centres = nn.Parameter(nn.init.xavier_normal_(torch.empty(self.config.identities, self.config.dim)))

    def optimisers(self) -> dict[str, Optimizer]:
        c = self.config
        parameters = [*self.method.network.parameters(), self.centres]
        return {"network": SGD(parameters, c.learning_rate, momentum=0.9, weight_decay=c.weight_decay)}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        labels = batch.need("identity")
        if (most := int(labels.max())) >= self.config.identities:
            raise BenchError(f"arcface: person {most} is in the training data: set options.identities above {most}")
        embeddings = self.method.embed(batch.image).float()
        cosines = embeddings @ F.normalize(self.centres, dim=1).T
        loss = F.cross_entropy(self.config.scale * angular_margin(cosines, labels, self.config.margin), labels)
        update("network", loss)
        return {"margin": loss, "accuracy": (cosines.argmax(1) == labels).float().mean()}


def angular_margin(cosines: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Eq. 3 without its scale: the angle to the own centre grows by `margin`, the others stay. (N, people).

    Past an angle of pi - margin the cosine would rise again; there it falls on along a line.
    """
    own = cosines.gather(1, labels[:, None]).clamp(-1 + 1e-7, 1 - 1e-7)
    later = torch.where(own > -math.cos(margin), (own.acos() + margin).cos(), own - margin * math.sin(margin))
    return cosines.scatter(1, labels[:, None], later)


class IdentityLoss(Frozen):
    """1 - cosine of the embeddings of two faces, one value an image; the target is a constant.

    `official`: the published network named; `embedded`: the identity head of the project's training network.
    """

    def __init__(self, source: Source, network: Literal["ir_se50", "resnet101"] = "ir_se50"):
        super().__init__()
        self.source = source
        if source == "embedded":
            self.network: nn.Module = load_embedded("training")
        else:
            self.network = ArcFace.create("paper" if network == "ir_se50" else network)
            self.network.load_official(weights.load(f"arcface-{network.replace('_', '-')}"))
        frozen(self)

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings of length 1 of images (N, 3, H, W) in [-1, 1]."""
        if isinstance(self.network, ArcFace):
            if self.network.config.network == "ir_se50":  # the authors crop at 256 px
                images = F.adaptive_avg_pool2d(images, 256)
            return self.network.embed(images)
        return self.network(images)["identity"]

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Distances (N,) in [0, 2]."""
        with torch.no_grad():
            theirs = self.embed(target)
        return 1 - (self.embed(output) * theirs).sum(1)


def _run_ir_se50(method: ArcFace, inputs: Inputs) -> dict[str, Tensor]:
    face, network = inputs.image(112), cast(IRSE, method.network)
    embeddings = method.embed(inputs.image(256, batch=4))
    return {
        "embedding112": network(face),
        "raw112": network.raw(face),
        "embedding256": embeddings,
        "cosine": embeddings @ embeddings.T,
    }


def _run_resnet101(method: ArcFace, inputs: Inputs) -> dict[str, Tensor]:
    images = inputs.image(256, batch=4)
    embeddings = method.embed(images)
    raw = method.network(method.crop(images))
    return {"raw": raw, "embedding": embeddings, "distance": 1 - embeddings @ embeddings.T}


ArcFace.golden = {
    "arcface.ir_se50": Golden(
        build=ArcFace.create,
        load=ArcFace.load_official,
        run=_run_ir_se50,
        parts=lambda method: {"arcface.ir_se50": method.network},
        costs={"arcface.ir_se50": lambda m: m.network(torch.empty(1, 3, 112, 112))},
    ),
    "arcface.resnet101": Golden(
        build=lambda: ArcFace.create("resnet101"),
        load=ArcFace.load_official,
        run=_run_resnet101,
        parts=lambda method: {"arcface.resnet101": method.network},
        costs={"arcface.resnet101": lambda m: m.network(torch.empty(1, 3, 112, 112))},
    ),
}
