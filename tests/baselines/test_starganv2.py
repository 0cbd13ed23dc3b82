"""StarGAN v2: released names, domains of exemplars, what passes by the bottleneck, what each update trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from baselines.starganv2 import StarGANv2
from baselines.starganv2.networks import AdaIN, ResBlock, StyledBlock, high_pass
from baselines.starganv2.parts import BROWS, CHIN, EYES, LANDMARKS, LandmarkNetwork, WithCoordinates, masks_of
from baselines.starganv2.training import TRAINED, TranslationStage
from bench import golden, weights
from bench.batch import Noise
from bench.errors import BenchError
from bench.weights import layouts
from tests import made_up_weights
from tests.test_methods import batch, noise, take_a_step

KEYS = Path(__file__).parents[1] / "golden"
FILE = {"generator": "generator", "mapping_network": "mapping", "style_encoder": "style_encoder", "fan": "fan"}


def create(seed: int = 0, **options: Any) -> StarGANv2:
    torch.manual_seed(seed)
    return StarGANv2.create("tiny", None, **options).eval()


def released(*parts: str) -> dict[str, dict[str, torch.Tensor]]:
    """The names of a released file, as data parallel networks have them."""
    rows = {part: golden.read_keys(KEYS / f"starganv2.{FILE[part]}.keys.csv") for part in parts}
    return {part: {f"module.{key}": torch.empty(shape) for key, shape, _ in of} for part, of in rows.items()}


def test_the_released_names_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        wing = {key.removeprefix("module."): value for key, value in released("fan")["fan"].items()}
        monkeypatch.setattr(layouts, "read", lambda path: {"state_dict": wing})
        StarGANv2.create().load_official(released(*FILE))
        named = StarGANv2.create("paper", None, landmark_weights=Path("wing.ckpt"))
        named.load_official(released("generator", "mapping_network", "style_encoder"))


def test_the_landmark_network_must_be_given() -> None:
    with torch.device("meta"):
        method = StarGANv2.create()
    with pytest.raises(BenchError, match=r"wing\.ckpt in the suite's `options: {landmark_weights: }`"):
        method.load_official(released("generator", "mapping_network", "style_encoder"))
    with pytest.raises(BenchError, match=r"no embedded network finds 98 landmarks: .*or set `options: {high_pass: 0}`"):
        method.stages("embedded")


def test_domains_that_there_are_not_are_refused() -> None:
    with pytest.raises(BenchError, match=r"options\.domain: 'first' is not possible: give nearest, or the number"):
        create(domain="first")
    with pytest.raises(BenchError, match="nearest or a number below 1"):
        create(domain=1)


def test_the_exemplar_gives_the_style_or_the_pose() -> None:
    given = batch()
    turned = given.guided(source=given.exemplar, exemplar=given.source)
    with torch.no_grad():
        assert torch.equal(create(kept="exemplar").complete(given, noise()), create().complete(turned, noise()))


def test_an_exemplar_is_of_the_domain_that_draws_it_best() -> None:
    method = create(domains=2)
    encoder, images = method.style_encoder, batch(2).image
    styles = [torch.zeros(2, 16), torch.ones(2, 16)]
    encoder.forward = lambda images, domain: styles[int(domain[0])]  # type: ignore[method-assign]
    method.generator.forward = (  # type: ignore[method-assign]
        lambda x, style, masks: x + torch.tensor([1.0, 0.0]).view(2, 1, 1, 1).sub(style[:, :1, None, None]).abs()
    )
    assert torch.equal(method.styles(images), styles[0])  # of what was trained here, the first domain alone is known
    method.heads.fill_(2)
    assert torch.equal(method.styles(images), torch.stack([styles[1][0], styles[0][1]]))
    asked = create(domains=2, domain=1)
    with torch.no_grad():
        assert torch.equal(asked.styles(images), asked.style_encoder(images, torch.tensor([1, 1])))


def test_released_files_know_all_domains() -> None:
    method = create(domains=2)
    networks = {"generator": method.generator, "mapping_network": method.mapping, "style_encoder": method.style_encoder}
    method.load_official({name: network.state_dict() for name, network in networks.items()})
    assert method.heads == 2


def test_styles_scale_and_shift_normalised_maps() -> None:
    layer, x = AdaIN(3, 2), 5 * torch.rand(1, 2, 8, 8) + 1
    with torch.no_grad():
        layer.fc.weight.zero_()
        layer.fc.bias.copy_(torch.tensor([1.0, 2, 3, 4]))
        found = layer(x, torch.zeros(1, 3))
    torch.testing.assert_close(found.mean((2, 3)), torch.tensor([[3.0, 4]]))
    torch.testing.assert_close(found.var((2, 3), unbiased=False).sqrt(), torch.tensor([[2.0, 3]]), rtol=1e-3, atol=0)


def test_blocks_have_a_shortcut_unless_high_frequencies_take_one() -> None:
    x, style = torch.rand(1, 4, 4, 4), torch.rand(1, 3)
    down, up, without = ResBlock(4, 4, down=True), StyledBlock(4, 4, 3, True), StyledBlock(4, 4, 3, True, False)
    for block in (down, up, without):
        torch.nn.init.zeros_(block.conv2.weight)
        torch.nn.init.zeros_(block.conv2.bias)
    torch.testing.assert_close(down(x), torch.nn.functional.avg_pool2d(x, 2) / 2**0.5)
    torch.testing.assert_close(up(x, style), x.repeat_interleave(2, 2).repeat_interleave(2, 3) / 2**0.5)
    assert not without(x, style).any()


def test_flat_maps_have_no_high_frequencies() -> None:
    x = torch.ones(1, 2, 5, 5)
    x[0, 1, 2, 2] = 3
    found = high_pass(x, 2)[..., 1:-1, 1:-1]
    assert not found[0, 0].any()
    assert found[0, 1].tolist() == [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]


def test_coordinates_are_rows_columns_and_distances() -> None:
    layer = WithCoordinates(1, 4, 1)
    with torch.no_grad():
        layer.conv.weight.copy_(torch.eye(4)[:, :, None, None])
        layer.conv.bias.zero_()
        found = layer(torch.zeros(1, 1, 3, 5))[0]
    assert found[1, :, 0].tolist() == [-1, 0, 1]
    assert found[2, 0].tolist() == [-1, -0.5, 0, 0.5, 1]
    assert found[3, 1, 2] == 0
    assert found[3].max() == 1


@pytest.mark.parametrize(("landmark", "moved"), [(10, 0), (40, 7), (53, -4), (57, -8), (79, 8), (90, 2), (97, 0)])
def test_parts_move_by_their_group(landmark: int, moved: int) -> None:
    heat = torch.zeros(1, LANDMARKS, 256, 256)
    heat[0, landmark, 100, 50] = 5
    every, fine = masks_of(heat)
    assert every[0, 0, 100 + moved, 50] == pytest.approx(1, abs=1e-4)
    assert every.sum() == pytest.approx(1, abs=1e-4)
    in_both = not (CHIN[0] <= landmark < CHIN[1] or BROWS[0] <= landmark < BROWS[1] or 76 <= landmark < 96)
    assert bool(fine.any()) == in_both


def test_eyes_are_seen_twice_and_weak_heat_not_at_all() -> None:
    heat = torch.zeros(1, LANDMARKS, 256, 256)
    heat[0, EYES[0], 100, 50] = 5
    heat[0, 10, 10, 10] = 0.09
    every, _ = masks_of(heat)
    assert sorted(every[0, 0].nonzero().tolist()) == [[108, 50], [124, 50]]


def test_the_landmark_network_guides_a_training_and_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "load", made_up_weights.state)
    method = create(high_pass=1).train()
    take_a_step(method, "official", batch(1))
    expected = made_up_weights.state("starganv2-landmarks")["state_dict"]
    assert all(torch.equal(value, expected[name]) for name, value in method.landmarks.state_dict().items())
    assert isinstance(method.landmarks, LandmarkNetwork)


def test_every_iteration_has_its_four_updates() -> None:
    method = create().train()
    stage, names = TranslationStage(method), []
    losses = stage.step(batch(3), lambda name, loss: names.append(name), Noise.shared(0, 3))
    assert names == ["discriminator", "discriminator", *TRAINED, "generator"]
    assert {"cycle (noise)", "style (pictures)", "r1 (pictures)"} <= set(losses)


def test_diversity_counts_less_and_less(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, seen = TranslationStage(create(diversity=3).train()), []
    stage.steps = 4
    translate = stage.translate

    def noted(*given: Any) -> Any:
        seen.append(given[-1])
        return translate(*given)

    monkeypatch.setattr(stage, "translate", noted)
    for _ in range(5):
        stage.step(batch(2), lambda name, loss: None, Noise.shared(0, 2))
    assert seen[::2] == pytest.approx([3, 2.25, 1.5, 0.75, 0])
