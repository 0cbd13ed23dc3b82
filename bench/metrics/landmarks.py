"""Landmark error, detection rate, and the probability of a detected face."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

EYE_CORNERS = 36, 45  # outer corners among the 68 points of iBUG 300-W
EYES = 0, 1  # among the five points of MTCNN


def error_68(completed: Mapping[str, Tensor], truth: Mapping[str, Tensor], masks: Tensor | None) -> Tensor:
    """Normalised mean error in percent (N,), 68 points, over the distance of the outer eye corners."""
    return _error(completed["landmarks"], truth["landmarks"], *EYE_CORNERS)


def error_5(completed: Mapping[str, Tensor], truth: Mapping[str, Tensor], masks: Tensor | None) -> Tensor:
    """Normalised mean error in percent (N,), five points, over the distance of the eyes; NaN where a face is missed."""
    return _error(completed["landmarks"], truth["landmarks"], *EYES)


def detected(completed: Mapping[str, Tensor], truth: object, masks: Tensor | None) -> Tensor:
    """1 where a face was found in the completed image, else 0 (N,)."""
    return (~completed["box"].isnan().any(dim=1)).double()


def probability(completed: Mapping[str, Tensor], truth: object, masks: Tensor | None) -> Tensor:
    """The detector's probability of the face that counts (N,); 0 where it found none."""
    return completed["probability"].double()


def _error(completed: Tensor, truth: Tensor, left: int, right: int) -> Tensor:
    completed, truth = completed.double(), truth.double()
    scale = (truth[:, left] - truth[:, right]).norm(dim=1)
    return 100 * (completed - truth).norm(dim=2).mean(dim=1) / scale
