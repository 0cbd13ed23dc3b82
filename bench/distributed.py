"""Several processes that train one job together, each on its own device.

torchrun starts them, on one machine or on several that share the folder of runs: `facebench run --devices N` calls it.
All run the same command. The first process leads: it goes through the jobs, measures and writes; before it trains a
job, it announces it. The others wait for announcements and join. When one process ends with an error, torchrun ends
all; the same command goes on from the last checkpoint.

How many devices train a job is no part of its identity, as little as which device does: `bench.train` says what is
equal up to rounding and what is not.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from bench.errors import BenchError

PATIENCE = timedelta(days=7)  # the others wait while the first one measures
KEY = "facebench/job"


@dataclass(frozen=True)
class World:
    """The processes that train together: which one this is, how many there are, how many of them on this machine."""

    rank: int = 0
    size: int = 1
    here: int = 1


def world() -> World:
    """As torchrun's environment says; one process alone without it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return World()
    return World(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")))


def place(nodes: int) -> list[str]:
    """Which of the nodes this one is, as torchrun takes it: from MASTER_ADDR (and MASTER_PORT) in the environment, and
    NODE_RANK or what Slurm calls it. BenchError where they are not there."""
    if nodes == 1 or "TORCHELASTIC_RUN_ID" in os.environ:
        return ["--standalone"]
    node = os.environ.get("NODE_RANK", os.environ.get("SLURM_NODEID"))
    if node is None or "MASTER_ADDR" not in os.environ:
        raise BenchError(
            "--num-nodes: run the same command on every node, with MASTER_ADDR (the first node's address) and "
            "NODE_RANK (0, 1, ...) in the environment; or start it by torchrun"
        )
    address, port = os.environ["MASTER_ADDR"], os.environ.get("MASTER_PORT", "29500")
    return [f"--node-rank={node}", f"--master-addr={address}", f"--master-port={port}"]


def start(devices: int, nodes: int) -> None:
    """Go on under torchrun, one process a device, unless this is one of them already. Does not return then."""
    if devices * nodes == 1 or "TORCHELASTIC_RUN_ID" in os.environ:
        return
    module = [sys.executable, "-m", "torch.distributed.run", f"--nnodes={nodes}", f"--nproc-per-node={devices}"]
    os.execv(sys.executable, [*module, *place(nodes), "-m", "bench", *sys.argv[1:]])


@cache
def join() -> Any:
    """Meet the other processes, once: makes the process group that Fabric uses. Returns the store that all can read."""
    import torch
    from torch import distributed

    store, rank, size = next(distributed.rendezvous("env://"))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    return store


def leave() -> None:
    """Part from the other processes, when all work is done.

    Gloo's threads let go of a process' last tensors a moment after their sum is there: a process that ends in that
    moment, with its group in place, aborts.
    """
    if world().size > 1:
        from torch import distributed

        gc.collect()  # networks that trained together hold the group, and its threads with it
        distributed.destroy_process_group()


_announced = 0


def announce(job: str) -> None:
    """Tell the other processes which job comes next; "" is the end."""
    global _announced
    if world().size > 1:
        join().set(f"{KEY}/{_announced}", job)
        _announced += 1


def announced() -> Iterator[str]:
    """The jobs that the first process trains, one after another."""
    number = 0
    while True:
        join().wait([f"{KEY}/{number}"], PATIENCE)
        job = join().get(f"{KEY}/{number}").decode()
        if not job:
            return
        yield job
        number += 1
