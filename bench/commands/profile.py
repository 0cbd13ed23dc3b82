"""`facebench profile`: what methods cost."""

from __future__ import annotations

from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.commands import out, values
from bench.errors import BenchError

KEY = (
    "method", "preset", "variant", "size", "batch", "device", "precision", "compiled", "threads", "training", "seconds",
    "processor", "torch", "source", "version",
)  # fmt: skip
COMPARED = (
    "rfr", "aot", "comodgan", "lama", "grig:T = 1", "grig:T = 3", "edgeconnect", "gmcnn", "rgtsi", "transref", "exegan",
)  # fmt: skip


def profile(
    methods: Annotated[
        str | None,
        typer.Argument(
            help="Names such as aot,grig or `grig:T = 1` for an ablation. Default: all.",
            autocompletion=values.methods,
        ),
    ] = None,
    preset: Annotated[str, typer.Option(help="paper, tiny, ...")] = "paper",
    size: Annotated[str, typer.Option(help="Sides of the images in pixels, for example 256 or 256,512.")] = "256",
    batch: Annotated[str, typer.Option(help="Batch sizes, for example 1,8,32.")] = "1",
    precision: Annotated[str, typer.Option(help="fp32 (TF32 off), tf32, bf16, fp16; several with commas.")] = "fp32",
    modes: Annotated[str, typer.Option("--mode", help="eager, compiled (torch.compile), or both.")] = "eager",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="Threads on the CPU; 0: all.")] = 0,
    training: Annotated[bool, typer.Option("--training", help="Also a training step and its wait for data.")] = False,
    seconds: Annotated[
        float, typer.Option(min=0.0, help="Length of a round; there are five. 0: count only, measure nothing.")
    ] = 1.0,
    modules: Annotated[bool, typer.Option("--modules", help="Also the counts of every network of a method.")] = False,
    compare: Annotated[
        bool,
        typer.Option("--compare-published", help="Only counts, beside those of the thesis' tables 4.4 and 5.2."),
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Measure also what has been measured before.")] = False,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of all runs.")] = Path("runs"),
) -> None:
    """Measure parameters, multiply-accumulates, latency, throughput and memory.

    Each setting runs in a process of its own; results go to OUT/profile/profile.parquet and finished ones are reused.
    """
    import pandas as pd
    import torch

    from bench import registry
    from bench.device import checked, cores, tell_bf16
    from bench.profile.cell import Setting, environment, measure
    from bench.profile.counting import VERSION
    from bench.progress import many
    from bench.reporters import reporter
    from bench.store import check_folder

    place = checked(device)
    names = _words(methods) if methods else COMPARED if compare else _all()
    settings, refused = [], []
    for name, side, count, kind, mode in product(
        names, _numbers("--size", size), _numbers("--batch", batch), _words(precision), _words(modes)
    ):
        slug, _, variant = name.partition(":")
        if kind not in ("fp32", "tf32", "bf16", "fp16"):
            raise BenchError(f"--precision: {kind!r} is none of fp32, tf32, bf16, fp16")
        if mode not in ("eager", "compiled"):
            raise BenchError(f"--mode: {mode!r} is neither eager nor compiled")
        if problem := _misfit(slug, preset, variant or None, side, training):
            refused.append(problem)
            continue
        settings.append(
            Setting(
                slug, _sized(slug, preset, side), variant or None, side, count, place, kind,  # type: ignore[arg-type]
                mode == "compiled", threads or cores(), training, seconds=0.0 if compare else seconds,
            )
        )  # fmt: skip
    refused = list(dict.fromkeys(refused))
    if refused and (methods or not settings):
        raise BenchError("\n  ".join(refused))
    for problem in refused:
        out.print(f"left out: {problem}", highlight=False, markup=False, soft_wrap=True)
    if any(setting.precision == "bf16" for setting in settings):
        tell_bf16(place)
    folder = out_folder / "profile"
    check_folder(out_folder)
    path = folder / "profile.parquet"
    _known(path)  # a damaged file is told at once
    here = environment(torch.device(place)) | {"version": VERSION}
    sources = {setting.method: registry.get(setting.method).fingerprint()[:16] for setting in settings}
    keys = [asdict(setting) | here | {"source": sources[setting.method]} for setting in settings]
    failed = []
    with many() as report:
        for done, (setting, key) in enumerate(zip(settings, keys, strict=True)):
            report("profile", done, len(settings))
            if not again and _matches(_known(path), key).any():
                continue
            try:
                row = measure(setting) | {"source": key["source"]}
            except BenchError as error:
                failed.append(str(error))
                continue
            _add(path, key, row)
    known = _known(path)
    rows = pd.concat([known[_matches(known, key)] for key in keys], ignore_index=True)
    if len(rows):
        costs = reporter("costs")
        out.print((reporter("published_costs") if compare else costs)(rows))
        if modules:
            out.print(costs(rows, modules=True))
        out.print(f"wrote {path}", highlight=False, markup=False, soft_wrap=True)
    for message in failed:
        out.print(f"failed: {message}", style="red", highlight=False, markup=False)
    if failed:
        raise typer.Exit(1)


def _known(path: Path) -> Any:
    """The rows that were measured before."""
    import pandas as pd

    if not path.exists():
        return pd.DataFrame(columns=list(KEY))
    try:
        found = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises many kinds for a damaged file
        raise BenchError(f"cannot read {path}: {' '.join(str(error).split())[:200]}; delete it") from error
    if missing := [name for name in KEY if name not in found]:
        raise BenchError(f"{path} lacks the columns {', '.join(missing)}: delete it, and measure again")
    return found


def _add(path: Path, key: dict[str, Any], row: dict[str, Any]) -> None:
    """Add a row to those in the file, where other processes may have added theirs; it replaces one of that setting."""
    import pandas as pd

    from bench.data.cache import locked
    from bench.store import write_table

    with locked(path.parent):
        known = _known(path)
        write_table(path, pd.concat([known[~_matches(known, key)], pd.DataFrame([row])], ignore_index=True))


def _all() -> list[str]:
    from bench import registry

    return [slug for slug in registry.entries() if not _nothing_to_measure(slug)]


def _nothing_to_measure(slug: str) -> str:
    """Why there is nothing to measure of a method with random weights; empty for the others."""
    from bench import registry

    card = registry.get(slug).card
    if card.finished:
        return f"{slug} reads finished pictures: there is nothing to measure"
    if card.from_folder:
        return f"{slug} has the networks of a folder of yours, which are not measured"
    return "" if card.evaluated else f"{slug} completes no images: measure a method that requires it"


def _sized(slug: str, preset: str, side: int) -> str:
    """The preset, as published for this size where there is one of its own."""
    from bench import registry

    return str(side) if preset == "paper" and str(side) in registry.get(slug).load().presets else preset


def _misfit(slug: str, preset: str, variant: str | None, side: int, training: bool) -> str:
    """Why a method cannot be measured: it lacks the preset, does not take this size, ...; empty for the others."""
    from bench import registry
    from bench.nn.sizes import Sizes, nearest

    def sizes(side: int) -> Sizes:
        method = registry.get(slug).load()
        config = method.configure(_sized(slug, preset, side), variant)
        return config.sizes("embedded" if training and method.trainable() else None)

    try:
        if reason := _nothing_to_measure(slug):
            return reason
        if side in sizes(side):
            return ""
    except BenchError as error:
        return str(error)
    near = " or ".join(map(str, nearest(side, lambda other: other in sizes(other))))
    label = f"{slug} ({_sized(slug, preset, side)})"
    return f"{label} takes {sizes(side)}, not {side} x {side}" + (f": set --size {near}" if near else "")


def _words(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _numbers(option: str, text: str) -> list[int]:
    found = _words(text)
    if not all(part.isdigit() and int(part) > 0 for part in found):
        raise BenchError(f"{option}: {text!r} is no list of positive whole numbers")
    return [int(part) for part in found]


def _matches(rows: Any, key: dict[str, Any]) -> Any:
    """Which rows have this setting, device, version and source."""
    found = rows["method"] == key["method"]
    for name in KEY[1:]:
        found &= rows[name].isna() if key[name] is None else rows[name] == key[name]
    return found
