"""Label maps: display colours, planes, mirrored."""

from __future__ import annotations

import numpy as np
import torch

from bench import golden
from bench.data import synthfaces
from bench.data.guides.semantics import GUIDE, PALETTE, one_hot, palette
from masks.generators.semantic import LABELS


def test_palette_is_the_authors(file):
    cells = golden.Inputs(file.seed).latent(1, 19, 16, 16, offset=100).argmax(1).to(torch.uint8)
    labels = cells.repeat_interleave(16, 1).repeat_interleave(16, 2)
    shown = palette(labels)
    assert shown.dtype == torch.uint8
    assert file.deviation("palette", shown.double() / 127.5 - 1) < 1e-12
    assert len(set(PALETTE)) == 24


def test_one_hot_takes_the_labels_apart():
    labels = torch.from_numpy(np.random.default_rng(0).integers(0, 19, (2, 8, 9), np.uint8))
    planes = one_hot(labels)
    assert planes.shape == (2, 19, 8, 9)
    assert (planes.sum(1) == 1).all()
    assert torch.equal(planes.argmax(1), labels.long())
    assert one_hot(labels, 24).shape[1] == 24


def test_mirrored_labels_name_the_sides_of_the_mirrored_picture():
    labels = torch.tensor([[[LABELS.index("l_eye"), LABELS.index("nose"), LABELS.index("r_ear")]]], dtype=torch.uint8)
    (row,) = GUIDE.mirrored(labels, 3)[0].tolist()
    assert [LABELS[number] for number in row] == ["l_ear", "nose", "r_eye"]
    faces = synthfaces.render(range(8), 64, 0).semantics
    assert torch.equal(GUIDE.mirrored(GUIDE.mirrored(faces, 64), 64), faces)
    assert {LABELS[number] for number in range(19) if LABELS[number].startswith(("l_", "r_"))} - {"l_lip"} == {
        f"{side}_{part}" for side in "lr" for part in ("brow", "eye", "ear")
    }
