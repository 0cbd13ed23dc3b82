"""Unite&Conquer: released names, rows and weights, the second modulation, texts that nothing reads, its stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.uniteconquer import UniteConquer, shown
from baselines.uniteconquer.networks import TextBlock, united, weights
from baselines.uniteconquer.training import FaceStage, alone
from bench import golden
from bench.batch import Noise
from bench.errors import BenchError
from bench.nn.adm import modulate
from tests.test_methods import batch, noise

KEYS = Path(__file__).parents[1] / "golden"
TEXTS = ("A man with a beard", "glasses")


def create(**options: Any) -> UniteConquer:
    torch.manual_seed(0)
    small = {"width": 8, "multipliers": (1, 2), "attention": (1,), "head": 8, "groups": 4, "steps": 2}
    made = UniteConquer.create("tiny", **{**small, **options})
    assert isinstance(made, UniteConquer)
    return made.eval()


@pytest.mark.parametrize("network", ["face", "sketch"])
@pytest.mark.parametrize(("suffix", "options"), [("", {}), ("64", {"width": 64})])
def test_the_released_names_fit(network: str, suffix: str, options: dict[str, int]) -> None:
    found = {key: shape for key, shape, _ in golden.read_keys(KEYS / f"uniteconquer.{network}{suffix}.keys.csv")}
    with torch.device("meta"):
        state = UniteConquer.create(**options).get_submodule(network).state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == found


@pytest.mark.parametrize(
    ("count", "sketched", "each", "drawn"),
    [
        (0, False, (), 0), (1, False, (1,), 0), (2, False, (1, 1), 0), (3, False, (1, 1, 1.25), 0),
        (0, True, (), 1), (1, True, (1.2,), 0.6), (2, True, (1.2, 1.2), 0.6), (3, True, (1, 1, 1.25), 0.6),
    ],
)  # fmt: skip
def test_released_weights(count: int, sketched: bool, each: tuple[float, ...], drawn: float) -> None:
    assert weights(count, sketched) == (each, drawn)


def test_noises_are_united_around_that_of_nothing() -> None:
    rows, sketch = torch.randn(3, 2, 6, 4, 4), torch.randn(2, 6, 4, 4)
    a, b, free = rows[:, :, :3]
    found = united(rows, sketch, ((1.2, 1.2), 0.6))
    moved = free + 1.2 * (a - free) + 1.2 * (b - free) + 0.6 * (sketch[:, :3] - free)
    torch.testing.assert_close(found[:, :3], moved)
    torch.testing.assert_close(found[:, 3:], rows[0, :, 3:])


def test_a_sketch_alone_is_its_networks_own() -> None:
    rows, sketch = torch.randn(1, 2, 6, 4, 4), torch.randn(2, 6, 4, 4)
    torch.testing.assert_close(united(rows, sketch, weights(0, True))[:, :3], sketch[:, :3])


def test_a_text_normalises_and_modulates_once_more() -> None:
    torch.manual_seed(0)
    block, h, time, told = TextBlock(5, 4, 4, 6, 2), torch.randn(2, 4, 3, 3), torch.randn(2, 6), torch.randn(2, 5)
    with torch.no_grad():
        once = block.modulated(h, time, None)
        twice = modulate(block.out_layers[0](once), block.cond_emb_layers(told))
        torch.testing.assert_close(block.modulated(h, time, told), twice)


def test_rows_are_of_what_is_shown() -> None:
    method, given = create(), batch().guided(layout=None, sketch=None)
    maps, texts = method.rows(given)
    assert len(maps) == 3 and texts is None
    skin, hair = maps[0, :, :3], maps[1, :, 3:]
    assert torch.equal(skin[:, 0] > 0, given.need("semantics") == shown.SKIN)
    assert torch.equal(hair[:, 2] > 0, given.need("semantics") == shown.HAIR)
    assert not maps[0, :, 3:].any() and not maps[1, :, :3].any() and not maps[2].any()
    maps, texts = method.rows(given.guided(text=TEXTS, semantics=None))
    assert len(maps) == 2 and texts is not None and not maps.any()
    assert texts.flatten(1).any(1).tolist() == [True, True, False, False]


def test_a_text_is_read_as_written_and_an_empty_one_is_nothing() -> None:
    method, given = create(), batch().guided(text=("", "glasses"))
    found = method.vectors(given)
    assert found is not None
    assert not found[0].any()
    torch.testing.assert_close(found[1].norm(), torch.tensor(1.0))


def test_texts_that_nothing_reads_change_nothing_and_it_is_said() -> None:
    method, given = create(text="farl"), batch()
    with torch.no_grad():
        without = method.complete(given, noise())
        assert len(method.remarks()) == 1
        assert torch.equal(method.complete(given.guided(text=TEXTS), noise()), without)
    assert "option `farl`" in method.remarks()[1]


def test_the_layout_stands_for_the_labels() -> None:
    method, given = create(), batch()
    maps, _ = method.rows(given)
    assert torch.equal(maps, method.rows(given.guided(semantics=given.layout, layout=None))[0])


def test_training_shows_skin_hair_or_text_alone_or_nothing() -> None:
    """The authors' image_datasets.py; their trainer drops nothing more."""
    found = alone(Noise.shared(0, 20_000)).float()
    assert found.mean(0).tolist() == pytest.approx([1 / 4, 1 / 4, 3 / 8], abs=0.02)
    assert set(found.sum(1).tolist()) == {0, 1}


def test_a_picture_in_training_is_shown_what_was_drawn() -> None:
    stage, given, noise = FaceStage(create(silent=0.0), 0.5), batch(32), Noise.shared(0, 32)
    maps, texts = stage.told(given, noise)
    assert maps is not None and texts is not None
    skin, hair = maps[:, :3].flatten(1).any(1), maps[:, 3:].flatten(1).any(1)
    assert torch.equal(torch.stack([skin, hair, texts.any(1)], dim=1), alone(Noise.shared(0, 32)))


def test_half_of_the_batches_have_no_text() -> None:
    method, seen = create(silent=0.5), list[Tensor | None]()
    stage, given = FaceStage(method, 0.5), batch(4)
    for seed in range(12):
        seen.append(stage.told(given, Noise.shared(seed, 4))[1])
    assert UniteConquer.configure().silent == 0  # ours, for `tiny`
    assert {one is None for one in seen} == {True, False}
    lengths = torch.cat([one.norm(dim=1) for one in seen if one is not None])
    assert {round(float(length), 3) for length in lengths} == {0.0, 1.0}


def test_the_second_file_is_asked_for() -> None:
    with pytest.raises(BenchError, match="sketch_weights"):
        create().load_official(create().face.state_dict())
