"""What one method costs in one setting, measured in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from bench import progress
from bench.device import cores
from bench.errors import BenchError
from bench.sources import Source

Precision = Literal["fp32", "tf32", "bf16", "fp16"]
KINDS = ("convolution", "matrix", "attention", "fft", "fir")  # of multiply-accumulates
HOLES = "freeform/40-50"
MEASURED = ("latency", "latency p95", "latency spread", "calls", "throughput", "memory")


@dataclass(frozen=True)
class Setting:
    """One row of a cost table."""

    method: str
    preset: str = "paper"
    variant: str | None = None
    size: int = 256
    batch: int = 1
    device: str = "cpu"
    precision: Precision = "fp32"
    compiled: bool = False
    threads: int = field(default_factory=cores)  # on the CPU
    training: bool = False  # also a training step
    features: Source = "embedded"  # network behind training losses
    seconds: float = 1.0  # of a round; 0: count only, measure no time and no memory

    @property
    def label(self) -> str:
        """For people."""
        name = f"{self.method} ({self.variant or self.preset})"
        mode = "compiled" if self.compiled else "eager"
        return f"{name}, {self.size} px, batch {self.batch}, {self.precision}, {mode}, {self.device}"


def measure(setting: Setting) -> dict[str, Any]:
    """Measure in a fresh process, so that peaks of memory are its own and a crash harms nothing else.

    Raises BenchError that says why there is no result.
    """
    pinned = {"OMP_NUM_THREADS": str(setting.threads), "OMP_PROC_BIND": "true"}
    before = {name: os.environ.get(name) for name in pinned}
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, asdict(setting)))
    os.environ.update(pinned)  # OpenMP reads it when the process starts
    try:
        process.start()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    sender.close()
    try:
        row, error = receiver.recv()
    except EOFError:
        process.join()
        reason = "; the memory may be too small" if process.exitcode == -signal.SIGKILL else ""
        raise BenchError(f"{setting.label}: its process ended with code {process.exitcode}{reason}") from None
    process.join()
    if error:
        raise BenchError(f"{setting.label}: {error}")
    return row


def _child(sender: Any, setting: Mapping[str, Any]) -> None:
    progress.remote = lambda *_: None  # the parent has said what there is to say
    try:
        sender.send((_measure(Setting(**setting)), None))
    except (Exception, SystemExit) as error:  # whatever a method raises is told to the parent
        sender.send((None, f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"))


def _measure(setting: Setting) -> dict[str, Any]:
    import torch
    from torch import Tensor

    from bench import contract
    from bench.allocator import keeping
    from bench.batch import Batch, Noise
    from bench.completion import checked
    from bench.nn.compiled import compiled
    from bench.profile.counting import VERSION, Operations, count_operations, count_parameters
    from bench.profile.thop import count_by_thop
    from bench.profile.timing import held, peak_of, timed
    from bench.train import lay_out

    torch.set_num_threads(setting.threads)
    torch.manual_seed(0)
    device = torch.device(setting.device)
    _set_precision(setting.precision)
    method = create(setting.method, setting.preset, setting.variant).to(device).eval()
    if device.type == "cuda":
        lay_out(method)  # as in training
    contract.written(method, "complete", "batch", "noise")
    guides = (*method.card.needs, *method.config.guided_by())
    several, single = (example(count, setting.size, guides) for count in (setting.batch, 1))
    networks = method.networks()

    def complete(given: Batch) -> object:
        return method.complete(given, Noise.shared(0, setting.batch, device))

    row = asdict(setting) | environment(device) | {"version": VERSION}
    row |= {"name": method.card.name, "parameters": sum(count_parameters(network) for network in networks.values())}
    counted: dict[str, Operations] = {}
    first: list[Tensor] = []

    def once() -> None:
        first.append(method.complete(single.given(device), Noise([0], device)))

    rule = count_by_thop(lambda: counted.update(count_operations(once, networks)), method)  # both in one completion
    checked(first.pop(), single, setting.method)
    macs = counted.pop("")
    row |= {"macs": macs.total} | {f"macs {kind}": getattr(macs, kind) for kind in KINDS}
    for name, network in networks.items():
        part = counted.get(name)
        row |= {
            f"macs of {name}": part and part.total,
            f"fir of {name}": part and part.fir,
            f"parameters of {name}": count_parameters(network),
            f"calls of {name}": part and part.calls,
        }
    row |= {"parameters thop": rule[0], "macs thop": rule[1]}
    if next(method.parameters(), None) is None and not networks:
        row["macs"] = None  # a classical fill: no network to count
    if not setting.seconds:
        return row | dict.fromkeys(MEASURED)
    if setting.compiled:
        for network in networks.values():
            compiled(network)
    base = held(device, _kept(method))
    with torch.inference_mode(), autocast(setting.precision, device):
        with keeping():
            timing = timed(complete, device, setting.seconds, given=lambda: several.given(device))
        memory = peak_of(lambda: complete(several.given(device)), device) - base
    row |= {
        "latency": timing.median,
        "latency p95": timing.p95,
        "latency spread": timing.spread,
        "calls": timing.calls,
        "throughput": setting.batch / timing.median,
        "memory": memory,
    }
    return row | (_training(setting, method, device) if setting.training and method.trainable() else {})


def _kept(method: Any) -> Iterator[Any]:
    """The tensors of a method: its weights, and what its modules remember, such as weights that are normalised."""
    from torch import Tensor

    yield from method.parameters()
    yield from method.buffers()
    for module in method.modules():
        yield from (value for value in vars(module).values() if isinstance(value, Tensor))


def create(slug: str, preset: str, variant: str | None = None, wanted: Mapping[str, str] = MappingProxyType({})) -> Any:
    """The method in a preset, with its priors, in that one too unless another is `wanted`; with random weights."""
    from bench import contract, registry

    loaded = registry.get(slug).load()
    method = contract.made(loaded, loaded.configure(preset, variant))
    wanted = {**method.prior_presets.get(preset, {}), **wanted}
    if method.card.requires:
        method.attach({prior: create(prior, wanted.get(prior, preset), None, wanted) for prior in method.card.requires})
    return method


def example(count: int, size: int, guides: tuple[str, ...] = ()) -> Any:
    """A batch of synthetic faces with free-form holes of 40-50 %, and these guides."""
    import torch

    import masks
    from bench.batch import Batch
    from bench.data import dataset
    from bench.data.degradation import ITSELF
    from bench.data.guides import Asked, makers
    from bench.data.synthfaces import IMAGES_PER_IDENTITY

    holes = np.stack([masks.draw(HOLES, size, 0, i) for i in range(count)])
    with tempfile.TemporaryDirectory() as folder:
        faces, chosen = dataset.prepare_synthfaces(count + IMAGES_PER_IDENTITY, size, 0, Path(folder)), range(count)
        asked = Asked(faces, "profile", range(len(faces)), source=ITSELF)
        return Batch(
            image=faces.floats(chosen),
            mask=torch.from_numpy(holes).float()[:, None],
            guides={name: make(chosen) for name, make in makers(guides, asked).items()},
            ids=tuple(faces.ids[i] for i in chosen),
            condition=HOLES,
        )


def _training(setting: Setting, method: Any, device: Any) -> dict[str, Any]:
    """Time and memory of a step of the first stage in the training loop, and the share of it that waits for data."""
    import time

    from bench import contract
    from bench.data import dataset
    from bench.profile.timing import held, peak_of, timed
    from bench.train import THREADS, Budget, Loader, Run

    if setting.precision == "fp16":
        return {}  # the loop trains in fp32 and bf16
    precision = "bf16-mixed" if setting.precision == "bf16" else "32-true"
    budget = Budget(1, setting.batch, 0, precision=precision, device=setting.device, compiled=setting.compiled)
    with tempfile.TemporaryDirectory() as folder:
        base = held(device, _kept(method))
        run = Run(method, contract.stages(method, setting.features), Path(folder), budget)
        data = dataset.prepare_synthfaces(4 * setting.batch, setting.size, 0, Path(folder))
        batches = Loader(data, range(len(data)), run.stages[0], budget).batches(
            0, 10**9, THREADS[run.device.type], pinned=run.on_gpu
        )
        waits: list[float] = []

        def step(_: None) -> None:
            start = time.perf_counter()
            batch = next(batches)
            waits.append(time.perf_counter() - start)
            run.iterate(batch)

        timing = timed(step, device, setting.seconds)
        memory = peak_of(lambda: step(None), device) - base
        batches.close()
    return {
        "step": timing.median,
        "step p95": timing.p95,
        "step spread": timing.spread,
        "step memory": memory,
        "step wait": float(np.median(waits[-timing.calls :])) / timing.median,
    }


def _set_precision(precision: Precision) -> None:
    import torch

    torch.backends.cuda.matmul.allow_tf32 = precision != "fp32"
    torch.backends.cudnn.allow_tf32 = precision != "fp32"


def autocast(precision: Precision, device: Any) -> AbstractContextManager[Any]:
    """The context of a precision: autocast for bf16 and fp16."""
    import torch

    kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
    return torch.autocast(device.type, dtype=kinds[precision]) if precision in kinds else nullcontext()


def environment(device: Any) -> dict[str, Any]:
    """What the figures depend on beside the setting."""
    import torch

    from bench.provenance import processor

    gpu = device.type == "cuda"
    return {
        "processor": torch.cuda.get_device_name(device) if gpu else processor(),
        "driver": _driver() if gpu else None,
        "torch": torch.__version__,
        "cuda": torch.version.cuda if gpu else None,
        "cudnn": torch.backends.cudnn.version() if gpu else None,
    }


def _driver() -> str | None:
    """The version of NVIDIA's driver."""
    import shutil
    import subprocess

    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    asked = subprocess.run(
        [tool, "--query-gpu=driver_version", "--format=csv,noheader"], capture_output=True, text=True
    )
    return asked.stdout.split("\n")[0].strip() or None
