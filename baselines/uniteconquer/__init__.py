"""Unite&Conquer: diffusion models of label maps, texts and sketches, trained apart, draw one face together."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from baselines.uniteconquer import shown
from baselines.uniteconquer.networks import FaceNetwork, SketchNetwork, united, weights
from baselines.uniteconquer.training import FaceStage, SketchStage
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Method, Noise, Source, Stage
from bench.nn import text
from bench.nn.ddim import back
from bench.nn.denoising import LINEAR, GuidedConfig, times
from bench.nn.iterative import Iterative
from bench.weights import load_second

CARD = Card(
    slug="uniteconquer",
    name="Unite&Conquer",
    title="Unite and Conquer: Plug & Play Multi-Modal Synthesis using Diffusion Models",
    authors="Nair, Bandara, Patel",
    year=2023,
    venue="CVPR",
    url="https://github.com/Nithin-GK/UniteandConquer",
    task="editing",
    resolution=256,
    params={"face": 330_924_267, "sketch": 311_027_910},
    macs={"face": 252_669.1e9, "sketch": 63_164.2e9},
    published={
        "CelebA-HQ, semantics and text": "FID 44.52, U-IDS 0 %, LPIPS 0.5809 (thesis, table 6.1)",
        "CelebA-HQ, sketch, semantics and text": "FID 45.29, U-IDS 0 %, LPIPS 0.5493 (likewise)",
    },
    training="AdamW 1e-5 without decay, batch 8, EMA 0.9999: squared error of the noise and the variational bound, "
    "for each network by itself. A picture is shown its skin (1/4), its hair (1/4), its text (3/8) or nothing (1/8)",
    features="FaRL (ViT-B/16), the user's file",
    convention="no masks, no picture: the whole picture is drawn; maps are pictures in [-1, 1], zeros where absent",
    licence="Apache-2.0; its bases, guided-diffusion and GLIDE: MIT",
    weights="model_latest.pt as `weights`, model_sketch.pt as the option `sketch_weights`, "
    "FaRL-Base-Patch16-LAIONFace20M-ep64.pth as the option `farl`: files of the authors' download script",
    takes=("semantics", "layout", "sketch", "text"),
    choices={
        "maps": "skin and hair, each white on black: of a label map, the released demo takes these two; how it colours "
        "them is not stated. Sketches are black on white",
        "weights": "of the noises, as the released demo: 1 each, a text 1.25 beside two maps; with a sketch 0.6 for "
        "it, and 1.2 for one or two others",
        "empty row": "always: the released program leaves it out where one map or the text is alone, and then predicts "
        "no noise at all",
        "text": "farl: with the user's file (option `farl`); without it texts are not read, and this is said. "
        "embedded, for `tiny`: the project's own network for synthetic faces",
        "texts in training": "vectors of pictures, as in the authors' trainer; the noise in them is ours (LAFITE, Zhou "
        "et al., CVPR 2022)",
        "silent": "0: as released; a batch of 8 has then no text in 2 % of the cases, and a text, of any picture, "
        "changes the norms of all rows. 0.5, ours for `tiny`, so that completions without a text are learned as often",
        "steps": "100 of 1,000, equally spaced, the first and the last among them; DDIM without noise, as released",
        "eta": "0: as released. 1, ours for `tiny`: a network that has learned little leaves its errors in the noise "
        "that it keeps",
        "shares": "half of the training each; the authors trained the two apart",
        "predicts": "noise: as released. velocity (Salimans and Ho, ICLR 2022): ours, for the short training of `tiny`",
        "variances": "learned: as released; DDIM reads none. `tiny` does not learn them",
        "zeros": "true: as released. false, ours for `tiny`: layers that end blocks begin with a tenth of PyTorch's "
        "own values",
    },
    notes="All sides that are multiples of 32 are drawn. The multiply-accumulates are those of a whole completion with "
    "skin, hair, text and sketch: 100 steps, each with four rows of the face network. Without any guide it draws any "
    "face. `tiny` takes 16 steps.",
)


class UniteConquerConfig(GuidedConfig):
    """Sizes of both networks, their training, and the schedule."""

    width: int = 192
    learning_rate: float = 1e-5
    steps: int = Field(default=100, ge=2, le=1000)
    eta: float = Field(default=0.0, ge=0, le=1)  # share of new noise in that of each step
    text: Literal["farl", "embedded"] = "farl"  # network that reads texts, and pictures in training
    farl: Path | None = None  # its file; without it, texts are not read
    sketch_weights: Path | None = None  # the authors' model_sketch.pt, where `weights` names model_latest.pt
    silent: float = 0.0  # share of training's batches that are shown no texts

    def files(self) -> list[Path]:
        return [file for file in (self.farl, self.sketch_weights) if file]

    def stand_ins(self, guides: Collection[str]) -> list[str]:
        if self.text == "farl" or "text" not in guides:
            return []
        return [f"texts are read by {text.fingerprint()}; the preset `paper` takes FaRL"]


class UniteConquer(Iterative):
    """Unite&Conquer as released, with a row of nothing always."""

    card = CARD
    Config = UniteConquerConfig
    config: UniteConquerConfig
    presets = {
        "paper": UniteConquerConfig(),
        "tiny": UniteConquerConfig(
            width=24, multipliers=(1, 1, 2, 4), blocks=1, attention=(3,), head=24, groups=8, batch_size=8,
            learning_rate=1e-3, left=0.02, predicts="velocity", variances="least", zeros=False, ema=0.995, steps=40,
            eta=1, text="embedded", silent=0.5,
        ),
    }  # fmt: skip

    def __init__(self, config: UniteConquerConfig):
        super().__init__(config)
        self.face = config.started(FaceNetwork(shown.LENGTHS[config.text], **config.layers))
        self.sketch = config.started(SketchNetwork(**config.layers))
        self.unread = False

    def reader(self, device: torch.device) -> text.TextImage | None:
        """The network that reads texts; none where FaRL's file is not named."""
        if self.config.text == "farl" and self.config.farl is None:
            return None
        return shown.reader(self.config.farl if self.config.text == "farl" else None, device)

    @property
    def calls(self) -> int:
        return self.config.steps

    def predict(self, network: str, x: Tensor, k: int | Tensor, *told: Tensor | None) -> Tensor:
        """(noise, v) (N, 6, H, W) of pictures x_k by the network `face` or `sketch` and what it is told."""
        return self.config.noise_and_v(self.get_submodule(network)(x, times(k, x), *told), x, k)

    def pictures(self, batch: Batch, noise: Noise) -> Iterator[Tensor]:
        """A face of all that is shown: of the labels `batch.layout`, or else `semantics`, of a text, of a sketch."""
        c = self.config
        maps, texts = self.rows(batch)
        count = len(maps) - 1
        sketch = None if batch.sketch is None else shown.drawing(batch.sketch).to(batch.image)
        by = weights(count, sketch is not None)
        diffusion, x = LINEAR.respaced(c.steps), noise.normal(*batch.image.shape[1:])
        for step in reversed(range(c.steps)):
            k = int(diffusion.times[step])
            each = self.predict("face", x.repeat(count + 1, 1, 1, 1), k, maps.flatten(0, 1), texts)
            drawn = None if sketch is None else self.predict("sketch", x, k, sketch)
            found = united(each.unflatten(0, (count + 1, -1)), drawn, by)
            clean = diffusion.reverse(x, step, found).clean
            fresh = noise.normal(*batch.image.shape[1:]) if c.eta else torch.zeros_like(x)
            x = back(diffusion, clean, x, step, c.eta, fresh)
            yield clean

    def rows(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """What the face network is told: maps (rows, N, 6, H, W), and texts (rows * N, D) where there are some.

        A row for skin, hair and text each, where they are shown, and one of nothing.
        """
        nothing = torch.cat([0 * batch.image] * 2, dim=1)
        labels = batch.semantics if batch.layout is None else batch.layout
        maps = []
        if labels is not None:
            skin, hair = shown.face(labels).to(nothing).chunk(2, dim=1)
            maps += [torch.cat([skin, 0 * hair], dim=1), torch.cat([0 * skin, hair], dim=1)]
        vectors = self.vectors(batch)
        if vectors is None:
            return torch.stack([*maps, nothing]), None
        silent = [0 * vectors] * len(maps)
        return torch.stack([*maps, nothing, nothing]), torch.cat([*silent, vectors, 0 * vectors])

    def vectors(self, batch: Batch) -> Tensor | None:
        """Texts (N, D); an empty one is zeros. None without texts, or without what reads them."""
        if batch.text is None:
            return None
        read = self.reader(batch.image.device)
        if read is None:
            self.unread = True
            return None
        found = batch.image.new_zeros(len(batch), shown.LENGTHS[self.config.text])
        if told := [i for i, one in enumerate(batch.text) if one]:
            found[told] = read.texts([batch.text[i] for i in told]).to(found)
        return found

    def remarks(self) -> list[str]:
        unread = "texts were not read: FaRL's file is not there (option `farl`)"
        return [*super().remarks(), *([unread] if self.unread else [])]

    def stages(self, features: Source = "official") -> list[Stage]:
        return [FaceStage(self, 0.5), SketchStage(self, 0.5)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take model_latest.pt; model_sketch.pt is read from the option `sketch_weights`."""
        if self.config.sketch_weights is None:
            raise BenchError(
                "uniteconquer: name the authors' model_sketch.pt in the suite's `options: {sketch_weights: }`"
            )
        self.face.load_state_dict(state)
        load_second(self.sketch, "uniteconquer", "sketch_weights", self.config.sketch_weights)


def _run(method: UniteConquer, inputs: Inputs) -> dict[str, Tensor]:
    x = 0.5 * inputs.latent(1, 3, 64, 64) + 0.5 * inputs.image(64)
    skin, hair, sketch = (inputs.image(64, offset=i) for i in (1, 2, 3))
    text = inputs.latent(1, 512, offset=4)
    text, none, silent = text / text.norm(), 0 * skin, 0 * text
    maps = torch.cat([torch.cat(pair, dim=1) for pair in ((skin, none), (none, hair), (none, none), (none, none))])
    texts = torch.cat([silent, silent, text, silent])
    found = method.predict("face", x.repeat(4, 1, 1, 1), 500, maps, texts)
    drawn = method.predict("sketch", x, 500, sketch)
    return {
        "face_out": found,
        "face_alone": method.predict("face", x, 500, maps[:1], None),
        "sketch_out": drawn,
        "combined": united(found[:, None], drawn, ((1, 1, 1.25), 0.6)),
    }


def _load(method: UniteConquer, state: Mapping[str, Tensor]) -> None:
    method.load_state_dict(dict(state))


def _once(network: str, *channels: int) -> Any:
    def run(method: Method) -> Tensor:
        assert isinstance(method, UniteConquer)
        told = [torch.empty(1, n, 64, 64) for n in channels]
        return method.predict(network, torch.empty(1, 3, 64, 64), 500, *told, *([None] if network == "face" else []))

    return run


UniteConquer.golden = {
    "uniteconquer.small": Golden(
        build=lambda: UniteConquer.create(width=64),
        load=_load,
        run=_run,
        parts=lambda method: {"face": method.face, "sketch": method.sketch},
        costs={"face 64": _once("face", 6), "sketch 64": _once("sketch", 3)},
        keys={"face.": "uniteconquer.face64", "sketch.": "uniteconquer.sketch64"},
    )
}
