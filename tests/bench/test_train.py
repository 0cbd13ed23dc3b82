from __future__ import annotations

import csv
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW

from bench import train as training
from bench.batch import Batch, Noise
from bench.errors import BenchError
from bench.method import Card, Config, Method, Stage
from bench.profile.cell import create
from bench.store import atomic_write

CARD = Card(slug="toy", name="Toy", title="A toy", authors="-", year=None, venue="-", url="")


class Toy(Method):
    """Two stages: the first trains a convolution, the second a bias; both with an average."""

    card = CARD

    def __init__(self):
        super().__init__(Config())
        self.conv = nn.Conv2d(4, 3, 3, padding=1)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def complete(self, batch, noise):
        return self.conv(torch.cat([batch.masked, batch.mask], 1)) + self.bias + 0.01 * noise.normal(1, 1, 1)

    def stages(self, features="official"):
        return [ToyStage(self, "first", 0.75), ToyStage(self, "second", 0.25)]


class ToyStage(Stage):
    masks = "irregular"
    ema = {"main": 0.9}

    def __init__(self, method: Toy, name: str, share: float):
        super().__init__(method)
        self.name, self.share = name, share
        self.dropout = nn.Dropout(0.3)
        self.critic = nn.Conv2d(3, 1, 1)

    def optimisers(self):
        main = self.method.conv.parameters() if self.name == "first" else [self.method.bias]
        return {"main": SGD(main, 0.05, momentum=0.9), "critic": SGD(self.critic.parameters(), 0.01)}

    def step(self, batch, update, noise):
        output = self.dropout(self.method.complete(batch, noise))
        loss = (output - batch.image).square().mean()
        critic = self.critic(output.detach()).square().mean()
        update("main", loss + 0.01 * self.critic(output).mean())
        update("critic", critic)
        return {"mse": loss, "critic": critic}


class Pictures:
    """Stands for ImageData."""

    size = 32

    def __init__(self) -> None:
        values = torch.rand(10, 32, 32, 3, generator=torch.Generator().manual_seed(0))
        self.values = values.mul(255).byte().permute(0, 3, 1, 2)

    def stored(self, indices):
        return self.values[np.asarray(indices)]


@contextmanager
def quiet(total, done):
    yield lambda n: None


def budget(**changes) -> training.Budget:
    return training.Budget(**({"steps": 16, "batch": 4, "seed": 5, "checkpoint": 3, "device": "cpu"} | changes))


def deadly(interrupt_at: int):
    """A progress bar that "dies" in that iteration."""

    @contextmanager
    def progress(total, done):
        made = done

        def advance(n):
            nonlocal made
            made += n
            if made == interrupt_at:
                raise KeyboardInterrupt

        yield advance

    return progress


def trained(folder: Path, interrupt_at: int | None = None, **changes) -> Toy:
    """Train a toy; with `interrupt_at` the process "dies" in that iteration and training is started again."""
    folder.mkdir(exist_ok=True)

    if interrupt_at is not None:
        torch.manual_seed(0)
        with pytest.raises(KeyboardInterrupt):
            training.train(Toy(), Pictures(), range(10), budget(**changes), folder, deadly(interrupt_at))
    torch.manual_seed(0)
    toy = Toy()
    training.train(toy, Pictures(), range(10), budget(**changes), folder, quiet)
    return toy


@pytest.mark.parametrize("interrupt_at", [1, 3, 4, 11, 12, 13, 15])
def test_resume_is_exact(tmp_path: Path, interrupt_at: int) -> None:
    """Weights and loss log equal those of an undisturbed run to the bit, whichever stage was interrupted."""
    whole, again = trained(tmp_path / "a"), trained(tmp_path / "b", interrupt_at)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert (tmp_path / "a/losses.csv").read_bytes() == (tmp_path / "b/losses.csv").read_bytes()


@pytest.mark.parametrize("interrupt_at", [None, 4, 13])
def test_losses_that_are_read_later_and_more_loaders_change_nothing(
    tmp_path: Path, interrupt_at: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: losses wait for each other, several threads make batches."""
    plain = trained(tmp_path / "a")
    monkeypatch.setitem(training.WAITS, "cpu", 5)
    monkeypatch.setitem(training.THREADS, "cpu", 3)
    other = trained(tmp_path / "b", interrupt_at)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in plain.state_dict().items())
    assert (tmp_path / "a/losses.csv").read_bytes() == (tmp_path / "b/losses.csv").read_bytes()


def test_a_checkpoint_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written beside the training: the error must not stay in its thread."""

    @contextmanager
    def full(path: Path, mode: str = "wb"):
        if path.name == "checkpoint.pt":
            raise BenchError(f"cannot write {path}: No space left on device")
        with atomic_write(path, mode) as handle:
            yield handle

    monkeypatch.setattr(training, "atomic_write", full)
    with pytest.raises(BenchError, match=r"cannot write .*checkpoint\.pt: No space"):
        trained(tmp_path / "a")


def test_losses_are_logged_for_every_iteration_of_every_stage(tmp_path: Path) -> None:
    trained(tmp_path)
    with (tmp_path / "losses.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [(r["stage"], r["step"]) for r in rows if r["loss"] == "mse"] == [
        *(("first", str(i)) for i in range(1, 13)),
        *(("second", str(i)) for i in range(1, 5)),
    ]


def test_a_stage_knows_from_its_optimisers_on_how_long_it_runs(tmp_path: Path, monkeypatch) -> None:
    """For rates that fall."""
    known, optimisers = {}, ToyStage.optimisers
    monkeypatch.setattr(ToyStage, "optimisers", lambda self: known.update({self.name: self.steps}) or optimisers(self))
    trained(tmp_path)
    assert known == {"first": 12, "second": 4}


def test_the_average_is_what_training_leaves(tmp_path: Path) -> None:
    """With a decay of 1 the average is the initial network, so training changes nothing."""
    torch.manual_seed(0)
    before = Toy().state_dict()
    ToyStage.ema = {"main": 1.0}
    try:
        after = trained(tmp_path).state_dict()
    finally:
        ToyStage.ema = {"main": 0.9}
    assert all(torch.equal(value, before[name]) for name, value in after.items())
    moved = trained(tmp_path / "other").state_dict()
    assert not torch.equal(moved["conv.weight"], before["conv.weight"])


def test_update_reaches_only_its_own_parameters(tmp_path: Path) -> None:
    toy = Toy()
    run = training.Run(toy, toy.stages(), tmp_path, budget())
    critic = run.stages[0].critic
    before = critic.weight.detach().clone()
    run.update("main", critic(toy.conv(torch.ones(1, 4, 8, 8))).mean())
    assert torch.equal(critic.weight, before)
    assert critic.weight.grad is None


def test_a_step_says_what_it_did_by_known_names(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(ToyStage, "step", lambda self, batch, update, noise: None)
    with pytest.raises(BenchError, match=r"toy \(first\): step\(\) must return the losses to log"):
        training.train(Toy(), Pictures(), range(10), budget(), tmp_path, quiet)
    monkeypatch.setattr(ToyStage, "step", lambda self, batch, update, noise: update("mian", batch.image.mean()))
    with pytest.raises(BenchError, match=r"toy \(first\): update\('mian', \.\.\.\): optimisers\(\) has main, critic"):
        training.train(Toy(), Pictures(), range(10), budget(), tmp_path, quiet)


@pytest.mark.parametrize("waits", [1, 5])
def test_a_loss_that_is_not_finite_stops_with_the_remedy(tmp_path: Path, waits: int, monkeypatch) -> None:
    monkeypatch.setitem(training.WAITS, "cpu", waits)
    toy = Toy()
    toy.conv.weight.data[0, 0, 0, 0] = float("nan")
    with pytest.raises(BenchError, match=r"toy stopped: the loss 'mse' is nan at iteration 1 of stage 'first'"):
        training.train(toy, Pictures(), range(10), budget(), tmp_path, quiet)
    assert "first,1,mse,nan" in (tmp_path / "losses.csv").read_text()


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"PK broken")
    with pytest.raises(BenchError, match=r"checkpoint\.pt.*delete this file"):
        trained(tmp_path)


def test_every_image_is_seen_once_an_epoch() -> None:
    loader = training.Loader(Pictures(), range(10), Toy().stages()[0], budget(batch=5))
    assert sorted(loader.epoch(0)) == sorted(loader.epoch(1)) == list(range(10))
    assert list(loader.epoch(0)) != list(loader.epoch(1))
    first, second = loader.batch(0), loader.batch(1)
    assert not any(torch.equal(a, b) for a in first.image for b in second.image)
    assert torch.equal(loader.batch(1).mask, second.mask)


@pytest.mark.parametrize(("recipe", "different"), [("gmcnn", 1), ("irregular", 4)])
def test_one_hole_a_batch_where_the_authors_draw_one(recipe: str, different: int) -> None:
    stage = Toy().stages()[0]
    stage.masks = recipe
    whole = training.Loader(Pictures(), range(10), stage, budget()).batch(3).mask
    assert len(torch.unique(whole, dim=0)) == different
    second = training.Loader(Pictures(), range(10), stage, budget(), rank=1, ranks=2).batch(3).mask
    assert torch.equal(whole[2:], second)
    assert not torch.equal(whole, training.Loader(Pictures(), range(10), stage, budget()).batch(4).mask)


def test_the_loader_gives_what_is_stored_and_the_run_makes_floats_of_it(tmp_path: Path) -> None:
    """Images travel as uint8 and become what `ImageData.floats` says."""
    toy, pictures = Toy(), Pictures()
    loader = training.Loader(pictures, range(10), toy.stages()[0], budget())
    stored = loader.batch(0)
    assert stored.image.dtype == stored.mask.dtype == torch.uint8
    floats = training.Run(toy, toy.stages(), tmp_path, budget()).floats(stored)
    assert torch.equal(floats.image, stored.image.contiguous().float().div(127.5).sub(1))
    assert floats.image.is_contiguous(memory_format=training.LAYOUT)
    assert torch.equal(floats.mask, stored.mask.float())


@pytest.mark.parametrize("make", [Adam, AdamW], ids=lambda make: make.__name__)
def test_a_fused_optimiser_takes_the_same_steps(make) -> None:
    """Also after a checkpoint, and where a gradient lies in memory in another order than its parameter."""
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.randn(4, 3, 3, 3).contiguous(memory_format=torch.channels_last)) for _ in range(2)]
    weights[1].data.copy_(weights[0].data)
    plain, fused = (make([weight], 0.01) for weight in weights)
    training.fuse(fused)
    for _ in range(3):
        gradient = torch.randn(4, 3, 3, 3)
        for weight, optimiser in zip(weights, (plain, fused), strict=True):
            weight.grad = training.laid_out(gradient, weight)
            assert weight.grad.stride() == weight.stride()
            optimiser.step()
        fused.load_state_dict(fused.state_dict())
    assert all(group["fused"] for group in fused.param_groups)
    torch.testing.assert_close(weights[0], weights[1])


class Doubles(Noise):
    """Noise in double precision."""

    def normal(self, *shape: int) -> Tensor:
        return super().normal(*shape).double()

    def uniform(self, *shape: int) -> Tensor:
        return super().uniform(*shape).double()


def first_gradients(slug: str, prepare: Callable[[nn.Module], object]) -> dict[str, Tensor]:
    """Those of each network's first update, in double precision."""
    torch.manual_seed(0)
    method = create(slug, "tiny").double().train()
    image = torch.rand(2, 3, 64, 64, dtype=torch.float64) * 2 - 1
    mask = torch.zeros(2, 1, 64, 64, dtype=torch.float64)
    mask[:, :, 20:44, 16:40] = 1
    prepare(method)
    found: dict[str, Tensor] = {}
    for stage in method.stages("embedded"):
        prepare(stage.double().train())
        optimisers = stage.optimisers()

        def update(name: str, loss: Tensor, stage: Stage = stage, optimisers: dict[str, Any] = optimisers) -> None:
            weights = [weight for group in optimisers[name].param_groups for weight in group["params"]]
            gradients = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
            found.setdefault(f"{stage.name}/{name}", torch.cat([g.flatten() for g in gradients if g is not None]))

        stage.step(Batch(image, mask), update, Doubles([1, 2]))
    return found


@pytest.mark.parametrize("slug", ["aot", "grig", "lama", "comodgan"])
def test_the_order_in_memory_changes_no_gradient(slug: str) -> None:
    plain, laid = (first_gradients(slug, prepare) for prepare in (lambda network: network, training.lay_out))
    assert plain.keys() == laid.keys() and len(plain) > 1
    for name, gradient in plain.items():
        torch.testing.assert_close(laid[name], gradient, rtol=0, atol=1e-9 * gradient.abs().max().item())


def test_filters_lie_as_convolutions_read_them() -> None:
    method = create("comodgan", "tiny")  # some of its weights have five dimensions
    training.lay_out(method)
    filters = [tensor for tensor in method.parameters() if tensor.dim() == 4]
    assert filters and all(tensor.is_contiguous(memory_format=training.LAYOUT) for tensor in filters)


def test_tensorboard_writes_events(tmp_path: Path) -> None:
    trained(tmp_path, trackers=("tensorboard",))
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_noise_of_one_image_does_not_depend_on_the_batch() -> None:
    together = Noise([1, 2, 3]).normal(4, 4)
    assert torch.equal(together[1:2], Noise([2]).normal(4, 4))
    assert Noise.shared(0, 5).uniform(2).shape == (5, 2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_cuda_without_a_gpu_is_explained() -> None:
    with pytest.raises(BenchError, match="no GPU is visible"):
        training.fabric_for("cuda", "auto")
