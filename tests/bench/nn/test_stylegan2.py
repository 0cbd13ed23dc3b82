"""StyleGAN2's layers against their definitions written out, and the parts of its training."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.batch import Noise
from bench.errors import BenchError
from bench.nn.stylegan2 import Discriminator, Generator, Synthesis, Width, feature_bank, mean_code
from bench.nn.stylegan2_blocks import ConvLayer, Mapping, ModulatedConv2d, low_pass, minibatch_deviation, upsample
from bench.nn.stylegan2_training import Adversary, Lazy, PathLength, lazy_adam, mixed_codes

SMALL = Width(256, 16)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def filtered(x: Tensor, before: int, after: int, gain: float = 1.0) -> Tensor:
    """The low-pass filter as the paper's code describes it: pad, then correlate with the 4 x 4 kernel."""
    line = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype)
    kernel = gain * torch.outer(line, line) / 64
    padded = F.pad(x, (before, after, before, after))
    return F.conv2d(padded.flatten(0, 1)[:, None], kernel[None, None]).unflatten(0, x.shape[:2])[:, :, 0]


def test_filters_follow_their_definition() -> None:
    x = normal(2, 3, 6, 6)
    torch.testing.assert_close(low_pass(x, 2), filtered(x, 2, 2))
    torch.testing.assert_close(low_pass(x, 1, stride=2), filtered(x, 1, 1)[:, :, ::2, ::2])
    apart = x.new_zeros(2, 3, 12, 12)
    apart[:, :, ::2, ::2] = x
    torch.testing.assert_close(upsample(x), filtered(apart, 2, 1, gain=4))


@pytest.mark.parametrize("function", [lambda x: low_pass(x, 2), lambda x: low_pass(x, 1, 2), upsample])
def test_filters_have_first_and_second_derivatives(function) -> None:
    x = normal(1, 2, 4, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: function(x) ** 2, x)
    assert torch.autograd.gradgradcheck(lambda x: function(x) ** 2, x)


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
@pytest.mark.parametrize(("count", "size"), [(1, 4), (1, 8), (3, 8)])  # the filters hold 315 numbers, maps 80 and 320
def test_modulation_equals_one_filter_an_image(up: bool, demodulate: bool, count: int, size: int) -> None:
    """Section 2.2: scale the filters by the style, bring each to unit length, convolve image by image."""
    torch.manual_seed(0)
    layer = ModulatedConv2d(5, 7, 3, code=4, demodulate=demodulate, up=up).double()
    x, codes = normal(count, 5, size, size), normal(count, 4, seed=1)
    expected = []
    for image, style in zip(x, layer.modulation(codes), strict=True):
        weight = layer.weight[0] / math.sqrt(5 * 9) * style[None, :, None, None]
        if demodulate:
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if up:
            wide = F.conv_transpose2d(image[None], weight.transpose(0, 1), stride=2)
            expected.append(filtered(wide, 1, 1, gain=4))
        else:
            expected.append(F.conv2d(image[None], weight, padding=1))
    torch.testing.assert_close(layer(x, codes), torch.cat(expected))


def test_the_shortcut_reads_every_second_filtered_pixel() -> None:
    layer = ConvLayer(3, 5, 1, down=True, activate=False).double()
    x = normal(2, 3, 8, 8)
    expected = F.conv2d(filtered(x, 1, 1), layer[1].weight / math.sqrt(3), stride=2)
    torch.testing.assert_close(layer(x), expected)


def test_minibatch_deviation() -> None:
    """Group g has the images g, g + B/G, ...; each gets the mean deviation of its group."""
    x = normal(4, 2, 3, 3)
    out = minibatch_deviation(x, group=2)
    for image in range(4):
        group = x[[image % 2, image % 2 + 2]]
        expected = (group.var(0, unbiased=False) + 1e-8).sqrt().mean()
        torch.testing.assert_close(out[image, 2], expected.expand(3, 3))
    assert minibatch_deviation(x[:1])[0, 2].max() == pytest.approx(1e-4)
    assert minibatch_deviation(normal(6, 2, 3, 3), group=4).shape == (6, 3, 3, 3)  # groups of three


def test_synthesis_calls_edit_after_every_layer() -> None:
    network = Generator(16, SMALL, code=8, depth=2)
    seen: list[tuple[int, int]] = []

    def edit(layer: int, x: Tensor) -> Tensor:
        seen.append((layer, x.shape[-1]))
        return x * 0 if layer == 3 else x

    codes = torch.randn(2, network.codes, 8)
    with torch.no_grad():
        edited = network(codes, edit=edit)
        start = network.synthesise(torch.randn(2, 16, 4, 4), codes, edit=edit)
    assert seen[:5] == [(0, 4), (1, 8), (2, 8), (3, 16), (4, 16)]
    torch.testing.assert_close(edited.diff(dim=3).abs().max() > 0, torch.tensor(True))
    assert not torch.equal(start, edited)


@torch.no_grad()
def test_a_bank_ends_at_the_size_that_is_asked_for() -> None:
    """With the maps and the picture that the whole network has on its way there."""
    torch.manual_seed(0)
    network, layers = Generator(32, SMALL, code=8, depth=2), []
    codes, noise = torch.randn(2, network.codes, 8), [torch.randn(2, 1, side, side) for side in network.sides]
    for layer in network.convs:
        layer.register_forward_hook(lambda *_: layers.append(1))
    image, maps = feature_bank(network, codes, noise)
    assert (image.shape[-1], sorted(maps), len(layers)) == (32, [4, 8, 16, 32], 6)
    small, some = feature_bank(network, codes, noise, size=16)
    assert (small.shape[-1], sorted(some), len(layers)) == (16, [4, 8, 16], 6 + 4)
    assert all(torch.equal(some[side], maps[side]) for side in some)
    half = Generator(16, SMALL, code=8, depth=2)
    own = half.state_dict()
    half.load_state_dict({name: value for name, value in network.state_dict().items() if name in own})
    torch.testing.assert_close(small, half(codes, noise))
    assert feature_bank(network, codes, noise, size=32)[0].equal(image)


def test_each_code_drives_its_layer() -> None:
    """The last code belongs to the last picture alone, the first to everything."""
    torch.manual_seed(0)
    network = Synthesis(8, SMALL, code=8)
    start, codes = torch.randn(1, 16, 4, 4), torch.randn(1, 4, 8)
    layers: list[dict[int, Tensor]] = []
    for changed in (None, 0, 3):
        given = codes.clone()
        if changed is not None:
            given[:, changed] += 1
        found: dict[int, Tensor] = {}

        def edit(layer: int, x: Tensor, found=found) -> Tensor:
            found[layer] = x
            return x

        with torch.no_grad():
            found[9] = network.synthesise(start, given, edit=edit)
        layers.append(found)
    same = [[torch.equal(layers[0][i], other[i]) for i in (0, 1, 2, 9)] for other in layers[1:]]
    assert same == [[False] * 4, [True, True, True, False]]
    with torch.no_grad():
        repeated = network.synthesise(start, codes[:, :1].expand(-1, 4, -1))
        assert torch.equal(network.synthesise(start, codes[:, 0]), repeated)


def test_noise_is_drawn_for_each_image() -> None:
    torch.manual_seed(0)
    network = Generator(8, SMALL, code=8, depth=1)
    for module in network.modules():
        if hasattr(module, "noise"):
            nn.init.ones_(module.noise.weight)
    w = torch.randn(3, 8)
    with torch.no_grad():
        together = network(w, Noise([1, 2, 3]).maps(network.sides))
        torch.testing.assert_close(together[1:2], network(w[1:2], Noise([2]).maps(network.sides)), atol=1e-5, rtol=1e-4)
        some = network(w[::2], Noise([1, 2, 3]).thinned(2).maps(network.sides))
        torch.testing.assert_close(some, together[::2], atol=1e-5, rtol=1e-4)
        maps = [torch.zeros(1, 1, side, side) for side in (4, 8, 8)]
        assert torch.equal(network(w, maps), network(w))


@pytest.mark.parametrize("size", [4, 48])
def test_sizes_are_powers_of_two(size: int) -> None:
    with pytest.raises(BenchError, match=f"powers of two from 8 on, not {size}"):
        Discriminator(size, SMALL)


def test_limits_of_activations() -> None:
    torch.manual_seed(0)
    network = Generator(8, SMALL, code=8, depth=1, clamp=0.01)
    largest: list[float] = []
    with torch.no_grad():
        image = network(torch.randn(2, 8), edit=lambda layer, x: largest.append(float(x.abs().max())) or x)
    assert max(largest) == pytest.approx(0.01)
    assert image.abs().max() <= 0.01 * (1 + 9 / 4) + 1e-6  # the picture of half the size is filtered with gain <= 9/4


def test_mixed_codes() -> None:
    torch.manual_seed(0)
    mapping, seeds = Mapping(6, 2), list(range(40))
    plain = mixed_codes(mapping, Noise(seeds), 6, 5, 0)
    assert torch.equal(plain, plain[:, :1].expand(-1, 5, -1))
    mixed = mixed_codes(mapping, Noise(seeds), 6, 5, 1)
    changes = (mixed.diff(dim=1).abs().sum(2) > 0).sum(1)
    assert (changes == 1).all()
    cuts = (mixed.diff(dim=1).abs().sum(2) > 0).float().argmax(1)
    assert set(cuts.tolist()) == {0, 1, 2, 3}
    some = mixed_codes(mapping, Noise(seeds), 6, 5, 0.5)
    assert 8 < int((some.diff(dim=1).abs().sum((1, 2)) > 0).sum()) < 32
    torch.testing.assert_close(mixed_codes(mapping, Noise([7]), 6, 5, 0.5), some[7:8], atol=1e-6, rtol=1e-5)


def test_mean_code_is_the_same_again() -> None:
    torch.manual_seed(0)
    mapping = Mapping(6, 2)
    assert torch.equal(mean_code(mapping, 6, 64), mean_code(mapping, 6, 64))
    assert mean_code(mapping, 6, 64).shape == (6,)


def test_lazy_adam_is_corrected() -> None:
    group = lazy_adam([nn.Parameter(torch.zeros(1))], 0.002, every=4).param_groups[0]
    assert group["lr"] == pytest.approx(0.0016)
    assert group["betas"] == pytest.approx((0, 0.99**0.8))


def test_regularisers_are_due_at_their_iterations() -> None:
    lazy, again = Lazy(3), Lazy(3)
    assert [lazy.due() for _ in range(5)] == [True, False, False, True, False]
    again.load_state_dict(lazy.state_dict())
    assert [again.due() for _ in range(2)] == [False, True]


def test_r1_of_a_plane() -> None:
    """D(x) = <a, x> has the gradient a everywhere: the penalty is every * gamma / 2 * |a|²."""
    plane = nn.Sequential(nn.Flatten(), nn.Linear(12, 1, bias=False))
    adversary, seen = Adversary(plane, gamma=10, every=16), []
    image = torch.randn(2, 3, 2, 2)
    losses = adversary.improve(image, image, lambda name, loss: seen.append(loss.item()))
    square = plane[1].weight.square().sum().item()
    assert losses["r1"].item() == pytest.approx(square, rel=1e-5)
    assert seen[1] == pytest.approx(80 * square, rel=1e-5)
    assert set(adversary.improve(image, image, lambda name, loss: None)) == {"discriminator"}


def test_path_length_of_a_scaling() -> None:
    """An image that is c times its code has a path length of c |noise| / sqrt(pixels), the same for all codes."""
    path = PathLength(weight=2, every=4)
    codes = torch.randn(2, 1, 12).requires_grad_()
    noise = torch.randn(2, 3, 2, 2)
    lengths = 5 * noise.flatten(1).norm(dim=1) / 2
    penalty = path((5 * codes).view(2, 3, 2, 2), codes, noise)
    mean = 0.01 * lengths.mean()
    assert path.mean.item() == pytest.approx(mean.item(), rel=1e-5)
    assert penalty.item() == pytest.approx(8 * (lengths - mean).square().mean().item(), rel=1e-5)


def test_mixed_precision_keeps_the_picture_in_full() -> None:
    """Layers work in bfloat16; codes, the sum of pictures and the result do not."""
    torch.manual_seed(0)
    network = Generator(16, SMALL, code=8, depth=1)
    kinds: set[torch.dtype] = set()

    def edit(layer: int, x: Tensor) -> Tensor:
        kinds.add(x.dtype)
        return x

    z = torch.randn(2, 8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        codes = network.style(z)
        image = network(codes, Noise([0, 1]).maps(network.sides), edit)
    assert kinds == {torch.bfloat16}
    assert codes.dtype == image.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(
            image, network(network.style(z), Noise([0, 1]).maps(network.sides)), atol=0.1, rtol=0.1
        )
