"""Progress that people can read: a bar with time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(stderr=True)
Advance = Callable[[int], None]
LINES = 5  # plain lines for one piece of work, at most
SECONDS = 10.0  # between two plain lines, at least


@contextmanager
def track(title: str, total: int, done: int = 0) -> Iterator[Advance]:
    """Show progress over `total` steps, of which `done` stand already; the value is called with the steps made."""
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
            task = progress.add_task(title, total=total, completed=done)
            yield lambda n: progress.advance(task, n)
        return
    start = last = time.monotonic()
    count, printed = done, done

    def advance(n: int) -> None:
        nonlocal count, last, printed
        count += n
        now = time.monotonic()
        if count < total and now - last >= SECONDS and count - printed >= total / LINES:
            left = (now - start) / max(count - done, 1) * (total - count)
            console.print(f"  {title}: {count}/{total}, about {duration(left)} left", highlight=False)
            last, printed = now, count

    yield advance


@contextmanager
def many() -> Iterator[Callable[[str, int, int], None]]:
    """Progress over several pieces of work, one after another: the value is called with (title, done, total)."""
    with ExitStack() as stack:
        current: dict[str, tuple[Advance, int]] = {}

        def report(title: str, done: int, total: int) -> None:
            if title not in current:
                stack.close()
                current.clear()
                current[title] = (stack.enter_context(track(title, total)), 0)
            advance, before = current[title]
            advance(done - before)
            current[title] = (advance, done)

        yield report


def duration(seconds: float) -> str:
    """Seconds as people say them: `45 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
