"""EdgeConnect: the networks against the authors' outputs, its edges, its phases."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.edgeconnect import EdgeConnect, EdgeConnectStage
from bench import golden
from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.nn.canny import canny, to_grey

GOLDEN = Path(__file__).parents[1] / "golden"


def create(**options) -> EdgeConnect:
    torch.manual_seed(0)
    return EdgeConnect.create("tiny", **options)


def batch(size: int = 2) -> Batch:
    """Smooth pictures with square holes."""
    generator = torch.Generator().manual_seed(0)
    image = F.interpolate(torch.rand(size, 3, 8, 8, generator=generator), (64, 64), mode="bilinear") * 2 - 1
    mask = torch.zeros(size, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(image, mask)


def moved(stage: EdgeConnectStage, method: EdgeConnect) -> set[str]:
    """The generators that one step of the stage changes."""
    before = {name: value.clone() for name, value in method.named_parameters()}
    optimisers = stage.optimisers()

    def update(name: str, loss: Tensor) -> None:
        parameters = [p for group in optimisers[name].param_groups for p in group["params"]]
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimisers[name].step()

    stage.step(batch(), update, Noise.shared(0, 2))
    return {n.split(".")[0] for n, value in method.named_parameters() if not torch.equal(value, before[n])}


def test_edges_are_the_authors() -> None:
    file = golden.File.load(GOLDEN / "edgeconnect.npz")
    inputs = golden.Inputs(file.seed)
    grey, known = to_grey((inputs.image() + 1) / 2), 1 - inputs.mask()
    assert file.deviation("canny", canny(grey, 2.0)) == 0
    assert file.deviation("canny_masked", canny(grey, 2.0, known)) == 0


def test_no_edge_touches_the_hole_and_its_pixels_do_not_matter() -> None:
    data = batch()
    grey, known = to_grey((data.image + 1) / 2), 1 - data.mask
    edges = canny(grey, 1.0, known)
    assert edges.sum() > 0
    assert (edges * F.max_pool2d(data.mask, 3, stride=1, padding=1)).sum() == 0
    assert torch.equal(edges, canny(torch.where(data.mask > 0, 1 - grey, grey), 1.0, known))


@pytest.mark.parametrize("edges", ["paper", "released"])
def test_known_edges_stay_unless_the_authors_test_mode_is_asked_for(edges: str) -> None:
    method, data, seen = create(edges=edges).eval(), batch(), []
    method.inpaint_generator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[1]))
    with torch.no_grad():
        method.complete(data, Noise([0, 1]))
    outside = seen[0][data.mask == 0]
    assert bool(((outside == 0) | (outside == 1)).all()) == (edges == "paper")
    assert seen[0][data.mask == 1].min() > 0 and seen[0][data.mask == 1].max() < 1


@pytest.mark.parametrize(
    ("last", "expected"), [("joint", {"edge_generator", "inpaint_generator"}), ("predicted", {"inpaint_generator"})]
)
def test_each_phase_trains_its_generators(last: str, expected: set[str]) -> None:
    method = create(last_phase=last)
    edge, inpaint, final = method.train().stages("embedded")
    assert [stage.name for stage in (edge, inpaint, final)] == ["edge", "inpaint", last]
    assert moved(edge, method) == {"edge_generator"}
    assert moved(inpaint, method) == {"inpaint_generator"}
    assert moved(final, method) == expected
    assert final.discriminator is inpaint.discriminator
    rates = [o.param_groups[0]["lr"] for o in final.optimisers().values()]
    assert rates[1] == pytest.approx(rates[0] / 10)


def test_the_edge_model_sees_only_known_edges() -> None:
    method, seen = create(), []
    method.edge_generator.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    data = batch()
    with torch.no_grad():
        method.edge_generator(torch.rand(2, 1, 64, 64), torch.ones(2, 1, 64, 64), data.mask)
    assert seen[0][:, :1][data.mask == 1].unique().tolist() == [1]  # white holes
    assert torch.equal(seen[0][:, 1:2], 1 - data.mask)


def test_other_edges_change_the_completion() -> None:
    method, data = create().eval(), batch()
    with torch.no_grad():
        first = method.complete(data, Noise([0, 1]))
        method.edge_generator.register_forward_hook(lambda module, inputs, edges: 1 - edges)
        second = method.complete(data, Noise([0, 1]))
    assert ((first - second) * data.mask).abs().mean() > 1e-5


def test_official_checkpoints_are_two_files(tmp_path: Path) -> None:
    source = create()
    torch.save({"generator": source.edge_generator.state_dict(), "iteration": 3}, tmp_path / "EdgeModel_gen.pth")
    states = source.inpaint_generator.state_dict()
    parallel = {"generator": {f"module.{name}": value for name, value in states.items()}}
    with pytest.raises(BenchError, match="edge_weights"):
        create().load_official(parallel)
    target = EdgeConnect.create("tiny", edge_weights=tmp_path / "EdgeModel_gen.pth")
    assert target.config.files() == [tmp_path / "EdgeModel_gen.pth"]
    target.load_official(parallel)
    ours = target.state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in source.state_dict().items())


def test_other_sizes_are_refused() -> None:
    with pytest.raises(BenchError, match="multiples of 4, not 62 x 64"):
        create().inpaint_generator(torch.zeros(1, 3, 62, 64), *torch.zeros(2, 1, 1, 62, 64))
