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
    return Batch(image, mask, exemplar)


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


@pytest.mark.parametrize("name", ["attribute", "lpips"])
def test_ablations_of_the_weighted_gradient(name: str) -> None:
    """With the layer, known pixels get no gradient from the attribute loss and LPIPS; without it they do."""
    data = batch()
    for weighted in (True, False):
        stage = create(**{f"svgl_{name}": weighted}).stages("embedded")[0]
        output = data.image.flip(2).requires_grad_()
        style = stage.method.exemplar_codes(data.image).detach()
        _, loss = stage.guidance(data, output, data.image, style, itself=True)[name]
        (gradient,) = torch.autograd.grad(loss, output)
        assert (gradient * (1 - data.mask)).any() != weighted
        assert (gradient * data.mask).any()


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
