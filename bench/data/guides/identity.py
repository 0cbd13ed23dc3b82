"""Number of the person in each image: (N,) int64. Trains networks that tell people apart; no condition shows it."""

from __future__ import annotations

from torch import Tensor

from bench.data.guides.guide import Asked, Guide, Maker, Sides, known


class Identity(Guide):
    told = "the number of the person"
    remedy = "train on synthfaces, or give the prior its official `weights`"
    shown = False

    def of(self, asked: Asked) -> Maker:
        return lambda indices: known(asked.images, "identity", indices)

    def mirrored(self, value: Tensor, width: int) -> Tensor:
        return value

    def resized(self, value: Tensor, before: Sides, after: Sides) -> Tensor:
        return value

    def masked(self, value: Tensor, mask: Tensor) -> Tensor:
        return value

    def exported(self, value: Tensor) -> list[str]:
        return [str(number) for number in value.tolist()]


GUIDE = Identity()
