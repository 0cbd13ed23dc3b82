"""CodeFormer: a transformer reads the codes of a clean face off a degraded one; w says how much it keeps of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from baselines.codeformer import training
from baselines.codeformer.networks import CodeFormerNetwork
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.stylegan2 import fixed
from bench.nn.vqgan import Occurring, PatchDiscriminator, begin_with_shortcuts

CARD = Card(
    slug="codeformer",
    name="CodeFormer",
    title="Towards Robust Blind Face Restoration with Codebook Lookup Transformer",
    authors="Zhou, Chan, Li, Loy",
    year=2022,
    venue="NeurIPS",
    url="https://github.com/sczhou/CodeFormer",
    task="restoration",
    resolution=512,
    params={"network": 94_112_707, "discriminator": 6_960_961},
    macs={"network": 404.885e9, "discriminator": 10.682e9},
    training="Adam (0.9, 0.99), FFHQ at 512 px. VQGAN: 1,600,000 iterations at batch 32, 7e-5 by a cosine to 6e-5, EMA "
    "0.995; L1 1, LPIPS 1, codebook 1, hinge 0.8 (adaptive, from 30,002). Codes: 500,000 at 32, 1e-4 halved at 400,000 "
    "and 450,000, EMA 0.995; distance from the clean code vectors 1, cross entropy 0.5. Fusion: 150,000 at 24, 5e-5 by "
    "a cosine to 2e-5, EMA 0.997; the same, L1 1, LPIPS 1, hinge 0.1 (adaptive, from 5,002)",
    features="LPIPS (VGG-16)",
    convention="no masks; degraded and restored images in [-1, 1]; linear output",
    licence="S-Lab License 1.0: non-commercial use only",
    weights="GitHub release v0.1.0 of the authors: codeformer.pth, codeformer_colorization.pth (preset of that name): "
    "{params_ema}",
    trained_on={"ffhq": "all"},
    needs=("degraded",),
    choices={
        "w": "0.5, the default of the authors' script; their comparisons turn `adain` on, too. Training has it off: "
        "with it, image losses would reach the encoder",
        "degradation": "ranges of the released option files, for the codes and for the fusion. Colorization adds "
        "shifts of colours, which are not here",
        "iterations": "of the option files; the paper's schedule was not compared. The fusion's count in two parts: "
        "80,000 lightly degraded, 70,000 heavily, of which every 15th of the last 30,000 is lightly degraded",
        "lpips": "of pictures in [-1, 1]; the authors normalise them twice",
        "adversarial": "as released, image losses reach the fusions alone; the paper speaks of the encoder, too",
        "starts": "of the discriminators, as shares of their stages: those of the option files. The fusion's starts "
        "anew; the authors name one of stage two, which trains none",
    },
    notes="Costs are those at 512 px; 295.833 G with w = 0, where no fusion runs. The layout of one size: square, 32 "
    "times the side of the codes.",
)
INPAINTING = Card(
    slug="codeformer-inpainting",
    name="CodeFormer (inpainting)",
    title="Towards Robust Blind Face Restoration with Codebook Lookup Transformer",
    authors="Zhou, Chan, Li, Loy",
    year=2022,
    venue="NeurIPS",
    url="https://github.com/sczhou/CodeFormer",
    resolution=512,
    params={"network": 92_652_867, "discriminator": 6_960_961},
    macs={"network": 334.991e9, "discriminator": 10.682e9},
    training="Adam (0.9, 0.99), FFHQ at 512 px. VQGAN as CodeFormer's; then 300,000 iterations at batch 12, 7e-5 "
    "halved at 250,000, EMA 0.997: distance from the clean code vectors 1, cross entropy 0.5, L1 1, LPIPS 1, hinge 0.1 "
    "(adaptive, from 296,002), all of the network's own picture",
    features="LPIPS (VGG-16)",
    convention="no mask: holes are white in [-1, 1]; linear output",
    licence="S-Lab License 1.0: non-commercial use only",
    weights="GitHub release v0.1.0 of the authors: codeformer_inpainting.pth: {params_ema}",
    trained_on={"ffhq": "all"},
    choices={
        "codes": "512, as the released network; the option file says 1,024",
        "w": "1, and no `adain`: as released",
        "lpips": "of pictures in [-1, 1]; the authors normalise them twice",
        "masks": "one to three strokes, 30 to 70 of 512 pixels wide; a comment of the authors gives wider ones for "
        "refinement",
    },
    notes="Costs are those at 512 px. The authors find the holes again as the white pixels of their input; here the "
    "mask says where they are.",
)


class CodeFormerConfig(Config):
    """Sizes and losses of CodeFormer."""

    size: int = 512  # of the images, a power of two
    width: int = 64  # channels at the whole size
    multipliers: tuple[int, ...] = (1, 2, 2, 4, 4, 8)  # of the width, a level each; every level halves the size
    groups: int = 32  # of the normalisations
    codes: int = 1024  # entries of the codebook
    dim: int = 256  # values of an entry
    layers: int = 9  # of the transformer
    embedding: int = 512  # its channels; twice as many inside its feed-forward networks
    heads: int = 8
    fusion: tuple[int, ...] = (32, 64, 128, 256)  # sides of the maps at which encoder and decoder are fused
    shortcuts: bool = False  # the network begins with little but its shortcuts
    w: float = 0.5  # of the fusion: 0 gives the most likely face, 1 what is nearest to the input
    adain: bool = True  # the codes take the encoder's means and deviations
    iterations: tuple[int, int, int, int] = (1_600_000, 500_000, 80_000, 70_000)  # VQGAN, codes, fusion, heavy; 0: none
    batch_sizes: tuple[int, int, int, int] = (32, 32, 24, 24)
    learning_rates: tuple[float, float, float, float] = (7e-5, 1e-4, 5e-5, 5e-5)
    left: tuple[float, float] = (6 / 7, 2 / 5)  # of the learning rates, at the ends of VQGAN and fusion
    ema: float | None = None  # moving averages; none: 0.995 for VQGAN and codes, 0.997 for the fusion
    lpips: float = 1.0  # weight of LPIPS; of L1, codebook and code vectors: 1
    entropy: float = 0.5  # of the cross entropy of the codes
    vqgan_adversarial: float = 0.8
    adversarial: float = 0.1  # of the fusion
    estimated: tuple[float, float] = (0, 0)  # shares of stage one between which codes are means of vectors; none before
    starts: tuple[float, float] = (30_002 / 1_600_000, 5_002 / 80_000)  # of the discriminators: shares of the stages
    training_weights: tuple[float, float] = (1.0, 1.3)  # w of the fusion's training, first and second half
    discriminator_width: int = 64
    halvings: int = 4  # of the discriminators
    degradation: str = "codeformer-heavy"  # recipe
    light_degradation: str = "codeformer-light"  # of the fusion's images
    masks: str = "codeformer"  # training draw, of inpainting

    def sizes(self, features: Source | None = None) -> Sizes:
        return fixed(self.size)


TINY = {
    "size": 64, "width": 8, "multipliers": (1, 3, 6), "groups": 4, "codes": 1024, "dim": 64, "layers": 3,
    "embedding": 128, "heads": 4, "shortcuts": True, "fusion": (16, 32, 64), "w": 1, "left": (0.02, 0.02), "ema": 0.99,
    "lpips": 0.1, "vqgan_adversarial": 0.1, "estimated": (0.3, 0.6), "training_weights": (1, 1),
    "discriminator_width": 16, "halvings": 3,
}  # fmt: skip


class CodeFormer(Method):
    """CodeFormer as released."""

    card = CARD
    Config = CodeFormerConfig
    config: CodeFormerConfig
    presets = {
        "paper": CodeFormerConfig(),
        "colorization": CodeFormerConfig(
            fusion=(32, 64, 128), w=0, iterations=(1_600_000, 500_000, 0, 0),
        ),
        "tiny": CodeFormerConfig.model_validate(TINY | {
            "iterations": (12, 3, 13, 0), "learning_rates": (1e-3, 1e-3, 1.5e-3, 1e-3), "starts": (0.8, 0.8),
            "degradation": "mild", "light_degradation": "mild",
        }),
    }  # fmt: skip

    def __init__(self, config: CodeFormerConfig):
        super().__init__(config)
        c = config
        widths = [c.width * multiplier for multiplier in c.multipliers]
        self.network = CodeFormerNetwork(
            c.size, widths, c.groups, c.codes, c.dim, c.layers, c.embedding, c.heads, c.fusion
        )
        if c.shortcuts:
            begin_with_shortcuts(self.network)
        self.occurring = Occurring(c.codes)

    def given(self, batch: Batch) -> Tensor:
        """What the network is given of a batch: the degraded picture."""
        return batch.need("degraded")

    def pictures(self, batch: Batch, weights: tuple[float, ...]) -> list[Tensor]:
        """The pictures of several w."""
        given, network = self.given(batch), self.network
        self.config.sizes().check(given, CARD.name)
        encoded, maps = network.encoder(given)
        logits = network.predict(encoded)
        self.occurring.note(batch, logits.argmax(2))
        return [network.decode(logits, encoded, maps, w, self.config.adain).clamp(-1, 1) for w in weights]

    def remarks(self) -> list[str]:
        return self.occurring.told()

    def steps(self, batch: Batch, noise: Noise) -> list[Tensor]:
        """The picture of the codes alone, then with what is fused."""
        return self.pictures(batch, (0.0, self.config.w))

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.pictures(batch, (self.config.w,))[0]

    def stages(self, features: Source = "official") -> list[Stage]:
        return training.stages(self, features)

    def load_official(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(renamed(state))


class CodeFormerInpainting(CodeFormer):
    """CodeFormer trained to fill holes."""

    card = INPAINTING
    presets = {
        "paper": CodeFormerConfig(
            codes=512, fusion=(32, 64, 128), w=1, adain=False, iterations=(1_600_000, 0, 300_000, 0),
            batch_sizes=(32, 12, 12, 12), learning_rates=(7e-5, 7e-5, 7e-5, 7e-5),
            starts=(30_002 / 1_600_000, 296_002 / 300_000),
        ),
        "tiny": CodeFormerConfig.model_validate(TINY | {
            "adain": False, "iterations": (1, 0, 2, 0), "learning_rates": (1e-3, 1e-3, 1.5e-3, 1e-3),
            "starts": (0.8, 0.8), "masks": "irregular",
        }),
    }  # fmt: skip

    def given(self, batch: Batch) -> Tensor:
        """The picture with white holes."""
        return batch.masked + batch.mask


def renamed(state: Mapping[str, Any]) -> dict[str, Any]:
    """The authors' names in ours: they call a shortcut otherwise than VQGAN's."""
    return {name.replace(".conv_out.", ".nin_shortcut."): value for name, value in state.items()}


def _outputs(network: CodeFormerNetwork, images: Tensor) -> tuple[dict[str, Tensor], Callable[..., Tensor]]:
    """What golden files record before the decoder, and the decoder of w and `adain`."""
    encoded, maps = network.encoder(images)
    logits = network.predict(encoded)
    found = {"logits": logits[:, ::4], "indices": logits[0].argmax(1).reshape(16, 16), "encoder_out": encoded[:, ::4]}
    return found, partial(network.decode, logits, encoded, maps)


def _run(network: CodeFormerNetwork, inputs: Inputs) -> dict[str, Tensor]:
    found, decode = _outputs(network, inputs.image(512))
    return found | {
        "w0": decode(0, False)[:, :, ::4, ::4],
        "w05": decode(0.5, False)[:, :, ::4, ::4],
        "w1": decode(1, False)[:, :, ::2, ::2],
        "w05_adain": decode(0.5, True)[:, :, ::2, ::2],
    }


def _run_inpainting(network: CodeFormerNetwork, inputs: Inputs) -> dict[str, Tensor]:
    batch = Batch(inputs.image(512), inputs.mask(512))
    found, decode = _outputs(network, batch.masked + batch.mask)
    image = decode(1, False)
    return found | {"image": image[:, :, ::2, ::2], "completed": batch.composite(image)[:, :, ::4, ::4]}


def _run_vqgan(network: CodeFormerNetwork, inputs: Inputs) -> dict[str, Tensor]:
    encoded, _ = network.encoder(inputs.image())
    codes, loss, numbers = network.quantize(encoded)
    return {
        "image": network.generator(codes),
        "encoder_out": encoded[:, ::4],
        "indices": numbers[0],
        "codebook_loss": loss[None],
    }


def _load(network: CodeFormerNetwork, state: Mapping[str, Tensor]) -> None:
    network.load_state_dict(renamed(state))


def _load_vqgan(network: CodeFormerNetwork, state: Mapping[str, Tensor]) -> None:
    """The file of stage one has none of the rest."""
    rest = {name: value for name, value in network.state_dict().items() if name.split(".")[0] not in VQGAN}
    network.load_state_dict(renamed(state) | rest)


VQGAN = ("encoder", "quantize", "generator")


def _parts(network: CodeFormerNetwork) -> dict[str, Any]:
    named = {"codebook": network.quantize, "fuse": network.fuse_convs_dict, "total": network}
    names = ("encoder", "generator", "feat_emb", "ft_layers", "idx_pred_layer")
    fusions = {f"fuse{side}": fusion for side, fusion in network.fuse_convs_dict.items()}
    return named | {name: network.get_submodule(name) for name in names} | fusions


def _pass(w: float) -> Callable[[CodeFormerNetwork], Tensor]:
    return lambda network: network(torch.empty(1, 3, 512, 512), w, False)


def _reconstruct(side: int) -> Callable[[CodeFormerNetwork], Tensor]:
    return lambda network: network.generator(network.quantize(network.encoder(torch.empty(1, 3, side, side))[0])[0])


def _vqgan_parts(network: CodeFormerNetwork) -> dict[str, Any]:
    return {"total": torch.nn.ModuleList(network.get_submodule(name) for name in VQGAN)}


CodeFormer.golden = {
    "codeformer": Golden(
        build=lambda: CodeFormer.create().get_submodule("network"),
        load=_load,
        run=_run,
        parts=_parts,
        costs={
            "512, w > 0": _pass(1),
            "512, w = 0": _pass(0),
            "512, codes only": lambda network: network.predict(network.encoder(torch.empty(1, 3, 512, 512))[0]),
        },
    ),
    "codeformer.vqgan": Golden(
        build=lambda: CodeFormer.create().get_submodule("network"),
        load=_load_vqgan,
        run=_run_vqgan,
        parts=_vqgan_parts,
        costs={"512": _reconstruct(512), "256": _reconstruct(256)},
    ),
    "codeformer.discriminator": Golden(
        build=lambda: PatchDiscriminator(64, 4),
        run=lambda network, inputs: {"logits": network(inputs.image(512))},
        parts=lambda network: {"total": network},
        costs={
            "512": lambda network: network(torch.empty(1, 3, 512, 512)),
            "256": lambda network: network(torch.empty(1, 3, 256, 256)),
        },
    ),
}
CodeFormerInpainting.golden = {
    "codeformer.inpainting": Golden(
        build=lambda: CodeFormerInpainting.create().get_submodule("network"),
        load=_load,
        run=_run_inpainting,
        parts=_parts,
        costs={"512, w > 0": _pass(1), "512, w = 0": _pass(0)},
    ),
}
