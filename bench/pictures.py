"""The one reader of pictures, masks and label maps: every command, method and guide decodes with it.

Nothing is guessed: what a file does not say, such as the range of floats, is refused with the remedy. The module stands
on the ground: of the project it imports the error alone, and all may import it.
"""

from __future__ import annotations

import io
import os
import re
import stat
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps

from bench.errors import BenchError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
"""Pillow's other formats are never tried: they include some that run programs, such as PostScript."""
SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif"}
    | {".ppm", ".pgm", ".pbm", ".pnm"}
)
KINDS = "PNG, JPEG, WebP, BMP, TIFF, GIF or PNM"
UNREAD = frozenset(
    {".avif", ".heic", ".heif", ".jp2", ".j2k", ".jpx", ".jxl", ".tga", ".psd", ".xcf", ".ico", ".svg", ".pcx", ".pfm"}
    | {".exr", ".hdr", ".dng", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".mpo", ".jpf", ".qoi", ".eps"}
)
"""Suffixes of pictures that are not read: who leaves such files out says so."""
COMPANIONS = frozenset(
    {".txt", ".md", ".pdf", ".html", ".json", ".jsonl", ".csv", ".tsv", ".yaml", ".yml", ".xml", ".flist", ".lst"}
    | {".npy", ".npz", ".mat", ".pt", ".pth", ".pkl", ".bin", ".h5", ".parquet", ".zip", ".tar", ".gz", ".py", ".sh"}
)
"""Suffixes of what lies beside pictures and is none: such files are not opened."""
MAGIC = re.compile(
    rb"\x89PNG\r\n|\xff\xd8\xff|RIFF.{4}WEBP|GIF8[79]a|II\*\0|MM\0\*|BM.{4}\0{4}|P[1-6]\s|.{4}ftyp(?:avi|hei|mif)",
    re.DOTALL,
)
"""How pictures begin, whatever their names."""
MAX_PIXELS = 100_000_000
MAX_BYTES = 1 << 30
MAX_PASSES = 20  # decodings of `MAX_PIXELS` that the scans of one JPEG file may cost
DARK = 4096  # of 65536: a 16-bit picture whose values stay below it has fewer bits than it says
BITS, PHOTOMETRIC, PLANES, EXTRA = 258, 262, 284, 338  # tags of TIFF
TURNED, SIDEWAYS = range(2, 9), range(5, 9)  # EXIF orientations; of the latter the width is the height
WHITES = (1, 255, 65535)  # what stands beside 0 in a mask
THRESHOLD = "say which values are hole with --mask-threshold 127 (in a suite folder:DIR/>127: all above 127 of 255)"

T = TypeVar("T")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning, append=True)  # `MAX_PIXELS` is the limit


def read(path: Path, most: int = MAX_BYTES) -> bytes:
    """The bytes of one file; BenchError names it when it cannot be read, is no file, or has more than `most` bytes."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait without end
            raise BenchError(f"{path} is no file: replace or remove it")
        if status.st_size > most:
            raise BenchError(f"{path} has more than {most >> 20:,} MiB: replace or remove it")
        return path.read_bytes()
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror}; check that it exists and its permissions") from error


def unnamed(path: Path) -> bool:
    """Whether a file is a picture by its content and no suffix says so; False for what cannot be read."""
    if path.suffix.lower() in SUFFIXES | UNREAD | COMPANIONS:
        return False
    try:
        if not path.is_file():  # opening a pipe would wait without end
            return False
        with path.open("rb") as handle:
            return MAGIC.match(handle.read(12)) is not None
    except OSError:
        return False


def closed(error: OSError) -> NoReturn:
    """What `os.walk` calls for a folder that cannot be read: to pass over it would hide pictures."""
    raise BenchError(
        f"cannot read the folder {error.filename}: {error.strerror}; check its permissions, or give a folder without it"
    ) from error


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, sorted; names that begin with a dot are skipped. BenchError where it cannot be read."""
    try:
        with os.scandir(folder) as found:
            return sorted((one for one in found if not one.name.startswith(".")), key=lambda one: one.name)
    except OSError as error:
        reason = error.strerror or error
        raise BenchError(
            f"cannot read the folder {folder}: {reason}; check that it exists and its permissions"
        ) from error


def check_name(name: str, place: Path) -> None:
    """BenchError where a file's name is not UTF-8: no table could hold it."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise BenchError(f"the file name {os.fsencode(name)!r} in {place} is not UTF-8: rename the file") from error


def status(path: Path) -> os.stat_result:
    """What the system knows of a file; BenchError for a link that leads nowhere."""
    try:
        return path.stat()
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror}; replace or remove it") from error


def is_picture(entry: os.DirEntry[str]) -> bool:
    """Whether an entry of a folder is a file with a picture's suffix.

    Raises BenchError for a name that is not UTF-8 and for a link that leads nowhere: neither can be read or told later.
    """
    path = Path(entry)
    if path.suffix.lower() not in SUFFIXES:
        return False
    if entry.is_symlink():
        status(path)
    if entry.is_dir():
        return False
    check_name(entry.name, path.parent)
    return True


def listed(folder: Path) -> tuple[dict[str, Path], Counter[str]]:
    """The pictures in a folder, sorted, by their names without suffix; and how many files of which suffix are not read.

    Pictures without a suffix that says so count as well. Names are in Unicode's NFC: macOS writes an accent as a letter
    of its own (NFD), others do not. Raises BenchError where two have one name, the folder cannot be read, or as
    `is_picture` does.
    """
    found: dict[str, Path] = {}
    unread: Counter[str] = Counter()
    for entry in entries(folder):
        path = folder / entry.name
        suffix = path.suffix.lower()
        if is_picture(entry) and (other := found.setdefault(unicodedata.normalize("NFC", path.stem), path)) != path:
            raise BenchError(f"{other} and {path} have one name: rename or remove one of them")
        if suffix in UNREAD:
            unread[suffix] += 1
        elif unnamed(path):
            unread["without a known suffix"] += 1
    return found, unread


@dataclass(frozen=True)
class Facts:
    """What a file says of its picture, before it is converted to anything."""

    size: tuple[int, int]
    """(width, height), the right way up."""
    mode: str
    """Pillow's name of how it is stored: "RGB", "L", "P", "1", "RGBA", ..."""
    bits: int
    """Of a channel; 32 of floats and long integers."""
    turned: bool
    """Its EXIF orientation says that it must be turned or mirrored."""
    transparent: bool
    """Some pixel is not opaque."""


def facts(data: bytes, path: str | Path) -> Facts:
    """What the bytes of one picture say of it; BenchError as of `decode`, but not for ranges that cannot be known."""

    def found(image: Image.Image) -> Facts:
        orientation, (width, height) = image.getexif().get(ExifTags.Base.Orientation, 1), image.size
        long = image.mode in ("F", "I") and image.format != "PPM"
        clear = image.has_transparency_data and not image.mode.startswith("I")
        return Facts(
            (height, width) if orientation in SIDEWAYS else (width, height),
            image.mode,
            32 if long else _bits(image, data),
            orientation in TURNED,
            clear and bool(np.asarray(image.convert("RGBA").getchannel("A")).min() < 255),
        )

    return _opened(data, path, found)


def size(data: bytes, path: str | Path) -> tuple[int, int]:
    """Width and height of a picture, the right way up, of its header alone; BenchError as of `decode`."""

    def upright(image: Image.Image) -> tuple[int, int]:
        width, height = image.size
        return (height, width) if image.getexif().get(ExifTags.Base.Orientation, 1) in SIDEWAYS else (width, height)

    return _opened(data, path, upright)


def decode(data: bytes, path: str | Path) -> Image.Image:
    """Decode the bytes of one picture to 8-bit RGB, the right way up.

    EXIF orientation is applied; grey and palette pictures become RGB; 16 bits become 8 by rounding 255 v / 65535;
    transparent parts are composited over white, so that hidden colours do not count; of an animation the first frame is
    taken. Colour profiles are ignored. Raises BenchError, naming `path`, for what is not a picture, is damaged, is
    transparent as a whole, has more than 100 megapixels, or whose range cannot be known: 32-bit integers, floats,
    16-bit files of fewer bits.
    """
    return _opened(data, path, lambda image: _over_white(_eight_bits(image, data, path), path))


def decode_labels(data: bytes, path: str | Path, classes: int) -> np.ndarray:
    """Decode a label map: (H, W) uint8, the stored values or the palette's indices, which are below `classes`.

    Raises BenchError, naming `path`, as `decode` does, and for colours and other values.
    """

    def indices(image: Image.Image) -> np.ndarray:
        palette = image.mode in ("P", "PA")
        values = _upright(image)[..., 0] if palette else _grey(_stored(image, data)[0], path, "label map")
        odd = values[(values < 0) | (values >= classes) | (values != np.trunc(values))]
        if odd.size:
            raise BenchError(f"{path} is no label map: it holds {odd.max():g}, classes are 0 to {classes - 1}")
        return values.astype(np.uint8)

    return _opened(data, path, indices)


def decode_mask(data: bytes, path: str | Path, threshold: int | None = None, inverted: bool = False) -> np.ndarray:
    """Decode a mask: (H, W) bool, True = hole.

    Hole is what is white in a file of two values, 0 and 1, 255 or 65,535, grey or in equal colours. Of a palette that
    is black and white the colours count, else the indices 0 and 1 or 0 and 255. Where the picture itself is blank, the
    alpha channel is the mask. All else is refused: grey values, more labels, colours, a picture with an alpha channel.
    `threshold`, of 255: values above it are hole, whatever they are. `inverted`: all of this says what is known.
    """
    return _opened(data, path, lambda image: _holes(image, data, path, threshold)) ^ inverted


def holes(values: np.ndarray, name: str, threshold: int | None = None, top: int = 255) -> np.ndarray:
    """The holes of a mask that holds 0 and one of 1, 255, 65535 (or True): bool of the same shape.

    Other values are refused by `name`, unless a `threshold` of 255 parts them; then `top` is the value of white.
    """
    if values.dtype == bool:
        return values
    if threshold is not None:
        return values.astype(np.float64) * 255 > threshold * top
    most = values.max() if values.size else 0
    hole = values == most
    if most == 0 and not values.any():
        return ~hole
    if most not in (*WHITES, top) or not (hole | (values == 0)).all():
        found = np.unique(values)
        listed = ", ".join(f"{value:g}" for value in found[:5]) + (", ..." if len(found) > 5 else "")
        raise BenchError(
            f"{name} is no mask: it holds {len(found)} values ({listed}) in the place of 0 and 255 (or 0 and 1); "
            f"save the hole white and all else black, or {THRESHOLD}"
        )
    return hole


def check_hole(hole: np.ndarray, name: str, full: bool = False) -> np.ndarray:
    """The mask itself, if it has a hole and known pixels; BenchError names it else. `full`: it may be all hole."""
    if not hole.any():
        raise BenchError(f"{name} has no hole: white (255 or 1) marks the hole; mend or remove it")
    if not full and hole.all():
        raise BenchError(f"{name} is all hole: nothing is known of its picture; mend or remove it")
    return hole


def decode_grey(data: bytes, path: str | Path) -> np.ndarray:
    """Decode a grey picture of 8 or 16 bits that holds values, not light: (H, W) float64, white = 1."""

    def shares(image: Image.Image) -> np.ndarray:
        values, top = _stored(image, data)
        return _grey(values, path, "grey picture") / (top or np.nan)

    return _opened(data, path, shares)


def _opened(data: bytes, path: str | Path, convert: Callable[[Image.Image], T]) -> T:
    """`convert` of the picture in `data`; whatever goes wrong is a BenchError that names `path`."""
    if not data:
        raise BenchError(f"{path} is empty: replace or remove it")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise BenchError(_too_large(path, f"{width} x {height} pixels"))
            if image.format in ("JPEG", "MPO") and data.count(b"\xff\xda") * width * height > MAX_PASSES * MAX_PIXELS:
                raise BenchError(_too_large(path, "counting every scan"))
            _scale_key(image, data)
            return convert(image)
    except BenchError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BenchError(_too_large(path, "a decompression bomb")) from error
    except Image.UnidentifiedImageError as error:
        raise BenchError(
            f"{path} is not a {KINDS} image, or of a rare kind of these: save it as PNG, replace or remove it"
        ) from error
    except Exception as error:  # damaged files make Pillow raise many kinds of errors
        raise BenchError(f"{path} is damaged ({error}): replace or remove it") from error


def _scale_key(image: Image.Image, data: bytes) -> None:
    """Pillow makes 1, 2 and 4 bits of grey 8, but not the grey that stands for transparent (tRNS of PNG)."""
    key = image.info.get("transparency")
    if image.format == "PNG" and image.mode in ("1", "L") and isinstance(key, int) and (bits := _bits(image, data)) < 8:
        top = (1 << bits) - 1
        image.info["transparency"] = (key & top) * (255 // top)


def _too_large(path: str | Path, what: str) -> str:
    return f"{path} has more than {MAX_PIXELS // 10**6} megapixels ({what}): make it smaller or remove it"


def _over_white(image: Image.Image, path: str | Path) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if not image.getchannel("A").getextrema()[1]:  # of a program that never fills the fourth channel
            raise BenchError(
                f"{path} is transparent as a whole, nothing of it is visible: save it without an alpha channel"
            )
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _eight_bits(image: Image.Image, data: bytes, path: str | Path) -> Image.Image:
    """The picture with 8 bits a channel, upright, in any mode that Pillow converts to RGB."""
    if image.mode in ("LAB", "HSV"):
        raise BenchError(f"{path} has colours of the kind {image.mode}: save it as RGB")
    if image.mode == "YCbCr":  # Pillow's own conversion rounds down
        return Image.fromarray(cv2.cvtColor(_upright(image)[..., [0, 2, 1]], cv2.COLOR_YCrCb2RGB))
    if image.mode not in ("F", "I") and _bits(image, data) <= 8:
        return ImageOps.exif_transpose(image)
    values, top = _stored(image, data)
    if not top:
        kind = "floats" if values.dtype.kind == "f" else "integers of more than 16 bits, or with a sign"
        raise BenchError(f"{path} holds {kind}, whose range no file states: save it as PNG with 8 or 16 bits")
    brightest = values[..., : 3 if values.shape[2] > 2 else 1].max()
    if top == 65535 and 0 < brightest < DARK:
        raise BenchError(
            f"{path} has 16 bits, but no value above {brightest}: its bits are fewer than it says; "
            "save it with 8 bits, or scaled to 65,535"
        )
    small = (values.astype(np.int64) * 510 + top) // (2 * top)  # rounds 255 v / top
    pixels = small.astype(np.uint8)
    made = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    if made.mode == "RGBA" and image.format == "TIFF" and 1 in image.tag_v2.get(EXTRA, ()):  # type: ignore[attr-defined]
        return Image.frombytes("RGBa", made.size, made.tobytes())  # its colours are multiplied by alpha
    return made


def _bits(image: Image.Image, data: bytes) -> int:
    """Bits of a stored sample; where there are colours, Pillow gives 8 of 16."""
    if image.format == "PNG":
        return data[24]
    if image.format == "TIFF":
        return max(image.tag_v2.get(BITS, (1,)))  # type: ignore[attr-defined]
    return 16 if image.mode.startswith("I") else 8


def _stored(image: Image.Image, data: bytes) -> tuple[np.ndarray, int]:
    """The samples as the file stores them, upright: (H, W, channels); and the value of white, 0 where nobody knows it.

    Channels: grey, grey and alpha, RGB, or RGBA. Of a palette the colours.
    """
    bits = _bits(image, data)
    if image.mode in ("F", "I"):  # of PNM, Pillow scales all above 8 bits to 16
        return _upright(image), 65535 if image.format == "PPM" else 0
    if not image.mode.startswith("I;16"):
        if bits > 8 and image.mode != "P":
            return _colours(image, data), 65535
        values = _upright(_plain(image))
        few = 1 if image.mode == "1" else bits if image.mode == "L" and bits < 8 else 8
        top = (1 << few) - 1
        return values // (255 // top), top  # Pillow scales fewer bits to 8
    tags: Any = image.tag_v2 if image.format == "TIFF" else {}  # type: ignore[attr-defined]
    top, key = (1 << bits) - 1, image.info.get("transparency")
    inverted = tags.get(PHOTOMETRIC) == 0  # "white is zero", which Pillow inverts in 8 bits alone
    values = _upright(image).astype(np.uint16)
    if key is not None:
        values = np.dstack([values, np.where(values == key, 0, top).astype(np.uint16)])
    return (top - values if inverted else values), top


def _plain(image: Image.Image) -> Image.Image:
    """A picture of 8 bits in one of the modes L, LA, RGB, RGBA."""
    alpha = image.has_transparency_data
    if image.mode in ("1", "L", "LA", "La"):
        return image.convert("LA" if alpha else "L")
    return image.convert("RGBA" if alpha else "RGB")


def _colours(image: Image.Image, data: bytes) -> np.ndarray:
    """16-bit colours: (H, W, 3 or 4) uint16, upright."""
    if image.format == "TIFF" and image.tag_v2.get(PLANES) == 2:  # type: ignore[attr-defined]
        raise ValueError("its 16-bit colours lie in planes of their own, which is not read: save it as PNG")
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        raise ValueError("its 16-bit colours cannot be read")
    values = values[..., [2, 1, 0, 3][: values.shape[2]]]
    if image.format == "TIFF":  # OpenCV has turned it
        return values
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    channels = [Image.fromarray(np.ascontiguousarray(values[..., c])) for c in range(values.shape[2])]
    for channel in channels:
        channel.getexif()[ExifTags.Base.Orientation] = orientation
    return np.concatenate([_upright(channel) for channel in channels], axis=2)


def _upright(image: Image.Image) -> np.ndarray:
    """(H, W, channels) of any picture, turned as its EXIF data say."""
    values = np.asarray(ImageOps.exif_transpose(image))
    return values[..., None] if values.ndim == 2 else values


def _grey(values: np.ndarray, path: str | Path, what: str) -> np.ndarray:
    """The one channel (H, W) of a grey picture, or of one whose colours are grey."""
    if values.shape[2] in (2, 4):
        if values[..., -1].min() < values[..., -1].max():
            raise BenchError(f"{path} is no {what}: parts of it are transparent; save it without an alpha channel")
        values = values[..., :-1]
    if (values != values[..., :1]).any():
        raise BenchError(f"{path} is no {what}: it has colours; save it in grey")
    return values[..., 0]


def _holes(image: Image.Image, data: bytes, path: str | Path, threshold: int | None) -> np.ndarray:
    if image.mode == "P" and not image.has_transparency_data and threshold is None:
        return _palette_holes(image, path)
    values, top = _stored(image, data)
    colours, alpha = values[..., :-1], values[..., -1]
    if values.shape[2] in (2, 4) and alpha.min() < alpha.max():
        if (colours == colours[:1, :1]).all():
            values = alpha[..., None]
        elif ((colours > 0) == (alpha > 0)[..., None]).all():  # painted white on nothing: both say the same
            values = colours
        else:
            raise BenchError(
                f"{path} is no mask: it is a picture with transparent parts, and either could be the hole; "
                "save the hole white and all else black, without an alpha channel"
            )
    return holes(_grey(values, path, "mask"), str(path), threshold, top or 1)


def _palette_holes(image: Image.Image, path: str | Path) -> np.ndarray:
    """Two entries: if they are black and white, the colours count, else the indices 0 and 1, or 0 and 255."""
    indices = _upright(image)[..., 0]
    used = np.unique(indices).tolist()
    palette = np.zeros((256, 3), int)
    entries = np.array(image.getpalette("RGB")).reshape(-1, 3)
    palette[: len(entries)] = entries
    colours = palette[used]
    if np.isin(colours, (0, 255)).all() and (colours == colours[:, :1]).all():
        return palette[indices][..., 0] == 255
    known = set(used) <= {0, 1} or set(used) <= {0, 255}
    if not known or (len(used) == 2 and colours[0].sum() >= colours[1].sum()):
        labels = ", ".join(map(str, used[:5])) + (", ..." if len(used) > 5 else "")
        raise BenchError(
            f"{path} is no mask: its palette shows the labels {labels}, and which of them is the hole is not clear; "
            "save the hole white and all else black"
        )
    return indices > 0
