"""`facebench doctor`: what a folder holds, and which commands take it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.commands import evaluate, out
from bench.errors import BenchError


def doctor(
    folder: Annotated[
        Path, typer.Argument(help="Any folder of pictures, results, masks or label maps; or an archive.")
    ],
    truth: Annotated[
        Path | None, typer.Option(help="Folder of the originals: say whether names and sizes of results pair with it.")
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(help="Folder of their masks: say whether the results were made with them.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Say what a folder of pictures, results, masks or label maps holds, and which commands take it."""
    import dataclasses
    import json

    from bench.doctor import examine
    from bench.progress import many

    if masks and not truth:
        raise BenchError("--masks goes with --truth: the originals of the masked pictures")
    with many() as report:
        found = examine(folder, report)
    pairs = _paired(folder, truth, masks) if truth else []
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(found) | ({"pairs": pairs} if truth else {}), indent=2, default=str))
        return
    text = "\n".join([str(found), *(["as pairs"] if pairs else []), *(f"  {line}" for line in pairs)])
    text = text.encode("utf-8", "replace").decode()  # names that are not UTF-8
    out.print(text, highlight=False, markup=False, soft_wrap=True)


def _paired(folder: Path, truth: Path, masks: Path | None) -> list[str]:
    """What `facebench evaluate` finds in results, originals and masks before it measures them."""
    import shlex

    from bench import matching
    from bench.metrics.images import zip_batches
    from bench.metrics.likeness import Likeness

    folders = {"completed": folder, "truth": truth} | ({"masks": masks} if masks else {})
    given: dict[str, evaluate.Named] = {what: (place, None) for what, place in folders.items()}
    likeness = Likeness()
    try:
        names = set(matching.listed(truth)[0]) if truth.is_dir() else set()
        for what, place in folders.items():
            if place.is_dir() and names != set(matching.listed(place)[0]):
                found = matching.patterns(place, names, plain=True)
                given[what] = (place, found[0] if len(found) == 1 else None)
        opened = evaluate.opened(given)
        images, originals, *rest = opened.sources
        size = evaluate.fitting(images.files[0])
        if rest:
            for _ in likeness.watch(images, originals, rest[0], size, str(masks), paste=False):
                pass
        else:
            for _ in zip_batches([images, originals], size):
                pass
    except BenchError as error:
        return [f"refused: {error}"]
    words = ["facebench evaluate", shlex.quote(str(folder)), shlex.quote(str(truth))]
    words += ["--masks", shlex.quote(str(masks))] if masks else []
    for what, (_, pattern) in given.items():
        option = {"completed": "--match", "truth": "--match-truth", "masks": "--match-masks"}[what]
        words += [option, f'"{pattern}"'] if pattern else []
    lines = [f"{opened.part or f'all {len(images.files):,}'} pair, and their sizes agree: {' '.join(words)}"]
    if masks:
        lines.append(likeness.note or "the results do not hold the original under their holes, as it should be")
    return lines
