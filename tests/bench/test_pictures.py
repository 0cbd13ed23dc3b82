"""The one reader: the same picture in every kind of file is the same array, and what a file does not say is refused."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench import pictures
from bench.errors import BenchError
from bench.pictures import decode, decode_grey, decode_labels, decode_mask

H, W = 12, 20
RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (H, W, 3), dtype=np.uint8)
COLOUR[0, 0] = 255
GREY = RNG.integers(0, 256, (H, W), dtype=np.uint8)
GREY[0, 0] = 255
ALPHA = np.where(np.arange(W) < 7, 0, 255).astype(np.uint8) * np.ones((H, 1), np.uint8)
HOLE = np.zeros((H, W), bool)
HOLE[3:7, 4:15] = True
SOFT = np.where(ALPHA, np.where(np.arange(H)[:, None] < 5, 128, 255), 0).astype(np.uint8)  # partly transparent


FEW = {depth: RNG.integers(0, 1 << depth, (H, W), dtype=np.uint8) for depth in (1, 2, 4)}  # values of fewer bits


def three(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def over_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    image = Image.fromarray(np.dstack([colour, alpha]))
    return np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB"))


def saved(image: Image.Image | np.ndarray, kind: str, **options: Any) -> bytes:
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def png(samples: np.ndarray, kind: int, depth: int = 16, transparent: np.ndarray | None = None) -> bytes:
    """A PNG file by its parts, of kinds that Pillow does not write: kind 0 grey, 2 RGB, 4 grey and alpha, 6 RGBA."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], depth, kind, 0, 0, 0)
    if depth < 8:
        bits = np.unpackbits(samples[..., None], axis=2)[..., 8 - depth :].reshape(len(samples), -1)
        rows = [np.packbits(row).tobytes() for row in bits]
    else:
        rows = [row.astype(">u2" if depth == 16 else np.uint8).tobytes() for row in samples]
    key = b"" if transparent is None else chunk(b"tRNS", transparent.astype(">u2").tobytes())
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + key + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def tiff(samples: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, **options)
    return buffer.getvalue()


def wide(values: np.ndarray) -> np.ndarray:
    """8 bits as 16."""
    return values.astype(np.uint16) * 257


def keyed() -> np.ndarray:
    """Grey values of which 77 is used in the transparent part alone."""
    grey = np.where(GREY == 77, 78, GREY).astype(np.uint8)
    return np.where(ALPHA == 0, 77, grey).astype(np.uint8)


def palette(transparent: bool = False) -> bytes:
    image = Image.fromarray(GREY // 16, "P")
    image.putpalette((np.random.default_rng(1).integers(0, 256, (16, 3), dtype=np.uint8)).tobytes())
    return saved(image, "PNG", **({"transparency": bytes([0, *[255] * 15])} if transparent else {}))


RGB_FILES: dict[str, bytes] = {
    "png": saved(COLOUR, "PNG"),
    "bmp": saved(COLOUR, "BMP"),
    "tiff": saved(COLOUR, "TIFF"),
    "tiff lzw": saved(COLOUR, "TIFF", compression="tiff_lzw"),
    "tiff planes": tiff(COLOUR.transpose(2, 0, 1).copy(), photometric="rgb", planarconfig="separate"),
    "webp": saved(COLOUR, "WEBP", lossless=True),
    "ppm": saved(COLOUR, "PPM"),
    "opaque rgba": saved(np.dstack([COLOUR, np.full((H, W), 255, np.uint8)]), "PNG"),
    "16-bit png": png(wide(COLOUR), 2),
    "16-bit rgba png": png(wide(np.dstack([COLOUR, np.full((H, W), 255)])), 6),
    "16-bit tiff": tiff(wide(COLOUR), photometric="rgb"),
    "16-bit tiff, big end first": tiff(wide(COLOUR), photometric="rgb", byteorder=">"),
    "16-bit tiff deflated": tiff(wide(COLOUR), photometric="rgb", compression="zlib"),
    "16-bit ppm": b"P6 20 12 65535\n" + wide(COLOUR).astype(">u2").tobytes(),
}
GREY_FILES: dict[str, bytes] = {
    "png": saved(GREY, "PNG"),
    "tiff": saved(GREY, "TIFF"),
    "tiff, white is zero": tiff(255 - GREY, photometric="miniswhite"),
    "pgm": saved(GREY, "PPM"),
    "gif": saved(GREY, "GIF"),
    "as colours": saved(three(GREY), "PNG"),
    "16-bit png": saved(wide(GREY), "PNG"),
    "16-bit tiff": saved(wide(GREY), "TIFF"),
    "16-bit tiff, big end first": tiff(wide(GREY), byteorder=">"),
    "16-bit tiff, white is zero": tiff(65535 - wide(GREY), photometric="miniswhite"),
    "16-bit pgm": b"P5 20 12 65535\n" + wide(GREY).astype(">u2").tobytes(),
    "opaque la": saved(np.dstack([GREY, np.full((H, W), 255, np.uint8)]), "PNG"),
    "16-bit la": png(wide(np.dstack([GREY, np.full((H, W), 255)])), 4),
}
CLEAR_FILES: dict[str, tuple[bytes, np.ndarray]] = {
    "rgba": (saved(np.dstack([COLOUR, ALPHA]), "PNG"), over_white(COLOUR, ALPHA)),
    "rgba, half transparent": (saved(np.dstack([COLOUR, SOFT]), "PNG"), over_white(COLOUR, SOFT)),
    "rgba webp": (saved(np.dstack([COLOUR, ALPHA]), "WEBP", lossless=True), over_white(COLOUR, ALPHA)),
    "rgba tiff": (saved(np.dstack([COLOUR, SOFT]), "TIFF"), over_white(COLOUR, SOFT)),
    "16-bit rgba png": (png(wide(np.dstack([COLOUR, SOFT])), 6), over_white(COLOUR, SOFT)),
    "16-bit rgba tiff": (
        tiff(wide(np.dstack([COLOUR, SOFT])), photometric="rgb", extrasamples=["unassalpha"]),
        over_white(COLOUR, SOFT),
    ),
    "la": (saved(np.dstack([GREY, SOFT]), "PNG"), over_white(three(GREY), SOFT)),
    "16-bit la": (png(wide(np.dstack([GREY, SOFT])), 4), over_white(three(GREY), SOFT)),
    "a transparent grey": (png(keyed(), 0, 8, np.array([77])), over_white(three(keyed()), ALPHA)),
    "a transparent grey of 16 bits": (
        png(wide(keyed()), 0, 16, np.array([77 * 257])),
        over_white(three(keyed()), ALPHA),
    ),
    **{
        f"a transparent grey of {depth} bits": (
            png(few, 0, depth, np.array([1])),
            over_white(three(few * (255 // ((1 << depth) - 1))), np.where(few == 1, 0, 255).astype(np.uint8)),
        )
        for depth, few in FEW.items()
    },
    "a transparent colour": (png(three(keyed()), 2, 8, np.array([77] * 3)), over_white(three(keyed()), ALPHA)),
    "a transparent colour of 16 bits": (
        png(wide(three(keyed())), 2, 16, np.array([77 * 257] * 3)),
        over_white(three(keyed()), ALPHA),
    ),
}


@pytest.mark.parametrize("kind", RGB_FILES)
def test_colours_are_the_same_in_every_lossless_file(kind: str) -> None:
    np.testing.assert_array_equal(np.asarray(decode(RGB_FILES[kind], "x")), COLOUR)


@pytest.mark.parametrize("kind", GREY_FILES)
def test_grey_is_the_same_in_every_lossless_file(kind: str) -> None:
    np.testing.assert_array_equal(np.asarray(decode(GREY_FILES[kind], "x")), three(GREY))
    np.testing.assert_allclose(decode_grey(GREY_FILES[kind], "x") if "gif" not in kind else GREY / 255, GREY / 255)


@pytest.mark.parametrize("kind", CLEAR_FILES)
def test_transparent_parts_are_white_whatever_is_hidden_there(kind: str) -> None:
    data, expected = CLEAR_FILES[kind]
    np.testing.assert_array_equal(np.asarray(decode(data, "x")), expected)


def bmp(alpha: int) -> bytes:
    """32 bits with a header that says where alpha is (BITMAPV5HEADER)."""
    body = np.dstack([COLOUR[..., ::-1], np.full((H, W), alpha, np.uint8)])[::-1].tobytes()
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(64)
    head = struct.pack("<IiiHHIIiiII", 124, W, H, 1, 32, 3, len(body), 0, 0, 0, 0) + masks
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(body), 0, 0, 14 + len(head)) + head + body


UNSEEN = np.zeros((H, W), np.uint8)


@pytest.mark.parametrize(
    "data",
    [
        saved(np.dstack([COLOUR, UNSEEN]), "PNG"),
        saved(np.dstack([COLOUR, UNSEEN]), "WEBP", lossless=True, exact=True),
        saved(np.dstack([COLOUR, UNSEEN]), "TIFF"),
        saved(np.dstack([GREY, UNSEEN]), "PNG"),
        png(wide(np.dstack([COLOUR, UNSEEN])), 6),
        png(wide(np.dstack([GREY, UNSEEN])), 4),
        png(three(UNSEEN), 2, 8, np.array([0] * 3)),
        bmp(0),
    ],
)
def test_a_picture_of_which_nothing_is_visible_is_refused(data: bytes) -> None:
    with pytest.raises(BenchError, match=r"^a\.png is transparent as a whole, .*: save it without an alpha channel"):
        decode(data, "a.png")


def test_alpha_that_is_full_or_barely_there_is_no_fault() -> None:
    assert np.array_equal(np.asarray(decode(bmp(255), "a.bmp")), COLOUR)
    faint = np.where(np.arange(W) < 1, 1, 0).astype(np.uint8) * np.ones((H, 1), np.uint8)
    found = np.asarray(decode(saved(np.dstack([COLOUR, faint]), "PNG"), "a.png"))
    assert np.array_equal(found, over_white(COLOUR, faint))


def test_palettes() -> None:
    colours = np.asarray(Image.open(io.BytesIO(palette())).convert("RGB"))
    np.testing.assert_array_equal(np.asarray(decode(palette(), "x")), colours)
    clear = np.asarray(decode(palette(transparent=True), "x"))
    assert (clear[GREY // 16 == 0] == 255).all()
    np.testing.assert_array_equal(clear[GREY // 16 > 0], colours[GREY // 16 > 0])


def test_one_bit_is_black_and_white() -> None:
    for kind in ("PNG", "TIFF", "BMP", "PPM"):
        np.testing.assert_array_equal(np.asarray(decode(saved(HOLE, kind), "x")), three(HOLE * np.uint8(255)))


def test_sixteen_bits_are_rounded() -> None:
    values = RNG.integers(0, 65536, (H, W, 3)).astype(np.uint16)
    expected = np.rint(values / 257).astype(np.uint8)
    for data in (png(values, 2), tiff(values, photometric="rgb")):
        np.testing.assert_array_equal(np.asarray(decode(data, "x")), expected)
    np.testing.assert_array_equal(np.asarray(decode(saved(values[..., 0], "PNG"), "x")), three(expected[..., 0]))


def test_other_colour_models_within_a_level() -> None:
    smooth = np.asarray(Image.fromarray(COLOUR[:4, :4]).resize((W, H), Image.Resampling.BICUBIC)).astype(int)
    cmyk = Image.fromarray(smooth.astype(np.uint8)).convert("CMYK")
    matrix = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    ycc = np.rint(smooth @ matrix.T + [0, 128, 128]).clip(0, 255).astype(np.uint8)
    for image in (cmyk, Image.frombytes("YCbCr", (W, H), ycc.tobytes())):
        assert abs(np.asarray(decode(saved(image, "TIFF"), "x")).astype(int) - smooth).max() <= 1
    jpeg = np.asarray(decode(saved(cmyk, "JPEG", quality=100, subsampling=0), "x")).astype(int)
    assert abs(jpeg - smooth).max() <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_reader_turns_a_picture_as_its_tag_says(orientation: int) -> None:
    turn: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: np.rot90,
    }  # fmt: skip
    right = turn[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    for array in (COLOUR, GREY, np.dstack([COLOUR, SOFT])):
        flat = np.asarray(decode(saved(array, "PNG"), "x"))
        tag = [(274, "H", 1, orientation, True)]
        kind = {"photometric": "minisblack" if array.ndim == 2 else "rgb"}
        kind |= {"extrasamples": ["unassalpha"]} if array.ndim == 3 and array.shape[2] == 4 else {}
        files = [
            saved(array, "PNG", exif=exif),
            saved(array, "TIFF", exif=exif),
            tiff(wide(array), extratags=tag, **kind),
        ]
        files += (
            [saved(wide(array), "PNG", exif=exif)]
            if array.ndim == 2
            else [with_exif(png(wide(array), 2 if array.shape[2] == 3 else 6), exif)]
        )
        for data in files:
            np.testing.assert_array_equal(np.asarray(decode(data, "x")), right(flat))
    np.testing.assert_array_equal(decode_mask(saved(HOLE, "PNG", exif=exif), "x"), right(HOLE))
    np.testing.assert_array_equal(decode_labels(saved(GREY // 16, "PNG", exif=exif), "x", 19), right(GREY // 16))


def with_exif(data: bytes, exif: Image.Exif) -> bytes:
    """A PNG with EXIF data in front of its pixels."""
    content = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    return data[:33] + chunk + data[33:]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (saved((GREY / 255).astype(np.float32), "TIFF"), "holds floats, whose range no file states"),
        (saved(GREY.astype(np.int32), "TIFF"), "holds integers of more than 16 bits"),
        (tiff(GREY.astype(np.int16)), "holds integers of more than 16 bits, or with a sign"),
        (saved(GREY.astype(np.uint16), "PNG"), "has 16 bits, but no value above 255"),
        (saved(GREY.astype(np.uint16) * 16, "PNG"), "has 16 bits, but no value above 4080"),
        (png(COLOUR.astype(np.uint16), 2), "has 16 bits, but no value above 255"),
        (saved(Image.frombytes("LAB", (W, H), COLOUR.tobytes()), "TIFF"), "has colours of the kind LAB"),
        (
            tiff(wide(COLOUR).transpose(2, 0, 1).copy(), photometric="rgb", planarconfig="separate"),
            "is damaged .its 16-bit colours lie in planes",
        ),
        (b"", "is empty"),
        (b"hello", "is not a PNG, JPEG, WebP, BMP, TIFF, GIF or PNM image"),
        (saved(COLOUR, "PNG")[:200], "is damaged"),
    ],
)
def test_a_range_that_is_not_known_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(BenchError, match=f"^dir/name.png {reason}"):
        decode(data, "dir/name.png")


def test_black_is_black_in_sixteen_bits() -> None:
    assert not np.asarray(decode(saved(np.zeros((4, 4), np.uint16), "PNG"), "x")).any()


def index(first: tuple[int, int, int], second: tuple[int, int, int], low: int = 0, high: int = 1) -> Image.Image:
    """A palette picture whose indices are `high` in the hole and `low` elsewhere."""
    image = Image.fromarray(np.where(HOLE, high, low).astype(np.uint8), "P")
    colours = np.full((256, 3), 90, np.uint8)
    colours[low], colours[high] = first, second
    image.putpalette(colours.tobytes())
    return image


BLACK, WHITE, RED, BLANK = (0, 0, 0), (255, 255, 255), (128, 0, 0), np.zeros((H, W, 3), np.uint8)
LOSSLESS, FEW_BITS = ("PNG", "BMP", "TIFF", "GIF"), ((2, 1), (2, 3), (4, 1), (4, 15))
MASKS: dict[str, bytes] = {
    **{f"0 and {white}, {kind}": saved(HOLE * np.uint8(white), kind) for white in (1, 255) for kind in LOSSLESS},
    **{f"0 and {white} of 16 bits": saved(HOLE * np.uint16(white), "PNG") for white in (1, 255, 65535)},
    **{f"0 and {white} of 16 bits, TIFF": saved(HOLE * np.uint16(white), "TIFF") for white in (1, 255, 65535)},
    **{f"0 and {white} in colours": saved(three(HOLE * np.uint8(white)), "PNG") for white in (1, 255)},
    **{f"0 and {white} in 16-bit colours": png(three(HOLE * np.uint16(white)), 2) for white in (1, 255, 65535)},
    **{f"0 and {white} of {depth} bits": png(HOLE * np.uint8(white), 0, depth) for depth, white in FEW_BITS},
    "one bit": saved(HOLE, "PNG"),
    "one bit, white is zero": tiff(~HOLE, photometric="miniswhite"),
    "32-bit integers": saved(HOLE.astype(np.int32), "TIFF"),
    "floats 0 and 1": saved(HOLE.astype(np.float32), "TIFF"),
    "floats 0 and 255": saved(HOLE.astype(np.float32) * 255, "TIFF"),
    "webp": saved(three(HOLE * np.uint8(255)), "WEBP", lossless=True),
    "opaque rgba": saved(np.dstack([three(HOLE * np.uint8(255)), np.full((H, W), 255, np.uint8)]), "PNG"),
    "black and white palette": saved(index(BLACK, WHITE), "PNG"),
    "white and black palette": saved(index(BLACK, WHITE, 1, 0), "PNG"),
    "label palette": saved(index(BLACK, RED), "PNG"),
    "label palette, 255": saved(index(BLACK, (224, 224, 192), 0, 255), "PNG"),
    "grey palette 0 and 1": saved(index(BLACK, (1, 1, 1)), "PNG"),
    "gif": saved(index(BLACK, WHITE), "GIF"),
    "alpha of a black picture": saved(np.dstack([BLANK, HOLE * np.uint8(255)]), "PNG"),
    "alpha of a white picture": saved(np.dstack([BLANK + 255, HOLE * np.uint8(255)]), "PNG"),
    "alpha of a red picture": saved(np.dstack([BLANK + np.uint8([255, 0, 0]), HOLE * np.uint8(255)]), "PNG"),
    "alpha of a grey picture": saved(np.dstack([BLANK[..., 0], HOLE * np.uint8(255)]), "PNG"),
    "alpha of 16 bits": png(np.dstack([BLANK, HOLE * np.uint16(65535)]), 6),
    "white paint on nothing": saved(np.dstack([three(HOLE * np.uint8(255)), HOLE * np.uint8(255)]), "PNG"),
}  # fmt: skip


@pytest.mark.parametrize("kind", MASKS)
def test_holes_are_the_same_in_every_file(kind: str) -> None:
    found = decode_mask(MASKS[kind], "x")
    assert found.dtype == bool
    np.testing.assert_array_equal(found, HOLE)


NO_MASKS: dict[str, tuple[bytes, str]] = {
    "grey values": (saved(GREY, "PNG"), r"holds \d+ values \(.*\) in the place of 0 and 255"),
    "grey and black": (saved(HOLE * np.uint8(128), "PNG"), r"holds 2 values \(0, 128\)"),
    "white and grey": (saved(np.where(HOLE, 255, 127).astype(np.uint8), "PNG"), r"holds 2 values \(127, 255\)"),
    "nothing but grey": (saved(np.full((H, W), 7, np.uint8), "PNG"), r"holds 1 values \(7\)"),
    "soft edges": (saved(Image.fromarray(HOLE * np.uint8(255)).resize((40, 24)), "PNG"), "--mask-threshold 127"),
    "a JPEG": (saved(HOLE * np.uint8(255), "JPEG", quality=50), "--mask-threshold 127"),
    "labels of a map": (saved(index(BLACK, RED, 0, 4), "PNG"), r"shows the labels 0, 4"),
    "a bright first index": (saved(index((200, 200, 0), RED), "PNG"), r"shows the labels 0, 1"),
    "colours": (saved(COLOUR, "PNG"), "it has colours"),
    "a picture with a hole in its alpha": (
        saved(np.dstack([COLOUR, HOLE * np.uint8(255)]), "PNG"),
        "transparent parts",
    ),
    "white where it is transparent": (
        saved(np.dstack([three(HOLE * np.uint8(255)), ~HOLE * np.uint8(255)]), "PNG"),
        "transparent parts",
    ),
    "soft alpha": (saved(np.dstack([BLANK, SOFT]), "PNG"), r"holds 3 values \(0, 128, 255\)"),
    "negative values": (saved(np.where(HOLE, 1, -1).astype(np.int32), "TIFF"), r"holds 2 values \(-1, 1\)"),
    "floats between": (saved(np.where(HOLE, 1, 0.5).astype(np.float32), "TIFF"), r"holds 2 values \(0.5, 1\)"),
}


@pytest.mark.parametrize("kind", NO_MASKS)
def test_what_could_mean_either_is_refused(kind: str) -> None:
    data, reason = NO_MASKS[kind]
    with pytest.raises(BenchError, match=f"^dir/name.png is no mask: .*{reason}"):
        decode_mask(data, "dir/name.png")


def test_a_threshold_parts_grey_values() -> None:
    soft = np.where(HOLE, 200, 90).astype(np.uint8)
    for data in (saved(soft, "PNG"), saved(wide(soft), "PNG"), saved(three(soft), "PNG"), png(wide(three(soft)), 2)):
        np.testing.assert_array_equal(decode_mask(data, "x", 127), HOLE)
        assert decode_mask(data, "x", 89).all()
        assert not decode_mask(data, "x", 200).any()
    jpeg = saved(HOLE * np.uint8(255), "JPEG", quality=50)
    assert (decode_mask(jpeg, "x", 127) == HOLE).mean() > 0.97


def test_label_maps_are_read_as_they_are_stored() -> None:
    labels = GREY // 14  # 0 to 18
    few = GREY // 32
    image = Image.fromarray(labels, "P")
    image.putpalette(bytes(range(256)) * 3)
    files = [
        saved(labels, "PNG"),
        saved(labels.astype(np.uint16), "PNG"),
        saved(three(labels), "PNG"),
        saved(image, "PNG"),
    ]
    for data in files:
        np.testing.assert_array_equal(decode_labels(data, "x", 19), labels)
    np.testing.assert_array_equal(decode_labels(png(few, 0, 4), "x", 19), few)
    np.testing.assert_array_equal(decode_labels(saved(HOLE, "PNG"), "x", 19), HOLE)
    for data, reason in ((saved(labels + 1, "PNG"), "it holds 19"), (saved(COLOUR, "PNG"), "it has colours")):
        with pytest.raises(BenchError, match=f"^name.png is no label map: {reason}"):
            decode_labels(data, "name.png", 19)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + b"\0\0\0\0IDAT"
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_broken_exif_does_not_spoil_a_good_image() -> None:
    data = saved(COLOUR, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f nonsense")
    assert decode(data, "x").size == (W, H)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_the_tag_of_a_photograph_counts(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth = np.asarray(Image.fromarray(COLOUR[:2, :3]).resize((W, H), Image.Resampling.BICUBIC))
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {"lossless": True}
    found = np.asarray(decode(saved(smooth, kind, exif=exif, **options), "x")).astype(int)
    np.testing.assert_allclose(found, np.rot90(smooth, -1), atol=4)


@pytest.mark.parametrize("size", [(10_001, 10_000), (60_000, 60_000)])
def test_image_bomb_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    with pytest.raises(BenchError, match=r"bomb\.png has more than 100 megapixels.*make it smaller or remove it"):
        decode(png_header(*size), "bomb.png")


def test_a_large_picture_is_read_without_a_word(tmp_path: Path) -> None:
    """Pillow warns of what has more than 89 megapixels, in a line of its source."""
    Image.new("1", (9600, 9600)).save(tmp_path / "large.png")
    code = "import sys; from bench import pictures; print(pictures.decode(open(sys.argv[1], 'rb').read(), 'x').size)"
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "large.png")], capture_output=True, text=True, check=True
    )
    assert (told.stdout.strip(), told.stderr) == ("(9600, 9600)", "")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated_image_is_named(kind: str, share: float) -> None:
    data = saved(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)), kind)
    with pytest.raises(BenchError, match=r"face\.x is .*(replace|remove)"):
        decode(data[: int(len(data) * share)], "face.x")


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_clear_error(data: bytes) -> None:
    with pytest.raises(BenchError, match=r"face\.png .*(replace|remove)"):
        decode(data, "face.png")


@settings(deadline=None)
@given(
    position=st.integers(0, 10_000),
    value=st.integers(0, 255),
    kind=st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM"]),
)
def test_a_damaged_byte_gives_an_image_or_a_clear_error(position: int, value: int, kind: str) -> None:
    data = bytearray(saved(Image.fromarray(COLOUR), kind))
    data[position % len(data)] = value
    try:
        assert decode(bytes(data), "face.png").mode == "RGB"
    except BenchError as error:
        assert "face.png" in str(error)


def test_folders_are_no_pictures_and_links_that_lead_nowhere_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "b.png").symlink_to("a.png")
    (tmp_path / "c.png").symlink_to("folder.png")
    (tmp_path / "notes").symlink_to("nowhere")
    found, unread = pictures.listed(tmp_path)
    assert list(found) == ["a", "b"] and not unread
    (tmp_path / "d.png").symlink_to("nowhere")
    with pytest.raises(BenchError, match=r"cannot read .*d\.png: No such file or directory; replace or remove it"):
        pictures.listed(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="file names are Unicode elsewhere")
def test_a_picture_whose_name_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xe9.txt")).touch()
    assert not pictures.listed(tmp_path)[0]
    (tmp_path / os.fsdecode(b"\xe9.png")).touch()
    with pytest.raises(BenchError, match=r"the file name b'\\xe9\.png' in .* is not UTF-8: rename"):
        pictures.listed(tmp_path)
