"""Pictures of masks: contact sheets, and the ratios before and after bucketing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from masks.buckets import Bucket, ratio
from masks.draw import draw
from masks.errors import MaskError

_PAPER, _INK, _FRAME, _BEFORE, _AFTER = "white", "black", "#888888", "#b8c4d6", "#c2410c"


def contact_sheet(
    masks: Iterable[np.ndarray], columns: int = 8, tile: int = 128, title: str = "", most: int = 64
) -> Image.Image:
    """A sheet of masks, holes white, each with its number and its ratio: a grey RGB picture.

    masks: (height, width) arrays or a `MaskSet`; the first `most` are shown. tile: width of a mask in pixels.
    Raises MaskError when there is no mask.
    """
    shown = [mask for mask, _ in zip(masks, range(most), strict=False)]
    if not shown:
        raise MaskError("a contact sheet needs one mask or more")
    height = round(tile * shown[0].shape[0] / shown[0].shape[1])
    columns = min(columns, len(shown))
    gap, line = 6, 14
    texts = [*filter(None, [title]), "white: the hole", "number: hole, % of the picture"]
    head, font = line * len(texts) + gap, ImageFont.load_default(11)
    rows = -(-len(shown) // columns)
    width = max(columns * (tile + gap), *(int(font.getlength(text)) + 2 * gap for text in texts)) + gap
    sheet = Image.new("RGB", (width, head + gap + rows * (height + line + gap)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((gap, gap), "\n".join(texts), fill=_INK, font=font, spacing=2)
    for i, mask in enumerate(shown):
        x, y = gap + i % columns * (tile + gap), head + gap + i // columns * (height + line + gap)
        picture = Image.fromarray(np.asarray(mask, np.uint8) * 255)
        sheet.paste(picture.resize((tile, height), Image.Resampling.BOX), (x, y))
        pen.rectangle((x - 1, y - 1, x + tile, y + height), outline=_FRAME)
        pen.text((x, y + height), f"{i}: {100 * ratio(mask):.2f} %", fill=_INK, font=font)
    return sheet


def ratio_plot(
    generator: str, buckets: Sequence[str], n: int = 400, size: int | tuple[int, int] = 256, seed: int = 0
) -> Image.Image:
    """How bucketing treats a generator's ratios: one panel a bucket, each from `n` masks in the bucket.

    Grey bars: ratios of the generator's own masks (20 n draws) inside the bucket. Lines: ratios of the bucket's draws.
    Both are scaled to one area, in 20 steps across the bucket.
    """
    own = np.array([ratio(draw(generator, size, seed, i)) for i in range(20 * n)]) * 100
    width, height, gap = 340, 140, 30
    plot = Image.new("RGB", (gap + len(buckets) * (width + gap), height + 5 * gap), _PAPER)
    pen, font = ImageDraw.Draw(plot), ImageFont.load_default(11)
    below = height + 3 * gap + gap // 2
    pen.rectangle((gap, below + 2, gap + 20, below + 10), fill=_BEFORE)
    pen.text((gap + 28, below), f"masks of {generator} that lie in the bucket", fill=_INK, font=font)
    pen.line((gap, below + 24, gap + 20, below + 24), fill=_AFTER, width=2)
    pen.text((gap + 28, below + 18), "masks that are drawn into the bucket", fill=_INK, font=font)
    for panel, name in enumerate(buckets):
        condition = f"{generator}/{name}"
        bucket = Bucket.parse(name)
        if bucket is None:
            raise MaskError(f"'{name}' is no bucket: write for example 10-20")
        low, high = float(bucket.low), float(bucket.high)
        drawn = np.array([ratio(draw(condition, size, seed, i)) for i in range(n)]) * 100
        inside = own[(own > low) & (own <= high)]
        steps = np.linspace(low, high, 21)
        before = np.histogram(inside, steps)[0] / max(len(inside), 1)
        after = np.histogram(drawn, steps)[0] / n
        top = max(before.max(), after.max())
        left, bottom = gap + panel * (width + gap), height + 2 * gap
        x = left + np.arange(21) * width / 20
        corners = []
        for i in range(20):
            pen.rectangle((x[i], bottom - before[i] / top * height, x[i + 1] - 1, bottom), fill=_BEFORE)
            level = bottom - after[i] / top * height
            corners += [(x[i], level), (x[i + 1], level)]
        pen.line(corners, fill=_AFTER, width=2)
        pen.line((left, bottom, left + width, bottom), fill=_INK)
        for place, text, anchor in (
            (left, f"{bucket.low:f} %", "la"),
            (left + width / 2, "hole, % of the picture", "ma"),
            (left + width, f"{bucket.high:f} %", "ra"),
        ):
            pen.text((place, bottom + 4), text, fill=_INK, font=font, anchor=anchor)
        share = 100 * len(inside) / len(own)
        pen.text((left, 8), f"{condition}: {share:.1f} % of the generator's masks", fill=_INK, font=font)
    return plot
