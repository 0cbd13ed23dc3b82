"""HFGI: what it takes from e4e, what the details change, its two inputs and stages."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from baselines.e4e import E4E
from baselines.hfgi import HFGI, known
from baselines.stylegan2 import StyleGAN2
from bench import golden
from bench.errors import BenchError
from bench.method import Batch, Noise


def prior(**options: object) -> E4E:
    torch.manual_seed(0)
    made = E4E.create("tiny", **options)
    made.attach({"stylegan2": StyleGAN2.create("tiny")})
    return made.eval()


def create(given: E4E | None = None, **options: object) -> HFGI:
    torch.manual_seed(1)
    method = HFGI.create("tiny", **options)
    method.attach({"e4e": given or prior()})
    return method.eval()


def batch(count: int = 2) -> Batch:
    mask = torch.zeros(count, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1, mask)


def test_it_starts_from_the_encoder_of_e4e() -> None:
    """The channel of the mask says nothing at first."""
    e4e, given = prior(), batch()
    method = create(e4e)
    with torch.no_grad():
        assert torch.equal(method.codes(method.source(given)), e4e.codes(given.masked))
        assert torch.equal(create(e4e, input="image").codes(given.image), e4e.codes(given.image))


def test_details_change_one_map() -> None:
    method, aligned = create(), torch.randn(1, 3, 64, 64)
    edit = method.details(aligned)
    scale, shift = method.residue(aligned)
    assert scale.shape == shift.shape == (1, 64, 16, 16)
    x = torch.randn(1, 64, 16, 16)
    assert torch.equal(edit(3, x), x * (1 + scale) + shift)
    assert all(edit(layer, x) is x for layer in (0, 1, 2, 4, 5))
    maps: dict[int, int] = {}

    def read(layer: int, x: torch.Tensor) -> torch.Tensor:
        maps[layer] = x.shape[-1]
        return x

    method.draw(torch.zeros(1, 10, 64), edit=read)
    assert maps[3] == 16 and maps[2] == 8  # the first layer of its size


def test_without_details_both_passes_give_the_same() -> None:
    method, given = create(), batch()
    for head in (method.residue.condition_scale3, method.residue.condition_shift3):
        torch.nn.init.zeros_(head[2].weight)
    with torch.no_grad():
        first, last = method.steps(given, Noise([1, 2]))
        torch.testing.assert_close(first, last)
        torch.nn.init.ones_(method.residue.condition_shift3[2].bias)
        first, last = method.steps(given, Noise([1, 2]))
        assert not torch.allclose(first, last, atol=1e-2)
        assert torch.equal(last, method.complete(given, Noise([1, 2])))


def test_there_is_no_residual_in_the_hole() -> None:
    given, residual = batch(), torch.ones(2, 3, 64, 64)
    assert torch.equal(known(residual, create().source(given)), (1 - given.mask).expand(-1, 3, -1, -1))
    assert torch.equal(known(residual, create(input="image").source(given)), residual)


def test_stages_of_both_inputs() -> None:
    encoder, details = create().stages("embedded")
    assert (encoder.name, details.name, encoder.share + details.share) == ("encoder", "details", 1)
    (only,) = create(input="image").stages("embedded")
    assert (only.name, only.share) == ("details", 1)


@pytest.mark.parametrize("source", ["image", "erased"])
def test_the_details_leave_encoder_and_generator(source: str) -> None:
    method = create(input=source).train()
    stage = method.stages("embedded")[-1].train()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    totals, optimiser = [], stage.optimisers()["details"]

    def update(name: str, loss: torch.Tensor) -> None:
        totals.append(loss)
        loss.backward()
        optimiser.step()

    losses = stage.step(batch(), update, Noise.shared(0, 2))
    changed = {
        name.split(".")[0] for name, value in method.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {"grid_align", "residue"}
    expected = losses["l2"] + 0.8 * losses["lpips"] + 0.1 * losses["identity"] + 0.1 * losses["alignment"]
    torch.testing.assert_close(totals[0], expected)


def test_the_alignment_is_to_give_the_whole_residual() -> None:
    """Where it gives nothing, the loss is the size of the residual of the original."""
    method, given = create(), batch()
    method.grid_align.forward = lambda given: torch.zeros_like(given[:, :3])  # type: ignore[method-assign]
    stage = method.stages("embedded")[1]
    losses = stage.step(given, lambda name, loss: None, Noise.shared(0, 2))
    maps = Noise.shared(0, 2).maps(method.decoder.sides)
    with torch.no_grad():
        first = method.first(method.codes(method.source(given)), maps)
    torch.testing.assert_close(losses["alignment"], (given.image - first).abs().mean())


def test_another_e4e_is_refused() -> None:
    with pytest.raises(BenchError, match="option units is \\(1, 1, 1, 1\\), not \\(1, 1, 2, 1\\): choose the same"):
        create(prior(units=(1, 1, 1, 1)))
    labels = E4E.create("tiny", input="semantics")
    with pytest.raises(BenchError, match="is to see images"):
        create(labels)


@pytest.mark.slow
def test_the_large_golden_file_passes(shared: Path) -> None:
    """It fills 300 million weights in double precision, so its copy is not among the tests' own files."""
    known_as = {"hfgi": ("hfgi", HFGI.golden["hfgi"])}
    result = golden.check(shared / "golden" / "hfgi.npz", shared / "specs", known_as)
    assert result.passed, golden.line(result)


def test_erased_pictures_are_erased_as_hierinvs() -> None:
    """They are rows of its table, which tests shares of 0 to 100 %."""
    assert HFGI.configure("256").masks == "hierinv"
    assert [stage.masks for stage in create(masks="hierinv").stages("embedded")] == ["hierinv"] * 2
