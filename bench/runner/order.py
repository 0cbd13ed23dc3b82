"""Which job first: the order in which a run of several workers ends soonest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from bench.jobs import Job


def longest_first(jobs: Sequence[Job]) -> list[Job]:
    """Trainings before all else, and of these the ones first that begin the longest chain of trainings.

    A training that starts last leaves the other workers without work while it goes on. `jobs` stand in an order in
    which each can run. A training is taken to last as long as it has images to see, steps times batch: what one image
    costs, nobody knows before it is tried.
    """
    chain: defaultdict[str, int] = defaultdict(int)  # the longest that waits for a job, and its own length
    for job in reversed(jobs):
        if job.kind == "train":
            chain[job.id] += job.identity["steps"] * job.identity["batch"]
        for need in job.needs:
            chain[need] = max(chain[need], chain[job.id])
    return sorted(jobs, key=lambda job: (job.kind != "train", -chain[job.id] if job.kind == "train" else 0))
