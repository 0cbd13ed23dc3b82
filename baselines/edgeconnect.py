"""EdgeConnect: one network completes the edges under the hole, a second one paints the image on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm
from torch.optim import Adam, Optimizer

from bench import weights
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn import across
from bench.nn.canny import canny, to_grey
from bench.nn.init import normal_init
from bench.nn.patchgan import PatchGAN
from bench.nn.perceptual import FeatureLoss

CARD = Card(
    slug="edgeconnect",
    name="EdgeConnect",
    title="EdgeConnect: Generative Image Inpainting with Adversarial Edge Learning",
    authors="Nazeri, Ng, Joseph, Qureshi, Ebrahimi",
    year=2019,
    venue="ICCV Workshops; arXiv 1901.00212",
    url="https://arxiv.org/abs/1901.00212",
    resolution=256,
    params={
        "edge_generator": 10_761_089,
        "inpaint_generator": 10_774_595,
        "edge_discriminator": 2_762_752,
        "inpaint_discriminator": 2_763_776,
    },
    macs={
        "edge_generator": 48.067e9,
        "inpaint_generator": 48.683e9,
        "edge_discriminator": 3.130e9,
        "inpaint_discriminator": 3.147e9,
    },
    published={"parameters": "21.54 M", "FLOPs": "122.64 G at 256 px, both generators, by thop's rule (true: 96.75 G)"},
    training="Adam (0, 0.9), generators 1e-4, discriminators 1e-5, batch 8, up to 2,000,000 iterations a phase, joint "
    "phase 1e-6; edges: adversarial 1, feature matching 10; image: L1 1, adversarial 0.1, perceptual 0.1, style 250",
    features="VGG-19 (ImageNet), images in [0, 1] without normalisation",
    convention="1 = hole; holes filled with white; images in [0, 1]",
    licence="CC BY-NC 4.0 (non-commercial)",
    weights="the authors' Google Drive folders (Places2, CelebA, Paris StreetView; 256 px): InpaintingModel_gen.pth as "
    "`weights` and EdgeModel_gen.pth as the option `edge_weights`, each a dict with the state under `generator`",
    trained_on={"celeba": "", "psv": "train", "places365": "train"},
    choices={
        "masks": "mask files are those of `masks: edgeconnect:DIR`; without them MMEditing's irregular strokes stand "
        "in",
        "edges": "paper: known edges are kept, the prediction fills the hole, in training and test. released: the "
        "authors' test mode gives the second network the raw prediction over the whole image",
        "last_phase": "joint: paper, both generators end to end on the image losses, without the edge discriminator. "
        "predicted: the authors' readme, the second network alone on predicted edges, at the full learning rate",
        "learning_rate": "constant, as in the code; the paper lowers it to 1e-5 when the losses stop falling",
    },
    notes="At test Canny sees the known pixels alone, so no edge touches the hole; in training it sees all pixels. "
    "The authors' code steps each discriminator before the generator's backward pass through it, which PyTorch refuses "
    "since 1.5; here both losses see the same weights.",
)


class EdgeConnectConfig(Config):
    """Sizes, phases and losses of EdgeConnect."""

    width: int = 64  # channels of a generator's first convolution
    blocks: int = 8  # residual blocks of a generator
    discriminator_width: int = 64  # channels of a discriminator's first convolution
    sigma: float = 2.0  # of Canny's Gaussian, in pixels
    edges: Literal["paper", "released"] = "paper"  # edges that the second network sees at test
    last_phase: Literal["joint", "predicted"] = "joint"  # what is trained after both networks were trained apart
    shares: tuple[float, float, float] = (0.4, 0.4, 0.2)  # of the budget: edge model, image model, last phase
    learning_rate: float = 1e-4  # of both generators; discriminators learn at a tenth
    joint_learning_rate: float = 1e-6
    batch_size: int = 8
    edge_gan: float = 1.0  # weight of the edge model's adversarial loss
    matching: float = 10.0  # feature matching
    l1: float = 1.0
    gan: float = 0.1  # of the image model
    perceptual: float = 0.1
    style: float = 250.0
    masks: str = "edgeconnect"  # training draw
    ema: float | None = None  # moving average of the generators; the paper has none
    edge_weights: Path | None = None  # the authors' EdgeModel_gen.pth, where `weights` names InpaintingModel_gen.pth

    def files(self) -> list[Path]:
        return [self.edge_weights] if self.edge_weights else []

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(4)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, the first with dilation 2; no activation after the sum. (N, channels, H, W) -> same."""

    def __init__(self, channels: int, spectral: bool):
        super().__init__()
        norm: Callable[[nn.Module], nn.Module] = spectral_norm if spectral else nn.Identity()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(2), norm(nn.Conv2d(channels, channels, 3, dilation=2, bias=not spectral)),
            nn.InstanceNorm2d(channels), nn.ReLU(),
            nn.ReflectionPad2d(1), norm(nn.Conv2d(channels, channels, 3, bias=not spectral)),
            nn.InstanceNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class Generator(nn.Module):
    """The layout of both generators (section 3): two downsamplings, residual blocks, two upsamplings.

    (N, inputs, H, W) -> (N, outputs, H, W) before the last activation. `spectral`: spectral norm on every convolution
    but the last.
    """

    def __init__(self, inputs: int, outputs: int, config: EdgeConnectConfig, spectral: bool):
        super().__init__()
        self.sizes = config.sizes()
        w = config.width
        norm: Callable[[nn.Module], nn.Module] = spectral_norm if spectral else nn.Identity()

        def block(convolution: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
            return [norm(convolution), nn.InstanceNorm2d(convolution.out_channels), nn.ReLU()]

        self.encoder = nn.Sequential(
            nn.ReflectionPad2d(3),
            *block(nn.Conv2d(inputs, w, 7)),
            *block(nn.Conv2d(w, 2 * w, 4, stride=2, padding=1)),
            *block(nn.Conv2d(2 * w, 4 * w, 4, stride=2, padding=1)),
        )
        self.middle = nn.Sequential(*(ResidualBlock(4 * w, spectral) for _ in range(config.blocks)))
        self.decoder = nn.Sequential(
            *block(nn.ConvTranspose2d(4 * w, 2 * w, 4, stride=2, padding=1)),
            *block(nn.ConvTranspose2d(2 * w, w, 4, stride=2, padding=1)),
            nn.ReflectionPad2d(3),
            nn.Conv2d(w, outputs, 7),
        )
        normal_init(self)

    def run(self, x: Tensor) -> Tensor:
        """All layers."""
        self.sizes.check(x, CARD.name)
        return self.decoder(self.middle(self.encoder(x)))


class EdgeGenerator(Generator):
    """G1 (Eq. 1): grey image with white holes, known edges, mask -> edge map (N, 1, H, W) in [0, 1]."""

    def __init__(self, config: EdgeConnectConfig):
        super().__init__(3, 1, config, spectral=True)

    def forward(self, grey: Tensor, edges: Tensor, mask: Tensor) -> Tensor:
        return self.run(torch.cat([grey * (1 - mask) + mask, edges * (1 - mask), mask], dim=1)).sigmoid()


class InpaintGenerator(Generator):
    """G2 (Eq. 5): image in [0, 1] with white holes, edge map -> image in [0, 1]. It is not given the mask."""

    def __init__(self, config: EdgeConnectConfig):
        super().__init__(4, 3, config, spectral=False)

    def forward(self, image: Tensor, edges: Tensor, mask: Tensor) -> Tensor:
        return (self.run(torch.cat([image * (1 - mask) + mask, edges], dim=1)).tanh() + 1) / 2


class EdgeConnect(Method):
    """EdgeConnect as published."""

    card = CARD
    Config = EdgeConnectConfig
    config: EdgeConnectConfig
    presets = {
        "paper": EdgeConnectConfig(),
        "tiny": EdgeConnectConfig(
            width=16, blocks=4, discriminator_width=16, sigma=1.0, shares=(0.25, 0.5, 0.25), learning_rate=1e-3,
            joint_learning_rate=3e-4, style=25.0, masks="irregular", ema=0.99,
        ),
    }  # fmt: skip

    def __init__(self, config: EdgeConnectConfig):
        super().__init__(config)
        self.edge_generator = EdgeGenerator(config)
        self.inpaint_generator = InpaintGenerator(config)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        image, mask = (batch.masked + 1) / 2, batch.mask
        grey = to_grey(image)
        known = canny(grey, self.config.sigma, 1 - mask)
        edges = self.edge_generator(grey, known, mask)
        if self.config.edges == "paper":
            edges = mask * edges + (1 - mask) * known
        return self.inpaint_generator(image, edges, mask) * 2 - 1

    def stages(self, features: Source = "official") -> list[Stage]:
        """The edge model, the image model on true edges, then the last phase, which keeps the image discriminator."""
        c = self.config
        discriminator = PatchGAN(3, c.discriminator_width)
        loss = FeatureLoss(
            content=("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
            style=("relu2_2", "relu3_4", "relu4_4", "relu5_2"),
            source=features,
            scaling="raw",
        )
        last = {"joint": JointStage, "predicted": PredictedStage}[c.last_phase]
        return [EdgeStage(self), InpaintStage(self, discriminator, loss), last(self, discriminator, loss)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take InpaintingModel_gen.pth; EdgeModel_gen.pth is read from the option `edge_weights`."""
        if self.config.edge_weights is None:
            raise BenchError(
                "edgeconnect: name the authors' EdgeModel_gen.pth in the suite's `options: {edge_weights: }`"
            )
        self.inpaint_generator.load_state_dict({k.removeprefix("module."): v for k, v in state["generator"].items()})
        weights.load_second(self.edge_generator, "edgeconnect", "edge_weights", self.config.edge_weights)


class EdgeConnectStage(Stage):
    """What the phases share."""

    method: EdgeConnect
    iterations = 2_000_000
    phase: int  # which of the three

    def __init__(self, method: EdgeConnect):
        super().__init__(method)
        config = method.config
        self.config, self.masks, self.batch_size = config, config.masks, config.batch_size
        self.share = config.shares[self.phase]
        self.ema = {"generator": config.ema} if config.ema else {}

    def true_edges(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The complete grey image in [0, 1] and its edges."""
        grey = to_grey((batch.image + 1) / 2)
        return grey, canny(grey, self.config.sigma)


def adam(parameters: list[nn.Parameter], learning_rate: float) -> Adam:
    """Adam with the paper's betas."""
    return Adam(parameters, learning_rate, (0.0, 0.9))


def binary(logits: Tensor, real: bool) -> Tensor:
    """Binary cross-entropy against real (1) or fake (0)."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


class EdgeStage(EdgeConnectStage):
    """Phase 1, the edge model: adversarial and feature-matching losses (Eqs. 2 to 4)."""

    name, phase = "edge", 0

    def __init__(self, method: EdgeConnect):
        super().__init__(method)
        self.discriminator = PatchGAN(2, self.config.discriminator_width)

    def optimisers(self) -> dict[str, Optimizer]:
        rate = self.config.learning_rate
        return {
            "generator": adam(list(self.method.edge_generator.parameters()), rate),
            "discriminator": adam(list(self.discriminator.parameters()), rate / 10),
        }

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        grey, edges = self.true_edges(batch)
        predicted = self.method.edge_generator(grey, edges, batch.mask)
        real = self.discriminator(torch.cat([grey, edges], dim=1))
        fake = self.discriminator(torch.cat([grey, predicted.detach()], dim=1))
        judged = self.discriminator(torch.cat([grey, predicted], dim=1))
        losses = {
            "discriminator": (binary(real[-1], True) + binary(fake[-1], False)) / 2,
            "generator": binary(judged[-1], True),
            "matching": torch.stack([F.l1_loss(a, b.detach()) for a, b in zip(judged, real, strict=True)]).sum(),
        }
        update("generator", self.config.edge_gan * losses["generator"] + self.config.matching * losses["matching"])
        update("discriminator", losses["discriminator"])
        return losses


class InpaintStage(EdgeConnectStage):
    """Phase 2, the image model on true edges: L1, adversarial, perceptual and style losses (Eqs. 6 to 9)."""

    name, phase = "inpaint", 1

    def __init__(self, method: EdgeConnect, discriminator: PatchGAN, features: FeatureLoss):
        super().__init__(method)
        self.discriminator, self.features = discriminator, features

    def trained(self) -> tuple[list[nn.Parameter], float]:
        """The parameters of the generator's optimiser and their learning rate."""
        return list(self.method.inpaint_generator.parameters()), self.config.learning_rate

    def optimisers(self) -> dict[str, Optimizer]:
        parameters, rate = self.trained()
        return {
            "generator": adam(parameters, rate),
            "discriminator": adam(list(self.discriminator.parameters()), rate / 10),
        }

    def edges(self, batch: Batch) -> Tensor:
        """The edge map that the second network sees."""
        return self.true_edges(batch)[1]

    def predicted_edges(self, batch: Batch) -> Tensor:
        """True edges where the image is known, predicted ones in the hole."""
        grey, edges = self.true_edges(batch)
        return batch.mask * self.method.edge_generator(grey, edges, batch.mask) + (1 - batch.mask) * edges

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        image, mask, c = (batch.image + 1) / 2, batch.mask, self.config
        output = self.method.inpaint_generator(image, self.edges(batch), mask)
        real, fake = self.discriminator(image)[-1], self.discriminator(output.detach())[-1]
        losses = {
            "discriminator": (binary(real, True) + binary(fake, False)) / 2,
            "generator": binary(self.discriminator(output)[-1], True),
            "l1": F.l1_loss(output, image) / across.mean(mask.mean()),
            "perceptual": self.features(output * 2 - 1, batch.image)[0],
            "style": self.features(output * mask * 2 - 1, image * mask * 2 - 1)[1],
        }
        total = c.l1 * losses["l1"] + c.perceptual * losses["perceptual"] + c.style * losses["style"]
        update("generator", total + c.gan * losses["generator"])
        update("discriminator", losses["discriminator"])
        return losses


class PredictedStage(InpaintStage):
    """The readme's last phase: the image model goes on with edges that the edge model predicts."""

    name, phase = "predicted", 2

    def edges(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            return self.predicted_edges(batch)


class JointStage(InpaintStage):
    """The paper's last phase: both generators end to end on the image losses, without the edge discriminator."""

    name, phase = "joint", 2

    def trained(self) -> tuple[list[nn.Parameter], float]:
        return list(self.method.parameters()), self.config.joint_learning_rate

    def edges(self, batch: Batch) -> Tensor:
        return self.predicted_edges(batch)


def _inputs(inputs: Inputs) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Image and grey image in [0, 1], a stand-in for an edge map, mask."""
    image = (inputs.image() + 1) / 2
    return image, to_grey(image), (inputs.image(channels=1, offset=100) > 0.5).double(), inputs.mask()


def _run_edge(network: EdgeGenerator, inputs: Inputs) -> dict[str, Tensor]:
    _, grey, edges, mask = _inputs(inputs)
    encoded = network.encoder(torch.cat([grey * (1 - mask) + mask, edges * (1 - mask), mask], dim=1))
    middle = network.middle(encoded)
    return {"encoder": encoded[:, ::2], "middle": middle[:, ::2], "edge": network.decoder(middle).sigmoid()}


def _run_inpaint(network: InpaintGenerator, inputs: Inputs) -> dict[str, Tensor]:
    image, _, edges, mask = _inputs(inputs)
    middle = network.middle(network.encoder(torch.cat([image * (1 - mask) + mask, edges], dim=1)))
    out = (network.decoder(middle).tanh() + 1) / 2
    return {"middle": middle[:, ::2], "out": out, "comp": out * mask + image * (1 - mask)}


def _run_both(method: EdgeConnect, inputs: Inputs) -> dict[str, Tensor]:
    image, grey, edges, mask = _inputs(inputs)
    edge = method.edge_generator(grey, edges, mask)
    out = method.inpaint_generator(image, edge, mask)
    return {
        "edge": edge,
        "out_test": out,
        "comp_test": out * mask + image * (1 - mask),
        "out_train": method.inpaint_generator(image, edge * mask + edges * (1 - mask), mask),
        "canny": canny(grey, method.config.sigma),
        "canny_masked": canny(grey, method.config.sigma, 1 - mask),
    }


def _run_discriminator(network: PatchGAN, inputs: Inputs) -> dict[str, Tensor]:
    image = (inputs.image(channels=next(network.parameters()).shape[1]) + 1) / 2
    judged, maps = network.eval()(image)[-1], network.train()(image)
    return {
        "logits_eval": judged,
        "logits_train": maps[-1],
        "out_train": maps[-1].sigmoid(),
        "conv4_train": maps[3][:, ::16, ::4, ::4],
    }


def _edge_pass(network: EdgeGenerator) -> Tensor:
    return network(*torch.empty(3, 1, 1, 256, 256))


def _inpaint_pass(network: InpaintGenerator) -> Tensor:
    return network(torch.empty(1, 3, 256, 256), *torch.empty(2, 1, 1, 256, 256))


def _discriminator(kind: str, channels: int) -> Golden:
    name = f"{kind}_discriminator"
    return Golden(
        build=lambda: PatchGAN(channels, EdgeConnectConfig().discriminator_width),
        run=_run_discriminator,
        parts=lambda network: {name: network},
        costs={name: lambda network: network(torch.empty(1, channels, 256, 256))},
    )


EdgeConnect.golden = {
    "edgeconnect.edge": Golden(
        build=lambda: EdgeGenerator(EdgeConnectConfig()),
        run=_run_edge,
        parts=lambda network: {"edge_generator": network},
        costs={"edge_generator": _edge_pass},
        keys={"": "edgeconnect.edge_generator"},
    ),
    "edgeconnect.inpaint": Golden(
        build=lambda: InpaintGenerator(EdgeConnectConfig()),
        run=_run_inpaint,
        parts=lambda network: {"inpaint_generator": network},
        costs={"inpaint_generator": _inpaint_pass},
        keys={"": "edgeconnect.inpaint_generator"},
    ),
    "edgeconnect": Golden(
        build=EdgeConnect.create,
        run=_run_both,
        parts=EdgeConnect.networks,
        costs={
            "edge_generator": lambda method: _edge_pass(method.edge_generator),
            "inpaint_generator": lambda method: _inpaint_pass(method.inpaint_generator),
        },
        keys={"edge_generator.": "edgeconnect.edge_generator", "inpaint_generator.": "edgeconnect.inpaint_generator"},
    ),
    "edgeconnect.edge_discriminator": _discriminator("edge", 2),
    "edgeconnect.inpaint_discriminator": _discriminator("inpaint", 3),
}
