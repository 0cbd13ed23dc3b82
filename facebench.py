"""The benchmark in Python: what the command `facebench` does, for notebooks and scripts. docs/python.md teaches it.

    import facebench

    model = facebench.load("aot", run="runs/quickstart")
    picture = model.complete("face.png", "mask.png")
    scores = facebench.measure("results/", "originals/", "masks/", ["psnr", "fid@embedded"])
    facebench.table("runs/quickstart").to_latex()

Pictures are files, Pillow's images, uint8 arrays (height, width, 3) or tensors (3, height, width) in uint8 or [-1, 1];
masks are 1 (or white) where a pixel is missing. What a user can mend raises `BenchError`, which names the remedy.
Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facebench_start import hidden

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from PIL.Image import Image

    from bench.card import Card
    from bench.errors import BenchError
    from bench.given import Given
    from bench.loading import load
    from bench.metrics import Measurement, Metric
    from bench.metrics.images import Images, Range, Source
    from bench.model import Model
    from masks import MaskSet
    from masks import draw as draw_mask
    from reports import Table

__all__ = [
    "BenchError",
    "Images",
    "MaskSet",
    "Model",
    "draw_mask",
    "faces",
    "load",
    "measure",
    "methods",
    "metrics",
    "per_image",
    "plot",
    "results",
    "table",
]

if message := hidden():
    raise ImportError(message)

_ELSEWHERE = {  # the very objects of the library, imported at their first use
    "BenchError": "bench.errors:BenchError",
    "Images": "bench.metrics.images:Images",
    "MaskSet": "masks:MaskSet",
    "Model": "bench.model:Model",
    "draw_mask": "masks:draw",
    "load": "bench.loading:load",
}


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}: there are {', '.join(__all__)}")
    module, _, attribute = _ELSEWHERE[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__


def methods(task: str | None = None) -> dict[str, Card]:
    """The methods that can be loaded or named in suites, by name: the card of each, as `facebench info` shows it.

    task: only inpainting, exemplar, restoration, editing or prior.
    """
    from bench import registry

    return {slug: entry.card for slug, entry in registry.entries().items() if task in (None, entry.card.task)}


def metrics() -> dict[str, Metric]:
    """The metrics that `measure` and suites can name: what each one means, and which tool it equals."""
    from bench import metrics as known

    return {name: known.get(name) for name in known.names()}


def faces(count: int, size: int = 64, seed: int = 0) -> list[Image]:
    """The first synthetic faces of a seed, to try things on: square pictures of `size` pixels a side, from 16."""
    from PIL import Image as pillow

    from bench import seed as seeds
    from bench.data import synthfaces
    from bench.metrics.images import to_uint8

    drawn = to_uint8(synthfaces.render(range(count), size, seeds.checked(seed)).images)
    return [pillow.fromarray(face) for face in drawn.permute(0, 2, 3, 1).numpy()]


def measure(
    completed: Source | Sequence[Given],
    truth: Source | Sequence[Given],
    masks: Source | MaskSet | Sequence[Given] | None = None,
    metrics: str | Sequence[str] | None = None,
    *,
    raw: bool = False,
    reference: Source | Mapping[str, Source] | None = None,
    device: str = "auto",
    cache: str | Path | None = None,
    mask_threshold: int | None = None,
    value_range: Range | None = None,
) -> Measurement:
    """Measure completed pictures against their originals, as `facebench evaluate` does.

    completed, truth, masks: folders, whose files are matched by name; or lists, arrays or tensors (N, 3, H, W) in one
        order, masks (N, 1, H, W). `Images` opens a folder of other names. masks: also a frozen set, by its file (.npz).
    metrics: names of `metrics()`; by default those that need no official weights.
    raw: measure pictures as they are; else, where there are masks, known pixels are pasted from the originals first.
    reference: other real images, for metrics such as fid/reference. cache: a folder that keeps features of originals.

    `.rows` are the numbers with their intervals and notes, `.per_image` those of each picture, a DataFrame. Raises
    BenchError for pictures that are unreadable, unmatched or of different sizes, and for unknown metrics.
    """
    from bench import metrics as library
    from bench.commands.evaluate import WITHOUT_WEIGHTS
    from bench.device import found
    from bench.errors import BenchError
    from bench.metrics.likeness import Likeness

    if metrics is None:
        metrics = [*WITHOUT_WEIGHTS.split(","), *([] if masks is None else ["l1@hole"])]
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    if not raw and masks is not None and (before := [name for name in names if library.get(name).raw]):
        raise BenchError(f"{before[0]} is measured before known pixels are pasted: say raw=True")
    images, originals, holes = _opened(completed, truth, masks, mask_threshold, value_range)
    likeness, shown = Likeness(), images
    if holes is not None:
        shown = likeness.watch(images, originals, holes, 8, "masks", paste=not raw)  # type: ignore[assignment]
    place = found(device)
    result = library.measure(
        shown, originals, holes, names, reference=reference, ids=images.ids, device=place, cache=cache
    )
    for row in result.rows:
        row["note"] = "; ".join(filter(None, (row["note"], likeness.note)))
    return result


def results(run: str | Path) -> pd.DataFrame:
    """The numbers of a run: a row for each method, data set, number of shots, seed, condition and metric.

    run: a suite's folder, such as runs/quickstart. Raises BenchError where it holds no results, or damaged ones.
    """
    from reports.results import load as read

    return read(Path(run)).rows


def per_image(run: str | Path) -> pd.DataFrame:
    """The score of every test image of a run: columns title, method, condition, metric, id, value, and where it is of.

    Values of FID and other scores of whole sets are contributions, for intervals and paired tests.
    """
    from bench.errors import BenchError
    from reports.results import load as read

    found = read(Path(run)).per_image
    if found is None:
        raise BenchError(
            f"{Path(run) / 'per_image.parquet'} is missing: run the suite again, so that it is written anew"
        )
    return found


def table(run: str | Path, metrics: Sequence[str] | None = None, intervals: bool = False) -> Table:
    """The main table of a run: methods x conditions. It has `to_markdown()`, `to_csv()` and `to_latex()`.

    metrics: by default those of the suite's `report: main`. intervals: 95 % intervals stand behind the values.
    """
    from reports import main_table

    return main_table(run, metrics=metrics, intervals=intervals)


def plot(run: str | Path, figure: str = "ratio", metrics: Sequence[str] | None = None) -> Figure:
    """A figure of a run's report, for `figure.savefig` or a notebook (say `%matplotlib inline` once).

    figure: "ratio" (metrics against mask ratio), "shots", "cost", "losses", "grid" (pictures), "zoom"; with several
        data sets "ratio-ffhq". metrics: only these.
    Raises BenchError with the figures that there are for any other, and for metrics that the run has not.
    """
    from reports import figures

    return figures.one(Path(run), figure, metrics)


def _opened(
    completed: Any, truth: Any, masks: Any, threshold: int | None, value_range: Range | None
) -> tuple[Images, Images, Images | None]:
    """Completed pictures, originals and masks; of folders, BenchError says which pattern pairs names that differ."""
    from bench.commands import evaluate
    from bench.metrics.images import opened

    given = {"completed": completed, "truth": truth}
    if isinstance(masks, str | Path) and Path(masks).suffix != ".npz":
        given["masks"] = masks
    rest: list[Images] = []
    if all(isinstance(one, str | Path) for one in given.values()):
        folders: dict[str, evaluate.Named] = {what: (Path(one), None) for what, one in given.items()}
        images, originals, *rest = evaluate.opened(folders, threshold, options=evaluate.IN_PYTHON).sources
    else:
        images = opened(_stacked(completed, "completed"), "completed", value_range=value_range)
        originals = opened(_stacked(truth, "truth"), "truth", ids=images.ids, value_range=value_range)
    if masks is None or rest:
        return images, originals, rest[0] if rest else None
    return images, originals, _holes(masks, images, threshold)


def _stacked(given: Any, name: str) -> Any:
    """A list of pictures as one tensor (N, 3, H, W) uint8; other sources as they are."""
    import numpy as np
    import torch

    from bench.errors import BenchError
    from bench.given import picture

    if not isinstance(given, list | tuple):
        return given
    found = [np.asarray(picture(one, f"{name}, image {i}")) for i, one in enumerate(given)]
    if not found or len({one.shape for one in found}) > 1:
        raise BenchError(f"{name}: give one picture or more, all of one size")
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2)


def _holes(given: Any, images: Images, threshold: int | None) -> Images:
    """The masks of completed pictures, opened."""
    import numpy as np

    from bench.errors import BenchError
    from bench.given import hole
    from bench.metrics.images import frozen, opened
    from masks import MaskSet

    if isinstance(given, str | Path) and Path(given).suffix == ".npz":
        return frozen(Path(given), images)
    if isinstance(given, MaskSet) and images.ids:
        raise BenchError("masks: save the set and give its file, so that each picture gets the mask of its name")
    if isinstance(given, list | tuple | MaskSet):
        given = np.stack([hole(one, f"masks, mask {i}", threshold) for i, one in enumerate(given)])[:, None]
    return opened(given, "masks", masks=True, ids=images.ids, threshold=threshold)


if __name__ == "__main__":  # python -m facebench is the command, too
    from facebench_start import main

    main()
