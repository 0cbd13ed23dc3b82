"""What is said of a picture: the first line of a text file, or a sentence about a synthetic face."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.data.synthfaces import ATTRIBUTES
from bench.errors import BenchError

SUFFIXES = frozenset({".txt"})
LONGEST = 1000  # bytes of a caption
MAX_BYTES = 1 << 20  # of a file


def decode(data: bytes, path: str | Path) -> str:
    """The first line of a text file that says something, with single spaces.

    Multi-Modal-CelebA-HQ has ten sentences for each picture, one a line. Raises BenchError, naming `path`, for a file
    that is empty, is no UTF-8 text, or whose line has more than 1,000 bytes.
    """
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise BenchError(f"{path} is no UTF-8 text: replace or remove it") from error
    caption = next((text for line in lines if (text := " ".join(line.split()))), "")
    if not caption.isprintable() or not caption:
        raise BenchError(f"{path} says nothing that can be printed: write a sentence into its first line")
    if len(caption.encode()) > LONGEST:
        raise BenchError(f"{path}: its first line has more than {LONGEST:,} bytes: make it shorter")
    return caption


def describe(attributes: Sequence[float]) -> str:
    """A sentence about a synthetic face: what `synthfaces.ATTRIBUTES` say, in this order of values."""
    known = dict(zip(ATTRIBUTES, attributes, strict=True))
    age = "young " if known["age"] < 0.25 else "old " if known["age"] > 0.65 else ""
    person = f"{'An' if age == 'old ' else 'A'} {age}{'man' if known['male'] else 'woman'}"
    worn = [*_hair(known), *_worn(known)]
    listed = f"{', '.join(worn[:-1])} and {worn[-1]}" if len(worn) > 1 else "".join(worn)
    return " ".join(filter(None, (person, _mood(known), listed and f"with {listed}"))) + "."


def _mood(known: dict[str, float]) -> str:
    if known["surprise"]:
        return "who looks surprised"
    if known["smile"] >= 0.4:  # synthetic faces that are calm reach 0.42, and look friendly then
        return "who laughs" if known["mouth_open"] >= 0.45 else "who smiles"
    return "" if known["smile"] else "who looks unhappy"


def _hair(known: dict[str, float]) -> Iterator[str]:
    if known["bald"]:
        yield "a bald head"
        return
    words = [word for word in ("long", "curly", "grey", "blond") if known[f"{word}_hair"] >= 0.5]
    if words or not known["hat"]:
        yield " ".join([*(words or ["short"]), "hair"])
    if known["bangs"] and not known["hat"]:
        yield "bangs"


def _worn(known: dict[str, float]) -> Iterator[str]:
    if known["beard"] or known["stubble"]:
        yield "a beard" if known["beard"] else "stubble"
    if known["moustache"] and not known["beard"]:
        yield "a moustache"
    if known["glasses"]:
        yield "sunglasses" if known["sunglasses"] else "glasses"
    if known["hat"]:
        yield "a hat"
    if known["earring"] and not known["long_hair"]:
        yield "earrings"
    if known["makeup"] > 0.5:
        yield "makeup"
