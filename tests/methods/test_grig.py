"""GRIG: the networks against the authors' outputs, the losses on numbers, the training on a small batch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.nn.losses import hinge
from bench.nn.projected import EfficientNetLite
from methods.grig import GRIG, noise_maps
from methods.grig.discriminators import forged_patch_hinge, label_map
from methods.grig.training import GRIGStage, projected_discriminator


def create(preset: str = "tiny", **options) -> GRIG:
    torch.manual_seed(0)
    return GRIG.create(preset, **options)


def batch(size: int = 2, seed: int = 0) -> Batch:
    """Smooth pictures with square holes."""
    generator = torch.Generator().manual_seed(seed)
    image = F.interpolate(torch.rand(size, 3, 8, 8, generator=generator), (64, 64), mode="bilinear") * 2 - 1
    mask = torch.zeros(size, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(image, mask)


def updates(stage: GRIGStage, order: list[str] | None = None) -> Callable[[str, Tensor], None]:
    """What the training loop gives: a step of one optimiser on its own parameters."""
    optimisers = stage.optimisers()

    def update(name: str, loss: Tensor) -> None:
        parameters = [p for group in optimisers[name].param_groups for p in group["params"]]
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        optimisers[name].step()
        if order is not None:
            order.append(name)

    return update


@pytest.mark.parametrize("strides", [(2, 2, 2, 1, 1), (2, 1, 1)])
def test_label_map_marks_the_units_that_see_the_hole(strides: tuple[int, ...]) -> None:
    size = 64
    for y, x in [(0, 0), (13, 40), (63, 31)]:
        mask = torch.zeros(1, 1, size, size)
        mask[0, 0, y, x] = 1
        label = label_map(mask, strides)[0, 0]
        for unit_y in range(label.shape[0]):
            for unit_x in range(label.shape[1]):
                seen = all(
                    first <= pixel <= last
                    for unit, pixel in ((unit_y, y), (unit_x, x))
                    for first, last in [receptive_field(unit, strides)]
                )
                assert label[unit_y, unit_x] == seen


def receptive_field(unit: int, strides: tuple[int, ...]) -> tuple[int, int]:
    """First and last pixel that a unit sees, traced back through 4-wide windows with padding 1."""
    first = last = unit
    for stride in reversed(strides):
        first, last = first * stride - 1, last * stride - 1 + 3
    return first, last


def test_label_map_of_a_batch_is_that_of_its_images() -> None:
    masks = torch.stack([torch.zeros(1, 64, 64), torch.ones(1, 64, 64)])
    label = label_map(masks, (2, 2, 2, 1, 1))
    assert label.shape == (2, 1, 6, 6)
    assert label[0].sum() == 0 and label[1].min() == 1


def test_hinge_losses_on_numbers() -> None:
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.5])
    assert hinge(real, fake).item() == pytest.approx(0.25 + 0.75)
    # a unit beside the hole (X = 0) shall call the completion real, one at the hole (X = 1) forged
    label = torch.tensor([0.0, 1.0])
    assert forged_patch_hinge(real, fake, label).item() == pytest.approx(0.25 + (4 + 1.5) / 2)
    assert forged_patch_hinge(real, fake, 1 - label).item() == pytest.approx(0.25 + (0 + 0.5) / 2)


def test_one_trunk_for_two_losses_changes_no_gradient() -> None:
    """Of the first step, in double precision; the embedded network serves LPIPS and the projected discriminator."""
    found: list[dict[str, Tensor]] = []
    for one_trunk in (True, False):
        stage = GRIGStage(create(steps=1).double().train(), "embedded").double().train()
        assert stage.one_trunk
        stage.one_trunk = one_trunk
        optimisers, gradients = stage.optimisers(), {}

        def keep(name: str, loss: Tensor, optimisers=optimisers, gradients=gradients) -> None:
            weights = [weight for group in optimisers[name].param_groups for weight in group["params"]]
            parts = torch.autograd.grad(loss, weights, retain_graph=True)
            gradients[name] = torch.cat([part.flatten() for part in parts])

        data = batch()
        stage.step(Batch(data.image.double(), data.mask.double()), keep, Noise([1, 2]))
        found.append(gradients)
    shared, apart = found
    assert set(shared) == {"projected", "patch", "generator"}
    for name, gradient in apart.items():
        torch.testing.assert_close(shared[name], gradient, rtol=0, atol=1e-9 * gradient.abs().max().item())


def test_a_backbone_that_is_drawn_again_is_a_trunk_of_its_own() -> None:
    assert not GRIGStage(create(initialisation="released"), "embedded").one_trunk


def test_completion_is_t_steps_and_keeps_known_pixels() -> None:
    method, data = create(), batch()
    method.eval()
    noise = Noise([1, 2])
    with torch.no_grad():
        expected = data.masked
        for _ in range(3):
            change = method.generator(expected, data.mask, noise_maps(expected, noise))
            expected = (expected + change) * data.mask + data.image * (1 - data.mask)
            assert torch.equal(expected * (1 - data.mask), data.masked)
        assert torch.allclose(method.complete(data, Noise([1, 2])), expected, atol=1e-6)
        assert expected.isfinite().all()


def test_another_first_step_changes_the_completion() -> None:
    method, data, calls = create().eval(), batch(), []

    def turn_the_first(module: torch.nn.Module, inputs: tuple[Tensor, ...], change: Tensor) -> Tensor:
        calls.append(change)
        return change if len(calls) > 1 else -change

    with torch.no_grad():
        first = method.complete(data, Noise([1, 2]))
        method.generator.register_forward_hook(turn_the_first)
        second = method.complete(data, Noise([1, 2]))
    assert len(calls) == 3
    assert ((first - second) * data.mask).abs().mean() > 1e-5


def test_noise_belongs_to_the_image() -> None:
    method, data = create(), batch()
    method.eval()
    method.generator.feat_128[2].weight.data.fill_(0.5)
    single = [Batch(data.image[i : i + 1], data.mask[i : i + 1]) for i in range(2)]
    with torch.no_grad():
        both = method.complete(data, Noise([5, 6]))
        apart = torch.cat([method.complete(b, Noise([seed])) for b, seed in zip(single, (5, 6), strict=True)])
        other = method.complete(data, Noise([5, 7]))
    assert torch.allclose(both, apart, atol=1e-5)
    assert torch.equal(both[0], other[0]) and not torch.allclose(both[1], other[1], atol=1e-4)


def test_pixels_under_the_hole_never_matter() -> None:
    method, data = create(), batch()
    method.eval()
    changed = Batch(torch.where(data.mask > 0, -data.image, data.image), data.mask)
    with torch.no_grad():
        first, second = (method.complete(b, Noise([1, 2])) for b in (data, changed))
    assert torch.equal(first * data.mask, second * data.mask)


def test_other_sizes_are_refused() -> None:
    with pytest.raises(BenchError, match="multiples of 64, not 96 x 64"):
        create().generator(torch.zeros(1, 3, 96, 64), torch.zeros(1, 1, 96, 64), [])


def test_official_checkpoint_takes_the_average() -> None:
    source, target = create(), GRIG.create("tiny")
    average = [p.detach() + 1 for p in source.generator.parameters()]
    target.load_official({"g": source.generator.state_dict(), "g_ema": average, "iter": 7})
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(target.generator.parameters(), average, strict=True))
    buffers = dict(source.generator.named_buffers())
    assert all(torch.equal(value, buffers[name]) for name, value in target.generator.named_buffers())

    target.load_official(source.generator.state_dict())
    ours = target.generator.state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in source.generator.state_dict().items())


def test_official_checkpoint_with_another_order_is_refused() -> None:
    method = create()
    average = [p.detach() for p in method.generator.parameters()]
    with pytest.raises(BenchError, match="g_ema"):
        method.load_official({"g": method.generator.state_dict(), "g_ema": average[1:]})


def test_training_lowers_the_perceptual_loss() -> None:
    method = create()
    stage = method.stages("embedded")[0]
    method.train(), stage.train()
    update, data = updates(stage), batch()
    losses = [stage.step(data, update, Noise.shared(i, 2)) for i in range(6)]
    assert losses[0].keys() == {"projected", "patch", "generator_projected", "generator_patch", "lpips"}
    assert losses[-1]["lpips"] < 0.7 * losses[0]["lpips"]
    assert all(value.isfinite() for value in losses[-1].values())


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("discriminators", ["projected", "patch", "generator"]),
        ("generator", ["generator", "projected", "patch"]),
    ],
)
def test_each_step_updates_every_network_once(first: str, expected: list[str]) -> None:
    stage = create(first_update=first, steps=2).stages("embedded")[0]
    order: list[str] = []
    stage.step(batch(), updates(stage, order), Noise.shared(0, 2))
    assert order == expected * 2


def test_thesis_patch_loss_covers_the_hole_alone() -> None:
    data = batch()
    label = label_map(data.mask, (2, 1, 1))
    found = {}
    for units in ("all", "hole"):
        stage = create(generator_patch=units, steps=1).stages("embedded")[0]
        stage.patch.eval()  # so that the vectors of the spectral norm stay
        seen = []
        stage.patch.register_forward_hook(lambda module, inputs, output, seen=seen: seen.append(output.detach()))
        losses = stage.step(data, lambda name, loss: None, Noise.shared(0, 2))
        found[units] = losses["generator_patch"], seen[-1]
    for units, weight in (("all", torch.ones_like(label)), ("hole", label)):
        loss, logits = found[units]
        assert loss.item() == pytest.approx(-(logits * weight).mean().item(), rel=1e-4)


def test_initialisation_of_the_frozen_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    def pretrained(backbone: EfficientNetLite) -> None:
        for parameter in backbone.parameters():
            torch.nn.init.constant_(parameter, 0.5)

    monkeypatch.setattr(EfficientNetLite, "load_pretrained", pretrained)
    spread = {}
    for rule in ("pretrained", "released"):
        network = projected_discriminator(create(initialisation=rule).config, "official")
        assert not any(p.requires_grad for p in network.feature_network.parameters())
        spread[rule] = network.feature_network.pretrained.state_dict()["layer3.0.1.conv_pw.weight"].std().item()
    assert spread["pretrained"] == 0
    assert spread["released"] == pytest.approx(0.02, rel=0.02)


def test_augmentation_is_diff_augment_or_none() -> None:
    images, noise = batch().image, Noise.shared(0, 2)
    stage = create(augment=False).stages("embedded")[0]
    assert torch.equal(stage.augment(images, noise), images)
    stage = create(augment=True).stages("embedded")[0]
    assert not torch.allclose(stage.augment(images, noise), images, atol=0.01)


@pytest.mark.parametrize(
    ("variant", "missing"), [("(A)", {"patch", "generator_patch"}), ("(B)", {"projected", "generator_projected"})]
)
def test_ablations_train_without_a_discriminator(variant: str, missing: set[str]) -> None:
    stage = create(**GRIG.variants[variant], steps=1).stages("embedded")[0]
    losses = stage.step(batch(), updates(stage), Noise.shared(0, 2))
    assert losses.keys() == {"projected", "patch", "generator_projected", "generator_patch", "lpips"} - missing
    assert set(stage.optimisers()) == {"generator", "projected", "patch"} - missing


def test_ablations_of_the_patch_loss() -> None:
    real, fake = torch.randn(2, 1, 6, 6), torch.randn(2, 1, 6, 6)
    mask = torch.zeros(2, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    plain, soft = (create(**GRIG.variants[name]).stages("embedded")[0] for name in ("(C)", "(D)"))
    assert torch.equal(plain.patch_loss(real, fake, mask), hinge(real, fake))
    assert torch.equal(plain.generator_patch_loss(fake, mask), -fake.mean())
    # a completion whose units say 1 where it is known and 0 in the hole is judged almost rightly
    right = F.interpolate(1 - mask, (32, 32), mode="area")
    ones = torch.ones_like(real)
    assert soft.patch_loss(ones, right, mask) < 0.05 < soft.patch_loss(ones, 1 - right, mask)
    assert soft.generator_patch_loss(ones, mask).item() == pytest.approx(0, abs=1e-9)
    assert soft.generator_patch_loss(right, mask) > 0.8


def test_ablation_without_the_transformer() -> None:
    method = create(**GRIG.variants["(E)"]).eval()
    assert not any("Transformer" in type(layer).__name__ for layer in method.modules())
    with torch.no_grad():
        assert method.complete(batch(), Noise([0, 1])).isfinite().all()


def test_variants_with_other_numbers_of_steps() -> None:
    assert [GRIG.create("tiny", **GRIG.variants[f"T = {t}"]).config.steps for t in (1, 3, 5, 7, 9)] == [1, 3, 5, 7, 9]
