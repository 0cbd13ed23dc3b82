"""Label maps in two orders of the same classes: said, checked against faces, renumbered; and CelebAMask-HQ's parts."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench import cli, jobs, suite
from bench.data import labels, synthfaces
from bench.data.dataset import ImageData
from bench.data.guides.guide import Files
from bench.data.guides.semantics import prepare_labels
from bench.data.labels import CELEBAMASK, LABELS, ORDERS, OWN, RENUMBER
from bench.errors import BenchError

NUMBER = {order: names.index for order, names in ORDERS.items()}
BOXES = {"skin": (20, 52, 16, 48), "nose": (34, 40, 30, 34), "hair": (2, 20, 12, 52), "neck": (52, 62, 24, 40)}


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def face(order: str, *parts: str) -> np.ndarray:
    """A map of boxes, (64, 64) uint8: these parts, or all, in the numbers of an order."""
    made = np.zeros((64, 64), np.uint8)
    for part in parts or BOXES:
        top, bottom, left, right = BOXES[part]
        made[top:bottom, left:right] = NUMBER[order](part)
    return made


def folder_of(folder: Path, maps: list[np.ndarray]) -> Path:
    for i, one in enumerate(maps):
        save(folder / f"{i}.png", one)
    return folder


def prepared(folder: Path, order: str | None = None, size: int = 64) -> ImageData:
    return prepare_labels(Files(folder, size, folder.parent / "cache", order=order))


def classes(data: ImageData) -> np.ndarray:
    return data.images(range(len(data)))[:, 0].numpy()


@pytest.fixture(scope="module")
def rendered() -> np.ndarray:
    """The maps of 200 synthetic faces, in our own order."""
    return synthfaces.render(range(200), 32, 0).semantics.numpy()


def test_both_orders_hold_the_same_classes() -> None:
    assert ORDERS[OWN] == LABELS
    assert all(set(names) == set(LABELS) and len(names) == 19 for names in ORDERS.values())
    assert (NUMBER[CELEBAMASK]("hair"), NUMBER[CELEBAMASK]("neck"), NUMBER[OWN]("hair")) == (13, 17, 17)
    field = suite.Data.model_fields["labels_order"].annotation
    assert {name for one in get_args(field) for name in get_args(one)} == set(ORDERS)
    assert {*labels.HIGH, *labels.LOW} <= set(LABELS)


@pytest.mark.parametrize("order", ORDERS)
def test_an_order_that_is_said_gives_our_numbers(order: str, tmp_path: Path) -> None:
    data = prepared(folder_of(tmp_path / "maps", [face(order)] * 3), order)
    np.testing.assert_array_equal(classes(data), np.stack([face(OWN)] * 3))


@pytest.mark.parametrize("said", [None, *ORDERS])
def test_maps_that_contradict_their_order_are_refused(said: str | None, tmp_path: Path) -> None:
    (right,) = ORDERS.keys() - {said or OWN}
    folder = folder_of(tmp_path / "maps", [face(right)] * 3)
    with pytest.raises(BenchError, match=rf"{folder}: its label maps .*: say `labels_order: {right}`"):
        prepared(folder, said)
    with pytest.raises(BenchError, match="labels_order"):  # the refused maps are not in the cache
        prepared(folder, said)
    assert len(prepared(folder, right)) == 3


def test_synthetic_faces_are_in_our_order_and_no_other(rendered: np.ndarray, tmp_path: Path) -> None:
    """All together, and each map by itself: bald heads, hats and long hair are no false alarm."""
    stored = np.argsort(RENUMBER[CELEBAMASK]).astype(np.uint8)
    assert len(rendered) == 200
    for maps in (rendered, *rendered[:, None]):
        labels.check_order(labels.rows(maps), OWN, tmp_path, said=False)
        labels.check_order(labels.rows(stored[maps]), CELEBAMASK, tmp_path, said=True)
        for wrong, order in ((maps, CELEBAMASK), (stored[maps], OWN)):
            with pytest.raises(BenchError, match="labels_order"):
                labels.check_order(labels.rows(wrong), order, tmp_path, said=True)


@pytest.mark.parametrize(
    "absent", [("hair", "hat"), ("neck", "neck_l", "cloth"), ("hair", "hat", "neck", "neck_l", "cloth")]
)
def test_faces_cut_close_are_no_false_alarm(absent: tuple[str, ...], rendered: np.ndarray, tmp_path: Path) -> None:
    stored = np.argsort(RENUMBER[CELEBAMASK]).astype(np.uint8)
    cut = np.where(np.isin(rendered, [LABELS.index(name) for name in absent]), np.uint8(0), rendered)
    for maps in (cut, *cut[:, None]):
        labels.check_order(labels.rows(maps), OWN, tmp_path, said=False)
        labels.check_order(labels.rows(stored[maps]), CELEBAMASK, tmp_path, said=True)


def test_the_set_counts_as_a_whole(tmp_path: Path) -> None:
    """A few faces that lie on their heads are no other order; nor are their numbers changed."""
    maps = [face(OWN)] * 5 + [face(OWN)[::-1].copy()]
    np.testing.assert_array_equal(classes(prepared(folder_of(tmp_path / "maps", maps))), np.stack(maps))


@pytest.mark.parametrize("parts", [("skin",), ("skin", "nose"), ("skin", "hair"), ("skin", "neck")])
def test_maps_with_nothing_to_compare_have_the_order_that_is_said(parts: tuple[str, ...], tmp_path: Path) -> None:
    for order in ORDERS:
        folder = folder_of(tmp_path / order, [face(order, *parts)] * 2)
        assert (classes(prepared(folder, order)) == face(OWN, *parts)).all()
    assert (classes(prepared(tmp_path / OWN)) == face(OWN, *parts)).all()


def test_the_order_is_part_of_the_identity(tmp_path: Path) -> None:
    """Equal files in two orders are two sets of maps; in our order they are what they were before it could be said."""
    folder = folder_of(tmp_path / "maps", [np.full((64, 64), 4, np.uint8)])
    ours, said, other = (prepared(folder, order) for order in (None, OWN, CELEBAMASK))
    assert (ours.fingerprint, ours.entry) == (said.fingerprint, said.entry)
    assert other.fingerprint != ours.fingerprint and other.entry != ours.entry
    assert prepared(folder, CELEBAMASK) == other


def test_part_files_are_read(tmp_path: Path) -> None:
    """Values that are not 0 count, later parts overwrite, missing parts are no error, and a picture is called N."""
    folder = tmp_path / "CelebAMask-HQ-mask-anno"
    for i in (0, 7, 2001):
        for part, (top, bottom, left, right) in BOXES.items():
            mask = np.zeros((64, 64), np.uint8)
            mask[top:bottom, left:right] = 1 if i else 255
            if (i, part) != (7, "neck"):
                save(folder / f"{i // 2000}" / f"{i:05d}_{part}.png", np.dstack([mask] * 3))
    data = prepared(folder)
    assert data.ids == ["0", "2001", "7"]
    np.testing.assert_array_equal(classes(data), np.stack([face(OWN), face(OWN), face(OWN, "skin", "nose", "hair")]))
    cloth = np.zeros((64, 64), np.uint8)
    cloth[:10] = 9
    save(folder / "0/00000_cloth.png", cloth)  # the last of g_mask.py, though it stands before hair in the alphabet
    save(folder / "0/00000_mouth.png", cloth[::-1])  # before neck, which stays
    found = classes(prepared(folder))[0]
    assert (found[:10] == NUMBER[OWN]("cloth")).all() and (found[61, 24:40] == NUMBER[OWN]("neck")).all()
    assert (found[61, :24] == NUMBER[OWN]("mouth")).all()


def test_the_order_of_numbers_says_nothing_of_part_files(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    for part in BOXES:
        save(folder / f"00000_{part}.png", (face(OWN, part) > 0).astype(np.uint8))
    assert len({(prepared(folder, order).fingerprint, prepared(folder, order).entry) for order in (None, *ORDERS)}) == 1


@pytest.mark.parametrize(
    ("file", "size", "message"),
    [
        ("0/00000_beard.png", 64, r"00000_beard.png lies beside part files .* skin, nose, .*, cloth; rename"),
        ("0/1_hair.png", 64, r"1_hair.png lies beside part files"),
        ("1/00000_hair.png", 64, r"0/00000_hair.png and .*1/00000_hair.png are one part of one picture"),
        ("0/00000_neck.png", 32, r"00000_neck.png has 32 x 32 pixels and 0/00000_skin.png 64 x 64"),
    ],
)
def test_what_is_no_part_is_refused_by_name(file: str, size: int, message: str, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    for part in ("skin", "hair"):
        save(folder / f"0/00000_{part}.png", face(OWN, part))
    save(folder / file, np.ones((size, size), np.uint8))
    with pytest.raises(BenchError, match=message):
        prepared(folder)


def test_maps_whose_names_look_like_parts_are_maps(tmp_path: Path) -> None:
    save(tmp_path / "maps/001_im.png", face(OWN))
    save(tmp_path / "maps/00002_seg.png", face(OWN))
    assert prepared(tmp_path / "maps").ids == ["00002_seg.png", "001_im.png"]


@pytest.fixture
def celebamask(tmp_path: Path) -> Path:
    """CelebAMask-HQ in small: pictures, maps of its own script, and part files."""
    for i in range(12):
        rng = np.random.default_rng(i)
        save(tmp_path / "images" / f"{i}.jpg", rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        save(tmp_path / "labels" / f"{i}.png", face(CELEBAMASK))
        for part in BOXES:
            save(tmp_path / "parts/0" / f"{i:05d}_{part}.png", (face(OWN, part) > 0) * np.uint8(255))
    return tmp_path


def planned(root: Path, **data: str) -> jobs.Plan:
    content = {
        "suite": "orders",
        "size": 64,
        "data": [{"name": "mine", "folder": str(root / "images"), "test": 3, **data}],
        "methods": ["mean"],
        "conditions": ["hair"],
        "metrics": ["l1"],
        "report": {"main": ["l1"]},
    }
    return jobs.plan(suite.parse(content, "here"), root / "runs")


def test_hair_is_masked_by_maps_of_both_kinds(celebamask: Path) -> None:
    maps, parts = str(celebamask / "labels"), str(celebamask / "parts")
    plans = planned(celebamask, labels=maps, labels_order=CELEBAMASK), planned(celebamask, labels=parts)
    for made in plans:
        masked = classes(made.data["mine"].images.companions["labels"]) == NUMBER[OWN]("hair")
        assert np.flatnonzero(masked.any(axis=(0, 2))).tolist() == list(range(2, 20))
    masks = [made.data["mine"].masks["hair"].fingerprint for made in plans]
    assert masks[0] == masks[1]
    with pytest.raises(BenchError, match="say `labels_order: celebamask-hq`"):
        planned(celebamask, labels=maps)


def test_an_order_without_maps_is_refused(celebamask: Path) -> None:
    with pytest.raises(BenchError, match=r"data\.0: `labels_order` says how label maps are numbered"):
        planned(celebamask, labels_order=CELEBAMASK)
    with pytest.raises(BenchError, match="'celebamask-hq' or 'face-parsing'"):
        planned(celebamask, labels=str(celebamask / "labels"), labels_order="bisenet")


def test_the_command_line_says_the_order(celebamask: Path) -> None:
    images, maps, runs = (str(celebamask / name) for name in ("images", "labels", "runs"))
    line = ["run", "folder", "--data", images, "--labels", maps, "--size", "64", "--out", runs, "--plan"]
    runner = CliRunner()
    assert runner.invoke(cli.app, [*line, "--labels-order", CELEBAMASK]).exit_code == 0
    assert runner.invoke(cli.app, [*line, "--labels-order", f"images={CELEBAMASK}"]).exit_code == 0
    for more, message in (
        (["--labels-order", "a=b"], "--labels-order images=ORDER"),
        (["--labels-order", "b"], "'celebamask-hq' or 'face-parsing'"),
        ([], "say `labels_order: celebamask-hq`"),
    ):
        assert message in str(runner.invoke(cli.app, [*line, *more]).exception)
