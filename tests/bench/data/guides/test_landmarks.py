"""Landmarks: mirrored, resized, drawn, written for other programs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.data import synthfaces
from bench.data.dataset import prepare_folder
from bench.data.guides.guide import Files
from bench.data.guides.landmarks import DOT, GUIDE, points, prepare_landmarks
from bench.errors import BenchError
from bench.framing import Framing
from bench.metrics.images import to_uint8


def test_the_mirrored_points_are_those_of_the_mirrored_face():
    points = synthfaces.render(range(8), 64, 0).landmarks
    found = GUIDE.mirrored(points, 64)
    torch.testing.assert_close(GUIDE.mirrored(found, 64), points)
    left, right = slice(36, 42), slice(42, 48)
    torch.testing.assert_close(found[:, left, 0].mean(1), 64 - points[:, right, 0].mean(1))
    jaw = found[:, :17, 0]
    assert (jaw[:, 1:] > jaw[:, :-1]).float().mean() > 0.9  # still counted from the left of the picture
    heights = found[:, [30, 8, 51, 57], 1] - points[:, [30, 8, 51, 57], 1]  # of points in the middle
    assert heights.abs().max() == 0


def test_points_of_a_larger_picture_and_their_dots():
    points = torch.zeros(1, 68, 2)
    points[0, 0] = torch.tensor([10.5, 20.5])
    assert GUIDE.resized(points, (64, 64), (128, 256))[0, 0].tolist() == [42, 41]
    drawn = GUIDE.drawn(points, torch.full((1, 3, 64, 64), 255, dtype=torch.uint8))
    assert drawn[0, :, 20, 10].tolist() == list(DOT)
    assert (drawn != 255).any(1).sum() == 2
    large = GUIDE.drawn(points, torch.full((1, 3, 300, 300), 255, dtype=torch.uint8))
    assert (large[0, 0] != 255).nonzero().tolist()[-9:] == [[y, x] for y in (19, 20, 21) for x in (9, 10, 11)]


def test_other_programs_read_lines():
    points = torch.arange(136, dtype=torch.float32).view(1, 68, 2)
    (text,) = GUIDE.exported(points)
    assert text.splitlines()[1] == "2.000 3.000" and len(text.splitlines()) == 68


def written(folder: Path, points: torch.Tensor, name: str) -> None:
    """The points as lines, or as iBUG's file."""
    lines = GUIDE.exported(points[None])[0]
    said = f"version: 1\nn_points: 68\n{{\n{lines}}}\n" if name.endswith(".pts") else lines
    (folder / name).write_text(said)


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """Faces at 60 x 90 pixels, and their landmarks."""
    faces = synthfaces.render(range(4), 60, 0)
    for place in ("faces", "points"):
        (tmp_path / place).mkdir()
    for i, picture in enumerate(to_uint8(faces.images).permute(0, 2, 3, 1).numpy()):
        wide = np.pad(picture, [(0, 0), (10, 20), (0, 0)], mode="edge")
        Image.fromarray(wide).save(tmp_path / "faces" / f"{i}.png")
        written(tmp_path / "points", faces.landmarks[i] + torch.tensor([10.0, 0.0]), f"{i}.{'pts' if i % 2 else 'txt'}")
    return tmp_path


def read(root: Path, size: int, framing: Framing) -> torch.Tensor:
    own = prepare_landmarks(Files(root / "points", size, root / "cache", None, framing, None, root / "faces"))
    images = prepare_folder(root / "faces", size, root / "cache", framing=framing)
    found = points(replace(images, companions={"landmarks": own}), range(4))
    assert found is not None
    return found


def test_points_of_files_move_as_their_pictures_are_framed(beside: Path) -> None:
    """Cropped: 15 pixels go on each side; padded: a third of the height is empty."""
    truth = synthfaces.render(range(4), 60, 0).landmarks
    torch.testing.assert_close(read(beside, 30, Framing()), (truth + torch.tensor([-5.0, 0.0])) / 2, atol=1e-3, rtol=0)
    padded = (truth + torch.tensor([10.0, 15.0])) / 3
    torch.testing.assert_close(read(beside, 30, Framing("pad")), padded, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("1 2 3", r"0.txt holds 3 numbers: 68 points of one face have 136"),
        ("eye 1 2", r"0.txt is no file of landmarks: write 68 lines"),
        ("nan " * 136, r"0.txt holds 136 numbers"),
    ],
)
def test_files_that_hold_no_landmarks_are_named(beside: Path, said: str, message: str) -> None:
    (beside / "points" / "0.txt").write_text(said)
    with pytest.raises(BenchError, match=message):
        read(beside, 30, Framing())


def test_landmarks_without_their_picture_are_named(beside: Path) -> None:
    (beside / "faces" / "3.png").unlink()
    with pytest.raises(BenchError, match=r"3.pts: .*faces has no picture of this name"):
        read(beside, 30, Framing())
