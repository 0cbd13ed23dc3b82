"""All guides: their bytes, what becomes of them, and what a new one has to write."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from bench import condition, inputs
from bench.batch import Batch
from bench.data import guides
from bench.data.dataset import ImageData, prepare_synthfaces
from bench.data.guides.guide import Frame
from bench.errors import BenchError
from bench.resizing import there
from bench.samples import shown
from bench.task import Task
from bench.train import mirrored
from masks import MaskSet

DOCUMENTED = Path(__file__).parents[4] / "docs" / "adding-a-method.md"
COUNT, SIZE = 20, 64
ALL = "center/25+exemplar+sketch+semantics+colour+text+landmarks+source+layout+attributes+wanted"
BYTES = {
    "exemplar": "d3af7a2fe0a50034",
    "sketch": "a8be6165aea88af2",
    "semantics": "f6b6c48746f92bac",
    "colour": "12cc8d888653816e",
    "text": "4e7df6e837f2f58c",
    "degraded": "036bf8086e0ef58f",
    "landmarks": "0847fcf6d0be3dd8",
    "source": "42a95f0eb14f3c84",
    "layout": "e12c2d39566f9195",
    "identity": "6463584f3839235f",
    "attributes": "98610c63e1452252",
    "wanted": "d3a1c4fd0a02d986",
}
"""SHA-256 of each guide of 20 synthetic faces: numbers 20 to 39 of 40, seed 7; degraded/mild."""


def hashed(value: Any) -> str:
    """Of a tensor with its type and shape, or of texts."""
    said = value if isinstance(value, tuple) else (str(value.dtype), str(tuple(value.shape)))
    data = "\n".join(said).encode() if isinstance(value, tuple) else "".join(said).encode() + value.numpy().tobytes()
    return hashlib.sha256(data).hexdigest()[:16]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> ImageData:
    return prepare_synthfaces(2 * COUNT, SIZE, 0, tmp_path_factory.mktemp("cache"))


def batches(faces: ImageData, name: str, needs: tuple[str, ...] = ()) -> Iterator[Batch]:
    erased = MaskSet.make("center/25", SIZE, COUNT, 0)
    return Task(faces, range(COUNT, 2 * COUNT), erased, name, 7, needs).batches()


def whole(values: list[Any]) -> Any:
    return torch.cat(values).contiguous() if isinstance(values[0], Tensor) else sum(values, ())


@pytest.fixture(scope="module")
def batch(faces: ImageData) -> Batch:
    """Some faces with every guide."""
    first = next(batches(faces, ALL, needs=("identity",)))
    return first.guided(**next(batches(faces, "degraded/mild")).guides)


@pytest.mark.parametrize("name", guides.every())
def test_its_bytes_stay(faces: ImageData, name: str) -> None:
    asked = "degraded/mild" if name == "degraded" else "center/25"
    needs = () if name == "degraded" else (name,)
    assert hashed(whole([part.guides[name] for part in batches(faces, asked, needs)])) == BYTES[name]


def test_drawings_stay(faces: ImageData) -> None:
    drawn = {"sketch": "f09b78418c1242b6", "semantics": "6de6740a29a11f5b", "colour+sketch": "fd32c2432062d213"}
    for name, expected in drawn.items():
        assert hashed(whole([shown(part) for part in batches(faces, f"center/25+{name}")])) == expected


@pytest.mark.parametrize("name", guides.every())
def test_what_becomes_of_it(batch: Batch, name: str) -> None:
    guide, value = guides.get(name), batch.guides[name]

    def same(one: Any) -> bool:
        return torch.allclose(one, value, rtol=0, atol=1e-5) if isinstance(value, Tensor) else one == value

    assert getattr(batch, name) is value
    assert same(guide.mirrored(guide.mirrored(value, SIZE), SIZE))
    assert same(guide.masked(value, torch.ones_like(batch.mask)))
    assert same(guide.resized(value, (SIZE, SIZE), (SIZE, SIZE)))
    assert len(there(batch, 32).guides[name]) == len(batch)
    inside = torch.full_like(batch.image, 255, dtype=torch.uint8)
    drawn = guide.drawn(value, inside)
    assert (drawn.dtype, drawn.shape) == (inside.dtype, inside.shape) and (inside == 255).all()
    files = guide.exported(value)
    assert len(files) == len(batch)
    assert all(isinstance(file, str) or file.dtype == torch.uint8 for file in files)
    assert guide.told and guide.remedy


@pytest.mark.parametrize("name", [name for name, guide in guides.every().items() if guide.by_hand])
def test_what_is_exported_can_be_handed_over(batch: Batch, name: str, tmp_path: Path) -> None:
    guide, value = guides.get(name), batch.guides[name][:1]
    (written,) = guide.exported(value)
    given: Any = tmp_path / "a.txt"
    if isinstance(written, str):
        given.write_text(written)
        given = written.strip() if name == "text" else given
    else:
        given = given.with_suffix(".png")
        Image.fromarray(written.permute(1, 2, 0).numpy().squeeze()).save(given)
    found = guide.handed(given, Frame((SIZE, SIZE), (SIZE, SIZE)))
    if name == "text":
        assert found == value
    else:
        torch.testing.assert_close(found, value, rtol=0, atol={"colour": 1 / 255, "landmarks": 6e-4}.get(name, 0))


def test_guides_that_only_a_suite_has_are_refused(batch: Batch) -> None:
    with pytest.raises(BenchError, match="attributes: only the images of a suite have it; leave it out"):
        guides.get("attributes").handed(batch.attributes, Frame((SIZE, SIZE), (SIZE, SIZE)))


def test_training_mirrors_guides_with_their_pictures(batch: Batch) -> None:
    which = torch.arange(len(batch)).view(-1, 1, 1, 1) % 2 == 0
    turned = mirrored(batch, which)
    for name, value in {"image": batch.image, **batch.guides}.items():
        whole = value.flip(3) if name == "image" else guides.get(name).mirrored(value, SIZE)
        found = turned.image if name == "image" else turned.guides[name]
        assert all(
            torch.equal(found[i], (value if i % 2 else whole)[i]) if isinstance(value, Tensor) else found[i] == value[i]
            for i in range(len(batch))
        )
    assert torch.equal(turned.mask, batch.mask)


def test_a_mask_leaves_nothing_of_a_map_outside(batch: Batch) -> None:
    for name in ("sketch", "colour", "semantics"):
        cut = guides.get(name).masked(batch.guides[name], batch.mask)
        outside = batch.mask[:, 0] == 0 if name == "semantics" else (batch.mask == 0).expand_as(cut)
        assert cut[outside].unique().tolist() == [19 if name == "semantics" else 0]


def test_a_missing_guide_is_one_message_that_says_how_to_give_it(batch: Batch) -> None:
    for name in guides.every():
        with pytest.raises(BenchError, match=f"this method needs {name}, .* is none: {guides.get(name).remedy[:9]}"):
            Batch(batch.image, batch.mask).need(name)
        assert batch.need(name) is batch.guides[name]
    with pytest.raises(BenchError, match=r"no guide 'scetch': it is one of attributes, colour, degraded, "):
        guides.get("scetch")


def test_the_guide_of_the_documentation_is_one_file(
    tmp_path: Path, faces: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENTED.read_text("utf-8"), re.DOTALL)
    (written,) = (block for block in blocks if "class Darkness" in block)
    (tmp_path / "darkness.py").write_text(written)
    monkeypatch.setattr(guides, "__path__", [*guides.__path__, str(tmp_path)])
    guides.every.cache_clear()
    condition.parse.cache_clear()
    try:
        first = next(batches(faces, "center/25+darkness"))
        dark = first.need("darkness")
        assert dark.shape == first.mask.shape and set(dark.unique().tolist()) == {0, 1}
        assert there(first, 32).need("darkness").shape[2:] == (32, 32)
        assert (shown(first)[(dark * first.mask).expand_as(first.image) > 0] == 0).all()
        task = Task(faces, range(4), MaskSet.make("center/25", SIZE, 4, 0), "center/25+darkness", 7)
        inputs.Inputs("synthfaces", task, tmp_path / "out").write(lambda done: None)
        assert len(list((tmp_path / "out").rglob("darkness/*.png"))) == 4
    finally:
        monkeypatch.undo()
        guides.every.cache_clear()
        condition.parse.cache_clear()


def test_training_has_no_exemplars_and_says_so(faces: ImageData) -> None:
    make = guides.makers(["exemplar"], guides.Asked(faces, "mine (train)"))["exemplar"]
    with pytest.raises(BenchError, match=r"mine \(train\) needs exemplar, and the data set synthfaces has none"):
        make([0, 1])
