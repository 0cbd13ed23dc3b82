"""pSp: codes and mean latent, the losses of each task, the generator it is made for, official files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from baselines import psp
from baselines.psp import PSP, start_from_recogniser
from baselines.stylegan2 import StyleGAN2
from bench import fit, golden, suite
from bench.data.labels import CELEBAMASK, ORDERS
from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.nn.irse import IRSE
from bench.nn.psp import GradualStyleEncoder
from bench.nn.stylegan2 import Generator
from bench.profile import count_parameters
from masks.generators.semantic import LABELS


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
    sketch = torch.randint(0, 2, (count, 1, 64, 64), generator=generator).float()
    guides = {"semantics": labels, "sketch": sketch}
    return Batch(torch.rand(count, 3, 64, 64, generator=generator) * 2 - 1, mask, guides)


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


def test_label_maps_are_encoded_in_celebamask_hq_s_own_order() -> None:
    method, given = create(input="semantics"), batch()
    maps = method.source(given)
    assert maps.shape == (2, 19, 64, 64)
    order = ORDERS[CELEBAMASK]
    theirs = torch.tensor([order.index(name) for name in LABELS], dtype=torch.uint8)
    assert torch.equal(maps.argmax(1).byte(), theirs[given.semantics.long()])
    assert (order[1], order[2], order[13]) == ("skin", "nose", "hair")
    unknown = torch.full_like(given.semantics, len(LABELS))
    assert not method.source(given.guided(semantics=unknown)).any(), "what is not shown is of no class"
    layout = given.semantics.flip(0)
    assert torch.equal(method.source(given.guided(layout=layout)), maps.flip(0)), "the layout that is wanted"


def test_sketches_are_encoded_as_dark_lines_on_white() -> None:
    given = batch()
    seen = create(input="sketch").source(given)
    assert seen.shape == (2, 1, 64, 64)
    assert torch.equal(seen, 1 - given.sketch)


@pytest.mark.parametrize(("guide", "remedy"), [("semantics", "label maps"), ("sketch", "needs sketch")])
def test_faces_of_sketches_and_label_maps_are_drawn_and_learned(guide: str, remedy: str) -> None:
    method, given = create(input=guide), batch()
    (stage,) = method.stages("embedded")
    assert (stage.guides, stage.mirrored) == ((guide,), False)
    assert step(method, given)[1].isfinite()
    hidden, other = given.guided(**{guide: None}), given.guided(**{guide: given.guides[guide].flip(0)})
    with torch.no_grad():
        drawn = method.complete(given, Noise([0, 1]))
        assert torch.equal(drawn, method.complete(replace(given, image=-given.image), Noise([0, 1])))
        assert not torch.equal(drawn, method.complete(other, Noise([0, 1])))
        with pytest.raises(BenchError, match=remedy):
            method.complete(hidden, Noise([0, 1]))


@pytest.mark.parametrize(("preset", "parameters"), [("segmentation", 267_145_920), ("sketch", 267_135_552)])
def test_the_encoders_of_the_presets_are_the_published_ones(preset: str, parameters: int) -> None:
    with torch.device("meta"):
        method = PSP.create(preset)
    assert count_parameters(method.encoder) == parameters
    assert (method.config.identity, method.config.norm) == (0, 0.005)


@pytest.mark.parametrize("given", ["semantics", "sketch"])
def test_a_row_whose_condition_does_not_show_its_guide_is_refused_when_it_is_planned(given: str) -> None:
    row = {"method": "psp", "options": {"input": given}}
    content = {
        "suite": "guided", "size": 64, "data": [{"name": "synthfaces", "train": 8, "test": 2}], "methods": [row],
        "metrics": ["l1"],
    }  # fmt: skip
    shown = [f"whole+{given}", f"local+{given}+colour"] + ["relabel"] * (given == "semantics")
    fit.check(suite.parse(content | {"conditions": shown}, "guided"))
    with pytest.raises(BenchError, match=rf"pSp.* is given {given} .* center/25 does not show: .*whole\+{given}"):
        fit.check(suite.parse(content | {"conditions": [*shown, "center/25"]}, "guided"))


def test_a_smaller_generator_reads_the_first_codes_and_a_larger_one_is_refused() -> None:
    method = create(size=256)
    codes = torch.randn(1, 14, 64)
    with torch.no_grad():
        assert torch.equal(method.decode(codes), method.decoder(codes[:, :10]))
    assert step(method, batch())[1].isfinite()
    with pytest.raises(BenchError, match="of 32 px and the prior stylegan2 makes 64 px"):
        create(size=32).stages("embedded")


@pytest.mark.parametrize("given", ["image", "semantics", "sketch"])
def test_the_official_layout_loads_with_its_own_generator(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psp, "Generator", lambda size, code: Generator(size, lambda side: 8, code, depth=2))
    torch.manual_seed(1)
    source, decoder = create(input=given), psp.Generator(64, 64)
    state = {f"encoder.{k}": v for k, v in source.encoder.state_dict().items()}
    state |= {f"decoder.{k}": v for k, v in decoder.state_dict().items()}
    state |= {"decoder.noises.noise_0": torch.zeros(1, 1, 4, 4), "decoder.convs.0.conv.blur.kernel": torch.ones(4, 4)}
    average = torch.randn(10, 64)
    target = PSP.create("tiny", input=given)
    target.load_official({"state_dict": state, "latent_avg": average, "opts": {}})
    with torch.no_grad():
        seen = target.eval().source(batch())
        codes = target.codes(seen)
        torch.testing.assert_close(codes, source.encoder(seen) + average)
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
