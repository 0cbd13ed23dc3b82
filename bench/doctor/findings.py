"""What was found in a folder, and how it is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.data import labels
from bench.doctor.advice import several
from bench.doctor.names import Group

SHOWN = 4  # of a list that is named
CONTAINERS = {
    ".mdb": "LMDB", ".parquet": "Parquet", ".zip": "an archive", ".tar": "an archive", ".tfrecord": "TFRecord",
    ".h5": "HDF5", ".npy": "arrays", ".npz": "arrays", ".mp4": "a film", ".pt": "tensors",
}  # fmt: skip
"""Files that may hold pictures, and are not read beside pictures."""
ALONE = (".mdb", ".parquet", ".zip", ".tar")
"""Those that are read as a data set (see `bench.data.sources`)."""
APART = "give the file itself, or the folder that holds such files alone"


@dataclass(frozen=True)
class Findings:
    """What `examine` found in a folder."""

    folder: str
    pictures: int
    """Files with a suffix that is read, below sub-folders too."""
    unread: Mapping[str, int]
    """Suffix -> files, of pictures that are not read, such as HEIC."""
    other: Mapping[str, int]
    """Suffix -> files, of all that are no pictures."""
    left_out: tuple[str, ...]
    """Sub-folders that were not looked at, with the reason."""
    kinds: Mapping[str, int]
    """What the pictures most likely are -> how many of them."""
    groups: tuple[Group, ...]
    """Files of one kind that are called in one way."""
    sizes: Mapping[str, int]
    """"WIDTH x HEIGHT" -> pictures, the most frequent first."""
    odd_sizes: tuple[str, ...]
    """Pictures that have another size than most."""
    stored: Mapping[str, int]
    """Such as "8-bit colour" -> pictures."""
    turned: int
    """Pictures that their EXIF data turn or mirror."""
    transparent: int
    """Pictures with transparent parts: they are seen over white."""
    white: tuple[float, float, float] | None
    """Of masks of two values: the mean, the least and the largest share of white."""
    dark: int
    """Masks of 0 and 1, which look black."""
    classes: tuple[int, ...]
    """The numbers in label maps."""
    order: str
    """The one order of `bench.data.labels.ORDERS` that the label maps do not contradict, "" where both may be."""
    copies: tuple[tuple[str, ...], ...]
    """Photographs or results with the same pixels."""
    do: tuple[str, ...]
    """Commands that take the folder, with a remark behind `#`."""
    refused: tuple[str, ...]
    """What commands would refuse, in their own words."""

    def __str__(self) -> str:
        rows = {
            "files": self._files(),
            "left out": "; ".join(self.left_out),
            "kind": _counted(self.kinds),
            "names": self._names(),
            "size": _counted(self.sizes, of=" of ")
            + f"; not like most: {_some(self.odd_sizes)}" * bool(self.odd_sizes),
            "stored as": _counted(self.stored, of=" of "),
            "EXIF": f"{self.turned:,} pictures are stored turned or mirrored, and are set upright" * bool(self.turned),
            "alpha": f"{self.transparent:,} pictures have transparent parts, seen over white" * bool(self.transparent),
            "holes": self._holes(),
            "classes": self._classes(),
            "copies": self._copies(),
        }
        lines = [self.folder, *(f"  {name + ':':<10} {text}" for name, text in rows.items() if text)]
        lines += ["what to do", *(f"  {line}" for line in self.do)] if self.do else []
        lines += ["what is refused", *(f"  {line}" for line in self.refused)] if self.refused else []
        return "\n".join(lines)

    def _files(self) -> str:
        parts = [f"{self.pictures:,} pictures"]
        if self.unread:
            parts.append(f"{_counted(self.unread, numbers=True)} (not read: save them as PNG)")
        if self.other:
            known = {suffix: what for suffix, what in CONTAINERS.items() if suffix in self.other}
            remedy = {suffix: APART if suffix in ALONE else "write out its pictures" for suffix in known}
            hint = "; ".join(f"{what} ({suffix}) is not read here: {remedy[suffix]}" for suffix, what in known.items())
            parts.append(f"other files: {_counted(self.other, numbers=True)}" + (f" ({hint})" if hint else ""))
        return ", ".join(parts)

    def _names(self) -> str:
        """Every group; what all have in common is said once."""
        tools = {group.tool for group in self.groups}
        one = len(tools) == 1 and "" not in tools
        text = _some([group.named(Path(self.folder), len(self.kinds) > 1, not one) for group in self.groups])
        text += f", as {tools.pop()} writes them" if one else ""
        return text + ("; several files of each image: say which with --match" * several(self.groups))

    def _holes(self) -> str:
        if self.white is None:
            return ""
        mean, least, most = (100 * share for share in self.white)
        likely = "most likely" if mean < 50 else "which is rare: perhaps black is the hole"
        dark = f"; {self.dark:,} hold 0 and 1, so they look black" if self.dark else ""
        return (
            f"if white is the hole ({likely}), it covers {mean:.1f} % of a picture on average, {least:.1f} to "
            f"{most:.1f} %; if black is, {100 - mean:.1f} %, {100 - most:.1f} to {100 - least:.1f} %{dark}"
        )

    def _copies(self) -> str:
        if not self.copies:
            return ""
        same = [" = ".join([*group[:SHOWN], *(["..."] if len(group) > SHOWN else [])]) for group in self.copies]
        return f"{_some(same)}; `facebench data check` looks for near copies, too"

    def _classes(self) -> str:
        if not self.classes:
            return ""
        order = self.order or labels.OWN
        named = ", ".join(f"{number} {labels.ORDERS[order][number]}" for number in self.classes)
        doubt = "" if self.order else f"; if they are numbered as {labels.CELEBAMASK}, other classes: the maps fit both"
        return f"{named} (in the order {order}{doubt})"


def _counted(counts: Mapping[str, int], of: str = " ", numbers: bool = False) -> str:
    """How many of what; of what all are, the number only where it is asked for."""
    if len(counts) == 1 and not numbers:
        return next(iter(counts))
    return _some([f"{count:,}{of}{what}" for what, count in counts.items()])


def _some(parts: Sequence[str]) -> str:
    """The first of a long list, and how many are left."""
    more = f", and {len(parts) - SHOWN:,} more" if len(parts) > SHOWN else ""
    return ", ".join(parts[:SHOWN]) + more
