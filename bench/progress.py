"""Progress that people can read: bars with time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from bench.terminal import Terminal

console = Terminal(stderr=True)
LOG = logging.getLogger("facebench")  # the log of a job
Report = Callable[[str, int, int], None]  # (title, done, total)
LINES = 5  # plain lines for one piece of work, at most
SECONDS = 10.0  # between two plain lines of it, at least
PAUSE = 0.2  # seconds between two messages of a worker process

remote: Report | None = None  # in a worker process: sends progress to the process that shows it


@dataclass
class _Work:
    """A piece of work that is under way."""

    started: float
    first: int
    bar: TaskID | None = None
    printed: int = 0
    last: float = 0.0


@dataclass
class Board:
    """Shows several pieces of work at once, each by its title. Use it as a context."""

    bars: Progress | None = None
    work: dict[str, _Work] = field(default_factory=dict)

    def __enter__(self) -> Self:
        if console.is_terminal:
            title = TextColumn("{task.description}", markup=False)
            columns = (title, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self.bars = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
            self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bars:
            self.bars.stop()

    def update(self, title: str, done: int, total: int) -> None:
        """Say how far a piece of work is."""
        now = time.monotonic()
        work = self.work.get(title)
        if work is None:
            work = self.work[title] = _Work(now, done, printed=done, last=now)
            work.bar = self.bars.add_task(title, total=total, completed=done) if self.bars else None
        if self.bars and work.bar is not None:
            self.bars.update(work.bar, completed=done, total=total)
        elif done < total and now - work.last >= SECONDS and done - work.printed >= total / LINES:
            left = (now - work.started) / max(done - work.first, 1) * (total - done)
            console.print(f"  {title}: {done}/{total}, about {duration(left)} left", highlight=False, markup=False)
            work.last, work.printed = now, done
        if done >= total:
            self.finish(title)

    def finish(self, title: str) -> None:
        """Take a piece of work from the board."""
        work = self.work.pop(title, None)
        if self.bars and work and work.bar is not None:
            self.bars.remove_task(work.bar)


@contextmanager
def track(title: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Show progress over `total` steps, of which `done` stand already; the value is called with the steps made."""
    count, sent, logged = done, 0.0, time.monotonic()

    def advance(steps: int) -> None:
        nonlocal count, sent, logged
        count += steps
        if time.monotonic() - logged >= SECONDS:
            LOG.info("%s: %d/%d", title, count, total)
            logged = time.monotonic()
        if remote is None:
            board.update(title, count, total)
        elif count >= total or time.monotonic() - sent >= PAUSE:
            remote(title, count, total)
            sent = time.monotonic()

    if remote is not None:
        yield advance
        return
    with Board() as board:
        board.update(title, count, total)
        yield advance


def say(text: str) -> None:
    """Tell the user something: on the console, or in the log of the job where this is a worker process."""
    if remote is not None:
        LOG.info(text)
    else:
        console.print(text, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def many() -> Iterator[Report]:
    """Progress over several pieces of work, one after another: the value is called with (title, done, total)."""
    if remote is not None:
        yield lambda title, done, total: None
        return
    with Board() as board:
        yield board.update


def duration(seconds: float) -> str:
    """Seconds as people say them: `45 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
