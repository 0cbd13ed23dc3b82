"""pixel2style2pixel: one pass of a feature-pyramid encoder gives the codes of a frozen StyleGAN2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer

from baselines.arcface import IdentityLoss
from baselines.stylegan2 import StyleGAN2
from bench import weights
from bench.data.guides.semantics import CLASSES
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn.celebamask import relabelled
from bench.nn.irse import UNITS, WIDTHS, Trunk
from bench.nn.perceptual import Frozen, PerceptualDistance, frozen, lpips_network
from bench.nn.psp import GradualStyleEncoder, SingleCodeEncoder, SingleLayerEncoder
from bench.nn.ranger import Ranger
from bench.nn.stylegan2 import Generator, mean_code, without_constants

CARD = Card(
    slug="psp",
    name="pSp",
    title="Encoding in Style: a StyleGAN Encoder for Image-to-Image Translation",
    authors="Richardson, Alaluf, Patashnik, Nitzan, Azar, Shapiro, Cohen-Or",
    year=2021,
    venue="CVPR 2021; arXiv 2008.00951",
    url="https://arxiv.org/abs/2008.00951",
    task="prior",
    completes=True,
    resolution=256,
    params={"encoder": 267_136_704, "decoder": 30_370_060},
    macs={"encoder": 72.481e9, "decoder": 75.38e9},
    training="Ranger 1e-4 (0.95, 0.999), batch 8, up to 500,000 steps; L2 1, LPIPS (AlexNet) 0.8, identity 0.1; "
    "segmentation: identity 0, w-norm 0.005. The encoder starts from the recogniser's trunk",
    features="IR-SE50 (ArcFace), AlexNet (LPIPS v0.1)",
    convention="no masks; images in [-1, 1] at 256 px, output pooled to 256 px",
    licence="MIT; the StyleGAN2 weights inside: Nvidia, non-commercial",
    weights="the authors' Google Drive: psp_ffhq_encode.pt and others (1024 px): {state_dict: encoder., decoder.; "
    "latent_avg}",
    trained_on={"ffhq": "all"},
    requires=("stylegan2",),
    choices={
        "size": "paper: 1024, as all released models (18 styles); a prior of 256 px reads the first 14. Preset 256: 14",
        "encoder": "gradual: the paper's. w, w+: the ablations of its Table 1",
        "input": "image: as released; as a row it inverts the masked picture with holes of 0, which it never saw in "
        "training. erased: it is trained on such pictures. semantics, sketch: it draws faces of label maps, or of "
        "sketches, that the condition shows, as whole+sketch; of the layout that is wanted where there is one",
        "noise": "fresh in every completion, where the released files have stored maps",
        "sketch": "the project's own: black lines on white. The authors' are drawn by the same filter, and cleaned by "
        "a network (Simo-Serra et al.) whose file PyTorch no longer reads",
    },
    notes="Presets `segmentation` and `sketch`: 267,145,920 and 267,135,552 parameters of the encoder; their files are "
    "psp_celebs_seg_to_face.pt and psp_celebs_sketch_to_face.pt, trained on CelebA-HQ. Where FACEMUG's tables print "
    "TediGAN for such faces, they print pSp's values again: one measurement.",
)


class PSPConfig(Config):
    """Sizes and losses of pSp."""

    size: int = 1024  # pixels of the generator's images; it takes 2 log2(size) - 2 styles
    pixels: int = 256  # of the encoder's input, and of the images that the losses compare
    input: Literal["image", "erased", "semantics", "sketch"] = "image"  # what is encoded; erased: holes are 0
    encoder: Literal["gradual", "w+", "w"] = "gradual"
    widths: tuple[int, int, int, int] = WIDTHS  # channels of the four groups of units
    units: tuple[int, int, int, int] = UNITS
    dim: int = 512  # values of a code
    from_average: bool = True  # the encoder gives offsets from the mean latent
    learning_rate: float = 1e-4
    l2: float = 1.0
    lpips: float = 0.8
    identity: float = 0.1
    norm: float = 0.0  # of the codes' distance from the mean latent

    @property
    def styles(self) -> int:
        """Codes of an image."""
        return 2 * (self.size.bit_length() - 1) - 2

    @property
    def channels(self) -> int:
        """Of the encoder's input."""
        return {"semantics": CLASSES, "sketch": 1}.get(self.input, 3)

    def guided_by(self) -> tuple[str, ...]:
        return (self.input,) if self.input in ("semantics", "sketch") else ()

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(square=True)


class PSP(Method):
    """An encoder of images to the codes of a StyleGAN2, which is attached as `decoder`."""

    card = CARD
    Config: ClassVar[type[PSPConfig]] = PSPConfig
    config: PSPConfig
    decoder: Generator
    latent_avg: Tensor  # (styles, dim)
    complete_weights = True
    presets = {
        "paper": PSPConfig(),
        "256": PSPConfig(size=256),
        "segmentation": PSPConfig(input="semantics", identity=0.0, norm=0.005),
        "sketch": PSPConfig(input="sketch", identity=0.0, norm=0.005),
        "tiny": PSPConfig(size=64, pixels=64, widths=(16, 32, 64, 128), units=(1, 1, 2, 1), dim=64, learning_rate=2e-3),
    }
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "W Encoder": {"encoder": "w"},
        "Naive W+": {"encoder": "w+"},
        "pSp w/o ID": {"identity": 0.0},
    }

    def __init__(self, config: PSPConfig):
        super().__init__(config)
        self.encoder = self.make_encoder()
        self.register_buffer("latent_avg", torch.zeros(config.styles, config.dim))

    def make_encoder(self) -> Trunk:
        """The encoder of the configuration."""
        c = self.config
        if c.encoder == "w":
            return SingleCodeEncoder(c.channels, c.widths, c.units, c.dim)
        if c.encoder == "w+":
            return SingleLayerEncoder(c.styles, c.channels, c.widths, c.units, c.dim)
        return GradualStyleEncoder(c.styles, c.channels, c.pixels, c.widths, c.units, c.dim)

    def attach(self, priors: Mapping[str, Method]) -> None:
        self.decoder = cast(StyleGAN2, priors["stylegan2"]).generator
        frozen(self.decoder)
        self.latent_avg.copy_(mean_code(self.decoder.style, self.config.dim, 10_000))

    def codes(self, images: Tensor, **options: Any) -> Tensor:
        """Codes (N, styles, dim) of images (N, channels, H, W) in [-1, 1], the mean latent added."""
        codes = self.encoder(resized(images, self.config.pixels), **options)
        if codes.ndim == 2:
            codes = codes[:, None].expand(-1, self.config.styles, -1)
        return codes + self.latent_avg if self.config.from_average else codes

    def decode(self, codes: Tensor, noise: Noise | None = None) -> Tensor:
        """Images (N, 3, S, S) of codes, S the generator's size; with fresh noise in every layer where it is given.

        A generator of fewer pixels reads the first of the codes, as methods at 256 px do with the released encoders.
        """
        maps = noise.maps(self.decoder.sides) if noise else None
        return self.decoder(codes[:, : self.decoder.codes], maps)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        """The image of the masked picture's codes, at the size of the picture. Its known pixels are near, not equal."""
        self.config.sizes().check(batch.image, self.card.name)
        erased = replace(batch, image=batch.masked)
        images = resized(self.decode(self.codes(self.source(erased)), noise), batch.masked.shape[-1])
        return images.clamp(-1, 1)

    def source(self, batch: Batch) -> Tensor:
        """What the encoder sees of a batch, at the encoder's size."""
        pixels = self.config.pixels
        if self.config.input == "semantics":
            return F.interpolate(relabelled(batch)[1], size=(pixels, pixels), mode="nearest")
        if self.config.input == "sketch":
            return resized(1 - batch.need("sketch").to(batch.image), pixels)  # lines are 0, paper is 1
        return resized(batch.masked if self.config.input == "erased" else batch.image, pixels)

    def stages(self, features: Source = "official") -> list[Stage]:
        self.check_generator()
        return [PSPStage(self, features)]

    def check_generator(self) -> None:
        """Raise BenchError when the attached generator takes more codes than the encoder gives."""
        ours, given = self.config.size, self.decoder.size
        if given > ours:
            raise BenchError(
                f"{self.card.slug} encodes for a generator of {ours} px and the prior stylegan2 makes {given} px: "
                f"set its option size to {given}, or name a stylegan2 of {ours} px under `priors`"
            )

    def load_official(self, state: Mapping[str, Any]) -> None:
        self.encoder.load_state_dict(part(state["state_dict"], "encoder."))
        self.decoder = Generator(self.config.size, code=self.config.dim)  # the file brings its own
        self.decoder.load_state_dict(without_constants(part(state["state_dict"], "decoder.")))
        frozen(self.decoder)
        if self.config.from_average:
            self.latent_avg.copy_(state["latent_avg"])


class InversionLoss(Frozen):
    """How far images are from their originals: L2, LPIPS and identity, by their weights (Eq. 5, without the norm)."""

    def __init__(self, config: PSPConfig, features: Source):
        super().__init__()
        self.config = config
        self.lpips = PerceptualDistance("embedded") if features == "embedded" else frozen(lpips_network("alex"))
        self.identity = IdentityLoss(features) if config.identity else None

    def forward(self, output: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum, and its terms; images (N, 3, H, W) in [-1, 1]."""
        terms = {"l2": F.mse_loss(output, target), "lpips": self.lpips(output, target).mean()}
        if self.identity:
            terms["identity"] = self.identity(output, target).mean()
        total = sum((getattr(self.config, name) * term for name, term in terms.items()), output.new_zeros(()))
        return total, terms


class PSPStage(Stage):
    """The encoder learns to reproduce its input; the generator stays as it is."""

    method: PSP
    iterations, batch_size = 500_000, 8
    fresh: ClassVar[bool] = True  # the encoder starts from the published recogniser; else as it is

    def __init__(self, method: PSP, features: Source, config: PSPConfig | None = None):
        """`config`: other losses than the method's."""
        super().__init__(method)
        self.config = config or method.config
        self.guides = self.config.guided_by()
        self.mirrored = not self.guides
        self.loss = InversionLoss(self.config, features)
        if features == "official" and self.fresh:
            start_from_recogniser(method.encoder, weights.load("arcface-ir-se50"))

    def optimisers(self) -> dict[str, Optimizer]:
        return {"encoder": Ranger(self.method.encoder.parameters(), self.config.learning_rate)}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        codes = self.method.codes(self.source(batch))
        total, losses = self.loss(*self.pair(codes, batch.image, noise))
        if self.config.norm:
            losses["norm"] = (codes - self.method.latent_avg).flatten(1).norm(dim=1).mean()
            total = total + self.config.norm * losses["norm"]
        update("encoder", total)
        return losses

    def source(self, batch: Batch) -> Tensor:
        """What the encoder sees of a batch, at the encoder's size."""
        return self.method.source(batch)

    def pair(self, codes: Tensor, images: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """What the generator makes of the codes, with fresh noise, and the originals; both of the losses' size."""
        pixels = self.config.pixels
        return F.adaptive_avg_pool2d(self.method.decode(codes, noise), pixels), resized(images, pixels)


def resized(images: Tensor, pixels: int) -> Tensor:
    """Square images of that size; antialiased where they shrink."""
    if images.shape[2:] == (pixels, pixels):
        return images
    return F.interpolate(images, size=(pixels, pixels), mode="bilinear", align_corners=False, antialias=True)


def part(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The entries behind a prefix, without it."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def start_from_recogniser(encoder: Trunk, state: Mapping[str, Tensor]) -> None:
    """Take the trunk of the published recogniser; its input layer only where the input is RGB too."""
    own = encoder.state_dict()
    rgb = own["input_layer.0.weight"].shape[1] == 3
    trunk = {k: v for k, v in state.items() if k.startswith("body.") or (rgb and k.startswith("input_layer."))}
    encoder.load_state_dict(own | trunk)


def _codes(build: Any, given: Any, name: str) -> Golden:
    return Golden(
        build=build,
        run=lambda network, inputs: {"codes": network(given(inputs))},
        parts=lambda network: {name: network},
        costs={name: lambda network: network(torch.empty(1, network.input_layer[0].in_channels, 256, 256))},
    )


def _labels(inputs: Inputs) -> Tensor:
    """One label for each cell of 16 x 16 pixels."""
    cells = inputs.latent(1, 19, 16, 16, offset=100).argmax(1)
    maps = F.one_hot(cells, 19).permute(0, 3, 1, 2)
    return maps.repeat_interleave(16, 2).repeat_interleave(16, 3).double()


PSP.golden = {
    name: _codes(build, given, name)
    for name, build, given in (
        ("psp.encoder", GradualStyleEncoder, Inputs.image),
        ("psp.encoder256", lambda: GradualStyleEncoder(14), Inputs.image),
        ("psp.seg", lambda: GradualStyleEncoder(channels=19), _labels),
        ("psp.w", SingleCodeEncoder, Inputs.image),
        ("psp.wplus", SingleLayerEncoder, Inputs.image),
    )
}
