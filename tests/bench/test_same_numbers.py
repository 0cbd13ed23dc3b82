"""The same pictures in every kind of file give exactly the same number by every way of measuring."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from bench import cli, jobs, pictures, results, runner, suite
from bench.errors import BenchError
from bench.metrics import measure
from bench.metrics.images import composites

from .test_pictures import png, tiff, wide

SIZE, COUNT = 32, 4
HOLE = np.zeros((SIZE, SIZE), np.uint8)
HOLE[8:24, 8:24] = 255


def picture(i: int) -> np.ndarray:
    """A smooth picture that no turn or mirror leaves as it is; its colours are grey for odd i."""
    rng = np.random.default_rng(i)
    small = rng.integers(30, 226, (4, 5, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(small).resize((SIZE, SIZE), Image.Resampling.BICUBIC)).copy()
    image[:4, :9] = 255
    return image


def filled(image: np.ndarray) -> np.ndarray:
    done = image.copy()
    done[HOLE > 0] = image[HOLE == 0].mean(axis=0).round()
    return done


def sideways(image: np.ndarray, path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(image).copy()).save(path, exif=exif)


def clear(image: np.ndarray, path: Path) -> None:
    """Its white corner is transparent; black is hidden there."""
    alpha, hidden = np.full((SIZE, SIZE), 255, np.uint8), image.copy()
    alpha[:4, :9], hidden[:4, :9] = 0, 0
    Image.fromarray(np.dstack([hidden, alpha])).save(path)


def paletted(image: np.ndarray, path: Path) -> None:
    Image.fromarray(image).quantize(256).save(path)


KINDS = {
    "png": (".png", lambda image, path: Image.fromarray(image).save(path)),
    "bmp": (".bmp", lambda image, path: Image.fromarray(image).save(path)),
    "tiff": (".tif", lambda image, path: Image.fromarray(image).save(path)),
    "webp": (".webp", lambda image, path: Image.fromarray(image).save(path, lossless=True)),
    "ppm": (".ppm", lambda image, path: Image.fromarray(image).save(path)),
    "upper case": (".PNG", lambda image, path: Image.fromarray(image).save(path, format="PNG")),
    "16-bit png": (".png", lambda image, path: path.write_bytes(png(wide(image), 2))),
    "16-bit tiff": (".tiff", lambda image, path: path.write_bytes(tiff(wide(image), photometric="rgb"))),
    "turned by its tag": (".png", sideways),
    "transparent": (".png", clear),
}
REFUSED = {
    "floats": (".tif", lambda image, path: Image.fromarray((image[..., 0] / 255).astype(np.float32)).save(path)),
    "32-bit integers": (".tif", lambda image, path: Image.fromarray(image[..., 0].astype(np.int32)).save(path)),
    "8 bits in 16": (".png", lambda image, path: Image.fromarray(image[..., 0].astype(np.uint16)).save(path)),
}
GREY = {
    "grey": (".png", lambda image, path: Image.fromarray(image[..., 0]).save(path)),
    "16-bit grey": (".png", lambda image, path: Image.fromarray(wide(image[..., 0])).save(path)),
    "grey and alpha": (".png", lambda image, path: Image.fromarray(image[..., 0]).convert("LA").save(path)),
    "grey in colours": (".png", lambda image, path: Image.fromarray(image[..., :1].repeat(3, 2)).save(path)),
    "16-bit tiff, white is zero": (
        ".tif",
        lambda image, path: path.write_bytes(tiff(65535 - wide(image[..., 0]), photometric="miniswhite")),
    ),
}


def laid_out(folder: Path, kind: str) -> Path:
    """originals/{train,test}, results and masks: all pictures of that kind."""
    suffix, save = (KINDS | REFUSED | GREY)[kind]
    for name in ("originals/train", "originals/test", "results/test", "masks"):
        (folder / name).mkdir(parents=True)
    for i in range(COUNT):
        save(picture(i), folder / f"originals/test/{i}{suffix}")
        save(filled(picture(i)), folder / f"results/test/{i}{suffix}")
        Image.fromarray(HOLE).save(folder / f"masks/{i}.png")
    Image.fromarray(picture(99)).save(folder / "originals/train/99.png")
    return folder


def by_run(folder: Path) -> dict[str, float]:
    """`run` with `external`: the results, and the very originals as results."""
    content = {
        "suite": "same",
        "size": SIZE,
        "data": [{"name": "mine", "folder": str(folder / "originals")}],
        "methods": [
            {"method": "external", "title": "results", "options": {"folder": str(folder / "results")}},
            {"method": "external", "title": "originals", "options": {"folder": str(folder / "originals")}},
        ],
        "conditions": [f"folder:{folder}/masks"],
        "metrics": ["psnr"],
        "report": {"main": ["psnr"], "samples": 0},
        "retries": 0,
    }
    made = jobs.plan(suite.parse(content, "same.yaml"), folder / "runs")
    outcome = runner.run(made, runner.Options(device="cpu", workers=0))
    if outcome.failed:
        raise BenchError("; ".join(outcome.failed.values()))
    rows = pd.read_parquet(results.collect(made) / "results.parquet")
    return dict(zip(rows["title"], rows["value"], strict=True))


def by_command(folder: Path) -> float:
    arguments = ["evaluate", f"{folder}/results/test", f"{folder}/originals/test", "--masks", f"{folder}/masks"]
    arguments += ["--metrics", "psnr", "--device", "cpu", "--out", f"{folder}/scores.csv"]
    result = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return float(pd.read_csv(folder / "scores.csv")["value"][0])


def by_library(folder: Path) -> float | None:
    pasted = composites(folder / "results/test", folder / "originals/test", folder / "masks")
    return measure(pasted, folder / "originals/test", None, ["psnr"]).value("psnr")


@pytest.fixture(scope="module", params=[KINDS, GREY], ids=["colours", "grey"])
def expected(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, float]:
    """The kinds, and the number of the 8-bit pictures in memory."""
    images = np.stack([picture(i) for i in range(COUNT)])
    done = np.stack([filled(image) for image in images])
    if request.param is GREY:
        images, done = (array[..., :1].repeat(3, axis=3) for array in (images, done))
    tensors = [torch.from_numpy(array).permute(0, 3, 1, 2) for array in (done, images)]
    value = measure(*tensors, None, ["psnr"]).value("psnr")
    assert value is not None
    return request.param, value


def test_one_number_by_every_way_and_from_every_file(expected: tuple[dict, float], tmp_path: Path) -> None:
    kinds, value = expected
    for kind in kinds:
        folder = laid_out(tmp_path / kind, kind)
        assert by_command(folder) == value, kind
        assert by_library(folder) == value, kind
        assert by_run(folder) == {"results": value, "originals": np.inf}, kind


@pytest.mark.parametrize("kind", REFUSED)
def test_what_has_no_range_is_refused_by_every_way(kind: str, tmp_path: Path) -> None:
    folder = laid_out(tmp_path / kind, kind)
    for way in (by_command, by_library, by_run):
        with pytest.raises(BenchError, match=r"/0\.(tif|png) .*save it"):
            way(folder)


def test_the_decoder_is_asked_by_all(expected: tuple[dict, float], tmp_path: Path) -> None:
    """Masks too: 0 and 1 as 0 and 255."""
    kinds, value = expected
    folder = laid_out(tmp_path, next(iter(kinds)))
    for path in (folder / "masks").iterdir():
        Image.fromarray(HOLE // 255).save(path)
    assert by_command(folder) == by_library(folder) == by_run(folder)["results"] == value
    assert pictures.decode_mask((folder / "masks/0.png").read_bytes(), "0.png").sum() == 256
