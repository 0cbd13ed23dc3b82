"""Blind degradation of face images: what a restoration starts from.

    degraded = upsample(JPEG(downsample(blur(image)) + noise))

with strengths drawn for each image from the ranges of a recipe, as in GFP-GAN (Wang et al., 2021) and the papers that
follow it.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass

import cv2
import numpy as np

from bench.errors import BenchError

Range = tuple[float, float]


@dataclass(frozen=True)
class Recipe:
    """The ranges from which the degradation of an image is drawn, uniformly.

    Sources: GFP-GAN's and BasicSR's data sets, and the released training code of the diffusion-code restorer of the
    thesis (`vspbfr`). Where its code hands RGB arrays to OpenCV, which expects BGR, `swapped` does the same: JPEG takes
    its colour channels, and grey its weights, from swapped red and blue. All other recipes keep the right order.
    """

    sigma: Range = (0.1, 10)  # pixels, deviation of the blur along each axis of its ellipse
    reduction: Range = (0.8, 8)  # the side is divided by it
    noise: Range = (0, 20)  # of 255, deviation of the colour noise
    quality: Range = (60, 100)  # of JPEG, rounded down
    kernels: tuple[int, ...] = (41,)  # sides of the blur kernel, equally likely
    anisotropic: float = 0.5  # share of blurs with two deviations and an angle in (-pi, pi); the others have one
    haze: float = 0  # probability of a white veil
    veil: Range = (0.75, 0.95)  # weight of the image under a veil
    grey: float = 0  # probability that the degraded and the clean image turn grey
    swapped: bool = False  # OpenCV gets RGB for BGR


RECIPES: dict[str, Recipe] = {
    # the ranges that the thesis prints (chapter 3), the kernels and the rest as GFP-GAN
    "blind": Recipe(sigma=(0.2, 10), reduction=(1, 8)),
    # training of GFP-GAN, RestoreFormer and VQFR, without the colour jitter of GFP-GAN's first version
    "gfpgan": Recipe(),
    # released code of the thesis, first stages
    "vspbfr": Recipe(kernels=(39, 41), swapped=True),
    # released code of the thesis, the restoration network
    "vspbfr-restoration": Recipe(kernels=(39, 41), swapped=True, haze=0.008, grey=0.008),
    # ours, for images of 64 to 128 pixels, of which the published ranges leave nothing
    "mild": Recipe(sigma=(0.2, 2), reduction=(1, 4)),
    # released training script of GPEN
    "gpen": Recipe(grey=0.2),
    # training of CodeFormer: heavy for its codes, light for its fusion
    "codeformer-heavy": Recipe(sigma=(1, 15), reduction=(4, 30), quality=(30, 80)),
    "codeformer-light": Recipe(reduction=(1, 12), noise=(0, 15)),
    # released code of RestoreFormer, of whose two kernel sides GFP-GAN has the larger
    "restoreformer": Recipe(kernels=(39, 41)),
    # training of PSFR-GAN: its ranges, each step of which it leaves out for some images
    "psfrgan": Recipe(sigma=(0.1, 15), reduction=(2, 16), noise=(0, 25.5), quality=(10, 65), anisotropic=0, grey=0.3),
    # training of VQFR's second version
    "vqfr-v2": Recipe(sigma=(1, 15), reduction=(1, 30), quality=(30, 90)),
}


GIVEN, ITSELF = "given", "itself"
"""Sources of degraded pictures that are no recipes: files beside the images, and the images themselves."""


def recipe(name: str) -> Recipe:
    """The recipe of this name; BenchError names the closest one, or all."""
    if name not in RECIPES:
        close = difflib.get_close_matches(name, RECIPES, n=1)
        hint = f"did you mean {close[0]}?" if close else f"choose from {', '.join(RECIPES)}"
        raise BenchError(f"there is no degradation {name!r}: {hint}")
    return RECIPES[name]


@dataclass(frozen=True)
class Degradation:
    """What is done to one image."""

    side: int  # of the blur kernel, odd
    sigma: Range  # pixels
    angle: float  # radians
    veil: float  # weight of the image under white; 1 = no veil
    reduction: float
    noise: float  # of 255
    quality: int
    grey: bool
    swapped: bool = False


def sample(source: str | Recipe, rng: np.random.Generator) -> Degradation:
    """Draw the strengths for one image.

    `rng` gives eleven uniform numbers, whatever the recipe, in this order: kernel side, one deviation or two, the
    first, the second, angle, haze or not, its weight, reduction, noise, quality, grey or not. So recipes differ by
    their ranges alone.
    """
    found = recipe(source) if isinstance(source, str) else source
    side, shape, first, second, angle, hazy, veil, reduction, noise, quality, grey = rng.random(11).tolist()
    sigma = _within(found.sigma, first)
    anisotropic = shape < found.anisotropic
    return Degradation(
        side=found.kernels[int(side * len(found.kernels))],
        sigma=(sigma, _within(found.sigma, second) if anisotropic else sigma),
        angle=_within((-math.pi, math.pi), angle) if anisotropic else 0.0,
        veil=_within(found.veil, veil) if hazy < found.haze else 1.0,
        reduction=_within(found.reduction, reduction),
        noise=_within(found.noise, noise),
        quality=int(_within(found.quality, quality)),
        grey=grey < found.grey,
        swapped=found.swapped,
    )


def apply(image: np.ndarray, how: Degradation, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Degrade (H, W, 3) uint8 RGB: the degraded and the clean image, of the same size.

    The clean one is `image` itself unless both turn grey. `rng` gives the noise. Between the steps images are float32
    in [0, 1]; only JPEG sees 8 bits. OpenCV's borders are mirrored without the edge pixel; resizing is bilinear,
    without a filter before it.
    """
    height, width = image.shape[:2]
    pixels = image if how.swapped else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    values = _blur(pixels.astype(np.float32) / 255, how)
    values = how.veil * values + (1 - how.veil)
    small = max(1, int(width // how.reduction)), max(1, int(height // how.reduction))
    values = cv2.resize(values, small, interpolation=cv2.INTER_LINEAR)
    values = values + how.noise / 255 * rng.standard_normal(values.shape, dtype=np.float32)
    values = _jpeg(_bytes(values), how.quality).astype(np.float32) / 255
    degraded = _bytes(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR))
    if how.grey:
        return _grey(degraded), _grey(pixels)
    return degraded if how.swapped else cv2.cvtColor(degraded, cv2.COLOR_BGR2RGB), image


def degrade(image: np.ndarray, recipe: str | Recipe, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """`sample`, then `apply`: (H, W, 3) uint8 RGB to the degraded and the clean image."""
    return apply(image, sample(recipe, rng), rng)


def gaussian(side: int, sigma: Range, angle: float) -> np.ndarray:
    """A Gaussian kernel (side, side) of sum 1 whose axes, with these deviations, are turned by `angle` radians."""
    offsets = np.arange(side) - side // 2
    x, y = offsets[None, :], offsets[:, None]
    along = (math.cos(angle) * x + math.sin(angle) * y) / sigma[0]
    across = (math.cos(angle) * y - math.sin(angle) * x) / sigma[1]
    kernel = np.exp(-(along**2 + across**2) / 2)
    return kernel / kernel.sum()


def _blur(values: np.ndarray, how: Degradation) -> np.ndarray:
    kernel = gaussian(how.side, how.sigma, how.angle)
    if how.sigma[0] == how.sigma[1]:  # a product of two lines: several times as fast
        return cv2.sepFilter2D(values, -1, kernel.sum(axis=0), kernel.sum(axis=1))
    return cv2.filter2D(values, -1, kernel)


def _within(limits: Range, share: float) -> float:
    return limits[0] + share * (limits[1] - limits[0])


def _bytes(values: np.ndarray) -> np.ndarray:
    return (values * 255).round().clip(0, 255).astype(np.uint8)


def _jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


def _grey(image: np.ndarray) -> np.ndarray:
    """The luma of what OpenCV takes for BGR, in all three channels."""
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2RGB)
