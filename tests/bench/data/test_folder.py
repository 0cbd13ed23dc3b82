from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.data import folder as files
from bench.errors import BenchError

MODES = {
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "JPEG": ["L", "RGB", "CMYK"],
    "WEBP": ["RGB", "RGBA", "L"],
}
RED_THEN_BLUE = np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8).repeat(8, 0).repeat(8, 1)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + b"\0\0\0\0IDAT"
    return b"\x89PNG\r\n\x1a\n" + chunks


@settings(deadline=None)
@given(
    kind_and_mode=st.sampled_from([(kind, mode) for kind, modes in MODES.items() for mode in modes]),
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    size=st.integers(1, 40),
    white=st.booleans(),
)
def test_every_mode_and_size_becomes_a_square_of_its_colour(
    kind_and_mode: tuple[str, str], width: int, height: int, size: int, white: bool
) -> None:
    kind, mode = kind_and_mode
    if mode == "I;16":
        image = Image.fromarray(np.full((height, width), 65535 if white else 0, np.uint16))
    else:
        image = Image.new("RGB", (width, height), "white" if white else "black").convert(mode)
    decoded = files.decode(encoded(image, kind), "x")
    assert decoded.mode == "RGB" and decoded.size == (width, height)
    pixels = files.square(decoded, size)
    assert pixels.shape == (size, size, 3) and pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels.astype(int), 255 if white else 0, atol=2)  # JPEG and WebP lose a level or two


def test_grey_16_bit_is_scaled_not_clipped() -> None:
    values = np.array([[0, 128, 129, 257, 32768, 65279, 65535]], np.uint16)
    decoded = np.asarray(files.decode(encoded(Image.fromarray(values)), "x"))
    assert decoded[0, :, 0].tolist() == [0, 0, 1, 1, 128, 254, 255]
    assert (decoded == decoded[..., :1]).all()


def test_colour_16_bit_is_scaled() -> None:
    cv2 = pytest.importorskip("cv2")
    values = np.random.default_rng(0).integers(0, 65536, (9, 7, 3), dtype=np.uint16)
    data = cv2.imencode(".png", values[..., ::-1])[1].tobytes()
    decoded = np.asarray(files.decode(data, "x")).astype(float)
    assert np.abs(decoded - values / 257).max() <= 1


def test_transparency_is_composited_over_white() -> None:
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, :, 3] = [0, 128, 255]
    decoded = np.asarray(files.decode(encoded(Image.fromarray(pixels)), "x"))
    assert decoded[0, :, 0].tolist() == [255, 127, 0]


def test_transparent_palette_colour_is_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putdata([0, 1])
    decoded = np.asarray(files.decode(encoded(image, transparency=0), "x"))
    assert decoded[0].tolist() == [[255, 255, 255], [0, 255, 0]]


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [(1, RED_THEN_BLUE), (3, RED_THEN_BLUE[:, ::-1]), (6, np.rot90(RED_THEN_BLUE, -1)), (8, np.rot90(RED_THEN_BLUE))],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_applied(kind: str, orientation: int, expected: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    decoded = np.asarray(files.decode(encoded(Image.fromarray(RED_THEN_BLUE), kind, exif=exif, **options), "x"))
    assert decoded.shape == expected.shape
    np.testing.assert_allclose(decoded.astype(int), expected, atol=4)


def test_broken_exif_does_not_spoil_a_good_image() -> None:
    data = encoded(Image.fromarray(RED_THEN_BLUE), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f nonsense")
    assert files.decode(data, "x").size == (16, 8)


def test_square_is_the_centre_and_keeps_an_image_of_this_size() -> None:
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = np.random.default_rng(0).integers(0, 256, (10, 10, 3))
    np.testing.assert_array_equal(files.square(Image.fromarray(wide), 10), wide[:, 10:20])


def test_square_equals_resizing_all_and_cropping() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8))
    expected = image.resize((32, 16), Image.Resampling.LANCZOS).crop((8, 0, 24, 16))
    np.testing.assert_array_equal(files.square(image, 16), np.asarray(expected))


@pytest.mark.parametrize("size", [(10_001, 10_000), (60_000, 60_000)])
def test_image_bomb_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    with pytest.raises(BenchError, match=r"bomb\.png has more than 100 megapixels.*make it smaller or remove it"):
        files.decode(png_header(*size), "bomb.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated_image_is_named(kind: str, share: float) -> None:
    data = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)), kind)
    with pytest.raises(BenchError, match=r"face\.x is .*(replace|remove)"):
        files.decode(data[: int(len(data) * share)], "face.x")


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_clear_error(data: bytes) -> None:
    with pytest.raises(BenchError, match=r"face\.png .*(replace|remove)"):
        files.decode(data, "face.png")


@settings(deadline=None)
@given(position=st.integers(0, 10_000), value=st.integers(0, 255), kind=st.sampled_from(["PNG", "JPEG", "WEBP"]))
def test_a_damaged_byte_gives_an_image_or_a_clear_error(position: int, value: int, kind: str) -> None:
    data = bytearray(encoded(Image.fromarray(RED_THEN_BLUE), kind))
    data[position % len(data)] = value
    try:
        assert files.decode(bytes(data), "face.png").mode == "RGB"
    except BenchError as error:
        assert "face.png" in str(error)


def test_find_is_recursive_sorted_and_skips_what_is_no_image(tmp_path: Path) -> None:
    for name in ["b/2.JPG", "b/10.png", "a.webp", "notes.txt", ".hidden.png", ".trash/x.png", "c/d/e.jpeg"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert files.find_images(tmp_path) == ["a.webp", "b/10.png", "b/2.JPG", "c/d/e.jpeg"]


def test_find_follows_links_and_survives_a_loop(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "1.png").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "data" / "loop").symlink_to(tmp_path / "data")
    assert files.find_images(tmp_path / "data") == ["linked/1.png"]


def test_folders_that_cannot_serve_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(BenchError, match=r"missing does not exist: give the folder"):
        files.find_images(tmp_path / "missing")
    with pytest.raises(BenchError, match=r"file is a file: give the folder"):
        files.find_images(tmp_path / "file")
    with pytest.raises(BenchError, match=r"empty has no images: put PNG, JPEG or WebP files"):
        files.find_images(tmp_path / "empty")


@pytest.mark.skipif(os.name != "posix", reason="file names are Unicode elsewhere")
def test_a_name_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")).touch()
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    with pytest.raises(BenchError, match="not UTF-8: rename"):
        files.find_images(tmp_path)


def test_fingerprint_follows_names_and_content_not_order() -> None:
    one = files.fingerprint({"a": "1", "b": "2"})
    assert one == files.fingerprint({"b": "2", "a": "1"})
    assert len({one, files.fingerprint({"a": "2", "b": "1"}), files.fingerprint({"a": "1", "c": "2"})}) == 3


def test_hashes_are_remembered_and_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, listing = tmp_path / "data", tmp_path / "listing.json"
    data.mkdir()
    (data / "a.png").write_bytes(b"one")
    (data / "b.png").write_bytes(b"two")
    monkeypatch.setattr(files, "SETTLED_NS", -(10**12))  # as if the files had been there for long
    reads: list[tuple[str, int, int]] = []

    def hashes(*ids: str) -> dict[str, str]:
        reads.clear()
        return files.hash_files(data, ids, listing, lambda *done: reads.append(done))

    first = hashes("a.png", "b.png")
    assert reads == [("reading", 2, 2)]
    assert hashes("a.png", "b.png") == first and not reads
    before = (data / "b.png").stat()
    (data / "b.png").write_bytes(b"owt")  # of the same length
    os.utime(data / "b.png", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    second = hashes("a.png", "b.png")
    assert reads == [("reading", 1, 1)] and second["a.png"] == first["a.png"] and second["b.png"] != first["b.png"]
    listing.write_text("{damaged")
    assert hashes("a.png", "b.png") == second and reads == [("reading", 2, 2)]


def test_a_file_that_just_changed_is_hashed_again(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"one")
    listing = tmp_path / "listing.json"
    first = files.hash_files(tmp_path, ["a.png"], listing)
    stamp = (tmp_path / "a.png").stat()
    (tmp_path / "a.png").write_bytes(b"two")
    os.utime(tmp_path / "a.png", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert files.hash_files(tmp_path, ["a.png"], listing) != first


def test_natural_order_counts() -> None:
    assert sorted(["10.jpg", "2.jpg", "a1", "1/30.png"], key=files.natural) == ["1/30.png", "2.jpg", "10.jpg", "a1"]
