"""The report of a (made-up) run as files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

import reports
from bench.errors import BenchError
from reports import conditions, grid, plots, results, sheet, style
from tests.reports import made_up

SMALL = {"conditions": ("irregular/10-20", "irregular/20-30"), "metrics": ("psnr", "u-ids@embedded")}


def test_import_needs_no_torch() -> None:
    code = "import reports, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_everything_is_written(tmp_path: Path) -> None:
    run = made_up.write_run(tmp_path / "run", made_up.rows(**SMALL))
    built = reports.build(run)
    page = built.with_name("report.md")
    assert built == run / "report" / "report.html"
    text = page.read_text(encoding="utf-8")
    links = [link.split(")")[0] for link in text.split("](")[1:]]
    assert len(links) > 8
    for link in links:
        assert (page.parent / link).stat().st_size > 0
    files = {str(path.relative_to(page.parent)) for path in page.parent.rglob("*.*")}
    for stem in ("main", "psnr", "psnr-intervals"):
        assert {f"tables/{stem}.{suffix}" for suffix in ("md", "csv", "tex")} <= files
    assert {f"figures/ratio-made-up-faces.{suffix}" for suffix in ("png", "svg", "pdf")} <= files
    assert {f"figures/grid-made-up-faces.{suffix}" for suffix in ("png", "pdf")} <= files
    assert not [file for file in files if "u-ids" in file]  # no number stands in it
    told = f"U-IDS (embedded): {made_up.SMALL}"
    assert told in text
    assert (page.parent / "report.html").read_text(encoding="utf-8").count(told) == 1
    assert made_up.EXTRACTOR in text
    assert "the published method uses LPIPS VGG-16" in text
    back = pd.read_csv(page.parent / "results.csv", dtype={"shots": str}, keep_default_na=False, na_values=[""])
    assert np.array_equal(back["value"], pd.read_parquet(run / "results.parquet")["value"], equal_nan=True)


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    """Also in another process, with figures drawn side by side."""
    made = []
    for name in ("here", "there"):
        run = made_up.write_run(tmp_path / name, made_up.rows(**SMALL, datasets=("faces", "art"), shots=("5", "all")))
        if name == "here":
            reports.build(run)
        else:
            code = "import sys, reports; reports.figures.MANY = 0; reports.build(sys.argv[1])"
            environment = os.environ | {"PYTHONHASHSEED": "1"}
            subprocess.run([sys.executable, "-c", code, str(run)], check=True, env=environment, timeout=300)
        files = sorted(path for path in (run / "report").rglob("*") if path.is_file())
        made.append({str(path.relative_to(run)): path.read_bytes() for path in files})
    assert made[0].keys() == made[1].keys()
    assert [name for name in made[0] if made[0][name] != made[1][name]] == []


def test_what_is_no_longer_made_is_removed(tmp_path: Path) -> None:
    run = made_up.write_run(tmp_path, made_up.rows(**SMALL), pictures=0)
    stale = run / "report" / "tables" / "gone.md"
    stale.parent.mkdir(parents=True)
    stale.write_text("old numbers")
    reports.build(run)
    assert not stale.exists()


def test_bad_runs_are_named(tmp_path: Path) -> None:
    run = made_up.write_run(tmp_path, made_up.rows(**SMALL), pictures=0)
    table = run / "results.parquet"
    table.write_bytes(table.read_bytes()[:200])
    with pytest.raises(BenchError, match=r"cannot read .*results\.parquet"):
        reports.build(run)
    table.unlink()
    with pytest.raises(BenchError, match=r"results\.parquet is missing"):
        reports.build(run)
    made_up.rows(**SMALL).iloc[:0].to_parquet(table)
    with pytest.raises(BenchError, match="no rows"):
        reports.build(run)
    made_up.rows(**SMALL).to_parquet(table)
    again = "delete it and give the `facebench run` of its suite again"  # a report writes none of them itself
    for name in ("per_image.parquet", "protocol.json"):
        (run / name).write_text("{")
        with pytest.raises(BenchError, match=f"cannot read .*{name}: .*; {again}"):
            reports.build(run)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    run = made_up.write_run(tmp_path, made_up.rows(**SMALL))
    path = run / "samples" / "made-up faces" / "irregular_10-20" / "GRIG" / "000.png"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BenchError, match=r"GRIG/000\.png"):
        reports.build(run)


def test_odd_names_and_no_pictures(tmp_path: Path) -> None:
    methods = {"_a": "_$x$ | <b>", "b": r"100% \frac{1}{2} & #1", "c": "é中"}
    run = made_up.write_run(tmp_path, made_up.rows(**SMALL, methods=methods, datasets=("../x$y$_z",)), pictures=0)
    text = reports.build(run).with_name("report.md").read_text(encoding="utf-8")
    assert "<b>" not in text
    assert (run / "report" / "figures" / "ratio-x-y-z.svg").exists()


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        ([], ["DejaVu Sans"]),
        (["PingFang SC", "Arial", "WenQuanYi Zen Hei"], ["DejaVu Sans", "WenQuanYi Zen Hei"]),
    ],
)
def test_other_scripts_take_a_font_of_the_system(
    installed: list[str], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(style.font_manager, "get_font_names", lambda: installed)
    style.families.cache_clear()
    assert style.families() == expected
    style.families.cache_clear()


def test_the_end_of_a_run_prints_from_its_folder(tmp_path: Path) -> None:
    run = made_up.write_run(tmp_path, made_up.rows(), pictures=0)
    rows = made_up.rows()
    expected = reports.main_table(rows, per_image=made_up.per_image(rows), protocol=made_up.PROTOCOL)
    assert reports.main_table(run).to_markdown() == expected.to_markdown()


def test_a_line_for_each_method_and_generator() -> None:
    cells = results.over_seeds(results.tidy(made_up.rows(metrics=("psnr", "fid@embedded"))))
    with style.context():
        figure = plots.against_ratio(cells, style.lines(dict.fromkeys(cells["label"])))
    panel = figure.axes[0]
    assert [axes.get_title() for axes in figure.axes] == ["PSNR ↑", "FID (embedded) ↓"]
    drawn = panel.lines[: len(made_up.METHODS)]
    expected = cells[cells["metric"] == "psnr"]
    for line, (_, values) in zip(drawn, expected.groupby("label", sort=False), strict=True):
        *irregular, freeform, center = values["value"]
        assert np.array_equal(line.get_ydata(), [*irregular, np.nan, freeform, np.nan, center], equal_nan=True)
    assert len({(line.get_marker(), line.get_linestyle(), line.get_color()) for line in drawn}) == 4


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_intervals_have_the_colours_of_their_methods(count: int) -> None:
    """Of two methods, too: matplotlib takes a tuple of two colours for a colour and its opacity."""
    rows = made_up.rows({f"m{i}": f"M{i}" for i in range(count)}, metrics=("psnr",))
    cells = results.over_seeds(results.tidy(rows))
    with style.context():
        figure = plots.against_ratio(cells, style.lines(dict.fromkeys(cells["label"])))
    bands, bars = figure.axes[0].collections
    colours = [to_rgb(colour) for colour in style.COLOURS]
    colours = [colours[i % len(colours)] for i in range(count)]
    assert [tuple(colour[:3]) for colour in bands.get_facecolors()] == colours
    assert [tuple(colour[:3]) for colour in bars.get_colors()] == [colour for colour in colours for _ in range(2)]
    assert {colour[3] for colour in bands.get_facecolors()} == {0.15}


@pytest.mark.parametrize("count", [1, 8, 30])
def test_nothing_that_a_figure_says_is_cut(count: int) -> None:
    rows = made_up.rows(
        {f"m{i}": f"A method with quite a long name, {i}" for i in range(count)}, ("center/25",), ("psnr",)
    )
    cells = results.over_seeds(results.tidy(rows))
    with style.context():
        figure = plots.against_ratio(cells, style.lines(dict.fromkeys(cells["label"])))
        figure.draw_without_rendering()
        panel, legend = (part.get_window_extent() for part in (figure.axes[0], figure.legends[0]))
        markers = [line.get_transform().transform(line.get_xydata()) for line in figure.axes[0].lines]
    assert legend.x0 >= 0 and legend.x1 <= figure.bbox.x1
    assert legend.y0 >= 0 and legend.y1 < panel.y0
    assert legend.height < 1.2 * panel.height + 0.2 * figure.dpi
    reach = 4.5 / 72 * figure.dpi / 2
    assert all(panel.x0 + reach <= x <= panel.x1 - reach for line in markers for x, _ in line)


def test_styles_differ_for_thirty_methods() -> None:
    styles = style.lines([f"m{i}" for i in range(30)])
    assert len({(s["marker"], s["linestyle"]) for s in styles.values()}) == 30


def test_grid_shows_the_pictures_pixel_by_pixel(tmp_path: Path) -> None:
    run = made_up.write_run(tmp_path, made_up.rows(**SMALL))
    samples = run / "samples" / "made-up faces"
    chosen = grid.choose(samples, ["irregular/10-20", "irregular/20-30"])
    assert [(condition.name, name) for condition, name in chosen] == [
        ("irregular/10-20", "000.png"),
        ("irregular/10-20", "001.png"),
        ("irregular/20-30", "000.png"),
        ("irregular/20-30", "001.png"),
    ]
    with style.context():
        figure, dpi = grid.picture_grid(samples, chosen, {"GRIG": "GRIG", "absent": "Absent"})
        path = style.save(figure, tmp_path / "grid", ["png"], dpi)[0]
    pixels = np.asarray(Image.open(path).convert("RGB"))
    truth = np.asarray(Image.open(samples / "irregular_10-20" / "masked" / "000.png"))
    tile, margin = 192, round(sheet.MARGIN * 192)
    assert np.array_equal(pixels[margin : margin + tile : 3, margin : margin + tile : 3], truth)
    right = np.asarray(Image.open(samples / "irregular_20-30" / "original" / "001.png"))
    step = tile + round(sheet.GAP * tile)
    below, beside = margin + 3 * step, margin + 3 * step
    corner = pixels[below : below + tile : 3, beside : beside + tile : 3]
    assert np.array_equal(corner, right)


def test_condition_folders() -> None:
    assert conditions.parse("folder:masks/20-30").slug == "folder_masks_20-30"
    assert conditions.parse("center/25").title == "center 25%"


def test_a_frozen_set_is_called_like_its_file() -> None:
    one, other = "frozen:a+b/10-20/irregular_40-50.npz", "frozen:../c/irregular_40-50.npz"
    assert conditions.parse(one).title == "frozen irregular_40-50"
    assert conditions.parse(f"{one}+sketch+text").title == "frozen + sketch + text irregular_40-50"
    assert conditions.parse(other).slug == "frozen_.._c_irregular_40-50.npz"
    assert len({found.title for found in conditions.ordered([one, other])}) == 2


def test_costs_bring_a_table_and_a_figure(tmp_path: Path) -> None:
    rows = made_up.rows(**SMALL)
    run = made_up.write_run(tmp_path, rows, pictures=0)
    costs = pd.DataFrame({"method": made_up.METHODS.keys(), "title": made_up.METHODS.values(), "preset": "tiny"})
    costs = costs.assign(params=[0, 0, 15_200_000, 31_760_000])
    costs.assign(macs=costs["params"] * 2000.0).to_parquet(run / "costs.parquet", index=False)
    text = reports.build(run).with_name("report.md").read_text(encoding="utf-8")
    assert "| GRIG | 31.76 | 63.52 |" in text
    assert (run / "report" / "figures" / "cost-made-up-faces.pdf").exists()


def test_the_report_shows_published_numbers_beside(tmp_path: Path) -> None:
    rows = made_up.rows(methods={"exegan": "EXE-GAN"}, conditions=("irregular/50-60",), metrics=("fid@embedded",))
    rows = rows.assign(preset="paper", dataset="FFHQ", metric="fid", metric_title="FID", value=4.0)
    text = (
        reports.build(made_up.write_run(tmp_path, rows, pictures=0)).with_name("report.md").read_text(encoding="utf-8")
    )
    assert "| EXE-GAN, irregular 50-60% | 4.00 | 3.57<sup>a</sup> | +0.43 |" in text
