"""Opens NumPy archives (.npz) that anybody may have made."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

LARGEST = 1 << 28  # bytes that may come out of a file of a hundredth of them


def open_npz(path: Path) -> NpzFile:
    """The archive, whose arrays are read when they are asked for; objects in it are refused then.

    Raises ValueError for an archive that would grow far beyond its own size, and what a damaged one leads to.
    """
    if path.exists() and not path.is_file():  # reading a pipe would wait without end
        raise ValueError("it is no file")
    with zipfile.ZipFile(path) as archive:
        whole = sum(entry.file_size for entry in archive.infolist())
    if whole > LARGEST and whole > 100 * path.stat().st_size:
        raise ValueError(f"it would grow to {whole / 1e9:.1f} GB")
    return np.load(path, allow_pickle=False)
