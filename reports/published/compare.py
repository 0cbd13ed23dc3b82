"""One's own numbers beside the published ones, wherever method, data set, condition and metric are the same."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from reports import conditions, results
from reports.published.shapes import load
from reports.table import Block, Cell, Column, Row, Table

ALIASES = {
    "cmod": "comodgan",
    "divinversion": "divinv",
    "divinversiontwostage": "divinv",
    "hierarchicalwencoding": "hierinvwencodingonly",  # as table 2 prints its rows
    "hierarchicaltwostage": "hierinvtwostage",
    "hierarchicalwandfencoding": "hierinv",
    "ffhqvalidation": "ffhq",
    "fan": "input",  # of tables 3.4 and 3.5, which name what looks at the pictures and who restored them
    "vspbfrfan": "vspbfr",
    "hsemotion": "input",
    "vspbfrhsemotion": "vspbfr",
}
DATASETS = {("isfrnet", "celeba"): "celebaisfrnet"}  # a document's, of its own split
METRICS = {  # ours -> as documents name it, factor of their unit
    "fid": ("FID", 1.0),
    "u-ids": ("U-IDS", 100.0),
    "p-ids": ("P-IDS", 100.0),
    "lpips@alex": ("LPIPS", 1.0),
    "lpips@vgg": ("LPIPS", 1.0),
    "psnr": ("PSNR", 1.0),
    "ssim": ("SSIM", 1.0),
    "ssim@rgb51": ("SSIM", 1.0),
    "l1": ("L1", 1.0),
    "niqe": ("NIQE", 1.0),
}
RESTORED = {  # of degraded pictures: the thesis writes FID for a comparison with other pictures
    "fid": ("FID_paired", 1.0),
    "fid/ffhq": ("FID", 1.0),
    **{metric: METRICS[metric] for metric in ("u-ids", "p-ids", "niqe", "psnr")},
    "ssim@wang": ("SSIM", 1.0),
    "detection@fan": ("DSR", 100.0),
    "nme@fan": ("NME", 1.0),
    "emotion@hsemotion": ("accuracy", 100.0),
}
GUIDES = {"Sk": "sketch", "Se": "semantics", "Co": "colour", "Te": "text"}
CONDITIONS = {
    "degraded input": "degraded/given",
    "fixed centre 128x128": "center/25",
    "easy masks (0.0-0.4)": "easy/0-40",
    "difficult masks (0.4-1.0)": "difficult/40-100",
    "all masks (0.0-1.0)": "even/0-100",
    "free-form masks (section 5.2.5)": "exegan",
}


def beside(rows: pd.DataFrame) -> Table | None:
    """Ours, published, and the difference (ours - published); None where nothing matches.

    `rows` are tidy result rows. Only what is trained on all images is compared, never a `tiny` preset, and only metrics
    made with the networks that papers use: an "embedded" score never stands beside a published one. Methods meet by
    their titles; where there is one row of a method, and of its `paper` preset, also by the method's name.
    """
    rows = results.tidy(rows)
    rows = rows[(rows["preset"] != "tiny") & (rows["shots"] == "all")]
    cells = results.over_seeds(rows)
    alone = cells.groupby("method")["label"].nunique() == 1
    published: dict[tuple[str, ...], list[Any]] = {}
    for row in load().itertuples():
        dataset = same_name(row.dataset)
        key = (DATASETS.get((row.source, dataset), dataset), method(row), condition(row), row.metric)
        if row.printed and not row.table.startswith(("text", "abstract")):
            published.setdefault(key, []).append(row)
    named = {key[1] for key in published}
    blocks: dict[tuple[str, str, bool], list[Row]] = {}
    for ours in cells.itertuples():
        known = RESTORED if ours.condition.startswith("degraded/") else METRICS
        if ours.metric not in known:
            continue
        title, factor = known[ours.metric]
        name = same_name(ours.label)
        if name not in named and alone[ours.method] and ours.preset == "paper":  # of several rows all but one are
            name = same_name(ours.method)  # ablations
        for theirs in published.get((same_name(ours.dataset), name, ours.condition, title), []):
            head = f"{ours.dataset}: {ours.metric_title}, {theirs.source} {theirs.table}"
            places = len(theirs.printed.partition(".")[2])
            value = ours.value * factor
            line = (
                Cell(value, places, ours.low * factor, ours.high * factor, ours.spread * factor, ours.note),
                Cell(theirs.value, places, note=theirs.note),
                Cell(value - theirs.value, places, signed=True),
            )
            unit = theirs.unit if factor != 1 else ""
            row_title = f"{ours.label}, {conditions.parse(ours.condition).title}"
            blocks.setdefault((head, unit, bool(ours.higher_is_better)), []).append(Row(row_title, line))
    if not blocks:
        return None
    return Table(
        title="Ours beside the published numbers",
        stub="Method, condition",
        columns=(Column("Ours"), Column("Published"), Column("Difference")),
        blocks=tuple(
            Block(tuple(lines), f"{head} ({unit})" if unit else head, higher)
            for (head, unit, higher), lines in blocks.items()
        ),
        notes=("Difference: ours - published. Documents may define LPIPS, SSIM and L1 in another way.",),
    )


def same_name(name: str) -> str:
    """A name without case and punctuation, by which a registry's and a paper's spelling meet."""
    bare = re.sub(r"[^a-z0-9]", "", name.lower())
    return ALIASES.get(bare, bare)


def method(row: Any) -> str:
    """The name of a published row; where its table prints the steps T as conditions, as variants have it."""
    steps = re.search(r", T=(\d+)$", row.condition)
    return same_name(f"{row.method} (T = {steps[1]})" if steps else row.method)


def condition(row: Any) -> str:
    """Our name of a published condition; "" where we have none.

    Below 60 % the documents use the irregular mask templates of partial convolution, above it CoModGAN's free-form
    generator. Of the restored pictures only CelebA-Test has the originals. Edits are of the whole picture without "Ma",
    whose guides the documents name in any order.
    """
    printed: str = row.condition
    if printed == "512x512":
        return "degraded/given" if row.dataset == "CelebA-Test" else "degraded/itself"
    parts = printed.split("+")[1:]
    if parts:
        erased = "local" if "Ma" in parts else "whole"
        return "+".join([erased, *(guide for part, guide in GUIDES.items() if part in parts)])
    if match := re.fullmatch(r"(\d+)-(\d+)%(, T=\d+)?", printed):
        return f"{'irregular' if int(match[1]) < 60 else 'freeform'}/{match[1]}-{match[2]}"
    return CONDITIONS.get(printed, "")
