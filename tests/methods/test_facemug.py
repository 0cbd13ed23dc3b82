"""FACEMUG: modalities and their masks, latent warping, style fusion, feature bank, the stages and their losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from baselines.e4e import E4E
from baselines.stylegan2 import StyleGAN2
from bench import golden
from bench.errors import BenchError
from bench.method import Batch, Noise, Stage
from bench.nn.psp import ProgressiveEncoder
from bench.nn.text import FACE, TextImage
from bench.profile import count_parameters
from methods.facemug import FACEMUG
from methods.facemug.networks import (
    CHANNELS,
    CLASSES,
    Aggregation,
    Fusion,
    GatedFusion,
    LatentWarping,
    StyleConv,
    StyleEncoder,
    StyleFusion,
    shown,
    stacked,
)
from methods.facemug.text import edited, judge
from methods.facemug.training import EncoderStage, cutout, others, rescaled

FOLDER = Path(__file__).parents[1] / "golden"


def e4e(**generator: object) -> E4E:
    torch.manual_seed(0)
    prior = E4E.create("tiny")
    prior.attach({"stylegan2": StyleGAN2.create("tiny", **generator)})
    return prior.eval()


def create(variant: str | None = None, /, **options: object) -> FACEMUG:
    torch.manual_seed(0)
    method = FACEMUG.create("tiny", variant, **options)
    method.attach({"e4e": e4e()})
    return method


def batch(count: int = 4) -> Batch:
    """Each image has a hole of its own."""
    generator = torch.Generator().manual_seed(0)
    image, exemplar, colour = (torch.rand(count, 3, 64, 64, generator=generator) * 2 - 1 for _ in range(3))
    mask = torch.zeros(count, 1, 64, 64)
    for i, hole in enumerate(mask):
        hole[:, 8 + 4 * i : 32 + 4 * i, 16:40] = 1
    return Batch(
        image,
        mask,
        guides={
            "exemplar": exemplar,
            "sketch": (torch.rand(count, 1, 64, 64, generator=generator) < 0.3).float(),
            "semantics": torch.randint(0, CLASSES, (count, 64, 64), generator=generator, dtype=torch.uint8),
            "colour": colour,
        },
    )


def given(method: FACEMUG, data: Batch) -> Batch:
    """What a completion sees of the guides."""
    return shown(data, dict.fromkeys(method.config.modalities, data.mask))


def stage(method: FACEMUG, name: str) -> Stage:
    return next(stage for stage in method.train().stages("embedded") if stage.name == name).train()


def test_parameters_of_the_parts() -> None:
    """The numbers computed for the layout that is not public; the first convolution reads 64 maps instead of 4."""
    with torch.device("meta"):
        method, encoder = FACEMUG.create(), ProgressiveEncoder(18, CHANNELS)
    generator = method.generator
    aggregation, fusions = (count_parameters(part) for part in (generator.down_from_big[0], generator.fusions))
    assert count_parameters(encoder) == 267_149_952
    assert count_parameters(method.warping) == 10_502_144
    assert aggregation == 165_899
    assert fusions == 34_273_536
    assert count_parameters(generator) - aggregation - fusions == 77_076_130 + (64 - 4) * 128


def test_the_encoders_input() -> None:
    data = batch()
    x = stacked(given(create(), data))
    image, sketch, labels, colour = x.split((3, 1, CLASSES, 3), dim=1)
    assert torch.equal(image, data.image * (1 - data.mask))
    assert torch.equal(sketch, data.sketch * data.mask)
    assert torch.equal(labels.sum(1, keepdim=True), data.mask)
    assert torch.equal(labels.argmax(1)[data.mask[:, 0] > 0], data.semantics.long()[data.mask[:, 0] > 0])
    assert torch.equal(colour, data.colour * data.mask)


def test_absent_modalities_are_0() -> None:
    data = batch()
    assert not stacked(shown(data, {}))[:, 3:].any()
    alone = stacked(shown(data, {"semantics": torch.zeros_like(data.mask), "sketch": data.mask}))
    assert alone[:, 3].any()
    assert not alone[:, 4:].any()


def test_modalities_that_were_not_learned_are_ignored() -> None:
    method, data = create(modalities=("sketch",)).eval(), batch(2).blind()
    with torch.no_grad():
        whole = method.complete(data, Noise([0, 1]))
        alone = method.complete(data.guided(semantics=None, colour=None), Noise([0, 1]))
    assert torch.equal(whole, alone)
    assert all(stage.guides == ("sketch",) for stage in method.stages("embedded") if stage.name != "warping")


@pytest.mark.parametrize("name", ["sketch", "semantics", "colour"])
def test_guides_count_inside_the_hole_alone(name: str) -> None:
    method, data = create().eval(), batch(2).blind()
    guide: Tensor = getattr(data, name)
    hole = data.mask[:, 0] > 0 if guide.ndim == 3 else data.mask.expand_as(guide) > 0
    other = guide.flip(0)
    with torch.no_grad():
        plain, inside, outside = (
            method.complete(data.guided(**{name: value}), Noise([0, 1]))
            for value in (guide, torch.where(hole, other, guide), torch.where(hole, guide, other))
        )
    assert torch.equal(plain, outside)
    assert not torch.equal(plain, inside)


def test_the_style_encoder_starts_from_e4e() -> None:
    prior, images = e4e(), batch(2).image
    encoder = StyleEncoder.of(prior).eval()
    ours, theirs = encoder.encoder.state_dict(), prior.encoder.state_dict()
    first = "input_layer.0.weight"
    assert ours[first].shape == (16, CHANNELS, 3, 3)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs if key != first)
    with torch.no_grad():
        encoder.encoder.input_layer[0].weight[:, :3] = theirs[first]
        torch.testing.assert_close(encoder.exemplar_codes(images), prior.codes(images))


def test_the_bank_has_the_map_after_each_upsampling_layer() -> None:
    encoder = StyleEncoder.of(e4e())
    codes = torch.randn(2, 10, 64)
    found = encoder.features(codes, 32, Noise([0, 1]).maps(encoder.decoder.sides))
    assert {side: x.shape[1] for side, x in found.items()} == {8: 64, 16: 64, 32: 32}
    changed = codes.clone()
    changed[:, 4:] += 1  # codes of the layers behind the one that gives 16 px
    again = encoder.features(changed, 32, Noise([0, 1]).maps(encoder.decoder.sides))
    assert torch.equal(found[16], again[16])
    assert not torch.equal(found[32], again[32])


@pytest.mark.parametrize("variant", [None, "(B)", "(C)"])
def test_a_bank_of_other_channels_is_fitted(variant: str | None) -> None:
    torch.manual_seed(0)
    method, data = FACEMUG.create("tiny", variant), batch(2)
    before = count_parameters(method.generator)
    method.attach({"e4e": e4e(width=512, limit=32)})
    assert count_parameters(method.generator) - before == 32 * 64 * 2 + 16 * 32 + 8 * 16
    with torch.no_grad():
        assert method.eval().complete(data, Noise([0, 1])).isfinite().all()


def test_priors_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BenchError, match="10 codes of 32 values, its prior e4e gives 10 of 64"):
        FACEMUG.create("tiny", code=32).attach({"e4e": e4e()})
    with pytest.raises(BenchError, match="features of a generator as large, not 32 px"):
        FACEMUG.create("tiny").attach({"e4e": e4e(size=32)})
    with pytest.raises(BenchError, match="64 x 64"):
        create(size=64).eval().complete(Batch(torch.zeros(1, 3, 32, 32), torch.ones(1, 1, 32, 32)), Noise([0]))


def constant(layer: StyleConv, value: float) -> None:
    """Let a modulated convolution give that value."""
    nn.init.zeros_(layer.conv.weight)
    nn.init.constant_(layer.bias, value)


@pytest.mark.parametrize(("shift", "expected"), [(0.5, 0.5), (-0.5, -0.1)])
def test_style_fusion_on_numbers(shift: float, expected: float) -> None:
    """Eq. 6.7: (sigmoid(s) + 1) F_en + LeakyReLU(t); Eq. 6.8: m F_s + (1 - m) that."""
    fusion, code = StyleFusion(2, 4, bank=True), torch.randn(1, 4)
    for layer, value in ((fusion.scale, 1.0), (fusion.shift, shift), (fusion.gate, -1.0)):
        constant(layer, value)
    decoded, encoded, stored = torch.randn(3, 1, 2, 8, 8)
    high, low = torch.sigmoid(torch.tensor([1.0, -1.0]))
    mixed = (high + 1) * encoded + expected
    torch.testing.assert_close(fusion(decoded, encoded, stored, code), low * stored + (1 - low) * mixed)
    constant(fusion.gate, 100.0)
    torch.testing.assert_close(fusion(decoded, encoded, stored, code), stored)
    torch.testing.assert_close(fusion(decoded, encoded, None, code), mixed)


def test_what_stands_in_for_style_fusion() -> None:
    decoded, encoded, stored = torch.randn(3, 1, 2, 8, 8)
    code = torch.randn(1, 4)
    assert torch.equal(Fusion(2, 4, bank=True)(decoded, encoded, stored, code), decoded + encoded + stored)
    assert torch.equal(Fusion(2, 4, bank=False)(decoded, encoded, None, code), decoded + encoded)
    gated = GatedFusion(2, 4, bank=True)
    whole = torch.cat([decoded, encoded, stored], dim=1)
    torch.testing.assert_close(
        gated(decoded, encoded, stored, code), gated.features(whole) * torch.sigmoid(gated.gates(whole))
    )


def test_the_fusion_sees_the_code_of_the_next_layer() -> None:
    """And the bank's map of its own size."""
    method, data, seen = create().eval(), batch(1), {}
    for side, fusion in method.generator.fusions.items():
        fusion.register_forward_hook(lambda _, args, out, side=side: seen.update({int(side): args}))
    codes = torch.randn(1, 10, 64)
    bank = method.styles.features(codes, 64, Noise([0]).maps(method.styles.decoder.sides))
    with torch.no_grad():
        method.generator(stacked(data), data.mask, codes, bank=bank)
    for k, side in enumerate((8, 16, 32, 64)):
        decoded, encoded, stored, code = seen[side]
        assert decoded.shape == encoded.shape == stored.shape
        assert torch.equal(stored, bank[side])
        assert torch.equal(code, codes[:, 2 * k + 2])


def test_modalities_are_weighted_by_the_softmax_of_their_scores() -> None:
    torch.manual_seed(0)
    network, x = Aggregation(8).eval(), torch.randn(2, CHANNELS + 1, 16, 16)
    parts = (torch.cat([x[:, :3], x[:, 26:]], dim=1), x[:, 3:4], x[:, 4:23], x[:, 23:26])
    maps = torch.stack([block(part) for block, part in zip(network.blocks, parts, strict=True)])
    scores = torch.stack([network.score(part) for part in maps])
    expected = sum(part * score.exp() for part, score in zip(maps, scores, strict=True)) / scores.exp().sum(0)
    torch.testing.assert_close(network(x), expected)
    for layer in (network.score.conv2[0], network.score.skip):
        nn.init.zeros_(layer.weight)
    torch.testing.assert_close(network(x), maps.mean(0))


def test_the_warping_adds_an_offset_to_the_source() -> None:
    method = create()
    target, source = torch.randn(2, 2, 10, 64)
    offset = source
    for block in method.warping.blocks:
        offset = block(offset, target - source)
    torch.testing.assert_close(method.warp(target, source), source + offset)
    assert len(LatentWarping(8).blocks) == 4


def test_codes_with_and_without_an_exemplar() -> None:
    method, data = create().eval(), batch(2)
    with torch.no_grad():
        own = method.styles.codes(stacked(data))
        style, posed = method.codes(data, Noise([0, 1]))
        alone = method.codes(data.guided(exemplar=None), Noise([0, 1]))
        exemplar = method.styles.exemplar_codes(data.exemplar)
        assert torch.equal(posed, method.warp(own, style))
    assert torch.equal(style, exemplar)
    assert torch.equal(alone[0], own)
    assert torch.equal(alone[1], own)


def test_random_codes_change_the_style_in_tests_where_asked_for() -> None:
    method, data = create(random=0.25).eval(), batch(2)
    with torch.no_grad():
        exemplar = method.styles.exemplar_codes(data.exemplar)
        style, other = (method.codes(data, Noise(seeds))[0] for seeds in ([0, 1], [2, 3]))
        random = method.random_codes(Noise([0, 1]))
    torch.testing.assert_close(style, 0.75 * exemplar + 0.25 * random)
    assert not torch.equal(style, other)


def test_a_direction_edits_the_completion() -> None:
    method, data = create().eval(), batch(2)
    with torch.no_grad():
        style, posed = method.codes(data, Noise([0, 1]))
        plain, edited = (method.draw(data, style, posed + step, Noise([0, 1])) for step in (0, 0.5))
    assert ((plain - edited) * data.mask).abs().mean() > 1e-4


@cache
def encoder_stage(dropping: str) -> EncoderStage:
    return stage(create(dropping=dropping), "encoder")


def seen(dropping: str, seed: int) -> dict[str, Tensor]:
    """Where the encoder is shown each modality in training, (4, 64, 64)."""
    full = Batch(torch.ones(4, 3, 64, 64), batch().mask, {"sketch": torch.ones(4, 1, 64, 64)})
    full = full.guided(semantics=torch.ones(4, 64, 64, dtype=torch.uint8), colour=torch.ones(4, 3, 64, 64))
    x = stacked(encoder_stage(dropping).seen(full, Noise.shared(seed, 4)))
    return {"image": x[:, 0], "sketch": x[:, 3], "semantics": x[:, 5], "colour": x[:, 23]}


def test_the_thesis_shows_the_encoder_one_modality() -> None:
    mask, chosen = batch().mask[:, 0], set()
    for seed in range(20):
        found = seen("thesis", seed)
        (name,) = (name for name, where in found.items() if where.any())
        assert torch.equal(found[name], mask)
        chosen.add(name)
    assert chosen == {"image", "sketch", "semantics", "colour"}


def test_the_release_shows_the_encoder_others_half_of_the_time() -> None:
    mask, chosen, shares = batch().mask[:, 0], set(), []
    for seed in range(20):
        found = seen("released", seed)
        names = [name for name, where in found.items() if torch.equal(where, mask)]
        chosen |= set(names)
        for name in set(found) - set(names):
            for i, where in enumerate(found[name]):
                assert not where.any() or any(torch.equal(where, mask[j]) for j in range(4) if j != i)
                shares.append(bool(where.any()))
    assert len(chosen) == 4
    assert 0.35 < sum(shares) / len(shares) < 0.65


def test_the_encoder_learns_whole_pictures_from_what_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, data, targets = encoder_stage("released"), batch(), []
    monkeypatch.setattr(learner.loss, "forward", lambda output, target: (targets.append(target) or output.mean(), {}))
    learner.step(data, lambda name, loss: None, Noise.shared(0, 4))
    assert torch.equal(targets[0], data.image)
    x = learner.source(learner.seen(data, Noise.shared(0, 4)))
    assert x.shape == (4, CHANNELS, 64, 64)
    assert not torch.equal(x[:, :3], data.image)
    assert learner.config.identity == 0.5


def test_modalities_in_training_lie_in_the_hole() -> None:
    method, data, kept = create(omega=0.8), batch(), []
    learner, mask = stage(method, "generator"), batch().mask[:, 0]
    for seed in range(30):
        labels = learner.guided(data, Noise.shared(seed, 4)).semantics
        where = (labels < CLASSES).float()
        assert torch.equal(where, where * mask)
        kept += [bool(w.any()) for w in where]
        assert all(any(torch.equal(w, a * b) for b in mask) for w, a in zip(where, mask, strict=True) if w.any())
    assert 0.7 < sum(kept) / len(kept) < 0.9


def drawn(method: FACEMUG, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What a step of the last stage draws from, its losses and its updates."""
    found: dict[str, object] = {"order": [], "totals": []}
    draw: Callable[..., Tensor] = method.draw

    def spy(batch: Batch, style: Tensor, posed: Tensor, noise: Noise) -> Tensor:
        found.update(given=batch, style=style, posed=posed)
        return draw(batch, style, posed, noise)

    def update(name: str, loss: Tensor) -> None:
        found["order"].append(name)
        found["totals"].append(float(loss.detach()))

    monkeypatch.setattr(method, "draw", spy)
    found["losses"] = stage(method, "generator").step(batch(), update, Noise.shared(0, 4))
    return found


def test_a_step_with_the_picture_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    method, data = create(rho=1.0, omega=1.0), batch()
    found = drawn(method, monkeypatch)
    assert found["given"].sketch.any()
    assert torch.equal(found["style"], method.styles.exemplar_codes(data.image))
    assert torch.equal(found["posed"], method.styles.codes(stacked(found["given"])))
    value = {name: float(loss.detach()) for name, loss in found["losses"].items()}
    assert set(value) == {"discriminator", "r1", "generator", "identity", "attribute", "lpips"}
    assert found["order"] == ["discriminator", "discriminator", "generator"]
    total = value["generator"] + 0.1 * value["identity"] + 0.1 * value["attribute"] + 0.5 * value["lpips"]
    assert found["totals"] == pytest.approx([value["discriminator"], 16 / 2 * value["r1"], total])


@pytest.mark.parametrize("variant", [None, "(D)"])
def test_a_step_with_another_face(variant: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No modalities, no LPIPS; a random code in the style, which ablation (D) leaves out."""
    method, data = create(variant, rho=0.0), batch()
    found = drawn(method, monkeypatch)
    shows = found["given"]
    assert shows.sketch is shows.semantics is shows.colour is None
    assert "lpips" not in found["losses"]
    codes = method.styles.exemplar_codes(data.image)
    same = [torch.equal(found["style"], codes.roll(k, 0)) for k in (1, 2, 3)]
    assert any(same) == (variant == "(D)")


def test_attribute_and_lpips_are_means_and_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    method = create(rho=1.0, ema=0.5)
    learner, data = stage(method, "generator"), batch()
    monkeypatch.setattr(method, "draw", lambda *_: torch.zeros_like(data.image, requires_grad=True))
    losses = learner.step(data, lambda name, loss: None, Noise.shared(0, 4))
    output = data.composite(torch.zeros_like(data.image))
    codes = [method.styles.exemplar_codes(images) for images in (output, data.image)]
    assert losses["attribute"].item() == pytest.approx((codes[0] - codes[1]).square().mean().item())
    assert losses["lpips"].item() == pytest.approx(learner.likeness.lpips(output, data.image).sum().item(), rel=1e-5)


def test_the_warping_learns_alone() -> None:
    method, data = create(), batch()
    learner, totals = stage(method, "warping"), []
    before = {key: value.clone() for key, value in method.state_dict().items()}
    optimiser = learner.optimisers()["warping"]

    def update(name: str, loss: Tensor) -> None:
        totals.append(float(loss.detach()))
        loss.backward()
        optimiser.step()

    losses = learner.step(data, update, Noise.shared(0, 4))
    assert set(losses) == {"identity", "lpips", "attribute"}
    assert totals == pytest.approx([0.1 * sum(float(loss.detach()) for loss in losses.values())])
    moved = {key.split(".")[0] for key, value in method.state_dict().items() if not torch.equal(value, before[key])}
    assert moved == {"warping"}


def test_the_style_encoder_stays_as_it_is_in_the_last_stage() -> None:
    method, data = create(), batch()
    learner = stage(method, "generator")
    before = {key: value.clone() for key, value in method.styles.state_dict().items()}
    learner.step(data, lambda name, loss: None, Noise.shared(0, 4))
    assert all(torch.equal(value, before[key]) for key, value in method.styles.state_dict().items())
    trained = {id(p) for o in learner.optimisers().values() for g in o.param_groups for p in g["params"]}
    assert not trained & {id(parameter) for parameter in method.styles.parameters()}


def test_stages_share_the_budget() -> None:
    """As the published iterations do; without a bank there is nothing to warp for."""
    shares = FACEMUG.presets["paper"].shares
    whole = {stage.name: stage.share for stage in create(shares=shares).stages("embedded")}
    plain = {stage.name: stage.share for stage in create("(E)", shares=shares).stages("embedded")}
    assert whole == pytest.approx({"encoder": 1 / 6, "warping": 1 / 6, "generator": 2 / 3})
    assert plain == pytest.approx({"encoder": 0.2, "generator": 0.8})


def test_optimisers() -> None:
    rates = {name: o.param_groups[0] for name, o in stage(create(), "generator").optimisers().items()}
    assert rates["generator"]["betas"] == (0.5, 0.99)
    assert rates["discriminator"]["lr"] == pytest.approx(0.008 * 16 / 17)
    assert rates["discriminator"]["betas"] == pytest.approx((0.5 ** (16 / 17), 0.99 ** (16 / 17)))


def test_others_are_never_the_image_itself() -> None:
    images = torch.arange(4.0)
    orders = {tuple(others(images, Noise.shared(seed, 4)).tolist()) for seed in range(30)}
    assert orders == {(3, 0, 1, 2), (2, 3, 0, 1), (1, 2, 3, 0)}
    assert others(images[:1], Noise.shared(0, 1)).tolist() == [0]


def test_rescaled() -> None:
    """A ramp keeps its slope over the factor, between 15/16 and 17/16; a factor of 1 changes nothing."""
    ramp = torch.linspace(-1, 1, 65)[None, None, None].expand(8, 3, 65, 65).contiguous()
    torch.testing.assert_close(rescaled(ramp, Noise.shared(0, 8), most=0), ramp, atol=1e-5, rtol=0)
    slopes = rescaled(ramp, Noise.shared(0, 8)).diff(dim=3)[:, 0, 32, 20:40]
    factors = 1 / 32 / slopes.mean(1)
    torch.testing.assert_close(slopes, slopes.mean(1, keepdim=True).expand_as(slopes), atol=1e-4, rtol=0)
    assert (factors > 15 / 16 - 1e-3).all()
    assert (factors < 17 / 16 + 1e-3).all()
    assert len(factors.unique()) == 8


def test_cutout_covers_a_square_or_what_lies_inside() -> None:
    holes = cutout(torch.ones(64, 1, 32, 32), Noise.shared(0, 64)) == 0
    rows, columns = (holes.any(dim).flatten(1).sum(1) for dim in (3, 2))
    assert torch.equal(holes.sum((1, 2, 3)), rows * columns)
    assert rows.max() == columns.max() == 16
    assert rows.min() >= 8
    assert len(rows.unique()) > 4


def test_released_names_of_the_encoder_fit() -> None:
    rows = golden.read_keys(FOLDER / "facemug.encoder.keys.csv")
    with torch.device("meta"):
        encoder = ProgressiveEncoder(18, CHANNELS)
    encoder.load_state_dict({key: torch.empty(shape, device="meta") for key, shape, _ in rows})


@pytest.mark.slow
def test_the_golden_file_passes(shared: Path) -> None:
    """It fills 267 million weights in double precision, so its copy is not among the tests' own files."""
    known = {name: ("facemug", how) for name, how in FACEMUG.golden.items()}
    result = golden.check(shared / "golden" / "facemug.encoder.npz", shared / "specs", known)
    assert result.passed, golden.line(result)


class Judge(TextImage):
    """Sees the mean colour of an image; texts name a colour."""

    COLOURS = {FACE: (0.0, 0.0, 0.0), "red": (1.0, 0.0, 0.0), "blue": (0.0, 0.0, 1.0)}

    def texts(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([self.COLOURS[text] for text in texts])

    def images(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))


def painted(codes: Tensor) -> Tensor:
    """An image in the colour of the first three values of the first code."""
    return codes[:, 0, :3, None, None].expand(-1, -1, 4, 4)


def test_codes_go_towards_a_text_each_on_its_own() -> None:
    codes = torch.zeros(2, 2, 4)
    found = edited(codes, ["red", "blue"], painted, Judge(), 50, 0.1, 1.0, 0.5)
    assert found[0, 0, 0] > 0.1 and found[1, 0, 2] > 0.1
    assert found[0, 0, 1:].abs().max() < 0.02 and not found[:, 1].any()
    torch.testing.assert_close(edited(codes[1:], ["blue"], painted, Judge(), 50, 0.1, 1.0, 0.5), found[1:])
    near = edited(codes, ["red", "blue"], painted, Judge(), 50, 0.1, 1.0, 50.0)
    assert 0 < near.abs().max() < found.abs().max() / 2


def test_the_loss_of_a_text_on_numbers() -> None:
    """One step of Adam has the length of its rate; it goes against the gradient of both parts of the loss."""
    codes = torch.zeros(1, 1, 3)
    step = edited(codes, ["red"], painted, Judge(), 1, 0.1, 1.0, 0.0)
    torch.testing.assert_close(step, torch.tensor([[[0.1, 0.0, 0.0]]]))
    w = torch.tensor([[[0.3, 0.4, 0.0]]], requires_grad=True)
    change = painted(w).mean((2, 3))[0]
    loss = 2.0 * (1 - change[0] / change.norm()) + 0.7 * w.square().mean()
    torch.testing.assert_close(loss.item(), 2 * (1 - 0.6) + 0.7 * 0.25 / 3)


@pytest.mark.parametrize("variant", [None, "(E)"])
def test_a_text_changes_the_hole_alone(variant: str | None) -> None:
    """The more so, the better the image fits the text; without a bank the style is changed."""
    method, data = create(variant, text_steps=8, text_rate=0.3, text_weight=1.0).eval(), batch(2)
    said = data.guided(text=("glasses", "A man with a beard"))
    with torch.no_grad():
        plain, changed = (method.complete(one, Noise([0, 1])) for one in (data, said))
        alone = method.complete(data.guided(text=None), Noise([0, 1]))
    assert torch.equal(plain, alone)
    network = judge("embedded", data.image.device)
    before, after = (network.images(data.composite(one)) for one in (plain, changed))
    towards = network.texts(said.text) - network.texts([FACE])
    assert ((after - before) * towards).sum(1).gt(0).all()
    assert not changed.requires_grad
    assert not any(name.startswith("text") for name, _ in method.named_modules())
