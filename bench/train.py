"""The training loop over the stages of a method: devices, precision, EMA, logging, checkpoints and exact resume.

Everything random in iteration k depends on (seed, stage, k) alone, so a run that was interrupted and goes on
from a checkpoint gives the same weights as an undisturbed one.

Several processes may train together, one a device (`bench.distributed`). Each takes its slice of every batch, and of
the random numbers that belong to it; gradients and losses are averaged. What looks at several images at once, as batch
normalisation does, sees those of all processes (`bench.nn.across`). So the losses are those of one process, up to
rounding.
"""

from __future__ import annotations

import csv
import io
import os
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

import masks
from bench import allocator, contract, distributed, isolation, weights
from bench.batch import Batch, Noise
from bench.data import guides
from bench.data.dataset import ImageData, floats
from bench.data.guides import degraded
from bench.device import checked
from bench.errors import BenchError
from bench.method import Method, Source, Stage
from bench.nn import across
from bench.nn.compiled import compiled
from bench.store import atomic_write, derive_seed, write_error
from bench.trackers import ending, loggers

if TYPE_CHECKING:
    from lightning_fabric import Fabric


# tensor cores read channels last; on a CPU, a step of aot, grig, lama, comodgan and exegan (tiny) takes 0.82 to 0.89 of
# the time that other orders take, if images and filters both have it
LAYOUT = torch.channels_last
THREADS = {"cpu": 1, "cuda": 4}  # that make batches: networks on a CPU need its cores themselves
WAITS = {"cpu": 1, "cuda": 10}  # iterations until losses are read: a GPU that is waited for each time idles meanwhile


@dataclass(frozen=True)
class Budget:
    """How long to train and on what."""

    steps: int
    batch: int
    seed: int
    features: Source = "official"
    checkpoint: int = 200
    trackers: tuple[str, ...] = ()  # names of `bench.trackers`
    precision: str = "auto"
    device: str = "auto"
    compiled: bool = False  # torch.compile for the networks of the method and of the stage


def fabric_for(device: str, precision: str, trackers: Sequence[Any] = ()) -> Fabric:
    """Lightning Fabric on that device, joined to the other processes of `bench.distributed` where there are any.

    `auto` means bf16 where the GPU has it, else fp32. `trackers`: loggers, see `bench.trackers`.
    """
    from lightning_fabric import Fabric  # slow to import: only what trains pays for it
    from lightning_fabric.strategies import DDPStrategy

    accelerator = checked(device)
    if precision == "auto":
        precision = "bf16-mixed" if accelerator == "cuda" and torch.cuda.is_bf16_supported() else "32-true"
    world = distributed.world()
    if world.size == 1:
        return Fabric(accelerator=accelerator, devices=1, precision=precision, loggers=list(trackers))  # type: ignore[arg-type]
    distributed.join()
    fabric = Fabric(
        accelerator=accelerator,
        devices=world.here,
        num_nodes=world.size // world.here,
        strategy=DDPStrategy(timeout=distributed.PATIENCE),
        precision=precision,  # type: ignore[arg-type]
        loggers=list(trackers),
    )
    fabric.launch()
    return fabric


def fuse(optimiser: Optimizer) -> None:
    """Let Adam and its relatives update all parameters in one kernel."""
    if isinstance(optimiser, Adam):
        for group in optimiser.param_groups:
            group.update(fused=True, foreach=False)


def lay_out(network: nn.Module) -> None:
    """Put the filters of a network into the order in which convolutions read them.

    `Module.to(memory_format=...)` refuses weights of five dimensions, as StyleGAN2 has them.
    """
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.dim() == 4:
            tensor.data = tensor.data.contiguous(memory_format=LAYOUT)


def laid_out(gradient: Tensor, parameter: Tensor) -> Tensor:
    """The gradient in the parameter's order in memory, which fused optimisers want."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


class EMA:
    """Exponential moving average of parameters: average = decay * average + (1 - decay) * value."""

    def __init__(self, parameters: list[Tensor], decay: float):
        self.parameters, self.decay = parameters, decay
        self.average = [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def update(self) -> None:
        torch._foreach_lerp_(self.average, self.parameters, 1 - self.decay)

    @torch.no_grad()
    def store(self) -> None:
        """Put the average into the network."""
        for parameter, average in zip(self.parameters, self.average, strict=True):
            parameter.copy_(average)


class Loader:
    """Training batches by iteration number: images, and masks as the stage's paper draws them.

    Images and masks are uint8, as they are stored: `Run` makes floats of them, on its device. Of several `ranks`,
    each loads its slice.
    """

    def __init__(
        self, data: ImageData, indices: Sequence[int], stage: Stage, budget: Budget, rank: int = 0, ranks: int = 1
    ):
        self.data, self.indices, self.stage, self.budget = data, indices, stage, budget
        self.rank, self.count = rank, budget.batch // ranks
        self.epoch = lru_cache(maxsize=4)(self._epoch)
        self.makers = guides.makers(stage.guides, guides.Asked(data, self._user()))

    def _user(self) -> str:
        """Who learns, for messages. Raises BenchError for files that the card is silent about: identities go by it."""
        card = self.stage.method.card
        user = f"{card.slug} ({self.stage.name})"
        for name in self.stage.guides:
            if guides.get(name).companion and not guides.get(name).learned(card):
                raise BenchError(f"{user} learns from {name}: its card must say so under `needs` or `learns`")
        return user

    def _epoch(self, number: int) -> np.ndarray:
        """The order of the images in one pass over the data."""
        rng = np.random.Generator(np.random.PCG64(derive_seed(self.budget.seed, "order", number)))
        return rng.permutation(self.indices)

    def batch(self, step: int) -> Batch:
        """The batch of iteration `step`, or this process's slice of it."""
        size, first = self.data.size, step * self.budget.batch + self.rank * self.count
        positions = range(first, first + self.count)
        chosen = np.array([self.epoch(p // len(self.indices))[p % len(self.indices)] for p in positions])
        seed = derive_seed(self.budget.seed, "masks", self.stage.name)
        recipe = masks.recipe_of(self.stage.masks)[0]
        numbers = [step] if recipe is not None and recipe.per_batch else positions
        holes = np.stack([masks.training(self.stage.masks, size, seed, number) for number in numbers])
        mask = torch.from_numpy(holes)[:, None].expand(self.count, 1, -1, -1).contiguous()
        given = {name: make(chosen) for name, make in self.makers.items()}
        if not self.stage.degradation:
            return Batch(image=self.data.stored(chosen), mask=mask, guides=given)
        seeds = [derive_seed(self.budget.seed, "degradation", self.stage.name, number) for number in positions]
        copies, clean = degraded.pairs(self.data, chosen, self.stage.degradation, seeds)
        return Batch(image=clean, mask=mask, guides=given | {"degraded": copies})

    def batches(self, start: int, stop: int, threads: int = 1, pinned: bool = False) -> Generator[Batch, None, None]:
        """Batches in order; `threads` make the next ones while the networks work, in `pinned` memory for a GPU."""
        ahead = 2 * threads

        def made(step: int) -> Batch:
            batch = self.batch(step)
            return batch.pinned() if pinned else batch

        with ThreadPoolExecutor(max_workers=threads) as pool:
            queue: deque[Future[Batch]] = deque()
            for step in range(start, stop + ahead):
                if step < stop:
                    queue.append(pool.submit(made, step))
                if step >= start + ahead:
                    yield queue.popleft().result()


class Run:
    """The state of a training run, and its checkpoint."""

    def __init__(self, method: Method, stages: list[Stage], folder: Path, budget: Budget):
        self.method, self.stages, self.folder, self.budget = method, stages, folder, budget
        self.fabric = fabric_for(budget.device, budget.precision, loggers(budget.trackers, folder))
        self.device, self.rank, self.ranks = self.fabric.device, self.fabric.global_rank, self.fabric.world_size
        if budget.batch % self.ranks:
            raise BenchError(f"a batch of {budget.batch} images cannot be shared by {self.ranks} devices evenly")
        self.on_gpu = self.device.type == "cuda"
        self.stage = 0
        self.step = 0  # iterations of this stage that are done
        self.remarks: list[str] = []  # of the stages before, for readers of the numbers
        self.writer = ThreadPoolExecutor(max_workers=1)
        self.writing: Future[None] | None = None
        lay_out(method.to(self.device).train())
        if self.ranks > 1:
            for network in (method, *stages):
                across.synchronise(network)
        if budget.compiled:
            for network in method.networks().values():
                compiled(network)
        self.enter(0)

    @property
    def user(self) -> str:
        """Who is at work, for messages."""
        return f"{self.method.card.slug} ({self.stages[self.stage].name})"

    def enter(self, number: int) -> None:
        self.stage, self.step = number, 0
        stage = self.stages[number].to(self.device).train()
        lay_out(stage)
        if self.budget.compiled:
            for network in stage.children():
                compiled(network)
        self.optimisers = contract.optimisers(stage)
        self.stepped: set[str] = set()  # those of them that `update` was called for
        for optimiser in self.optimisers.values():
            fuse(optimiser)
        groups = {name: [p for g in o.param_groups for p in g["params"]] for name, o in self.optimisers.items()}
        self.parameters = groups
        self.emas = {name: EMA(groups[name], decay) for name, decay in stage.ema.items()}

    def state(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "step": self.step,
            "method": self.method.state_dict(),
            "networks": self.stages[self.stage].state_dict(),
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
            "ema": {name: ema.average for name, ema in self.emas.items()},
            "stepped": sorted(self.stepped),
            "remarks": self.remarks,
        }

    def save(self) -> None:
        """Take the checkpoint, which is written while training goes on; a crash in between leaves the former one.

        The first process writes for all. What goes wrong is raised by the next call, or by `saved`.
        """
        if self.rank:
            return
        self.saved()
        buffer = io.BytesIO()  # torch hides why a file could not be written
        torch.save(self.state(), buffer)
        self.writing = self.writer.submit(self._write, buffer)

    def _write(self, checkpoint: io.BytesIO) -> None:
        with atomic_write(self.folder / "checkpoint.pt") as handle:
            handle.write(checkpoint.getbuffer())

    def saved(self) -> None:
        """Wait until the checkpoint is written."""
        if self.writing is not None:
            writing, self.writing = self.writing, None
            writing.result()

    def resume(self) -> bool:
        """Go on from the checkpoint, if there is one that can be read."""
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return False
        try:
            state: Any = weights.read(path)
            self.enter(state["stage"])
            self.step = state["step"]
            self.method.load_state_dict(state["method"])
            self.stages[self.stage].load_state_dict(state["networks"])
            for name, optimiser in self.optimisers.items():
                optimiser.load_state_dict(state["optimisers"][name])
            for name, ema in self.emas.items():
                ema.average = [t.to(self.device) for t in state["ema"][name]]
            self.stepped, self.remarks = set(state.get("stepped", self.optimisers)), list(state.get("remarks", []))
        except (BenchError, RuntimeError, KeyError, TypeError, ValueError, IndexError) as error:
            raise BenchError(f"cannot resume from {path}: {error}; delete this file to train from the start") from error
        return True

    def leave(self) -> None:
        """The end of a stage: its averages become the networks, and optimisers that were never stepped are told."""
        idle = [name for name in self.optimisers if name not in self.stepped]
        if len(idle) == len(self.optimisers):
            raise BenchError(
                f"{self.user}: step() trained nothing: in {self.step} iterations it called update() for none of "
                f'{", ".join(idle)}: call update("{idle[0]}", loss)'
            )
        stage = f"{self.step:,} iterations of its stage {self.stages[self.stage].name}"
        self.remarks += [f"in {stage}, its optimiser {name} was never stepped" for name in idle]
        for ema in self.emas.values():
            ema.store()

    def update(self, name: str, loss: Tensor) -> None:
        """One step of the optimiser `name` on `loss`; no other network receives a gradient."""
        if name not in self.optimisers:
            raise BenchError(f"{self.user}: update({name!r}, ...): optimisers() has {', '.join(self.optimisers)}")
        parameters, optimiser = self.parameters[name], self.optimisers[name]
        with torch.autocast(self.device.type, enabled=False):
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        if self.ranks > 1:
            self.average([gradient for gradient in gradients if gradient is not None])
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = None if gradient is None else laid_out(gradient, parameter)
        optimiser.step()
        self.stepped.add(name)
        optimiser.zero_grad(set_to_none=True)
        if name in self.emas:
            self.emas[name].update()

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over all processes into each of the tensors, by one exchange."""
        if tensors:
            mean: Any = self.fabric.all_reduce(torch.cat([t.flatten() for t in tensors]), reduce_op="mean")
            for tensor, part in zip(tensors, mean.split([t.numel() for t in tensors]), strict=True):
                tensor.copy_(part.view(tensor.shape))

    def iterate(self, batch: Batch) -> dict[str, float]:
        """One iteration on a batch of the `Loader`: augmentation, the stage's step; the losses."""
        return self.advance(batch)()

    def advance(self, batch: Batch) -> Callable[[], dict[str, float]]:
        """One iteration; what is returned gives its losses, and waits for the device until they are there."""
        stage = self.stages[self.stage]
        seed = derive_seed(self.budget.seed, "step", stage.name, self.step)
        isolation.seed(seed)
        noise = Noise.shared(seed, len(batch), self.device, self.rank, self.ranks)
        batch = self.floats(batch.to(self.device))
        with self.fabric.autocast(), across.processes(self.rank, self.ranks):
            losses = stage.step(augmented(batch, stage, noise), self.update, noise)
        if not (isinstance(losses, Mapping) and losses and all(isinstance(one, Tensor) for one in losses.values())):
            raise BenchError(f'{self.user}: step() must return the losses to log, such as {{"l1": loss}}: tensors')
        self.step += 1
        values = torch.stack([value.detach().float() for value in losses.values()])
        if self.ranks > 1:
            self.average([values])
        names = tuple(losses)  # the losses themselves would keep all maps of their iteration
        return lambda: dict(zip(names, values.tolist(), strict=True))

    def floats(self, batch: Batch) -> Batch:
        """Images in [-1, 1] and masks as floats, of what the loader gives."""

        def scaled(images: Tensor) -> Tensor:
            return floats(images.contiguous(memory_format=LAYOUT))

        if batch.degraded is not None:
            batch = batch.guided(degraded=scaled(batch.degraded))
        return replace(batch, image=scaled(batch.image), mask=batch.mask.float())


def augmented(batch: Batch, stage: Stage, noise: Noise) -> Batch:
    """The batch with the paper's augmentation: half of the images are mirrored, with what guides them."""
    if stage.mirrored:
        batch = mirrored(batch, noise.uniform(1, 1, 1) < 0.5)
    return replace(batch, image=stage.augment(batch.image, noise).contiguous(memory_format=LAYOUT))


def mirrored(batch: Batch, which: Tensor) -> Batch:
    """The batch with some images (N, 1, 1, 1) mirrored left to right, and their guides; masks stay."""

    def some(other: Any, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value  # texts say no sides
        return torch.where(which.view(-1, *[1] * (value.dim() - 1)), other, value)

    width = batch.image.shape[3]
    given = {name: some(guides.get(name).mirrored(value, width), value) for name, value in batch.guides.items()}
    return replace(batch, image=some(batch.image.flip(3), batch.image), guides=given)


class Log:
    """losses.csv: one row an iteration and loss; rows after the checkpoint that a run resumes from are dropped."""

    HEAD = ("stage", "step", "loss", "value")

    def __init__(self, folder: Path, stages: Sequence[str], stage: str, step: int, fabric: Fabric, before: int = 0):
        """`before`: iterations of earlier stages; trackers count all."""
        self.path, self.stage = folder / "losses.csv", stage
        earlier = set(stages[: stages.index(stage)])
        kept = []
        if self.path.exists():
            with self.path.open(newline="") as handle:
                rows = list(csv.reader(handle))[1:]
            kept = [r for r in rows if len(r) == 4 and (r[0] in earlier or (r[0] == stage and int(r[1]) <= step))]
        with atomic_write(self.path, "w") as handle:
            csv.writer(handle, lineterminator="\n").writerows([self.HEAD, *kept])
        self.pending: list[tuple[str, int, str, str]] = []
        self.fabric, self.before = fabric, before

    def add(self, step: int, losses: Mapping[str, float]) -> None:
        self.pending += [(self.stage, step, name, f"{value:.6g}") for name, value in losses.items()]
        tracked = {f"{self.stage}/{name}": value for name, value in losses.items()}
        self.fabric.log_dict(tracked, self.before + step)

    def flush(self) -> None:
        """Append what has gathered; called before each checkpoint."""
        try:
            with self.path.open("a", newline="") as handle:
                csv.writer(handle, lineterminator="\n").writerows(self.pending)
                handle.flush()
                os.fsync(handle.fileno())  # before the checkpoint that stands on it
        except OSError as error:
            raise write_error(self.path, error) from error
        self.pending = []
        for logger in self.fabric.loggers:
            logger.save()


def train(
    method: Method,
    data: ImageData,
    indices: Sequence[int],
    budget: Budget,
    folder: Path,
    progress: Callable[[int, int], AbstractContextManager[Callable[[int], None]]],
) -> list[str]:
    """Train a method on the images `indices` of `data`; leaves the final weights in `method`.

    `progress(total, done)` shows how far it is; `folder` receives checkpoint.pt and losses.csv. Returns what a reader
    of its numbers must know, a sentence each. Raises BenchError when a loss is not finite, or a stage trains nothing.
    """
    isolation.seed(derive_seed(budget.seed, "training networks"))
    stages = contract.stages(method, budget.features)
    names = [stage.name for stage in stages]
    steps = [max(1, round(stage.share * budget.steps)) for stage in stages]
    for stage, count in zip(stages, steps, strict=True):
        stage.steps = count
    run = Run(method, stages, folder, budget)
    run.resume()
    kind = run.device.type
    done = sum(steps[: run.stage]) + run.step
    with run.writer, ending(run.fabric.loggers), allocator.keeping(), progress(sum(steps), done) as advance:
        while True:
            stage = stages[run.stage]
            before = sum(steps[: run.stage])
            log = Log(folder, names, stage.name, run.step, run.fabric, before) if run.rank == 0 else None
            loader = Loader(data, indices, stage, budget, run.rank, run.ranks)
            unread: list[tuple[int, Callable[[], dict[str, float]]]] = []
            for batch in loader.batches(run.step, steps[run.stage], THREADS[kind], pinned=run.on_gpu):
                losses = run.advance(batch)
                unread.append((run.step, losses))
                save = run.step % budget.checkpoint == 0 and run.step < steps[run.stage]
                if save or len(unread) == WAITS[kind] or run.step == steps[run.stage]:
                    for step, waiting in unread:
                        _record(step, waiting(), log, stage)
                    unread.clear()
                advance(1)
                if save:
                    if log:
                        log.flush()
                    run.save()
            if log:
                log.flush()
            run.leave()
            if run.stage + 1 == len(stages):
                break
            run.enter(run.stage + 1)
            run.save()
        run.saved()
    method.eval()
    return run.remarks


def _record(step: int, losses: Mapping[str, float], log: Log | None, stage: Stage) -> None:
    """Log the losses of an iteration; BenchError where one is not finite."""
    if log:
        log.add(step, losses)
    for name, value in losses.items():
        if not np.isfinite(value):
            if log:
                log.flush()
            raise BenchError(
                f"training of {stage.method.card.slug} stopped: the loss {name!r} is {value} at iteration {step} of "
                f"stage {stage.name!r}; try a lower learning rate in the suite's `options`"
            )
