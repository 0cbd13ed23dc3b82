"""Semantic regions as holes: hair, face and single features of a label map with CelebAMask-HQ's 19 labels."""

from __future__ import annotations

import cv2
import numpy as np

from masks.errors import MaskError
from masks.generators.plain import Request
from masks.streams import Stream

LABELS = (
    "background", "skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "l_ear", "r_ear", "ear_r",
    "nose", "mouth", "u_lip", "l_lip", "neck", "neck_l", "cloth", "hair", "hat",
)  # fmt: skip
"""CelebAMask-HQ's classes in face-parsing.PyTorch's order, which is that of every map in this project. CelebAMask-HQ's
own script numbers them otherwise: `bench.data.labels` renumbers such maps."""

REGIONS: dict[str, tuple[str, ...]] = {
    "face": ("skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "nose", "mouth", "u_lip", "l_lip"),
    "person": LABELS[1:],
    "eyes": ("l_eye", "r_eye"),
    "brows": ("l_brow", "r_brow"),
    "ears": ("l_ear", "r_ear", "ear_r"),
    "lips": ("mouth", "u_lip", "l_lip"),
    "glasses": ("eye_g",),
    **{label: (label,) for label in LABELS},
}


def region(request: Request, stream: Stream) -> np.ndarray:
    """The pixels of the label map whose label belongs to the region `request.name`.

    A label map of another size is resized to the nearest pixel. Raises MaskError without a label map, for a bad one,
    for an absent region, and where the region lies outside the bucket.
    """
    request.no_argument()
    labels = [LABELS.index(label) for label in REGIONS[request.name]]
    pixels = np.isin(_label_map(request), labels).astype(np.uint8)
    count = int(np.count_nonzero(pixels))
    if count == 0:
        raise MaskError(f"this label map has no '{request.name}': take another image or region")
    if request.counts is not None and not request.counts[0] <= count <= request.counts[1]:
        raise MaskError(f"the region covers {100 * count / pixels.size:.1f} % of this label map, outside the bucket")
    return pixels


def _label_map(request: Request) -> np.ndarray:
    labels = request.semantics
    if labels is None:
        raise MaskError("it needs a label map: pass semantics=label_map, (height, width) with labels 0 to 18")
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "iu" or labels.size == 0:
        raise MaskError(f"the label map must be (height, width) integers, it is {labels.shape} {labels.dtype}")
    if labels.min() < 0 or labels.max() >= len(LABELS):
        raise MaskError(f"the label map holds {labels.min()} to {labels.max()}, labels are 0 to {len(LABELS) - 1}")
    if abs(labels.shape[0] * request.width / (labels.shape[1] * request.height) - 1) > 0.01:
        raise MaskError(f"the label map is {labels.shape}, another shape than {(request.height, request.width)}")
    return cv2.resize(labels.astype(np.uint8), (request.width, request.height), interpolation=cv2.INTER_NEAREST_EXACT)
