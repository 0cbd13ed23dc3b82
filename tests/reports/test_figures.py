"""What the figures show: losses, steps, details."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import reports
from bench.errors import BenchError
from reports import convergence, figures, grid, steps, style
from reports.sheet import GAP, MARGIN, Sheet
from tests.reports import made_up

SMALL = {"conditions": ("irregular/10-20", "irregular/20-30"), "metrics": ("psnr",)}


def losses(
    names: tuple[str, ...] = ("l1", "generator"), shots: tuple[str, ...] = ("all",), count: int = 100
) -> pd.DataFrame:
    """Made-up curves of two methods, one of them with two stages."""
    parts = []
    for method, title, stage in (("aot", "AOT-GAN", "train"), ("grig", "GRIG", "one"), ("grig", "GRIG", "two")):
        for number in shots:
            for name in names:
                values = 2.0 + np.sin(np.arange(count) / 5) + len(name)
                facts = {"title": title, "method": method, "preset": "tiny", "dataset": "made-up faces"}
                curve = {"stage": stage, "step": np.arange(1, count + 1), "loss": name, "value": values}
                parts.append(pd.DataFrame(facts | {"shots": number, "seed": 0} | curve))
    return pd.concat(parts, ignore_index=True)


def write_steps(folder: Path, count: int = 3, size: int = 64) -> list[np.ndarray]:
    """Made-up completions and residuals of one picture; the residuals."""
    folder.mkdir(parents=True)
    residuals = []
    for t in range(1, count + 1):
        Image.fromarray(np.full((size, size, 3), 60 * t, np.uint8)).save(folder / f"{t}.png")
        residual = np.zeros((size, size), np.uint16)
        residual[16:32, 16:32] = 65535 // 4**t
        Image.fromarray(residual).save(folder / f"{t}-residual.png")
        residuals.append(residual / 65535 * 2)
    return residuals


def pixels(figure, dpi: float, folder: Path) -> np.ndarray:
    path = style.save(figure, folder / "figure", ["png"], dpi)[0]
    return np.asarray(Image.open(path).convert("RGB"))


def test_pictures_stay_in_their_place_where_a_figure_is_saved_with_a_margin(tmp_path: Path) -> None:
    """As notebooks show figures: cut to what is drawn, and a margin around it."""
    run = made_up.write_run(tmp_path / "run", made_up.rows(**SMALL))
    whole, cut = tmp_path / "whole.png", tmp_path / "cut.png"
    figure = figures.one(run, "grid")
    figure.savefig(whole)
    figure.savefig(cut, bbox_inches="tight", pad_inches=0.1)
    inner = np.asarray(Image.open(whole).convert("RGB"))
    outer = np.asarray(Image.open(cut).convert("RGB"))
    text = ~np.isin(inner, (255,)).all(axis=2)
    edge = round(0.1 * figure.dpi)
    assert outer.shape[0] == pytest.approx(inner.shape[0] + 2 * edge, abs=2)
    inside = outer[edge : edge + inner.shape[0], edge : edge + inner.shape[1]]
    assert (inside[text] == inner[text]).mean() > 0.99


def test_one_figure_is_chosen_by_its_name(tmp_path: Path) -> None:
    run = made_up.write_run(tmp_path / "run", made_up.rows(conditions=SMALL["conditions"], metrics=("psnr", "l1@hole")))
    assert len(figures.one(run, "ratio").axes) == 2
    assert len(figures.one(run, "ratio", ["l1@hole"]).axes) == 1
    with pytest.raises(BenchError, match=r"has no figure 'shots': choose from ratio-"):
        figures.one(run, "shots")
    with pytest.raises(BenchError, match=r"unknown metric fid; .* has psnr, l1@hole"):
        figures.one(run, "ratio", ["fid"])


def test_the_running_mean_is_centred_and_whole() -> None:
    assert convergence.running_mean(pd.Series(range(5))).tolist() == [0, 1, 2, 3, 4]
    mean = convergence.running_mean(pd.Series(np.arange(60.0)))
    assert mean[30] == 30
    assert mean[0] == 0.5
    assert mean.notna().all()


def test_a_panel_for_each_loss_of_each_method_and_stage() -> None:
    frame = losses().assign(label=lambda rows: rows["title"])
    with style.context():
        figure = convergence.convergence(frame)
    assert [axes.get_title() for axes in figure.axes] == ["l1", "generator"] * 3
    assert [text.get_text() for text in figure.texts][:3] == ["AOT-GAN", "GRIG, one", "GRIG, two"]
    logged, mean = figure.axes[0].lines
    expected = frame[(frame["title"] == "AOT-GAN") & (frame["loss"] == "l1")]
    assert list(logged.get_ydata()) == list(expected["value"])
    assert list(logged.get_xdata()) == list(expected["step"])
    assert list(mean.get_ydata()) == list(convergence.running_mean(expected["value"].reset_index(drop=True)))


def test_curves_of_few_shots_differ_in_colour_and_line() -> None:
    with style.context():
        figure = convergence.convergence(losses(shots=("all", "5")).assign(label="GRIG"))
    drawn = figure.axes[0].lines[1::2]
    assert len({line.get_color() for line in drawn}) == len({line.get_linestyle() for line in drawn}) == 2
    assert [text.get_text() for text in figure.legends[0].texts] == ["5 training images", "all training images"]


def test_curves_of_seeds_differ_in_colour_and_line() -> None:
    one, two = losses(shots=("all",)).assign(label="GRIG"), losses(shots=("all",)).assign(label="GRIG", seed=7)
    with style.context():
        figure = convergence.convergence(pd.concat([one, two]))
    drawn = figure.axes[0].lines[1::2]
    assert len({line.get_color() for line in drawn}) == len({line.get_linestyle() for line in drawn}) == 2
    assert [text.get_text() for text in figure.legends[0].texts] == [f"seed {one['seed'].iloc[0]}", "seed 7"]


def test_long_titles_that_differ_at_their_end_differ_on_the_sheet() -> None:
    def shown(text: str) -> str:
        sheet = Sheet(1, 1, [None])
        sheet.above(0, text)
        return sheet.axes.texts[-1].get_text()

    names = [f"A method of ours with a quite long name, width {width}" for width in (16, 32)]
    words = [f"a-method-of-ours-with-a-long-name-w{width}" for width in (16, 32)]
    assert [shown(name) for name in names] == [
        "A method of ours\nwith a qui…, width 16",
        "A method of ours\nwith a qui…, width 32",
    ]
    assert [shown(word) for word in words] == ["a-method-o…g-name-w16", "a-method-o…g-name-w32"]


def test_many_losses_wrap_and_a_steep_one_has_a_logarithmic_axis() -> None:
    frame = losses(names=tuple("abcdefg")).assign(label="GRIG", stage="train")
    frame.loc[frame["loss"] == "b", "value"] = np.exp(-frame["step"] / 10)
    with style.context():
        figure = convergence.convergence(frame)
    tops = [round(axes.get_position().y0, 6) for axes in figure.axes]
    assert tops[:5] == tops[:1] * 5
    assert tops[5:] == tops[5:6] * 2
    assert tops[5] < tops[0]
    assert [axes.get_yscale() for axes in figure.axes] == ["linear", "log", *["linear"] * 5]


def test_the_texts_of_a_single_loss_are_not_cut() -> None:
    frame = losses(names=("l1",), shots=("5", "10", "30", "all")).assign(
        label="A method with quite a long name (A), tiny"
    )
    with style.context():
        figure = convergence.convergence(frame)
        figure.draw_without_rendering()
        boxes = [part.get_window_extent() for part in (*figure.texts, *figure.legends)]
    assert len(boxes) == 5  # three stages, the caption, the legend
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0 and box.y1 <= figure.bbox.y1 for box in boxes)


def test_many_methods_stand_in_bands_between_input_and_original(tmp_path: Path) -> None:
    titles = {f"M{i}": f"Method {i}" for i in range(24)}
    run = made_up.write_run(tmp_path / "run", made_up.rows({t: t for t in titles}, ("center/25",), ("psnr",)), 1, 16)
    samples = run / "samples" / "made-up faces"
    chosen = grid.choose(samples, ["center/25"])
    original, last = (grid.read(samples / "center_25" / name / "000.png") for name in ("original", "M23"))
    for draw, rows in ((grid.picture_grid, 1), (grid.zoomed_grid, 2)):
        with style.context():
            figure, dpi = draw(samples, chosen, titles)
            drawn = pixels(figure, dpi, tmp_path)
        texts = [text.get_text() for text in figure.axes[0].texts]
        assert texts.count("Input") == texts.count("Original") == 3
        assert [texts.count(title) for title in titles.values()] == [1] * len(titles)
        tile, margin = 160, round(MARGIN * 160)
        step = tile + round(GAP * tile)
        assert drawn.shape[:2] == (3 * (margin + rows * step), margin + 10 * step)
        top = 3 * margin + 2 * rows * step  # of the third band
        for column, expected in ((8, last), (9, original)):
            left = margin + column * step
            shown = drawn[top : top + tile, left : left + tile][5::10, 5::10]
            assert rows == 2 or np.array_equal(shown, expected)
            assert np.array_equal(shown[:3], expected[:3])  # above the frame around the detail


def test_step_maps_show_completions_above_their_residuals(tmp_path: Path) -> None:
    run = made_up.write_run(tmp_path / "run", made_up.rows(**SMALL))
    samples = run / "samples" / "made-up faces"
    residuals = write_steps(samples / "irregular_20-30" / "GRIG" / "steps" / "001")
    chosen = steps.choose(samples, "GRIG", ["irregular/10-20", "irregular/20-30"])
    assert [(condition.name, place.name) for condition, place in chosen] == [("irregular/20-30", "001")]
    assert steps.choose(samples, "Telea", ["irregular/20-30"]) == []
    with style.context():
        figure, dpi = steps.step_maps(samples, chosen)
        drawn = pixels(figure, dpi, tmp_path)
    tile, margin = 192, round(MARGIN * 192)
    step = tile + round(GAP * tile)

    def shown(row: int, column: int) -> np.ndarray:
        top, left = margin + row * step, margin + column * step
        return drawn[top : top + tile : 3, left : left + tile : 3]

    masked = np.asarray(Image.open(samples / "irregular_20-30" / "masked" / "001.png"))
    assert np.array_equal(shown(0, 0), masked)
    for t in (1, 2, 3):
        assert (shown(0, t) == 60 * t).all()
    colours = mpl.colormaps[steps.COLOURS]
    for t, residual in enumerate(residuals, 1):
        share = np.sqrt(residual[20, 20] / residuals[0].max())
        assert np.allclose(shown(1, t)[20, 20], np.array(colours(share)[:3]) * 255, atol=2)
        assert np.allclose(shown(1, t)[40, 40], np.array(colours(0.0)[:3]) * 255, atol=1)
    ticks = [text.get_text() for text in figure.axes[1].get_yticklabels()]
    assert ticks == ["0", "0.031", "0.12", "0.28", "0.5"]


def test_the_lightness_of_residual_maps_falls_evenly() -> None:
    red, green, blue = mpl.colormaps[steps.COLOURS](np.linspace(0, 1, 64))[:, :3].T
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    assert (np.diff(grey) < 0).all()
    assert grey[0] > 0.9
    assert grey[-1] < 0.05


def test_a_damaged_residual_is_named(tmp_path: Path) -> None:
    run = made_up.write_run(tmp_path, made_up.rows(**SMALL))
    samples = run / "samples" / "made-up faces"
    place = samples / "irregular_10-20" / "GRIG" / "steps" / "000"
    write_steps(place)
    (place / "2-residual.png").write_bytes(b"no picture")
    with pytest.raises(BenchError, match=r"000/2-residual\.png"):
        steps.step_maps(samples, steps.choose(samples, "GRIG", ["irregular/10-20"]))


def test_the_detail_lies_where_the_methods_err_most() -> None:
    original = np.full((64, 64, 3), 100, np.uint8)
    masked = original.copy()
    masked[8:56, 8:56] = 255
    good, bad = original.copy(), original.copy()
    bad[40:50, 20:30] = 200
    good[:4, :4] = 0  # known pixels never count
    assert grid.window(masked, original, [good, bad, None]) == (
        pytest.approx(17, abs=3), pytest.approx(37, abs=3), 16, 16,
    )  # fmt: skip
    left, top, side, _ = grid.window(masked, original, [good, bad, None])
    assert left <= 20 and left + side >= 30 and top <= 40 and top + side >= 50  # all of it
    assert grid.window(masked, original, []) == (24, 24, 16, 16)  # the hole's centre
    assert grid.window(original, original, [bad]) is None
    assert grid.window(None, original, [bad]) is None
    assert grid.window(masked[:, :40], original[:, :40], [bad[:, :40]])[2:] == (10, 16)  # a quarter of each side


def test_zoomed_tiles_are_the_pixels_of_the_window(tmp_path: Path) -> None:
    run = made_up.write_run(tmp_path / "run", made_up.rows(**SMALL))
    samples = run / "samples" / "made-up faces"
    chosen = grid.choose(samples, ["irregular/10-20"])
    with style.context():
        figure, dpi = grid.zoomed_grid(samples, chosen, {"GRIG": "GRIG"})
        drawn = pixels(figure, dpi, tmp_path)
    folder = samples / "irregular_10-20"
    masked, grig, original = (grid.read(folder / name / "000.png") for name in ("masked", "GRIG", "original"))
    left, top, side, _ = grid.window(masked, original, [grig])
    assert side == 16
    tile, margin = 192, round(MARGIN * 192)
    y, x = margin + tile + round(GAP * tile), margin + tile + round(GAP * tile)
    inside = slice(1, -1)  # the frame covers the edge
    shown = drawn[y : y + tile, x : x + tile][6::12, 6::12][inside, inside]
    assert np.array_equal(shown, grig[top : top + side, left : left + side][inside, inside])


def test_the_report_has_every_figure_that_the_run_left(tmp_path: Path) -> None:
    run = made_up.write_run(tmp_path, made_up.rows(**SMALL, datasets=("made-up faces", "b")))
    losses().to_parquet(run / "losses.parquet", index=False)
    write_steps(run / "samples" / "made-up faces" / "irregular_10-20" / "GRIG" / "steps" / "000")
    text = reports.build(run).with_name("report.md").read_text(encoding="utf-8")
    figures = {path.name for path in (run / "report" / "figures").iterdir()}
    for stem in ("losses-made-up-faces", "steps-made-up-faces-grig", "zoom-made-up-faces", "grid-b", "zoom-b"):
        assert {f"{stem}.png", f"{stem}.svg", f"{stem}.pdf"} <= figures
    assert "losses-b.png" not in figures  # nothing was trained on it
    assert r"made-up faces: GRIG step by step, with the residual \|r(t) - r(t-1)\| for images in \[-1, 1\]" in text
    page = (run / "report" / "report.html").read_text(encoding="utf-8")
    assert (
        page.count('class="drawn" src="data:image/svg') == 3
    )  # two plots of ratios, one of losses: dark pages invert them
    assert page.count('<img src="data:image/png') == 7  # for each: grid, details, extremes; steps
    tables = {path.stem for path in (run / "report" / "tables").iterdir()}
    assert "by-dataset" in tables
    assert "by-condition-and-metric" not in tables  # one metric
