"""Jobs in worker processes of this machine. A worker that dies takes its own job with it and no other."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Self

import torch

from bench import progress
from bench.errors import BenchError
from bench.jobs import Job, Plan, plan
from bench.runner.attempt import Ended, Work, attempt
from bench.runner.execute import Options
from bench.suite import Suite

CONTEXT = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
PATIENCE = 10  # seconds in which an idle process ends


class Worker:
    """A process that attempts one job after another, and the pipe to it."""

    def __init__(self, *arguments: Any):
        self.pipe, theirs = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=_serve, args=(theirs, *arguments))
        self.process.start()
        theirs.close()  # so that the pipe ends with the process
        self.job: Job | None = None

    def end(self) -> None:
        self.process.terminate()
        self.process.join()
        self.pipe.close()

    @property
    def death(self) -> str:
        """Why the process is no more."""
        self.process.join()
        code = self.process.exitcode or 0
        if code == -signal.SIGKILL:
            return "its process was killed (SIGKILL): out of memory, if nobody else killed it"
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return f"its process ended {how}"


class Processes:
    """A pool of workers. Use it as a context."""

    def __init__(self, made: Plan, options: Options, work: Work, slots: int):
        self.arguments = (made.suite.model_dump(mode="json"), made.root, options, work)
        self.slots = slots
        self.idle: list[Worker] = []
        self.busy: list[Worker] = []
        self.board = progress.Board()

    def __enter__(self) -> Self:
        self.board.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.idle:
            worker.pipe.close()  # they end by themselves: Python warns of semaphores that terminated ones leave behind
        for worker in self.idle:
            worker.process.join(PATIENCE)
        for worker in [*self.busy, *self.idle]:
            worker.end()
        self.board.__exit__()

    @property
    def free(self) -> bool:
        return len(self.busy) < self.slots

    @property
    def running(self) -> bool:
        return bool(self.busy)

    def start(self, job: Job) -> None:
        worker = self.idle.pop() if self.idle else Worker(*self.arguments)
        self.busy.append(worker)
        worker.job = job
        with suppress(OSError):  # a worker that has died is noticed in `wait`
            worker.pipe.send(job.id)

    def wait(self, seconds: float) -> Iterator[tuple[Job, Ended]]:
        ready = wait([worker.pipe for worker in self.busy], seconds)
        for worker in [worker for worker in self.busy if worker.pipe in ready]:
            job = worker.job
            assert job is not None
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):
                message = Ended("lost", worker.death)
            if not isinstance(message, Ended):
                self.board.update(*message)
                continue
            self.board.finish(job.label)
            self.busy.remove(worker)
            if message.state in ("done", "busy"):
                self.idle.append(worker)
            else:  # what a failure leaves behind, memory or a broken GPU context, must not harm the next job
                worker.end()
            yield job, message


def _serve(pipe: Connection, suite: dict[str, Any], root: Path, options: Options, work: Work) -> None:
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes: the runner ends this one
    faulthandler.enable()  # a crash in native code leaves a traceback in the job's log
    threading.Thread(target=_end_with_runner, daemon=True).start()
    if not options.on_gpu:
        torch.set_num_threads(1)
    progress.remote = lambda *message: pipe.send(message)
    made: Plan | None = None
    while True:
        try:
            job_id = pipe.recv()
        except EOFError:
            return
        try:
            made = made or plan(Suite.model_validate(suite), root)
            ended = attempt(made, made.job(job_id), options, work, own_streams=True)
        except BenchError as error:  # of the plan: the same for every job
            ended = Ended("fatal", str(error))
        pipe.send(ended)


def _end_with_runner() -> None:
    """A runner that was killed cannot end its workers: they do it themselves."""
    runner = multiprocessing.parent_process()
    assert runner is not None
    wait([runner.sentinel])
    os._exit(1)
