"""Where the letters of footnotes go: once at the head of a block, column or row whose cells share a note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from string import ascii_lowercase


@dataclass
class Footnotes:
    """Letters by place, and the notes they stand for, in order of appearance."""

    blocks: dict[int, str] = field(default_factory=dict)
    columns: dict[int, str] = field(default_factory=dict)
    rows: dict[tuple[int, int], str] = field(default_factory=dict)
    cells: dict[tuple[int, int, int], str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def letter(self, note: str) -> str:
        """The letter of a note: a, b, ..., z, aa, ab, ..."""
        if note not in self.notes:
            index, letters = len(self.notes), ""
            while index >= 0:
                index, letters = index // 26 - 1, ascii_lowercase[index % 26] + letters
            self.notes[note] = letters
        return self.notes[note]


def place(blocks: Sequence[Sequence[Sequence[str]]], titled: Sequence[bool]) -> Footnotes:
    """Place the notes of `blocks[block][row][column]` ("" = none); `titled` says which blocks have a head."""
    feet = Footnotes()
    for b, block in enumerate(blocks):
        notes = {note for row in block for note in row}
        if titled[b] and len(notes) == 1 and "" not in notes:
            feet.blocks[b] = feet.letter(notes.pop())
    rest = [(b, r, row) for b, block in enumerate(blocks) if b not in feet.blocks for r, row in enumerate(block)]
    for c, column in enumerate(zip(*(row for *_, row in rest), strict=True)):
        if len(column) > 1 and column[0] and len(set(column)) == 1 and not feet.blocks:
            feet.columns[c] = feet.letter(column[0])
    for b, r, row in rest:
        left = {c: note for c, note in enumerate(row) if c not in feet.columns}
        if len(left) > 1 and len(set(left.values())) == 1 and "" not in left.values():
            feet.rows[b, r] = feet.letter(row[min(left)])
            continue
        for c, note in left.items():
            if note:
                feet.cells[b, r, c] = feet.letter(note)
    return feet
