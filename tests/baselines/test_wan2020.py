"""Wan et al.: released names, what runs by which option, how scratches are mended, what each stage trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from baselines.wan2020 import Wan2020, spread
from baselines.wan2020.detector import Detector, Halving
from baselines.wan2020.networks import PartialNonLocal, PatchAttention, touched
from baselines.wan2020.training import FaceStage, MappingStage, PhotoStage, aged, painted
from bench import golden
from bench.batch import Noise
from bench.errors import BenchError
from bench.weights import layouts
from tests.test_methods import batch, noise, take_a_step

KEYS = Path(__file__).parents[1] / "golden"
FILES = {
    "encoder_weights": "VAE_A_quality/latest_net_G.pth",
    "mapping_weights": "mapping_quality/latest_net_mapping_net.pth",
    "decoder_weights": "VAE_B_quality/latest_net_G.pth",
    "detector_weights": "detection/FT_Epoch_latest.pt",
}


def create(seed: int = 0, **options: Any) -> Wan2020:
    torch.manual_seed(seed)
    return Wan2020.create("tiny", **options)


def released(name: str) -> dict[str, torch.Tensor]:
    return {key: torch.empty(shape) for key, shape, _ in golden.read_keys(KEYS / f"wan2020.{name}.keys.csv")}


def saved(method: Wan2020, folder: Path) -> dict[str, Path]:
    """Files as the authors lay them out, of a method's values: the options that name them."""
    detector = method.detector.state_dict() | {"down_sample.0.4.filt": torch.ones(8, 1, 3, 3)}
    content = {
        "encoder_weights": method.vae_a.state_dict(),
        "mapping_weights": method.mapping.state_dict(),
        "decoder_weights": method.vae_b.state_dict(),
        "detector_weights": {"model_state": detector, "epoch": 3},
    }
    for option, name in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        torch.save(content[option], folder / name)
    return {option: folder / name for option, name in FILES.items()}


@pytest.mark.parametrize("preset", ["paper", "scratch", "hr"])
def test_the_released_names_fit(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = "quality" if preset == "paper" else preset
    files = {"encoder": "vae", "mapping": f"mapping_{kind}", "decoder": "vae", "detector": "detector"}
    monkeypatch.setattr(layouts, "read", lambda path: released(files[path.stem]))
    with torch.device("meta"):
        method = Wan2020.create(preset, None, **{f"{name}_weights": Path(name) for name in files})
        method.load_official(released("face"))
        del (state := released("face"))["fc.bias"]
        with pytest.raises(RuntimeError, match=r"fc\.bias"):
            method.load_official(state)


def test_a_folder_of_released_files_gives_the_same_pictures(tmp_path: Path) -> None:
    source = create(1, mapping="scratch").eval()
    method = create(2, mapping="scratch", **saved(source, tmp_path)).eval()
    given = batch().blind()
    with torch.no_grad():
        assert not torch.equal(method.complete(given, noise()), source.complete(given, noise()))
        method.load_official(source.face.state_dict())
        assert torch.equal(method.complete(given, noise()), source.complete(given, noise()))


def test_a_file_that_lacks_a_tensor_is_named_with_its_option(tmp_path: Path) -> None:
    source = create(mapping="scratch")
    files = saved(source, tmp_path)
    state = source.mapping.state_dict()
    del state["NL.phi.bias"]
    torch.save(state, files["mapping_weights"])
    torch.save(source.face.state_dict(), tmp_path / "face.pth")
    method = create(mapping="scratch", **files)
    with pytest.raises(
        BenchError, match=r"^wan2020: mapping_weights: .*latest_net_mapping_net\.pth holds another network"
    ):
        layouts.load_official(method, tmp_path / "face.pth")


def test_files_that_are_not_named_are_asked_for() -> None:
    method = create(mapping="scratch")
    with pytest.raises(BenchError, match=r"options: {encoder_weights: , mapping_weights: .*, detector_weights: }"):
        method.load_official(method.face.state_dict())


def test_without_the_face_stage_the_first_file_is_the_mapping_s(tmp_path: Path) -> None:
    source = create(1, mapping="scratch")
    files = saved(source, tmp_path)
    del files["mapping_weights"]
    method = create(2, mapping="scratch", faces=False, **files)
    method.load_official(source.mapping.state_dict())
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in method.state_dict().items())


@pytest.mark.parametrize(
    ("options", "networks", "stages"),
    [
        ({}, "face generator, encoder, mapping, decoder", "vae_a, vae_b, mapping, face"),
        ({"mapping": "none"}, "face generator", "face"),
        ({"faces": False}, "encoder, mapping, decoder", "vae_a, vae_b, mapping"),
        (
            {"mapping": "scratch"},
            "face generator, scratch detector, encoder, scratch mapping, decoder",
            "vae_a, vae_b, mapping, detector, face",
        ),
        (
            {"mapping": "hr", "faces": False},
            "scratch detector, encoder, HR mapping, decoder",
            "vae_a, vae_b, mapping, detector",
        ),
    ],
)
def test_options_say_what_runs_and_is_trained(options: dict[str, Any], networks: str, stages: str) -> None:
    method = create(**options)
    assert ", ".join(method.networks()) == networks
    assert ", ".join(stage.name for stage in method.stages("embedded")) == stages
    assert len(method.eval().steps(batch(1), Noise([0]))) == method.config.faces + (method.config.mapping != "none")
    take_a_step(method, "embedded", batch(2))


def test_something_must_run() -> None:
    with pytest.raises(BenchError, match="nothing runs with `mapping: none` and `faces: false`"):
        create(mapping="none", faces=False)


def test_the_global_stage_alone_takes_more_sizes() -> None:
    assert (36, 52) in create(faces=False).config.sizes("embedded")
    assert (36, 52) not in create().config.sizes()
    assert (36, 52) not in create(mapping="hr", faces=False).config.sizes()
    with torch.no_grad():
        assert create(faces=False).complete(batch(1, size=(36, 52)), Noise([0])).shape == (1, 3, 36, 52)


def test_without_normalisation_signals_stay_alive_from_the_start() -> None:
    method, images = create(), batch(2).image
    with torch.no_grad():
        z = method.vae_a.encoder(images)
        assert z.std() > 1, "the noise of the latents would drown them"
        mapped = method.mapping(z, torch.zeros_like(images[:, :1]))
        assert 0.3 < mapped.std() / z.std() < 3
        assert method.vae_b.decoder(mapped).abs().max() < 0.9, "tanh would saturate"


def test_pictures_of_the_global_stage_are_spread_over_the_range() -> None:
    images = torch.rand(2, 3, 8, 8) * torch.tensor([0.5, 0.1]).view(2, 1, 1, 1)
    found = spread(images)
    assert found.amin((1, 2, 3)).tolist() == [-1, -1]
    torch.testing.assert_close(found.amax((1, 2, 3)), torch.ones(2))
    assert spread(torch.ones(1, 3, 4, 4)).isfinite().all()
    method, given = create(faces=False, normalised=True).eval(), batch(1)
    with torch.no_grad():
        mended = method.complete(given, Noise([0]))
    assert mended.min() == -1
    assert mended.max() == pytest.approx(1)


def test_intact_places_stay_and_holes_take_from_them_alone() -> None:
    layer, x = PartialNonLocal(3, nn.InstanceNorm2d), torch.rand(1, 3, 8, 8)
    layer.res_block = nn.Identity()
    for convolution in (layer.g, layer.W):
        nn.init.dirac_(convolution.weight)
        nn.init.zeros_(convolution.bias)
    mask = torch.zeros(1, 1, 32, 32)
    mask[:, :, 8:17, 8:16] = 1  # its last row is of those that nearest resizing takes, and bilinear does not
    x[:, :, 2:5, 2:4] = 9
    hole = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    hole[:, :, 2:5, 2:4] = True
    assert torch.equal(touched(mask, x).nonzero()[:, 2:], hole[:, :, :4].nonzero()[:, 2:])
    with torch.no_grad():
        found = layer(x, mask)
        assert torch.equal(found[~hole.expand_as(x)], x[~hole.expand_as(x)])
        assert found[hole.expand_as(x)].max() <= 1
        assert layer(x, torch.ones_like(mask)).isfinite().all()


def test_holes_become_the_most_similar_whole_patch() -> None:
    layer, seen = PatchAttention(4, 2, nn.InstanceNorm2d), []
    layer.res_block = nn.Identity()
    layer.F_Combine.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    x, mask = torch.randn(1, 4, 8, 8), torch.zeros(1, 1, 32, 32)
    x[..., 4:6, 6:8] = 3 * x[..., 0:2, 0:2]  # as similar as can be
    mask[..., :8, :8] = 1  # the patch above
    mask[..., 24:, 28:] = 1  # a half: no hole
    with torch.no_grad():
        layer(x, mask)
    z, composed, scratched = seen[0].split((4, 4, 1), dim=1)
    assert torch.equal(z, x)
    expected = x.clone()
    expected[..., 0:2, 0:2] = x[..., 4:6, 6:8]
    torch.testing.assert_close(composed, expected)
    assert scratched.sum() == 4 + 2


def test_halving_keeps_what_is_even_and_takes_away_what_alternates() -> None:
    layer = Halving(2)
    assert torch.equal(layer(torch.ones(1, 2, 8, 6)), torch.ones(1, 2, 4, 3))
    stripes = torch.tensor([1.0, -1.0]).repeat(4).expand(1, 2, 8, 8)
    assert layer(stripes).abs().max() == 0
    assert not any(name.endswith("filt") for name in Detector(4, 64).state_dict())


@pytest.mark.parametrize("size", [(64, 64), (48, 200), (150, 129)])
def test_scratches_are_found_at_the_size_that_the_detector_knows(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    detector, seen = Detector(4, 64).eval(), []
    detector.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape[2:]))
    with torch.no_grad():
        mask = detector.find(torch.rand(1, 3, *size) * 2 - 1)
        assert min(seen[0]) == 64
        assert all(side % 16 == 0 for side in seen[0])
        assert mask.shape[2:] == size
        assert set(mask.unique().tolist()) <= {0.0, 1.0}
        detector.last[1].bias.fill_(100)
        assert detector.find(torch.zeros(1, 3, *size)).all()


def test_scratches_that_are_found_are_painted_and_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    method, given = create(mapping="scratch", faces=False).eval(), batch(1)
    monkeypatch.setattr(method.detector, "find", lambda images: given.mask)
    degraded = given.degraded
    with torch.no_grad():
        expected = method.complete(given, Noise([0]))
        under = given.guided(degraded=torch.where(given.mask > 0, -degraded, degraded))
        assert torch.equal(method.complete(under, Noise([0])), expected)
        assert (painted(degraded, given.mask)[given.mask.expand_as(degraded) > 0] == 1).all()


@pytest.mark.parametrize(
    ("mapping", "ttur", "rates"),
    [("quality", True, [1e-4, 4e-4]), ("quality", False, [2e-4, 2e-4]), ("scratch", True, [2e-4, 2e-4])],
)
def test_the_mapping_learns_at_two_rates_unless_there_are_scratches(
    mapping: str, ttur: bool, rates: list[float]
) -> None:
    method = create(mapping=mapping, ttur=ttur, learning_rate=2e-4)
    stage = MappingStage(method, "embedded")
    groups = {name: optimiser.param_groups[0] for name, optimiser in stage.optimisers().items()}
    assert [groups[name]["lr"] for name in ("generator", "discriminator")] == pytest.approx(rates)
    assert {id(p) for p in groups["generator"]["params"]} == {id(p) for p in method.mapping.parameters()}
    spectral = [name for name, _ in stage.judge.named_parameters() if name.endswith("weight_orig")]
    assert bool(spectral) == (mapping == "scratch")


@pytest.mark.parametrize("old", [0.0, 1.0])
def test_latents_of_old_photos_should_be_taken_for_synthetic_ones(old: float) -> None:
    """The authors' `loss_G_featD` is of `real_old_feat` alone."""
    method, given = create(old=old).train(), batch(2)
    stage, seen = PhotoStage(method, "embedded"), []
    method.vae_a.encoder.register_forward_hook(lambda module, images, latent: seen.extend([images[0], latent]))
    losses = stage.step(given, lambda name, loss: None, Noise.shared(0, 2))
    assert torch.equal(seen[0], given.degraded) == (not old)
    logits = stage.latent_judge(seen[1])[0][-1]
    assert losses["merging"].item() == pytest.approx(old * logits.square().mean().item(), rel=1e-4)
    (gradient,) = torch.autograd.grad(losses["merging"], seen[1], retain_graph=True)
    assert gradient.any() == bool(old)
    assert losses["latents"].item() == pytest.approx((logits - old).square().mean().item() / 2, rel=1e-4)


def test_old_photos_are_blurred_and_have_grain() -> None:
    stripes = torch.tensor([0.5, -0.5]).repeat(32).expand(2, 3, 64, 64)
    found = aged(stripes, Noise([0, 1]))
    assert found.std().item() == pytest.approx(0.1, rel=0.1)
    assert torch.equal(found[:, 0], found[:, 2])
    assert not torch.equal(found[0], found[1])


def test_the_face_stage_learns_from_what_the_global_stage_gives() -> None:
    method, given, seen = create().train(), batch(2), []
    stage = FaceStage(method, "embedded")
    method.face.register_forward_pre_hook(lambda module, images: seen.append(images[0]))
    stage.step(given, lambda name, loss: None, Noise.shared(0, 2))
    with torch.no_grad():
        assert torch.equal(seen[0], method.mended(given.degraded))
    assert not seen[0].requires_grad
