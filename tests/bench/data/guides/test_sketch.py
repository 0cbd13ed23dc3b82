"""Sketches and Canny edges against the released code, and by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from bench import golden
from bench.data import synthfaces
from bench.data.guides.sketch import pencil, sketch
from bench.nn.canny import canny, to_grey
from tests.bench.data.guides.conftest import faces


def rows(image: torch.Tensor) -> np.ndarray:
    return image[0].permute(1, 2, 0).contiguous().numpy()


def test_pencil_is_the_authors(file, image):
    grey = cv2.cvtColor(rows(image), cv2.COLOR_RGB2GRAY)
    assert file.deviation("gray", torch.from_numpy(grey)) == 0
    assert file.deviation("pencil", torch.from_numpy(pencil(rows(image)))) == 0


def test_pencil_by_the_formula():
    """Sheet's integers: grey, blur by (1, 2, 1) twice, four half-wave derivatives, or, three quarters of both."""
    picture = np.random.default_rng(0).integers(0, 256, (21, 34, 3), dtype=np.uint8)
    r, g, b = picture.astype(np.int64).transpose(2, 0, 1)
    grey = np.pad((9798 * r + 19235 * g + 3735 * b + 16384) >> 15, 1, mode="reflect")

    def filtered(plane: np.ndarray, down: tuple[int, ...], across: tuple[int, ...]) -> np.ndarray:
        height, width = plane.shape[0] - 2, plane.shape[1] - 2
        parts = [
            (d * a, plane[i : i + height, j : j + width]) for i, d in enumerate(down) for j, a in enumerate(across)
        ]
        return sum(weight * part for weight, part in parts)

    blurred = np.pad((filtered(grey, (1, 2, 1), (1, 2, 1)) + 8) >> 4, 1, mode="reflect")
    gx, gy = filtered(blurred, (1, 2, 1), (-1, 0, 1)), filtered(blurred, (-1, 0, 1), (1, 2, 1))
    both = sum(np.clip(sign * gx, 0, 255) | np.clip(sign * gy, 0, 255) for sign in (1, -1))
    np.testing.assert_array_equal(pencil(picture), 255 - np.clip(np.rint(0.75 * both), 0, 255))


def test_canny_is_edgeconnects(file, image):
    grey, known = to_grey(image.double() / 255), 1 - golden.Inputs(file.seed).mask()
    for name, edges in (("canny", canny(grey, 2.0)), ("canny_masked", canny(grey, 2.0, known))):
        assert file.deviation(f"{name}_rows", edges[0, 0].sum(1)) == 0
        assert file.deviation(f"{name}_cols", edges[0, 0].sum(0)) == 0


@pytest.mark.parametrize("size", [64, 256])
def test_a_sketch_is_lines_on_an_empty_page(size):
    images = faces(size)
    drawn = sketch(images)
    assert drawn.shape == (8, 1, size, size)
    assert drawn.unique().tolist() == [0, 1]
    assert all(0.02 < share < 0.25 for share in drawn.mean(dim=(1, 2, 3)).tolist())


def test_a_sketch_follows_the_threshold_and_the_image_alone():
    images = faces(64)
    for threshold in (100, 200):
        expected = np.stack([pencil(rows(one[None])) < threshold for one in images])
        np.testing.assert_array_equal(sketch(images, threshold)[:, 0].numpy(), expected)
    torch.testing.assert_close(sketch(images)[3:5], sketch(images[3:5]))
    assert sketch(torch.full((1, 3, 32, 32), 70, dtype=torch.uint8)).sum() == 0


def test_sketches_show_the_regions():
    """Lines lie at the borders of a face's regions more often than elsewhere."""
    found = synthfaces.render(range(8), 256, 0)
    labels = found.semantics.float()[:, None]
    pool = torch.nn.functional.max_pool2d
    border = (pool(labels, 5, 1, 2) != -pool(-labels, 5, 1, 2)).float()
    drawn = sketch(found.images.add(1).mul(127.5).round().byte())
    assert (drawn * border).sum() / border.sum() > 4 * (drawn * (1 - border)).sum() / (1 - border).sum()
