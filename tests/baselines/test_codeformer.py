"""CodeFormer: what each loss trains, whose codes are the target, how w and the holes enter."""

from __future__ import annotations

import pytest
import torch

from baselines.codeformer import CodeFormer, CodeFormerInpainting
from baselines.codeformer.networks import adain
from baselines.codeformer.training import FusionStage
from bench.golden import fill
from bench.method import Batch, Noise, Stage
from tests.bench.weights.test_layouts import codeformer_names


def create(kind: type[CodeFormer] = CodeFormer, **options: object) -> CodeFormer:
    torch.manual_seed(0)
    return kind.create("tiny", **options).eval()


def batch(count: int = 1) -> Batch:
    image, degraded = torch.rand(2, count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(count, 1, 64, 64)
    mask[:, :, 16:48, 16:48] = 1
    return Batch(image, mask, {"degraded": degraded})


def losses_of(stage: Stage, steps: int = 1) -> list[set[str]]:
    """The losses of some iterations; nothing is updated."""
    stage.optimisers()
    return [set(stage.step(batch(), lambda name, loss: None, Noise.shared(i, 1))) for i in range(steps)]


def test_w_blends_the_encoder_in() -> None:
    method, noise = create(), Noise([0])
    with torch.no_grad():
        most_likely, blended = method.steps(batch(), noise)
        assert not torch.equal(most_likely, blended)
        assert torch.equal(blended, method.complete(batch(), noise))
        method.config = method.config.model_copy(update={"w": 0.0})
        assert torch.equal(most_likely, method.complete(batch(), noise))


def test_codes_take_the_colours_of_the_encoder() -> None:
    x, style = torch.randn(2, 3, 8, 8), 5 + 2 * torch.randn(2, 3, 8, 8)
    taken = adain(x, style)
    torch.testing.assert_close(taken.mean((2, 3)), style.mean((2, 3)), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(taken.std((2, 3)), style.std((2, 3)), atol=1e-4, rtol=1e-4)


def test_losses_of_images_train_the_fusions_alone() -> None:
    method = create()
    network = method.network
    encoded, maps = network.encoder(batch().need("degraded"))
    image = network.decode(network.predict(encoded), encoded, maps, 1, normalised=False)
    trained = [name for name, p in network.named_parameters() if not name.startswith(("generator.", "quantize."))]
    gradients = torch.autograd.grad(image.sum(), [network.get_parameter(n) for n in trained], allow_unused=True)
    reached = {name.split(".")[0] for name, g in zip(trained, gradients, strict=True) if g is not None}
    assert reached == {"fuse_convs_dict"}


def test_clean_codes_are_those_of_the_encoder_that_the_first_stage_left() -> None:
    method = create()
    vqgan, codes, fusion = method.stages("embedded")
    assert [stage.name for stage in (vqgan, codes, fusion)] == ["vqgan", "codes", "fusion"]
    with torch.no_grad():
        method.network.encoder.blocks[0].weight += 1  # stage one
        left = method.network.encoder.blocks[0].weight.clone()
        codes.optimisers()
        method.network.encoder.blocks[0].weight += 1  # stage two
        fusion.optimisers()
    assert torch.equal(codes.clean.blocks[0].weight, left)
    assert codes.clean is fusion.clean
    assert codes.state_dict().keys() >= {"clean.blocks.0.weight"} <= fusion.state_dict().keys()  # in checkpoints


def test_the_last_stage_looks_at_images_rarely() -> None:
    method = create(iterations=(1, 1, 1, 1), starts=(0, 0), training_weights=(1, 1.3))
    *_, light, heavy = method.stages("embedded")
    assert isinstance(light, FusionStage)
    assert isinstance(heavy, FusionStage)
    light.steps = heavy.steps = 35
    assert [light.weight() for _ in range(35)] == [1] * 18 + [1.3] * 17
    assert [i for i in range(35) if heavy.weight()] == [30]  # from 20 on, each 15th
    heavy.iteration.fill_(29)
    assert losses_of(heavy, 2) == [
        {"codes", "entropy"},
        {"codes", "entropy", "l1", "lpips", "generator", "discriminator"},
    ]


def test_holes_are_white() -> None:
    method, given = create(CodeFormerInpainting), batch()
    assert torch.equal(method.given(given), torch.where(given.mask > 0, torch.ones(()), given.image))
    assert [stage.name for stage in method.stages("embedded")] == ["vqgan", "fusion"]


def test_the_network_is_that_of_spandrel() -> None:
    """An independent port of the authors' code."""
    pytest.importorskip("spandrel_extra_arches")
    from spandrel_extra_arches.architectures.CodeFormer.__arch.codeformer import CodeFormer as Theirs

    theirs, ours = Theirs().eval(), CodeFormer.create().eval()  # theirs cannot do float64
    rule = {"gain": 1.0, "unit": r"^position_emb$|^feat_emb\.weight$|embedding", "const": {}}
    state = {k: torch.from_numpy(fill(k, tuple(v.shape), rule)).float() for k, v in theirs.state_dict().items()}
    theirs.load_state_dict(state)
    ours.load_official(state)
    assert codeformer_names(ours.network.state_dict()).keys() == state.keys()
    image = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(ours.network(image, 0.5, True), theirs(image, weight=0.5)[0], atol=1e-3, rtol=1e-3)
