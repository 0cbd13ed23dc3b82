"""Runs the jobs of a plan: those that are not done, in an order in which each can run, here or in worker processes."""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import save as to_safetensors

from bench import metrics, progress, registry, weights
from bench.errors import BenchError
from bench.evaluate import Task, evaluate
from bench.jobs import Job, Plan, file_digest, plan
from bench.method import Method
from bench.progress import console, track
from bench.store import atomic_write, derive_seed, write_json, write_text
from bench.suite import Suite
from bench.train import Budget, train

MOST_WORKERS = 8  # processes on a machine without a GPU, unless the user asks for more


@dataclass(frozen=True)
class Options:
    """How jobs run; nothing here decides a result.

    A job on a CPU uses one thread, and jobs run side by side in `workers` processes: so results do not depend on
    the number of cores. By default there is one worker a core, and one where a GPU does the work.
    """

    device: str = "auto"
    workers: int | None = None

    @property
    def on_gpu(self) -> bool:
        return self.device != "cpu" and torch.cuda.is_available()


@dataclass
class Outcome:
    """What a run did."""

    done: int = 0
    reused: int = 0
    failed: dict[str, str] = field(default_factory=dict)  # job id -> message
    skipped: list[str] = field(default_factory=list)  # jobs whose needs failed


def run(made: Plan, options: Options) -> Outcome:
    """Run what is not done. A job that fails is recorded and the others go on.

    BenchError about the run's own folder (a full disk, say) ends the run: whatever is finished stays.
    """
    outcome = Outcome()
    waiting = []
    for job in made.jobs:
        if made.done(job):
            outcome.reused += 1
        else:
            waiting.append(job)
    if outcome.reused:
        console.print(f"{outcome.reused} of {len(made.jobs)} jobs are done already", highlight=False)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    default = 1 if options.on_gpu else min(cores, MOST_WORKERS)
    workers = min(options.workers or default, max(1, len(waiting)))
    if workers > 1:
        _in_processes(made, waiting, options, workers, outcome)
    else:
        _here(made, waiting, options, outcome)
    return outcome


def _here(made: Plan, waiting: list[Job], options: Options, outcome: Outcome) -> None:
    if not options.on_gpu:
        torch.set_num_threads(1)
    for number, job in enumerate(waiting, 1):
        if any(need in outcome.failed or need in outcome.skipped for need in job.needs):
            outcome.skipped.append(job.id)
            continue
        console.print(f"[{number}/{len(waiting)}] {job.label}", highlight=False, markup=False)
        _record(made, job, outcome, partial(execute, made, job, options))


def _record(made: Plan, job: Job, outcome: Outcome, action: Callable[[], Any]) -> None:
    try:
        action()
        outcome.done += 1
        (made.job_folder(job.id) / "error.txt").unlink(missing_ok=True)
    except BenchError as error:
        if str(error).startswith(f"cannot write {made.root}"):
            raise
        _fail(made, job, outcome, str(error), str(error))
    except Exception as error:  # a method may raise anything: the rest of the matrix goes on
        _fail(made, job, outcome, f"{type(error).__name__}: {error}", traceback.format_exc())


def _fail(made: Plan, job: Job, outcome: Outcome, message: str, details: str) -> None:
    outcome.failed[job.id] = message
    write_text(made.job_folder(job.id) / "error.txt", details)
    console.print(f"  failed: {message}", style="red", highlight=False, markup=False)


def _in_processes(made: Plan, waiting: list[Job], options: Options, workers: int, outcome: Outcome) -> None:
    context = multiprocessing.get_context("spawn")
    total = len(waiting)
    with context.Manager() as manager, progress.Board() as board:
        messages = manager.Queue()
        arguments = (made.suite.model_dump(mode="json"), made.root, messages, not options.on_gpu)
        with ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=arguments) as pool:
            running: dict[Future[None], Job] = {}
            try:
                while waiting or running:
                    for job in sorted(waiting, key=lambda job: job.kind != "train"):  # the longest first
                        if any(need in outcome.failed or need in outcome.skipped for need in job.needs):
                            waiting.remove(job)
                            outcome.skipped.append(job.id)
                        elif len(running) < workers and all(made.done(made.job(need)) for need in job.needs):
                            waiting.remove(job)
                            running[pool.submit(_work, job.id, options)] = job
                    finished, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                    while not messages.empty():
                        board.update(*messages.get())
                    for future in finished:
                        job = running.pop(future)
                        board.finish(job.label)
                        _record(made, job, outcome, future.result)
                        if job.id not in outcome.failed:
                            number = total - len(waiting) - len(running) - len(outcome.failed) - len(outcome.skipped)
                            console.print(f"[{number}/{total}] {job.label}", highlight=False, markup=False)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in context.active_children():
                    process.terminate()
                raise


_plan: Plan | None = None  # of a worker process


def _start_worker(suite: dict[str, Any], root: Path, messages: Any, one_thread: bool) -> None:
    global _plan
    if one_thread:
        torch.set_num_threads(1)
    progress.remote = lambda *message: messages.put(message)
    _plan = plan(Suite.model_validate(suite), root)


def _work(job_id: str, options: Options) -> None:
    assert _plan is not None
    execute(_plan, _plan.job(job_id), options)


def execute(made: Plan, job: Job, options: Options) -> None:
    """Run one job; its result.json is written last."""
    folder = made.job_folder(job.id)
    write_json(folder / "job.json", job.identity | {"label": job.label})
    result = (_train if job.kind == "train" else _evaluate)(made, job, folder, options)
    write_json(folder / "result.json", result)


def _train(made: Plan, job: Job, folder: Path, options: Options) -> dict[str, Any]:
    identity, row = job.identity, job.row
    seed = derive_seed(*identity["seed"])
    torch.manual_seed(derive_seed(seed, "weights"))
    method = _create(made, identity)
    prepared = made.data[row["dataset"]]
    settings = made.suite.train
    budget = Budget(
        steps=identity["steps"],
        batch=identity["batch"],
        seed=seed,
        features=identity["features"],
        checkpoint=settings.checkpoint,
        tensorboard=settings.tensorboard,
        precision=identity["precision"],
        device=options.device,
    )
    train(method, prepared.images, prepared.train(row["shots"]), budget, folder, partial(track, job.label))
    with atomic_write(folder / "weights.safetensors") as handle:
        handle.write(to_safetensors({k: v.detach().cpu().contiguous() for k, v in method.state_dict().items()}))
    (folder / "checkpoint.pt").unlink(missing_ok=True)
    return {"steps": identity["steps"], "images": len(prepared.train(row["shots"]))}


def _evaluate(made: Plan, job: Job, folder: Path, options: Options) -> dict[str, Any]:
    identity, row = job.identity, job.row
    method = _create(made, identity)
    if job.needs:
        _load_trained(made, method, job.needs[0])
    prepared = made.data[row["dataset"]]
    condition = row["condition"]
    frozen, needs = prepared.masks[condition], method.card.needs
    task = Task(prepared.images, prepared.test, frozen, condition, made.suite.seed, needs)
    names = [name for name, *_ in identity["metrics"]]
    device = "cuda" if options.on_gpu else "cpu"
    measured = evaluate(method, task, names, identity["samples"], folder, device, made.root / "cache" / "features")
    _write_parquet(folder / "per_image.parquet", measured.per_image)
    rows = []
    for values in measured.rows:
        metric = metrics.get(values["metric"])
        rows.append(values | {"metric_title": metric.title, "higher_is_better": metric.higher_is_better})
    _write_parquet(folder / "rows.parquet", pd.DataFrame(rows))
    return {"images": len(task.positions), "masks": prepared.masks[condition].fingerprint}


def _create(made: Plan, identity: dict[str, Any]) -> Method:
    """The method of that identity, with its priors attached and official weights loaded where it has them."""
    loaded = registry.get(identity["method"]).load()
    method = loaded(loaded.Config.model_validate(identity["config"]))
    priors = {}
    for slug, reference in identity["priors"].items():
        if isinstance(reference, str):
            priors[slug] = _create(made, made.job(reference).identity)
            _load_trained(made, priors[slug], reference)
        else:
            priors[slug] = _create(made, reference)
    if priors:
        method.attach(priors)
    if identity["weights"]:
        _load_official(made, method, identity)
    return method


def _load_trained(made: Plan, method: Method, job_id: str) -> None:
    method.load_state_dict(weights.read(made.job_folder(job_id) / "weights.safetensors"))


def _load_official(made: Plan, method: Method, identity: dict[str, Any]) -> None:
    entries = [*made.suite.methods, *made.suite.priors]
    paths = [e.weights for e in entries if e.method == identity["method"] and e.weights]
    path = next(path for path in paths if file_digest(path) == identity["weights"])
    try:
        method.load_official(weights.read(path))
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:300]
        raise BenchError(f"{path} is not an official checkpoint of {identity['method']}: {reason}") from error


def _write_parquet(path: Path, table: pd.DataFrame) -> None:
    with atomic_write(path) as handle:
        table.to_parquet(handle, index=False)
