"""HierInv: the chain of codes, the place of the skip encoder, the losses of both passes, the rows of Table 2."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from baselines.stylegan2 import StyleGAN2
from bench import golden
from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.nn.stylegan2_blocks import NoiseInjection
from methods.hierinv import HierInv, Mixing, SkipEncoder


def create(preset: str = "tiny", **options: object) -> HierInv:
    torch.manual_seed(0)
    method = HierInv.create(preset, **options)
    method.attach({"stylegan2": StyleGAN2.create("tiny")})
    return method.eval()


def batch(count: int = 2) -> Batch:
    mask = torch.zeros(count, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1, mask)


@pytest.mark.parametrize("hierarchical", [True, False])
def test_a_code_reaches_its_style_and_in_the_hierarchy_all_later_ones(hierarchical: bool) -> None:
    torch.manual_seed(0)
    mixing, random, encoded = Mixing(5, 8, hierarchical), torch.randn(1, 5, 8), torch.randn(1, 10, 8)
    other_random, other_encoded = random.clone(), encoded.clone()
    other_random[:, 2] += 1
    other_encoded[:, 5] += 1  # the second row of style 2
    before = mixing(random, encoded)
    for after in (mixing(other_random, encoded), mixing(random, other_encoded)):
        same = [torch.equal(before[:, i], after[:, i]) for i in range(5)]
        assert same == [True, True, False, not hierarchical, not hierarchical]


def test_the_skip_encoder_replaces_the_first_layer_at_a_quarter_of_the_size() -> None:
    assert HierInv.presets["paper"].layer == 7
    method, seen = create(), {}
    constant = torch.full((1, 64, 16, 16), 0.5)
    method.skip.forward = lambda detail, x: constant.expand(len(x), -1, -1, -1)
    edit = method.replaced(torch.zeros(2, 32, 16, 16))

    def look(layer: int, x: torch.Tensor) -> torch.Tensor:
        seen[layer] = x
        return edit(layer, x)

    with torch.no_grad():
        codes = method.decoder.style(torch.randn(2, 64))
        image = method.decoder(codes, edit=look)
        assert seen[method.config.layer].shape == (2, 64, 16, 16)
        layers = [layer for layer, x in seen.items() if x.shape[-1] == 16]
        assert method.config.layer == min(layers)
        assert not torch.equal(image, method.decoder(codes))


def test_other_random_numbers_give_other_completions() -> None:
    method = create()
    with torch.no_grad():
        first, second = (method.complete(batch(), Noise(seeds)) for seeds in ([0, 1], [2, 3]))
    assert (first - second).abs().mean() > 1e-5


@pytest.mark.parametrize("space", ["w+", "w+f+", "two-stage"])
def test_completions_differ_by_their_code_alone(space: str) -> None:
    """The generator's noise is there and is the same for all pictures and random numbers."""
    method, given, seen = create(space=space), batch(1), []
    for layer in method.decoder.modules():
        if isinstance(layer, NoiseInjection):
            torch.nn.init.ones_(layer.weight)
    method.mixing.forward = lambda random, encoded: encoded[:, ::2]  # the random code says nothing
    method.decoder.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[1]))
    with torch.no_grad():
        first, second = (method.complete(given, Noise([seed])) for seed in (0, 1))
        assert torch.equal(first, second)
        encoded, detail = method.encoder(given.masked, 1 - given.mask)
        silent = method.draw(encoded[:, ::2], detail, torch.cat([given.masked, 1 - given.mask], dim=1))
    assert (silent - first).abs().mean() > 1e-3
    assert all(len(maps) == len(method.decoder.sides) for maps in seen[:2])


def test_the_skip_encoder_takes_other_widths() -> None:
    assert SkipEncoder(24, 8, 5)(torch.randn(1, 20, 16, 16), torch.randn(1, 4, 16, 16)).shape == (1, 5, 16, 16)


def test_losses_of_a_step() -> None:
    """The critic first, on composites; the encoder by L_rg, L_rr and both adversarial terms; the prior stays."""
    method, order, totals = create(photos=0.0).train(), [], []
    stage = method.stages("embedded")[0]
    seen = []
    stage.adversary.network.register_forward_pre_hook(lambda module, given: seen.append(given[0].detach()))

    def update(name: str, loss: torch.Tensor) -> None:
        order.append(name)
        totals.append(loss.detach())

    losses = stage.step(batch(), update, Noise.shared(0, 2))
    assert order == ["discriminator", "discriminator", "generator"]
    expected = 0.08 * losses["generator"] + losses["same"] + losses["other"]
    torch.testing.assert_close(totals[-1], expected.detach())
    original, fakes = seen[0], seen[1]
    known = (1 - batch().mask).bool().expand(-1, 3, -1, -1)
    for fake in (fakes[::2], fakes[1::2]):
        assert torch.equal(fake[known], original[known]) and not torch.equal(fake, original)
    trained = {id(p) for o in stage.optimisers().values() for g in o.param_groups for p in g["params"]}
    assert not trained & {id(p) for p in method.decoder.parameters()}


def test_only_valid_pixels_count_with_another_code() -> None:
    """L_rr is zero for an image that differs under the hole alone; L_rg is not."""
    stage, given = create().stages("embedded")[0], batch()
    changed = given.image + given.mask
    assert stage.distance((1 - given.mask) * changed, given.masked) == 0
    assert stage.distance(changed, given.image) > 0


@pytest.mark.parametrize(("photos", "kept"), [(0.0, ""), (0.5, "13"), (1.0, "0123")])
def test_training_images_are_drawn_or_photographs(photos: float, kept: str) -> None:
    stage, given = create(photos=photos).stages("embedded")[0], batch(4)
    images = stage.images(given, torch.randn(4, 64), Noise.shared(0, 4))
    assert [torch.equal(a, b) for a, b in zip(images, given.image, strict=True)] == [str(i) in kept for i in range(4)]


def test_the_second_stage_leaves_the_first() -> None:
    method = create(space="two-stage").train()
    first, second = method.stages("embedded")
    assert first.share + second.share == 1
    before = {name: value.clone() for name, value in method.state_dict().items()}
    optimisers = second.optimisers()

    def update(name: str, loss: torch.Tensor) -> None:
        optimisers[name].zero_grad()
        loss.backward(retain_graph=True)
        optimisers[name].step()

    method.encoder.requires_grad_(False)
    second.step(batch(), update, Noise.shared(0, 2))
    changed = {
        name.split(".")[0] for name, value in method.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {"encoder2", "skip"}


@pytest.mark.parametrize("name", HierInv.variants)
def test_rows_of_table_2_complete(name: str) -> None:
    method = create(**HierInv.variants[name])
    parts = {"w+": set(), "w+f+": {"skip"}, "two-stage": {"skip", "encoder2"}}[method.config.space]
    assert set(method.networks()) == {"encoder", "mixing", "decoder"} | parts
    with torch.no_grad():
        assert method.complete(batch(), Noise([0, 1])).shape == (2, 3, 64, 64)


def test_a_prior_of_another_size_is_refused() -> None:
    message = "256 px and codes of 512, its prior stylegan2 makes 64 px"
    with torch.device("meta"), pytest.raises(BenchError, match=message):
        create("paper")


@pytest.mark.slow
def test_the_large_golden_file_passes(shared: Path) -> None:
    """It fills some 250 million weights in double precision, so its copy is not among the tests' own files."""
    known = {"hierinv": ("hierinv", HierInv.golden["hierinv"])}
    result = golden.check(shared / "golden" / "hierinv.npz", shared / "specs", known)
    assert result.passed, golden.line(result)
