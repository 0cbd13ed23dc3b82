"""Whether two conditions of mask files, or of frozen sets, hold the same masks."""

from __future__ import annotations

import hashlib
from pathlib import Path

from masks import frozen
from masks.checks import checked_size
from masks.condition import parse
from masks.folder import opened


def shared(one: str, other: str, size: int | tuple[int, int]) -> list[tuple[Path, Path]]:
    """Files of two conditions "folder:..." that are the same mask at this size, whatever their names and formats.

    Of "frozen:..." each mask stands for the one file.

    Raises MaskError as drawing from them does.
    """
    ours, theirs = _files(one, size), _files(other, size)
    return [(ours[mask], theirs[mask]) for mask in ours if mask in theirs]


def _files(name: str, size: int | tuple[int, int]) -> dict[bytes, Path]:
    """The files that a condition draws from, by the hash of their masks."""
    condition = parse(name)
    if condition.generator == "frozen":
        path = str(condition.argument)
        return {hashlib.sha256(mask.tobytes()).digest(): Path(path) for mask in frozen.opened(path)}
    folder = opened(str(condition.argument), condition.options)
    indices = folder.chosen(condition.bucket, condition.options, checked_size(size))
    return {hashlib.sha256(folder.mask(i, size).tobytes()).digest(): folder.files[i] for i in indices}
