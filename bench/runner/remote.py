"""Finished jobs in an object store, through fsspec: s3://, gs://, file://, memory:// and all others that it knows.

Every machine works in a local folder, the mirror. Before a job, the folders of the jobs that it stands on are copied
down; after it, its own folder is copied up, `result.json` last. There are no locks: two runners on one store may do
the same work twice, with equal results.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from bench.errors import BenchError
from bench.jobs import Job, Plan
from bench.store import atomic_write, digest

LARGE = ("weights.safetensors",)  # what tables and reports do not need
LOCAL = ("checkpoint.pt", ".*")  # what only the machine at work needs
RESULT, ERROR = "result.json", "error.txt"  # the first one says that all other files are there


def mirror(url: str) -> Path:
    """The local folder that stands for an object store on this machine."""
    import pooch

    return Path(pooch.os_cache("facebench")) / "remote" / digest(url)[:16]


@dataclass(frozen=True)
class Remote:
    """An object store `url` and its mirror `root`. BenchError tells what the store complained about."""

    url: str
    root: Path

    @cached_property
    def place(self) -> tuple[Any, str]:
        """The file system and the path in it."""
        try:
            from fsspec.core import url_to_fs

            files, base = url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise BenchError(
                f"--out {self.url}: {error}; object stores need `pip install face-inpaint-bench[ray]` and the package "
                "of the store, such as s3fs or gcsfs"
            ) from error
        return files, base.rstrip("/")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BenchError:
            raise
        except Exception as error:  # every store has exceptions of its own
            what = " ".join(str(error).split())
            raise BenchError(f"the object store {self.url}: {what}; run the same command again to go on") from error

    def pull(self, folder: str, leave: tuple[str, ...] = ()) -> None:
        """Copy the files of a folder down that are not there yet, `result.json` last."""
        files, base = self.place
        with self._told():
            found = files.find(f"{base}/{folder}") if files.exists(f"{base}/{folder}") else []
            names = [PurePosixPath(path.rpartition(f"/{folder}/")[2]) for path in found]
            for name in sorted(names, key=lambda name: (name.name == RESULT, name)):
                target = self.root / folder / name
                if ".." not in name.parts and name.name not in leave and not target.exists():
                    with atomic_write(target) as handle:
                        handle.write(files.cat_file(f"{base}/{folder}/{name}"))

    def push(self, folder: str) -> None:
        """Copy a folder up, `result.json` last."""
        files, base = self.place
        paths = [path for path in sorted((self.root / folder).rglob("*")) if path.is_file()]
        kept = [path for path in paths if not any(path.match(pattern) for pattern in LOCAL)]
        with self._told():
            for path in sorted(kept, key=lambda path: path.name == RESULT):
                target = f"{base}/{path.relative_to(self.root).as_posix()}"
                files.makedirs(target.rpartition("/")[0], exist_ok=True)
                files.put_file(str(path), target)

    def pull_job(self, job_id: str) -> None:
        """Copy down what tables and reports need of a job."""
        self.pull(f"jobs/{job_id}", LARGE)

    def pull_needs(self, made: Plan, job: Job) -> None:
        """Copy down the jobs that a job stands on, and the job itself where it is done."""
        for need in job.needs:
            if job.kind == "score":  # pictures, and not what made them
                self.pull(f"jobs/{need}")
            else:
                self.pull_needs(made, made.job(need))
        self.pull(f"jobs/{job.id}", (ERROR, "log.txt"))

    def push_job(self, job_id: str) -> None:
        """Copy a job's folder up; a former failure there is forgotten with the one here."""
        files, base = self.place
        self.push(f"jobs/{job_id}")
        error = f"jobs/{job_id}/{ERROR}"
        with self._told():
            if not (self.root / error).exists() and files.exists(f"{base}/{error}"):
                files.rm_file(f"{base}/{error}")

    def meet(self, made: Plan) -> None:
        """Copy down what is done somewhere, and up what is done here only."""
        files, base = self.place
        with self._told():
            finished = {PurePosixPath(path).parent.name for path in files.glob(f"{base}/jobs/*/{RESULT}")}
        for job in made.jobs:
            if job.id in finished and not made.done(job):
                self.pull_job(job.id)
            elif made.done(job) and job.id not in finished:
                self.push_job(job.id)
