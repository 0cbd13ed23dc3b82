"""Versions of the harness: small results are pinned, so that nobody changes what numbers mean without a word.

`python -m tests.bench.test_identity` records them again, after the version of what changed was raised.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from bench import complete, identity, metrics, suite
from bench.batch import Noise
from bench.completion import Completion
from bench.data import dataset, degradation
from bench.data.dataset import ImageData
from bench.data.guides.degraded import pairs as degraded_pairs
from bench.errors import BenchError
from bench.method import Method
from bench.metrics import measurement
from bench.registry import get
from bench.store import digest
from bench.task import Task
from bench.train import Budget, train
from masks import MaskSet
from tests.bench.test_train import Toy, quiet

PINS = Path(__file__).with_name("pinned.json")
SIDE, COUNT = 32, 24


@cache
def faces() -> ImageData:
    return dataset.prepare_synthfaces(COUNT, SIDE, 0, tempfile.mkdtemp())


def task(condition: str = "irregular/20-30", needs: tuple[str, ...] = ()) -> Task:
    return Task(faces(), range(4, 22), MaskSet.make("irregular/20-30", SIDE, 18, 0), condition, 0, needs)


class Probe(Method):
    """Its output depends on all that it is given: noise, known pixels, mask."""

    card = get("mean").card

    def complete(self, batch: Any, noise: Noise) -> Tensor:
        return (0.5 * noise.normal(*batch.image.shape[1:]) + batch.masked + batch.mask).clamp(-1, 1)


def pictures() -> list[str]:
    folder = Path(tempfile.mkdtemp())
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (50, 70, 3), dtype=np.uint8)).save(folder / "a.png")
    Image.fromarray(rng.integers(0, 65536, (40, 40)).astype(np.uint16)).save(folder / "b.png")
    read = dataset.prepare_folder(folder, SIDE, folder / "cache")
    return [digest(images.images(range(len(images))).numpy().tobytes()) for images in (read, faces())]


def guides() -> list[Any]:
    shown = next(task("irregular/20-30+sketch+semantics+colour+text", ("exemplar",)).batches())
    drawn = [((getattr(shown, name) + 1) * 127.5).round().to(torch.uint8) for name in ("exemplar", "colour")]
    return [*(digest(one.numpy().tobytes()) for one in (*drawn, shown.sketch, shown.semantics)), list(shown.text or ())]


def degraded() -> list[str]:
    found = [degraded_pairs(faces(), [0, 1], recipe, [3, 4])[0] for recipe in degradation.RECIPES]
    return [digest(one.contiguous().numpy().tobytes()) for one in found]


def training() -> list[float]:
    torch.manual_seed(0)
    method = Toy()
    train(
        method, faces(), range(16), Budget(8, 4, 0, device="cpu", precision="32-true"), Path(tempfile.mkdtemp()), quiet
    )
    return [float(value) for part in method.state_dict().values() for value in part.flatten()[:8]]


def completion() -> list[Any]:
    made = task()
    probe = Probe(Probe.presets["paper"])
    batches = [found for *_, found in complete.completed(Completion(probe, made.seeds), made)]
    return [digest(torch.cat(batches).numpy().tobytes())]


def scored(*names: str) -> list[float]:
    made = task()
    originals, holes = torch.cat(list(made.originals())), torch.cat(list(made.holes()))
    filled = torch.where(holes, originals.flip(0), originals)
    with torch.random.fork_rng():
        rows = measurement.measure(filled, originals, holes, names).rows
    own = [row for row in rows if row["metric"] in names or metrics.get(row["metric"]).kind == "set"]
    return [value for row in own for value in (row["value"], row["low"], row["high"]) if value is not None]


HARNESS: dict[str, Callable[[], list[Any]]] = {
    "pictures": pictures,
    "guides": guides,
    "degradation": degraded,
    "training": training,
    "completion": completion,
    "scoring": lambda: scored("psnr", "fid@embedded"),
}
SMALL = {"ssim@ec51", "ssim@rgb51", "niqe"}  # want larger pictures; and those between completions stand on others
MEASURED = [
    name
    for name in metrics.names()
    if name not in SMALL
    and not metrics.get(name).between
    and (metrics.get(name).extractor in (None, "embedded", "embedded-expression", "mtcnn", "lite0"))
]


def machine() -> list[str]:
    """Where floats are the same to the bit: kernels differ even within one capability."""
    info = Path("/proc/cpuinfo")
    models = [line for line in info.read_text().splitlines() if "model" in line] if info.exists() else []
    return [torch.__version__, torch.backends.cpu.get_cpu_capability(), digest(sorted({*models}))[:16]]


def pins() -> dict[str, Any]:
    return json.loads(PINS.read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As jobs on a CPU have it: sums of several threads have other last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def check(kind: str, name: str, version: int, found: list[Any], where: str) -> None:
    pinned, recorded = pins()[kind][name], pins()["machine"]
    again = "then record it: python -m tests.bench.test_identity"
    assert version == pinned["version"], f"the version of {name} was raised: {again}"
    exact = [value for value in found if not isinstance(value, float)]
    changed = f"results changed: raise {where}; {again}"
    assert exact == [value for value in pinned["found"] if not isinstance(value, float)], changed
    floats, expected = ([v for v in values if isinstance(v, float)] for values in (found, pinned["found"]))
    if machine() == recorded:
        assert floats == expected, f"{changed} (bits, on {' '.join(recorded)})"
    assert floats == pytest.approx(expected, rel=1e-6, abs=1e-6), f"{changed} (within 1e-6)"


@pytest.mark.parametrize("name", HARNESS)
def test_what_the_harness_gives_has_its_version(name: str) -> None:
    check("harness", name, identity.VERSIONS[name], HARNESS[name](), f"VERSIONS[{name!r}] in bench/identity.py")


@pytest.mark.parametrize("name", MEASURED)
def test_what_a_metric_gives_has_its_version(name: str) -> None:
    where = f"`version` of {name} in bench/metrics/__init__.py"
    check("metrics", name, metrics.get(name).version, scored(name), where)


def test_every_version_is_pinned() -> None:
    assert set(HARNESS) == set(identity.VERSIONS) == set(pins()["harness"])
    assert set(MEASURED) == set(pins()["metrics"])


def test_a_page_lists_what_an_identity_leaves_out() -> None:
    page = (Path(__file__).parents[2] / "docs/identity.md").read_text(encoding="utf-8")
    for name in (*identity.VERSIONS, *suite.Suite.model_fields, *suite.Entry.model_fields):
        assert f"`{name}`" in page, name


def record() -> None:
    torch.set_num_threads(1)
    harness = {name: {"version": identity.VERSIONS[name], "found": work()} for name, work in HARNESS.items()}
    measured = {name: {"version": metrics.get(name).version, "found": scored(name)} for name in MEASURED}
    PINS.write_text(json.dumps({"machine": machine(), "harness": harness, "metrics": measured}, indent=1) + "\n")


if __name__ == "__main__":
    record()


def test_a_file_that_is_not_there_is_named_with_its_option() -> None:
    entry = suite.Entry(method="external", options={"order": "nope.txt"})
    config = get("external").load().configure("paper", None, entry.options)
    with pytest.raises(BenchError, match=r"^the option order: cannot read nope\.txt: No such file"):
        identity.of_model(entry, config, {})
