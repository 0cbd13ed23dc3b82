"""Options that say where the data of a suite are, of all commands that take one, and what they change in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.commands import is_frozen, values
from bench.errors import BenchError
from bench.framing import typed

Named = Annotated[
    str,
    typer.Argument(
        help="quickstart, folder, kinds, a paper's table (thesis-5.1, hierinv-1), or a YAML file.",
        autocompletion=values.suites,
        metavar="SUITE",
    ),
]
Data = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DIR or NAME=DIR",
        help="Your copy of a data set that the suite names, once for each; or a folder in the place of its data.",
    ),
]
Labels = Annotated[
    list[str] | None,
    typer.Option(metavar="DIR or NAME=DIR", help="Label maps of a data set, for semantic regions and guides."),
]
LabelsOrder = Annotated[
    list[str] | None,
    typer.Option(metavar="ORDER or NAME=ORDER", help="How they are numbered: face-parsing (default) or celebamask-hq."),
]
Degraded = Annotated[
    list[str] | None,
    typer.Option(metavar="DIR or NAME=DIR", help="Degraded copies of a data set, for degraded/given."),
]
Captions = Annotated[
    list[str] | None,
    typer.Option(metavar="DIR or NAME=DIR", help="Text files of a data set (NAME.txt), for conditions with +text."),
]
Landmarks = Annotated[
    list[str] | None,
    typer.Option(metavar="DIR or NAME=DIR", help="Landmarks of a data set (NAME.txt or .pts), for +landmarks."),
]
Attributes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE or NAME=FILE",
        help="Attributes of a data set, by the names of its files: CSV of numbers, for repose; or of groups, for "
        "--groups; or list_attr_celeba.txt, for CelebA alone (CelebA-HQ: CelebAMask-HQ-attribute-anno.txt).",
    ),
]
Identities = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE or NAME=FILE",
        help="Whom the pictures of a data set show, `NAME PERSON` a line (identity_CelebA.txt): exemplars, and tests "
        "that are drawn, show other people.",
    ),
]
Masks = Annotated[
    Path | None,
    typer.Option(help="Folder of mask files (white = hole), or a frozen set (.npz): one more condition."),
]
Threshold = Annotated[
    int | None, typer.Option(min=0, max=254, help="For masks with grey values: what is above it, of 255, is hole.")
]
Inverted = Annotated[bool, typer.Option("--invert-masks", help="Black is the hole.")]
Size = Annotated[str | None, typer.Option(help="Side of the images in pixels, or HEIGHTxWIDTH.")]


def changed(
    content: Mapping[str, Any],
    data: Sequence[str] | None,
    companions: Mapping[str, Sequence[str] | None],
    masks: Path | None,
    mask_threshold: int | None,
    invert_masks: bool,
    size: str | None,
) -> tuple[dict[str, Any], str]:
    """What these options change in a suite; and the condition folder:DIR whose masks may be paired by name, or "".

    `companions`: of --labels, --degraded and the like, see `bench.suite.located`. Raises BenchError for what does not
    fit the suite.
    """
    from bench import suite as suites

    changes: dict[str, Any] = suites.located(
        content, data or [], **{name: own or [] for name, own in companions.items()}
    )
    pair = ""
    if masks is not None and is_frozen(masks, {"--mask-threshold": mask_threshold, "--invert-masks": invert_masks}):
        changes["conditions"] = [*content.get("conditions", []), f"frozen:{masks}"]
    elif masks is not None:
        option = "" if mask_threshold is None else f"/>{mask_threshold}"
        option += "/inverted" if invert_masks else ""
        changes["conditions"] = [*content.get("conditions", []), pair := f"folder:{masks}{option}"]
    elif mask_threshold is not None or invert_masks:
        given = "--invert-masks" if invert_masks else "--mask-threshold"
        raise BenchError(f"{given} goes with --masks; in a suite write the condition folder:DIR/>127 or /inverted")
    if size is not None:
        changes["size"] = typed("--size", size)
    return changes, pair
