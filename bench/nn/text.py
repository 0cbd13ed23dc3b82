"""Networks that compare texts with images: CLIP where its weights are, else the project's own for synthetic faces."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench import weights
from bench.errors import BenchError
from bench.method import Noise, Source
from bench.nn import embedded
from bench.nn.perceptual import Frozen, frozen

WORDS = (
    "bald", "bangs", "beard", "blond", "curly", "earrings", "glasses", "grey", "hat", "head", "laughs", "long",
    "makeup", "man", "moustache", "old", "short", "smiles", "stubble", "sunglasses", "surprised", "unhappy", "woman",
    "young",
)  # fmt: skip
"""What the embedded network knows: the words of `bench.data.captions.describe` that tell faces apart."""
WIDTH = 64  # of its vectors
FACE = "face"  # a text that says nothing else
DISTURBED = 0.75  # noise of an image's vector that stands for that of a text

COLOURS = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's mean and deviation
VIT_B_32: dict[str, Any] = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": 224, "patch_size": 32, "width": 768, "layers": 12},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12},
}

VIT_B_16: dict[str, Any] = {
    **VIT_B_32,
    "vision_cfg": {"image_size": 224, "patch_size": 16, "width": 768, "layers": 12},
}

VIT_L_14_336: dict[str, Any] = {
    "embed_dim": 768,
    "vision_cfg": {"image_size": 336, "patch_size": 14, "width": 1024, "layers": 24},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 768, "heads": 12, "layers": 12},
}


class TextImage(Frozen):
    """Gives texts and images vectors of length 1, whose cosine tells how well they fit."""

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Vectors (N, D) of N texts."""
        raise NotImplementedError

    def images(self, images: Tensor) -> Tensor:
        """Vectors (N, D) of images (N, 3, H, W) in [-1, 1]; they take gradients."""
        raise NotImplementedError

    @torch.no_grad()
    def as_texts(self, images: Tensor, noise: Noise) -> Tensor:
        """Vectors (N, D) of images with noise, in training in the place of texts, which are seldom there.

        h' = h~ / |h~|, h~ = h + `DISTURBED` e / |e|, e normal (LAFITE, Zhou et al., CVPR 2022).
        """
        seen = self.images(images)
        return F.normalize(seen + DISTURBED * F.normalize(noise.normal(seen.shape[1]), dim=1), dim=1)


def openai_clip(path: Path, name: str, sizes: Mapping[str, Any]) -> Any:
    """open_clip's network of these sizes with the weights of one of OpenAI's files."""
    try:
        import open_clip
    except ImportError as error:
        raise BenchError("CLIP needs open_clip: pip install 'face-inpaint-bench[text]'") from error
    state = weights.read(path)
    state = state.get("state_dict", state)
    network = open_clip.CLIP(**sizes, quick_gelu=True)
    try:  # OpenAI's file is a program, whose tensors are not all weights
        network.load_state_dict({name: state[name] for name in network.state_dict() if name in state})
    except RuntimeError as error:
        raise BenchError(f"{path} does not fit CLIP {name}: {error}") from error
    return network


class CLIP(TextImage):
    """CLIP ViT-B/32 (Radford et al., 2021): open_clip's network with OpenAI's weights; or another file's."""

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, path: Path | None = None, name: str = "ViT-B/32", sizes: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.network = openai_clip(path or weights.path("clip-vit-b-32"), name, sizes or VIT_B_32)
        import open_clip

        self.tokenize = open_clip.tokenize
        for name, values in zip(("mean", "deviation"), COLOURS, strict=True):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def texts(self, texts: Sequence[str]) -> Tensor:
        return self.network.encode_text(self.tokenize(list(texts)).to(self.mean.device), normalize=True)

    def images(self, images: Tensor) -> Tensor:
        """Vectors of images, resized to 224 x 224 by an antialiased bicubic filter."""
        side = VIT_B_32["vision_cfg"]["image_size"]
        if images.shape[2:] != (side, side):
            images = F.interpolate(images, size=(side, side), mode="bicubic", antialias=True)
        return self.network.encode_image(((images + 1) / 2 - self.mean) / self.deviation, normalize=True)


def known(text: str) -> list[str]:
    """The words of a text that the embedded network knows."""
    return [word for word in re.findall("[a-z]+", text.lower()) if word in WORDS]


class EmbeddedTextImage(TextImage):
    """The embedded training network with a head, beside a vector for each word of `WORDS`; for synthetic faces.

    A text is the sum of its words, so their order means nothing. Words that are not known are passed over.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk = embedded.load("training")
        self.places = nn.Sequential(  # a smile is a matter of places
            nn.Conv2d(32, 48, 3, 2, 1), nn.LeakyReLU(0.1), nn.Conv2d(48, 16, 3, 2, 1), nn.LeakyReLU(0.1), nn.Flatten()
        )
        self.picture = nn.Linear(embedded.FEATURES + 16 * 8 * 8, WIDTH)
        self.words = nn.EmbeddingBag(len(WORDS), WIDTH, mode="sum")
        self.face = nn.Parameter(torch.zeros(WIDTH))  # the text `FACE`

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Vectors (N, 64) of N texts. Raises BenchError for one without a known word."""
        found = [known(text) for text in texts]
        for text, words in zip(texts, found, strict=True):
            if not words and FACE not in text.lower():
                raise BenchError(f"the embedded network knows no word of {text!r}; it knows {', '.join(WORDS)}")
        device = self.face.device
        starts = torch.tensor([0, *map(len, found)], device=device).cumsum(0)[:-1]
        numbers = torch.tensor([WORDS.index(w) for words in found for w in words], dtype=torch.long, device=device)
        return F.normalize(self.face + self.words(numbers, starts), dim=1)

    def images(self, images: Tensor) -> Tensor:
        maps = self.trunk.maps(embedded.scaled(images))
        fused = self.trunk.pyramid(maps)
        seen = torch.cat([self.trunk.heads(maps, fused)["features"], self.places(fused)], dim=1)
        return F.normalize(self.picture(seen), dim=1)


def path() -> Path:
    """Where the weights of the embedded network's head and words lie in the package."""
    return Path(__file__).with_name("embedded-text.safetensors")


def fingerprint() -> str:
    """The embedded network's name beside a number: that of its trunk, then ``text-`` and its own hash."""
    return f"{embedded.fingerprint('training')}-text-{embedded.stamp(embedded.content(path()))}"


def load(source: Source) -> TextImage:
    """CLIP, or the embedded network: float32 on the CPU, for measuring alone."""
    if source == "official":
        return frozen(CLIP())
    return embedded.fill(EmbeddedTextImage(), embedded.content(path()), path(), kept="trunk.")
