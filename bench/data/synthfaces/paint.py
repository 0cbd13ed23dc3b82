"""Paints scenes layer by layer, from the wall to the hat."""

from __future__ import annotations

from types import SimpleNamespace

from bench.data.synthfaces import background, body, face, hair, wear
from bench.data.synthfaces.canvas import Canvas
from bench.data.synthfaces.view import View


def paint(p: SimpleNamespace, size: int) -> Canvas:
    """Paint N scenes at `size` pixels a side, back to front."""
    view = View(p, size)
    canvas = Canvas(background.wall(view))
    hair.back_hair(view, canvas)
    body.neck(view, canvas)
    body.cloth(view, canvas)
    body.ears(view, canvas)
    face.face(view, canvas)
    hair.cap_hair(view, canvas)
    hair.curtains(view, canvas)
    wear.glasses(view, canvas)
    wear.hat(view, canvas)
    return canvas
