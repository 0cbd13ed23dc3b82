"""Semantic2Stage: dynamic attention, what labels may decide, the three phases and their losses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from bench import weights
from bench.data.guides.semantics import one_hot, palette
from bench.method import Batch, Noise
from methods.semantic2stage import Semantic2Stage
from methods.semantic2stage.networks import CLASSES, TransformerLayer, dynamic_attention
from methods.semantic2stage.training import JointPhase, TexturePhase
from tests import made_up_weights


def create(**options: object) -> Semantic2Stage:
    torch.manual_seed(0)
    return Semantic2Stage.create("tiny", **options)


def batch(count: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(count, 3, 64, 64, generator=generator) * 2 - 1
    labels = torch.randint(0, CLASSES, (count, 64, 64), generator=generator, dtype=torch.uint8)
    mask = torch.zeros(count, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(image, mask, {"semantics": labels})


def completed(method: Semantic2Stage, given: Batch) -> Tensor:
    with torch.no_grad():
        return method.eval().complete(given, Noise([0, 1]))


def phase(method: Semantic2Stage, number: int) -> TexturePhase:
    found = method.train().stages("embedded")[number].train()
    assert isinstance(found, TexturePhase)
    return found


def gradients(stage: TexturePhase, given: Batch, wanted: list[torch.nn.Module]) -> list[float]:
    """The sum of the generator's gradients in each of these networks."""
    found: list[float] = []

    def update(name: str, loss: Tensor) -> None:
        if name == "generator":
            for network in wanted:
                parts = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True, allow_unused=True)
                found.append(sum(float(g.abs().sum()) for g in parts if g is not None))

    stage.step(given, update, Noise.shared(0, len(given)))
    return found


def test_attention_goes_by_scores_and_validity() -> None:
    q, k, v = torch.randn(3, 2, 4, 5, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64).unbind(0)
    validity, beta = torch.tensor([[1, 0.5, 0, 0, 1], [1, 1, 1, 1, 0.25]]).double(), torch.linspace(-1, 1, 4).double()
    attended, weights = dynamic_attention(q, k, v, validity, beta)
    for i in range(2):
        for head in range(4):
            trust = (1 + beta[head].exp()).log() * (validity[i] + 1e-3).log()
            expected = (k[i, head] @ q[i, head, 3] / 8**0.5 + trust).softmax(0)
            torch.testing.assert_close(weights[i, head, 3], expected)
            torch.testing.assert_close(attended[i, head, 3], expected @ v[i, head])


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_attention_is_plain_where_all_tokens_are_alike(value: float) -> None:
    q, k, v = torch.randn(3, 1, 2, 6, 4, generator=torch.Generator().manual_seed(0)).unbind(0)
    attended, _ = dynamic_attention(q, k, v, torch.full((1, 6), value), torch.ones(2))
    torch.testing.assert_close(attended, torch.nn.functional.scaled_dot_product_attention(q, k, v))


def test_holes_become_valid_as_they_are_filled() -> None:
    torch.manual_seed(0)
    layer, validity = TransformerLayer(16, 2), torch.tensor([[1.0, 1, 0, 0.5]])
    with torch.no_grad():
        _, after = layer(torch.randn(1, 4, 16), validity)
    assert torch.equal(after[:, :2], validity[:, :2])
    assert (after[:, 2:] > validity[:, 2:]).all() and (after <= 1).all()


@pytest.mark.parametrize("hole", [0.0, 1.0])
def test_empty_and_full_masks_are_completed(hole: float) -> None:
    given = batch()
    assert torch.isfinite(completed(create(), replace(given, mask=torch.full_like(given.mask, hole)))).all()


def test_labels_decide_in_the_hole_and_only_where_they_are_shown() -> None:
    """Without a guide, the layout comes from the known pixels; labels of known pixels are never read."""
    method, given = create(), batch()
    hole = given.mask[:, 0] > 0
    other = (given.semantics + 1) % CLASSES
    inside, outside = torch.where(hole, other, given.semantics), torch.where(hole, given.semantics, other)
    guided = completed(method, given)
    assert not torch.equal(guided, completed(method, given.guided(semantics=inside)))
    assert torch.equal(guided, completed(method, given.guided(semantics=outside)))
    plain = completed(method, given.guided(semantics=None))
    assert not torch.equal(guided, plain)
    changed = torch.where(given.mask > 0, -given.image, given.image)
    assert torch.equal(plain, completed(method, replace(given.guided(semantics=None), image=changed)))


def test_steps_are_the_layout_and_the_completion() -> None:
    method, given = create().eval(), batch()
    with torch.no_grad():
        layout, last = method.steps(given, Noise([0, 1]))
    assert torch.equal(last, completed(method, given))
    shown = ((layout + 1) * 127.5).round().byte()
    where = given.mask.expand_as(shown) > 0
    assert torch.equal(shown[where], palette(given.semantics)[where])


def test_predicted_layouts_replace_true_ones_little_by_little() -> None:
    method, given = create(ramp=10), batch(64)
    stage, true = phase(method, 1), one_hot(given.semantics)

    def share() -> float:
        layouts, losses = stage.drawn(given, Noise.shared(0, 64))
        assert not losses and not layouts.requires_grad
        torch.testing.assert_close(layouts.sum(1), torch.ones(64, 64, 64))
        return sum(not torch.equal(*pair) for pair in zip(layouts, true, strict=True)) / 64

    shares = []
    for done in (0, 5, 10):
        stage.done.fill_(done)
        shares.append(share())
    assert shares[0] == 0 and 0.3 < shares[1] < 0.7 and shares[2] == 1


def test_the_adversarial_loss_starts_after_the_warm_up() -> None:
    stage, given = phase(create(warmup=1), 1), batch()
    first, second = (stage.step(given, lambda name, loss: None, Noise.shared(0, 2)) for _ in range(2))
    assert "adversarial" not in first and "adversarial" in second
    assert {"critic", "penalty"} <= set(first)


def test_texture_learns_alone_then_both_learn() -> None:
    for number, both in ((1, False), (2, True)):
        method = create()
        stage = phase(method, number)
        trained = {id(p) for group in stage.optimisers()["generator"].param_groups for p in group["params"]}
        assert (trained >= {id(p) for p in method.layout.parameters()}) is both
        assert trained >= {id(p) for p in method.texture.parameters()}


def test_the_layout_generator_learns_nothing_from_parsing_outputs() -> None:
    """In the joint phase, too: with all other weights 0, only the texture generator has a gradient from it."""
    method = create(layout=0.0, known=0.0, hole=0.0, perceptual=0.0, adversarial=0.0)
    stage = phase(method, 1)
    layout, texture = gradients(stage, batch(), [method.layout, method.texture])
    assert layout == 0 and texture > 0
    assert all(p.requires_grad for p in method.layout.parameters())
    joint = phase(method, 2)
    assert isinstance(joint, JointPhase)
    given = batch()
    output = method.texture(given.masked, given.mask, one_hot(given.semantics))
    loss = joint.parsed(output).square().mean()
    found = torch.autograd.grad(loss, list(method.layout.parameters()), allow_unused=True)
    assert all(g is None for g in found)


def test_labels_may_be_a_face_parsers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "load", made_up_weights.state)
    given = batch().guided(semantics=None)
    stages = create(labels="parser").train().stages("embedded")
    assert not any(stage.guides for stage in stages)
    labels = stages[2].labelled(given).semantics
    assert labels.shape == (2, 64, 64) and labels.max() < CLASSES
    assert stages[0].step(given, lambda name, loss: None, Noise.shared(0, 2))


def test_tables_say_that_it_is_a_proposal() -> None:
    assert "neither code nor numbers" in create().config.stand_ins(())[0]
