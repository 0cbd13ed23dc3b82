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
    """Unrelated ones, those of one value, whose hashes are all equal, and frames of a video, all near-copies."""
    rng = np.random.default_rng(0)
    hashes, noise = rng.integers(0, 2**63, (5000, 2)).tolist(), rng.normal(size=(5000, 32, 32)).astype(np.float32)
    noise -= noise.mean((1, 2), keepdims=True)
    noise /= np.linalg.norm(noise, axis=(1, 2), keepdims=True)
    unrelated = [near.Signature((a, b), pixels) for (a, b), pixels in zip(hashes, noise, strict=True)]
    flat = [near.Signature((0, 0), np.zeros((32, 32), np.float32))] * 3000
    frames = [near.Signature((7, 9), noise[0])] * 1000
    told: list[tuple[str, int, int]] = []
    for signed, count in ((flat, 0), (frames, 1000 * 999 // 2), (unrelated, 0)):
        started = time.perf_counter()
        assert sum(1 for _ in near.pairs(signed, lambda *said: told.append(said))) == count
        assert time.perf_counter() - started < 5
    assert told[-1] == ("comparing", 5000, 5000)


def test_pairs_are_those_of_single_comparisons() -> None:
    """In order, with one mirrored where it is near so alone, whatever block a picture is in."""
    pictures = faces(70)
    signed = [near.signature(one) for one in (*pictures, *(ImageOps.mirror(one) for one in pictures[::9]), pictures[3])]
    expected = []
    for i, left in enumerate(signed):
        for j, right in enumerate(signed[i + 1 :], start=i + 1):
            for flipped in (False, True):
                bits = (left.hashes[flipped] ^ right.hashes[0]).bit_count()
                alike = (left.pixels[:, ::-1] if flipped else left.pixels).ravel() @ right.pixels.ravel()
                if bits <= near.BITS and alike >= near.CORRELATION:
                    expected.append((i, j, flipped))
                    break
    assert len(expected) == 9 and list(near.pairs(signed)) == expected


def test_the_search_ends_aloud_where_all_are_near_copies(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    face = np.asarray(faces(1)[0].resize((32, 32))).astype(int)
    for i in range(160):
        frame = np.clip(face + rng.integers(-2, 3, face.shape), 0, 255).astype(np.uint8)
        Image.fromarray(frame).save(tmp_path / f"{i:03d}.png")
    report = catalogue.check("folder", tmp_path)
    assert len(report.alike) == catalogue.MOST_ALIKE < 160 * 159 // 2
    assert any(note.startswith("10,000 pairs or more (the search ended there) of pictures") for note in report.notes)


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
