"""MaskGAN: draws a face anew from a label map that may be edited, in the style of a picture and its own label map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from baselines.maskgan import training
from baselines.maskgan.networks import HALVED, LABELS, Blend, Generator, MaskVAE
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.celebamask import relabelled
from bench.nn.lgnet import Norm
from bench.nn.multiscale import Discriminator

CARD = Card(
    slug="maskgan",
    name="MaskGAN",
    title="MaskGAN: Towards Diverse and Interactive Facial Image Manipulation",
    authors="Lee et al.",
    year=2020,
    venue="CVPR",
    url="https://github.com/switchablenorms/CelebAMask-HQ",
    task="editing",
    resolution=512,
    params={
        "generator": 89_702_595,
        "blend generator": 4_329_443,
        "discriminator": 5_568_386,
        "mask VAE": 170_619_571,
    },
    macs={"generator": 35.425e9, "blend generator": 6.361e9, "discriminator": 5.006e9, "mask VAE": 12.642e9},
    training="least squares 1, feature matching 10, VGG-19 10, of the reconstruction and of the blended picture; "
    "discriminators at two scales; Adam 5e-5 (0.5, 0.999), 100 epochs and 100 falling to 0",
    features="VGG-19 (ImageNet)",
    convention="no masks: the whole picture is drawn anew; labels in CelebAMask-HQ's own order; tanh",
    licence="non-commercial research and education; parts of it: CC BY-NC-SA 4.0 (pix2pixHD)",
    weights="the authors' label2face_512p (Google Drive): latest_net_G.pth, a plain state of generator and encoders",
    trained_on={"celeba-hq": ""},
    needs=("source", "semantics"),
    takes=("layout",),
    choices={
        "training": "not released but for the model file and Adam's options. Ours: VAE, generator, editing, each with "
        "its own count of epochs of 28,000 pictures (50, 200, 50) and batch (16, 8, 8)",
        "vae": "not released: cross entropy of the labels, KL 1e-5 (sum over the code), Adam 1e-3",
        "reach": "the way from a picture's code towards another one's, and away from it: the paper's equation has 1 / "
        "2.5, the released code no number. The other one is the next picture of the batch",
        "vae_size": "label maps are brought to its size, and back, by nearest pixels: other sizes are trained on, too",
        "discriminator": "of its losses of generated pictures, reconstruction and blended picture count half each; it "
        "goes on in the last stage",
        "norm": "instance: as released. none, in tiny: norms after the blocks take the style's colours away, which a "
        "short training does not find again",
        "initial values": "not stated: PyTorch's own; the discriminator's are those of pix2pixHD",
    },
    notes="All sides that are multiples of 32 are edited. Costs are those at 256 px, but the mask VAE's at 512 px. "
    "Nothing outside an edit is kept by the network: the harness pastes the picture around the mask.",
)

NORMS: dict[str, Norm] = {"instance": nn.InstanceNorm2d, "none": nn.Identity}


class MaskGANConfig(Config):
    """Sizes and losses of MaskGAN."""

    width: int = 64  # channels of the generator at full size; doubled with each halving
    halvings: int = 4
    blocks: int = 4  # residual blocks at its smallest size
    norm: Literal["instance", "none"] = "instance"  # of the layers after them
    style_width: int = 16  # channels of the encoders' first layers
    blend_width: int = 32
    vae_size: int = 512  # of the label maps that the VAE sees, 4 times a power of two
    vae_width: int = 32
    code: int = 1024  # entries of a label map's code
    judge_width: int = 64  # channels of the discriminators' first layer
    batch_sizes: tuple[int, int, int] = (16, 8, 8)  # of VAE, generator, editing
    iterations: tuple[int, int, int] = (87_500, 700_000, 175_000)  # ours; the stages' shares
    learning_rate: float = 5e-5
    vae_rate: float = 1e-3
    adversarial: float = 1.0  # weights of the losses
    matching: float = 10.0
    perceptual: float = 10.0
    pixels: float = 0.0  # L1; as published: none
    kl: float = 1e-5
    reach: float = 0.4  # of the way to another label map
    ema: float = 0.0  # moving average of the generator; as published: none

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(HALVED)


class MaskGAN(Method):
    """MaskGAN as released."""

    card = CARD
    Config = MaskGANConfig
    config: MaskGANConfig
    presets = {
        "paper": MaskGANConfig(),
        "tiny": MaskGANConfig(
            width=16, halvings=3, blocks=3, style_width=8, blend_width=8, vae_size=64, vae_width=16, code=64,
            norm="none", judge_width=16, batch_sizes=(8, 4, 4), iterations=(1, 5, 2), learning_rate=1e-3,
            adversarial=0.1, matching=1, perceptual=1, pixels=10, ema=0.99,
        ),
    }  # fmt: skip

    def __init__(self, config: MaskGANConfig):
        super().__init__(config)
        c = config
        self.generator = Generator(c.width, c.halvings, c.blocks, c.style_width, NORMS[c.norm])

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        """The picture `batch.source` with the labels `batch.layout`; without one it is drawn again with its own."""
        picture = batch.need("source")
        self.config.sizes().check(picture, CARD.slug)
        labels, wanted = relabelled(batch)
        return self.generator(wanted, labels, picture)

    def stages(self, features: Source = "official") -> list[Stage]:
        return training.stages(self, features)

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take latest_net_G.pth."""
        load(self.generator, state)


def load(generator: Generator, state: Mapping[str, Tensor]) -> None:
    """Take a released state. Its adaptive norms hold statistics that nothing reads."""
    generator.load_state_dict({key: value for key, value in state.items() if ".norm.running_" not in key})


def _planes(inputs: Inputs, offset: int, size: int = 256) -> Tensor:
    values = inputs.image(size, channels=LABELS, offset=offset)
    return (values == values.amax(1, keepdim=True)).to(values.dtype)


def _run_generator(network: Generator, inputs: Inputs) -> dict[str, Tensor]:
    labels, picture = _planes(inputs, 110), inputs.image()
    return {
        "image": network(_planes(inputs, 100), labels, picture),
        "adain": network.style(picture, labels).flatten(1)[:, ::16],
    }


def _run_vae(network: MaskVAE, inputs: Inputs) -> dict[str, Tensor]:
    mean, spread = network.encode(_planes(inputs, 100, size=512))
    return {"mu": mean, "logvar": spread, "decoded": network.decode(inputs.latent(1, 1024))[..., ::8, ::8]}


def _run_blend(network: Blend, inputs: Inputs) -> dict[str, Tensor]:
    first, second = inputs.image(), inputs.image(offset=1)
    return {"image": network(first, second), "alpha": network.alpha(first, second)}


def _run_discriminator(network: Discriminator, inputs: Inputs) -> dict[str, Tensor]:
    full, half = network(torch.cat([_planes(inputs, 100), inputs.image()], dim=1))
    return {"scale0_score": full[-1], "scale1_score": half[-1], "scale0_feat1": full[1][:, ::16]}


def _pass(network: Generator, side: int) -> Tensor:
    labels = torch.empty(1, LABELS, side, side)
    return network(labels, labels, torch.empty(1, 3, side, side))


MaskGAN.golden = {
    "maskgan.generator": Golden(
        build=lambda: Generator(64, 4, 4, 16),
        run=_run_generator,
        load=load,
        parts=lambda network: {"total": network, **dict(network.named_children())},
        costs={"256": lambda network: _pass(network, 256), "512": lambda network: _pass(network, 512)},
    ),
    "maskgan.vae": Golden(
        build=lambda: MaskVAE(512, 32, 1024),
        run=_run_vae,
        parts=lambda network: {"total": network},
        costs={"all": lambda network: network.decode(network.encode(torch.empty(1, LABELS, 512, 512))[0])},
    ),
    "maskgan.blend": Golden(
        build=lambda: Blend(32),
        run=_run_blend,
        parts=lambda network: {"total": network},
        costs={"all": lambda network: network(torch.empty(1, 3, 256, 256), torch.empty(1, 3, 256, 256))},
    ),
    "maskgan.discriminator": Golden(
        build=lambda: Discriminator(LABELS + 3, 64),
        run=_run_discriminator,
        parts=lambda network: {"total": network},
        costs={"all": lambda network: network(torch.empty(1, LABELS + 3, 256, 256))},
    ),
}
