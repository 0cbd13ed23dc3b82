"""pytest checks what suites expect: `pytest my-suite.yaml` makes a test of every line of its `expect:` section.

Jobs that an expectation needs are run first, once; finished ones in the folder of runs are used again. Expectations of
the smoke run, and values recorded with --facebench-record, are tests of the same file.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.errors import BenchError

if TYPE_CHECKING:
    import pandas as pd

    from bench.expect import Expectation
    from bench.jobs import Job, Plan
    from bench.suite import Suite

KEYS = ("suite", "data", "methods", "conditions", "metrics")  # that tell a suite from any other YAML file
CHECKED = ("expect", "smoke")
BASELINE = ".baseline.yaml"
HEADER = "# Measured values. pytest holds later runs against them: change a tolerance here, or record again.\n"
SPREAD = 0.05  # tolerance of a recorded value that has no interval

Recorded = dict[str, dict[str, str]]  # suite -> what is measured -> its value
RECORDED = pytest.StashKey[Recorded]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("facebench", "face-inpaint-bench: expectations of suites (FILE.yaml)")
    group.addoption("--facebench-runs", metavar="DIR", default="runs", help="folder of all runs (default: runs)")
    group.addoption(
        "--facebench-data",
        metavar="NAME=DIR",
        action="append",
        default=[],
        help="your copy of a published data set that suites name; without it their expectations are skipped",
    )
    group.addoption(
        "--facebench-workers",
        metavar="N",
        type=int,
        help="jobs that run side by side (default: as `facebench run`; smoke runs: in this process)",
    )
    group.addoption(
        "--facebench-record",
        metavar="FILE",
        help=f"write the measured values to FILE{BASELINE} beside the suite; later runs are held against them",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RECORDED] = {}
    target = config.getoption("facebench_record")
    if target and not target.endswith(BASELINE):
        raise pytest.UsageError(f"--facebench-record: the name of the file must end with {BASELINE}, not {target!r}")
    if target and config.getoption("numprocesses", None):
        raise pytest.UsageError("--facebench-record: values are recorded in one process: add -n 0")
    if (config.getoption("facebench_workers") or 0) < 0:
        raise pytest.UsageError("--facebench-workers: give a number from 0, for jobs in this process, upwards")
    if unnamed := [text for text in config.getoption("facebench_data") if not all(text.partition("="))]:
        raise pytest.UsageError(f"--facebench-data {unnamed[0]}: write NAME=DIR")
    names = [name for name, _ in _given(config)]
    if twice := [name for name in names if names.count(name) > 1]:
        raise pytest.UsageError(f"--facebench-data gives {twice[0]} twice: leave one of them")


def _given(config: pytest.Config) -> list[tuple[str, str]]:
    """Data sets of the options, with their folders."""
    return [(name, folder) for name, _, folder in (text.partition("=") for text in config.getoption("facebench_data"))]


def _root(config: pytest.Config) -> Path:
    """The folder of all runs."""
    root: Path = config.invocation_params.dir / config.getoption("facebench_runs")
    return root


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> SuiteFile | None:
    if file_path.suffix in (".yaml", ".yml") and _is_suite(file_path):
        return SuiteFile.from_parent(parent, path=file_path)
    return None


def _is_suite(path: Path) -> bool:
    """Whether a YAML file is a suite with expectations, by its top-level keys: other files are never parsed."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    keys = set(re.findall(r"^(\w+)[ ]*:", text, re.MULTILINE))
    return keys.issuperset(KEYS) and not keys.isdisjoint(CHECKED)


class SuiteFile(pytest.File):
    """A suite file: the suite, and its smoke run."""

    def collect(self) -> Iterator[Runs]:
        from bench import suite as suites
        from facebench_start import hidden

        if message := hidden():
            raise self.CollectError(message)
        try:
            content = suites.content(str(self.path))
            found = [suites.parse(content, str(self.path))]
            if content.get("smoke"):
                found.append(suites.parse(suites.smoke(content), f"{self.path} (smoke)"))
            self._check(found)
        except BenchError as error:
            raise self.CollectError(str(error)) from None
        for suite in found:
            yield Runs.from_parent(self, name=suite.suite, suite=suite, smoke=suite is not found[0])

    def _check(self, found: list[Suite]) -> None:
        """Before the first test: what the options name must suit the suite, or another one."""
        from bench.data import catalogue, sources
        from bench.store import check_folder

        target = self.config.getoption("facebench_record")
        if target and (self.config.invocation_params.dir / target).parent.resolve() != self.path.parent.resolve():
            raise BenchError(f"--facebench-record: {target} must lie beside {self.path}: no later run reads it there")
        named = {data.name: None for suite in found for data in (*suite.data, *suite.training)}
        for name, folder in _given(self.config):
            if name in named:
                sources.opened(folder).close()
            elif catalogue.known(name) is None:
                raise BenchError(f"--facebench-data {name}: the suite names {', '.join(named)}")
        measured = any(one.measured for suite in found for one in suite.expectations)
        if measured and not self.config.option.collectonly:
            check_folder(_root(self.config))


class Runs(pytest.Collector):
    """One suite: its expectations, and the jobs behind them."""

    def __init__(self, suite: Suite, smoke: bool, **rest: Any) -> None:
        super().__init__(**rest)
        self.suite, self.smoke = suite, smoke
        self.measured: tuple[pd.DataFrame | None, list[tuple[Job, bool, str]]] | None = None
        self.folders = dict(_given(self.config))

    @property
    def root(self) -> Path:
        return _root(self.config)

    @property
    def workers(self) -> int | None:
        given: int | None = self.config.getoption("facebench_workers")
        return 0 if given is None and self.smoke else given

    def collect(self) -> Iterator[Expected]:
        for one in self.suite.expectations:
            yield Expected.from_parent(self, name=one.text, expectation=one)
        if not self.config.getoption("facebench_record"):
            for one in self._baseline():
                yield Expected.from_parent(self, name=f"baseline {one.text}", expectation=one)

    def _baseline(self) -> Iterator[Expectation]:
        """The recorded values of this suite in the files beside it."""
        from bench import expect

        for path in sorted(self.path.parent.glob(f"*{BASELINE}")):
            for line in _read(path).get(self.suite.suite, {}).items():
                try:
                    yield from expect.read(" = ".join(line), self.suite)
                except BenchError as error:
                    raise self.CollectError(f"{path}: {error}; delete this line of it, or record again all") from None

    def absent(self, expectation: Expectation) -> list[str]:
        """Data sets that the expectation needs and the user has not given."""
        from bench import metrics

        tested = [data for data in self.suite.data if expectation.dataset in (None, data.name)]
        names = {data.name for data in tested} | {data.trained for data in tested}
        if expectation.measured:
            names.add(metrics.get(expectation.quantity).reference)
        return [
            data.name
            for data in (*self.suite.data, *self.suite.training)
            if data.name in names and data.absent and data.name not in self.folders
        ]

    def rows(self) -> tuple[pd.DataFrame | None, list[tuple[Job, bool, str]]]:
        """The result rows behind all selected expectations of this suite, and the jobs that failed; run once."""
        if self.measured is None:
            chosen = [item for item in self.session.items if isinstance(item, Expected) and item.parent is self]
            self.measured = _run(self, [item.expectation for item in chosen if item.expectation.measured])
        return self.measured

    def command(self, expectation: Expectation) -> str:
        """What to type to look closer."""
        from bench import registry

        rows = [entry for entry in self.suite.methods if self.suite.title_of(entry) in expectation.titles]
        slugs = list(dict.fromkeys(registry.get(entry.method).card.slug for entry in rows))
        if not expectation.measured:
            return f"facebench info {slugs[0]}" if slugs else "facebench data list"
        words = ["facebench", "run", os.path.relpath(self.path, self.config.invocation_params.dir)]
        words += ["--smoke"] * self.smoke + ["--methods", ",".join(slugs)]
        named = (*self.suite.data, *self.suite.training)
        words += [word for data in named if data.name in self.folders for word in self._data(data.name)]
        return shlex.join([*words, "--out", self.config.getoption("facebench_runs")])

    def _data(self, name: str) -> list[str]:
        return ["--data", f"{name}={self.folders[name]}"]


class Disappointed(Exception):
    """An expectation does not hold; the message is for people."""


class Expected(pytest.Item):
    """One expectation."""

    parent: Runs

    def __init__(self, expectation: Expectation, **rest: Any) -> None:
        super().__init__(**rest)
        self.expectation = expectation

    def runtest(self) -> None:
        from bench import expect

        runs, one = self.parent, self.expectation
        rows, reasons = None, []
        if one.measured:
            if absent := runs.absent(one):
                options = " ".join(f"--facebench-data {name}=DIR" for name in absent)
                pytest.skip(f"needs your copy of {', '.join(absent)}: {options}")
            rows, failed = runs.rows()
            reasons = [why for job, trained, why in failed if one.covers(job.row, trained)]
        verdict = expect.check(one, runs.suite, rows)
        if verdict.absent:
            pytest.skip(verdict.absent)
        if not verdict.passed:
            raise Disappointed("\n".join([verdict.explanation, *reasons, f"look closer: {runs.command(one)}"]))
        if rows is not None and self.config.getoption("facebench_record"):
            _record(self.config.stash[RECORDED].setdefault(runs.suite.suite, {}), one, rows)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, Disappointed | BenchError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{self.parent.name}: {self.name}"


def _run(runs: Runs, expected: list[Expectation]) -> tuple[pd.DataFrame | None, list[tuple[Job, bool, str]]]:
    """Run the jobs that expectations need and that are not done; result rows, and jobs that failed with the reason."""
    import torch

    from bench import jobs, results, runner
    from bench.data.cache import locked

    placed = {
        key: [
            d.model_copy(update={"folder": Path(runs.folders[d.name])} if d.name in runs.folders else {})
            for d in section
        ]
        for key, section in (("data", runs.suite.data), ("training", runs.suite.training))
    }
    placed["data"] = [d for d in placed["data"] if not d.absent]
    changes: dict[str, Any] = placed | {"expect": [], "smoke": None}
    with locked(runs.root / runs.suite.suite / "pytest"):  # of several processes of pytest-xdist the first one works
        made = jobs.plan(runs.suite.model_copy(update=changes), runs.root)
        wanted = [j for j in made.scores if any(e.covers(j.row, bool(made.completion(j).needs)) for e in expected)]
        made.jobs = _with_needs(made, wanted)
        threads = torch.get_num_threads()
        try:
            outcome = runner.run(made, runner.Options(workers=runs.workers))
        finally:
            torch.set_num_threads(threads)
    done = [job for job in wanted if made.done(job)]
    failed = [
        (job, bool(made.completion(job).needs), _reason(made, job, outcome)) for job in wanted if not made.done(job)
    ]
    return (results.rows(made, done) if done else None), failed


def _with_needs(made: Plan, wanted: list[Job]) -> list[Job]:
    """The jobs and all that they stand on, in the plan's order."""
    ids = {job.id for job in wanted}
    for job in reversed(made.jobs):
        if job.id in ids:
            ids.update(job.needs)
    return [job for job in made.jobs if job.id in ids]


def _reason(made: Plan, job: Job, outcome: Any) -> str:
    """Why a job has no result: its own error, or that of a job it stands on."""
    while job.id not in outcome.failed:
        job = next(made.job(need) for need in job.needs if need in outcome.failed or need in outcome.skipped)
    return f"{job.label} failed: {outcome.failed[job.id]}"


def _record(lines: dict[str, str], one: Expectation, rows: pd.DataFrame) -> None:
    """Add the measured values of both sides of an expectation."""
    from dataclasses import replace

    from bench import expect

    shots = f"{one.shots} shots" if one.shots else None
    for title, side in one.sides:
        where = ", ".join(filter(None, [side.condition, side.dataset, shots]))
        found = expect.value(replace(side, left=title), rows)
        if found:
            value, half = found
            name = f"{title} {one.quantity}" + (f" [{where}]" if where else "")
            lines[name] = f"{value:.6g} ± {SPREAD:.0%}" if not half else f"{value:.6g} ± {half:.3g}"


def _read(path: Path) -> Recorded:
    from bench.yamlfile import read_yaml

    try:
        found = read_yaml(path)
    except BenchError as error:
        raise pytest.Collector.CollectError(str(error)) from None
    lines = found.values() if isinstance(found, dict) else [None]
    if not all(isinstance(part, dict) and all(isinstance(v, str) for v in part.values()) for part in lines):
        raise pytest.Collector.CollectError(f"{path} holds no recorded values: delete it and record again")
    return found


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    target, recorded = config.getoption("facebench_record"), config.stash[RECORDED]
    if not target or not recorded:
        return
    import yaml

    from bench.store import write_text

    path = config.invocation_params.dir / target
    kept = _read(path) if path.exists() else {}
    merged = kept | {suite: kept.get(suite, {}) | lines for suite, lines in recorded.items()}
    text = yaml.safe_dump(merged, allow_unicode=True, sort_keys=False, width=1000)
    write_text(path, HEADER + text)
    count = sum(map(len, recorded.values()))
    terminalreporter.write_line(f"facebench: {count} measured values are recorded in {target}")
