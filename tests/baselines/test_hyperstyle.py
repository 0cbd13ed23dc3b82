"""HyperStyle: which weights get offsets, images with weights of their own, passes, official files."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torchvision.models import resnet34

from baselines.hyperstyle import BLOCKS, BODY, HyperNetwork, HyperStyle, SharedBlock, SharedWeights, tuned_layers
from baselines.stylegan2 import StyleGAN2
from bench import golden
from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.nn.stylegan2 import Generator
from bench.profile import count_parameters


def create(**options: object) -> HyperStyle:
    torch.manual_seed(0)
    method = HyperStyle.create("tiny", **options)
    method.attach({"stylegan2": StyleGAN2.create("tiny")})
    return method.eval()


def batch(count: int = 2) -> Batch:
    mask = torch.zeros(count, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1, mask)


def shapes(size: int, rgb: bool = False) -> dict[int, torch.Size]:
    with torch.device("meta"):
        generator = Generator(size)
    return {layer: generator.get_parameter(name).shape[1:] for layer, name in tuned_layers(generator, rgb).items()}


def test_tuned_layers_are_the_papers() -> None:
    assert list(shapes(1024)) == [0, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, 20, 21, 23, 24]
    assert max(shapes(256)) == 18
    every = shapes(256, rgb=True)
    assert list(every) == sorted(every) == list(range(20))
    assert {layer: tuple(every[layer]) for layer in (1, 14, 18, 19)} == {
        1: (3, 512, 1, 1), 14: (256, 512, 3, 3), 18: (128, 128, 3, 3), 19: (3, 128, 1, 1),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("size", "rgb", "count"), [(256, False, 312_984_640), (1024, False, 332_664_896), (1024, True, 369_205_472)]
)
def test_parameters_as_published(size: int, rgb: bool, count: int) -> None:
    with torch.device("meta"):
        network = HyperNetwork(6, 256, BODY, BLOCKS, shapes(size, rgb))
        shared = [int(name) for name, block in network.refinement_blocks.items() if isinstance(block, SharedBlock)]
        assert shared == [0, 2, 3, 5, 6, 8, 9, 11, 12]
        assert count_parameters(network.shared_weight_hypernet) == 136_843_776
        assert count_parameters(network) == count
        offsets = network(torch.empty(2, 6, 256, 256))
    assert offsets[12].shape == (2, 512, 512, 3, 3)
    assert offsets[14].shape == (2, 256, 512, 1, 1)
    assert not rgb or offsets[1].shape == (2, 3, 512, 1, 1)


def test_shared_weights_are_read_in_the_order_of_memory() -> None:
    network, z = SharedWeights(4, 3), torch.randn(2, 4)
    for image in range(2):
        hidden = (z[image] @ network.w2 + network.b2).view(3, 4)
        expected = (hidden @ network.w1 + network.b1).view(3, 3, 3, 3)
        torch.testing.assert_close(network(z)[image], expected)


def test_every_image_has_weights_of_its_own() -> None:
    method, codes = create(tuned="all"), torch.randn(2, 10, 64)
    maps = Noise.shared(0, 2).maps(method.decoder.sides)
    offsets = {
        layer: 0.3 * torch.randn(2, *method.decoder.get_parameter(n).shape[1:]) for layer, n in method.names.items()
    }
    assert len(offsets) == 14
    with torch.no_grad():
        images = method.draw(codes, offsets, maps)
        for i in range(2):
            generator = copy.deepcopy(method.decoder)
            for layer, name in method.names.items():
                generator.get_parameter(name).mul_(1 + offsets[layer][i])
            own = generator(codes[i : i + 1], [x[i : i + 1] for x in maps])
            torch.testing.assert_close(images[i : i + 1], own, atol=1e-4, rtol=1e-4)
        plain = method.draw(codes, {}, maps)
        none = {layer: torch.zeros_like(x) for layer, x in offsets.items()}
        torch.testing.assert_close(method.draw(codes, none, maps), plain, atol=1e-4, rtol=1e-4)
        assert not torch.allclose(images, plain, atol=1e-2)


def test_passes_add_up() -> None:
    method, given = create(passes=3), batch()
    with torch.no_grad():
        seen = method.source(given)
        codes = method.codes(seen)
        assert torch.equal(codes, codes[:, :1].expand_as(codes))
        (first, none), *made = method.passes(seen, codes)
        assert not none and len(made) == 3
        for (before, old), (_, new) in zip([(first, none), *made], made, strict=False):
            change = method.hypernet(torch.cat([seen, before], dim=1))
            assert all(torch.equal(new[layer], change[layer] + old.get(layer, 0)) for layer in method.names)
        assert len(method.steps(given, Noise([0, 1]))) == 4
        assert torch.equal(method.steps(given, Noise([0, 1]))[-1], method.complete(given, Noise([0, 1])))


def test_no_pass_reaches_back_into_the_one_before() -> None:
    """The gradient of two passes is that of each alone, from where it starts."""
    method, given = create(passes=2), batch()
    stage = method.stages("embedded")[1]
    parameters = list(method.hypernet.parameters())
    found: list[tuple[torch.Tensor, ...]] = []

    def update(name: str, loss: torch.Tensor) -> None:
        found.append(torch.autograd.grad(loss, parameters, allow_unused=True))

    losses = stage.step(given, update, Noise.shared(0, 2))
    assert set(losses) == {"l2", "lpips", "identity"}
    maps = Noise.shared(0, 2).maps(method.decoder.sides)
    expected = [torch.zeros_like(p) for p in parameters]
    with torch.no_grad():
        seen = method.source(given)
        codes = method.codes(seen)
        states = list(method.passes(seen, codes, maps))
    for image, offsets in states[:2]:
        output = method.draw(codes, method.refined(offsets, seen, image), maps)
        total, _ = stage.loss(output, given.image)
        for mine, gradient in zip(expected, torch.autograd.grad(total, parameters), strict=True):
            mine += gradient
    for ours, mine in zip(found[0], expected, strict=True):
        torch.testing.assert_close(ours, mine, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("source", ["image", "erased"])
def test_the_hypernetwork_leaves_encoder_and_generator(source: str) -> None:
    method = create(input=source).train()
    stage = method.stages("embedded")[1].train()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    optimiser = stage.optimisers()["hypernetwork"]

    def update(name: str, loss: torch.Tensor) -> None:
        loss.backward()
        optimiser.step()

    stage.step(batch(), update, Noise.shared(0, 2))
    changed = {
        name.split(".")[0] for name, value in method.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {"hypernet"}


def test_it_starts_from_a_residual_network() -> None:
    torch.manual_seed(0)
    network, resnet = HyperNetwork(7, 64, BODY, BLOCKS, {0: (8, 8, 3, 3)}), resnet34()
    mask = network.conv1.weight[:, 3:].clone()
    network.start_from(resnet.state_dict())
    assert torch.equal(network.conv1.weight[:, :3], resnet.conv1.weight)
    assert torch.equal(network.conv1.weight[:, 3:], mask)
    network.eval(), resnet.eval()
    x = torch.randn(1, 64, 32, 32)
    with torch.no_grad():
        theirs = resnet.layer4(resnet.layer3(resnet.layer2(resnet.layer1(x))))
        torch.testing.assert_close(network.body(x), theirs)


def test_the_file_of_the_encoder_is_asked_for() -> None:
    with pytest.raises(BenchError, match=r"faces_w_encoder\.pt in the suite's `options: \{w_weights: \}`"):
        create().load_official({"state_dict": {}})


@pytest.mark.slow
def test_the_large_golden_file_passes(shared: Path) -> None:
    """It fills 370 million weights in double precision, so its copy is not among the tests' own files."""
    known = {"hyperstyle": ("hyperstyle", HyperStyle.golden["hyperstyle"])}
    result = golden.check(shared / "golden" / "hyperstyle.npz", shared / "specs", known)
    assert result.passed, golden.line(result)


def test_erased_pictures_are_erased_as_hierinvs() -> None:
    """They are rows of its table, which tests shares of 0 to 100 %."""
    assert HyperStyle.configure("256").masks == "hierinv"
    assert [stage.masks for stage in create(masks="hierinv").stages("embedded")] == ["hierinv"] * 2
