"""pSp: codes and mean latent, the losses of each task, the generator it is made for, official files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from baselines import psp
from baselines.psp import PSP, start_from_recogniser
from baselines.stylegan2 import StyleGAN2
from bench import golden
from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.nn.irse import IRSE
from bench.nn.psp import GradualStyleEncoder
from bench.nn.stylegan2 import Generator


def create(**options: object) -> PSP:
    torch.manual_seed(0)
    method = PSP.create("tiny", **options)
    method.attach({"stylegan2": StyleGAN2.create("tiny")})
    return method.eval()


def batch(count: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(count, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    labels = torch.randint(0, 19, (count, 64, 64), generator=generator).byte()
    return Batch(torch.rand(count, 3, 64, 64, generator=generator) * 2 - 1, mask, {"semantics": labels})


def step(method: PSP, given: Batch) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The losses of one step, and what is minimised."""
    total = []
    losses = method.stages("embedded")[0].step(
        given, lambda name, loss: total.append(loss), Noise.shared(0, len(given))
    )
    return losses, total[0]


def test_codes_are_offsets_from_the_mean_latent() -> None:
    method = create()
    with torch.no_grad():
        codes = method.codes(batch().image)
        assert codes.shape == (2, 10, 64)
        torch.testing.assert_close(codes, method.encoder(batch().image) + method.latent_avg)
        assert torch.equal(create(from_average=False).codes(batch().image), method.encoder(batch().image))
    sampled = method.decoder.style(Noise.shared(1, 10_000).normal(64))
    assert ((method.latent_avg[0] - sampled.mean(0)).abs() < 0.06 * sampled.std(0)).all()
    assert torch.equal(method.latent_avg, method.latent_avg[:1].expand(10, -1))


def test_rows_read_their_maps() -> None:
    """Styles 0-2 see the coarse map alone, 3-6 the middle one too, the others the fine one too."""
    encoder = GradualStyleEncoder(10, size=64, widths=(16, 16, 16, 16), units=(1, 1, 1, 1), dim=8).eval()
    maps = [torch.randn(1, 16, side, side) for side in (32, 16, 8, 4)]
    with torch.no_grad():
        before = encoder.rows(maps)
        for changed, first in ((2, 3), (1, 7)):
            other = [m + (i == changed) for i, m in enumerate(maps)]
            same = [torch.equal(a, b) for a, b in zip(before, encoder.rows(other), strict=True)]
            assert same == [i < first for i in range(10)]


def test_an_image_of_another_size_is_resized_first() -> None:
    method, large = create(), F.interpolate(batch().image, scale_factor=2)
    with torch.no_grad():
        assert method.codes(large).shape == (2, 10, 64)
    with pytest.raises(BenchError, match="64 x 64, not 128 x 128"):
        method.encoder(large)


@pytest.mark.parametrize("encoder", ["w", "w+"])
def test_ablations_encode_and_learn(encoder: str) -> None:
    method = create(encoder=encoder)
    with torch.no_grad():
        codes = method.codes(batch().image)
    assert codes.shape == (2, 10, 64)
    assert torch.equal(codes, codes[:, :1].expand_as(codes)) == (encoder == "w")
    assert step(method, batch())[1].isfinite()


def test_the_total_is_the_weighted_sum() -> None:
    losses, total = step(create(identity=0.5, norm=0.01), batch())
    expected = losses["l2"] + 0.8 * losses["lpips"] + 0.5 * losses["identity"] + 0.01 * losses["norm"]
    torch.testing.assert_close(total, expected)
    assert "identity" not in step(create(identity=0), batch())[0]


def test_the_encoder_sees_what_the_option_says() -> None:
    given = batch()
    assert torch.equal(create().source(given), given.image)
    assert torch.equal(create(input="erased").source(given), given.masked)
    maps = create(input="semantics").source(given)
    assert maps.shape == (2, 19, 64, 64)
    assert torch.equal(maps.argmax(1).byte(), given.semantics)
    assert step(create(input="semantics"), given)[1].isfinite()
    with pytest.raises(BenchError, match="label maps"):
        create(input="semantics").source(Batch(given.image, given.mask))


def test_a_smaller_generator_reads_the_first_codes_and_a_larger_one_is_refused() -> None:
    method = create(size=256)
    codes = torch.randn(1, 14, 64)
    with torch.no_grad():
        assert torch.equal(method.decode(codes), method.decoder(codes[:, :10]))
    assert step(method, batch())[1].isfinite()
    with pytest.raises(BenchError, match="of 32 px and the prior stylegan2 makes 64 px"):
        create(size=32).stages("embedded")


def test_the_official_layout_loads_with_its_own_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psp, "Generator", lambda size, code: Generator(size, lambda side: 8, code, depth=2))
    torch.manual_seed(1)
    source, decoder = create(), psp.Generator(64, 64)
    state = {f"encoder.{k}": v for k, v in source.encoder.state_dict().items()}
    state |= {f"decoder.{k}": v for k, v in decoder.state_dict().items()}
    state |= {"decoder.noises.noise_0": torch.zeros(1, 1, 4, 4), "decoder.convs.0.conv.blur.kernel": torch.ones(4, 4)}
    average = torch.randn(10, 64)
    target = PSP.create("tiny")
    target.load_official({"state_dict": state, "latent_avg": average, "opts": {}})
    with torch.no_grad():
        codes = target.eval().codes(batch().image)
        torch.testing.assert_close(codes, source.encoder(batch().image) + average)
        assert torch.equal(target.decode(codes), decoder(codes))


def test_the_recogniser_gives_the_trunk() -> None:
    widths, units = (16, 32, 64, 128), (1, 1, 2, 1)
    state = IRSE(48, 8, widths, units).state_dict()
    rgb = GradualStyleEncoder(4, 3, 64, widths, units)
    start_from_recogniser(rgb, state)
    assert all(torch.equal(value, state[key]) for key, value in rgb.state_dict().items() if key in state)
    labels = GradualStyleEncoder(4, 19, 64, widths, units)
    start_from_recogniser(labels, state)
    assert torch.equal(labels.body[0].res_layer[1].weight, state["body.0.res_layer.1.weight"])
    assert labels.input_layer[0].weight.shape[1] == 19


@pytest.mark.parametrize("side", [64, 96])
def test_it_completes_by_inverting_the_masked_picture(side: int) -> None:
    method, given = create(), batch()
    given = Batch(F.interpolate(given.image, (side, side)), F.interpolate(given.mask, (side, side)))
    expected = method.decode(method.codes(psp.resized(given.masked, 64)), Noise([0, 1]))
    completed = method.complete(given, Noise([0, 1]))
    torch.testing.assert_close(completed, psp.resized(expected, side).clamp(-1, 1))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["psp.encoder", "psp.encoder256", "psp.seg"])
def test_large_golden_files_pass(name: str, shared: Path) -> None:
    """They fill some 250 million weights in double precision, so their copies are not among the tests' own files."""
    known = {name: ("psp", PSP.golden[name])}
    result = golden.check(shared / "golden" / f"{name}.npz", shared / "specs", known)
    assert result.passed, golden.line(result)
