"""The runner on a Ray cluster; every test starts its own, on this machine."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import runner
from bench.errors import BenchError
from bench.suite import Resources
from tests.bench import works

RAY = runner.Options(device="cpu", on="ray")


def test_without_ray_there_is_one_message(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['ray'] = None\n"
        f"sys.argv = ['facebench', 'run', 'quickstart', '--smoke', '--on', 'ray', '--out', {str(tmp_path)!r}]\n"
        "from bench.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "pip install face-inpaint-bench[ray]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_task_has_the_threads_that_it_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the worker did before: Ray gives it to tasks that ask for something else."""
    ray = pytest.importorskip("ray")
    import torch

    from bench.runner import cluster

    made, seen, before = works.small_plan(tmp_path), [], torch.get_num_threads()
    task = cluster.Task("", tmp_path, tmp_path, runner.Options(), works.touch)
    monkeypatch.setattr(cluster, "_plan", lambda *_: made)
    monkeypatch.setattr(cluster, "attempt", lambda *_, **__: seen.append(torch.get_num_threads()))
    monkeypatch.setattr(cluster.progress, "remote", None)
    for on_gpu, cpus in ((True, 3.0), (True, 0.5), (False, 3.0)):
        context = SimpleNamespace(get_assigned_resources=lambda cpus=cpus: {"CPU": cpus}, get_node_id=lambda: "here")
        monkeypatch.setattr(ray, "get_runtime_context", lambda context=context: context)
        monkeypatch.setattr(runner.Options, "on_gpu", property(lambda _, on_gpu=on_gpu: on_gpu))
        assert task.run(made.jobs[0].id)[1] == "here"
    torch.set_num_threads(before)
    assert seen == [3, 1, 1]


def test_a_cluster_that_asks_for_a_token_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    from bench.runner.cluster import Cluster

    def refuse(**_: object) -> None:
        raise ray.exceptions.AuthenticationError("no token was found")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    pool = Cluster(works.small_plan(tmp_path), runner.Options(on="ray", address="10.0.0.1:6379"), works.touch)
    with pytest.raises(
        BenchError, match=r"no cluster at 10\.0\.0\.1:6379: no token.*RAY_AUTH_MODE=token, and its token"
    ):
        pool.__enter__()


@pytest.mark.parametrize("address", [None, "10.0.0.1:6379"])
def test_a_request_that_this_machine_alone_can_never_meet_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cluster at an address may get another machine: there the job waits. Memory is told in GB, as it is asked."""
    ray = pytest.importorskip("ray")
    from bench.runner.cluster import Cluster

    joined: list[str | None] = []

    def init(address: str, **_: object) -> None:
        joined.append(address)
        if address == "auto":
            raise ConnectionError("no cluster is running here")

    machine = {"NodeID": "n", "Alive": True, "Resources": {"CPU": 2, "memory": 4e9}}
    here = SimpleNamespace(get_node_id=lambda: "n")
    for name, value in {
        "init": init, "is_initialized": lambda: False, "nodes": lambda: [machine],
        "shutdown": lambda: joined.append(None),
        "get_runtime_context": lambda: here, "remote": lambda **_: lambda run: run,
    }.items():  # fmt: skip
        monkeypatch.setattr(ray, name, value)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    made = works.small_plan(tmp_path)
    made.jobs = [replace(job, resources=Resources(cpus=64, gpus=8, memory=9999)) for job in made.jobs]
    pool = Cluster(made, runner.Options(on="ray", address=address), works.touch)
    asked = rf"64 CPUs, 8 GPUs, 9999 GB of memory \(`resources` of {re.escape(made.jobs[0].row['title'])}\)"
    if address:
        assert pool.__enter__() is pool and pool.lacks(made.jobs[0])
        assert re.fullmatch(asked, pool.asked_by(made.jobs[0])) and joined == [address]
        return
    with pytest.raises(BenchError, match=f"this machine alone is the cluster, and it has no {asked}: ask for less"):
        pool.__enter__()
    assert joined == ["auto", "local", None]


@pytest.fixture
def cluster():
    """A cluster with as many machines as the test adds."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.shutdown()


def results(made) -> dict[str, bytes]:
    files = [f"{job.id}/{name}" for job in made.jobs for name in ("completed.zip", "damage.parquet")]
    return {path: (made.root / "jobs" / path).read_bytes() for path in files}


def test_results_equal_those_of_one_process_and_failures_are_recorded(cluster, tmp_path: Path) -> None:
    here, there = works.small_plan(tmp_path / "here", 3), works.small_plan(tmp_path / "there", 3)
    assert runner.run(here, runner.Options(device="cpu", workers=0)).done == 3
    assert runner.run(there, RAY).done == 3
    assert results(here) == results(there)
    failing = works.small_plan(tmp_path / "failing", 4, retries=0)
    outcome = runner.run(failing, RAY, works.odd)
    assert outcome.done == 2
    assert set(outcome.failed.values()) == {"ConnectionError: the first time goes wrong"}
    assert "Traceback" in failing.error_file(failing.jobs[1]).read_text()


def test_jobs_go_where_their_data_is_and_ask_for_what_they_need(cluster, tmp_path: Path) -> None:
    from bench.runner.cluster import Cluster
    from bench.suite import Resources

    other = cluster.add_node(num_cpus=2, num_gpus=1, memory=10**10)
    cluster.wait_for_nodes()
    changes = {"methods": ["aot"], "size": 64, "train": {"features": "embedded"}}
    made = works.small_plan(tmp_path, 2, resources={"memory": 4}, **changes)
    train, first, second = made.jobs
    assert train.resources == Resources(memory=4)
    with Cluster(made, runner.Options(on="ray"), works.touch) as pool:
        home = next(iter(pool.homes["synthfaces"]))
        assert home != other.node_id
        assert pool.needed(train) == {"CPU": 1, "GPU": 1, "memory": 4e9}
        assert pool.nearest(train, pool.needed(train)) == other.node_id  # the machine with the data has no GPU
        assert pool.nearest(train, {"CPU": 8.0}) == ""
        pool.options = RAY
        assert pool.needed(train) == {"CPU": 1, "memory": 4e9}
        small = {"CPU": 1.0}
        assert pool.nearest(train, small) == home
        pool.trained[train.id] = other.node_id
        assert pool.nearest(first, small) == other.node_id
        pool.tasks, pool.asked = {1: first, 2: second}, {first.id: other.node_id, second.id: other.node_id}
        assert pool.nearest(second, small) == home  # the other one is full
        pool.tasks = {}


@pytest.mark.slow
def test_a_machine_that_is_lost_loses_nothing(cluster, tmp_path: Path) -> None:
    """Three machines, 24 jobs, one machine killed in the middle: all finish, with the results of one process."""
    here, there = works.small_plan(tmp_path / "here", 24), works.small_plan(tmp_path / "there", 24)
    assert runner.run(here, runner.Options(device="cpu", workers=0)).done == 24
    lost = [cluster.add_node(num_cpus=2), cluster.add_node(num_cpus=2)][-1]
    cluster.wait_for_nodes()
    hit = []

    def kill() -> None:
        while not hit or sum(map(there.done, there.jobs)) < works.EARLY:
            time.sleep(0.05)
            waiting = [job for job in there.jobs[works.EARLY :] if not there.done(job)]
            notes = [(job, there.job_folder(job.id) / "machine") for job in waiting]
            hit[:] = [job for job, note in notes if note.exists() and note.read_text() == lost.node_id]
        workers = [works.process(there, job) for job in hit]
        cluster.remove_node(lost, allow_graceful=False)
        while any(Path(f"/proc/{worker}").exists() for worker in workers):
            time.sleep(0.05)
        (there.root / "killed").touch()

    killer = threading.Thread(target=kill)
    killer.start()
    outcome = runner.run(there, RAY, works.until_killed)
    killer.join()
    assert hit  # the lost machine was at work
    assert (outcome.done, outcome.failed) == (24, {})
    assert results(here) == results(there)
    assert all((there.job_folder(job.id) / "log.txt").read_text().count(" begins") == 2 for job in hit)


@pytest.mark.slow
def test_scheduling_overhead_is_under_five_percent(cluster, tmp_path: Path) -> None:
    """Four warm workers, 24 jobs of two seconds: ideally 12 s."""
    cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    made = works.small_plan(tmp_path, 64)
    everything = made.jobs
    for warm in range(24, 64, 8):  # until every worker has started
        made.jobs = everything[warm : warm + 8]
        runner.run(made, RAY, works.sleep)
        if len({works.process(made, job) for job in made.jobs}) == 4:
            break
    made.jobs = everything[:24]
    assert runner.run(made, RAY, works.sleep).done == 24
    found = works.overhead(made, 4)
    print(f"overhead {found:.2%}")
    assert 0 <= found < 0.05


@pytest.mark.parametrize("asked", [{"gpus": 1.5}, {"cpus": 0}, {"memory": -1}, {"disk": 1}])
def test_a_request_that_no_cluster_understands_is_an_error_of_the_suite(tmp_path: Path, asked: dict) -> None:
    with pytest.raises(BenchError, match=f"resources.*{next(iter(asked))}"):
        works.small_plan(tmp_path, resources=asked)
