"""The embedded faces: repeatable, independent of batches, the same at every size, and labelled exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.data import synthfaces
from bench.data.synthfaces.canvas import Canvas
from bench.errors import BenchError

FIELDS = ("images", "semantics", "landmarks", "identity", "attributes")
PICTURE = Path(__file__).parents[3] / "docs" / "images" / "synthfaces.png"
LEFT_EYE, RIGHT_EYE, MOUTH, NOSE = (4,), (5,), (11, 12, 13), (10,)


@pytest.fixture(scope="module")
def faces() -> synthfaces.Faces:
    return synthfaces.render(range(64), 64)


@pytest.fixture(scope="module")
def large_faces() -> synthfaces.Faces:
    return synthfaces.render(range(64), 128)


def column(faces: synthfaces.Faces, name: str) -> torch.Tensor:
    return faces.attributes[:, synthfaces.ATTRIBUTES.index(name)]


def same(a: synthfaces.Faces, b: synthfaces.Faces, rows: list[int] | slice = slice(None)) -> bool:
    return all(torch.equal(getattr(a, field)[rows], getattr(b, field)) for field in FIELDS)


def test_shapes_types_and_ranges(faces: synthfaces.Faces) -> None:
    assert faces.images.shape == (64, 3, 64, 64) and faces.images.dtype == torch.float32
    assert faces.semantics.shape == (64, 64, 64) and faces.semantics.dtype == torch.uint8
    assert faces.landmarks.shape == (64, 68, 2) and faces.landmarks.dtype == torch.float32
    assert faces.identity.dtype == torch.int64
    assert faces.attributes.shape == (64, len(synthfaces.ATTRIBUTES)) and faces.attributes.dtype == torch.float32
    assert faces.images.min() >= -1 and faces.images.max() <= 1
    assert faces.attributes.min() >= 0 and faces.attributes.max() <= 1
    assert faces.semantics.max() <= 18
    assert all(torch.isfinite(getattr(faces, field)).all() for field in FIELDS)


def test_nothing_to_render_gives_empty_tensors() -> None:
    empty = synthfaces.render([], 32)
    assert empty.images.shape == (0, 3, 32, 32) and empty.landmarks.shape == (0, 68, 2)


def test_the_same_request_gives_the_same_faces(faces: synthfaces.Faces) -> None:
    assert same(faces, synthfaces.render(torch.arange(64), 64))


def test_a_picture_does_not_depend_on_its_batch(faces: synthfaces.Faces) -> None:
    for index in range(0, 64, 5):
        assert same(faces, synthfaces.render([index], 64), [index])
    shuffled = [40, 3, 3, 63, 17]
    assert same(faces, synthfaces.render(shuffled, 64), shuffled)


@pytest.mark.parametrize("size", [17, 30, 100])
def test_odd_sizes_do_not_depend_on_the_batch_either(size: int) -> None:
    batch = synthfaces.render(range(9), size)
    for index in range(9):
        assert same(batch, synthfaces.render([index], size), [index])


def test_a_picture_does_not_depend_on_the_threads(faces: synthfaces.Faces) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert same(faces, synthfaces.render(range(16), 64), slice(16))
    finally:
        torch.set_num_threads(before)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.integers(0, 2**40), min_size=1, max_size=4),
    st.integers(-(2**63), 2**63),
    st.integers(16, 24),
)
def test_any_index_seed_and_size(indices: list[int], seed: int, size: int) -> None:
    batch = synthfaces.render(indices, size, seed)
    assert torch.isfinite(batch.images).all()
    assert same(batch, synthfaces.render(indices[-1:], size, seed), [len(indices) - 1])


def test_another_seed_gives_other_people(faces: synthfaces.Faces) -> None:
    other = synthfaces.render(range(64), 64, seed=1)
    assert (faces.images - other.images).abs().mean(dim=(1, 2, 3)).min() > 0.02
    assert not torch.equal(faces.attributes, other.attributes)


def test_no_two_pictures_are_alike(faces: synthfaces.Faces) -> None:
    distance = torch.cdist(faces.images.flatten(1), faces.images.flatten(1), p=1) / faces.images[0].numel()
    assert distance.fill_diagonal_(9).min() > 0.02


def test_another_size_shows_the_same_scene(faces: synthfaces.Faces, large_faces: synthfaces.Faces) -> None:
    halved = torch.nn.functional.avg_pool2d(large_faces.images, 2)
    assert (halved - faces.images).abs().mean() < 0.03
    assert (large_faces.semantics[:, ::2, ::2] == faces.semantics).float().mean() > 0.95
    assert torch.allclose(large_faces.landmarks, 2 * faces.landmarks, atol=1e-3)
    assert torch.equal(large_faces.attributes, faces.attributes)


def test_four_pictures_in_a_row_show_one_person(faces: synthfaces.Faces) -> None:
    assert faces.identity.tolist() == [index // synthfaces.IMAGES_PER_IDENTITY for index in range(64)]
    for name in ("male", "bald", "long_hair", "curly_hair", "age", "skin_tone"):
        values = column(faces, name).reshape(16, 4)
        assert (values == values[:, :1]).all(), name
        assert values.unique().numel() > 1, name


def test_pictures_of_one_person_look_closer_than_others(faces: synthfaces.Faces) -> None:
    """Mean colour of the skin, and of the hair where there is some."""
    for label in (1, 17):
        region = (faces.semantics == label)[:, None].float()
        rows = region.mean((1, 2, 3)) > 0.05
        colour = (faces.images * region)[rows].sum((2, 3)) / region[rows].sum((2, 3))
        distance = torch.cdist(colour, colour)
        own = faces.identity[rows, None] == faces.identity[None, rows]
        other = ~own
        own.fill_diagonal_(False)
        assert distance[own].mean() < 0.7 * distance[other].mean(), label


def test_pose_mood_and_accessories_vary_within_a_person(faces: synthfaces.Faces) -> None:
    for name in ("smile", "glasses"):
        values = column(faces, name).reshape(16, 4)
        assert (values != values[:, :1]).any(1).float().mean() > 0.3, name


def test_all_labels_of_the_data_set_occur(faces: synthfaces.Faces) -> None:
    many = synthfaces.render(range(64, 192), 64)
    labels = torch.cat([faces.semantics, many.semantics]).unique()
    assert labels.tolist() == list(range(19))


def test_what_is_labelled_agrees_with_the_attributes(large_faces: synthfaces.Faces) -> None:
    faces = large_faces

    def share(label: int) -> torch.Tensor:
        return (faces.semantics == label).float().mean((1, 2))

    for label, name in ((6, "glasses"), (9, "earring"), (15, "necklace"), (18, "hat")):
        assert (share(label)[column(faces, name) == 0] == 0).all(), name
    assert (share(6)[column(faces, "glasses") == 1] > 0).all()
    assert (share(18)[column(faces, "hat") == 1] > 0.03).all()
    bare = (column(faces, "bald") == 1) & (column(faces, "hat") == 0)
    assert bare.any() and (share(17)[bare] == 0).all()
    assert share(17)[column(faces, "long_hair") == 1].mean() > share(17)[column(faces, "long_hair") == 0].mean()
    assert (share(1) > 0.1).all()


def test_the_label_is_the_layer_that_shows_most() -> None:
    """Against the shares of all layers, computed one by one."""
    generator = torch.Generator().manual_seed(0)
    alphas = torch.rand(6, 2, 1, 8, 8, generator=generator)
    canvas = Canvas(torch.zeros(2, 3, 8, 8))
    for label, alpha in enumerate(alphas, start=1):
        canvas.paint(torch.full((2, 3, 1, 1), float(label)), alpha, label)
    clear = torch.cat([torch.ones(1, 2, 1, 8, 8), alphas])
    shares = torch.stack([clear[k] * (1 - clear[k + 1 :]).prod(0) for k in range(7)])
    assert torch.equal(canvas.label.long(), shares.argmax(0))
    colour = (shares * torch.arange(7.0).reshape(7, 1, 1, 1, 1)).sum(0)
    assert torch.allclose(canvas.colour, colour.expand(-1, 3, -1, -1), atol=1e-5)


@pytest.mark.parametrize(
    ("points", "labels"),
    [(range(36, 42), LEFT_EYE), (range(42, 48), RIGHT_EYE), (range(48, 68), MOUTH), (range(27, 36), NOSE)],
)
def test_landmarks_lie_on_their_features(large_faces: synthfaces.Faces, points: range, labels: tuple[int, ...]) -> None:
    faces, size, slack = large_faces, 128, 2
    rows = (column(faces, "glasses") == 0) & (column(faces, "hat") == 0)
    region = torch.isin(faces.semantics[rows], torch.tensor(labels, dtype=torch.uint8)).float()[:, None]
    region = torch.nn.functional.max_pool2d(region, 2 * slack + 1, 1, slack)[:, 0]
    x, y = faces.landmarks[rows][:, list(points)].floor().long().clamp(0, size - 1).unbind(-1)
    hit = region[torch.arange(len(region))[:, None], y, x]
    assert hit.mean() > 0.97


def test_left_and_right_are_those_of_the_picture(faces: synthfaces.Faces) -> None:
    x = faces.landmarks[..., 0]
    assert (x[:, 36:42].mean(1) < x[:, 42:48].mean(1)).all()
    assert (x[:, 17:22].mean(1) < x[:, 22:27].mean(1)).all()
    assert (x[:, 0] < x[:, 16]).all()
    assert (faces.landmarks[:, 8, 1] > faces.landmarks[:, 27, 1]).all()
    columns = torch.arange(64.0)
    for left, right in ((2, 3), (4, 5), (7, 8)):
        both = [(faces.semantics == label).float().sum(1) for label in (left, right)]
        seen = (both[0].sum(1) > 0) & (both[1].sum(1) > 0)
        centre = [(weight[seen] * columns).sum(1) / weight[seen].sum(1) for weight in both]
        assert seen.any() and (centre[0] < centre[1]).all()


@pytest.mark.parametrize("size", [15, 0, -64, 64.0])
def test_a_bad_size_is_named(size: int) -> None:
    with pytest.raises(BenchError, match=r"size .*16 or more"):
        synthfaces.render([0], size)


@pytest.mark.parametrize("indices", [[-1], [0, -5], [0.5], [[0, 1]]])
def test_bad_indices_are_named(indices: list[int]) -> None:
    with pytest.raises(BenchError, match="indices"):
        synthfaces.render(indices, 32)


def test_the_sheet_of_the_readme_is_current() -> None:
    assert PICTURE.stat().st_size < 600_000
    drawn = synthfaces.sheet().astype(int)
    stored = np.asarray(Image.open(PICTURE).convert("RGB")).astype(int)
    assert stored.shape == drawn.shape == (512, 1024, 3)
    # processors may round differently in the last bit
    assert np.abs(drawn - stored).mean() < 0.05


def test_a_head_whose_width_is_zero_at_a_ray_is_finite() -> None:
    """Far below the chin the head's width passes through 0: here exactly so, at one pixel."""
    assert torch.isfinite(synthfaces.render(range(6547, 6548), 64, 0).images).all()
