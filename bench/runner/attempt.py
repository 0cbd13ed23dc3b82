"""One attempt at one job: it holds the job's lock, keeps a log, and records why the job failed."""

from __future__ import annotations

import gc
import logging
import os
import platform
import re
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from bench import distributed
from bench.errors import BenchError, told
from bench.jobs import Job, Plan
from bench.progress import LOG
from bench.runner.execute import Options, execute
from bench.runner.remote import Remote
from bench.store import hold, write_error, write_text

LINES = 20  # of the log that a failure quotes
OF_THE_MACHINE = (OSError, MemoryError, EOFError, torch.OutOfMemoryError, torch.AcceleratorError)
_MACHINE = re.compile(r"CUDA|cuDNN|CUBLAS|NCCL|Gloo|allocate memory|killed by signal", re.IGNORECASE)

Work = Callable[[Plan, Job, Options], None]


@dataclass(frozen=True)
class Ended:
    """How an attempt ended: `busy` means that another runner works on this job; `fatal` ends the whole run."""

    state: Literal["done", "failed", "busy", "lost", "fatal"]
    message: str = ""
    mendable: bool = False  # the message says what the user can do
    passing: bool = True  # another attempt may go well: see `passing`


def attempt(made: Plan, job: Job, options: Options, work: Work = execute, own_streams: bool = False) -> Ended:
    """Run a job unless it is done or another process holds it.

    The folder receives log.txt: when the job ran where, its progress, warnings, and with `own_streams` (in a worker
    process) all that the method prints. A failure is recorded in error.txt, with traceback and the last lines of the
    log. Only trouble with the run's own folder, such as a full disk, is `fatal`.
    """
    folder = made.job_folder(job.id)
    store = Remote(options.url, made.root) if options.url else None
    try:
        with hold(folder / ".lock") as mine:
            if not mine:
                return Ended("busy")
            for left_over in folder.glob(".*.part"):  # of a process that was killed here
                left_over.unlink(missing_ok=True)
            return _logged(made, job, options, work, store, folder, own_streams)
    except BenchError as error:  # raised by what is not the job's own work: the folder cannot be written
        return Ended("fatal", told(error))


def _logged(
    made: Plan, job: Job, options: Options, work: Work, store: Remote | None, folder: Path, own_streams: bool
) -> Ended:
    try:
        with _log(folder / "log.txt", own_streams):
            start = time.monotonic()
            LOG.info("%s: process %d of %s begins", job.label, os.getpid(), platform.node())
            if store:
                store.pull_needs(made, job)
            if not made.done(job):  # another runner may have done it meanwhile
                work(made, job, options)
            (folder / "error.txt").unlink(missing_ok=True)
            if store:
                store.push_job(job.id)
            LOG.info("done after %.1f s", time.monotonic() - start)
        return Ended("done")
    except (Exception, SystemExit) as error:  # a method may raise anything: the rest of the matrix goes on
        if isinstance(error, SystemExit) and distributed.world().size > 1:  # the others wait for this process
            raise
        if isinstance(error, BenchError) and str(error).startswith(f"cannot write {made.root}"):
            raise
        ended = Ended("failed", explained(error), isinstance(error, BenchError), passing(error))
        record(made, job, ended.message, traceback.format_exc())
    if store:
        store.push_job(job.id)
    gc.collect()  # the traceback held the networks: make room for the next job
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    return ended


def passing(error: BaseException | None) -> bool:
    """Whether a failure may pass by itself: trouble of the machine, not of the code, which fails in the same way again.

    Runs give the same bits again, and so they do the same errors.
    """
    while error is not None:
        if isinstance(error, BenchError | FileNotFoundError | PermissionError):
            return False
        if isinstance(error, OF_THE_MACHINE) or (isinstance(error, RuntimeError) and _MACHINE.search(str(error))):
            return True
        error = error.__cause__ or error.__context__
    return False


def explained(error: BaseException) -> str:
    """An error in one line, for people."""
    if isinstance(error, BenchError):
        return " ".join(told(error).split())
    text = " ".join(str(error).split())
    if isinstance(error, SystemExit):
        return f"a call of exit({text}) would have ended the whole run"
    named = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in text:
        return f"out of memory: {named}"
    return named


def record(made: Plan, job: Job, message: str, details: str = "") -> None:
    """Write error.txt into a job's folder: the message, the traceback, and the last lines of the log."""
    folder = made.job_folder(job.id)
    parts = [f"{message}\n", f"{job.label}\n{details}"]
    for name in ("log.txt", "losses.csv"):
        if lines := last_lines(folder / name):
            parts.append(f"The last lines of {name}:\n{lines}")
    write_text(folder / "error.txt", "\n".join(parts))


def last_lines(path: Path, count: int = LINES) -> str:
    """The end of a text file; empty when there is none."""
    try:
        with path.open(encoding="utf-8", errors="replace") as handle:
            return "".join(deque(handle, count))
    except OSError:
        return ""


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """Say nothing: a disk that is full is reported by what the job itself writes."""


@contextmanager
def _log(path: Path, own_streams: bool) -> Iterator[None]:
    """Append the records of Python's logging and warnings to `path`; with `own_streams` also file descriptors 1, 2."""
    try:
        handler = _LogFile(path, encoding="utf-8")
    except OSError as error:
        raise write_error(path, error) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root, level = logging.getLogger(), LOG.level
    root.addHandler(handler)
    LOG.setLevel(logging.INFO)
    logging.captureWarnings(True)
    kept: list[int] = []
    if own_streams:
        kept = [os.dup(1), os.dup(2)]
        with path.open("ab") as log:
            for descriptor in (1, 2):  # what native code prints before it dies is kept as well
                os.dup2(log.fileno(), descriptor)
    try:
        yield
    except BaseException as error:
        LOG.error("failed: %s", explained(error))
        raise
    finally:
        for descriptor, stream in enumerate((sys.stdout, sys.stderr) if kept else (), 1):
            if stream is not None:
                stream.flush()
            os.dup2(kept[descriptor - 1], descriptor)
            os.close(kept[descriptor - 1])
        logging.captureWarnings(False)
        LOG.setLevel(level)
        root.removeHandler(handler)
        handler.close()
