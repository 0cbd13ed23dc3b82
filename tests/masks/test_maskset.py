"""Frozen sets: one file, a manifest, and what happens when it is damaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import masks
from masks import MaskError, MaskSet

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def frozen() -> MaskSet:
    return MaskSet.make("freeform/60-70", (65, 64), 12, 3)


def test_a_set_holds_the_draws(frozen: MaskSet) -> None:
    assert len(frozen) == len(list(frozen)) == 12 and frozen.size == (65, 64)
    for i, mask in enumerate(frozen):
        np.testing.assert_array_equal(mask, masks.draw("freeform/60-70", (65, 64), 3, i))
        assert frozen.ratios[i] == masks.ratio(mask)
    np.testing.assert_array_equal(frozen[-1], frozen[11])
    assert frozen.manifest["condition"] == str(frozen.condition) == "freeform/60-70"
    assert {"generator", "parameters", "version", "ratios", "sha256", "seed", "n", "libraries"} <= set(frozen.manifest)


def test_save_and_load(frozen: MaskSet, tmp_path: Path) -> None:
    path = frozen.save(tmp_path / "new" / "set.npz")
    loaded = masks.verify(path)
    assert loaded.manifest == frozen.manifest and loaded.fingerprint == frozen.fingerprint
    np.testing.assert_array_equal(np.stack(list(loaded)), np.stack(list(frozen)))
    assert frozen.save(tmp_path / "again").read_bytes() == path.read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["again", "new"]
    assert path.stat().st_size < 12 * 65 * 64 / 8 + 2500


def test_equal_masks_have_equal_fingerprints(frozen: MaskSet) -> None:
    assert MaskSet.make("half/left", 16, 2, 0).fingerprint == MaskSet.make("half/left", 16, 2, 5).fingerprint
    assert MaskSet.make("half/left", 16, 2, 0).fingerprint != MaskSet.make("half/left", (32, 8), 2, 0).fingerprint


def test_names_of_images_are_kept_and_change_no_mask(frozen: MaskSet, tmp_path: Path) -> None:
    names = [f"{i}.png" for i in range(12)]
    named = MaskSet.make("freeform/60-70", (65, 64), 12, 3, images=names)
    assert "images" not in frozen.manifest and named.manifest["images"] == names
    assert named.fingerprint == frozen.fingerprint
    path = named.save(tmp_path / "named.npz")
    assert masks.verify(path).manifest == named.manifest
    with pytest.raises(MaskError, match="one image for each of 12 masks, not 11"):
        MaskSet.make("freeform/60-70", (65, 64), 12, 3, images=names[1:])
    for odd in (names[1:], [*names[1:], 5], 12, dict(enumerate(names))):
        with pytest.raises(MaskError, match=r"odd\.npz is no mask set or is damaged"):
            MaskSet.load(save_changed(path, tmp_path / "odd.npz", images=odd))


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("masks-frozen-*.npz")), ids=lambda file: file.stem)
def test_masks_of_this_version_do_not_change(file: Path) -> None:
    """Sets that were frozen with this version of the generators: another bit is another version."""
    loaded = MaskSet.load(file)
    assert loaded.manifest["version"] == masks.maskset.VERSION
    assert loaded.redrawn() == []


def test_semantic_sets() -> None:
    labels = [np.full((16, 16), 17), np.tile([0, 17], (16, 8))]
    made = MaskSet.make("hair", 16, 2, 0, semantics=labels)
    assert made.ratios.tolist() == [1.0, 0.5]
    with pytest.raises(MaskError, match="one label map for each of 3 masks"):
        MaskSet.make("hair", 16, 3, 0, semantics=labels)
    with pytest.raises(MaskError, match="needs a label map"):
        MaskSet.make("hair", 16, 2, 0)


def test_a_kept_set_is_drawn_again_only_where_its_masks_would_be_others(tmp_path: Path, monkeypatch) -> None:
    """Each of what decides masks, changed alone: the second set equals that of `make`, and the file follows."""
    folder, other = tmp_path / "masks", tmp_path / "other.npz"
    folder.mkdir()
    for name, row in (("a", 3), ("b", 9)):
        pixels = np.zeros((16, 16), np.uint8)
        pixels[row] = 255
        Image.fromarray(pixels).save(folder / f"{name}.png")
    MaskSet.make("freeform/20-30", 16, 2, 0, images=["a", "b"]).save(other)
    labels = [np.full((16, 16), 17), np.tile([0, 17], (16, 8))]
    first = {
        "condition": "freeform/20-30", "size": 16, "n": 2, "seed": 0, "images": ["a.jpg", "b.jpg"], "semantics": labels
    }  # fmt: skip

    def drawn(**changes) -> bool:
        """Whether the set with these changes is drawn, or only read."""
        calls = []
        with monkeypatch.context() as patch:
            patch.setattr(masks.maskset, "draw", lambda *given, **named: calls.append(1) or masks.draw(*given, **named))
            kept = MaskSet.make(**first | changes, kept=tmp_path / "set.npz")
        assert kept.manifest == MaskSet.make(**first | changes).manifest == MaskSet.load(tmp_path / "set.npz").manifest
        return bool(calls)

    assert drawn() and not drawn()
    assert not drawn(semantics=labels[::-1])  # freeform holes are no regions
    for change in (
        {"condition": "freeform/30-40"}, {"size": (16, 24)}, {"n": 1, "images": ["a.jpg"], "semantics": labels[:1]},
        {"seed": 1}, {"images": ["b.jpg", "a.jpg"]}, {"images": None}, {"condition": "hair"},
        {"condition": "hair", "semantics": labels[::-1]}, {"condition": f"folder:{folder}"},
        {"condition": f"folder:{folder}/paired"}, {"condition": f"frozen:{other}"},
    ):  # fmt: skip
        assert drawn(**change) and not drawn(**change), change
    assert drawn(condition=f"folder:{folder}/paired")
    pixels[12] = 255
    Image.fromarray(pixels).save(folder / "b.png")
    assert drawn(condition=f"folder:{folder}/paired")
    for old, new in (("a", "c"), ("b", "a"), ("c", "b")):  # the same masks, of the other names
        (folder / f"{old}.png").rename(folder / f"{new}.png")
    masks.folder._opened.cache_clear()
    assert drawn(condition=f"folder:{folder}/paired")
    with monkeypatch.context() as patch:
        patch.setattr(masks.maskset, "VERSION", masks.maskset.VERSION + 1)
        assert drawn(condition=f"folder:{folder}/paired")
    (tmp_path / "set.npz").write_bytes(b"torn")
    assert drawn()


def test_the_version_goes_by_the_shape() -> None:
    """Squares are as they were; `irregular` reaches all of other pictures since version 2."""
    made = [MaskSet.make("irregular", size, 1, 0).manifest["version"] for size in (64, (64, 64), (64, 96))]
    assert made == [1, 1, 2]


def test_bad_numbers() -> None:
    with pytest.raises(MaskError, match="one mask or more"):
        MaskSet.make("irregular", 64, 0, 0)


def save_changed(source: Path, path: Path, bits: np.ndarray | None = None, **changes: object) -> Path:
    with np.load(source) as file:
        manifest = json.loads(str(file["manifest"])) | changes
        np.savez_compressed(path, bits=file["bits"] if bits is None else bits, manifest=np.array(json.dumps(manifest)))
    return path


def test_damage_is_found(frozen: MaskSet, tmp_path: Path) -> None:
    good = frozen.save(tmp_path / "good.npz")
    with np.load(good) as file:
        flipped = file["bits"].copy()
    flipped[3, 5] ^= 1
    ratios = frozen.manifest["ratios"]
    damaged = [
        save_changed(good, tmp_path / "bits.npz", bits=flipped),
        save_changed(good, tmp_path / "ratios.npz", ratios=[0.5, *ratios[1:]]),
        save_changed(good, tmp_path / "fewer.npz", n=11),
        save_changed(good, tmp_path / "format.npz", format="masks 0"),
        save_changed(good, tmp_path / "size.npz", size="big"),
    ]
    for cut in (10, 300, good.stat().st_size - 20):
        damaged.append(tmp_path / f"cut{cut}.npz")
        damaged[-1].write_bytes(good.read_bytes()[:cut])
    damaged.append(tmp_path / "text.npz")
    damaged[-1].write_text("hello")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    damaged.append(tmp_path / "other.npz")
    for path in damaged:
        with pytest.raises(MaskError, match=path.name):
            MaskSet.load(path)
    with pytest.raises(MaskError, match="outside the bucket 10-20"):
        MaskSet.load(save_changed(good, tmp_path / "bucket.npz", condition="freeform/10-20"))
    with pytest.raises(MaskError, match="no mask set"):
        MaskSet.load(tmp_path / "missing.npz")


def test_a_set_of_other_masks_is_told_apart(frozen: MaskSet, tmp_path: Path) -> None:
    good = frozen.save(tmp_path / "good.npz")
    other = save_changed(good, tmp_path / "other.npz", seed=4)
    with pytest.raises(MaskError, match="12 of 12 masks are drawn otherwise here"):
        masks.verify(other)
    assert len(masks.verify(other, redraw=False)) == 12
    with pytest.raises(MaskError, match="version 0"):
        masks.verify(save_changed(good, tmp_path / "old.npz", version=0))


def test_a_place_that_cannot_be_written(frozen: MaskSet, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        MaskError, match=r"cannot write .*set\.npz: a part of this path is a file, not a folder: choose another"
    ):
        frozen.save(tmp_path / "file" / "set.npz")


def test_contact_sheet(frozen: MaskSet) -> None:
    sheet = masks.contact_sheet(frozen, columns=4, tile=64, title="freeform")
    assert sheet.mode == "RGB" and sheet.width == 6 + 4 * 70
    assert np.asarray(sheet).min() == 0
    with pytest.raises(MaskError, match="one mask or more"):
        masks.contact_sheet([])


def test_a_sheet_of_one_mask_has_room_for_its_words(frozen: MaskSet) -> None:
    narrow, wide = (masks.contact_sheet(frozen, most=1, tile=32, title=title) for title in ("a", "a long title " * 5))
    assert narrow.width > 150  # more than the mask, since the legend is longer
    assert wide.width > 1.5 * narrow.width
    assert np.asarray(wide.convert("L"))[:, -4:].min() == 255  # the last word ends inside


def test_ratio_plot() -> None:
    plot = masks.ratio_plot("gconv-brush", ["0-10", "10-20"], n=20, size=32)
    assert plot.width > 600
    legend = {tuple(pixel) for pixel in np.asarray(plot)[-45:].reshape(-1, 3)}
    assert {(0xB8, 0xC4, 0xD6), (0xC2, 0x41, 0x0C)} <= legend  # of the bars and the line
    with pytest.raises(MaskError, match="no bucket"):
        masks.ratio_plot("irregular", ["left"], n=2, size=32)
