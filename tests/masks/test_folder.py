"""Folders of mask files, good and bad."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import masks
from masks import MaskError, MaskFolder, MaskSet, parse


def square(ratio: float, size: int = 100) -> np.ndarray:
    side = round(size * ratio**0.5)
    mask = np.zeros((size, size), np.uint8)
    mask[:side, :side] = 255
    return mask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i, ratio in enumerate((0.04, 0.16, 0.25, 0.36, 0.64)):
        Image.fromarray(square(ratio)).save(tmp_path / f"{i}.png")
    (tmp_path / "readme.txt").write_text("not a mask")
    (tmp_path / "more").mkdir()
    return tmp_path


def test_files_are_read_sorted_and_binary(folder: Path) -> None:
    opened = MaskFolder(folder)
    assert len(opened) == 5
    all_masks = opened.masks(50)
    assert all_masks.shape == (5, 50, 50) and all_masks.dtype == np.uint8 and set(np.unique(all_masks)) == {0, 1}
    np.testing.assert_allclose(opened.ratios(100), [0.04, 0.16, 0.25, 0.36, 0.64])
    assert opened.bucket(16, 36, 100) == [2, 3]
    assert opened.bucket(10, 40) == [1, 2, 3]


def test_kinds_of_files(tmp_path: Path) -> None:
    white = square(0.25)
    Image.fromarray(white).save(tmp_path / "a.png")
    Image.fromarray(white // 255).save(tmp_path / "b.png")
    Image.fromarray(white > 0).save(tmp_path / "c.png")
    Image.fromarray(np.repeat(white[..., None], 3, 2)).save(tmp_path / "d.bmp")
    palette = Image.fromarray(white // 255, "L").convert("P")
    palette.putpalette([0, 0, 0, 255, 255, 255])
    palette.save(tmp_path / "e.png")
    opened = MaskFolder(tmp_path)
    assert opened.ratios(100).tolist() == [0.25] * 5


def test_border_contact(tmp_path: Path) -> None:
    Image.fromarray(square(0.25)).save(tmp_path / "a.png")
    Image.fromarray(np.roll(square(0.25), (25, 25), (0, 1))).save(tmp_path / "b.png")
    opened = MaskFolder(tmp_path)
    assert opened.borders(100).tolist() == [True, False]
    assert opened.bucket(20, 30, 100, border=True) == [0]
    assert opened.bucket(20, 30, 100, border=False) == [1]
    for name, corner in (("border", 1), ("inside", 0)):
        assert masks.draw(f"folder:{tmp_path}/20-30/{name}", 100, 0, 0)[0, 0] == corner


def test_a_folder_is_a_condition(folder: Path) -> None:
    drawn = [masks.draw(f"folder:{folder}/10-40", 100, 0, i) for i in range(6)]
    assert sorted(masks.ratio(mask) for mask in drawn[:3]) == pytest.approx([0.16, 0.25, 0.36])
    assert sorted(masks.ratio(mask) for mask in drawn[3:]) == pytest.approx([0.16, 0.25, 0.36])
    again = masks.draw(f"folder:{folder}/10-40", 100, 0, 4)
    np.testing.assert_array_equal(again, drawn[4])
    frozen = masks.MaskSet.make(f"folder:{folder}", 64, 5, 0)
    assert frozen.manifest["files"] == MaskFolder(folder).fingerprint


def test_fingerprint_is_of_the_contents(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    before = MaskFolder(folder).fingerprint
    (folder / "0.png").rename(folder / "00.png")
    assert MaskFolder(folder).fingerprint == before
    Image.fromarray(square(0.09)).save(folder / "00.png")
    assert MaskFolder(folder).fingerprint != before


def test_files_are_read_again_for_a_fingerprint_only_after_they_changed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, read, digest = MaskFolder(folder).fingerprint, [], hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *given: read.append(given) or digest(*given))
    assert MaskFolder(folder).fingerprint == before and not read
    changed = bytearray((folder / "0.png").read_bytes())
    changed[-1] ^= 1  # of the same length
    (folder / "new").write_bytes(changed)
    (folder / "new").replace(folder / "0.png")
    assert MaskFolder(folder).fingerprint != before and len(read) == 1


def test_a_new_file_is_seen(folder: Path) -> None:
    with pytest.raises(MaskError, match=r"no mask .* 5 masks cover 4\.0 to 64\.0 %"):
        masks.draw(f"folder:{folder}/90-100", 100, 0, 0)
    Image.fromarray(square(1.0)).save(folder / "full.png")
    assert masks.draw(f"folder:{folder}/90-100", 100, 0, 0).all()


def test_threshold(tmp_path: Path) -> None:
    soft = square(0.25).astype(int)
    soft[0, 0], soft[-1, -1] = 200, 90
    Image.fromarray(soft.astype(np.uint8)).save(tmp_path / "soft.png")
    with pytest.raises(MaskError, match=r"soft\.png is no mask: it holds 4 values \(0, 90, 200, 255\)"):
        masks.draw(f"folder:{tmp_path}", 100, 0, 0)
    assert masks.draw(f"folder:{tmp_path}/>127", 100, 0, 0).sum() == 2500
    assert masks.draw(f"folder:{tmp_path}/>200", 100, 0, 0).sum() == 2499
    assert MaskFolder(tmp_path, threshold=50).masks(100).sum() == 2501


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match="cannot read the folder"):
        MaskFolder(tmp_path / "missing")
    with pytest.raises(MaskError, match="holds no mask files"):
        MaskFolder(tmp_path)
    (tmp_path / "a.png").symlink_to("nowhere")
    with pytest.raises(MaskError, match=r"cannot read .*a\.png: No such file or directory; replace or remove it"):
        MaskFolder(tmp_path)
    with pytest.raises(MaskError, match=r"condition 'folder:.*missing': cannot|cannot read the folder"):
        masks.draw(f"folder:{tmp_path}/missing", 64, 0, 0)


def test_bad_files(tmp_path: Path) -> None:
    def message(name: str) -> str:
        with pytest.raises(MaskError) as caught:
            MaskFolder(tmp_path).masks(64)
        (tmp_path / name).unlink()
        return str(caught.value)

    (tmp_path / "text.png").write_text("hello")
    assert "text.png is not a PNG, JPEG" in message("text.png")
    Image.fromarray(square(0.3)).save(tmp_path / "whole.png")
    data = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    assert "cut.png is damaged" in message("cut.png")
    Image.fromarray(np.tile(np.arange(100, dtype=np.uint8), (100, 1))).save(tmp_path / "grey.png")
    assert "grey.png is no mask" in message("grey.png")
    Image.fromarray(square(0.3)[:50]).save(tmp_path / "wide.png")
    assert "wide.png is 100 x 50 pixels" in message("wide.png")
    Image.fromarray(square(0.0)).save(tmp_path / "black.png")
    (tmp_path / "whole.png").unlink()
    with pytest.raises(MaskError, match=r"black\.png has no hole"):
        masks.draw(f"folder:{tmp_path}", 64, 0, 0)


def test_categories_of_the_nvidia_set() -> None:
    assert [str(bucket) for bucket in masks.NVIDIA_CATEGORIES] == ["1-10", "10-20", "20-30", "30-40", "40-50", "50-60"]


def test_real_masks(shared: Path) -> None:
    opened = MaskFolder(shared / "data" / "masks")
    ratios = opened.ratios(256)
    sorted_in = [
        index
        for low in range(0, 100, 10)
        if ((ratios * 100 > low) & (ratios * 100 <= low + 10)).any()
        for index in opened.bucket(low, low + 10)
    ]
    assert sorted(sorted_in) == list(range(len(opened))) and len(opened) == 32
    for index in range(10):
        assert 0.4 < masks.ratio(masks.draw(f"folder:{opened.path}/40-50", 256, 0, index)) <= 0.5


def test_masks_belong_to_the_images_of_their_names(folder: Path) -> None:
    names = [f"sub/{file.stem}.jpg" for file in MaskFolder(folder).files][::-1]
    made = MaskSet.make(f"folder:{folder}/paired", 64, len(names), 0, images=names)
    assert np.array_equal(np.stack(list(made)), MaskFolder(folder).masks(64)[::-1])
    assert not made.redrawn()
    with pytest.raises(MaskError, match=r"1 of 2 images have no mask of their name in .* \(other\)"):
        MaskSet.make(f"folder:{folder}/paired", 64, 2, 0, images=[names[0], "other.png"])
    with pytest.raises(MaskError, match="1 names are those of two images"):
        MaskSet.make(f"folder:{folder}/paired", 64, 2, 0, images=[names[0], names[0]])
    with pytest.raises(MaskError, match="leave out /paired or the other"):
        parse(f"folder:{folder}/10-20/paired")


def test_black_may_be_the_hole(folder: Path) -> None:
    assert np.array_equal(MaskFolder(folder, inverted=True).masks(64), 1 - MaskFolder(folder).masks(64))
    assert MaskFolder(folder, inverted=True).fingerprint != MaskFolder(folder).fingerprint
    assert parse(f"folder:{folder}/inverted").options == ("inverted",)
