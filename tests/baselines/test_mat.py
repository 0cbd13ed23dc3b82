"""MAT: released names, attention to known tokens only, losses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from baselines.mat import MAT
from baselines.mat.first_stage import FAR, Block, PartialConv, shift_mask
from baselines.mat.official import DISCRIMINATORS, from_released
from baselines.mat.training import Discriminators, linear_maps
from bench import golden, weights
from bench.errors import BenchError
from bench.method import Batch, Noise
from tests import made_up_weights

FOLDER = Path(__file__).parents[1] / "golden"


def released(name: str) -> dict[str, Tensor]:
    """A checkpoint of that key list, with its constants."""
    rows = golden.read_keys(FOLDER / f"{name}.keys.csv")
    return {key: torch.empty(shape, device="meta") for key, shape, _ in rows}


def create(**options: object) -> MAT:
    torch.manual_seed(0)
    return MAT.create("tiny", **options)


def batch(count: int = 4) -> Batch:
    image = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(count, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(image, mask)


def test_released_generator_fits() -> None:
    with torch.device("meta"):
        method = MAT.create()
    state = released("mat.generator")
    method.load_official(state)
    method.load_official({f"G_ema.{key}": value for key, value in state.items()} | {"D.fc0.bias": torch.empty(1)})


def test_released_discriminators_fit() -> None:
    with torch.device("meta"):
        network = Discriminators(256, 32768, 512, group=8)
    network.load_state_dict(from_released(released("mat.discriminator"), network, DISCRIMINATORS))


@pytest.mark.parametrize(
    "change",
    [{"synthesis.other.weight": torch.empty(3)}, {"synthesis.enc.EncConv_Block_512x512.conv0.bias": torch.empty(64)}],
)
def test_a_file_of_another_kind_is_refused(change: dict[str, Tensor]) -> None:
    with torch.device("meta"):
        method = MAT.create()
    with pytest.raises(BenchError, match=f"{next(iter(change))}.*does not fit"):
        method.load_official(released("mat.generator") | change)


def test_partial_convolution_weighs_by_the_known_share() -> None:
    """Of a constant map with weights that are all equal, known pixels count as many times as there are unknown ones."""
    layer = PartialConv(1, 1)
    torch.nn.init.ones_(layer.conv[0].weight)
    known = torch.zeros(1, 1, 5, 5)
    known[:, :, 2, 2] = 1
    x, updated = layer(known, known)
    plain = layer.conv(known)
    torch.testing.assert_close(x, 9 * plain)
    assert updated.sum() == 9


def test_unknown_tokens_reach_no_others() -> None:
    torch.manual_seed(0)
    block, x = Block(8, 2, side=8, window=4, shift=2), torch.randn(1, 8, 8, 8)
    known = torch.ones(1, 8, 8, 1)
    known[:, 3, 3] = 0
    changed = x.clone()
    changed[:, 3, 3] += 1
    with torch.no_grad():
        (first, seen), (second, _) = block(x, known), block(changed, known)
    differs = (first - second).abs().amax(-1)[0] > 1e-6
    assert differs.sum() == 1 and differs[3, 3]
    assert seen.all()  # its window has known tokens


def test_windows_that_wrap_around_hold_their_parts_apart() -> None:
    mask = shift_mask(side=8, window=4, shift=2)[:, 0]  # (4, 16, 16)
    assert set(mask.unique().tolist()) == {FAR, 0.0}
    assert (mask[0] == 0).all()
    rows = torch.arange(16) // 4
    assert torch.equal(mask[2] == 0, (rows[:, None] < 2) == (rows < 2))  # lower left: two bands of rows


def test_codes_replace_half_of_the_coarsest_features() -> None:
    generator = create().eval().generator
    kept = generator.random(Noise([0]))["kept"]
    assert [x.shape for x in kept] == [(1, 32, 4, 4), (1, 64, 4, 4)]
    assert 0.4 < torch.cat([x.flatten() for x in kept]).float().mean() < 0.6


def test_the_first_stage_is_a_step() -> None:
    method, data = create().eval(), batch(1).blind()
    with torch.no_grad():
        first, final = method.steps(data, Noise([3]))
        assert torch.equal(final, method.complete(data, Noise([3])))
    assert not torch.equal(first, final)


def test_losses_and_their_order() -> None:
    stage, order = create().stages("embedded")[0], []
    losses = stage.step(batch(), lambda name, loss: order.append(name), Noise.shared(0, 4))
    assert order == ["discriminator", "discriminator", "generator"]
    assert set(losses) == {"discriminator", "r1", "final", "first", "perceptual", "l1"}
    assert stage.centre.any()
    order.clear()
    losses = stage.step(batch(), lambda name, loss: order.append(name), Noise.shared(0, 4))
    assert order == ["discriminator", "generator"] and "r1" not in losses


def test_maps_before_the_relu_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the first pass, too."""
    monkeypatch.setattr(weights, "load", made_up_weights.state)
    maps = linear_maps("relu4_4", "relu5_4")(torch.rand(1, 3, 64, 64) * 2 - 1)
    assert [x.shape[1:] for x in maps] == [(512, 8, 8), (512, 4, 4)]
    assert all((x < 0).any() for x in maps)


@pytest.mark.parametrize("options", [{"tokens": 64}, {"tokens": 24}, {"windows": (7, 8, 4, 8, 8)}, {"heads": 5}])
def test_sizes_that_do_not_fit_together_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(BenchError, match="mat: `tokens` must be"):
        create(**options)


def test_other_sizes_are_refused() -> None:
    with pytest.raises(BenchError, match="images of 64 x 64, as its option `size` says, not 32 x 32"):
        create().complete(Batch(torch.zeros(1, 3, 32, 32), torch.zeros(1, 1, 32, 32)), Noise([0]))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(MAT.golden))
def test_golden_files_pass(name: str, shared: Path) -> None:
    """Networks of up to 287 G multiply-accumulates in double precision: too slow for the other golden tests."""
    known = {name: ("mat", MAT.golden[name])}
    result = golden.check(shared / "golden" / f"{name}.npz", shared / "specs", known)
    assert result.passed, golden.line(result)
