"""Bringing Old Photos Back to Life: photos are mended in a latent space, then faces are drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from baselines.wan2020.detector import Detector
from baselines.wan2020.face import FaceGenerator
from baselines.wan2020.networks import MAPPINGS, VAE, LatentMapping, settled
from baselines.wan2020.training import CleanStage, DetectorStage, FaceStage, MappingStage, PhotoStage, painted
from bench import weights
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.fastgan import settle
from bench.nn.lgnet import Norm
from bench.nn.spade import START

CARD = Card(
    slug="wan2020",
    name="Wan et al.",
    title="Bringing Old Photos Back to Life",
    authors="Wan et al.",
    year=2020,
    venue="CVPR; TPAMI 2022",
    url="https://github.com/microsoft/Bringing-Old-Photos-Back-to-Life",
    task="restoration",
    resolution=256,
    params={
        "face generator": 92_059_587,
        "encoder": 436_096,
        "mapping": 36_135_232,
        "decoder": 436_035,
        "discriminator": 5_529_474,
        "scratch mapping": 51_344_704,
        "HR mapping": 73_904_448,
        "scratch detector": 37_626_177,
    },
    macs={
        "face generator": 136.346e9,
        "encoder": 3.167e9,
        "mapping": 147.975e9,
        "decoder": 3.167e9,
        "scratch mapping": 227.432e9,
        "scratch detector": 72.739e9,
    },
    training="least squares 1, feature matching 10, VGG-19 10, discriminators at two scales; autoencoders: KL 1, for A "
    "a discriminator of latents 1, too, batch 100 (A), 120 (B); mapping: L1 of latents 60, batch 80; Adam 2e-4 (0.5, "
    "0.999), 100 epochs and 100 falling to 0; mapping 150 and 100, half the rate, its discriminator twice, (0, 0.9); "
    "256 px crops",
    features="VGG-19 (ImageNet)",
    convention="1 = scratch, painted white; degraded and restored images in [-1, 1]; tanh",
    licence="MIT (code and models)",
    weights="GitHub release v1.0 of the authors: face_checkpoints.zip (Setting_9_epoch_100: latest_net_G.pth as "
    "`weights`; FaceSR_512 for 512 px) and global_checkpoints.zip, whose networks the options name: VAE_A_quality and "
    "VAE_B_quality (VAE_B_scratch for `scratch` and `hr`): latest_net_G.pth; mapping_quality (mapping_scratch, "
    "mapping_Patch_Attention): latest_net_mapping_net.pth; FT_Epoch_latest.pt of the detector; plain states",
    needs=("degraded",),
    choices={
        "mapping": "quality. What rows of face tables called Wan et al. ran is not stated: here the whole pipeline, a "
        "global stage without scratches, then the face stage. none: the face stage alone. scratch and hr find "
        "scratches first",
        "faces": "true. false: the global stage alone. The picture is the face: none is cropped, none pasted back",
        "normalised": "true: what the global stage gives is spread over the whole range, image by image, as the "
        "authors' program saves it for the face stage",
        "norm": "instance: as released. none, in tiny, with initial values that do without: an image's own norm takes "
        "its colours away, which a short training does not find again",
        "degradation": "gfpgan: ours. The authors degrade photos of VOC",
        "old": "half of domain A's pictures: clean ones, blurred and with grain, in the place of old photos",
        "face training": "not released: here the losses, discriminators and optimiser of the other stages, on what "
        "the global stage gives",
        "detector training": "not released: here the training masks' strokes in white, cross entropy",
        "ttur": "true: two time-scales in the mapping's training. With scratches there is one, as published, and its "
        "discriminator is under spectral norm",
        "shares": "the authors count epochs of their own pictures; how long the face stage learned is not stated",
    },
    notes="Trained at 256 px; all sides that are multiples of 32 are completed. With scratches, affinities take 64 MiB "
    "an image at 256 px, 1 GiB at 512 px.",
)


NORMS: dict[str, Norm] = {"instance": nn.InstanceNorm2d, "none": nn.Identity}
STAGES = ("vae_a", "vae_b", "mapping", "detector", "face")


class Wan2020Config(Config):
    """What runs, sizes and losses."""

    mapping: Literal["quality", "scratch", "hr", "none"] = "quality"  # of the global stage
    faces: bool = True  # the face stage follows
    normalised: bool = True  # the global stage's pictures reach from -1 to 1
    width: int = 64  # channels of the autoencoders, and of their latents
    limit: int = 512  # channels of the mapping: 2, 4 and 8 times as many, at most these
    norm: Literal["instance", "none"] = "instance"  # of autoencoders and mapping
    face_width: int = 64  # channels of the face generator's last block, 16 times as many in its first
    hidden: int = 128  # channels of what scales and shifts are made of
    detector_width: int = 64  # channels of the detector's first layer
    detector_side: int = 256  # the shorter side of what it sees, a multiple of 16
    judge_width: int = 64  # channels of a discriminator's first layer
    batch_sizes: tuple[int, int, int, int, int] = (100, 120, 80, 16, 16)  # of `STAGES`; the last two are ours
    shares: tuple[float, float, float, float, float] = (2, 2, 3, 2, 3)  # of the training, among those that run
    learning_rate: float = 2e-4
    ttur: bool = True  # the mapping learns at half the rate, its discriminator at twice; not with scratches
    adversarial: float = 1.0  # weights of the losses: least squares
    matching: float = 10.0  # feature matching
    perceptual: float = 10.0
    pixels: float = 0.0  # L1; as published: none
    kl: float = 1.0
    merging: float = 1.0  # of domain A's latents
    latent: float = 60.0  # L1 of latents
    old: float = 0.5  # probability that a picture of domain A is an old photo
    degradation: str = "gfpgan"  # recipe
    ema: float = 0.0  # moving average of mapping and face generator; as published: none
    encoder_weights: Path | None = None  # the authors' files beside `weights`: VAE_A's latest_net_G.pth
    mapping_weights: Path | None = None  # latest_net_mapping_net.pth
    decoder_weights: Path | None = None  # VAE_B's latest_net_G.pth
    detector_weights: Path | None = None  # FT_Epoch_latest.pt

    def files(self) -> list[Path]:
        named = (self.encoder_weights, self.mapping_weights, self.decoder_weights, self.detector_weights)
        return [path for path in named if path]

    def sizes(self, features: Source | None = None) -> Sizes:
        if not self.faces and self.mapping != "hr":
            return Sizes(4, 4 if features is None else 32)
        # a patch of the HR mapping has as many pixels; batch normalisation trains on no single one
        return Sizes(START, START if features is None else 2 * START)

    @property
    def scratched(self) -> bool:
        """Whether scratches are found and mended."""
        return self.mapping in ("scratch", "hr")

    @property
    def stages(self) -> list[str]:
        """The stages of its training, in order."""
        mends = self.mapping != "none"
        runs = (mends, mends, mends, self.scratched, self.faces)
        return [name for name, run in zip(STAGES, runs, strict=True) if run]

    def batch_size(self, stage: str) -> int:
        """The batch size of a stage."""
        return self.batch_sizes[STAGES.index(stage)]

    def share(self, stage: str) -> float:
        """The share of the training that a stage has, among those that run."""
        shares = dict(zip(STAGES, self.shares, strict=True))
        return shares[stage] / sum(shares[name] for name in self.stages)


class Wan2020(Method):
    """The authors' pipeline."""

    card = CARD
    Config = Wan2020Config
    config: Wan2020Config
    mapping: LatentMapping
    presets = {
        "paper": Wan2020Config(),
        "scratch": Wan2020Config(mapping="scratch", batch_sizes=(100, 120, 36, 16, 16)),
        "hr": Wan2020Config(mapping="hr", batch_sizes=(100, 120, 36, 16, 16)),
        "tiny": Wan2020Config(
            normalised=False, norm="none", width=32, limit=96, face_width=8, hidden=16, detector_width=8,
            judge_width=16, detector_side=64, batch_sizes=(4, 4, 4, 4, 4), shares=(1, 1, 2, 2, 5),
            learning_rate=1e-3, ttur=False, adversarial=0.05, matching=0.2, perceptual=1, pixels=10, kl=1e-4,
            merging=0.1, latent=1, degradation="mild",
        ),
    }  # fmt: skip

    def __init__(self, config: Wan2020Config):
        super().__init__(config)
        c = config
        if not c.stages:
            raise BenchError("wan2020: nothing runs with `mapping: none` and `faces: false`: change one of them")
        if c.mapping != "none":
            norm = NORMS[c.norm]
            self.vae_a, self.vae_b = VAE(c.width, norm), VAE(c.width, norm)
            self.mapping = MAPPINGS[c.mapping](c.width, c.limit, norm)
            if c.norm == "none":
                settled(self.mapping)
        if c.scratched:
            self.detector = Detector(c.detector_width, c.detector_side)
        if c.faces:
            self.face = FaceGenerator(c.face_width, c.hidden)
            settle(self.face)

    def networks(self) -> dict[str, nn.Module]:
        found: dict[str, nn.Module] = {"face generator": self.face} if self.config.faces else {}
        if self.config.scratched:
            found["scratch detector"] = self.detector
        if self.config.mapping != "none":
            names = {"quality": "mapping", "scratch": "scratch mapping", "hr": "HR mapping"}
            found |= {"encoder": self.vae_a.encoder, names[self.config.mapping]: self.mapping}
            found["decoder"] = self.vae_b.decoder
        return found

    def mended(self, images: Tensor) -> Tensor:
        """The global stage, if it runs: images (N, 3, H, W) in [-1, 1] -> the same."""
        if self.config.mapping == "none":
            return images
        for network in (self.vae_a, self.mapping, self.vae_b):
            network.eval()  # in training, too: other stages train them
        mask = torch.zeros_like(images[:, :1])
        if self.config.scratched:
            mask = self.detector.eval().find(images)
            images = painted(images, mask)
        mended = self.vae_b.decoder(self.mapping(self.vae_a.encoder(images), mask))
        return spread(mended) if self.config.normalised else mended

    def steps(self, batch: Batch, noise: Noise) -> list[Tensor]:
        """The global stage's picture, then the face stage's."""
        degraded = batch.need("degraded")
        self.config.sizes().check(degraded, CARD.slug)
        mended = self.mended(degraded)
        shown = [] if self.config.mapping == "none" else [mended]
        return [*shown, self.face(mended)] if self.config.faces else shown

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.steps(batch, noise)[-1]

    def stages(self, features: Source = "official") -> list[Stage]:
        every: dict[str, Callable[[], Stage]] = {
            "vae_a": lambda: PhotoStage(self, features),
            "vae_b": lambda: CleanStage(self, features),
            "mapping": lambda: MappingStage(self, features),
            "detector": lambda: DetectorStage(self),
            "face": lambda: FaceStage(self, features),
        }
        return [every[name]() for name in self.config.stages]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take the face generator's latest_net_G.pth, without faces the mapping's file; options name the others."""
        c, wanted = self.config, dict[str, nn.Module]()
        if c.mapping != "none":
            wanted = {"encoder_weights": self.vae_a, "mapping_weights": self.mapping, "decoder_weights": self.vae_b}
        if c.scratched:
            wanted["detector_weights"] = self.detector
        (self.face if c.faces else wanted.pop("mapping_weights")).load_state_dict(state)
        for option, network in wanted.items():
            path: Path | None = getattr(c, option)
            if path is None:
                raise BenchError(
                    f"wan2020: name the authors' files in the suite's `options: {{{': , '.join(wanted)}: }}`"
                )
            weights.load_second(network, "wan2020", option, path, _without_filters)


def _without_filters(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the constants of the authors' anti-aliased layers."""
    return {name: value for name, value in state.items() if not name.endswith(".filt")}


def spread(images: Tensor) -> Tensor:
    """Each image (N, 3, H, W) from -1, its darkest value in any colour, to 1, its brightest."""
    least, most = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    return 2 * (images - least) / (most - least).clamp(min=1e-5) - 1


def _run_vae(network: VAE, inputs: Inputs) -> dict[str, Tensor]:
    latent = network.encoder(inputs.image())
    return {"latent": latent, "image": network.decoder(latent)}


def _mapping(kind: str) -> Golden:
    def run(network: LatentMapping, inputs: Inputs) -> dict[str, Tensor]:
        return {"latent": network(0.5 * inputs.latent(1, 64, 32, 32), inputs.mask(128))}

    def cost(network: LatentMapping) -> Tensor:
        return network(torch.empty(1, 64, 64, 64), torch.empty(1, 1, 256, 256))

    return Golden(
        build=lambda: MAPPINGS[kind](64, 512, nn.InstanceNorm2d),
        run=run,
        parts=lambda network: {"total": network, **dict(network.named_children())},
        costs={"256 image (64x64 latent)": cost},
    )


def _run_detector(network: Detector, inputs: Inputs) -> dict[str, Tensor]:
    logits = network(inputs.image(channels=1))
    return {"logits": logits, "probability": logits.sigmoid()}


def _image(side: int) -> Callable[[nn.Module], Tensor]:
    return lambda network: network(torch.empty(1, 3, side, side))


Wan2020.golden = {
    "wan2020.vae": Golden(
        build=lambda: VAE(64, nn.InstanceNorm2d),
        run=_run_vae,
        parts=lambda network: {"total": network, **dict(network.named_children())},
        costs={
            "encoder 256": lambda network: network.encoder(torch.empty(1, 3, 256, 256)),
            "decoder 256": lambda network: network.decoder(torch.empty(1, 64, 64, 64)),
        },
    ),
    "wan2020.mapping_quality": _mapping("quality"),
    "wan2020.mapping_scratch": _mapping("scratch"),
    "wan2020.mapping_hr": _mapping("hr"),
    "wan2020.face": Golden(
        build=lambda: FaceGenerator(64, 128),
        run=lambda network, inputs: {"image": network(inputs.image())},
        parts=lambda network: {"total": network},
        costs={"256": _image(256), "512": _image(512)},
    ),
    "wan2020.detector": Golden(
        build=lambda: Detector(64, 256),
        run=_run_detector,
        parts=lambda network: {"detector": network},
        costs={"256": lambda network: network(torch.empty(1, 1, 256, 256))},
    ),
}
