"""SC-FEGAN: a U-Net of gated convolutions fills holes after lines and colours that a user draws into them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm
from torch.optim import Adam, Optimizer

from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn.fastgan import settle
from bench.nn.gated import Activation, GatedConv, identity
from bench.nn.init import normal_init
from bench.nn.losses import gradient_penalty
from bench.nn.perceptual import FeatureLoss

CARD = Card(
    slug="scfegan",
    name="SC-FEGAN",
    title="SC-FEGAN: Face Editing Generative Adversarial Network with User's Sketch and Color",
    authors="Jo, Park",
    year=2019,
    venue="ICCV; arXiv 1902.06838",
    url="https://arxiv.org/abs/1902.06838",
    task="editing",
    resolution=512,
    params={"generator": 92_886_100, "discriminator": 2_143_936},
    macs={"generator": 18.963e9, "discriminator": 3.511e9},
    published={
        "user study (thesis, section 5.3.2)": "12.87 % of the votes of 63 participants, CelebA-HQ, by exemplars"
    },
    training="no training code was released. L1 1 on known pixels and 6 in the hole, perceptual 0.05, style 120, total "
    "variation 0.1 in the hole, adversarial 0.001; Wasserstein loss with gradient penalty 10 in the hole and 0.001 of "
    "the squared values of originals; Adam 1e-4 (0.5, 0.9), batch 8, 300,000 iterations; 29,000 pictures of "
    "CelebA-HQ at 512 px",
    features="VGG-16 (ImageNet)",
    convention="1 = hole; holes filled with 0; images in [-1, 1], BGR; guides are multiplied by the mask, no colour is "
    "-1 in the hole",
    licence="CC BY-NC 4.0 (education and academic research)",
    weights="the authors' Google Drive: SC-FEGAN.ckpt.* (512 px), for TensorFlow. Its variables (generator/gconv1_ds/"
    "kernel, ...) must be saved once as safetensors, under their names: with r = tf.train.load_checkpoint("
    "'SC-FEGAN.ckpt'), safetensors.numpy.save_file({n: r.get_tensor(n) for n in r.get_variable_to_shape_map()}, "
    "'scfegan.safetensors')",
    trained_on={"celeba-hq": ""},
    takes=("sketch", "colour"),
    choices={
        "hole": "not stated; 6, as PConv",
        "discriminator": "never released; SN-PatchGAN with 3 x 3 kernels, after two re-implementations; zero padding, "
        "leaky ReLU 0.2. It sees image, sketch, colours and mask. The squared values of originals have no gradient in "
        "the generator, where the paper puts them: they are added to the discriminator's loss",
        "learning_rate": "not stated, nor are betas, batch size and iterations; one step of the discriminator for each "
        "of the generator",
        "guides": "sketches are this project's, not smoothed curves of HED's edges; colours are the mean of each "
        "region, not the median of a filtered picture. Where a data set has no label maps: [sketch], and hair 0",
        "hair": "the paper erases the hair at random, too; how often is not stated. No stroke starts at an eye",
        "dropped": "0: the paper says nothing of pictures without guides. What is completed without is then unlike all "
        "that the network saw, most of all where no colour, black, is given",
    },
    notes="As released, an upsampled map is its own gate, and the second bias of the transposed convolutions (1,987 "
    "numbers) is never used. The noise is 1 in about 16 % of the pixels. At 256 px the dilated layers see 2 x 2 "
    "pixels.",
)

Guide = Literal["sketch", "colour"]
HAIR = 17  # among the labels of CelebAMask-HQ, in face-parsing's order
THRESHOLD = 1.0  # the noise is 1 where a normal value is larger


class SCFEGANConfig(Config):
    """Sizes and losses of SC-FEGAN."""

    width: int = 64  # channels of the first layer; they double up to eightfold
    levels: int = 7  # halvings
    dilations: tuple[int, ...] = (2, 4, 8, 16)
    discriminator_width: int = 64  # channels of the discriminator's first layer; they double up to fourfold
    discriminator_levels: int = 5  # its halvings
    guides: tuple[Guide, ...] = ("sketch", "colour")  # that it learns from
    dropped: float = 0.0  # share of training pictures without a sketch; the same, drawn again, for colours
    hair: float = 0.5  # share of training pictures whose hair is erased, too
    known: float = 1.0  # weight of the L1 loss on known pixels
    hole: float = 6.0
    perceptual: float = 0.05
    style: float = 120.0
    variation: float = 0.1
    gan: float = 0.001
    penalty: float = 10.0  # weight of the gradient penalty
    drift: float = 0.001  # weight of the squared values of originals
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.5, 0.9)
    batch_size: int = 8
    masks: str = "gconv"  # training draw
    ema: float | None = None  # moving average of the generator; the paper has none

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(2**self.levels)


def activated(x: Tensor) -> Tensor:
    """Leaky ReLU."""
    return F.leaky_relu(x, 0.2)


def normalised(x: Tensor) -> Tensor:
    """Local response normalisation over 11 channels, leaky ReLU: x / sqrt(5e-5 + the sum of their squares)."""
    rows = x.square().permute(0, 2, 3, 1).flatten(1, 2)  # (N, H W, C): channels lie last in memory
    total = 11 * F.avg_pool1d(rows, 11, 1, 5)
    return activated(x * (total + 5e-5).rsqrt().unflatten(1, x.shape[2:]).permute(0, 3, 1, 2))


class Gated(GatedConv):
    """Gated convolution; the filters of features and gates start each by themselves (Glorot and Bengio, 2010)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        stride: int = 1,
        dilation: int = 1,
        activation: Activation = normalised,
    ):
        super().__init__(inputs, outputs, kernel, stride, dilation, activation, padding="same")
        for half in normal_init(self.conv).conv.weight.chunk(2):  # its biases are 0 now
            nn.init.xavier_uniform_(half)


class GatedUp(nn.Module):
    """Transposed convolution to twice the size, leaky ReLU, gated by itself. (N, inputs, H, W) -> (N, outputs, 2H, 2W).

    The second bias stands in the authors' files; their code overwrites what it makes of it.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 5, 2, 1)
        self.unused = nn.Parameter(torch.zeros(outputs))
        normal_init(self)

    def forward(self, x: Tensor) -> Tensor:
        x = activated(self.conv(x)[:, :, :-1, :-1])  # TensorFlow's "same": one row off the start, two off the end
        return x * x.sigmoid()


class Generator(nn.Module):
    """The U-Net (Fig. 2): image, sketch, colours, mask and noise (N, 9, H, W) -> image (N, 3, H, W) in [-1, 1]."""

    def __init__(self, config: SCFEGANConfig):
        super().__init__()
        self.sizes = config.sizes()
        widths = [9, *(config.width * min(2**i, 8) for i in range(config.levels))]
        kernels = [7, 5, 5, *[3] * config.levels]
        activations = [activated] + [normalised] * config.levels
        w = widths[-1]
        self.encoder = nn.ModuleList(
            Gated(inputs, outputs, kernel, 2, activation=activation)
            for (inputs, outputs), kernel, activation in zip(pairwise(widths), kernels, activations, strict=False)
        )
        self.dilated = nn.ModuleList(Gated(w, w, dilation=d) for d in config.dilations)
        self.up, self.decoder = nn.ModuleList(), nn.ModuleList()
        for skip in widths[-2:0:-1]:
            self.up.append(GatedUp(w, skip))
            self.decoder.append(Gated(2 * skip, skip))
            w = skip
        self.up.append(GatedUp(w, 3))
        self.decoder.append(Gated(9 + 3, 3, activation=identity))

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check(x, CARD.name)
        maps = [x]
        for layer in self.encoder:
            maps.append(layer(maps[-1]))
        x = maps.pop()
        for layer in self.dilated:
            x = layer(x)
        for up, layer in zip(self.up, self.decoder, strict=True):
            x = layer(torch.cat([maps.pop(), up(x)], dim=1))
        return x.tanh()

    def official_names(self) -> Iterator[tuple[str, nn.Module]]:
        """Each layer with its name in the authors' file."""
        for i, layer in enumerate(self.encoder, start=1):
            yield f"gconv{i}_ds", layer
        for i, layer in enumerate(self.dilated, start=1):
            yield f"co_conv{i}_dlt", layer
        for i, (up, layer) in enumerate(zip(self.up, self.decoder, strict=True), start=1):
            yield f"deconv{i}", up
            yield f"gconv{len(self.encoder) + i}", layer


class Discriminator(nn.Module):
    """SN-PatchGAN: image, sketch, colours and mask (N, 8, H, W) -> values (N, 4 width, H / 32, W / 32)."""

    def __init__(self, width: int, levels: int = 5):
        super().__init__()
        widths = [8, *(width * min(2**i, 4) for i in range(levels + 1))]
        for i, (inputs, outputs) in enumerate(pairwise(widths), start=1):
            self.add_module(f"conv{i}", spectral_norm(nn.Conv2d(inputs, outputs, 3, 2 if i > 1 else 1, 1)))
        settle(self)

    def forward(self, x: Tensor) -> Tensor:
        *layers, last = self.children()
        for layer in layers:
            x = activated(layer(x))
        return last(x)


class SCFEGAN(Method):
    """SC-FEGAN as released (generator) and as published (training)."""

    card = CARD
    Config = SCFEGANConfig
    config: SCFEGANConfig
    presets = {
        "paper": SCFEGANConfig(),
        "tiny": SCFEGANConfig(
            width=16,
            levels=5,
            dilations=(2,),
            discriminator_width=16,
            discriminator_levels=4,
            dropped=0.5,
            hair=0.2,
            style=20.0,
            learning_rate=1e-3,
            masks="irregular",
            ema=0.98,
        ),
    }

    def __init__(self, config: SCFEGANConfig):
        super().__init__(config)
        self.generator = Generator(config)

    def predict(self, batch: Batch, guides: Tensor, noise: Noise) -> Tensor:
        """The network's image, with sketch and colours (N, 4, H, W) of the hole."""
        specks = (noise.normal(*batch.mask.shape[1:]) > THRESHOLD).to(batch.mask) * batch.mask
        return self.generator(torch.cat([batch.masked, guides, batch.mask, specks], dim=1))

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.predict(batch, drawn(batch), noise)

    def stages(self, features: Source = "official") -> list[Stage]:
        return [SCFEGANStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take the variables of the authors' file, by their TensorFlow names; those of other networks are left out."""
        self.generator.load_state_dict(from_tensorflow(state, self.generator))


def drawn(batch: Batch) -> Tensor:
    """Sketch and colours of the hole (N, 4, H, W); where there are none, no line and -1, which is black."""
    sketch = torch.zeros_like(batch.mask) if batch.sketch is None else batch.sketch
    colour = -torch.ones_like(batch.image) if batch.colour is None else batch.colour
    return torch.cat([sketch, colour], dim=1) * batch.mask


def from_tensorflow(state: Mapping[str, Tensor], generator: Generator) -> dict[str, Tensor]:
    """The authors' variables as our state: filters turned, features and gates in one convolution, BGR to RGB."""
    left = {name.removeprefix("generator/"): value for name, value in state.items() if name.startswith("generator/")}
    if not left:
        raise BenchError(
            "scfegan: the checkpoint has no names with the prefix `generator/`: save the variables of SC-FEGAN.ckpt "
            "under their own names"
        )
    places = {layer: name for name, layer in generator.named_modules()}
    ours: dict[str, Tensor] = {}
    for name, layer in generator.official_names():
        place = f"{places[layer]}.conv"
        if isinstance(layer, GatedUp):
            ours[f"{place}.weight"] = left.pop(f"{name}/w").permute(3, 2, 0, 1)
            ours[f"{place}.bias"], ours[f"{places[layer]}.unused"] = (left.pop(f"{name}/biases{i}") for i in (1, 2))
        else:
            kernels, biases = ([left.pop(f"{name}{gate}/{kind}") for gate in ("", "_g")] for kind in ("kernel", "bias"))
            ours[f"{place}.conv.weight"] = torch.cat(kernels, dim=3).permute(3, 2, 0, 1)
            ours[f"{place}.conv.bias"] = torch.cat(biases)
    colours = [2, 1, 0, 3, 6, 5, 4, 7, 8]  # of image and colour channels
    first, last = "encoder.0.conv.conv", f"decoder.{len(generator.decoder) - 1}.conv.conv"
    ours[f"{first}.weight"] = ours[f"{first}.weight"][:, colours]
    ours[f"{last}.weight"] = ours[f"{last}.weight"][[2, 1, 0, 5, 4, 3]][:, [*colours, 9, 10, 11]]
    ours[f"{last}.bias"] = ours[f"{last}.bias"][[2, 1, 0, 5, 4, 3]]
    return {**ours, **left}  # what is left over is refused as unknown


class SCFEGANStage(Stage):
    """Training on sketches and colours of the hole: one step of the discriminator, then one of the generator."""

    method: SCFEGAN
    iterations = 300_000

    def __init__(self, method: SCFEGAN, features: Source):
        super().__init__(method)
        config = method.config
        self.config, self.masks, self.batch_size = config, config.masks, config.batch_size
        self.guides = (*config.guides, *(["semantics"] if config.hair else []))
        self.ema = {"generator": config.ema} if config.ema else {}
        self.discriminator = Discriminator(config.discriminator_width, config.discriminator_levels)
        layers = ("pool1", "pool2", "pool3")
        self.features = FeatureLoss(layers, layers, features, backbone="vgg16")

    def optimisers(self) -> dict[str, Optimizer]:
        networks, c = {"generator": self.method.generator, "discriminator": self.discriminator}, self.config
        return {name: Adam(network.parameters(), c.learning_rate, c.betas) for name, network in networks.items()}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c = self.config
        batch = self.erased(batch, noise)
        guides = self.shown(batch, noise)
        output = self.method.predict(batch, guides, noise)
        composite = batch.composite(output)

        def judged(image: Tensor) -> Tensor:
            # gradients reach the hole alone; originals and completions are one outside
            return self.discriminator(torch.cat([batch.composite(image), guides, batch.mask], dim=1))

        real, fake = judged(batch.image), judged(output.detach())
        losses = {
            "discriminator": (1 - real).mean() + (1 + fake).mean(),
            "penalty": gradient_penalty(judged, batch.image, composite.detach(), noise),
            "drift": real.square().mean(),
        }
        update("discriminator", losses["discriminator"] + c.penalty * losses["penalty"] + c.drift * losses["drift"])
        error = (output - batch.image).abs()
        raw, pasted = self.features(output, batch.image), self.features(composite, batch.image)
        terms = {
            "known": (error * (1 - batch.mask)).mean(),
            "hole": (error * batch.mask).mean(),
            "perceptual": raw[0] + pasted[0],
            "style": raw[1] + pasted[1],
            "variation": hole_variation(composite, batch.mask),
            "gan": -judged(output).mean(),
        }
        update("generator", torch.stack([getattr(c, name) * term for name, term in terms.items()]).sum())
        return losses | terms

    def erased(self, batch: Batch, noise: Noise) -> Batch:
        """The batch with the hair of some pictures in the hole."""
        if batch.semantics is None or not self.config.hair:
            return batch
        chosen = (noise.uniform(1, 1, 1) < self.config.hair) & (batch.semantics[:, None] == HAIR)
        return replace(batch, mask=torch.maximum(batch.mask, chosen.to(batch.mask)))

    def shown(self, batch: Batch, noise: Noise) -> Tensor:
        """Sketch and colours of the hole, each left out in some pictures."""
        given, absent = drawn(batch), drawn(batch.guided(sketch=None, colour=None))
        sketch, colour = (noise.uniform(2, 1, 1) >= self.config.dropped).split(1, dim=1)
        return torch.where(torch.cat([sketch, colour.expand(-1, 3, -1, -1)], dim=1), given, absent)


def hole_variation(images: Tensor, mask: Tensor) -> Tensor:
    """Total variation of neighbours that both lie in the hole, over all elements."""
    vertical, horizontal = images.diff(dim=2).abs(), images.diff(dim=3).abs()
    down, across = mask[:, :, 1:] * mask[:, :, :-1], mask[..., 1:] * mask[..., :-1]
    return (vertical * down).mean() + (horizontal * across).mean()


def _inputs(inputs: Inputs) -> tuple[Tensor, Tensor, Tensor]:
    """Image and mask, sketch and colours. The golden files' pictures are BGR."""
    image, mask = inputs.image(), inputs.mask()
    sketch = (inputs.image(channels=1, offset=1) > 0.5).double()
    return image, mask, torch.cat([sketch, inputs.image(offset=2)], dim=1) * mask


def _run_generator(method: SCFEGAN, inputs: Inputs) -> dict[str, Tensor]:
    image, mask, guides = _inputs(inputs)
    generator = method.generator
    seen: dict[str, Tensor] = {}
    for name, layer in {
        "enc1": generator.encoder[0],
        "enc4": generator.encoder[3],
        "neck": generator.dilated[-1],
    }.items():
        layer.register_forward_hook(lambda module, given, output, name=name: seen.update({name: output}))
    specks = (inputs.latent(1, 1, 256, 256) > THRESHOLD).double() * mask
    guides = torch.cat([guides[:, :1], guides[:, 1:].flip(1)], dim=1)
    out = generator(torch.cat([(image * (1 - mask)).flip(1), guides, mask, specks], dim=1)).flip(1)
    return {
        "out": out,
        "composite": out * mask + image * (1 - mask),
        "enc1": seen["enc1"][:, ::8],
        "enc4": seen["enc4"][:, ::16],
        "neck": seen["neck"],
    }


def _run_discriminator(network: Discriminator, inputs: Inputs) -> dict[str, Tensor]:
    image, mask, guides = _inputs(inputs)
    seen: list[Tensor] = []
    network.get_submodule("conv2").register_forward_hook(lambda module, given, output: seen.append(activated(output)))
    return {"out": network(torch.cat([image, guides, mask], dim=1)), "conv2": seen[0][:, ::16]}


SCFEGAN.golden = {
    "scfegan.generator": Golden(
        build=SCFEGAN.create,
        load=SCFEGAN.load_official,
        run=_run_generator,
        parts=lambda method: {
            "generator": method.generator,
            "used": nn.ParameterList(p for name, p in method.named_parameters() if not name.endswith("unused")),
        },
        costs={"generator": lambda method: method.generator(torch.empty(1, 9, 256, 256))},
    ),
    "scfegan.discriminator": Golden(
        build=lambda: Discriminator(64),
        run=_run_discriminator,
        parts=lambda network: {"discriminator": network},
        costs={"discriminator": lambda network: network(torch.empty(1, 8, 256, 256))},
    ),
}
