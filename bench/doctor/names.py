"""How files are called: the patterns of `--match` that they fit, and the programs that write such names."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bench.doctor.look import PARTS
from bench.matching import PLAIN

TOOLS = (  # paths without suffix, the first that fits all files
    (r"(.*/)?.+_mask\d{3}", "LaMa"),
    (r"(.*/)?\d{6}_\d+_(inpaint|gt|mask)", "EXE-GAN"),
    (r"(.*/)?\d{6}_(inpaint|gt|masked|mask)", "GRIG"),
    (r"(.*/)?.+_(pred|comp|masked)", "AOT-GAN"),
    (r"(.*/)?\d{5}/img\d{8}", "StyleGAN2-ADA's dataset_tool.py"),
    (r"(.*/)?\d{5}/\d{5}", "FFHQ"),
    (r"(.*/)?\d{3}_im", "Paris StreetView"),
)
DEPTH = 3  # marks at the end of a name that are tried
OFTEN = 3  # files, on average, that share the end of a name
FOLDERS = 8  # more are told together


@dataclass(frozen=True)
class Group:
    """Files of one kind that are called in one way."""

    kind: str
    folder: Path
    pattern: str
    """As `bench.matching.listed` takes it."""
    count: int
    tool: str
    """Who writes such names; "" where that is not known."""
    below: int = 0
    """Folders that they lie in, where they lie below `folder` and have no pattern."""

    def named(self, root: Path, kind: bool, tool: bool) -> str:
        """In words, for people who know that it lies in `root`."""
        place = "" if self.folder == root else f" in {self.folder.relative_to(root)}/"
        place = f" in {self.below:,} folders" if self.below else place
        role = {"original": "the originals", "masked": "what the program was given"}.get(self.role, "")
        said = [self.kind] if kind else [role] if role else []
        said += [f"as {self.tool} writes them"] if tool and self.tool else []
        return f"{self.count:,} {self.pattern}{place}" + (f" ({', '.join(said)})" if said else "")

    @property
    def role(self) -> str:
        """What the names of the programs say: "original", "masked" (what a program was given), or "result"."""
        words = re.findall(r"[a-z]+", self.pattern.replace(PLAIN, "").lower())
        if "gt" in words:
            return "original"
        return "masked" if {"masked", "mask"} & set(words) and self.tool != "LaMa" else "result"


def groups(kind: str, root: Path, names: Sequence[str]) -> list[Group]:
    """The files of one kind below `root` (relative POSIX paths), parted by folder and pattern."""
    folders: dict[str, list[str]] = defaultdict(list)
    for name in names:
        path = PurePosixPath(name)
        folders[str(path.parent)].append(path.stem)
    top = os.path.commonpath(folders)
    base = root / top
    if kind == PARTS:
        return [Group(kind, base, "NNNNN_PART", len(names), "CelebAMask-HQ")]
    tool = _tool(names)
    if stems := _of_every_image(folders, top):
        return [Group(kind, base, f"{PLAIN}/{stem}", count, tool) for stem, count in stems.items()]
    if len(folders) > FOLDERS:
        return [Group(kind, base, PLAIN, len(names), tool, len(folders))]
    found = []
    for folder, inside in folders.items():
        for pattern, same in endings(inside).items():
            paths = [f"{folder}/{stem}.png" for stem in same]
            found.append(Group(kind, root / folder, pattern, len(same), _tool(paths)))
    return found


def endings(stems: Sequence[str]) -> dict[str, list[str]]:
    """Names by the endings that many of them share: `000_pred` stands under `{name}_pred`; all under `{name}` if none.

    An ending begins with a mark such as `_`.
    """
    parted = [re.split(r"(?=[_\-. ])", stem) for stem in stems]
    for depth in range(DEPTH, 0, -1):
        if all("".join(parts[:-depth]) for parts in parted):
            found: dict[str, list[str]] = defaultdict(list)
            for stem, parts in zip(stems, parted, strict=True):
                found[PLAIN + "".join(parts[-depth:])].append(stem)
            if len(found) * OFTEN <= len(stems) and min(map(len, found.values())) > 1:
                return dict(sorted(found.items()))
    return {PLAIN: list(stems)}


def _of_every_image(folders: dict[str, list[str]], top: str) -> dict[str, int]:
    """Where each image has a folder with files of the same names: those names, and in how many folders they are."""
    if len(folders) < max(OFTEN, *map(len, folders.values())) or any(
        len(PurePosixPath(folder).relative_to(top).parts) != 1 for folder in folders
    ):
        return {}
    counts: dict[str, int] = defaultdict(int)
    for stems in folders.values():
        for stem in stems:
            counts[stem] += 1
    return dict(sorted(counts.items())) if min(counts.values()) > len(folders) / 2 else {}


def _tool(names: Sequence[str]) -> str:
    paths = [str(PurePosixPath(name).with_suffix("")) for name in names]
    return next((tool for pattern, tool in TOOLS if all(re.fullmatch(pattern, path) for path in paths)), "")
