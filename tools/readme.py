"""Writes the generated tables of README.md again: python tools/readme.py"""

from __future__ import annotations

import re
from pathlib import Path

from bench import registry

README = Path(__file__).parents[1] / "README.md"


def methods() -> str:
    """The table of methods, from their cards."""
    lines = ["| method | name | task | year | parameters | paper |", "|---|---|---|---|---|---|"]
    for slug, entry in registry.entries().items():
        card = entry.card
        params = f"{next(iter(card.params.values())) / 1e6:.2f} M" if card.params else "-"
        paper = f"[{card.title}]({card.url})" if card.url else card.title
        lines.append(f"| `{slug}` | {card.name} | {card.task} | {card.year or '-'} | {params} | {paper} |")
    return "\n".join(lines)


def updated(text: str) -> str:
    """The page with fresh tables."""
    return re.sub(
        r"<!-- methods -->.*<!-- /methods -->",
        lambda _: f"<!-- methods -->\n{methods()}\n<!-- /methods -->",
        text,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")
