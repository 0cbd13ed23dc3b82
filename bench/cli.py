"""The `facebench` command: few verbs, each a thin layer over the library."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from bench import __version__
from bench.commands import (
    cite,
    compare,
    complete,
    doctor,
    evaluate,
    export,
    is_frozen,
    jobs,
    metrics,
    out,
    pack,
    profile,
    score,
    site,
    study,
    suite,
    values,
    verify,
    weights,
    why,
)
from bench.commands import data as data_options
from bench.errors import BenchError, about, told
from bench.framing import Size, typed
from bench.reporters import reporter
from bench.seed import LARGEST
from bench.terminal import Terminal

GOES_ON = ("run", "profile", "score", "export")  # commands that do not do again what is finished


class _Commands(TyperGroup):
    """The commands; Ctrl-C ends each of them with a line, where typer alone says "Aborted." """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            advice = "; run the same command again to go on from here" * (ctx.invoked_subcommand in GOES_ON)
            Terminal(stderr=True, soft_wrap=True).print(f"\nstopped{advice}", highlight=False)
            raise typer.Exit(130) from None


app = typer.Typer(
    name="facebench",
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Which face-inpainting method is better, by how much, on which masks, at what cost?

Start here:

* `facebench run quickstart` trains and compares methods on embedded faces in minutes.
* `facebench run folder --data DIR` does the same on your own images.
* `facebench complete METHOD IMAGE MASK` fills the hole of a picture.
* `facebench evaluate COMPLETED ORIGINALS` measures images that you have.
* `facebench doctor DIR` says what a folder holds and which commands take it.
* `facebench list` shows the methods; `facebench info METHOD` all that is known of one.
""",
)
data_app = typer.Typer(no_args_is_help=True, help="Data sets: check a folder, draw the synthetic faces.")
masks_app = typer.Typer(no_args_is_help=True, help="Masks: freeze a test set, look at it, check it.")
app.add_typer(data_app, name="data")
app.add_typer(masks_app, name="masks")
app.add_typer(metrics.app, name="metrics")
app.add_typer(weights.app, name="weights")
app.add_typer(verify.app, name="verify")
app.add_typer(export.app, name="export")
app.add_typer(study.app, name="study")
app.add_typer(suite.app, name="suite")
app.add_typer(jobs.app, name="jobs")

Out = Annotated[
    str, typer.Option("--out", help="Folder of all runs, or s3://... and the like; finished jobs in it are reused.")
]


def main() -> None:
    """Entry point: errors that the user can mend are one message and exit code 2."""
    try:
        app()
    except BenchError as error:
        _refuse(told(error))
    except PermissionError as error:  # of any file or folder that no reader foresees
        if error.filename is None:
            raise
        _refuse(f"cannot open {error.filename}: {error.strerror}; check its permissions, or choose another place")


def _refuse(message: str) -> NoReturn:
    Terminal(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {escape(message)}", highlight=False)
    sys.exit(2)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    if version:
        out.print(f"face-inpaint-bench {__version__}", highlight=False)
        raise typer.Exit


@app.command("list")
def list_methods(
    task: Annotated[str | None, typer.Option(help="Only this task: inpainting, exemplar, prior, ...")] = None,
    metrics: Annotated[bool, typer.Option("--metrics", help="List the metrics instead.")] = False,
    masks: Annotated[bool, typer.Option("--masks", help="List the mask generators instead.")] = False,
) -> None:
    """List the methods (or metrics, or mask generators) that suites can name."""
    if metrics:
        _list_metrics()
    elif masks:
        _list_masks()
    else:
        _list_methods(task)


def _list_methods(task: str | None) -> None:
    from bench import registry

    table = Table("method", "name", "task", "year", "parameters", "requires (? = if given)", box=None, pad_edge=False)
    for slug, entry in registry.entries().items():
        card = entry.card
        if task in (None, card.task):
            count = next(iter(card.params.values()), None)
            params = "-" if count is None else f"{count / 1e6:.2f} M" if count >= 1e5 else f"{count:,}"
            year = str(card.year) if card.year else "-"
            needed = [*card.requires, *card.needs, *(f"{guide}?" for guide in card.takes)]
            table.add_row(slug, card.name, card.task, year, params, ", ".join(needed) or "-")
    if not table.rows:
        raise BenchError(f"no method has the task {task!r}")
    out.print(table)


def _list_metrics() -> None:
    from bench import metrics, probe
    from bench.metrics import sets

    table = Table("metric", "name", "better", "extractor", "smallest n", "equals", box=None, pad_edge=False)
    for name in metrics.names():
        metric = metrics.get(name)
        better = "higher" if metric.higher_is_better else "lower"
        table.add_row(name, metric.title, better, metric.extractor or "-", str(metric.smallest_n), metric.equals)
    out.print(table)
    for name, one in sets.SETS.items():
        out.print(f"{name}: {', '.join(one.members)} ({one.title})", highlight=False, markup=False, soft_wrap=True)
    for metric in map(metrics.get, metrics.names()):
        if metric.caution:
            out.print(f"{metric.name}: {metric.caution}", highlight=False, markup=False, soft_wrap=True)
    for name, warning in probe.warnings().items():
        out.print(f"warning: {name} {warning}", highlight=False, markup=False, soft_wrap=True)


def _list_masks() -> None:
    import masks

    alike: dict[tuple[str, str], list[str]] = {}
    for name, generator in masks.GENERATORS.items():
        alike.setdefault((generator.description, generator.source), []).append(name)
    table = Table("generator", "description", "source", box=None, pad_edge=False)
    table.columns[0].max_width = 24  # the parts of a face are many
    for (description, source), names in alike.items():
        table.add_row(", ".join(names), description, source)
    out.print(table)


@app.command()
def info(
    method: Annotated[
        str, typer.Argument(help="Name of a method, as in `facebench list`.", autocompletion=values.method)
    ],
) -> None:
    """Show the card of a method, its presets with their options, and its ablations."""
    from dataclasses import asdict

    from bench import registry

    entry = registry.get(method)
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in asdict(entry.card).items():
        if value not in (None, "", {}, (), False):
            table.add_row(f"[bold]{key}", escape(_plain(value)))
    out.print(table)
    loaded = entry.load()
    for name, preset in loaded.presets.items():
        options = ", ".join(f"{key}={value}" for key, value in preset.model_dump().items()) or "no options"
        out.print(f"\n[bold]preset {name}[/]: {escape(options)}", highlight=False)
    for name, changed in loaded.variants.items():
        options = ", ".join(f"{key}={value}" for key, value in changed.items()) or "the preset itself"
        out.print(f"\n[bold]variant {escape(name)}[/]: {escape(options)}", highlight=False)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_plain(v)}" if v != "" else key for key, v in value.items())
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    if isinstance(value, float):
        return f"{value / 1e9:.3f} G"  # multiply-accumulates
    return f"{value:,}" if isinstance(value, int) and value > 9999 else str(value)


@app.command()
def run(
    suite: data_options.Named,
    data: data_options.Data = None,
    labels: data_options.Labels = None,
    labels_order: data_options.LabelsOrder = None,
    degraded: data_options.Degraded = None,
    captions: data_options.Captions = None,
    landmarks: data_options.Landmarks = None,
    attributes: data_options.Attributes = None,
    identities: data_options.Identities = None,
    groups: Annotated[
        str | None, typer.Option(help="Show results by the groups of these attributes, too, for example Male,Young.")
    ] = None,
    masks: data_options.Masks = None,
    mask_threshold: data_options.Threshold = None,
    invert_masks: data_options.Inverted = False,
    size: data_options.Size = None,
    shots: Annotated[str | None, typer.Option(help="Training images: a number, or several such as 5,10,all.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training iterations of every method.")] = None,
    features: Annotated[
        str | None,
        typer.Option(help="Networks behind training losses: embedded, official, or auto (extra `backbones`)."),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Run only these rows, by method or title: 'mean,GRIG (A)'; tables keep what is done.",
            autocompletion=values.methods,
        ),
    ] = None,
    outside: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also the suite's rows of other programs, whose pictures lie in DIR/TITLE/CONDITION/NAME.png.",
        ),
    ] = None,
    out_folder: Out = "runs",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Jobs that run side by side; 0: in this process. Default: one a core; 1 with a GPU."),
    ] = None,
    on: Annotated[str, typer.Option(help="Where jobs run: here, or ray (a Ray cluster).")] = "here",
    address: Annotated[
        str | None, typer.Option(help="Address of the Ray cluster. Default: $RAY_ADDRESS, else this machine alone.")
    ] = None,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="The same bits on the same machine, also on a GPU; slower.")
    ] = False,
    devices: Annotated[int, typer.Option(min=1, help="Devices of each machine that train a job together.")] = 1,
    num_nodes: Annotated[
        int, typer.Option(min=1, help="Machines that train a job together: run the same command on each.")
    ] = 1,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            help="Take finished jobs of this method, or this job, as they are, though source has changed.",
            autocompletion=values.method,
        ),
    ] = None,
    plan_only: Annotated[bool, typer.Option("--plan", help="Show the jobs and their state; run nothing.")] = False,
    smoke: Annotated[bool, typer.Option("--smoke", help="Try the suite in seconds: tiny, on synthetic faces.")] = False,
) -> None:
    """Train, complete and measure everything that a suite names, then write its report.

    What is finished is never done again: the same command goes on where it was stopped.
    """
    from bench import progress

    if not progress.console.is_terminal and os.environ.get("RANK", "0") == "0":
        progress.say(f"suite {suite}: getting ready")  # libraries and data take their time
    from bench import stored
    from bench import suite as suites

    loaded = suites.smoke(suites.content(suite)) if smoke else suites.content(suite)
    if outside:
        from bench import outside as programs

        loaded = programs.added(loaded, outside)
    beside = {
        "labels": labels,
        "labels_order": labels_order,
        "degraded": degraded,
        "captions": captions,
        "landmarks": landmarks,
        "attributes": attributes,
        "identities": identities,
    }
    changes, pair = data_options.changed(loaded, data, beside, masks, mask_threshold, invert_masks, size)
    if shots is not None:
        changes["shots"] = [s if s == "all" else _number("--shots", s) for s in shots.split(",")]
    if steps is not None:
        changes["train"] = loaded.get("train", {}) | {"steps": steps}
        changes["methods"] = [_without_steps(entry) for entry in loaded.get("methods", [])]
    if features is not None:
        changes["train"] = changes.get("train", loaded.get("train", {})) | {"features": features}
    only: list[str] = []
    if methods is not None:
        entries = changes.get("methods", loaded.get("methods", []))
        wanted = [name.strip() for name in re.split(r",(?![^()]*\))", methods)]  # of titles such as `GRIG (T = 1, A)`
        only = [suites.called(entry)[0] for entry in suites.select(entries, wanted)]
        shown = set() if "://" in out_folder else stored.titles(Path(out_folder) / str(loaded.get("suite")))
        changes["methods"] = suites.select(entries, wanted, shown)
    if changes:
        changes["expect"] = suites.still_expected(loaded, changes)
    if groups is not None:
        changes["report"] = loaded.get("report", {}) | {"groups": groups.split(",")}
    checked = suites.parse(loaded | changes, suite)
    if outside:
        programs.check(checked, outside)
    if on not in ("here", "ray"):
        raise BenchError(f"--on: {on!r} is none of here, ray")
    if address is not None and on != "ray":
        raise BenchError("--address: it is that of a Ray cluster, and the jobs run here: say --on ray, too")
    from bench import distributed
    from bench.device import checked as checked_device

    checked_device(device)

    if (devices * num_nodes > 1 or distributed.world().size > 1) and (on == "ray" or "://" in out_folder):
        raise BenchError("--devices: several devices for one job need a shared folder as --out, and no --on ray")
    distributed.place(num_nodes)  # a plan, too, says what is not given
    if not plan_only:
        distributed.start(devices, num_nodes)
    if distributed.world().size > 1:
        workers = 0  # one job after another, on all devices
    from bench.runner import Options, remote

    url = out_folder if "://" in out_folder else None
    root = remote.mirror(out_folder) if url else Path(out_folder)
    options = Options(device, workers, on, address, url, deterministic=deterministic)  # type: ignore[arg-type]
    _run(checked, root, options, plan_only, pair, accept or [], only)


def _number(option: str, text: str) -> int:
    if not (text.isdecimal() and len(text) < 10):
        raise BenchError(f"{option}: {text!r} is not a number of images (or `all`)")
    return int(text)


def _without_steps(entry: Any) -> Any:
    return {key: value for key, value in entry.items() if key != "steps"} if isinstance(entry, dict) else entry


def _run(
    suite: Any, root: Path, options: Any, plan_only: bool, pair: str, accepted: list[str], only: list[str]
) -> None:
    import time

    from bench import disk, distributed, jobs, lacking, progress, results, runner, trackers
    from bench.accept import accept
    from bench.device import checked, tell_bf16
    from bench.store import check_folder, hold
    from bench.why import finished

    start = time.monotonic()
    for data in (*suite.data, *suite.training):
        if data.folder is not None and data.folder.resolve() == root.resolve():
            raise BenchError(f"--out: {root} holds the images of {data.name}: choose another folder for runs")
    for folder in (root, root / suite.suite):
        check_folder(folder)
    store = runner.Remote(options.url, root) if options.url else None
    if store:
        store.pull(f"{suite.suite}/splits")
        store.pull(f"{suite.suite}/plan")
    with progress.many() as report:
        made = jobs.plan(suite, root, report, pair)
    if only:
        made.narrow(only)
    known = {} if all(map(made.done, made.jobs)) else finished(root)
    if any(job.kind == "train" and not made.done(job) for job in made.jobs):
        trackers.check(suite.train.trackers)
    if space := disk.told(made):
        progress.say(space)
    for line in lacking.told(made):
        progress.say(f"warning: {line}")
    if plan_only:
        for job in made.jobs:
            out.print(f"{'done' if made.done(job) else 'to do':6} {job.label}", highlight=False, markup=False)
        for line in suite.expect:
            out.print(f"expect {line}", highlight=False, markup=False)
        why.show(made, known, again=True)
        return
    if distributed.world().rank:
        runner.follow(made, options)
        return
    if suite.train.precision == "bf16-mixed" and any(job.kind == "train" and not made.done(job) for job in made.jobs):
        tell_bf16(checked(options.device))
    for job, before, reason in accept(made, known, accepted):
        progress.say(f"{job.label}: taken from {before.id}: {reason}")
    if old := [label for label in known if label.startswith("evaluate ")]:
        progress.say(
            f"{len(old)} evaluations of a release before hold no pictures: what they measured is completed again"
        )
    why.show(made, known, again=True, scores=False)
    outcome = runner.run(made, options)
    distributed.announce("")
    distributed.leave()
    if any(map(made.done, made.scores)):
        with hold(made.folder / ".lock", wait=True):  # another runner may be at the end of the same suite
            results.collect(made)
            page = results.report(made)
            if store:
                store.push(suite.suite)
        out.print(results.main_table(made))
        for line in results.expected(made):
            out.print(line, highlight=False, markup=False)
        if options.deterministic and (names := results.could_not(made)):
            out.print(f"no deterministic algorithm, so bits may differ: {', '.join(names)}", markup=False)
        out.print(
            f"report: {page}   ({progress.duration(time.monotonic() - start)})",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    if outcome.failed or outcome.skipped:
        _explain(made, outcome)
        raise typer.Exit(2 if outcome.mendable == outcome.failed.keys() else 1)


def _explain(made: Any, outcome: Any) -> None:
    """Say what is missing, why, and where to read more."""
    console = Terminal(stderr=True, soft_wrap=True)
    count = len(outcome.failed) + len(outcome.skipped)
    console.print(f"[bold red]{count} of {len(made.jobs)} jobs have no result[/]; the same command tries them again")
    for job_id, message in outcome.failed.items():
        job = made.job(job_id)
        for indent, text in (("  ", job.label), ("      ", message), ("      see ", str(made.error_file(job)))):
            console.print(f"{indent}{text}", highlight=False, markup=False)
    waiting = [job for job in map(made.job, outcome.skipped) if job.kind != "score"]  # what is not there has no score
    if waiting:
        console.print("  not started, because they need one of these:", highlight=False, markup=False)
    for job in waiting:
        console.print(f"      {job.label}", highlight=False, markup=False)


app.command()(doctor.doctor)
app.command()(complete.complete)
app.command()(evaluate.evaluate)
app.command()(compare.compare)
app.command()(pack.pack)
app.command()(cite.cite)
app.command()(site.site)
export.app.command()(cite.hub)
verify.app.command("pack")(pack.verify)
app.command()(profile.profile)
app.command()(why.why)
app.command()(score.score)


@app.command()
def report(
    run_folder: Annotated[Path, typer.Argument(help="A suite's folder, for example runs/quickstart.")],
    others: Annotated[
        list[Path] | None, typer.Argument(help="More of them: their rows stand beside, where columns mean the same.")
    ] = None,
    mix: Annotated[
        bool, typer.Option("--mix", help="Also with rows of different protocols, which are not comparable.")
    ] = False,
    tables: Annotated[
        Path | None,
        typer.Option(
            help="Write, instead, the tables of a paper that this YAML file asks for, into a folder beside it."
        ),
    ] = None,
    scores: Annotated[
        Path | None, typer.Option(help="Write, instead, the scores of single images to this CSV file.")
    ] = None,
) -> None:
    """Write the report of a finished run again, from its result files alone.

    docs/reading-a-report.md shows a file for --tables: rows, columns, titles, order, digits, captions. Of several runs
    the rows stand in one table; how one and the same row differs between two of them, `facebench compare A B` says.
    """
    runs = {"mix": mix, "others": others or []}
    made = []
    if tables:
        made += reporter("paper_tables")(run_folder, tables, **runs)
    if scores:
        made.append(reporter("scores")(run_folder, scores, **runs))
    lines = [f"wrote {path}" for path in made] or [f"report: {reporter('build')(run_folder, **runs)}"]
    for line in lines:
        out.print(line, highlight=False, markup=False, soft_wrap=True)


FORMATS = {"md": "to_markdown", "csv": "to_csv", "tex": "to_latex"}


@app.command()
def published(
    name: Annotated[
        str | None,
        typer.Argument(help="A table, such as thesis-5.1. Default: list them all.", autocompletion=values.tables),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="rich, md, csv or tex.")] = "rich",
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Show, instead, what stands here for every system that they name.")
    ] = False,
) -> None:
    """Show a table of the documented papers as it was printed, or list the tables.

    With --coverage: every system of their tables and figures. method: a network of this benchmark; library: called by a
    row or metric; external: its pictures are measured, docs/outside-systems.md says how; user study: people judged.
    """
    if form not in ("rich", *FORMATS):
        raise BenchError(f"--format: {form!r} is none of rich, {', '.join(FORMATS)}")
    if coverage:
        if name or form not in ("rich", "csv"):
            raise BenchError("--coverage is about all tables: leave out their name, and take --format rich or csv")
        found = reporter("published_coverage")()
        if form == "csv":
            sys.stdout.write(found.to_csv(index=False))
            return
        shown = Table(*found.columns, box=None, pad_edge=False)
        for row in found.itertuples(index=False):
            shown.add_row(*row)
        out.print(shown)
        return
    if name is None:
        for known in reporter("published_names")():
            out.print(known, highlight=False, markup=False)
        return
    written = {known.replace(" ", "-"): known for known in reporter("published_names")()}  # as suites are called
    table = reporter("published_table")(written.get(name, name))
    if form == "rich":
        out.print(table)
    else:
        sys.stdout.write(getattr(table, FORMATS[form])())


@data_app.command("check")
def data_check(
    name: Annotated[
        str,
        typer.Argument(
            help="A known data set, as `facebench data list` shows them; or `folder` for pictures of your own.",
            autocompletion=values.data,
        ),
    ],
    folder: Annotated[Path, typer.Argument(help="Your copy of it.")],
) -> None:
    """Say whether a folder can serve as a data set of the papers: counts, sizes, broken and double files."""
    from bench import progress
    from bench.data import catalogue

    with progress.many() as report:
        checked = catalogue.check(name, folder, report)
    out.print(str(checked), highlight=False, markup=False)
    if not checked.ok:
        raise typer.Exit(1)


@data_app.command("list")
def data_list() -> None:
    """List the data sets of the documented papers, with their split sizes."""
    from bench.data import catalogue

    table = Table("name", "title", "train", "test", "source", box=None, pad_edge=False)
    for name, known in catalogue.DATASETS.items():
        table.add_row(name, known.title, f"{known.train:,}", f"{known.test:,}", known.source)
    out.print(table)


@data_app.command("faces")
def data_faces(
    path: Annotated[Path, typer.Argument(help="PNG file to write.")] = Path("synthfaces.png"),
    size: Annotated[int, typer.Option(min=16, help="Side of one face in pixels.")] = 128,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST, help="Another seed, other people.")] = 0,
) -> None:
    """Draw a sheet of 32 synthetic faces to look at."""
    from PIL import Image

    from bench.data import synthfaces
    from bench.target import PNG, check, save_png

    check(path, PNG)
    save_png(path, Image.fromarray(synthfaces.sheet(size=size, seed=seed)))
    out.print(f"wrote {path}", highlight=False, markup=False)


@masks_app.command("make")
def masks_make(
    condition: Annotated[
        str,
        typer.Argument(help="For example irregular/40-50; `facebench list --masks`.", autocompletion=values.condition),
    ],
    path: Annotated[Path, typer.Argument(help="File to write (.npz).")],
    size: Annotated[str, typer.Option(help="Side in pixels, or HEIGHTxWIDTH.")] = "256",
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Masks.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST, help="Another seed, other masks.")] = 0,
) -> None:
    """Freeze a test set of masks in one file with a manifest. A file that holds other masks is never replaced."""
    import masks
    from bench.target import OTHER, check

    check(path, {".npz": b""})
    _check_drawn(condition)
    decided = condition, typed("--size", size), count, seed
    if path.exists() and not masks.MaskSet.kept(path, *decided):
        raise BenchError(f"{path} is there already with other content, and frozen masks are never replaced: {OTHER}")
    made = masks.MaskSet.make(*decided, kept=path)
    out.print(f"wrote {path}: {len(made)} masks, fingerprint {made.fingerprint[:16]}", highlight=False, markup=False)


def _check_drawn(condition: str) -> None:
    """BenchError where masks belong to pictures: they are regions of their label maps."""
    import masks

    if masks.parse(condition).labelled:
        raise BenchError(
            f"{condition} erases regions of label maps, so its masks cannot be made without pictures: name it in a "
            "suite whose data have `labels`; `facebench export inputs SUITE DIR` writes its masks, and a run keeps them"
        )


@masks_app.command("show")
def masks_show(
    source: Annotated[str, typer.Argument(help="A frozen set (.npz) or a condition such as freeform/60-80.")],
    path: Annotated[Path, typer.Argument(help="PNG file to write.")] = Path("masks.png"),
    size: Annotated[str, typer.Option(help="Side in pixels, or HEIGHTxWIDTH, for a condition.")] = "256",
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Masks to show.")] = 32,
    buckets: Annotated[
        str | None, typer.Option(help="Plot instead how these buckets treat the generator's ratios: 10-20,90-100.")
    ] = None,
) -> None:
    """Draw a contact sheet of masks to look at, or a generator's ratios before and after bucketing."""
    import masks
    from bench.target import PNG, check, save_png

    sides = typed("--size", size)
    if Path(source).is_dir():
        raise BenchError(f"{source} is a folder of mask files: write folder:{source}")
    if not source.endswith(".npz"):
        _check_drawn(source)
    check(path, PNG)
    if buckets:
        picture = masks.ratio_plot(source, buckets.split(","), size=sides)
    else:
        shown = masks.MaskSet.load(source) if source.endswith(".npz") else masks.MaskSet.make(source, sides, count, 0)
        picture = masks.contact_sheet(shown, title=source, most=count)
    save_png(path, picture)
    out.print(f"wrote {path}", highlight=False, markup=False)


@masks_app.command("check")
def masks_check(
    path: Annotated[Path, typer.Argument(help="A frozen set (.npz), or a folder of mask files.")],
    size: Annotated[str, typer.Option(help="Side in pixels, or HEIGHTxWIDTH, for a folder.")] = "256",
    mask_threshold: Annotated[
        int | None, typer.Option(min=0, max=254, help="For masks with grey values: what is above it, of 255, is hole.")
    ] = None,
    invert_masks: Annotated[bool, typer.Option("--invert-masks", help="Black is the hole.")] = False,
) -> None:
    """Check a frozen set (checksum, buckets, drawn the same here), or sort a folder of mask files into buckets."""
    import masks

    if path.is_dir():
        with about(path):
            _masks_sorted(masks.MaskFolder(path, mask_threshold, invert_masks), typed("--size", size))
        return
    is_frozen(path, {"--mask-threshold": mask_threshold, "--invert-masks": invert_masks})
    labelled = masks.MaskSet.load(path).condition.labelled  # the file lacks what they are drawn from
    loaded = masks.verify(path, redraw=not labelled)
    ratios = loaded.ratios
    span = f"ratios {min(ratios):.3f} to {max(ratios):.3f}"
    what = f"{len(loaded)} masks of {loaded.manifest['condition']}, {span}, fingerprint {loaded.fingerprint[:16]}"
    sound = "sound, not drawn again: its label maps are not in the file" if labelled else "sound"
    out.print(f"{path}: {what}: {sound}", highlight=False, markup=False)


def _masks_sorted(folder: Any, size: Size) -> None:
    """Show how many masks of a folder lie in which bucket, and which are all hole; BenchError where some have none."""
    ratios = folder.ratios(size)
    table = Table("bucket", "masks", box=None, pad_edge=False)
    for low in range(0, 100, 10):
        table.add_row(f"{low}-{low + 10} %", str(sum(low < 100 * ratio <= low + 10 for ratio in ratios)))
    out.print(table)
    out.print(f"{len(ratios)} masks, fingerprint {folder.fingerprint[:16]}", highlight=False)
    if full := [file.name for file, ratio in zip(folder.files, ratios, strict=True) if ratio == 1]:
        told = f"all hole are {', '.join(full[:5])}: refused but in a bucket, folder:{folder.path}/90-100"
        out.print(told, highlight=False, markup=False, soft_wrap=True)
    if empty := [file.name for file, ratio in zip(folder.files, ratios, strict=True) if not ratio]:
        raise BenchError(f"{folder.path}: without a hole are {', '.join(empty[:5])}: white (255 or 1) marks the hole")
    if folder.unread:
        out.print(f"left out: {', '.join(folder.unread[:5])} (not read: save them as PNG)", highlight=False)
