"""Packs: the results of a run in one file that others can check, without any original.

A pack is a zip archive, not compressed, of these members and no others:

    pack.json                                  what it is (see `bench.pack.manifest`), and the SHA-256 of all the rest
    results.parquet, per_image.parquet         the rows, and their values of single images
    protocol.json                              what decides what the numbers mean, and the environment
    costs.parquet, losses.parquet              where the run has them
    completions/complete-.../completed.zip     pictures: the pixels inside the holes alone (see `bench.archive`)
    masks/....npz                              their masks, each once, called like the beginning of their fingerprint
"""

from __future__ import annotations

from bench.pack.checks import Report, check
from bench.pack.opened import unpacked
from bench.pack.written import pack, withdraw

__all__ = ["Report", "check", "pack", "unpacked", "withdraw"]
