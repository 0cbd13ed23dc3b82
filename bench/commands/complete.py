"""`facebench complete`: fill the holes of pictures by one method."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.commands import is_frozen, out, values
from bench.errors import BenchError, about
from bench.framing import Size, extent, normal, told, typed
from bench.seed import LARGEST

if TYPE_CHECKING:
    from bench.given import Given

SUFFIX = ".png"


def complete(
    method: Annotated[
        str,
        typer.Argument(
            help="Name of a method, as in `facebench list`; with --run also a title.", autocompletion=values.method
        ),
    ],
    image: Annotated[Path, typer.Argument(help="A picture, or a folder of them.")],
    mask: Annotated[
        Path | None,
        typer.Argument(
            help="White = hole: a file; a folder, under the same names; a frozen set (.npz). None to restore."
        ),
    ] = None,
    path: Annotated[
        Path | None, typer.Option("--out", help="PNG file, or folder, to write. Default: completed.png, completed/.")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(help="As it was trained there: a suite's folder, or that of one training, runs/jobs/train-..."),
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="An official checkpoint.")] = None,
    prior: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE", help="The checkpoint of a prior that --weights does not hold, once for each."
        ),
    ] = None,
    preset: Annotated[str | None, typer.Option(help="As `facebench info METHOD` lists them. Default: paper.")] = None,
    size: Annotated[
        str | None,
        typer.Option(help="Take the central part at so many pixels a side, or at HEIGHTxWIDTH, as runs do."),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=LARGEST, help="Another seed, another picture, where a method draws.")
    ] = 0,
    text: Annotated[str | None, typer.Option(help="Sentence that guides the method, where it takes one.")] = None,
    exemplar: Annotated[Path | None, typer.Option(help="Another face that guides it: a picture, or a folder.")] = None,
    sketch: Annotated[Path | None, typer.Option(help="Dark lines on white: a picture, or a folder.")] = None,
    colour: Annotated[Path | None, typer.Option(help="Each region in its mean colour: a picture, or a folder.")] = None,
    semantics: Annotated[Path | None, typer.Option(help="The label map of the picture, or a folder.")] = None,
    layout: Annotated[Path | None, typer.Option(help="The label map that it shall have, or a folder.")] = None,
    labels_order: Annotated[
        str | None,
        typer.Option(metavar="ORDER", help="How these are numbered: face-parsing (default) or celebamask-hq."),
    ] = None,
    landmarks: Annotated[Path | None, typer.Option(help="68 points of the face, .txt or .pts, or a folder.")] = None,
    mask_threshold: Annotated[
        int | None, typer.Option(min=0, max=254, help="For masks with grey values: what is above it, of 255, is hole.")
    ] = None,
    invert_masks: Annotated[bool, typer.Option("--invert-masks", help="Black is the hole.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Complete pictures by one method: what is known stays to the last bit, what is under the hole is never shown.

    Methods that must be trained take --run or --weights. What guides a method (`facebench info METHOD`) is one file for
    all pictures, or a folder of files with their names. A method that edits faces is shown the whole picture.
    `facebench evaluate OUT ORIGINALS --masks MASKS` measures a folder of results.
    """
    from bench.device import checked
    from bench.loading import load
    from bench.progress import track
    from bench.target import save_png

    images, sides = _images(image), None if size is None else typed("--size", size)
    if mask is not None:
        is_frozen(mask, {"--mask-threshold": mask_threshold, "--invert-masks": invert_masks})
    names = list(images)
    holes: Mapping[str, Given] = {} if mask is None else _masks(mask, names, sides)
    files = {
        "exemplar": exemplar,
        "sketch": sketch,
        "colour": colour,
        "semantics": semantics,
        "layout": layout,
        "landmarks": landmarks,
    }
    guides: dict[str, dict[str, Any]] = {
        name: _each(given, names, name) for name, given in files.items() if given is not None
    }
    target = path or Path("completed" if image.is_dir() else f"completed{SUFFIX}")
    given = {"pictures": image, "masks": mask, **files}
    read = [*images.values(), *holes.values(), *(file for found in guides.values() for file in found.values())]
    targets = _targets(target, image, images, given, [file for file in read if isinstance(file, Path)])
    model = load(method, run=run, weights=weights, preset=preset, priors=_priors(prior or []), device=checked(device))
    with track("complete", len(images)) as step:
        for name, file in images.items():
            done = model.complete(
                file,
                holes.get(name),
                seed=seed,
                size=sides,
                mask_threshold=mask_threshold,
                invert_masks=invert_masks,
                labels_order=labels_order,
                text=text,
                **{guide: found[name] for guide, found in guides.items()},
            )
            save_png(targets[name], done)
            step(1)
    what = f"{done.width} x {done.height} pixels" if len(images) == 1 else f"{len(images)} pictures"
    out.print(f"wrote {target}: {what}, by {model.label}", highlight=False, markup=False, soft_wrap=True)


def _images(given: Path) -> dict[str, Path]:
    """The pictures, by their names without suffix."""
    from bench import matching, pictures
    from bench.progress import say

    if not given.is_dir():
        return {given.stem: given}
    with about(given):
        found, unread = matching.listed(given)
        if not found:
            raise BenchError(f"no images in {given}: give a folder with {pictures.KINDS} files")
    if unread:
        left = ", ".join(f"{count} files {suffix}" for suffix, count in unread.items())
        say(f"left out of {given}: {left} (not read: save them as PNG)")
    return found


def _masks(given: Path, names: list[str], size: Size | None) -> dict[str, Given]:
    """The mask of each picture, by its name; one file serves all."""
    from masks import MaskSet

    if is_frozen(given, {}):
        held = MaskSet.of(given, names)
        if size and held.size != extent(size):
            sides, option = " x ".join(map(str, held.size[::-1])), told(normal(held.size)).replace(" ", "")
            raise BenchError(f"{given} has masks of {sides}, and frozen masks are not resized: say --size {option}")
        return dict(zip(names, held, strict=True))
    return _each(given, names, "mask")


def _each(given: Path, names: list[str], what: str) -> dict[str, Given]:
    """The file of each picture in a folder, by its name; one file serves all."""
    from bench import matching
    from bench.data.guides.landmarks import SUFFIXES

    if not given.is_dir():
        return dict.fromkeys(names, given)
    with about(given):
        found = matching.listed(given)[0]
        if what == "landmarks":
            found = {path.stem: path for path in sorted(given.iterdir()) if path.suffix.lower() in SUFFIXES}
        if missing := [name for name in names if name not in found]:
            pattern = next(iter(matching.patterns(given, names)), None)
            lacking = f"{len(missing)} of {len(names)} pictures have no {what} of their name in {given}"
            raise BenchError(
                f"{lacking} (first: {missing[0]}): "
                + (f"its files are called {pattern}; name them as the pictures" if pattern else "add them, or give one")
            )
    return {name: found[name] for name in names}


def _targets(
    target: Path, image: Path, images: dict[str, Path], given: Mapping[str, Path | None], read: list[Path]
) -> dict[str, Path]:
    """Where each result is written; BenchError where that would be over, or among, what is given (and `read`)."""
    from bench.target import PNG, check, real

    folder = target if image.is_dir() or target.is_dir() else target.parent
    if image.is_dir() and (target.suffix.lower() == SUFFIX or target.is_file()):
        raise BenchError(f"--out: {image} is a folder, so results are written to one, and {target} is a file")
    if folder is not target and target.suffix.lower() != SUFFIX:
        raise BenchError(
            f"--out: {target}: results are PNG, which keeps every bit: name it {target.with_suffix(SUFFIX)}"
        )
    for what, path in given.items():
        if path and path.is_dir() and path.resolve() == folder.resolve():
            raise BenchError(f"--out: {folder} holds the {what}: choose another folder")
    places = {name: folder / f"{name}{SUFFIX}" if folder is target else target for name in images}
    taken = real(read)
    for place in places.values():
        check(place, PNG, taken)
    return places


def _priors(given: list[str]) -> dict[str, str]:
    from bench.suite import once

    if wrong := [text for text in given if not all(text.partition("="))]:
        raise BenchError(f"--prior {wrong[0]}: write NAME=FILE, the prior and its checkpoint")
    return once("--prior", [(name, file) for name, _, file in (text.partition("=") for text in given)])
