"""Finished jobs in an object store, through fsspec: s3://, gs://, file://, memory:// and all others that it knows.

Every machine works in a local folder, the mirror. Before a job, the folders of the jobs that it stands on are copied
down; after it, its own folder is copied up, `result.json` last. There are no locks: two runners on one store may do
the same work twice, with equal results.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.jobs import Job, Plan
from bench.store import atomic_write, digest

LARGE = ("weights.safetensors",)  # what tables and reports do not need
LOCAL = ("checkpoint.pt", ".*")  # what only the machine at work needs
LAST = "result.json"  # says that the others are there


def mirror(url: str) -> Path:
    """The local folder that stands for an object store on this machine."""
    import pooch

    return Path(pooch.os_cache("facebench")) / "remote" / digest(url)[:16]


@dataclass(frozen=True)
class Remote:
    """An object store `url` and its mirror `root`."""

    url: str
    root: Path

    @cached_property
    def _place(self) -> tuple[Any, str]:
        """The file system and the path in it."""
        try:
            from fsspec.core import url_to_fs

            return url_to_fs(self.url)
        except (ImportError, ValueError) as error:  # fsspec names the package that is missing for a protocol
            raise BenchError(
                f"--out {self.url}: {error}; object stores need `pip install face-inpaint-bench[ray]` and the package "
                "of the store, such as s3fs or gcsfs"
            ) from error

    def pull(self, folder: str, leave: Iterable[str] = ()) -> None:
        """Copy the files of a folder down that are not there yet, `result.json` last."""
        files, base = self._place
        source = f"{base}/{folder}"
        try:
            found = files.find(source) if files.exists(source) else []
            for path in sorted(found, key=lambda path: path.endswith(f"/{LAST}")):
                target = self.root / folder / path[path.index(folder) + len(folder) + 1 :]
                if target.name not in leave and not target.exists():
                    with atomic_write(target) as handle:
                        handle.write(files.cat_file(path))
        except OSError as error:
            raise BenchError(f"cannot read {self.url}/{folder}: {error}; run the same command again") from error

    def push(self, folder: str) -> None:
        """Copy a folder up, `result.json` last."""
        files, base = self._place
        paths = [path for path in sorted((self.root / folder).rglob("*")) if path.is_file()]
        kept = [path for path in paths if not any(path.match(pattern) for pattern in LOCAL)]
        try:
            for path in sorted(kept, key=lambda path: path.name == LAST):
                target = f"{base}/{path.relative_to(self.root).as_posix()}"
                files.makedirs(target.rpartition("/")[0], exist_ok=True)
                files.put_file(str(path), target)
        except OSError as error:
            raise BenchError(f"cannot write {self.url}/{folder}: {error}; run the same command again") from error

    def pull_finished(self, made: Plan) -> None:
        """Copy down what tables and reports need of all jobs of a plan that are done somewhere."""
        files, base = self._place
        finished = {Path(path).parent.name for path in files.glob(f"{base}/jobs/*/{LAST}")}
        for job in made.jobs:
            if job.id in finished and not made.done(job):
                self.pull_job(job.id)

    def pull_needs(self, made: Plan, job: Job) -> None:
        """Copy down the jobs that a job stands on, and the job itself where it is done."""
        for need in job.needs:
            self.pull_needs(made, made.job(need))
        self.pull(f"jobs/{job.id}", ("error.txt", "log.txt"))

    def pull_job(self, job_id: str) -> None:
        """Copy down what tables and reports need of a job."""
        self.pull(f"jobs/{job_id}", LARGE)

    def push_job(self, job_id: str) -> None:
        """Copy a job's folder up."""
        self.push(f"jobs/{job_id}")
