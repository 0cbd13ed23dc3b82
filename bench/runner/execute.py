"""What a job does: trains a method, completes the test images of one condition, or scores completed pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor

from bench import distributed, loading, metrics, registry
from bench.archive import FILE, Archive
from bench.complete import complete
from bench.data.dataset import ImageData
from bench.errors import BenchError
from bench.export import export_first
from bench.framing import extent, normal
from bench.identity import of_metric
from bench.isolation import isolated
from bench.jobs import Job, Plan
from bench.method import Method
from bench.progress import track
from bench.provenance import recorded
from bench.score import Known, score
from bench.sources import source_of
from bench.store import atomic_write, derive_seed, digest, read_json, write_json, write_table
from bench.task import BATCH, Task
from bench.train import Budget, train

LIGHT = 5e7  # pixels times metrics: about a second

UNTRAINED = "its networks are as its class makes them: it has no `stages`, so nothing trained them"


@dataclass(frozen=True)
class Options:
    """How and where jobs run; nothing here decides a result.

    A job on a CPU uses one thread, so results depend neither on the number of cores nor on the place. By default jobs
    run in worker processes of this machine, one a core, and one where a GPU does the work.
    """

    device: str = "auto"
    workers: int | None = None  # jobs side by side; 0: one after another in this very process, for a debugger
    on: Literal["here", "ray"] = "here"
    address: str | None = None  # of a Ray cluster; none: $RAY_ADDRESS, else a cluster of this machine alone
    url: str | None = None  # object store that finished jobs are copied to; none: the folder of runs is enough
    deterministic: bool = False  # the same bits on the same machine also on a GPU; see `bench.provenance`

    @property
    def on_gpu(self) -> bool:
        return self.device != "cpu" and torch.cuda.is_available()

    @property
    def place(self) -> str:
        """The device of networks."""
        return "cuda" if self.on_gpu else "cpu"


def execute(made: Plan, job: Job, options: Options) -> None:
    """Run one job; its result.json is written last."""
    folder = made.job_folder(job.id)
    write_json(folder / "job.json", job.identity | {"label": job.label, "modules": registry.get(job.method).source()})
    precision = job.identity.get("precision", "32-true")  # completing and scoring are always exact
    with recorded(options.on_gpu, precision, options.deterministic) as facts:
        if job.kind == "train":
            distributed.announce(job.id)
        work = {"train": _train, "complete": _complete, "score": _score}[job.kind]
        result = work(made, job, folder, options)
    write_json(folder / "result.json", facts | result)
    if job.kind == "score":
        _forget(made, job)
    (folder / "checkpoint.pt").unlink(missing_ok=True)


def follow(made: Plan, options: Options) -> None:
    """What the processes of `bench.distributed` behind the first one do: train with it, job after job."""
    if not options.on_gpu:
        torch.set_num_threads(1)
    for job in map(made.job, distributed.announced()):
        with (
            suppress(BenchError),  # the first process meets the same error, and records it
            recorded(options.on_gpu, job.identity["precision"], options.deterministic),
        ):
            _train(made, job, made.job_folder(job.id), options)
    distributed.leave()


def _train(made: Plan, job: Job, folder: Path, options: Options) -> dict[str, Any]:
    identity, row = job.identity, job.row
    seed = derive_seed(*identity["seed"])
    with isolated(derive_seed(seed, "weights")):
        method = _create(made, identity)
    prepared = made.data[row["dataset"]]
    settings = made.suite.train
    budget = Budget(
        steps=identity["steps"],
        batch=identity["batch"],
        seed=seed,
        features=source_of(identity["features"]),
        checkpoint=settings.checkpoint,
        trackers=tuple(settings.trackers),
        precision=identity["precision"],
        device=options.device,
        compiled=identity["compile"],
    )
    try:
        with isolated(seed):
            shown = prepared.at(normal(identity["size"]))
            remarks = train(method, shown, prepared.train(row["shots"]), budget, folder, partial(track, job.label))
    except Exception as error:
        if distributed.world().size > 1 and not isinstance(error, BenchError):
            raise SystemExit(f"{job.label}: {error}") from error  # of this process alone: the others wait for it
        raise
    if distributed.world().rank:
        return {}
    with atomic_write(folder / "weights.safetensors") as handle:
        handle.write(to_safetensors({k: v.detach().cpu().contiguous() for k, v in method.state_dict().items()}))
    images = len(prepared.train(row["shots"]))
    return {"steps": identity["steps"], "images": images, "devices": distributed.world().size, "remarks": remarks}


def _complete(made: Plan, job: Job, folder: Path, options: Options) -> dict[str, Any]:
    identity = job.identity
    with isolated(derive_seed(identity["seed"], "weights")):  # of networks that nothing trains
        method = _create(made, identity)
        for trained in identity["model"]:
            loading.take(method, made.job_folder(trained))
    task = _task(made, job, method.card.needs)
    facts = {key: identity[key] for key in ("method", "data", "masks", "condition", "size", "seed")}
    facts |= {key: job.row[key] for key in ("title", "dataset")}
    facts |= {"count": len(task.images), "filter": task.images.filter}  # how drawn images are drawn again
    facts |= {"framing": task.images.framing.rule}  # and files brought to their size
    seen = complete(method, task, folder, options.place, facts, identity.get("at"))
    untrained = not job.needs and identity["weights"] is None and any(p.requires_grad for p in method.parameters())
    learned = [read_json(made.job_folder(one) / "result.json").get("remarks", []) for one in identity["model"]]
    remarks = [*([UNTRAINED] if untrained else []), *chain(*learned), *seen.remarks]
    result = {"images": len(task.positions), "masks": identity["masks"], "remarks": remarks, "keep": made.suite.keep}
    return result | ({} if seen.repeats else {"deterministic": False})


def _score(made: Plan, job: Job, folder: Path, options: Options) -> dict[str, Any]:
    before, known = made.completion(job), _known(made, job)
    task = _task(made, before, registry.get(job.method).card.needs)
    references, features = sources(made, job.row["dataset"]), made.root / "cache" / "features"
    measured = score(made.job_folder(before.id), task, list(known.keys), options.place, features, references, known)
    write_table(folder / "per_image.parquet", measured.per_image)
    rows = []
    for values in measured.rows:
        metric = metrics.get(values["metric"])
        rows.append(values | {"metric_title": metric.title, "higher_is_better": metric.higher_is_better})
    write_table(folder / "rows.parquet", pd.DataFrame(rows))
    return {"images": len(task.positions)}


def _known(made: Plan, job: Job) -> Known:
    """What is kept of the metrics of a score, among them those that stand beside others for few images."""
    count, against = len(made.data[job.row["dataset"]].test), made.against(job.row["dataset"])
    before = made.completion(job).id
    names = metrics.expanded([name for name, *_ in job.identity["metrics"]], count)
    return Known(made.root / "cache" / "scores", {name: digest([before, of_metric(name, against)]) for name in names})


def light(made: Plan, jobs: Sequence[Job]) -> bool:
    """Whether jobs take less time than the start of a process: scores that add few numbers, and none by a network."""
    pixels = 0
    for job in jobs:
        if job.kind != "score":
            return False
        known = _known(made, job)
        left = [metric for metric in map(metrics.get, known.keys) if not known.has(metric.name)]
        if any(metric.extractor for metric in left):
            return False
        pixels += len(left) * len(made.data[job.row["dataset"]].test) * prod(extent(made.suite.size))
    return pixels <= LIGHT


def _forget(made: Plan, job: Job) -> None:
    """Leave of completed pictures what the suite keeps, now that they are scored.

    Those that a suite completed which keeps all of them stay: its jobs are found in the same folder.
    """
    before, keep = made.completion(job), made.suite.keep
    path = made.job_folder(before.id) / FILE
    if keep == "all" or not path.exists():
        return
    if keep == "samples":
        export_first(Archive.open(path), _task(made, before), made.suite.report.samples, path.parent / "samples")
    if not made.stay(before):
        path.unlink()


def _task(made: Plan, job: Job, needs: tuple[str, ...] = ()) -> Task:
    """The test images of a completion. `needs`: what guides the method, beside what the condition shows it."""
    prepared, condition = made.data[job.row["dataset"]], job.row["condition"]
    holes, pasted = prepared.masks[condition], job.identity["paste"]
    each = job.identity["completions"]
    return Task(prepared.images, prepared.test, holes, condition, made.suite.seed, needs, pasted, each)


def sources(made: Plan, dataset: str) -> dict[str, Callable[[], Iterator[Tensor]]]:
    """What metrics such as `fid/train` compare a data set with: images by name, see `Plan.references`."""
    return {
        name: partial(_batches, other.images, other.train("all")) for name, other in made.references(dataset).items()
    }


def _batches(images: ImageData, positions: list[int]) -> Iterator[Tensor]:
    """Images, uint8 (N, 3, H, W), a batch at a time."""
    for start in range(0, len(positions), BATCH):
        yield images.images(positions[start : start + BATCH])


def _create(made: Plan, identity: dict[str, Any]) -> Method:
    """The method of that identity, with its priors attached and official weights loaded where it has them."""
    known = [*made.suite.methods, *made.suite.priors]
    return loading.create(identity, lambda job: (made.job(job).identity, made.job_folder(job)), known)
