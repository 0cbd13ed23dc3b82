"""VQFR: both versions, the dictionary's estimation, what each stage trains and what it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from baselines.vqfr import VQFR
from baselines.vqfr.blocks import Deformable
from baselines.vqfr.discriminators import SWAGAN, Patches, SpectralNorm, StyleGAN2, haar
from baselines.vqfr.training import CodebookStage, RestorationStage, balance
from bench import golden
from bench.batch import Noise
from bench.nn.stylegan2 import Width
from tests.test_methods import batch, take_a_step

KEYS = Path(__file__).parents[1] / "golden"
SECOND = {"version": "v2", "style": 0.0}


def create(**options) -> VQFR:
    torch.manual_seed(0)
    return VQFR.create("tiny", **options)


@pytest.mark.parametrize(("preset", "name"), [("paper", "v1"), ("v2", "v2")])
def test_the_released_names_fit(preset: str, name: str) -> None:
    with torch.device("meta"):
        method = VQFR.create(preset)
        state = {key: torch.empty(shape) for key, shape, _ in golden.read_keys(KEYS / f"vqfr.{name}.keys.csv")}
        method.load_official({"params": state})


def test_the_second_version_trains_but_leaves_its_textures() -> None:
    method = create(**SECOND, uncoded=0)
    _, stage = method.stages("embedded")
    before = {name: value.clone() for name, value in method.state_dict().items()}
    take_a_step(method, "embedded", batch(2))
    moved = {name.split(".")[1] for name, value in method.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"encoder", "quantizer", "decoder", "feat2index", "inpfeat_extraction", "main_branch"}
    trained = {id(p) for group in stage.optimisers()["restorer"].param_groups for p in group["params"]}
    kept = [*method.network.decoder.parameters(), *method.network.quantizer.parameters()]
    assert not trained & {id(p) for p in kept}


def test_fidelity_is_the_share_of_the_main_branch() -> None:
    method = create(**SECOND, fidelity=0.0)
    with torch.no_grad():
        texture, image = method.steps(batch(1), Noise([0]))
        assert torch.equal(texture, image)
        method.network.fidelity = 1.0
        assert not torch.equal(texture, method.complete(batch(1), Noise([0])))


def test_the_first_version_keeps_its_codes() -> None:
    method = create()
    stage = method.stages("embedded")[1]
    trained = {id(p) for group in stage.optimisers()["restorer"].param_groups for p in group["params"]}
    others = {name for name, p in method.named_parameters() if id(p) not in trained}
    assert others == {"network.quantizer.quantize_dict.Level_4.embedding.weight"}


def test_the_second_stage_asks_for_the_codes_of_the_first_ones_encoder() -> None:
    method = create()
    stage = method.stages("embedded")[1]
    with torch.no_grad():
        for parameter in method.parameters():
            parameter += 1  # as stage one would
    stage.optimisers()
    image = batch(1).image
    with torch.no_grad():
        assert torch.equal(stage.clean(image), method.network.encode(image))
    assert not any(parameter.requires_grad for parameter in stage.clean.parameters())


def test_codes_come_after_the_first_iterations() -> None:
    method, given = create(uncoded=1), batch(2)
    stage = CodebookStage(method, "embedded")
    losses = [stage.step(given, lambda name, loss: None, Noise.shared(0, 2)) for _ in range(2)]
    assert ["code" in each for each in losses] == [False, True]


def test_adversarial_losses_begin_when_they_should() -> None:
    method, given = create(codebook_gan_from=1, main_gan_from=1), batch(2)
    first, second = CodebookStage(method, "embedded"), RestorationStage(method, "embedded")
    for stage, name, penalty in ((first, "generator", "r1"), (second, "main patches", "texture r1")):
        losses = [stage.step(given, lambda name, loss: None, Noise.shared(0, 2)) for _ in range(2)]
        assert [name in each for each in losses] == [False, True]
        assert [penalty in each for each in losses] == [True, False]


def test_each_picture_has_two_discriminators_with_optimisers_of_their_own() -> None:
    method, updated = create(main_gan_from=1), []
    stage = RestorationStage(method, "embedded")
    optimisers = stage.optimisers()
    judges = [
        f"{picture} {judge}" for picture in ("texture", "main") for judge in ("discriminator", "patch discriminator")
    ]
    assert sorted(optimisers) == sorted(["restorer", *judges])
    groups = [group["params"] for optimiser in optimisers.values() for group in optimiser.param_groups]
    assert len({id(p) for group in groups for p in group}) == sum(map(len, groups))
    for _ in range(2):
        stage.step(batch(2), lambda name, loss: updated.append(name), Noise.shared(0, 2))
    assert updated == ["restorer", *judges[:2], "restorer", *judges]  # those of the main picture wait with its loss


def test_the_second_version_trains_as_its_options_say() -> None:
    """options/train/VQFR/train_vqfr_v2_B16_200K.yml, and what vqfrv2_model.py reads of it."""
    c = VQFR.configure("v2")
    weights = c.main_pixels, c.lpips, c.style, c.code, c.entropy, c.gan, c.patches, c.main_gan_from
    assert weights == (1, 1, 0, 1, 1, 1, 0.5, 5_000)
    assert (c.uncoded, c.estimate_until) == (0, 0)  # its codes have no k-means
    rates = c.model_dump(include={"restoration_rate", "finding_rate", "patch_halvings"})
    stage = RestorationStage(create(**SECOND, **rates), "embedded")
    optimisers, network = stage.optimisers(), stage.method.network
    assert sorted(optimisers) == ["main discriminator", "main patch discriminator", "restorer"]
    found = {
        id(p): (group["lr"], group["betas"])
        for optimiser in optimisers.values()
        for group in optimiser.param_groups
        for p in group["params"]
    }
    for modules, expected in (
        ([network.encoder, network.feat2index], (1e-4, (0.9, 0.96))),
        ([network.main_branch, network.inpfeat_extraction, stage.judges, stage.patches], (2e-5, (0.5, 0.9))),
    ):
        assert {found[id(p)] for m in modules for p in m.parameters() if p.requires_grad} == {expected}
    assert isinstance(stage.judges["main"], StyleGAN2)
    assert [layer.stride[0] for layer in stage.patches.modules() if isinstance(layer, nn.Conv2d)] == [2, 2, 2, 2, 1, 1]


def test_the_second_version_balances_patches_with_lpips_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    near: list[torch.Tensor] = []

    def balanced(first: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        near.append(first.detach())
        return first.new_ones(())

    monkeypatch.setattr("baselines.vqfr.training.balance", balanced)
    losses = RestorationStage(create(**SECOND), "embedded").step(batch(2), lambda name, loss: None, Noise.shared(0, 2))
    assert torch.equal(near[0], losses["main lpips"])


def test_discriminators_have_the_published_sizes() -> None:
    with torch.device("meta"):
        judges = SWAGAN(512, Width()), StyleGAN2(512, Width()), Patches(64), Patches(64, 4)
    counts = [sum(p.numel() for p in judge.parameters()) for judge in judges]
    assert counts == [27_772_799, 29_053_070, 2_782_002, 6_986_034]
    learned = sum(p.numel() for p in judges[1].parameters() if p.requires_grad)
    assert learned == 28_982_849  # StyleGAN2's own


def test_the_balance_is_the_ratio_of_gradients() -> None:
    weight = torch.ones(3, requires_grad=True)
    torch.testing.assert_close(
        balance(6 * weight.sum(), 2 * weight.sum(), weight), torch.tensor(3.0), atol=1e-3, rtol=0
    )
    assert balance(weight.sum(), 0 * weight.sum(), weight) == 1e4


def test_wavelets_keep_the_energy_and_begin_with_means() -> None:
    x = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    found = haar(x)
    assert found.shape == (2, 12, 4, 4)
    torch.testing.assert_close(found.square().sum(), x.square().sum(), rtol=1e-6, atol=0)
    torch.testing.assert_close(found[:, :3], 2 * nn.functional.avg_pool2d(x, 2), rtol=1e-6, atol=0)


def test_spectral_norm_moves_in_evaluation_and_reaches_one() -> None:
    torch.manual_seed(0)
    layer = SpectralNorm(nn.Linear(6, 4, bias=False)).eval()
    before = layer.module.weight_u.clone()
    for _ in range(100):
        out = layer(torch.eye(6))
    assert not torch.equal(before, layer.module.weight_u)
    torch.testing.assert_close(torch.linalg.matrix_norm(out, 2), torch.tensor(1.0))


def test_offsets_of_zero_are_a_convolution() -> None:
    layer = Deformable(8).double()
    nn.init.zeros_(layer.conv_offset.weight)
    nn.init.zeros_(layer.conv_offset.bias)
    x = torch.rand(1, 8, 6, 6, dtype=torch.float64)
    expected = nn.functional.conv2d(x, layer.weight / 2, padding=1)  # all count half: the sigmoid of 0
    torch.testing.assert_close(layer(x, x), expected)
