"""The label map that a picture shall have: (N, H, W) uint8 as `semantics`. In tests it is that of the exemplar."""

from __future__ import annotations

from collections.abc import Set
from functools import partial

from bench.data.guides import semantics
from bench.data.guides.exemplar import GUIDE as EXEMPLAR
from bench.data.guides.exemplar import guiding
from bench.data.guides.guide import Asked, Maker


class Layout(semantics.Semantics):
    by_hand = "the label map that the picture shall have"
    layer = 1  # over the picture's own
    told = "label maps of the exemplar, which the picture shall have: numbered as semantics"

    def of(self, asked: Asked) -> Maker:
        return guiding(asked, partial(semantics.maps, asked.images))

    def reads(self, source: str) -> Set[str]:
        return super().reads(source) | EXEMPLAR.reads(source)


GUIDE = Layout()
