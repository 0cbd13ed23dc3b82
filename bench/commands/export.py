"""`facebench export`: results in forms that other tools read."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from bench.commands import RUN, Moved, chosen, out
from bench.commands import data as options
from bench.errors import BenchError

app = typer.Typer(no_args_is_help=True, help="Results in forms that other tools read.")


@app.command("images")
def images(
    run: Annotated[Path, typer.Argument(help=RUN)],
    to: Annotated[Path, typer.Option("--to", help="Folder to write.")] = Path("exported"),
    methods: Annotated[
        str | None, typer.Option(help="Only these rows, by method or title: mean,'My method'. Default: all.")
    ] = None,
    conditions: Annotated[str | None, typer.Option(help="Only these: irregular/10-20,center/25.")] = None,
    datasets: Annotated[str | None, typer.Option(help="Only these data sets.")] = None,
    names: Annotated[str, typer.Option(help="How the files are called, without suffix: {name}_pred.")] = "{name}",
    data: Moved = None,
) -> None:
    """Write the completed pictures of a run as PNG files, exactly as they were scored.

    DIR/DATASET/CONDITION/METHOD/NAME.png; beside the methods lie originals/, masks/ (white = hole) and order.txt, the
    names in the order of the test list. `facebench evaluate METHOD originals --masks masks` gives the table's numbers.
    """
    from bench import export, matching, stored
    from bench.progress import track

    matching.parted(names)
    if stored.is_handed(run):
        if methods or conditions or datasets:
            raise BenchError(f"{run} holds one condition of one method: leave out --methods, --conditions, --datasets")
        with tempfile.TemporaryDirectory() as cache:
            archive, task = stored.handed(run, data or [], Path(cache))
            folder = export.place(to, archive.manifest)
            export.export(archive, task, folder, names)
            export.export_truth(task, folder.parent)
        out.print(f"wrote {folder}", highlight=False, markup=False, soft_wrap=True)
        return
    found = stored.Run.open(run, data or [])
    cells = chosen(found.cells, methods, conditions, datasets)
    made = found.prepared()
    shared: set[Path] = set()
    with track("export", len(cells)) as step:
        for cell in cells:
            archive, task = stored.opened(made.job_folder(cell.completion), made.named(cell.row["dataset"]).images)
            folder = export.place(to, cell.row, cell.trained)
            export.export(archive, task, folder, names)
            if folder.parent not in shared:
                export.export_truth(task, folder.parent)
                shared.add(folder.parent)
            step(1)
    text = f"wrote {len(cells)} folders of pictures, with masks and originals, below {to}"
    out.print(text, highlight=False, markup=False, soft_wrap=True)


@app.command("inputs")
def inputs(
    suite: options.Named,
    to: Annotated[Path, typer.Argument(help="Folder to write.", metavar="DIR")],
    data: options.Data = None,
    labels: options.Labels = None,
    labels_order: options.LabelsOrder = None,
    degraded: options.Degraded = None,
    captions: options.Captions = None,
    landmarks: options.Landmarks = None,
    attributes: options.Attributes = None,
    identities: options.Identities = None,
    masks: options.Masks = None,
    mask_threshold: options.Threshold = None,
    invert_masks: options.Inverted = False,
    size: options.Size = None,
    labels_as: Annotated[
        str, typer.Option(help="How written label maps are numbered: face-parsing or celebamask-hq.")
    ] = "face-parsing",
    runs: Annotated[Path, typer.Option("--out", help="Folder of all runs, as of `facebench run`.")] = Path("runs"),
) -> None:
    """Write what a suite gives to its methods as PNG files, for a program that is none of them.

    DIR/DATASET/CONDITION/ holds originals/, masks/ (white = hole), masked/, order.txt and the guides; results belong in
    DIR/DATASET/results/CONDITION/NAME.png. DIR/README.txt has the row that reads them. The pictures and masks are the
    very ones that `facebench run` takes with the same options; nothing is trained or completed.
    """
    from bench import inputs as given
    from bench import jobs
    from bench import suite as suites
    from bench.progress import many, track
    from bench.store import check_folder

    content = suites.content(suite)
    beside = {
        "labels": labels,
        "labels_order": labels_order,
        "degraded": degraded,
        "captions": captions,
        "landmarks": landmarks,
        "attributes": attributes,
        "identities": identities,
    }
    changes, pair = options.changed(content, data, beside, masks, mask_threshold, invert_masks, size)
    checked = suites.parse(content | changes | {"expect": []}, suite)
    for folder in (runs, runs / checked.suite):
        check_folder(folder)
    with many() as report:
        made = jobs.ready(checked, runs, report, pair)
    every = given.of_suite(made, to, labels_as)
    with track("export", sum(len(one.task.positions) for one in every)) as step:
        given.write(made.suite, every, to, step)
    text = f"wrote the inputs of {len(every)} conditions below {to}: read {to / given.README}"
    out.print(text, highlight=False, markup=False, soft_wrap=True)
