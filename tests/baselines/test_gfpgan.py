"""GFP-GAN: released names, the three forms, the start from a StyleGAN2, components, colours, losses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from baselines.gfpgan import GFPGAN
from baselines.gfpgan.networks import cleaned
from baselines.gfpgan.training import GFPGANStage, boxes, discoloured
from baselines.stylegan2 import StyleGAN2
from bench import golden
from bench.errors import BenchError
from bench.method import Batch, Method, Noise
from bench.nn.milestones import MilestoneAdam

FOLDER = Path(__file__).parents[1] / "golden"


def create(**options: object) -> GFPGAN:
    torch.manual_seed(0)
    method = GFPGAN.create("tiny", **options)
    assert isinstance(method, GFPGAN)
    return method.eval()


def prior(**options: object) -> Method:
    torch.manual_seed(1)
    return StyleGAN2.create("tiny", **options)


def batch(count: int = 2) -> Batch:
    image, degraded = torch.rand(2, count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    landmarks = 16 + 32 * torch.rand(count, 68, 2, generator=torch.Generator().manual_seed(1))
    return Batch(image, torch.ones(count, 1, 64, 64), {"degraded": degraded, "landmarks": landmarks})


@pytest.mark.parametrize(("preset", "name"), [("paper", "gfpgan.original"), ("clean", "gfpgan.clean")])
def test_released_files_fit(preset: str, name: str) -> None:
    with torch.device("meta"):
        method = GFPGAN.create(preset)
        state = {key: torch.empty(shape) for key, shape, _ in golden.read_keys(FOLDER / f"{name}.keys.csv")}
    method.load_official({"params_ema": state})
    del state["condition_shift.6.2.bias"]
    with pytest.raises(RuntimeError, match="condition_shift"):
        method.load_official(state)


def scrambled(method: GFPGAN) -> GFPGAN:
    """All parameters and noise strengths away from their first values."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return method.double()


def test_the_clean_form_computes_what_the_bilinear_one_does() -> None:
    bilinear, clean = scrambled(create(form="bilinear")), create(form="clean").double()
    clean.generator.load_state_dict(cleaned(bilinear.generator.state_dict()))
    images = batch().image.double()
    noise = bilinear.generator.stylegan_decoder.stored()
    with torch.no_grad():
        expected = bilinear.generator(images, noise)
        torch.testing.assert_close(clean.generator(images, noise), expected, rtol=1e-6, atol=1e-6 * expected.std())


@pytest.mark.parametrize("form", ["original", "bilinear", "clean"])
def test_it_starts_from_the_weights_of_a_stylegan2(form: str) -> None:
    method, given = create(form=form), prior()
    assert isinstance(given, StyleGAN2)
    method.attach({"stylegan2": given})
    decoder, code = method.generator.stylegan_decoder, torch.randn(1, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(decoder.style(code), given.generator.style(code))
        ours, theirs = decoder(decoder.style(code)), given.generator(given.generator.style(code))
    if form == "original":
        assert torch.equal(ours, theirs)
    else:  # another filter
        assert 0 < (ours - theirs).std() < theirs.std()


@pytest.mark.parametrize("preset", ["paper", "clean", "bilinear"])
def test_the_priors_of_the_presets_fit(preset: str) -> None:
    with torch.device("meta"):
        GFPGAN.create(preset).attach({"stylegan2": StyleGAN2.create(GFPGAN.prior_presets[preset]["stylegan2"])})


def test_a_prior_of_another_size_is_refused() -> None:
    with pytest.raises(BenchError, match=r"size 64, width 1024.*this prior has 32, 1024"):
        create().attach({"stylegan2": prior(size=32)})


def test_stored_noise_makes_completions_repeatable() -> None:
    given = batch()
    for noise in ("drawn", "stored"):
        method = create(noise=noise)
        with torch.no_grad():
            for name, parameter in method.named_parameters():
                if name.endswith("noise.weight"):
                    parameter.fill_(1)
            one, two = (method.complete(given, Noise.shared(seed, 2)) for seed in (0, 1))
        assert torch.equal(one, two) == (noise == "stored")


def test_training_leaves_stylegan2_as_it_is() -> None:
    method = create()
    learned = {id(parameter) for parameter in method.generator.learned()}
    rest = [name for name, parameter in method.generator.named_parameters() if id(parameter) not in learned]
    assert rest
    assert all(name.startswith("stylegan_decoder.") for name in rest)


def stage(**options: object) -> GFPGANStage:
    return GFPGANStage(create(**options), "embedded")


def test_boxes_are_squares_around_the_mean_of_their_points() -> None:
    points = torch.tensor([[[10.0, 20.0], [20.0, 20.0], [15.0, 26.0]], [[5.0, 5.0], [5.0, 5.0], [5.0, 5.0]]])
    expected = [[15 - 7, 22 - 7, 15 + 7, 22 + 7], [5 - 2.8, 5 - 2.8, 5 + 2.8, 5 + 2.8]]
    torch.testing.assert_close(boxes(points, 1.4, 2.0), torch.tensor(expected))


def test_components_are_cut_where_the_landmarks_are() -> None:
    images = torch.zeros(1, 3, 64, 64)
    images[:, 0, 20:24, 10:14] = 1  # the left eye
    landmarks = torch.full((1, 68, 2), 50.0)
    landmarks[0, 36:42] = torch.tensor([12.0, 22.0])
    left, right, mouth = stage().cut(images, landmarks)
    assert left.shape == right.shape == (1, 3, 16, 16)
    assert mouth.shape == (1, 3, 24, 24)
    torch.testing.assert_close(left, left.flip(-1))
    torch.testing.assert_close(left, left.flip(-2))
    assert left[0, 0, 8, 8] == 1
    assert right.abs().max() == mouth.abs().max() == 0


def test_the_pyramid_is_compared_in_the_first_part_of_the_training() -> None:
    trained = stage(pyramid=0.5)
    trained.steps = 4
    names = [trained.step(batch(), lambda *_: None, Noise.shared(i, 2)).keys() for i in range(4)]
    assert ["pyramid" in found for found in names] == [True, True, False, False]


def test_the_pyramid_halves_the_target() -> None:
    target = batch(1).image
    sizes = [target]
    for _ in range(3):
        sizes.insert(0, torch.nn.functional.avg_pool2d(sizes[0], 2))  # what halving bilinearly is
    assert stage().pyramid(sizes, target) < 1e-6


def colours(count: int = 64, **options: object) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    clean, degraded = torch.rand(2, count, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    degraded = ((degraded + 1) * 127.5).round() / 127.5 - 1
    return clean, degraded, *discoloured(degraded, clean, create(**options).config, Noise.shared(3, count))


def test_some_degraded_pictures_change_their_colours() -> None:
    clean, degraded, changed, target = colours(jitter=0.3)
    assert torch.equal(target, clean)
    share = ((changed - degraded).abs().amax((1, 2, 3)) > 1e-4).float().mean()
    assert 0.35 < share < 0.65  # of 1 - 0.7²
    steps = (changed + 1) * 127.5
    torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-4)
    assert changed.abs().max() <= 1


def test_few_pairs_are_grey() -> None:
    _, _, changed, target = colours(grey=0.25)
    for images in (changed, target):
        grey = (images[:, 0] == images[:, 1]).flatten(1).all(1)
        assert 0.1 < grey.float().mean() < 0.4


def test_later_versions_keep_the_colours() -> None:
    clean, degraded, changed, target = colours()
    assert changed is degraded or torch.equal(changed, degraded)
    assert torch.equal(target, clean)


def test_the_learning_rate_is_halved_twice() -> None:
    weight = torch.nn.Parameter(torch.ones(1))
    optimiser = MilestoneAdam([weight], 0.8, (0.0, 0.99), 8, (0.5, 0.75))
    rates = []
    for _ in range(8):
        weight.grad = torch.ones(1)
        optimiser.step()
        rates.append(optimiser.param_groups[0]["lr"])
    assert rates == [0.8] * 4 + [0.4] * 2 + [0.2] * 2
