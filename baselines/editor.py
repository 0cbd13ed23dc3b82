"""What editors of StyleGAN2's codes share: a picture becomes codes by e4e, and changed codes a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from baselines.e4e import E4E
from baselines.psp import resized
from bench.errors import BenchError
from bench.method import Batch, Config, Method, Noise, Sizes, Source
from bench.nn.perceptual import frozen
from bench.nn.stylegan2 import Generator, NoiseMaps, mean_code


class EditorConfig(Config):
    """What both sides must agree on, and how codes are drawn."""

    dim: int = 512  # values of a code
    truncation: float = 0.7  # of drawn codes: their distance from the mean code, times this
    photos: float = 0.0  # share of a training batch whose codes are those of photographs, inverted; else drawn

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(square=True)


class CodeEditor(Method):
    """An editor of the codes that its prior e4e finds; encoder and generator stay as they are."""

    config: EditorConfig
    inverter: E4E
    average: Tensor  # (dim,) the mean code

    def attach(self, priors: Mapping[str, Method]) -> None:
        prior, ours = cast(E4E, priors["e4e"]), self.config
        if prior.config.dim != ours.dim:
            raise BenchError(
                f"{self.card.slug} edits codes of {ours.dim} values, its prior e4e gives {prior.config.dim}: change "
                "`dim` of one of them"
            )
        self.inverter = frozen(prior)
        self.register_buffer("average", mean_code(prior.decoder.style, ours.dim))

    @property
    def decoder(self) -> Generator:
        """The generator."""
        return self.inverter.decoder

    def codes(self, images: Tensor) -> Tensor:
        """Codes (N, styles, dim) of pictures (N, 3, H, W) in [-1, 1]."""
        return self.inverter.eval().codes(images)

    def truncated(self, codes: Tensor) -> Tensor:
        return self.average + self.config.truncation * (codes - self.average)

    def drawn(self, noise: Noise) -> Tensor:
        """Random codes (N, styles, dim), of W and truncated."""
        codes = self.truncated(self.decoder.style(noise.normal(self.config.dim)))
        return codes[:, None].expand(-1, self.inverter.config.styles, -1)

    def training_codes(self, batch: Batch, noise: Noise) -> Tensor:
        """Codes to learn from: of the first pictures of the batch, as `photos` says, and drawn ones."""
        drawn = self.drawn(noise)
        count = self.inverted(len(drawn))
        return torch.cat([self.codes(batch.image[:count]), drawn[count:]]) if count else drawn

    def inverted(self, count: int) -> int:
        """How many of the pictures of a batch give their codes."""
        return round(self.config.photos * count)

    def prior_networks(self) -> dict[str, nn.Module]:
        """What it takes from its priors, once they are attached."""
        return {"encoder": self.inverter.encoder, "decoder": self.decoder} if hasattr(self, "inverter") else {}

    def decode(self, codes: Tensor, maps: NoiseMaps = None) -> Tensor:
        """The generator's images of codes, of its size; it reads the first of them."""
        return self.decoder(codes[:, : self.decoder.codes], maps)

    def fitted(self, images: Tensor, batch: Batch) -> Tensor:
        """Images at the size of a batch, cut to [-1, 1]."""
        return resized(images, batch.image.shape[-1]).clamp(-1, 1)
