"""Single pictures are completed as a run completes them; sizes and guides that do not fit are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.batch import Batch, Noise
from bench.data import synthfaces
from bench.data.labels import CELEBAMASK, RENUMBER
from bench.errors import BenchError
from bench.framing import framed
from bench.loading import load
from bench.method import Card, Method
from bench.model import Model

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
MASK = np.zeros((64, 64), np.uint8)
MASK[16:40, 20:50] = 1


class Spy(Method):
    """Fills holes with noise, and keeps what it was given."""

    card = Card(
        slug="spy", name="Spy", title="-", authors="-", year=None, venue="-", url="",
        takes=("text", "exemplar", "semantics", "sketch", "landmarks"),
    )  # fmt: skip

    def complete(self, batch: Batch, noise: Noise) -> torch.Tensor:
        self.seen = batch
        return noise.uniform(*batch.image.shape[1:]) * 2 - 1


@pytest.fixture
def spy() -> Model:
    return Model(Spy(Spy.configure()), "spy")


def test_known_pixels_stay_and_holes_are_never_shown(spy: Model) -> None:
    made = np.asarray(spy.complete(IMAGE, MASK))
    assert np.array_equal(made[MASK == 0], IMAGE[MASK == 0])
    assert (made[MASK == 1] != IMAGE[MASK == 1]).mean() > 0.9
    assert not spy.method.seen.image[0][:, torch.from_numpy(MASK) == 1].any()
    other = IMAGE.copy()
    other[MASK == 1] = 0
    assert np.array_equal(np.asarray(spy.complete(other, MASK)), made)


def test_the_seed_decides(spy: Model) -> None:
    first, again, second = (np.asarray(spy.complete(IMAGE, MASK, seed=seed)) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
    assert np.array_equal(second, np.asarray(spy.complete(IMAGE, MASK, seed=np.int64(1))))
    with pytest.raises(BenchError, match=r"seed: give a whole number from 0 .* not 1\.5"):
        spy.complete(IMAGE, MASK, seed=1.5)  # type: ignore[arg-type]


def test_size_takes_the_central_square_as_a_run_does(spy: Model) -> None:
    wide = np.concatenate([IMAGE, IMAGE], axis=1)
    erased = np.concatenate([MASK, MASK], axis=1)
    made = np.asarray(spy.complete(wide, erased, size=32))
    small = framed(Image.fromarray(wide), 32)
    hole = framed(Image.fromarray(erased), 32, labels=True)
    assert np.array_equal(made[hole == 0], small[hole == 0])
    assert spy.complete(wide, erased).size == (128, 64)
    for size in (8, 5000):
        with pytest.raises(BenchError, match=f"size: {size} is none of 32 to 2048"):
            spy.complete(wide, erased, size=size)


def test_sizes_that_do_not_fit_are_told(spy: Model, tmp_path: Path) -> None:
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    with pytest.raises(BenchError, match=r"a.png has 64 x 64 pixels and the mask has 64 x 32 pixels"):
        spy.complete(tmp_path / "a.png", MASK[:32])
    of_run = replace(spy, size=32)
    with pytest.raises(BenchError, match=r"spy was made for 32 x 32, and the image has 64 x 64: say size=32 \(--size"):
        of_run.complete(IMAGE, MASK)
    assert of_run.complete(IMAGE, MASK, size=32).size == (32, 32)
    assert of_run.complete(IMAGE, MASK, size=64).size == (64, 64)
    grig = load("grig", untrained=True, preset="tiny")
    with pytest.raises(BenchError, match=r"grig \(tiny\) takes .*, and the image has 60 x 60: say size=64 \(--size"):
        grig.complete(IMAGE[:60, :60], MASK[:60, :60])


def test_guides_are_given_to_those_that_take_them(spy: Model) -> None:
    spy.complete(IMAGE, MASK, text="a hat", exemplar=np.repeat(np.repeat(IMAGE, 2, 0), 2, 1))
    seen = spy.method.seen
    assert seen.text == ("a hat",)
    assert seen.exemplar is not None
    assert seen.exemplar.shape == (1, 3, 64, 64)
    with pytest.raises(BenchError, match=r"telea \(paper\) takes no text: leave it out"):
        load("telea").complete(IMAGE, MASK, text="a hat")
    with pytest.raises(BenchError, match="there is no guide 'hat': it is one of attributes, colour"):
        spy.complete(IMAGE, MASK, hat="red")
    with pytest.raises(BenchError, match=r"exegan \(tiny\) needs exemplar, .* exemplar=\.\.\. \(--exemplar\)"):
        load("exegan", untrained=True, preset="tiny").complete(IMAGE, MASK)


def test_guides_come_into_the_frame_of_their_picture(spy: Model) -> None:
    wide = np.concatenate([IMAGE, IMAGE], axis=1)
    labels = np.zeros((64, 128), np.uint8)
    labels[:, 64:] = 17
    points = np.tile([[64.0, 32.0]], (68, 1))
    lines = np.full((64, 128, 3), 255, np.uint8)
    lines[16:32] = 0
    erased = np.concatenate([MASK, MASK], axis=1)
    spy.complete(wide, erased, size=32, semantics=labels, landmarks=points, sketch=lines)
    seen = spy.method.seen
    assert seen.semantics.shape == (1, 32, 32)
    assert (seen.semantics[0, :, :16] == 0).all() and (seen.semantics[0, :, 16:] == 17).all()
    assert seen.landmarks[0].unique(dim=0).tolist() == [[16, 16]]
    spy.complete(wide, erased, size=32, landmarks=torch.from_numpy(points))
    assert torch.equal(spy.method.seen.landmarks, seen.landmarks)
    assert seen.sketch[0, 0].nonzero()[:, 0].unique().tolist() == list(range(8, 16))
    spy.complete(wide, erased, semantics=labels, labels_order="celebamask-hq")
    assert spy.method.seen.semantics.unique().tolist() == [0, 14]  # 17, the neck of CelebAMask-HQ
    for odd in (labels + 10, labels + 0.5, labels[0]):
        with pytest.raises(BenchError, match=r"semantics.* is no label map"):
            spy.complete(wide, erased, semantics=odd)
    for name, guide in {"semantics": labels[:, :64], "sketch": lines[:, :64]}.items():
        with pytest.raises(BenchError, match=f"{name} has 64 x 64 pixels and its picture 128 x 64: they must have one"):
            spy.complete(wide, erased, **{name: guide})
    spy.complete(wide, erased, semantics=labels[::2, ::2])  # a smaller map of the same shape
    spy.complete(wide, erased, exemplar=IMAGE)
    with pytest.raises(BenchError, match="labels_order: 'mine' is none of face-parsing, celebamask-hq"):
        spy.complete(wide, erased, semantics=labels, labels_order="mine")
    with pytest.raises(BenchError, match="landmarks holds 4 numbers: 68 points of one face have 136"):
        spy.complete(wide, erased, landmarks=points[:2])


def test_label_maps_that_contradict_their_order_are_refused(spy: Model) -> None:
    face = synthfaces.render(range(1), 64, 0)
    ours = face.semantics[0].numpy()
    theirs = np.argsort(RENUMBER[CELEBAMASK])[ours].astype(np.uint8)
    spy.complete(IMAGE, MASK, semantics=theirs, labels_order=CELEBAMASK)
    assert np.array_equal(spy.method.seen.semantics[0].numpy(), ours)
    spy.complete(IMAGE, MASK, semantics=theirs, labels_order="face-parsing")  # who says it knows it
    with pytest.raises(BenchError, match=r"semantics: in the order face-parsing its hair .* \(--labels-order celeba"):
        spy.complete(IMAGE, MASK, semantics=theirs)


def test_methods_that_edit_see_the_whole_picture() -> None:
    assert np.array_equal(np.asarray(load("unedited").complete(IMAGE, MASK)), IMAGE)
    sean = load("sean", untrained=True, preset="tiny")
    with pytest.raises(BenchError, match=r"sean \(tiny\) needs semantics, .*: give the label map of the picture, as"):
        sean.complete(IMAGE, MASK)
    labels = np.full((64, 64), 1, np.uint8)
    own, other = (np.asarray(sean.complete(IMAGE, MASK, semantics=labels, layout=labels * part)) for part in (1, 17))
    assert np.array_equal(own[MASK == 0], IMAGE[MASK == 0])
    assert not np.array_equal(own, other)
    with pytest.raises(
        BenchError, match=r"styleflow \(tiny\) needs attributes, .*: only the images of a suite have it"
    ):
        load("styleflow", untrained=True, preset="tiny").complete(IMAGE, MASK)
    with pytest.raises(BenchError, match=r"psp .* needs sketch, .*: give a drawing of dark lines on white, as sketch="):
        load("psp", untrained=True, preset="tiny", options={"input": "sketch"}).complete(IMAGE, MASK)


def test_restoration_takes_a_picture_alone() -> None:
    restorer = load("input")
    assert np.array_equal(np.asarray(restorer.complete(IMAGE)), IMAGE)
    with pytest.raises(BenchError, match=r"input \(paper\) restores whole pictures: leave out the mask"):
        restorer.complete(IMAGE, MASK)
    with pytest.raises(BenchError, match=r"telea \(paper\) fills holes: give the mask"):
        load("telea").complete(IMAGE)
    with pytest.raises(BenchError, match="is a prior of other methods, and completes no pictures"):
        load("arcface", untrained=True, preset="tiny").complete(IMAGE, MASK)
