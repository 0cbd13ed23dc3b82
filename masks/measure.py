"""How the generators' own ratios are distributed: makes `shares.json` (python -m masks.measure)."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np

from masks.growth import BINS, Part
from masks.registry import GENERATORS, Strokes
from masks.streams import Stream


def shares(part: Part, draws: int, size: int = 256) -> list[int]:
    """How many of `draws` masks of a part have a ratio in (0, 1], (1, 2] ... (99, 100] percent; empty ones excluded."""
    counts = np.zeros(BINS, int)
    for i in range(draws):
        holes = np.count_nonzero(part.draw(Stream("shares", part.name, i), size, size, size / 256).render(size, size))
        if holes:
            counts[-(-holes * BINS // (size * size)) - 1] += 1
    return counts.tolist()


def parts() -> dict[str, Part]:
    """The parts of all generators, by name."""
    drawn = (g for g in GENERATORS.values() if isinstance(g, Strokes))
    return {part.name: part for generator in drawn for part in generator.parts}


if __name__ == "__main__":
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    lines = [f' "{name}": {json.dumps(shares(part, draws))}' for name, part in parts().items()]
    file = Path(__file__).with_name("shares.json")
    temporary = file.with_suffix(".part")
    temporary.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    os.replace(temporary, file)
