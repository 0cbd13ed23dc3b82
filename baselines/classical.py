"""Classical fills, restorers and edits: no training, no network. The floor that every learned method must beat."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from bench.bicubic import bicubic, pictures
from bench.method import Batch, Card, Config, Method, Noise

MEAN = Card(
    slug="mean",
    name="Mean colour",
    title="The mean colour of the known pixels of the image",
    authors="-",
    year=None,
    venue="-",
    url="",
    notes="the simplest fill there is",
)
TELEA = Card(
    slug="telea",
    name="Telea",
    title="An Image Inpainting Technique Based on the Fast Marching Method",
    authors="Telea",
    year=2004,
    venue="Journal of Graphics Tools 9(1)",
    url="https://doi.org/10.1080/10867651.2004.10487596",
    notes="OpenCV's INPAINT_TELEA, radius 3",
)
NAVIER_STOKES = Card(
    slug="navier-stokes",
    name="Navier-Stokes",
    title="Navier-Stokes, Fluid Dynamics, and Image and Video Inpainting",
    authors="Bertalmio, Bertozzi, Sapiro",
    year=2001,
    venue="CVPR",
    url="https://doi.org/10.1109/CVPR.2001.990497",
    notes="OpenCV's INPAINT_NS, radius 3",
)
BIHARMONIC = Card(
    slug="biharmonic",
    name="Biharmonic",
    title="On Surface Completion and Image Inpainting by Biharmonic Functions: Numerical Aspects",
    authors="Damelin, Hoang",
    year=2018,
    venue="International Journal of Mathematics and Mathematical Sciences",
    url="https://doi.org/10.1155/2018/3950312",
    notes="scikit-image's inpaint_biharmonic",
)
INPUT = Card(
    slug="input",
    name="Degraded input",
    title="The degraded picture itself",
    authors="-",
    year=None,
    venue="-",
    url="",
    task="restoration",
    needs=("degraded",),
    notes="the floor of every restoration",
)
BICUBIC = Card(
    slug="bicubic-denoised",
    name="Bicubic, denoised",
    title="Bicubic enlargement of a smoothed small picture",
    authors="-",
    year=None,
    venue="-",
    url="",
    task="restoration",
    needs=("degraded",),
    notes="the degraded picture at half its side by an antialiased bicubic filter, smoothed there by a Gaussian of "
    "deviation 0.5 pixels, and enlarged again; what blur and compression took stays lost",
)
UNEDITED = Card(
    slug="unedited",
    name="Unedited",
    title="The picture itself",
    authors="-",
    year=None,
    venue="-",
    url="",
    task="editing",
    needs=("source",),
    notes="what the picture has before it is edited",
)
PASTED = Card(
    slug="paste-exemplar",
    name="Exemplar, pasted",
    title="The exemplar in the hole, as it is",
    authors="-",
    year=None,
    venue="-",
    url="",
    task="editing",
    needs=("exemplar",),
    notes="follows the exemplar in everything, and keeps nothing of the picture",
)


class Input(Method):
    """Restores nothing."""

    card = INPUT

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return batch.need("degraded")


class BicubicConfig(Config):
    """How small the picture becomes, and how smooth."""

    factor: float = Field(default=2, ge=1)  # sides are divided by it
    sigma: float = Field(default=0.5, gt=0, le=16)  # pixels of the small picture, deviation of the Gaussian


class Bicubic(Method):
    """What can be done without knowing what a face is, or how it was degraded: averages out noise and JPEG's blocks.

    Shrinks and enlarges by torch's antialiased bicubic filter (a = -0.5); between them a Gaussian within three
    deviations, edges mirrored.
    """

    card = BICUBIC
    Config = BicubicConfig
    config: BicubicConfig
    presets = {"paper": BicubicConfig()}

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        degraded, factor, sigma = batch.need("degraded"), self.config.factor, self.config.sigma
        height, width = degraded.shape[2:]
        small = bicubic(degraded, (math.ceil(height / factor), math.ceil(width / factor)))
        reach = min(math.ceil(3 * sigma), min(small.shape[2:]) - 1)  # a mirror is no wider than the picture
        return pictures(gaussian_blur(small, 2 * reach + 1, sigma), (height, width))


class Unedited(Method):
    """Edits nothing."""

    card = UNEDITED

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return batch.need("source")


class Pasted(Method):
    """The exemplar's pixels, at the same places."""

    card = PASTED

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return batch.need("exemplar")


class MeanColour(Method):
    """Fills the hole with the mean colour of the known pixels; mid grey where nothing is known."""

    card = MEAN

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        known = 1 - batch.mask
        mean = (batch.image * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp_min(1)
        return mean.expand_as(batch.image)


class Telea(Method):
    """Fast marching from the border of the hole inwards."""

    card = TELEA

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        import cv2

        return _each(batch, lambda image, mask: cv2.inpaint(image, mask, 3, cv2.INPAINT_TELEA))


class NavierStokes(Method):
    """Isophotes continued into the hole by an equation of fluid dynamics."""

    card = NAVIER_STOKES

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        import cv2

        return _each(batch, lambda image, mask: cv2.inpaint(image, mask, 3, cv2.INPAINT_NS))


class Biharmonic(Method):
    """The smoothest surface that meets the border of the hole."""

    card = BIHARMONIC

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        from skimage.restoration import inpaint_biharmonic

        def fill(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
            filled = inpaint_biharmonic(image, mask.astype(bool), split_into_regions=True, channel_axis=-1)
            return np.clip(filled * 255, 0, 255).round()

        return _each(batch, fill)


def _each(batch: Batch, fill: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Tensor:
    """Run a fill that takes one uint8 image (H, W, 3) and one mask (H, W); an image without known pixels is grey."""
    images = ((batch.masked + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    masks = batch.mask[:, 0].byte().cpu().numpy()
    filled = [image if mask.all() else fill(image, mask) for image, mask in zip(images, masks, strict=True)]
    return torch.from_numpy(np.stack(filled)).to(batch.image).permute(0, 3, 1, 2) / 127.5 - 1
