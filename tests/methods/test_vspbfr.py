"""VSPBFR: the diffusion of codes, SMART layers, the restoration network's codes and maps, stages, released names."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines import psp
from baselines.e4e import E4E
from baselines.stylegan2 import StyleGAN2
from bench import golden, weights
from bench.errors import BenchError
from bench.method import Batch, Noise, Stage
from bench.nn.stylegan2 import Discriminator, Width, feature_bank
from bench.nn.stylegan2_blocks import StyledConv
from methods.exegan import judge_from_released
from methods.vspbfr import VSPBFR, VSPBFRConfig
from methods.vspbfr.diffuser import CodeDiffuser, Schedule
from methods.vspbfr.restoration import DILATIONS, SMART, Restoration, StyledDown
from methods.vspbfr.training import EncoderStage

FOLDER = Path(__file__).parents[1] / "golden"


def e4e(**options: object) -> E4E:
    torch.manual_seed(0)
    prior = E4E.create("tiny")
    prior.attach({"stylegan2": StyleGAN2.create("tiny", **options)})
    return prior.eval()


def create(variant: str | None = None, **options: object) -> VSPBFR:
    torch.manual_seed(0)
    method = VSPBFR.create("tiny", variant, **options)
    method.attach({"e4e": e4e()})
    return method


def images(count: int = 4, seed: int = 0) -> Tensor:
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return F.interpolate(coarse, 64, mode="bicubic").clamp(-1, 1)


def batch(count: int = 4) -> Batch:
    clean = images(count)
    degraded = F.interpolate(F.avg_pool2d(clean, 4), 64, mode="bilinear")
    return Batch(clean, torch.ones(count, 1, 64, 64), {"degraded": degraded})


def network(size: int = 64, **options: object) -> Restoration:
    torch.manual_seed(0)
    return Restoration(size, Width(1024, 64), 16, 16, 32, 2, **options).eval()


def released(name: str) -> dict[str, Tensor]:
    """A checkpoint of that key list, without values; fixed filters and noise maps included."""
    rows = golden.read_keys(FOLDER / f"{name}.keys.csv")
    return {key: torch.empty(shape, device="meta") for key, shape, _ in rows}


def test_the_schedule_of_four_steps() -> None:
    schedule = Schedule.of(4)
    kept = torch.tensor([0.9, 0.63514292, 0.25980377, 0.00259804])
    torch.testing.assert_close(torch.tensor(schedule.signal), kept.sqrt())
    torch.testing.assert_close(torch.tensor(schedule.noise), (1 - kept).sqrt())
    torch.testing.assert_close(torch.tensor(schedule.clean), torch.tensor([1, 0.76518691, 0.63626975, 0.50592679]))
    torch.testing.assert_close(torch.tensor(schedule.noisy), torch.tensor([0, 0.2302458, 0.31525564, 0.07421243]))


@pytest.mark.parametrize("steps", [2, 4, 9])
def test_the_mean_one_step_back_has_the_signal_of_that_step(steps: int) -> None:
    """From a noised code without noise, signal[t] * code, the reverse step gives signal[t - 1] * code."""
    s = Schedule.of(steps)
    for t in range(1, steps):
        assert s.clean[t] + s.noisy[t] * s.signal[t] == pytest.approx(s.signal[t - 1], rel=1e-5)


def test_codes_go_back_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network predicts the clean code; a step goes to the mean, and the last one to the prediction itself."""
    diffuser, seen = CodeDiffuser(4, blocks=1), []
    clean, x, condition = torch.randn(3, 1, 2, 4).unbind()

    def predict(x: Tensor, condition: Tensor, step: int) -> Tensor:
        seen.append((step, x))
        return clean

    monkeypatch.setattr(diffuser, "predict", predict)
    assert torch.equal(diffuser(x, condition), clean)
    assert [step for step, _ in seen] == [3, 2, 1, 0]
    torch.testing.assert_close(seen[1][1], 0.50592679 * clean + 0.07421243 * x)
    torch.testing.assert_close(diffuser.noised(clean, x), 0.05097095 * clean + 0.99870014 * x)


def test_blocks_see_the_time_behind_the_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    diffuser, seen = CodeDiffuser(4, blocks=2), []
    for block in diffuser.att_mapper:
        monkeypatch.setattr(block, "forward", lambda x, e: (seen.append(e), x + 1)[1])
    condition = torch.randn(2, 3, 4)
    assert torch.equal(diffuser.predict(torch.zeros(2, 3, 4), condition, 3), torch.full((2, 3, 4), 2.0))
    assert torch.equal(seen[0], torch.cat([condition, torch.full((2, 3, 1), 0.75)], dim=2))
    assert torch.equal(seen[0], seen[1])


@torch.no_grad()
def test_a_smart_layer_is_its_formula() -> None:
    torch.manual_seed(0)
    layer = SMART(3, 8, 5).double()
    layer.noise.weight.fill_(0.5)
    x, code, noise = (torch.randn(2, *shape, dtype=torch.float64) for shape in ((3, 16, 16), (5,), (1, 16, 16)))
    for ours, one, style, added in zip(layer(x, code, noise), x, layer.modulation(code), noise, strict=True):
        maps = []
        for dilation, filters in zip(DILATIONS, layer.ModulatedConv2ds, strict=True):
            weight = filters.weight[0] * style[:, None, None] / 27**0.5
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
            maps.append(F.conv2d(one[None], weight, padding=dilation, dilation=dilation))
        fused = F.leaky_relu(F.conv2d(torch.cat(maps, 1), layer.fusion[0].weight / 72**0.5, padding=1), 0.2) * 2**0.5
        torch.testing.assert_close(ours[None], F.leaky_relu(fused + 0.5 * added, 0.2) * 2**0.5)


@torch.no_grad()
def test_a_strided_layer_filters_before() -> None:
    torch.manual_seed(0)
    layer = StyledDown(3, 4, 5).double()
    x, code = torch.randn(2, 3, 8, 8, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    out = layer(x, code)
    assert out.shape == (2, 4, 4, 4)
    torch.testing.assert_close(out, torch.cat([layer(x[i : i + 1], code[i : i + 1]) for i in range(2)]))
    line = torch.tensor([1, 3, 3, 1], dtype=torch.float64) / 8
    blurred = F.conv2d(x, torch.outer(line, line).expand(3, 1, 4, 4), padding=2, groups=3)
    weight = layer.conv.weight[0] * layer.conv.modulation(code)[0, :, None, None]
    weight = weight / weight.square().sum((1, 2, 3), keepdim=True).sqrt()
    torch.testing.assert_close(out[:1], F.leaky_relu(F.conv2d(blurred[:1], weight, stride=2), 0.2) * 2**0.5)


def test_the_encoder_takes_every_other_row_backwards() -> None:
    net = network()
    codes = torch.randn(1, 10, 32, requires_grad=True)
    maps, whole = net.encode(images(1), codes)
    assert sorted(maps) == [4, 8, 16, 32, 64]
    used = {64: {9}, 32: {9, 7}, 16: {9, 7, 5}, 8: {9, 7, 5, 3}, 4: {9, 7, 5, 3}}
    for side, rows in used.items():
        (gradient,) = torch.autograd.grad(maps[side].sum(), codes, retain_graph=True)
        assert set(gradient[0].abs().sum(1).nonzero().flatten().tolist()) == rows
    assert whole.shape == (1, 32)


@torch.no_grad()
def test_maps_of_the_generator_are_added_from_8_pixels_on() -> None:
    net, given, codes = network(), images(2), torch.randn(2, 10, 32)
    bank = {side: torch.randn(2, Width(1024, 64)(side), side, side) for side in (4, 8, 16, 32, 64, 128)}
    every, none = net(given, bank, codes), net(given, {}, codes)
    assert torch.equal(net(given, {4: bank[4], 128: bank[128]}, codes), none)
    for side in (8, 16, 32, 64):
        assert not torch.equal(net(given, {side: bank[side]}, codes), none)
    assert not torch.equal(every, none)


@torch.no_grad()
def test_codes_of_a_layer_are_the_style_and_the_random_one() -> None:
    net, w = network(), torch.randn(2, 18, 16)
    codes = net.layer_codes(w, Noise([0, 1]), 0.0)
    assert codes.shape == (2, 10, 32)
    assert torch.equal(codes[:, :, :16], w[:, :10])
    torch.testing.assert_close(codes[:, :, 16:], net.style(Noise([0, 1]).normal(16))[:, None].expand(-1, 10, -1))


@torch.no_grad()
def test_noise_maps_fit_and_reach_every_layer() -> None:
    """One map a layer, the encoder's first; the picture changes with each of them."""
    net, given, codes = network(), images(1), torch.randn(1, 10, 32)
    for name, parameter in net.named_parameters():
        if name.endswith("noise.weight"):
            parameter.fill_(1.0)
    maps = net.random(Noise([0]))["noise"]
    assert [m.shape[-1] for m in maps] == [64, 32, 32, 16, 16, 8, 8, 4, 4, 8, 8, 16, 16, 32, 32, 64, 64]
    out = net(given, {}, codes, maps)
    for i in range(len(maps)):
        assert not torch.equal(net(given, {}, codes, [*maps[:i], maps[i] * 0, *maps[i + 1 :]]), out)


@torch.no_grad()
def test_dropout_of_the_whole_code_comes_from_the_noise() -> None:
    net = network()
    assert net.random(Noise([0]))["kept"] is None
    kept = net.train().random(Noise([0]))["kept"]
    assert 8 < int(kept.sum()) < 24
    codes = torch.randn(1, 10, 32)
    whole = net.encode(images(1), codes)[1]
    torch.testing.assert_close(net.encode(images(1), codes, kept=kept)[1], 2 * whole * kept)


@torch.no_grad()
def test_a_larger_generator_runs_as_far_as_it_is_looked_at() -> None:
    torch.manual_seed(0)
    prior = E4E.create("tiny", size=128)
    prior.attach({"stylegan2": StyleGAN2.create("tiny", size=128)})
    method, data, seen = VSPBFR.create("tiny"), batch(2), []
    method.attach({"e4e": prior})
    prior.decoder.convs[-1].register_forward_hook(lambda *_: seen.append(1))
    completed = method.eval().complete(data, Noise([0, 1]))
    assert not seen
    face, restored = method.steps(data, Noise([0, 1]))
    assert seen and face.shape[-1] == 64
    assert torch.equal(restored, completed)


@torch.no_grad()
def test_the_bank_holds_the_first_map_of_every_size() -> None:
    generator, codes = e4e().decoder, torch.randn(1, 10, 64)
    image, maps = feature_bank(generator, codes)
    assert torch.equal(image, generator(codes))
    assert {side: m.shape[1] for side, m in maps.items()} == {4: 64, 8: 64, 16: 64, 32: 32, 64: 16}
    x = generator.conv1(generator.input(1), codes[:, 0])
    torch.testing.assert_close(maps[4], x)
    torch.testing.assert_close(maps[8], generator.convs[0](x, codes[:, 1]))


def test_another_network_size_is_an_error() -> None:
    with pytest.raises(BenchError, match="64 x 64"):
        network()(torch.zeros(1, 3, 32, 32), {}, torch.zeros(1, 10, 32))


def test_degraded_pictures_and_the_encoder_are_needed() -> None:
    data = batch(1)
    with pytest.raises(BenchError, match=r"needs degraded, .* restore in a condition such as degraded/mild"):
        create().complete(Batch(data.image, data.mask), Noise([0]))
    with pytest.raises(BenchError, match="prior e4e"):
        VSPBFR.create("tiny").complete(data, Noise([0]))


def test_a_prior_that_does_not_fit_is_refused() -> None:
    with pytest.raises(BenchError, match="10 or more codes of 32 values"):
        VSPBFR.create("tiny", code=32).attach({"e4e": e4e()})
    with pytest.raises(BenchError, match="12 or more codes"):
        VSPBFR.create("tiny", size=128).attach({"e4e": e4e()})
    with pytest.raises(BenchError, match=r"64, 64, 64, 32 channels .* maps of 64, 64, 32, 16"):
        VSPBFR.create("tiny", width=2048).attach({"e4e": e4e()})


@torch.no_grad()
def test_the_last_step_is_the_completion() -> None:
    method, data = create().eval(), batch(2)
    face, output = method.steps(data, Noise([0, 1]))
    assert face.shape == output.shape == (2, 3, 64, 64)
    assert torch.equal(output, method.complete(data, Noise([0, 1])))
    assert torch.equal(face, method.bank(method.codes(data.degraded, noise := Noise([0, 1])), noise)[0])
    assert not torch.equal(output, method.complete(data, Noise([2, 3])))


@torch.no_grad()
def test_the_style_encoder_sees_its_own_size_without_antialiasing() -> None:
    method, large = create(), images(1).repeat_interleave(2, 2).repeat_interleave(2, 3)
    large[:, :, ::4] += 1
    expected = F.interpolate(large, size=(64, 64), mode="bilinear", align_corners=False)
    assert torch.equal(method.seen(large), expected)


def test_ablations() -> None:
    methods = {variant: create(variant).eval() for variant in VSPBFR.variants}
    data = batch(1)
    with torch.no_grad():
        initial = methods["(a)"].initial_codes(data.degraded)
        assert torch.equal(methods["(a)"].codes(data.degraded, Noise([0])), initial)
        assert not torch.equal(methods["(b)"].codes(data.degraded, Noise([0])), initial)
    assert not any(isinstance(layer, SMART) for layer in methods["(b)"].modules())
    assert sum(isinstance(layer, StyledConv) for layer in methods["(b)"].restoration.modules()) == 17
    assert sum(isinstance(layer, SMART) for layer in create().modules()) == 9
    widths = {v: m.restoration.encoder_convs[0].modulation.weight.shape[1] for v, m in methods.items() if v != "(b)"}
    assert widths == {"(a)": 128, "(c)": 64, "(d)": 128}
    codes, maps = torch.randn(1, 10, 64), {side: torch.randn(1, Width(1024, 64)(side), side, side) for side in (8, 64)}
    other = {side: -m for side, m in maps.items()}
    with torch.no_grad():
        for variant, method in methods.items():
            outputs = [method.restore(data.degraded, m, codes, Noise([0])) for m in (maps, other)]
            assert torch.equal(*outputs) == (variant == "(d)")
            outputs = [method.restore(data.degraded, maps, w, Noise([0])) for w in (codes, -codes)]
            assert torch.equal(*outputs) == (variant == "(c)")


def steps(stage: Stage, given: Batch) -> tuple[dict[str, Tensor], list[tuple[str, Tensor]]]:
    updates: list[tuple[str, Tensor]] = []
    losses = stage.step(given, lambda name, loss: updates.append((name, loss)), Noise.shared(0, len(given)))
    return losses, updates


def test_stages_as_published() -> None:
    encoder, diffuser, restoration = create(iterations=(2, 2, 5)).stages("embedded")
    assert [stage.name for stage in (encoder, diffuser, restoration)] == ["encoder", "diffuser", "restoration"]
    assert [stage.share for stage in (encoder, diffuser, restoration)] == pytest.approx([2 / 9, 2 / 9, 5 / 9])
    assert [stage.batch_size for stage in (encoder, diffuser, restoration)] == [8, 16, 4]
    assert [stage.share for stage in create("(a)").stages("embedded")] == pytest.approx([2 / 7, 5 / 7])
    paper = VSPBFR.presets["paper"]
    assert isinstance(paper, VSPBFRConfig)
    given = create(degradation=paper.degradation, last_degradation=paper.last_degradation).stages("embedded")
    assert [stage.degradation for stage in given] == ["vspbfr", "vspbfr", "vspbfr-restoration"]


@pytest.mark.parametrize("progressive", [True, False])
def test_stage_one_learns_clean_pictures_from_degraded_ones(progressive: bool) -> None:
    method, data = create(progressive=progressive).train(), batch()
    stage = method.stages("embedded")[0]
    seen: list[Tensor] = []
    hook = method.styles.encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    losses, updates = steps(stage, data)
    hook.remove()
    assert all(torch.equal(images, data.degraded) for images in seen)
    assert [name for name, _ in updates] == ["discriminator", "discriminator", "encoder"]
    expected = losses["l2"] + 0.8 * losses["lpips"] + 0.5 * losses["identity"] + 0.1 * losses["adversarial"]
    torch.testing.assert_close(updates[-1][1], expected)
    codes = method.styles.codes(data.degraded, last=0 if progressive else None)
    face, target = stage.pair(codes, data.image, Noise.shared(1, 4))
    torch.testing.assert_close(target, data.image)
    torch.testing.assert_close(F.mse_loss(face, target), losses["l2"], rtol=0.1, atol=0)


def test_stage_one_goes_on_from_the_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trunk is not replaced by the recogniser's, with which e4e begins."""
    method = create()
    before = copy.deepcopy(method.styles.encoder.state_dict())

    class Nothing(torch.nn.Module):
        def __init__(self, *_: object):
            super().__init__()

    def refuse(name: str) -> dict[str, Tensor]:
        raise AssertionError(f"{name} is loaded")

    monkeypatch.setattr(psp, "InversionLoss", Nothing)
    monkeypatch.setattr(weights, "load", refuse)
    EncoderStage(method, "official")
    assert all(torch.equal(value, before[key]) for key, value in method.styles.encoder.state_dict().items())


def test_stage_two_trains_the_diffuser_through_all_steps() -> None:
    method, data = create().train(), batch()
    stage = method.stages("embedded")[1]
    with torch.no_grad():
        target = method.eval().initial_codes(data.image)
    inputs: list[Tensor] = []
    predict, outputs = method.diffuser.predict, []

    def watched(x: Tensor, condition: Tensor, step: int) -> Tensor:
        inputs.append(x)
        outputs.append(predict(x, condition, step))
        return outputs[-1]

    method.diffuser.predict = watched  # type: ignore[method-assign]
    losses, ((name, total),) = steps(stage, data)
    assert name == "diffuser"
    torch.testing.assert_close(losses["code"], F.l1_loss(outputs[-1], target), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(total, losses["code"] + 0.1 * losses["lpips"] + 0.1 * losses["identity"])
    assert len(inputs) == 4
    assert all(x.requires_grad for x in inputs[1:])
    parameters = list(method.diffuser.parameters())
    assert all(g is not None for g in torch.autograd.grad(losses["lpips"], parameters, retain_graph=True))
    assert not method.styles.encoder.training


def test_stage_three_losses() -> None:
    method, data = create(l1=2.0).train(), batch()
    stage = method.stages("embedded")[2]
    losses, updates = steps(stage, data)
    assert [name for name, _ in updates] == ["discriminator", "discriminator", "generator"]
    expected = losses["generator"] + 0.5 * losses["lpips"] + 0.1 * losses["identity"] + 2 * losses["l1"]
    torch.testing.assert_close(updates[-1][1], expected)
    torch.testing.assert_close(updates[1][1], 16 / 2 * losses["r1"])
    inputs = [*method.restoration.parameters(), *method.diffuser.parameters()]
    gradients = torch.autograd.grad(updates[-1][1], inputs, allow_unused=True)
    own = len(list(method.restoration.parameters()))
    unused = [n for n, g in zip(dict(method.restoration.named_parameters()), gradients, strict=False) if g is None]
    assert not unused
    assert all(g is None for g in gradients[own:])
    assert "r1" not in steps(stage, data)[0]
    assert "l1" not in steps(create(l1=0.0).train().stages("embedded")[2], data)[0]
    assert stage.ema == {"generator": 0.99}


def test_lpips_is_summed_over_the_batch() -> None:
    stage, data = create(diffuser=False).eval().stages("embedded")[-1], batch()
    losses, _ = steps(stage, data)
    method = stage.method
    noise = Noise.shared(0, 4)
    with torch.no_grad():
        codes = method.codes(data.degraded, noise)
        output = method.restore(data.degraded, method.bank(codes, noise)[1], codes, noise)
        torch.testing.assert_close(losses["lpips"], stage.lpips(output, data.image).sum())


@pytest.mark.parametrize(
    ("optimiser", "rates", "betas"),
    [
        ("released", [0.0016, 0.0016, 0.002 * 16 / 17], [(0, 0.99**0.8), (0, 0.99**0.8), (0, 0.99 ** (16 / 17))]),
        ("thesis", [2e-4] * 3, [(0.5, 0.999)] * 3),
    ],
)
def test_optimisers(optimiser: str, rates: list[float], betas: list[tuple[float, float]]) -> None:
    rate = 0.002 if optimiser == "released" else 2e-4
    _, diffuser, restoration = create(optimiser=optimiser, learning_rate=rate).stages("embedded")
    groups = [o.param_groups[0] for stage in (diffuser, restoration) for o in stage.optimisers().values()]
    assert [group["lr"] for group in groups] == pytest.approx(rates)
    for group, expected in zip(groups, betas, strict=True):
        assert group["betas"] == pytest.approx(expected)


def test_a_calm_start_forgets_the_noise() -> None:
    """A small change of the codes stays small; from the usual weights it grows in every block."""
    codes, change = torch.randn(2, 1, 10, 64, dtype=torch.float64)
    grown = []
    for start in ("released", "calm"):
        diffuser = create(start=start).diffuser.double()
        with torch.no_grad():
            outputs = [diffuser(codes.roll(1, 2), codes + e * change) for e in (0, 1e-9)]
        grown.append(float((outputs[1] - outputs[0]).abs().max()) / 1e-9)
    assert grown[1] < 100 < grown[0]


def merged() -> dict[str, Any]:
    """The authors' three files in one dict."""
    with torch.device("meta"):
        encoder = {f"encoder.{key}": value for key, value in E4E.create().encoder.state_dict().items()}
    decoder = {f"decoder.{key}": value for key, value in released("vspbfr.feature_bank").items()}
    return {
        "restoration_net": {"g": {}, "g_ema": released("vspbfr.restoration"), "iter": 500_000},
        "code_diffuser": {"att_mapper": released("vspbfr.code_diffuser"), "best_fid": 0.0},
        "style_encoder_decoder": {
            "state_dict": encoder | decoder, "latent_avg": torch.empty(18, 512, device="meta"), "opts": {},
        },
    }  # fmt: skip


def test_released_files_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All in one dict, or each by itself, in any order."""
    files = merged()
    with torch.device("meta"):
        method, judge = VSPBFR.create(), Discriminator(512)
        method.load_official(files)
        assert set(method.networks()) == {"style encoder", "feature bank", "code diffuser", "restoration"}
        judge.load_state_dict(judge_from_released(released("vspbfr.discriminator")))
        monkeypatch.setattr(weights, "read", lambda path: files[path.stem])
        named = {"diffuser_weights": tmp_path / "code_diffuser.pt", "encoder_weights": tmp_path / "restoration_net.pt"}
        VSPBFR.create(**named).load_official(files["style_encoder_decoder"])
        assert VSPBFR.create(**named).config.files() == list(named.values())


def test_a_missing_file_is_named() -> None:
    files = merged()
    with torch.device("meta"):
        method = VSPBFR.create()
    with pytest.raises(BenchError, match=r"code_diffuser.pt and style_encoder_decoder.pt of the authors is missing"):
        method.load_official(files["restoration_net"])
    with pytest.raises(BenchError, match=r"restoration_net.pt and code_diffuser.pt"):
        method.load_official(files["style_encoder_decoder"])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in VSPBFR.golden if name != "vspbfr.code_diffuser"])
def test_golden_files_pass(name: str, shared: Path) -> None:
    """Networks of up to 205 G multiply-accumulates in double precision: too slow for the other golden tests."""
    known = {name: ("vspbfr", VSPBFR.golden[name])}
    result = golden.check(shared / "golden" / f"{name}.npz", shared / "specs", known)
    assert result.passed, golden.line(result)
