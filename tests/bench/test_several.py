"""Several completions of an image: their seeds, what is kept of them, and what is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor

from bench import jobs, registry, results, runner, suite
from bench.archive import FILE, Archive
from bench.batch import Batch, Noise
from bench.complete import complete
from bench.completion import Completion
from bench.data import dataset
from bench.errors import BenchError
from bench.method import Method
from bench.metrics import measure
from bench.metrics.measurement import ON_CPU, Measurement
from bench.metrics.several import ONE
from bench.samples import save_png
from bench.score import Known, pictures, score
from bench.task import Task
from masks import MaskSet

SIZE, N, K = 32, 20, 3  # two batches
METRICS = ["psnr", "l1@hole", "perceptual@embedded", "damage", "fid@embedded", "diversity@embedded"]


class Probe(Method):
    """Completes as a function says."""

    card = registry.get("mean").card

    def __init__(self, function: Callable[[Batch, Noise], Tensor]):
        super().__init__(self.presets["paper"])
        self.function = function

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.function(batch, noise)


def random(batch: Batch, noise: Noise) -> Tensor:
    """Known pixels shifted by chance, and holes of chance alone."""
    return batch.composite(noise.normal(3, 1, 1).tanh().expand_as(batch.image)) + 0.05 * noise.uniform(1, 1, 1)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    faces = dataset.prepare_synthfaces(N, SIZE, 0, tmp_path_factory.mktemp("cache"))
    return Task(faces, range(N), MaskSet.make("center/25", SIZE, N, 0), "center/25", 0, completions=K)


def completed(function: Callable[[Batch, Noise], Tensor], task: Task, folder: Path) -> tuple[list[Tensor], Completion]:
    """All pictures of each completion, as they are stored."""
    seen = complete(Probe(function), task, folder, "cpu", {})
    archive = Archive.open(folder / FILE)
    return [torch.cat(list(pictures(archive, task, k))) for k in range(archive.completions)], seen


@pytest.fixture(scope="module")
def three(task: Task, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Tensor], Measurement]:
    """Three completions of a random method, and their scores."""
    folder = tmp_path_factory.mktemp("three")
    found, _ = completed(random, task, folder)
    return folder, found, score(folder, task, METRICS)


def alone(task: Task, found: Tensor, *names: str) -> Measurement:
    return measure(found, torch.cat(list(task.originals())), torch.cat(list(task.holes())), names)


def test_each_completion_has_a_seed_of_its_own_and_the_first_that_of_a_single_one(
    task: Task, three: tuple[Path, list[Tensor], Measurement], tmp_path: Path
) -> None:
    _, found, _ = three
    assert len(found) == K
    for one, other in combinations(found, 2):
        assert all(not torch.equal(a, b) for a, b in zip(one, other, strict=True))
    (single,), seen = completed(random, replace(task, completions=1), tmp_path)
    assert torch.equal(single, found[0])
    assert seen.remarks == []


def test_the_value_of_an_image_is_the_mean_over_its_completions(
    task: Task, three: tuple[Path, list[Tensor], Measurement]
) -> None:
    _, found, measured = three
    for name in ("psnr", "l1@hole", "perceptual@embedded"):
        values = [alone(task, one, name).images(name)["value"] for one in found]
        assert np.allclose(measured.images(name)["value"], np.mean(values, axis=0), rtol=1e-12, atol=0)
        row = measured.row(name)
        assert row["value"] == pytest.approx(np.mean(values)) and row["low"] < row["value"] < row["high"]
        assert (row["n"], row["note"]) == (N, "")


def test_damage_is_the_mean_over_completions(
    task: Task, three: tuple[Path, list[Tensor], Measurement], tmp_path: Path
) -> None:
    _, _, measured = three
    raw = replace(task, pasted=False)  # the archive holds known pixels as the method left them
    found, _ = completed(random, raw, tmp_path)
    known = ~torch.cat(list(task.holes())).expand_as(found[0])
    far = [(one.double() - torch.cat(list(task.originals()))).abs() / 255 * known for one in found]
    expected = torch.stack(far).mean(dim=0).sum(dim=(1, 2, 3)) / known.sum(dim=(1, 2, 3))
    assert measured.images("damage")["id"].tolist() == [task.images.ids[i] for i in task.positions]
    assert np.allclose(measured.images("damage")["value"], expected)
    assert measured.row("damage")["value"] > 0


def test_scores_of_sets_are_those_of_the_first_completions(
    task: Task, three: tuple[Path, list[Tensor], Measurement]
) -> None:
    _, found, measured = three
    for name in ("fid@embedded", "fid-infinity@embedded"):
        expected = alone(task, found[0], "fid@embedded").row(name)
        said = "; ".join(filter(None, (expected["note"], f"first of {K} completions")))
        assert measured.row(name) == expected | {"note": said}


def test_diversity_is_the_mean_distance_of_every_two_completions(
    three: tuple[Path, list[Tensor], Measurement],
) -> None:
    _, found, measured = three
    pairs = [measure(a, b, None, ["perceptual@embedded"]).per_image["value"] for a, b in combinations(found, 2)]
    row, values = measured.row("diversity@embedded"), measured.images("diversity@embedded")
    assert np.allclose(values["value"], np.mean(pairs, axis=0), rtol=1e-12, atol=0)
    assert 0 < row["low"] < row["value"] < row["high"]
    assert row["extractor"] == measured.row("perceptual@embedded")["extractor"]
    assert [row["metric"] for row in measured.rows] == [*METRICS[:5], "fid-infinity@embedded", METRICS[5]]


def test_what_is_known_is_what_was_measured(
    task: Task, three: tuple[Path, list[Tensor], Measurement], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, measured = three
    known = Known(tmp_path, {row["metric"]: row["metric"] for row in measured.rows})
    score(folder, task, METRICS, known=known)
    monkeypatch.delattr("bench.score.measure_several")
    again = score(folder, task, METRICS, known=known)
    assert again.rows == measured.rows
    pd.testing.assert_frame_equal(again.per_image, measured.per_image, check_exact=True)


def test_an_image_without_a_value_in_one_completion_has_that_of_the_others(
    task: Task, three: tuple[Path, list[Tensor], Measurement], monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = -(-N // ON_CPU)
    calls = iter(range(K * batches))

    def some(completed: Tensor, truth: Tensor, masks: Tensor | None) -> Tensor:
        number, batch = divmod(next(calls), batches)
        values = torch.full((len(completed),), float(number), dtype=torch.float64)
        if batch == 0:
            values[0], values[1] = (torch.nan if number == 0 else number), torch.nan
        return values

    monkeypatch.setattr("bench.metrics.pixel.l1", some)
    found = score(three[0], task, ["l1"])
    assert found.images("l1")["value"].tolist()[:3] == pytest.approx([1.5, np.nan, 1.0], nan_ok=True)
    assert (found.row("l1")["n"], found.row("l1")["note"]) == (N - 1, f"1 of {N} images have no value")


@pytest.mark.parametrize("kind", ["constant", "drawn for nothing"])
def test_a_method_without_chance_is_completed_once_and_says_so(kind: str, task: Task, tmp_path: Path) -> None:
    def grey(batch: Batch, noise: Noise) -> Tensor:
        if kind == "drawn for nothing":
            noise.normal(1)
        return torch.zeros_like(batch.image)

    found, seen = completed(grey, task, tmp_path)
    assert len(found) == 1
    assert seen.remarks == ["gives the same completion for every seed: completed once"]
    measured = score(tmp_path, task, METRICS)
    assert measured.row("diversity@embedded")["note"] == ONE
    assert measured.row("diversity@embedded")["value"] is None
    assert "completions" not in measured.row("fid@embedded")["note"]


def test_a_method_that_draws_from_global_generators_is_not_taken_for_one_without_chance(
    task: Task, tmp_path: Path
) -> None:
    found, seen = completed(lambda b, n: torch.randn_like(b.image).clamp(-1, 1), task, tmp_path)
    assert len(found) == K and not torch.equal(found[0], found[1])
    assert [remark.split(":")[0] for remark in seen.remarks] == ["draws from global random generators"]


def test_diversity_of_one_completion_is_refused() -> None:
    images = torch.zeros(2, 3, SIZE, SIZE, dtype=torch.uint8)
    with pytest.raises(BenchError, match=r"^diversity@embedded: compares several completions .* `completions: 5`"):
        measure(images, images, None, ["l1", "diversity@embedded"])


def planned(root: Path, folder: Path, match: str, completions: int = K, **changes: Any) -> jobs.Plan:
    content = {
        "suite": "several",
        "size": SIZE,
        "data": [{"name": "synthfaces", "train": 4, "test": 4}],
        "methods": ["mean", {"method": "external", "options": {"folder": str(folder), "match": match}}],
        "conditions": ["center/25"],
        "completions": completions,
        "metrics": ["psnr", "diversity@embedded"],
        "report": {"main": ["psnr"], "samples": 1},
    }
    return jobs.plan(suite.parse(content | changes, "several.yaml"), root)


def ran(made: jobs.Plan) -> tuple[pd.DataFrame, dict[str, str]]:
    """The rows, by title and metric, and what went wrong."""
    outcome = runner.run(made, runner.Options(device="cpu", workers=0))
    return pd.read_parquet(results.collect(made) / "results.parquet").set_index(["title", "metric"]), outcome.failed


def write(root: Path, folder: Path, match: str, first: int) -> None:
    """Constant pictures of all images, brighter from one completion to the next."""
    for name in dataset.prepare_synthfaces(8, SIZE, 0, root / "cache").ids:
        for k in range(K):
            path = folder / f"{match.replace('{name}', Path(name).stem).replace('{k}', str(first + k))}.png"
            save_png(path, torch.full((3, SIZE, SIZE), 60 * (k + 1), dtype=torch.uint8))


@pytest.mark.parametrize(("match", "first"), [("{name}_{k}", 0), ("{name}/{k}", 1), ("run-{k}/{name}_pred", 1)])
def test_several_pictures_of_another_program(match: str, first: int, tmp_path: Path) -> None:
    write(tmp_path / "runs", tmp_path / "theirs", match, first)
    rows, failed = ran(planned(tmp_path / "runs", tmp_path / "theirs", match))
    assert not failed
    assert rows.loc[("External", "diversity@embedded"), "value"] > 0
    assert rows.loc[("Mean colour", "diversity@embedded"), "note"].startswith(ONE)
    (folder,) = (tmp_path / "runs" / "jobs").glob("complete-external-*")
    assert Archive.open(folder / FILE).completions == K
    sample = next((tmp_path / "runs/several/samples/synthfaces/center_25/External").glob("*.png"))
    assert np.asarray(Image.open(sample))[SIZE // 2, SIZE // 2].tolist() == [60, 60, 60]  # the first one


def test_a_picture_that_is_missing_is_named(tmp_path: Path) -> None:
    write(tmp_path / "runs", tmp_path / "theirs", "{name}_{k}", 0)
    made = planned(tmp_path / "runs", tmp_path / "theirs", "{name}_{k}")
    gone = Path(made.data["synthfaces"].split.test[2]).stem
    (tmp_path / "theirs" / f"{gone}_2.png").unlink()
    _, failed = ran(made)
    (reason,) = failed.values()
    assert (
        f"1 of 4 images has no result, called {{name}}_2, in {tmp_path}/theirs/center_25 (there is no such folder)"
        in reason
    )
    assert f" or {tmp_path}/theirs: {gone}" in reason
    assert "several files" not in reason  # the pattern is right


def test_the_pattern_of_several_pictures_is_advised(tmp_path: Path) -> None:
    write(tmp_path / "runs", tmp_path / "theirs", "{name}_{k}", 0)
    _, failed = ran(planned(tmp_path / "runs", tmp_path / "theirs", "{name}"))
    (reason,) = failed.values()
    assert 'measure all with the method external with match: "{name}_{k}", in a suite with completions: 3' in reason


def test_the_number_of_completions_decides_pictures(tmp_path: Path) -> None:
    one, three = (planned(tmp_path / "runs", tmp_path, "{name}", completions=k) for k in (1, 3))
    assert {job.id for job in one.jobs}.isdisjoint(job.id for job in three.jobs)
