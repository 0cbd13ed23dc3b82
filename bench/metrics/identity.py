"""Identity: how far a face's vector moved, whether it still passes as the person; and the crops that networks take."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.metrics.score import Pair, Score, Unsuited
from bench.nn.dlib_face import SIDE as SEEN

FAR = 0.001  # false acceptance rate: how many strangers pass

# Where ArcFace's training crops (112 x 112) have the eyes, the nose and the corners of the mouth.
TEMPLATE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))

FRAME = 256  # side in pixels of an aligned face, and in it the square that dlib's five points cut out, on average
LEFT, TOP, SQUARE = 40.2, 68.3, 177.2
SAME = 0.6  # dlib's distance below which two pictures show one person


def distance(completed: Mapping[str, Tensor], truth: Mapping[str, Tensor], masks: Tensor | None) -> Tensor:
    """1 - cosine of the identity vectors (N, d), for each image (N,) float64; NaN where no face was found.

    Both images are cropped by the original's face, so a completion cannot gain from being cropped otherwise.
    """
    a, b = completed["identity"].double(), truth["identity"].double()
    return 1 - (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1))


def euclidean(completed: Mapping[str, Tensor], truth: Mapping[str, Tensor], masks: Tensor | None) -> Tensor:
    """Euclidean distance of dlib's vectors (N, 128), for each image (N,) float64.

    NaN where the hole lies outside of what the network sees (`square`): there any fill scores 0. A cosine would be the
    wrong scale: all vectors share a direction.
    """
    found = (completed["identity"].double() - truth["identity"].double()).norm(dim=1)
    if masks is None:
        return found
    unseen = square(masks.float(), SEEN).flatten(1).amax(dim=1) == 0
    return found.masked_fill(unseen, torch.nan)


def same(completed: Mapping[str, Tensor], truth: Mapping[str, Tensor], masks: Tensor | None) -> Tensor:
    """1 where dlib's network takes the completed image for the person of the original, else 0 (N,); NaN as above."""
    found = euclidean(completed, truth, masks)
    return (found < SAME).double().masked_fill(found.isnan(), torch.nan)


def square(images: Tensor, size: int) -> Tensor:
    """The middle of aligned faces (N, C, size, size), of float `images` (N, C, H, H): one fixed square, bilinear."""
    height, width = images.shape[-2:]
    if height != width:
        raise Unsuited(f"dlib's network takes square pictures of aligned faces, got {width}x{height}")
    if width != FRAME:
        images = F.interpolate(images, size=(FRAME, FRAME), mode="bilinear", antialias=True)
    scale, half = SQUARE / FRAME, FRAME / 2
    where = [[scale, 0, (LEFT + SQUARE / 2) / half - 1], [0, scale, (TOP + SQUARE / 2) / half - 1]]
    grid = F.affine_grid(images.new_tensor([where]), [1, 1, size, size], align_corners=False)
    return F.grid_sample(images, grid.expand(len(images), -1, -1, -1), align_corners=False)


def similarity(completed: Mapping[str, Tensor], truth: Mapping[str, Tensor], masks: Tensor | None) -> Tensor:
    """The cosine of the identity vectors, for each image (N,) float64; NaN where no face was found."""
    return 1 - distance(completed, truth, masks)


def degrees(completed: Mapping[str, Tensor], truth: Mapping[str, Tensor], masks: Tensor | None) -> Tensor:
    """The angle between the identity vectors in degrees (N,) float64; NaN where no face was found."""
    return similarity(completed, truth, masks).clamp(-1, 1).arccos().rad2deg()


def verified(pair: Pair) -> Score:
    """The share of completed faces that pass as the original's person where FAR of strangers would.

    A completion passes whose cosine with its original is above that of all but `FAR` of the pairs of two different
    originals, which are taken for two persons. Images without a face count for nothing.
    """
    ours, theirs = (
        rows.double() / rows.double().norm(dim=1, keepdim=True) for rows in (pair.completed, pair.reference)
    )
    genuine = (ours * theirs).sum(dim=1)
    known = theirs[~theirs.isnan().any(dim=1)]
    if len(known) < 2:
        return Score(math.nan, None, "no two originals have a face")
    first, second = torch.triu_indices(len(known), len(known), 1)
    strangers = (known @ known.T)[first, second]
    allowed = int(FAR * len(strangers))  # strangers that pass
    threshold = strangers.topk(allowed + 1).values[-1]
    passed = (genuine > threshold).double().where(~genuine.isnan(), torch.nan)
    missing = int(genuine.isnan().sum())
    note = f"{missing} of {len(passed)} images have no value" if missing else ""
    return Score(float(passed.nanmean()), passed, note)


def align(images: Tensor, points: Tensor, size: int = 112) -> Tensor:
    """Crops (N, 3, size, size) of float `images` that bring five `points` (N, 5, 2), in pixels, nearest to ArcFace's
    template by a similarity (Umeyama, 1991), bilinear. NaN points give NaN crops."""
    height, width = images.shape[-2:]
    target = torch.tensor(TEMPLATE, dtype=torch.float64, device=images.device) * (size / 112)
    points = points.double()
    # x' = a x - b y, y' = b x + a y maps centred template points to centred image points, least squares
    source, goal = target - target.mean(dim=0), points - points.mean(dim=1, keepdim=True)
    energy = source.square().sum()
    a = (goal * source).sum(dim=(1, 2)) / energy
    b = (goal[..., 1] * source[:, 0] - goal[..., 0] * source[:, 1]).sum(dim=1) / energy
    linear = torch.stack([torch.stack([a, -b], dim=1), torch.stack([b, a], dim=1)], dim=1)  # (N, 2, 2)
    pixels = torch.arange(size, dtype=torch.float64, device=images.device)
    grid = torch.stack(torch.meshgrid(pixels, pixels, indexing="xy"), dim=2) - target.mean(dim=0)  # (size, size, 2)
    where = torch.einsum("nij,hwj->nhwi", linear, grid) + points.mean(dim=1)[:, None, None]
    scale = torch.tensor([width, height], dtype=torch.float64, device=images.device)
    where = (where + 0.5) / scale * 2 - 1
    missing = where.isnan().flatten(1).any(dim=1)
    crops = F.grid_sample(images, where.nan_to_num().to(images), align_corners=False)
    return crops.masked_fill(missing[:, None, None, None], torch.nan)
