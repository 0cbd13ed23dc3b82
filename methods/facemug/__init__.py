"""FACEMUG: edits a face inside a mask, guided by a sketch, a label map, colours, an exemplar, in any combination."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.e4e import E4E
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.psp import ProgressiveEncoder
from bench.nn.stylegan2 import Width, fixed
from bench.nn.stylegan2_training import mixed_codes
from bench.nn.text import fingerprint
from methods.facemug.networks import (
    CHANNELS,
    CLASSES,
    Encoded,
    FusionKind,
    LatentWarping,
    MultimodalGenerator,
    StyleEncoder,
    shown,
    stacked,
)
from methods.facemug.text import edited, judge
from methods.facemug.training import EncoderStage, GeneratorStage, Likeness, WarpingStage

CARD = Card(
    slug="facemug",
    name="FACEMUG",
    title="FACEMUG: A Multimodal Generative and Fusion Framework for Local Facial Editing",
    authors="Lu et al.",
    year=2024,
    venue="IEEE TVCG",
    url="",
    task="editing",
    resolution=256,
    params={
        "style encoder": 267_149_952,
        "latent warping": 10_502_144,
        "generator": 111_523_245,
        "discriminator": 28_864_129,
    },
    macs={"style encoder": 73.349e9, "latent warping": 0.228e9, "generator": 198.716e9},
    published={
        "time": "29 ms an image on an RTX 4090",
        "FFHQ": "FID 2.26, U-IDS 30.38 %, LPIPS 0.1162 with sketch and label map inside local masks (table 6.2)",
        "CelebA-HQ": "FID 10.36, U-IDS 0.63 %, LPIPS 0.1371 (likewise)",
    },
    training="Adam 0.002 (0.5, 0.99), batch 8, 800,000 iterations for the generator; non-saturating loss with R1 gamma "
    "10, identity 0.1, attribute 0.1, LPIPS (VGG) 0.5; warping: identity, LPIPS, attribute 0.1 each; style encoder: "
    "e4e's losses with identity 0.5, Ranger 1e-4, 200,000 iterations",
    features="LPIPS (VGG-16; AlexNet for the encoder), ArcFace (ResNet-101; IR-SE50 for the encoder)",
    convention="1 = edited; guides are multiplied by the mask; linear output",
    licence="only the style encoder's trainer is public: MIT; the StyleGAN2 weights: Nvidia, non-commercial",
    weights="none were released; the prior e4e takes e4e_ffhq_encode.pt (1024 px, 18 styles)",
    requires=("e4e",),
    takes=("exemplar", "sketch", "semantics", "colour", "text"),
    choices={
        "generator": "not public; EXE-GAN's without a mapping network: same layers, global code and dropout",
        "aggregated": "not public; 64 channels, residual blocks of two 3 x 3 convolutions, and the image's block sees "
        "the mask too",
        "fusion": "style: modulated convolutions by the next layer's code, the layout is not public. gated, addition: "
        "rows (C) and (B) of table 6.6, where bank and encoder map enter the same convolution or sum",
        "warping": "not public; VSPBFR's released block with the codes' difference as condition",
        "bank": "not public; as VSPBFR's: StyleGAN2's map after the first layer of each resolution, with fresh noise. "
        "A prior with other channels has them fitted by 1 x 1 convolutions",
        "codes": "not public; the decoder sees w_bar in tests as in training. Without an exemplar w_bar = w_p, which "
        "is not warped: training takes the bank of w_p too. An exemplar's other channels are 0",
        "random": "share of a random code in w_bar in tests: 0 by default; in training it is drawn",
        "diversity": "false: row (D); w_bar is the exemplar's code alone, our reading of a plain attribute loss",
        "dropping": "released: one modality under a large mask, each other one under a mask or absent, half each. "
        "thesis: algorithm 3, all others absent",
        "masks": "each modality has the mask of another image of the batch, shifted by a random number of places; the "
        "release draws new ones, sparser ones for the modalities that are not chosen",
        "attribute": "not public; mean squared error of the codes. LPIPS is summed over the batch, as by the authors "
        "elsewhere, but averaged for the warping",
        "target": "not public; the warped code is compared with the picture's own code, its image with the picture",
        "text": "not public; CLIP ViT-B/32 as in StyleCLIP, and Adam. The distance of codes is their mean squared "
        "difference, as elsewhere. Only the bank sees w*, as F_s = S(w*) says. embedded: for synthetic faces",
        "text_weight": "the thesis prints both a default of 0.05 and a range of [0.1, 1.0]",
        "iterations": "the warping's are not public: 200,000, with the generator's optimiser",
        "ema": "not public; EXE-GAN's 0.99778 for the generator",
    },
    notes="A direction w_d of StyleGAN2's codes is added between the calls of `codes` and `draw`: w* = w_hat + "
    "strength * w_d. Sketches are not eroded in training.",
)

Modality = Literal["sketch", "semantics", "colour"]


class FACEMUGConfig(Config):
    """Sizes and losses of FACEMUG."""

    size: int = 256  # of the images, a power of two
    width: int = 32768  # channels at resolution r: width / r, at most `limit`
    limit: int = 512
    code: int = 512  # entries of a code; the prior's
    whole: int = 1024  # entries of the code of the whole picture
    aggregated: int = 64  # channels of the aggregated modalities
    warps: int = 4  # blocks of the latent warping
    fusion: FusionKind = "style"  # of the decoder's map with the encoder's and the bank's
    bank: bool = True  # with the facial feature bank
    diversity: bool = True  # the codes of other exemplars are mixed with random ones in training
    modalities: tuple[Modality, ...] = ("sketch", "semantics", "colour")  # that it learns and takes
    random: float = 0.0  # share of a random code in an exemplar's codes, in tests
    mixing: float = 0.5  # probability of two random codes in one image
    shares: tuple[float, float, float] = (1 / 6, 1 / 6, 2 / 3)  # of the budget: encoder, warping, generator
    dropping: Literal["released", "thesis"] = "released"  # of modalities while the encoder learns
    encoder_identity: float = 0.5  # weight of its identity loss; all others are e4e's
    encoder_start: int | None = 20_000  # iterations of its base code alone; None: all offsets from the beginning
    encoder_every: int = 2_000  # iterations between two offsets
    warp: float = 0.1  # weight of the warping's identity, LPIPS and attribute losses
    rho: float = 0.5  # probability that the exemplar is the picture itself, and guides are given
    omega: float = 0.8  # probability that a modality is kept then
    learning_rate: float = 0.002
    beta1: float = 0.5  # of Adam
    batch_size: int = 8
    identity: float = 0.1
    attribute: float = 0.1
    lpips: float = 0.5  # summed over the batch
    gamma: float = 10.0  # weight of R1
    r1_every: int = 16  # iterations
    ema: float = 0.5 ** (32 / 10_000)  # moving average of the generator
    masks: str = "comodgan"  # training draw
    text: Source = "official"  # network that compares a text with the image: CLIP, or the embedded one
    text_steps: int = 100  # of gradient descent towards a text
    text_rate: float = 0.1  # learning rate of Adam then
    text_weight: float = 0.05  # of the text's loss
    text_distance: float = 0.08  # weight of the distance of the codes

    def sizes(self, features: Source | None = None) -> Sizes:
        return fixed(self.size)

    def stand_ins(self, guides: Collection[str]) -> list[str]:
        if self.text == "official" or "text" not in guides:
            return []
        return [f"texts are compared with images by {fingerprint()}; the published method uses CLIP"]


class FACEMUG(Method):
    """FACEMUG after the thesis' text and the authors' related code."""

    card = CARD
    Config = FACEMUGConfig
    config: FACEMUGConfig
    styles: StyleEncoder
    presets = {
        "paper": FACEMUGConfig(),
        "tiny": FACEMUGConfig(
            size=64, width=1024, limit=64, code=64, whole=128, aggregated=16, warps=2, shares=(0.15, 0.1, 0.75),
            encoder_start=None, rho=0.8, omega=0.6, learning_rate=0.008, gamma=1, ema=0.99, text="embedded",
            text_steps=30,
        ),
    }  # fmt: skip
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {  # thesis, table 6.6
        "(B)": {"fusion": "addition"},
        "(C)": {"fusion": "gated"},
        "(D)": {"diversity": False},
        "(E)": {"bank": False},
    }

    def __init__(self, config: FACEMUGConfig):
        super().__init__(config)
        c = config
        self.generator = MultimodalGenerator(
            c.size, Width(c.width, c.limit), c.code, c.whole, c.aggregated, c.fusion, c.bank
        )
        if c.bank:
            self.warping = LatentWarping(c.code, c.warps)

    def attach(self, priors: Mapping[str, Method]) -> None:
        prior, c, layers = priors["e4e"], self.config, self.generator.codes
        assert isinstance(prior, E4E)
        given = prior.config
        if given.dim != c.code or given.styles < max(layers, prior.decoder.codes):
            raise BenchError(
                f"facemug at {c.size} px takes {max(layers, prior.decoder.codes)} codes of {c.code} values, its prior "
                f"e4e gives {given.styles} of {given.dim}: choose another preset of it under `priors`"
            )
        self.styles = StyleEncoder.of(prior)
        if c.bank:
            self.generator.accept(prior.decoder)

    def networks(self) -> dict[str, nn.Module]:
        networks: dict[str, nn.Module] = {"generator": self.generator}
        if self.config.bank:
            networks["latent warping"] = self.warping
        if hasattr(self, "styles"):
            networks |= {"style encoder": self.styles.encoder, "feature bank": self.styles.decoder}
        return networks

    def warp(self, target: Tensor, source: Tensor) -> Tensor:
        """w_wa = H(w_ta - w_so, w_so) + w_so (Eq. 6.2): the source codes with the pose of the target's."""
        return self.warping(target - source, source) + source

    def random_codes(self, noise: Noise) -> Tensor:
        """w_z (N, styles, D): codes of random z."""
        c = self.config
        return mixed_codes(self.styles.decoder.style, noise, c.code, self.styles.config.styles, c.mixing)

    def codes(self, batch: Batch, noise: Noise) -> tuple[Tensor, Tensor]:
        """w_bar, the style, and w_hat, the same in the pose of the masked picture; (N, styles, D) each."""
        own = self.styles.codes(stacked(batch))  # w_p
        if batch.exemplar is None:
            return own, own
        style = self.styles.exemplar_codes(batch.exemplar)
        if self.config.random:
            style = style.lerp(self.random_codes(noise), self.config.random)
        return style, self.warp(own, style) if self.config.bank else style

    def draw(self, batch: Batch, style: Tensor, posed: Tensor, noise: Noise) -> Tensor:
        """G(A(X), w_bar, F_s): images (N, 3, H, W) in the style w_bar, with the features of S for the codes `posed`.

        The batch's guides are already masked (`shown`).
        """
        return self.drawing(batch, noise)(style, posed)

    def drawing(self, batch: Batch, noise: Noise) -> Callable[..., Tensor]:
        """`draw` as a function of the codes, for one draw of its random numbers."""
        generator, styles, given = self.generator, self.styles, stacked(batch)
        maps = noise.maps(styles.decoder.sides) if self.config.bank else None
        random = generator.random(noise)

        def draw(style: Tensor, posed: Tensor, encoded: Encoded | None = None) -> Tensor:
            bank = None if maps is None else styles.features(posed, generator.size, maps)
            return generator(given, batch.mask, style[:, : generator.codes], bank=bank, encoded=encoded, **random)

        return draw

    def edit(self, batch: Batch, style: Tensor, posed: Tensor, noise: Noise) -> Tensor:
        """The images of w*, which the batch's texts make of the codes `posed`; without a bank, of the style."""
        if batch.text is None:
            return self.draw(batch, style, posed, noise)
        c, draw = self.config, self.drawing(batch, noise)
        encoded = self.generator.encode(stacked(batch), batch.mask)

        def completed(codes: Tensor) -> Tensor:
            return batch.composite(draw(style if c.bank else codes, codes, encoded))

        network = judge(c.text, batch.image.device)
        return completed(
            edited(posed, batch.text, completed, network, c.text_steps, c.text_rate, c.text_weight, c.text_distance)
        )

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        given = shown(batch, dict.fromkeys(self.config.modalities, batch.mask))
        return self.edit(given, *self.codes(given, noise), noise)

    def stages(self, features: Source = "official") -> list[Stage]:
        """The style encoder, the latent warping where there is a bank to warp for, the generator."""
        likeness = Likeness(features)
        stages: list[Stage] = [EncoderStage(self, features), GeneratorStage(self, likeness)]
        if self.config.bank:
            stages.insert(1, WarpingStage(self, likeness))
        whole = sum(stage.share for stage in stages)
        for stage in stages:
            stage.share /= whole
        return stages


def _run_encoder(encoder: ProgressiveEncoder, inputs: Inputs) -> dict[str, Tensor]:
    sketch = (inputs.image(offset=1)[:, :1] > 0.5).double()
    cells = F.one_hot(inputs.latent(1, CLASSES, 16, 16, offset=100).argmax(1), CLASSES)
    labels = cells.permute(0, 3, 1, 2).repeat_interleave(16, 2).repeat_interleave(16, 3).double()
    return {"codes": encoder(torch.cat([inputs.image(), sketch, labels, inputs.image(offset=2)], dim=1))}


FACEMUG.golden = {
    "facemug.encoder": Golden(
        build=lambda: ProgressiveEncoder(18, CHANNELS),
        run=_run_encoder,
        parts=lambda encoder: {"facemug.encoder": encoder},
        costs={"facemug.encoder": lambda encoder: encoder(torch.empty(1, CHANNELS, 256, 256))},
    ),
}
