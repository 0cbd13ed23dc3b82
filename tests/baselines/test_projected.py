"""The Projected baseline: its channels, its skips and gates, one iteration."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from baselines.projected import Decoder, FastGAN, Generator, Projected, channels
from bench.batch import Noise
from bench.errors import BenchError
from bench.method import Batch
from bench.nn.fastgan import Up, settle


def batch() -> Batch:
    mask = torch.zeros(2, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1, mask)


def test_channels_are_fastgans() -> None:
    sizes = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
    assert [channels(size, 128) for size in sizes] == [2048, 1024, 512, 256, 256, 128, 64, 32, 16]


def test_a_latent_code_counts_by_its_direction_alone() -> None:
    torch.manual_seed(0)
    network = settle(FastGAN(resolution=16, width=4, full=True)).eval()
    z = torch.randn(2, 256)
    with torch.no_grad():
        images = network(z, Noise([0, 1]).maps(network.sides))
        assert images.shape == (2, 3, 16, 16)
        torch.testing.assert_close(network(3 * z, Noise([0, 1]).maps(network.sides)), images, atol=1e-4, rtol=1e-4)
        assert not torch.allclose(network(-z, Noise([0, 1]).maps(network.sides)), images, atol=1e-2)


def test_skips_are_added_before_the_excitation() -> None:
    torch.manual_seed(0)
    decoder = settle(Decoder(64, 2, full=False)).eval()
    start = torch.randn(1, channels(4, 2), 4, 4)
    skips = {size: torch.zeros(1, channels(size, 2), size, size) for size in decoder.sizes}
    skips[64] += 1
    seen: dict[str, Tensor] = {}
    decoder.get_submodule("feat_64").register_forward_hook(lambda module, args, output: seen.update(up=output))
    decoder.get_submodule("se_64").register_forward_pre_hook(
        lambda module, args: seen.update(small=args[0], big=args[1])
    )
    with torch.no_grad():
        decoder.decode(start, [], skips)
    assert torch.equal(seen["small"], start)
    assert torch.equal(seen["big"], seen["up"] + 1)


def test_encoder_mirrors_the_decoder() -> None:
    network = Generator(64, 2, full=False)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, module in network.named_children():
        if name.startswith(("down_", "feat_")):
            module.register_forward_hook(
                lambda module, args, output, name=name: shapes.update({name: output.shape[1:]})
            )
    data = batch()
    network(data.masked, data.mask, Noise([0, 1]).maps(network.sides))
    assert shapes["down_8"] == (32, 4, 4)
    assert all(shapes[f"down_{2 * size}"] == shapes[f"feat_{size}"] for size in (8, 16, 32))


def test_up_blocks() -> None:
    """Light-weight blocks have one convolution and no noise, full ones two."""
    for up, expected in (("lite", 1), ("full", 2)):
        method = Projected.create("tiny", up=up)
        block = method.generator.get_submodule("feat_8")
        assert isinstance(block, Up)
        assert sum(isinstance(layer, torch.nn.Conv2d) for layer in block) == expected


def test_all_four_maps_are_judged() -> None:
    stage = Projected.create("tiny").stages("embedded")[0]
    order: list[str] = []
    losses = stage.step(batch(), lambda name, loss: order.append(name), Noise.shared(0, 2))
    assert order == ["discriminator", "generator"]
    assert losses.keys() == {"discriminator", "generator", "lpips"}
    assert stage.projected(batch().image).shape == (2, 4 * 25)


def test_other_sizes_are_refused() -> None:
    with pytest.raises(BenchError, match="multiples of 16, not 64 x 72"):
        Projected.create("tiny").generator(torch.zeros(1, 3, 64, 72), torch.zeros(1, 1, 64, 72), [])
