"""Packs: what is in them, what is not, and that every change of one is found."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench import archive, metrics
from bench import suite as suites
from bench.errors import BenchError
from bench.pack import check, division, pack, unpacked, withdraw
from bench.pack.manifest import FILE
from bench.results import OF_NO_EFFECT
from bench.store import digest
from masks import MaskSet
from tests.bench.test_export import FACES, call, run

SMALL = {"data": [FACES], "metrics": ["psnr", "l1@hole", "fid@embedded"], "conditions": ["center/25"]}
Members = dict[str, bytes]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("small"), **SMALL)


@pytest.fixture(scope="module")
def made(small: Path) -> Path:
    path = small.parents[1] / "small.pack.zip"
    pack(small, path, system={"people": "nobody"})
    return path


def members(path: Path) -> Members:
    with zipfile.ZipFile(path) as source:
        return {name: source.read(name) for name in source.namelist()}


def written(path: Path, content: Members, sealed: bool = True) -> Path:
    """A pack of these members; `sealed`: its hashes are those of what is in it."""
    if sealed:
        said = json.loads(content[FILE])
        said["files"] = {name: digest(data) for name, data in content.items() if name != FILE}
        content = content | {FILE: json.dumps(said).encode()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        for name, data in content.items():
            archive.put(target, name, data)
    return path


def table(content: Members, name: str, change: Callable[[pd.DataFrame], None]) -> None:
    """Change a table of a pack."""
    frame = pd.read_parquet(io.BytesIO(content[name]))
    change(frame)
    target = io.BytesIO()
    frame.to_parquet(target, index=False)
    content[name] = target.getvalue()


def test_a_pack_is_sound_and_holds_no_original(small: Path, made: Path) -> None:
    found = check(made, {})
    assert found.findings == [] and found.scored == 2 and found.values == 2 * 36 * 3
    assert found.division == "open" and found.differs == ["no suite 'small' ships with this release"]
    content = members(made)
    kinds = {name.split("/")[0] for name in content}
    assert kinds == {FILE, "protocol.json", "results.parquet", "per_image.parquet", "completions", "masks"}
    assert sum(name.startswith("masks/") for name in content) == 1  # both rows share them
    assert (
        json.loads(content[FILE])["system"]["people"] == "nobody"
        and str(small) not in content["protocol.json"].decode()
    )
    hole = MaskSet.load(next((small / "masks").rglob("*.npz")))[0]
    with zipfile.ZipFile(io.BytesIO(next(data for name, data in content.items() if "completed" in name))) as kept:
        picture = np.asarray(Image.open(io.BytesIO(kept.read("000000.webp"))))
    assert (picture[hole == 0] == 0).all() and (picture[hole == 1] > 0).any()
    before = made.read_bytes()
    pack(small, made, system={"people": "nobody"})
    assert made.read_bytes() == before  # the same run, the same bytes


def test_hashes_alone_without_data(made: Path) -> None:
    found = check(made)
    assert found.findings == [] and found.scored == 0 and found.remarks[0].startswith("hashes only")
    printed = call("verify", "pack", made)
    assert "hashes only" in printed and "sound (pack " in printed


def test_one_changed_pixel_is_found(made: Path, tmp_path: Path) -> None:
    """By its hash, and by its score where the hashes were made anew."""
    content = members(made)
    name = next(name for name in content if "completed" in name)
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content[name])) as kept, zipfile.ZipFile(target, "w") as changed:
        for one in kept.namelist():
            data = kept.read(one)
            if one == "000003.webp":
                picture = np.array(Image.open(io.BytesIO(data)))
                row, column = np.argwhere(picture.any(axis=2))[0]
                picture[row, column, 0] ^= 8
                lossless = io.BytesIO()
                Image.fromarray(picture).save(lossless, **archive.LOSSLESS)
                data = lossless.getvalue()
            archive.put(changed, one, data)
    content[name] = target.getvalue()
    (line,) = check(written(tmp_path / "a.zip", content, sealed=False)).findings
    assert line == f"{name} was changed: it does not have the SHA-256 of {FILE}"
    sealed = written(tmp_path / "b.zip", content)
    assert check(sealed).findings == []  # hashes only
    found = check(sealed, {})
    assert any("psnr: 1 of 36 images have other values" in line for line in found.findings)
    assert "other values" in call("verify", "pack", sealed, "--score", code=1)


def test_one_changed_value_is_found(made: Path, tmp_path: Path) -> None:
    content = members(made)

    def raise_first(rows: pd.DataFrame) -> None:
        rows.loc[0, "value"] += 0.01

    table(content, "results.parquet", raise_first)
    open_one = check(written(tmp_path / "a.zip", content, sealed=False))
    assert open_one.findings[0].startswith("results.parquet was changed")
    assert "and its images have" in check(written(tmp_path / "b.zip", content)).findings[0]

    content = members(made)

    def swap(rows: pd.DataFrame) -> None:  # the mean stays
        rows.loc[[0, 1], "value"] = rows.loc[[1, 0], "value"].to_numpy()

    table(content, "per_image.parquet", swap)
    sealed = written(tmp_path / "c.zip", content)
    assert check(sealed).findings == []
    assert any("psnr: 2 of 36 images have other values" in line for line in check(sealed, {}).findings)


def test_other_masks_are_found(made: Path, tmp_path: Path) -> None:
    content = members(made)
    name = next(name for name in content if name.startswith("masks/"))
    MaskSet.make("irregular/20-30", 32, 36, 5).save(tmp_path / "other.npz")
    content[name] = (tmp_path / "other.npz").read_bytes()
    found = check(written(tmp_path / "a.zip", content)).findings
    assert found and all("other masks than the protocol's" in line for line in found)


def test_another_metric_version_is_found(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = members(made)
    protocol = json.loads(content["protocol.json"])
    protocol["metrics"]["psnr"]["version"] = 2
    content["protocol.json"] = json.dumps(protocol).encode()
    (line,) = check(written(tmp_path / "a.zip", content)).findings
    assert line == f"psnr is version 1 and 2, and here version {metrics.get('psnr').version}"


class Harm:
    """Where a pickle of it is read, something happens."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_nothing_in_a_pack_is_executed(made: Path, tmp_path: Path) -> None:
    harm = pickle.dumps(Harm(tmp_path / "executed"))
    array = io.BytesIO()
    np.savez(array, masks=np.array([Harm(tmp_path / "executed")], object), manifest=np.array([harm], object))
    content = members(made)
    for name in content.keys() - {FILE}:
        for data in (harm, array.getvalue()):
            assert check(written(tmp_path / "a.zip", content | {name: data}), {}).findings
    assert not (tmp_path / "executed").exists()
    pickle.loads(harm)
    assert (tmp_path / "executed").exists()  # elsewhere it does harm


def test_what_is_cut_off_is_refused(made: Path, tmp_path: Path) -> None:
    data = made.read_bytes()
    for size in (0, 10, len(data) // 2, len(data) - 1):
        (tmp_path / "cut.zip").write_bytes(data[:size])
        with pytest.raises(BenchError, match="is no pack, or was cut off"):
            check(tmp_path / "cut.zip")


@pytest.mark.parametrize(
    "name", ["../outside.txt", "/outside.txt", "completions/complete-../../x/completed.zip", "a\\b"]
)
def test_a_path_that_leaves_the_folder_is_refused_before_anything_is_written(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    path = written(tmp_path / "a.zip", members(made) | {name: b"harmless"})
    written_to: list[Any] = []
    monkeypatch.setattr(Path, "write_bytes", lambda *arguments: written_to.append(arguments))
    with pytest.raises(BenchError, match="which no pack does, so it is refused"):
        check(path)
    assert not written_to and list((tmp_path / "temporary").iterdir()) == []


def test_links_compressed_members_and_doubles_are_refused(made: Path, tmp_path: Path) -> None:
    for kind, message in (("link", "is a link"), ("compressed", "is compressed"), ("twice", "holds a file twice")):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
            for name, data in members(made).items():
                info = zipfile.ZipInfo(name)
                if name == "protocol.json":
                    info.external_attr = (0o120777 << 16) if kind == "link" else 0
                    info.compress_type = zipfile.ZIP_DEFLATED if kind == "compressed" else zipfile.ZIP_STORED
                    if kind == "twice":
                        target.writestr("protocol.json", data)
                target.writestr(info, data)
        with pytest.raises(BenchError, match=message):
            check(tmp_path / "a.zip")


def test_nothing_is_left_behind_and_other_content_is_a_finding(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with unpacked(made) as (folder, _):
        assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []
    content = members(made) | {"per_image.parquet": b"no table"}
    assert "its results cannot be read" in check(written(tmp_path / "a.zip", content)).findings[0]
    with pytest.raises(BenchError, match=r"pack\.json is damaged: pictures: Input should be a valid list"):
        check(
            written(
                tmp_path / "b.zip", content | {FILE: content[FILE].replace(b'"pictures": [', b'"pictures": 1, "x": [')}
            )
        )


def test_a_random_part_of_the_pictures(small: Path, tmp_path: Path) -> None:
    said = pack(small, tmp_path / "a.zip", share=0.1)
    assert [one.kept for one in said.pictures] == [4, 4]
    with unpacked(tmp_path / "a.zip") as (folder, _):
        ids = [archive.Archive.open(path).ids for path in folder.rglob("completed.zip")]
    assert ids[0] == ids[1] and len(ids[0]) == 4
    found = check(tmp_path / "a.zip", {})
    assert found.findings == [] and found.values == 2 * 4 * 2 and "10% of the pictures" in found.remarks[-1]
    assert not any(one.kept for one in pack(small, tmp_path / "b.zip", share=0).pictures)


def test_values_are_withdrawn_and_the_reason_stays(made: Path, tmp_path: Path) -> None:
    first = tmp_path / "a.zip"
    call("pack", made, "--out", first, "--withdraw", "Telea | center/25 | psnr", "--reason", "a wrong crop")
    second = tmp_path / "b.zip"
    withdraw(first, second, ["Mean colour"], "trained on the test set")
    found = check(second, {})
    assert found.findings == [] and found.scored == 1
    assert found.remarks[:2] == [
        "withdrawn: Telea | center/25 | psnr: a wrong crop",
        "withdrawn: Mean colour: trained on the test set",
    ]
    rows = pd.read_parquet(io.BytesIO(members(second)["results.parquet"]))
    gone = rows[rows["value"].isna()]
    assert set(gone["note"]) == {"withdrawn: a wrong crop", "withdrawn: trained on the test set"} and len(gone) == 5
    assert sum("completed" in name for name in members(second)) == 1
    with pytest.raises(BenchError, match="the pack has no row 'Nobody'"):
        withdraw(made, second, ["Nobody"], "why")
    with pytest.raises(BenchError, match="say why with --reason"):
        withdraw(made, second, ["Telea"], " ")
    with pytest.raises(BenchError, match="is a pack already"):
        call("pack", made)


def test_closed_means_that_nothing_but_methods_changed() -> None:
    said = suites.load("quickstart").model_dump(mode="json", exclude=OF_NO_EFFECT)
    assert division.differences(said) == []
    own = said["methods"] + [{**said["methods"][0], "title": "Mine"}]
    assert division.differences(said | {"methods": own, "title": "else", "metrics": [*said["metrics"], "niqe"]}) == []
    assert division.differences(said | {"size": 32}) == ["size is 32, not 64"]
    assert division.differences(said | {"train": said["train"] | {"steps": 9}}) == ["train.steps is 9, not 1000"]
    assert division.differences(said | {"metrics": ["psnr"]})[0].startswith("metrics: without perceptual@lite0")
    other = [{**said["methods"][0], "paste": False}]
    assert division.differences(said | {"methods": other}) == ["mean: paste is False, not True"]
