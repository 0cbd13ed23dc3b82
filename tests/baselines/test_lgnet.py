"""LGNet: what its networks see and learn from, its attention, the rate that falls, the authors' three files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from baselines.lgnet import Attention, LGNet, LGNetStage, flat_name
from bench import golden
from bench.errors import BenchError
from bench.method import Batch, Noise

GOLDEN = Path(__file__).parents[1] / "golden"


def create(**options) -> LGNet:
    torch.manual_seed(0)
    return LGNet.create("tiny", **options)


def batch(size: int = 2) -> Batch:
    """Smooth pictures with square holes."""
    generator = torch.Generator().manual_seed(0)
    image = F.interpolate(torch.rand(size, 3, 8, 8, generator=generator), (64, 64), mode="bilinear") * 2 - 1
    mask = torch.zeros(size, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(image, mask)


def test_each_network_sees_what_the_one_before_made_of_the_hole() -> None:
    method, given, seen = create().eval(), batch(), []
    for network in method.networks().values():
        network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        images = method.steps(given, Noise([0, 1]))
        assert torch.equal(images[-1], method.complete(given, Noise([0, 1])))
    before = [torch.ones_like(given.image), *images[:2]]  # white first
    for filled, hole in zip(seen[:3], before, strict=True):
        assert torch.equal(filled, torch.cat([given.composite(hole), given.mask], dim=1))


def test_attention_is_that_of_the_fact_sheet() -> None:
    """By its definition, place by place."""
    torch.manual_seed(0)
    attention, x = Attention(3).double(), torch.randn(1, 3, 4, 5, dtype=torch.float64)
    flat = x.flatten(2)[0].T  # (places, channels)
    keys = (flat + 1e-7) / (flat + 1e-7).norm(dim=1, keepdim=True)
    near = torch.tensor([[max(abs(i // 5 - j // 5), abs(i % 5 - j % 5)) < 2 for j in range(20)] for i in range(20)])
    scores = near.double() @ (flat @ keys.T)  # (queries, keys), the queries' neighbours summed
    found = (scores.softmax(dim=1) @ keys).T.reshape(1, 3, 4, 5)
    torch.testing.assert_close(attention(x), attention.combiner(torch.cat([found, x], dim=1)))
    assert {name for name, _ in attention.named_parameters()} == {"combiner.weight", "combiner.bias"}


def test_the_losses_of_one_image_do_not_depend_on_the_hole_of_another() -> None:
    stage, given = LGNetStage(create(), "embedded"), batch()
    given.mask[1, :, :, :60] = 1
    output = -given.image
    each = [stage.reconstruction(output[i : i + 1], given.only(i)) for i in range(2)]
    torch.testing.assert_close(stage.reconstruction(output, given), torch.stack(each).mean())
    error = (2 * given.image[0]).abs()
    hole = given.mask[0, 0] == 1
    torch.testing.assert_close(each[0], 6 * error[:, hole].mean() + error[:, ~hole].mean())


def test_a_picture_without_known_pixels_has_finite_losses() -> None:
    given = batch()
    given.mask.fill_(1)
    assert LGNetStage(create(), "embedded").refinement(given.masked, given).isfinite()


def test_the_rate_stays_where_no_end_is_known() -> None:
    adam = create().stages("embedded")[0].optimisers()["generator"]
    adam.step()
    assert adam.param_groups[0]["lr"] == 2e-3


def nested_name(name: str, levels: int) -> str:
    """The authors' name of a parameter of the coarse network."""
    number, index, leaf = name.removeprefix("model").split(".")
    level = min(int(number), 2 * levels - int(number))
    above = "model.model." + ("1.model." + "3.model." * (level - 2) if level > 1 else "")
    turn = (2 if level == 1 else 4) if int(number) > levels else 0
    return f"{above}{int(index) + turn}.{leaf}"


def official_files(method: LGNet, folder: Path) -> dict[str, Path]:
    """The authors' files of the first two networks, by the options that name them."""
    levels, files = method.config.levels, {n: folder / f"latest_net_{n}.pth" for n in ("G1", "G2")}
    torch.save({nested_name(name, levels): v for name, v in method.coarse.state_dict().items()}, files["G1"])
    torch.save(method.local_refiner.state_dict(), files["G2"])
    return {"coarse_weights": files["G1"], "local_weights": files["G2"]}


def test_names_are_those_of_the_authors() -> None:
    names = [key for key, _, kind in golden.read_keys(GOLDEN / "lgnet.coarse.keys.csv") if kind != "const"]
    assert [nested_name(flat_name(name, 8), 8) for name in names] == names


def test_official_checkpoints_are_three_files(tmp_path: Path) -> None:
    source = create()
    state, files = source.global_refiner.state_dict(), official_files(source, tmp_path)
    with pytest.raises(BenchError, match="coarse_weights"):
        create().load_official(state)
    target = LGNet.create("tiny", **files)
    assert target.config.files() == list(files.values())
    target.load_official(state)
    ours = target.state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in source.state_dict().items())


def test_files_in_the_wrong_order_are_refused(tmp_path: Path) -> None:
    source = create()
    files = official_files(source, tmp_path)
    swapped = dict(zip(files, reversed(files.values()), strict=True))
    with pytest.raises(
        BenchError, match=r"coarse_weights: .*latest_net_G2\.pth holds another network, or another size of it"
    ):
        create(**swapped).load_official(source.global_refiner.state_dict())
