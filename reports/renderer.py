"""One drawing for all formats: what matplotlib draws as pixels is handed on to its writers of SVG and PDF.

`Figure.savefig` lays a figure out and draws it once for each format. Most of that time goes into finding where ticks
and texts stand, which is the same for all of them: with one drawing, figures take half of the CPU time.
"""

from __future__ import annotations

import io
from collections.abc import Collection
from typing import Any
from unittest.mock import patch

import numpy as np
from fontTools import subset
from fontTools.ttLib import TTFont, newTable
from matplotlib.backend_bases import GraphicsContextBase, RendererBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.backends.backend_pdf import PdfFile, RendererPdf
from matplotlib.backends.backend_svg import RendererSVG
from matplotlib.figure import Figure
from matplotlib.transforms import Affine2D, Bbox, Transform, TransformedPath
from numpy.typing import NDArray
from PIL import Image

POINTS = 72  # an inch: the unit of SVG and PDF
_load_font = subset.load_font


def drawn(figure: Figure, formats: Collection[str], dpi: float) -> dict[str, bytes]:
    """The figure as files of `formats` (png, svg, pdf); equal figures give equal bytes."""
    figure.dpi = dpi
    width, height = figure.get_size_inches()
    pages: dict[str, Any] = {}
    if "svg" in formats:
        text = io.StringIO()
        metadata = {"Date": None, "Creator": None}
        pages["svg"] = RendererSVG(width * POINTS, height * POINTS, text, image_dpi=dpi, metadata=metadata)
    if "pdf" in formats:
        document = io.BytesIO()
        file = PdfFile(document, metadata={"CreationDate": None, "Creator": None, "Producer": None})
        file.newPage(width, height)
        pages["pdf"] = RendererPdf(file, dpi, height, width)
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if not axis.label.get_text():
                axis.set_label_coords(0, 0)  # else it looks for room beside the ticks
    pixels = RendererAgg(*figure.bbox.size, dpi)
    figure.draw(_Renderer(pixels, list(pages.values())))
    made = {}
    for suffix in formats:
        if suffix == "png":
            made[suffix] = png(np.asarray(pixels.buffer_rgba())[..., :3], dpi)
        elif suffix == "svg":
            pages[suffix].finalize()
            made[suffix] = text.getvalue().encode()
        else:
            pages[suffix].finalize()
            with patch.object(subset, "load_font", _glyphs):
                file.finalize()
            made[suffix] = document.getvalue()
            file.close()
    return made


def _glyphs(path: Any, options: Any) -> TTFont:
    """A font of whose glyphs PDF takes those that it shows.

    What PDF never reads is left out, since to follow it takes longer than to draw a figure: names of glyphs, rules of
    ligatures and kerning, and which letter has which glyph.
    """
    font: TTFont = _load_font(path, options, dontLoadGlyphNames=True)
    for table in {"GSUB", "GPOS", "GDEF", "kern"} & set(font.keys()):
        del font[table]
    font["cmap"] = newTable("cmap")
    font["cmap"].tableVersion, font["cmap"].tables = 0, []
    return font


def png(pixels: NDArray[np.uint8], dpi: float) -> bytes:
    """Pixels (height, width, 3) as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", dpi=(dpi, dpi))
    return buffer.getvalue()


class _Renderer(RendererBase):
    """Draws pixels, and the same on pages that are measured in points.

    The pixels' renderer answers all questions, such as how wide a text is.
    """

    def __init__(self, pixels: RendererAgg, pages: list[RendererBase]) -> None:
        super().__init__()
        self._pixels, self._pages = pixels, pages
        self._scale = POINTS / pixels.dpi
        self._boxes: dict[tuple[float, ...], Bbox] = {}

    def new_gc(self) -> GraphicsContextBase:
        return self._pixels.new_gc()

    def flipy(self) -> bool:
        return self._pixels.flipy()

    def points_to_pixels(self, points: Any) -> Any:
        return self._pixels.points_to_pixels(points)

    def get_canvas_width_height(self) -> tuple[float, float]:
        return self._pixels.get_canvas_width_height()

    def get_text_width_height_descent(self, s: str, prop: Any, ismath: Any) -> tuple[float, float, float]:
        return self._pixels.get_text_width_height_descent(s, prop, ismath)

    def draw_path(self, gc: Any, path: Any, transform: Transform, rgbFace: Any = None) -> None:
        self._pixels.draw_path(gc, path, transform, rgbFace)
        transform = self._scaled(transform)
        for page in self._pages:
            page.draw_path(self._context(page, gc), path, transform, rgbFace)

    def draw_markers(
        self, gc: Any, marker_path: Any, marker_trans: Transform, path: Any, trans: Transform, rgbFace: Any = None
    ) -> None:
        self._pixels.draw_markers(gc, marker_path, marker_trans, path, trans, rgbFace)
        marker_trans, trans = self._scaled(marker_trans), self._scaled(trans)
        for page in self._pages:
            page.draw_markers(self._context(page, gc), marker_path, marker_trans, path, trans, rgbFace)

    def draw_path_collection(
        self, gc: Any, master_transform: Transform, paths: Any, all_transforms: Any, offsets: Any,
        offset_trans: Transform, *args: Any, **options: Any,
    ) -> None:  # fmt: skip
        self._pixels.draw_path_collection(
            gc, master_transform, paths, all_transforms, offsets, offset_trans, *args, **options
        )
        master, place = self._scaled(master_transform), self._scaled(offset_trans)
        for page in self._pages:
            page.draw_path_collection(
                self._context(page, gc), master, paths, all_transforms, offsets, place, *args, **options
            )

    def draw_image(self, gc: Any, x: float, y: float, im: Any, transform: Any = None) -> None:
        self._pixels.draw_image(gc, x, y, im)
        height, width = (self._scale * side for side in im.shape[:2])
        if (im[..., 3] == 255).all():
            im = np.ascontiguousarray(im[..., :3])  # a quarter less to compress
        for page in self._pages:
            whole = Affine2D().scale(width, height)  # so that readers keep its pixels sharp
            page.draw_image(self._context(page, gc), self._scale * x, self._scale * y, im, whole)

    def draw_text(
        self, gc: Any, x: float, y: float, s: str, prop: Any, angle: float, ismath: Any = False, mtext: Any = None
    ) -> None:
        self._pixels.draw_text(gc, x, y, s, prop, angle, ismath, mtext)
        for page in self._pages:
            below = self._scale * (y if page.flipy() else self._pixels.height - y)
            page.draw_text(self._context(page, gc), self._scale * x, below, s, prop, angle, ismath, mtext)

    def open_group(self, s: str, gid: str | None = None) -> None:
        for page in self._pages:
            page.open_group(s, gid)

    def close_group(self, s: str) -> None:
        for page in self._pages:
            page.close_group(s)

    def _scaled(self, transform: Transform) -> Affine2D:
        """A transform to pixels, as one to points."""
        return Affine2D(transform.get_matrix()).scale(self._scale)

    def _context(self, page: RendererBase, gc: GraphicsContextBase) -> GraphicsContextBase:
        """A graphics context of the page. Equal clips are one object, by which PDF knows that nothing has changed."""
        own = page.new_gc()
        own.copy_properties(gc)
        if (box := gc.get_clip_rectangle()) is not None:
            bounds = tuple(self._scale * side for side in box.bounds)
            own.set_clip_rectangle(self._boxes.setdefault(bounds, Bbox.from_bounds(*bounds)))
        clip: Any = gc.get_clip_path()
        path, transform = clip
        if path is not None:
            own.set_clip_path(TransformedPath(path, self._scaled(transform)))
        return own
