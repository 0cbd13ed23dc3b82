"""Made-up results for tests: no number here was measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

METHODS = {"mean": "Mean colour", "telea": "Telea", "aot": "AOT-GAN", "grig": "GRIG"}
CONDITIONS = ("irregular/10-20", "irregular/20-30", "irregular/30-40", "freeform/60-80", "center/25")
METRICS = {  # title, higher is better, per image, made-up level and slope
    "psnr": ("PSNR", True, True, 32.0, -12.0),
    "l1@hole": ("L1 (hole)", False, True, 0.05, 0.1),
    "perceptual@embedded": ("Perceptual distance (embedded)", False, True, 0.1, 0.4),
    "fid@embedded": ("FID (embedded)", False, False, 9.0, 60.0),
    "u-ids@embedded": ("U-IDS (embedded)", True, False, np.nan, np.nan),
}
EXTRACTOR = "embedded-metrics-00000000"
SMALL = "n/a below n = 625"
PER_IMAGE = ["suite", "method", "title", "preset", "dataset", "shots", "seed", "condition", "id", "metric", "value"]


def rows(
    methods: dict[str, str] | None = None,
    conditions: Sequence[str] = CONDITIONS,
    metrics: Sequence[str] = tuple(METRICS),
    datasets: Sequence[str] = ("made-up faces",),
    shots: Sequence[str] = ("all",),
    seeds: Sequence[int] = (0,),
) -> pd.DataFrame:
    """Tidy result rows with made-up values."""
    made = []
    for d, dataset in enumerate(datasets):
        for s, number in enumerate(shots):
            for seed in seeds:
                for m, (method, title) in enumerate((METHODS if methods is None else methods).items()):
                    for c, condition in enumerate(conditions):
                        for metric in metrics:
                            name, higher, _, level, slope = METRICS[metric]
                            sign = 1 if higher else -1
                            value = level + slope * c / 8 + sign * abs(level) * (0.06 * m + 0.02 * s - 0.01 * d)
                            value += 0.003 * abs(level) * np.sin(7 * seed + 3 * c + m)
                            made.append(
                                {
                                    "suite": "made-up",
                                    "method": method,
                                    "title": title,
                                    "preset": "tiny",
                                    "dataset": dataset,
                                    "shots": number,
                                    "seed": seed,
                                    "condition": condition,
                                    "metric": metric,
                                    "metric_title": name,
                                    "extractor": EXTRACTOR if "embedded" in metric else "",
                                    "higher_is_better": higher,
                                    "value": value,
                                    "low": value - 0.04 * abs(level),
                                    "high": value + 0.04 * abs(level),
                                    "n": 40,
                                    "note": SMALL if "ids" in metric else "",
                                }
                            )
    return pd.DataFrame(made)


def per_image(table: pd.DataFrame, images: int = 40, noise: float = 0.2) -> pd.DataFrame:
    """Made-up values per image, whose means are near those of `table`; images are paired over methods."""
    chosen = table[[METRICS.get(metric, [False] * 3)[2] for metric in table["metric"]]]
    shared = np.random.default_rng(images).normal(size=images) * 0.3
    own = {
        key: np.random.default_rng([images, *key]).normal(size=images) * 0.01 * noise
        for key in set(zip(chosen["method"].str.len(), chosen["seed"], strict=True))
    }
    errors = [shared + own[key] for key in zip(chosen["method"].str.len(), chosen["seed"], strict=True)]
    level = chosen["value"].to_numpy()[:, None]
    values = level + np.reshape(errors, (len(chosen), images)) * abs(level)
    made = chosen.loc[chosen.index.repeat(images)].reset_index(drop=True)
    made = made.assign(id=np.tile([f"{i:03}" for i in range(images)], len(chosen)), value=values.ravel())
    return made[PER_IMAGE]


PROTOCOL = {
    "suite": {"suite": "made-up", "title": "Made-up numbers: nothing here was measured", "version": 1, "size": 64,
              "report": {"main": ["perceptual@embedded", "l1@hole"]}},
    "data": {"made-up faces": {"images": 44, "fingerprint": "00000000", "masks": {"irregular/10-20": "11111111"}}},
    "hash": "0123456789abcdef",
    "stand_ins": ["GRIG: training losses stand on embedded-training-00000000; the published method uses LPIPS VGG-16"],
    "trained": ["GRIG: 400 x 8"],
    "sized": ["GRIG: works at 128 x 128 pixels, resized there and back (bicubic, antialiased)"],
    "missing": [],
    "environment": {"python": "3.11", "numpy": "2.4"},
}  # fmt: skip


def write_run(folder: Path, table: pd.DataFrame, pictures: int = 2, size: int = 64, images: int = 40) -> Path:
    """A run's folder with made-up rows and drawn pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    table.to_parquet(folder / "results.parquet", index=False)
    per_image(table, images).to_parquet(folder / "per_image.parquet", index=False)
    (folder / "protocol.json").write_text(json.dumps(PROTOCOL), encoding="utf-8")
    for dataset in dict.fromkeys(table["dataset"]) if pictures else ():
        for c, condition in enumerate(dict.fromkeys(table["condition"])):
            place = folder / "samples" / dataset / condition.replace("/", "_")
            for i in range(pictures):
                original, hole = _face(size, i), _hole(size, c)
                _save(place / "original" / f"{i:03}.png", original)
                _save(place / "masked" / f"{i:03}.png", np.where(hole, 255, original))
                for m, title in enumerate(dict.fromkeys(table["title"])):
                    blend = (original * (0.4 + 0.15 * m) + 128 * (0.6 - 0.15 * m)).clip(0, 255)
                    _save(place / title.replace("/", "_") / f"{i:03}.png", np.where(hole, blend, original))
    return folder


def _face(size: int, index: int) -> np.ndarray:
    """A drawn head: an ellipse with two eyes on a gradient."""
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    picture = np.stack([120 + 100 * x, 140 + 90 * y, 160 - 80 * x], axis=2)
    picture[(x / 0.3) ** 2 + (y / 0.4) ** 2 < 1] = [(224, 172, 140), (141, 85, 58), (250, 214, 190)][index % 3]
    for side in (-0.12, 0.12):
        picture[(x - side) ** 2 + (y + 0.08) ** 2 < 0.002] = 30
    picture[(abs(x) < 0.1) & (abs(y - 0.2) < 0.02)] = (160, 40, 50)
    return picture


def _hole(size: int, index: int) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    return ((abs(x - 0.1 + 0.05 * index) < 0.08 + 0.05 * index) & (abs(y) < 0.2 + 0.03 * index))[..., None]


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.round().astype(np.uint8)).save(path)
