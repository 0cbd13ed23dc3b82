"""TFill: what a token sees, what is kept by size, the two stages, the four official files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.tfill import TFill
from baselines.tfill.layers import PartialConv, PlainConv, certain, weighted
from bench.errors import BenchError
from bench.method import Batch, Noise

FILES = {"encoder_weights": "encoder", "transformer_weights": "transformer", "decoder_weights": "decoder"}


def create(**options: object) -> TFill:
    torch.manual_seed(0)
    return TFill.create("tiny", **options)


def batch(height: int = 64, width: int = 64) -> Batch:
    image = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(2, 1, height, width)
    mask[:, :, 20:44, 12:40] = 1
    return Batch(image, mask)


def test_a_token_sees_its_own_patch_alone() -> None:
    encoder, given = create().encoder, batch()
    changed = given.masked.clone()
    changed[:, :, 48:56, 56:64] *= -1
    tokens, score = encoder(given.masked, 1 - given.mask)
    differs = (encoder(changed, 1 - given.mask)[0] != tokens).any(1)
    assert differs[:, 6, 7].all()
    assert differs.sum() == 2
    torch.testing.assert_close(score, F.avg_pool2d(1 - given.mask, 8))


def test_windows_across_the_border_are_reweighted_and_handed_on() -> None:
    convolution = PlainConv(1, 1, 3, padding=1, bias=False)
    torch.nn.init.ones_(convolution.weight)
    x = torch.ones(1, 1, 5, 6)
    torch.testing.assert_close(convolution(x), 9 * x)
    handed = certain(x).under(convolution)[2]
    assert handed.map[0, 0, :2, :2].mul(9).round().tolist() == [[4, 6], [6, 9]]
    second = PartialConv(1, 1, 3, padding=1, bias=False)
    torch.nn.init.ones_(second.weight)
    torch.testing.assert_close(second(x, handed)[0], 9 * x)  # a constant stays one, whatever is trusted


def test_what_depends_on_the_size_alone_is_kept_and_serves_training_too() -> None:
    convolution, x = PlainConv(1, 2, 3, padding=1), torch.rand(1, 1, 7, 9)
    with torch.inference_mode():
        convolution(x)
    convolution(x).sum().backward()
    assert convolution.weight.grad is not None
    assert certain(x) is certain(torch.zeros(3, 4, 7, 9))


def test_a_small_weight_always_lowers_attention() -> None:
    logits = torch.tensor([2.0, -2.0])
    assert (weighted(logits, torch.full((2,), 0.25), 1e-5) < logits).all()
    torch.testing.assert_close(weighted(logits, torch.ones(2), 0.0), logits)


def test_noise_moves_pixels_through_its_gains_alone() -> None:
    method, given = create().eval(), batch()
    with torch.no_grad():
        first, second = (method.complete(given, Noise([seed, seed])) for seed in (0, 9))
        assert torch.equal(first, second)  # gains start at 0
        for name, gain in method.decoder.named_parameters():
            if "noise" in name:
                gain.fill_(1.0)
        first, second = (method.complete(given, Noise([seed, seed])) for seed in (0, 9))
    assert not torch.equal(first, second)


def test_coarse_networks_keep_their_size() -> None:
    """Any other size and shape is refined at its own size; the last step is the completion."""
    method, given = create().eval(), batch(96, 72)
    with torch.no_grad():
        masked, known = method.shrunk(given)
        coarse, refined = method.steps(given, Noise([0, 1]))
        assert torch.equal(refined, method.complete(given, Noise([0, 1])))
    assert masked.shape == (2, 3, 64, 64)
    assert set(known.unique().tolist()) == {0.0, 1.0}
    assert coarse.shape == refined.shape == given.image.shape


def test_each_stage_trains_its_networks() -> None:
    method, trained = create().train(), []
    for stage in method.stages("embedded"):
        optimisers, before = stage.optimisers(), {k: v.clone() for k, v in method.state_dict().items()}

        def update(name: str, loss: Tensor, optimisers=optimisers) -> None:
            loss.backward(inputs=[p for group in optimisers[name].param_groups for p in group["params"]])
            optimisers[name].step()

        stage.step(batch(), update, Noise.shared(0, 2))
        changed = (key for key, value in method.state_dict().items() if not torch.equal(value, before[key]))
        trained.append({key.split(".")[0] for key in changed})
    assert trained == [{"encoder", "transformer", "decoder"}, {"refiner"}]


def test_official_checkpoints_are_four_files(tmp_path: Path) -> None:
    source = create()
    for name, network in source.networks().items():
        torch.save(network.state_dict(), tmp_path / f"{name}.pth")
    refiner = source.refiner.state_dict()
    with pytest.raises(BenchError, match="encoder_weights"):
        create().load_official(refiner)
    paths = {option: tmp_path / f"{name}.pth" for option, name in FILES.items()}
    torch.manual_seed(1)
    target = TFill.create("tiny", **paths)
    target.load_official(refiner)
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in target.state_dict().items())
    swapped = TFill.create("tiny", **paths | {"encoder_weights": tmp_path / "refiner.pth"})
    with pytest.raises(BenchError, match=r"encoder_weights: .*another network"):
        swapped.load_official(refiner)
