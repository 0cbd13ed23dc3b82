"""The label map that a picture shall have: (N, H, W) uint8 as `semantics`. In tests it is that of the exemplar."""

from __future__ import annotations

from bench.data.guides import semantics
from bench.data.guides.exemplar import pairs
from bench.data.guides.guide import Asked, Maker


class Layout(semantics.Semantics):
    told = "label maps of the exemplar, which the picture shall have: numbered as semantics"

    def of(self, asked: Asked) -> Maker:
        if not asked.positions:
            return lambda indices: None  # in training: methods make pairs of their batch
        chosen = dict(zip(asked.positions, pairs(asked), strict=True))
        return lambda indices: semantics.maps(asked.images, [chosen[int(i)] for i in indices])


GUIDE = Layout()
