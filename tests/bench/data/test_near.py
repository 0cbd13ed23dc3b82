from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from bench.data import catalogue, near, synthfaces

EXAMPLES = Path(__file__).parents[4] / "shared" / "data" / "faces"


def faces(count: int = 24) -> list[Image.Image]:
    rendered = synthfaces.render(range(count), 128, 0).images.add(1).mul(127.5).round().byte()
    return [Image.fromarray(pixels) for pixels in rendered.permute(0, 2, 3, 1).numpy()]


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


@pytest.mark.parametrize(
    ("change", "flipped"),
    [
        (lambda image: jpeg(image, 30), False),
        (lambda image: image.resize((64, 64)), False),
        (ImageOps.mirror, True),
        (lambda image: jpeg(ImageOps.mirror(image).resize((200, 200)), 60), True),
    ],
)
def test_a_near_copy_is_found_and_nothing_else(change: Callable[[Image.Image], Image.Image], flipped: bool) -> None:
    pictures = faces()
    signed = [near.signature(image) for image in (*pictures, change(pictures[5]))]
    assert list(near.pairs(signed)) == [(5, 24, flipped)]


def test_pictures_of_one_value_are_no_copies() -> None:
    assert not list(near.pairs([near.signature(Image.new("RGB", (40, 40), colour)) for colour in ("red", "blue")]))
    assert not list(near.pairs([]))


@pytest.mark.skipif(not EXAMPLES.exists(), reason="needs the photographs of faces")
def test_no_two_photographs_of_faces_are_called_copies() -> None:
    signed = [near.signature(Image.open(path).convert("RGB")) for path in sorted(EXAMPLES.rglob("*.[jp][pn]g"))]
    assert len(signed) >= 40 and not list(near.pairs(signed))


def test_many_pictures_are_compared_in_seconds() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**63, (5000, 2)).tolist()
    started = time.perf_counter()
    assert not list(near.pairs([near.Signature((a, b), np.zeros((32, 32), np.float32)) for a, b in hashes]))
    assert time.perf_counter() - started < 5


def test_the_check_names_near_copies(tmp_path: Path) -> None:
    pictures = faces(12)
    for index, image in enumerate(pictures):
        image.save(tmp_path / f"{index:02d}.png")
    ImageOps.mirror(pictures[3]).save(tmp_path / "m.webp", lossless=True)
    jpeg(pictures[7], 50).save(tmp_path / "small.png")
    report = catalogue.check("folder", tmp_path)
    assert report.alike == (("03.png", "m.webp", True), ("07.png", "small.png", False))
    assert "  near copies: 03.png ~ m.webp (mirrored)" in str(report)
    assert any(note.startswith("2 pairs of pictures differ in compression") for note in report.notes)
