"""RGTSI: its equalisation at any size and batch, partial convolutions, structure images, losses, four files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.rgtsi import RGTSI
from baselines.rgtsi.networks import Equalisation, PartialConv
from baselines.rgtsi.smoothing import differences, solved, structure
from baselines.rgtsi.training import RGTSIStage, crop, relativistic
from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.profile import count_by_thop

DOUBLE = torch.float64


def create(preset: str = "tiny", **options) -> RGTSI:
    torch.manual_seed(0)
    return RGTSI.create(preset, **options)


def batch(size: int = 2) -> Batch:
    """Smooth pictures with square holes, and references."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, size, 3, 8, 8, generator=generator)
    image, exemplar = (F.interpolate(x, (64, 64), mode="bilinear") * 2 - 1 for x in coarse)
    mask = torch.zeros(size, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(image, mask, {"exemplar": exemplar})


def as_released(block: Equalisation, x: Tensor) -> Tensor:
    """The equalisation of one map (1, C, H, W), by its definition, place by place."""
    _, channels, height, width = x.shape
    z = block.model(x)[0]
    places = [(row, column) for row in range(height) for column in range(width)]
    around = torch.tensor(places, dtype=DOUBLE)
    gaussian = torch.exp(-torch.cdist(around, around).square() / (2 * 1.5**2))
    means = (gaussian / gaussian.sum(1, keepdim=True)) @ z.flatten(1).T  # (places, channels)
    gates, padded = F.pad(z.sigmoid(), (1, 1, 1, 1)), F.pad(z, (1, 1, 1, 1))
    likeness = []
    for row, column in places:
        here, near = gates[:, row + 1, column + 1, None], gates[:, row : row + 3, column : column + 3].flatten(1)
        values = padded[:, row : row + 3, column : column + 3].flatten(1)
        likeness.append(values @ (here * near).mean(0).softmax(0))
    read_again = [found.reshape(1, channels, height, width) for found in (means, torch.stack(likeness))]
    return block.down(torch.cat(read_again, dim=1))


@pytest.mark.parametrize("size", [(32, 32), (8, 8), (12, 6)])
def test_equalisation_is_the_released_one_of_each_image(size: tuple[int, int]) -> None:
    """At the published 32 x 32 map and batch 1, at other sizes, and in a batch."""
    torch.manual_seed(0)
    block, x = Equalisation(16).to(DOUBLE), torch.randn(2, 16, *size, dtype=DOUBLE)
    with torch.no_grad():
        expected = torch.cat([as_released(block, one[None]) for one in x])
        torch.testing.assert_close(block(x[:1]), expected[:1])
        torch.testing.assert_close(block(x), expected)
        torch.testing.assert_close(block(x.contiguous(memory_format=torch.channels_last)), expected)


@pytest.mark.parametrize("kernels", ["ones", "random"])
def test_partial_convolutions_divide_by_the_convolved_mask(kernels: str) -> None:
    torch.manual_seed(0)
    layer, x = PartialConv(4, 5).to(DOUBLE), torch.randn(2, 4, 9, 7, dtype=DOUBLE)
    both = layer.conv
    if kernels == "ones":
        nn.init.ones_(both.mask_conv.weight)
        assert layer.ratio(x)[0, 0, 4, 3] == pytest.approx(1 / (4 * 25))
    expected = F.leaky_relu(layer.bn(both.input_conv(x) / both.mask_conv(torch.ones_like(x))), 0.2)
    torch.testing.assert_close(layer(x), expected)
    nn.init.zeros_(both.mask_conv.weight)  # nothing was counted
    assert layer.ratio(x).abs().max() == 0


def test_kernels_of_masks_are_loaded_but_not_trained() -> None:
    method = create(mask_kernels="ones")
    frozen = {name for name, p in method.named_parameters() if not p.requires_grad}
    assert frozen == {name for name in method.state_dict() if "mask_conv" in name}
    assert all(method.state_dict()[name].eq(1).all() for name in frozen)
    assert not any(create().state_dict()[name].eq(1).any() for name in frozen)


def test_structure_images_solve_the_published_system() -> None:
    generator = torch.Generator().manual_seed(0)
    given, across, down = (torch.rand(1, 1, 8, 6, generator=generator, dtype=DOUBLE) for _ in range(3))
    across[..., -1], down[:, :, -1] = 0, 0
    steps = np.eye(48).reshape(48, 1, 8, 6)
    right, low = (d.reshape(48, 48).numpy().T for d in differences(torch.from_numpy(steps)))
    laplacian = sum(d.T @ sparse.diags(w.numpy().ravel()) @ d for d, w in ((right, across), (low, down)))
    expected = np.linalg.solve(np.eye(48) + laplacian, given.numpy().ravel())
    np.testing.assert_allclose(solved(given, across, down, 48).numpy().ravel(), expected, atol=1e-8)


def test_structure_images_keep_edges_and_lose_texture() -> None:
    """Stripes of 2 pixels beside a step."""
    image = torch.zeros(1, 3, 48, 48)
    image[..., 24:] = 0.8
    textured = image + 0.1 * torch.sin(torch.arange(48) * torch.pi / 2 + 0.5).view(1, 1, -1, 1)
    smooth = structure(textured)
    rough = (textured - image)[..., 4:20].std(dim=2).mean()
    assert smooth[..., 4:20].std(dim=2).mean() < 0.2 * rough
    assert (smooth[..., 30] - smooth[..., 17]).mean() > 0.6
    each = torch.cat([structure(one[None]) for one in torch.cat([textured, -textured])])
    torch.testing.assert_close(structure(torch.cat([textured, -textured])), each)


def test_relativistic_losses() -> None:
    real, fake = torch.tensor([2.0, 4.0]), torch.tensor([0.0, 1.0])
    expected = (((real - 0.5 - 1) ** 2).mean() + ((fake - 3 + 1) ** 2).mean()) / 2
    torch.testing.assert_close(relativistic(real, fake), expected)
    assert relativistic(torch.ones(2), torch.zeros(2)) == 0
    assert relativistic(torch.zeros(2), torch.ones(2)) == 4  # a generator whose images score less


@pytest.mark.parametrize(("place", "corner"), [((0.0, 0.0), (0, 0)), ((0.999, 0.999), (8, 16)), ((0.5, 0.1), (4, 1))])
def test_crops_lie_inside(place: tuple[float, float], corner: tuple[int, int]) -> None:
    images = torch.arange(40 * 48).view(1, 1, 40, 48)
    part = crop(images, 32, place)
    assert part.shape == (1, 1, 32, 32)
    assert part[0, 0, 0, 0] == corner[0] * 48 + corner[1]


def test_the_inferred_parts_learn_from_the_original_and_its_structure() -> None:
    method, given = create(), batch()
    stage = RGTSIStage(method, "embedded")
    _, texture, inferred = method.infer(given, given.exemplar)
    smooth = structure(given.image, method.config.smoothing, method.config.smoothing_steps)
    pairs = zip((texture, inferred), (given.image, smooth), strict=True)
    expected = [F.l1_loss(method.head(x), F.interpolate(y, (16, 16), mode="bilinear")) for x, y in pairs]
    torch.testing.assert_close(stage.inference(given.image, texture, inferred), sum(expected))
    assert not torch.equal(*expected)


def test_the_exemplar_reaches_the_hole() -> None:
    method, given = create().eval(), batch()
    exemplar = given.exemplar.clone().requires_grad_()
    method.infer(given, exemplar)[0].mul(given.mask).sum().backward()
    assert exemplar.grad.abs().sum() > 0


def test_operations_by_the_rule_of_the_published_column() -> None:
    """145.24 G for the released code, which convolves masks, too."""
    method = create("paper").eval()
    masks = [layer.conv.mask_conv for layer in method.modules() if isinstance(layer, PartialConv)]
    with torch.device("meta"):
        method.to("meta")
        given = torch.empty(1, 6, 256, 256), torch.empty(1, 3, 256, 256)
        _, ours = count_by_thop(lambda: method.generator(*given), method)
    both = 2 * sum(32 * 32 * layer.weight.numel() for layer in masks)  # texture and structure
    assert ours / 1e9 == pytest.approx(89.54, abs=0.005)
    assert (ours + both) / 1e9 == pytest.approx(145.24, abs=0.005)


def official_files(method: RGTSI, folder: Path) -> dict[str, Path]:
    """The authors' files beside net_RGTSI.pth, by the options that name them."""
    options = {"encoder_weights": "EN", "reference_weights": "RefEN", "decoder_weights": "DE"}
    files = {option: folder / f"net_{name}.pth" for option, name in options.items()}
    for option, name in options.items():
        torch.save({"net": method.generator.get_submodule(name).state_dict(), "optimize": {}}, files[option])
    return files


def test_official_checkpoints_are_four_files(tmp_path: Path) -> None:
    source = create()
    state = {"net": source.generator.RGTSI.state_dict(), "optimize": {}}
    with pytest.raises(BenchError, match="encoder_weights"):
        create().load_official(state)
    files = official_files(source, tmp_path)
    torch.manual_seed(1)
    target = RGTSI.create("tiny", **files)
    assert target.config.files() == list(files.values())
    target.load_official(state)
    ours = target.state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in source.state_dict().items())


def test_files_of_other_networks_are_refused(tmp_path: Path) -> None:
    source = create()
    files = official_files(source, tmp_path)
    swapped = files | {"encoder_weights": files["reference_weights"], "reference_weights": files["encoder_weights"]}
    with pytest.raises(BenchError, match=r"encoder_weights: .*net_RefEN\.pth holds another network"):
        create(**swapped).load_official({"net": source.generator.RGTSI.state_dict()})


def test_images_of_other_sizes_are_refused() -> None:
    given = Batch(torch.zeros(1, 3, 64, 80), torch.zeros(1, 1, 64, 80), {"exemplar": torch.zeros(1, 3, 64, 80)})
    with pytest.raises(BenchError, match="multiples of 32 from 64 on, not 64 x 80"):
        create().complete(given, Noise([0]))
