"""Pictures to look at."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from bench import registry
from bench.completion import Completion
from bench.data import dataset
from bench.method import Method
from bench.samples import image_file, save_png, save_steps
from bench.task import Task
from masks import MaskSet


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    return dataset.prepare_synthfaces(24, 32, 0, tmp_path_factory.mktemp("cache"))


def task(faces, positions, needs=()):
    return Task(faces, positions, MaskSet.make("center/25", 32, len(positions), 0), "center/25", 0, needs)


class InSteps(Method):
    """Adds a quarter of the range in each of three steps."""

    card = registry.get("mean").card

    def steps(self, batch, noise):
        assert not (batch.image * batch.mask).any()  # the pixels under the hole are not there
        return [batch.composite(torch.full_like(batch.image, 0.5 * t)) for t in (1, 2, 3)]

    def complete(self, batch, noise):
        return self.steps(batch, noise)[-1]


def test_steps_of_the_first_image_are_kept_with_their_residuals(faces, tmp_path):
    mine = task(faces, [5, 6], needs=())
    first = next(mine.batches()).only(0)
    save_steps(Completion(InSteps(InSteps.presets["paper"]), mine.seeds), first, tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*.png")) == sorted(
        f"{t}{kind}.png" for t in (1, 2, 3) for kind in ("", "-residual")
    )
    folder = tmp_path / faces.ids[5]
    hole = mine.masks[0].astype(bool)
    truth = next(mine.batches()).image[0]
    for t in (1, 2, 3):
        completed = np.asarray(Image.open(folder / f"{t}.png"))
        assert (completed[hole] == min(255, round(127.5 * (1 + 0.5 * t)))).all()
        known = ((truth.permute(1, 2, 0).numpy() + 1) * 127.5).round()
        assert np.array_equal(completed[~hole], known[~hole])
        residual = np.asarray(Image.open(folder / f"{t}-residual.png"))
        assert residual.dtype == np.uint16
        assert np.allclose(residual[hole] / 65535 * 2, 0.5, atol=1e-4)
        assert not residual[~hole].any()


def test_methods_without_steps_leave_none(faces, tmp_path):
    mine = task(faces, [0], needs=())
    completion = Completion(registry.get("telea").load().create(), mine.seeds)
    save_steps(completion, next(mine.batches()), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_grey_pictures_keep_sixteen_bits(tmp_path):
    values = torch.tensor([[[0, 1], [256, 65535]]], dtype=torch.int32).to(torch.uint16)
    save_png(tmp_path / "grey.png", values)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "grey.png")), [[0, 1], [256, 65535]])


def test_no_two_images_have_one_file():
    names = ["s/x.png", "s__x.png", "a_/b.png", "a/_b.png", "a/b__c.png", "a/b/c.png", "a__b/c.png", "_x.png", "x_.png"]
    flat = [image_file(name) for name in names]
    assert len(set(flat)) == len(names)
    assert [image_file(name) for name in ("s/x.png", "x.jpg", "v1.2.png")] == ["s__x.png", "x.png", "v1.2.png"]
