"""A method ready to complete: as a run trained it, with official weights, or as it is made; always with its priors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench import contract, registry, stored
from bench import weights as official
from bench.device import found
from bench.errors import BenchError
from bench.framing import Framing, normal
from bench.identity import of_weights
from bench.isolation import isolated
from bench.method import Config, Method
from bench.model import Model
from bench.store import derive_seed, digest, read_json
from bench.suite import Entry

Identity = Mapping[str, Any]
Find = Callable[[str], tuple[Identity, Path]]  # id of a finished training -> its identity, its folder

OTHER_SOURCE = "its source has changed since: take the version of then, or run the suite again"


def load(
    method: str,
    *,
    run: str | Path | None = None,
    weights: str | Path | None = None,
    untrained: bool = False,
    preset: str | None = None,
    variant: str | None = None,
    options: Mapping[str, Any] | None = None,
    priors: Mapping[str, str | Path | Model] | None = None,
    device: str = "auto",
) -> Model:
    """A method that completes pictures, with the priors that it requires.

    method: a name of `facebench list`, or a row's title where `run` has it.
    run: a suite's folder, or that of one training or completion (runs/jobs/train-...): as it was trained there.
    weights: an official checkpoint. `priors`: the checkpoints of those that it does not hold, or loaded models.
    untrained: networks as they are made, for a look at their shapes.
    preset, variant, options: as of a row in a suite; "paper" by default. A run says them itself.

    Classical methods need none of the three sources. Raises BenchError for a method that must be trained and has no
    source, a run that holds several of it or none, a checkpoint that does not fit, and priors that are missing.
    """
    place = str(found(device))
    if run is not None:
        if weights or untrained or preset or variant or options or priors:
            raise BenchError("load: a run says the preset, options, priors and weights of its rows: leave them out")
        return _of_run(method, Path(run), place)
    entry = registry.get(method)
    if entry.card.finished:
        raise BenchError(f"{method} shows finished pictures of another program in a suite, and completes none")
    if not (weights or untrained):
        _check_trained(method, priors or {})
    row = Entry(method=method, preset=preset, variant=variant, options=dict(options or {}), weights=_file(weights))
    with isolated(derive_seed(0, "weights")):
        left = dict(priors or {})
        made = _made(row, left, {})
    if left:
        raise BenchError(
            f"{method} takes no prior {', '.join(left)}: it takes {', '.join(entry.card.requires) or 'none'}"
        )
    return Model(made, f"{method} ({row.preset or 'paper'})", None, place)


def _check_trained(method: str, given: Mapping[str, object]) -> None:
    """Raise BenchError for a method, or a prior of one that is not trained itself, which only training makes."""
    entry = registry.get(method)
    lacking = [slug for slug in entry.card.requires if slug not in given and registry.get(slug).load().trainable()]
    if entry.load().trainable() or lacking:
        stands = "" if entry.load().trainable() else f" stands on {' and '.join(lacking)}, which"
        raise BenchError(
            f"{method}{stands} must be trained: give run='runs/SUITE' (--run) of a suite that trained it, "
            "weights='FILE' (--weights), an official checkpoint, or untrained=True in Python"
        )


def create(identity: Identity, trained: Find, files: Iterable[Entry] = ()) -> Method:
    """The method of an identity (`bench.identity.of_model`), with its priors attached and official weights loaded.

    `trained` finds the priors that were trained, `files` name official checkpoints. Its own training is not loaded:
    see `take`.
    """
    loaded = registry.get(identity["method"]).load()
    try:
        config = loaded.Config.model_validate(identity["config"])
    except ValidationError as error:
        raise BenchError(f"{identity['method']} no longer has such options: {OTHER_SOURCE}") from error
    method = contract.made(loaded, config)
    files, priors = list(files), {}
    for slug, reference in identity["priors"].items():
        if isinstance(reference, str):
            before, folder = trained(reference)
            priors[slug] = take(create(before, trained, files), folder)
        else:
            priors[slug] = create(reference, trained, files)
    if priors:
        method.attach(priors)
    if identity["weights"]:
        official.load_official(method, _checkpoint(identity, method.config, files))
    return method


def take(method: Method, folder: Path) -> Method:
    """The method with the weights that a finished training left in its folder."""
    path = folder / "weights.safetensors"
    try:
        method.load_state_dict(official.read(path))
    except RuntimeError as error:  # torch names every tensor
        raise BenchError(f"{path} does not fit {method.card.slug}: {OTHER_SOURCE}") from error
    return method


def _checkpoint(identity: Identity, config: Config, files: Iterable[Entry]) -> Path:
    """The official checkpoint of an identity, among those of its method that a suite names."""
    paths = [entry.weights for entry in files if entry.method == identity["method"] and entry.weights]
    for path in paths:
        if of_weights(path, config) == identity["weights"]:
            return path
    named = f"{' and '.join(map(str, paths))} changed since" if paths else "give the suite's folder, which names it"
    raise BenchError(f"{identity['method']} stands on an official checkpoint that is not found: {named}")


def _of_run(name: str, folder: Path, place: str) -> Model:
    """What one job completed with, or what the rows of a suite that are called `name` did."""
    if (folder / "job.json").exists():
        chosen, files = folder, list[Entry]()
    else:
        run = stored.Run.open(folder)
        jobs = folder.resolve().parent / "jobs"
        chosen = _row(name, run, jobs)
        files = [*run.suite.methods, *run.suite.priors]
    jobs = chosen.resolve().parent

    def trained(job: str) -> tuple[Identity, Path]:
        return read_json(jobs / job / "job.json"), jobs / job

    identity = read_json(chosen / "job.json")
    if "config" not in identity or (chosen == folder and name != identity["method"]):
        raise BenchError(f"{folder} holds {identity.get('label', 'no model')}, and nothing of {name}: give its folder")
    seed = identity["seed"] if isinstance(identity["seed"], int) else identity["seed"][0]
    with isolated(derive_seed(seed, "weights")):  # of networks that nothing trains
        method = create(identity, trained, files)
        for job in [chosen.name] if identity["kind"] == "train" else identity["model"]:
            take(method, jobs / job)
    label, framing = f"{identity['method']} of {folder}", Framing(identity.get("framing", "crop"))
    return Model(method, label, normal(identity["size"]), place, identity.get("at"), framing)


def _row(name: str, run: stored.Run, jobs: Path) -> Path:
    """The folder of a job that completed with the one model that is called so in a run, by method or title."""
    cells = [cell for cell in run.cells if name in (cell.row["title"], cell.row["method"])]
    if not cells:
        there = ", ".join(dict.fromkeys(cell.row["method"] for cell in run.cells))
        raise BenchError(f"{run.folder} has completed nothing with {name!r}: its methods are {there or 'none yet'}")
    found: dict[str, tuple[Path, str]] = {}
    for cell in cells:
        identity = read_json(jobs / cell.completion / "job.json")
        where = jobs / (identity["model"] or [cell.completion])[0]
        key = identity["model"] or [identity["config"], identity["weights"], identity["priors"], identity.get("at")]
        found.setdefault(digest(key), (where, cell.label.rpartition(", ")[0]))
    if len(found) > 1:
        listed = "".join(f"\n  {where}: {label}" for where, label in found.values())
        raise BenchError(f"{run.folder} has {len(found)} models of {name}: give the folder of one as run{listed}")
    return jobs / cells[0].completion


def _made(row: Entry, left: dict[str, str | Path | Model], wanted: Mapping[str, str]) -> Method:
    """A method without a run, with its priors, which are taken from `left`; `wanted`: see `bench.fit.required`."""
    loaded, preset = registry.get(row.method).load(), row.preset or "paper"
    method = contract.made(loaded, loaded.configure(preset, row.variant, row.options))
    wanted = {**loaded.prior_presets.get(preset, {}), **wanted}
    needed = () if row.weights and loaded.complete_weights else loaded.card.requires
    if row.weights and (missing := [slug for slug in needed if slug not in left]):
        raise BenchError(
            f"the checkpoint of {row.method} is without {' and '.join(missing)}: give theirs, too, as "
            f"priors={{{', '.join(f'{slug!r}: FILE' for slug in missing)}}} "
            f"({' '.join(f'--prior {slug}=FILE' for slug in missing)})"
        )
    priors = {}
    for slug in needed:
        one = left.pop(slug, None)
        if isinstance(one, Model):
            priors[slug] = one.method
        else:
            prior = Entry(method=slug, preset=wanted.get(slug, preset), weights=_file(one))
            priors[slug] = _made(prior, left, wanted)
    if priors:
        method.attach(priors)
    if row.weights:
        official.load_official(method, row.weights)
    return method


def _file(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
