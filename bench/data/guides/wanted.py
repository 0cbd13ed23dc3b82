"""The attributes that a face shall have: (N, K) as `attributes`. In tests they are those of the exemplar."""

from __future__ import annotations

from collections.abc import Set
from functools import partial

from bench.data.guides import attributes
from bench.data.guides.exemplar import GUIDE as EXEMPLAR
from bench.data.guides.exemplar import guiding
from bench.data.guides.guide import Asked, Maker


class Wanted(attributes.Attributes):
    told = "those of the exemplar, which the face shall have: lines as in attributes"

    def of(self, asked: Asked) -> Maker:
        return guiding(asked, partial(attributes.numbers, asked.images))

    def reads(self, source: str) -> Set[str]:
        return super().reads(source) | EXEMPLAR.reads(source)


GUIDE = Wanted()
