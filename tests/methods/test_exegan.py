"""EXE-GAN: weighted gradients, codes of the exemplar, losses, released names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from baselines.psp import PSP
from baselines.stylegan2 import StyleGAN2
from bench import golden
from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.nn.stylegan2 import Discriminator
from methods.exegan import EXEGAN, judge_from_released
from methods.exegan.svgl import blur_line, confidence, reverse, svgl

FOLDER = Path(__file__).parents[1] / "golden"


def psp(**options: object) -> PSP:
    torch.manual_seed(0)
    prior = PSP.create("tiny", **options)
    prior.attach({"stylegan2": StyleGAN2.create("tiny")})
    return prior.eval()


def create(variant: str | None = None, **options: object) -> EXEGAN:
    torch.manual_seed(0)
    method = EXEGAN.create("tiny", variant, **options)
    method.attach({"psp": psp()})
    return method


def released(name: str) -> dict[str, Tensor]:
    """A checkpoint of that key list, without values; fixed filters and noise maps included."""
    rows = golden.read_keys(FOLDER / f"{name}.keys.csv")
    return {key: torch.empty(shape, device="meta") for key, shape, _ in rows}


def batch(count: int = 4) -> Batch:
    generator = torch.Generator().manual_seed(0)
    image, exemplar = (torch.rand(count, 3, 64, 64, generator=generator) * 2 - 1 for _ in range(2))
    mask = torch.zeros(count, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(image, mask, {"exemplar": exemplar})


def test_svgl_changes_the_gradient_alone() -> None:
    images = torch.randn(2, 3, 4, 4).requires_grad_()
    weight = torch.rand(2, 1, 4, 4)
    seen = svgl(images, weight)
    assert torch.equal(seen, images)
    (gradient,) = torch.autograd.grad((seen * 3).sum(), images)
    torch.testing.assert_close(gradient, 3 * weight.expand(-1, 3, -1, -1))


@pytest.mark.parametrize("kind", ["released", "thesis"])
def test_weights_fall_inwards_and_grow_outwards(kind: str) -> None:
    mask = torch.zeros(1, 1, 64, 64)
    mask[:, :, 16:48, 16:48] = 1
    near = confidence(mask, 17, kind)
    middle = near[0, 0, 32, 16:32]
    assert (middle.diff() < 0).all()
    assert (near[mask == 0] == 0).all()
    far = reverse(mask, near)
    assert far.amin() == 0
    assert far.amax() == 1
    assert (far[0, 0, 32, 16:32].diff() > 0).all()
    assert reverse(torch.zeros_like(mask), torch.zeros_like(mask)).isfinite().all()


def test_the_released_blur_is_nearly_a_box() -> None:
    line = blur_line(65, "released")
    torch.testing.assert_close(line, torch.full((65,), 1 / 65, dtype=torch.float64), atol=0, rtol=1e-3)
    wide = blur_line(64, "thesis")
    assert (wide[40] / wide[31]).item() == pytest.approx(2.718281828 ** (-(8.5**2 - 0.5**2) / 3200))


def test_the_exemplar_gives_the_later_codes() -> None:
    method, data = create().eval(), batch(2)
    with torch.no_grad():
        style = method.exemplar_codes(data.exemplar)
        codes = method.codes(style, Noise([0, 1]))
        first, other = (method.codes(style, Noise(seeds)) for seeds in ([0, 1], [2, 3]))
        whole = psp().codes(data.exemplar)
    assert codes.shape == (2, 10, 64)
    assert torch.equal(codes[:, 4:], style)
    torch.testing.assert_close(style, whole[:, 4:], atol=1e-5, rtol=1e-4)
    assert torch.equal(first, codes)
    assert not torch.equal(other[:, :4], codes[:, :4])


def test_another_random_code_changes_the_completion_in_the_hole() -> None:
    method, data = create().eval(), batch(2)
    with torch.no_grad():
        first, other = (method.complete(data.blind(), Noise(seeds)) for seeds in ([0, 1], [2, 3]))
    assert ((first - other) * data.mask).abs().mean() > 1e-5


def test_an_exemplar_is_needed() -> None:
    with pytest.raises(BenchError, match="exemplar"):
        create().complete(Batch(batch().image, batch().mask), Noise(range(4)))


def test_a_prior_that_does_not_fit_is_refused() -> None:
    with pytest.raises(BenchError, match="10 codes of 32 values"):
        EXEGAN.create("tiny", code=32).attach({"psp": psp()})
    with pytest.raises(BenchError, match="gradual encoder"):
        EXEGAN.create("tiny").attach({"psp": psp(encoder="w")})


def step(method: EXEGAN) -> tuple[dict[str, Tensor], list[str]]:
    order: list[str] = []
    stage = method.train().stages("embedded")[0]
    return stage.step(batch(), lambda name, loss: order.append(name), Noise.shared(0, 4)), order


@pytest.mark.parametrize(
    ("tau", "guides"), [(0.0, {"attribute", "identity"}), (1.0, {"attribute", "identity", "lpips"})]
)
def test_lpips_needs_the_picture_itself_as_exemplar(tau: float, guides: set[str]) -> None:
    losses, order = step(create(tau=tau))
    assert set(losses) == {"discriminator", "r1", "generator", "path"} | guides
    assert order == ["discriminator", "discriminator", "generator", "generator"]
    assert all(value.isfinite() for value in losses.values())


@pytest.mark.parametrize(("variant", "absent"), [("(d)", "attribute"), ("(e)", "lpips"), ("(f)", "identity")])
def test_ablations_of_losses(variant: str, absent: str) -> None:
    assert absent not in step(create(variant, tau=1.0))[0]


@pytest.mark.parametrize(("name", "variant"), [("attribute", "(b)"), ("lpips", "(c)")])
def test_the_layer_multiplies_the_gradient_of_its_loss(name: str, variant: str) -> None:
    """The attribute loss counts towards the middle of the hole, LPIPS towards its border; the variants have neither."""
    data, gradients = batch(), []
    for without in (None, variant, "(a)"):
        stage = create(without).stages("embedded")[0]
        output = data.image.flip(2).requires_grad_()
        style = stage.method.exemplar_codes(data.image).detach()
        _, loss = stage.guidance(data, output, data.image, style, itself=True)[name]
        gradients += torch.autograd.grad(loss, output)
    near = confidence(data.mask, 17)
    weight = near if name == "lpips" else reverse(data.mask, near)
    weighted, plain, neither = gradients
    assert plain.abs().max() > 0
    torch.testing.assert_close(weighted, plain * weight, atol=1e-9, rtol=1e-5)
    assert torch.equal(plain, neither)


def test_weights_on_numbers() -> None:
    """Blurs of three pixels in a row of holes: the first sees one known pixel of three, the second none."""
    mask = torch.zeros(1, 1, 3, 6, dtype=torch.float64)
    mask[..., 1:] = 1
    near = confidence(mask, 3, steps=1)
    torch.testing.assert_close(near[0, 0, 1], torch.tensor([0, 1 / 3, 0, 0, 0, 0]).double(), atol=2e-3, rtol=0)
    twice = confidence(mask, 3, steps=2)[0, 0, 1]
    torch.testing.assert_close(twice, torch.tensor([0, 4 / 9, 1 / 9, 0, 0, 0]).double(), atol=2e-3, rtol=0)
    far = reverse(mask, torch.tensor([0, 0.75, 0.5, 0.25, 0.25, 0.5]).double().expand_as(mask))
    torch.testing.assert_close(far[0, 0, 1], torch.tensor([0, 1 / 3, 2 / 3, 1, 1, 2 / 3]).double())


def test_the_thesis_has_other_exemplars_and_no_path_length() -> None:
    preset = EXEGAN.presets["thesis"].model_dump()
    released = EXEGAN.presets["paper"].model_dump()
    changed = {name: value for name, value in preset.items() if value != released[name]}
    losses, order = step(create(**{**changed, "blur_size": 16, "tau": 0.0}))
    assert "path" not in losses
    assert order == ["discriminator", "discriminator", "generator"]
    stage = create(exemplars="random").stages("embedded")[0]
    images = torch.arange(4.0).view(4, 1, 1, 1)
    drawn = [stage.others(images, Noise.shared(seed, 4)).flatten().tolist() for seed in range(20)]
    assert {tuple(order) for order in drawn} == {(3, 0, 1, 2), (2, 3, 0, 1), (1, 2, 3, 0)}
    assert create().stages("embedded")[0].others(images, Noise.shared(0, 4)).flatten().tolist() == [3, 2, 1, 0]


def test_a_total_is_the_weighted_sum() -> None:
    totals: list[float] = []
    stage = create(tau=1.0).train().stages("embedded")[0]
    losses = stage.step(batch(), lambda name, loss: totals.append(float(loss.detach())), Noise.shared(0, 4))
    value = {name: float(loss.detach()) for name, loss in losses.items()}
    expected = value["generator"] + 0.1 * value["attribute"] + 0.1 * value["identity"] + 0.5 * value["lpips"]
    assert totals == pytest.approx([value["discriminator"], 16 * 1 / 2 * value["r1"], expected, value["path"]])


def test_regularisers_come_every_16_and_every_4_iterations() -> None:
    stage, orders = create(lpips=0.0, identity=0.0, attribute=0.0).train().stages("embedded")[0], []
    for _ in range(5):
        order: list[str] = []
        stage.step(batch(2), lambda name, loss, order=order: order.append(name[0]), Noise.shared(0, 2))
        orders.append("".join(order))
    assert orders == ["ddgg", "dg", "dg", "dg", "dgg"]
    stage.adversary.iteration.fill_(16)
    assert "r1" in stage.step(batch(2), lambda name, loss: None, Noise.shared(0, 2))


def test_optimisers_of_the_release() -> None:
    method = EXEGAN.create("tiny")
    rates = {name: o.param_groups[0] for name, o in method.stages("embedded")[0].optimisers().items()}
    assert rates["generator"]["lr"] == pytest.approx(0.0016)
    assert rates["generator"]["betas"] == pytest.approx((0, 0.99**0.8))
    assert rates["discriminator"]["lr"] == pytest.approx(0.002 * 16 / 17)
    assert rates["discriminator"]["betas"] == pytest.approx((0, 0.99 ** (16 / 17)))


def test_attribute_distances() -> None:
    ours, style = torch.zeros(2, 6, 4), torch.full((2, 6, 4), 0.5)
    released, thesis = (create(attribute_norm=kind).stages("embedded")[0] for kind in ("released", "thesis"))
    assert released.attribute(ours, style).item() == pytest.approx(0.25)
    assert thesis.attribute(ours, style).item() == pytest.approx(0.5 * 24**0.5)


def test_the_style_encoder_is_frozen() -> None:
    method = create().train()
    assert not any(module.training for module in method.styles.modules())
    assert not any(parameter.requires_grad for parameter in method.styles.parameters())


def test_released_names_fit() -> None:
    with torch.device("meta"):
        method, judge = EXEGAN.create(), Discriminator(256)
    method.load_official({"g_ema": released("exegan.generator"), "iter": 800_000})
    judge.load_state_dict(judge_from_released(released("exegan.discriminator")))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EXEGAN.golden if name != "exegan.weights"])
def test_golden_files_pass(name: str, shared: Path) -> None:
    """Networks of up to 91 G multiply-accumulates in double precision: too slow for the other golden tests."""
    known = {name: ("exegan", EXEGAN.golden[name])}
    result = golden.check(shared / "golden" / f"{name}.npz", shared / "specs", known)
    assert result.passed, golden.line(result)
