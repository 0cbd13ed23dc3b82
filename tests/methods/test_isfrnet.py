"""ISFRNet: the weighted skips, the hand-over between the stages, the losses on numbers, the rows of table 1."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from baselines.psp import PSP
from baselines.stylegan2 import StyleGAN2
from bench.batch import Noise
from bench.errors import BenchError
from bench.method import Batch
from methods.isfrnet import SFR, ISFRNet, hole_variation, skip_weight


def create(**options) -> ISFRNet:
    torch.manual_seed(0)
    psp = PSP.create("tiny")
    psp.attach({"stylegan2": StyleGAN2.create("tiny")})
    method = ISFRNet.create("tiny", **options)
    method.attach({"psp": psp})
    return method


def batch() -> Batch:
    mask = torch.zeros(2, 1, 64, 64)
    mask[0, :, 20:44, 16:40] = 1
    mask[1, :, 10:12, 10:12] = 1
    return Batch(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1, mask)


def test_weights_of_the_skips() -> None:
    mask = batch().mask
    assert skip_weight(mask, "share").flatten().tolist() == pytest.approx([4096 / 576, 10])  # 4096 / 4 is capped
    assert skip_weight(mask, "count").flatten().tolist() == pytest.approx([1 / 576, 1 / 4])
    assert skip_weight(mask, "none").flatten().tolist() == [1, 1]
    assert skip_weight(torch.zeros(1, 1, 64, 64), "share").isfinite().all()


def test_weight_touches_the_erased_images_skips_but_not_the_bottleneck() -> None:
    torch.manual_seed(0)
    network = SFR(width=4, levels=4).eval()
    inputs: list[Tensor] = []
    for layer in network.decoder:
        layer.register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
    given = (torch.randn(1, 3, 16, 16), torch.zeros(1, 1, 16, 16), torch.randn(1, 3, 16, 16))
    with torch.no_grad():
        for weight in (1.0, 2.0):
            network(*given, torch.full((1, 1, 1, 1), weight))
        ours = network.encoder_i(torch.cat(given[:2], dim=1))
        theirs = network.encoder_c(given[2])
    once, twice = inputs[:4], inputs[4:]
    assert torch.equal(once[0], torch.cat([ours[3], theirs[3]], dim=1).relu())
    assert torch.equal(once[0], twice[0])
    width = ours[2].shape[1]
    assert torch.equal(twice[1][:, width : 2 * width], 2 * once[1][:, width : 2 * width])
    assert torch.equal(twice[1][:, 2 * width :], theirs[2].relu())


def test_each_stage_sees_the_known_pixels() -> None:
    method, data = create().eval(), batch()
    with torch.no_grad():
        filled, refined = method.invert(data), method.refine_identity(data)
    known = 1 - data.mask
    assert torch.equal(filled * known, data.masked) and torch.equal(refined * known, data.masked)
    face = method.psp.decode(method.psp.codes(data.masked))
    torch.testing.assert_close(filled * data.mask, face * data.mask)


@pytest.mark.parametrize("stage", ["psp.decoder", "ifr"])
def test_another_image_of_an_earlier_stage_changes_the_completion(stage: str) -> None:
    method, data = create().eval(), batch()
    with torch.no_grad():
        first = method.complete(data, Noise([0, 1]))
        method.get_submodule(stage).register_forward_hook(lambda module, inputs, output: -output)
        second = method.complete(data, Noise([0, 1]))
    assert ((first - second) * data.mask).abs().mean() > 1e-5


def test_the_prior_stays_as_it_is() -> None:
    method = create().train()
    assert not any(module.training for module in method.psp.modules())
    assert method.ifr.training and method.sfr.training
    assert not any(p.requires_grad for p in method.psp.parameters())
    assert any(name.startswith("psp.encoder") for name in method.state_dict())


@pytest.mark.parametrize(
    ("variant", "names", "networks"),
    [
        ("pSp+IFR", ["ifr"], {"psp", "ifr"}),
        ("pSp+SFR", ["sfr"], {"psp", "sfr"}),
        ("pSp+IFR+SFR (no weighting)", ["ifr", "sfr"], {"psp", "ifr", "sfr"}),
        ("ISFRNet", ["ifr", "sfr"], {"psp", "ifr", "sfr"}),
    ],
)
def test_rows_of_table_1(variant: str, names: list[str], networks: set[str]) -> None:
    method = create(**ISFRNet.variants[variant])
    assert [stage.name for stage in method.stages("embedded")] == names
    assert set(method.networks()) == networks


def test_the_region_of_stage_twos_l1() -> None:
    data = batch()
    found = {}
    for region in ("hole", "image"):
        stage = create(region=region).stages("embedded")[0]
        found[region] = stage.step(data, lambda name, loss: None, Noise.shared(0, 2))["l1"]
    method = create()
    output = method.ifr(torch.cat([method.invert(data), data.mask], dim=1))
    error = (output - data.image).abs()
    assert found["hole"].item() == pytest.approx((error * data.mask).mean().item(), rel=1e-4)
    assert found["image"].item() == pytest.approx(error.mean().item(), rel=1e-4)


def test_variation_counts_the_hole_and_one_pixel_around_it() -> None:
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 3:5, 3:5] = 1
    image = torch.zeros(1, 1, 8, 8)
    image[..., 4:] = 2  # one step between columns 3 and 4: rows 2 to 5 lie in the dilated hole
    assert hole_variation(image, mask).item() == pytest.approx(4 * 2 / 64)
    image = torch.zeros(1, 1, 8, 8)
    image[..., 6:] = 2  # outside
    assert hole_variation(image, mask) == 0


def test_without_any_stage_is_refused() -> None:
    with pytest.raises(BenchError, match="both off"):
        ISFRNet.create("tiny", ifr=False, sfr=False)


def test_stage_two_alone_takes_sizes_that_stage_three_does_not() -> None:
    data = Batch(torch.zeros(1, 3, 72, 72), torch.ones(1, 1, 72, 72))
    assert create(**ISFRNet.variants["pSp+IFR"]).eval().complete(data, Noise([0])).shape == (1, 3, 72, 72)


def test_other_sizes_are_refused() -> None:
    with pytest.raises(BenchError, match="multiples of 64, not 96 x 96"):
        create().complete(Batch(torch.zeros(1, 3, 96, 96), torch.zeros(1, 1, 96, 96)), Noise([0]))
