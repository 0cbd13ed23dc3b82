r"""Tables of a paper: what a YAML file asks for is what stands in the `.tex`, and it compiles."""

from __future__ import annotations

import csv
import io
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

import reports
from bench import cli
from bench.errors import BenchError
from reports import markup, paper
from tests.reports import made_up
from tests.reports.test_latex import needs_tex

WHAT = {"conditions": ("irregular/10-20", "irregular/20-30", "center/25"), "metrics": ("psnr", "l1@hole")}
PREAMBLE = r"\documentclass[twocolumn]{article}\usepackage{booktabs,graphicx}\begin{document}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up.write_run(tmp_path_factory.mktemp("run"), made_up.rows(**WHAT), pictures=0)


def written(run: Path, folder: Path, published: str = "", **keys: object) -> dict[str, str]:
    """The files of one table with these keys, by their suffix."""
    if published:
        (folder / "published.csv").write_text(published, encoding="utf-8")
    head = {"published": "published.csv"} if published else {}
    (folder / "paper.yaml").write_text(yaml.safe_dump(head | {"tables": {"mine": keys}}, sort_keys=False))
    made = reports.paper_tables(run, folder / "paper.yaml")
    assert made == [folder / f"paper/mine.{suffix}" for suffix in ("tex", "md", "csv")]
    return {path.suffix[1:]: path.read_text(encoding="utf-8") for path in made}


def grid(files: dict[str, str]) -> list[list[str]]:
    return list(csv.reader(io.StringIO(files["csv"])))


def test_what_is_named_is_shown_in_this_order_and_called_so(run: Path, tmp_path: Path) -> None:
    files = written(
        run,
        tmp_path,
        caption=r"Scores of \cite{b} in $L_1$ & more.",
        label="tab:scores",
        methods={"Classical": ["telea"], "Ours": [{"GRIG": r"GRIG \cite{g}"}, "aot"]},
        conditions={"Thin": [{"irregular/20-30": "20–30 %"}], "Square": ["center/25"]},
        metrics=[{"l1@hole": "$L_1$"}],
        digits={"l1@hole": 2},
    )
    heads, *rows = grid(files)
    assert heads == ["part", "group", "Method", "Thin 20–30 %", "Square 25%"]
    assert [row[:3] for row in rows] == [
        ["$L_1$", "Classical", "Telea"], ["$L_1$", "Ours", r"GRIG \cite{g}"], ["$L_1$", "Ours", "AOT-GAN"],
    ]  # fmt: skip
    assert all(re.fullmatch(r"0\.\d\d", value) for row in rows for value in row[3:])
    tex = files["tex"]
    assert r"\caption{Scores of \cite{b} in $L_1$ \& more.}" in tex and r"\label{tab:scores}" in tex
    assert r"\multicolumn{1}{c}{Thin} & \multicolumn{1}{c}{Square}" in tex
    assert tex.index(r"\textit{Classical}") < tex.index("Telea &") < tex.index(r"\textit{Ours}") < tex.index("GRIG ")
    assert "Bold: better than every other method" in tex


def test_what_stood_in_for_published_networks_is_told_by_the_names_of_the_table(run: Path, tmp_path: Path) -> None:
    text = "training losses stand on embedded-training-00000000; the published method uses LPIPS VGG-16."
    shown = written(run, tmp_path, methods=["telea", {"grig": "GRIG (ours)"}])
    assert f"GRIG (ours): {text}" in shown["tex"] and f"GRIG (ours): {text}" in shown["md"]
    assert "Preset tiny: Telea, GRIG (ours)." in shown["tex"]
    assert "Trained here, steps x images: GRIG (ours) 400 x 8." in shown["tex"]
    assert "embedded-training" not in written(run, tmp_path, methods=["telea", "aot"])["tex"]


def test_keys_of_the_file_are_those_of_every_table(run: Path, tmp_path: Path) -> None:
    text = "methods: [grig, mean]\ndigits: 1\ntables:\n  one: {}\n  two: {methods: [aot]}\n"
    (tmp_path / "paper.yaml").write_text(text)
    reports.paper_tables(run, tmp_path / "paper.yaml")
    one, two = (list(csv.reader((tmp_path / f"paper/{name}.csv").open())) for name in ("one", "two"))
    assert [row[1] for row in one[1:3]] == ["GRIG", "Mean colour"] and {row[1] for row in two[1:]} == {"AOT-GAN"}
    assert all(len(value.partition(".")[2]) == 1 for row in (*one[1:], *two[1:]) for value in row[2:])


@pytest.mark.parametrize("name", ["mine.tex", "mine.md", "mine.csv"])
def test_files_of_somebody_else_are_kept(run: Path, tmp_path: Path, name: str) -> None:
    theirs = tmp_path / "paper" / name
    theirs.parent.mkdir()
    theirs.write_text("theirs")
    with pytest.raises(BenchError, match=f"{name} is there already, and this command did not write it"):
        written(run, tmp_path)
    assert theirs.read_text() == "theirs" and [*theirs.parent.iterdir()] == [theirs]
    theirs.unlink()
    before = written(run, tmp_path)
    assert written(run, tmp_path) == before


def test_environments(run: Path, tmp_path: Path) -> None:
    sign = f"{paper.SIGN}\n"
    assert written(run, tmp_path)["tex"].startswith(f"{sign}\\begin{{table}}[htbp]")
    wide = written(run, tmp_path, environment="table*")["tex"].removeprefix(sign)
    assert wide.startswith("\\begin{table*}[tp]") and wide.rstrip().endswith("\\end{table*}")
    bare = written(run, tmp_path, environment="tabular")["tex"].removeprefix(sign)
    assert bare.startswith("\\begin{tabular}") and "caption" not in bare and "resizebox" not in bare
    below = bare[bare.index("\\end{tabular}") :].splitlines()[1:]
    assert below and all(line.startswith("% ") for line in below)  # what is said below it does not get lost


def test_transposed(run: Path, tmp_path: Path) -> None:
    straight = written(run, tmp_path, columns=["condition", "metric"])
    turned = written(run, tmp_path, columns=["condition", "metric"], transposed=True)
    (_, *conditions), *lines = grid(straight)
    heads, *rows = grid(turned)
    assert heads == ["group", "Metric", *(line[0] for line in lines)]
    assert [" ".join(row[:2]) for row in rows] == [f"{name} {'↑' if 'PSNR' in name else '↓'}" for name in conditions]
    assert [row[2:] for row in rows] == [list(column) for column in zip(*(line[1:] for line in lines), strict=True)]
    assert straight["tex"].count("textbf") == turned["tex"].count("textbf") > 0


@needs_tex
@pytest.mark.parametrize("keys", [{}, {"width": 240}, {"environment": "table*"}, {"split": 2}])
def test_a_wide_table_is_split_where_it_would_shrink(tmp_path: Path, keys: dict[str, object]) -> None:
    """Seven columns with intervals: TeX tells how far each table is scaled."""
    names = tuple(f"irregular/{low}-{low + 10}" for low in range(10, 80, 10))
    rows = made_up.rows(conditions=names, metrics=("psnr",))
    run = made_up.write_run(tmp_path / "run", rows, pictures=0)
    tex = written(run, tmp_path, intervals=True, **keys)["tex"]
    heads = [line for line in tex.splitlines() if line.strip().startswith("Method &")]
    counts = [line.count("&") for line in heads]
    assert sum(counts) == 7 and len(counts) > 1 and max(counts) <= keys.get("split", 7)
    assert tex.count("Telea &") == len(counts)
    if "width" not in keys and "environment" not in keys:
        tell = tex.replace(r"\ifdim", r"\typeout{WIDTH \the\wd0}\ifdim")
        one = PREAMBLE.replace("[twocolumn]", "")
        (tmp_path / "paper.tex").write_text(f"{one}\n{tell}\n\\end{{document}}\n", encoding="utf-8")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
        log = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True).stdout
        widths = [float(width) for width in re.findall(r"WIDTH ([\d.]+)pt", log)]
        assert widths and max(widths) * 0.65 < 345
        assert "Overfull" not in log


@needs_tex
def test_the_example_of_the_docs_compiles(tmp_path: Path) -> None:
    """The YAML and CSV of docs/reading-a-report.md, on results of the quickstart's names."""
    page = (Path(__file__).parents[2] / "docs/reading-a-report.md").read_text(encoding="utf-8")
    example, published = (re.search(rf"```{kind}\n(.*?)```", page, re.DOTALL)[1] for kind in ("yaml", "csv"))  # type: ignore[index]
    (tmp_path / "paper.yaml").write_text(example, encoding="utf-8")
    (tmp_path / "published.csv").write_text(published, encoding="utf-8")
    methods = {"telea": "Telea", "biharmonic": "Biharmonic", "aot": "AOT-GAN", "grig": "GRIG"}
    wanted = {"perceptual@lite0": ("Perceptual (lite0)", False, True, 0.1, 0.4)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made_up, "METRICS", made_up.METRICS | wanted)
        conditions = ("irregular/10-20", "irregular/50-60", "freeform/60-80", "center/25")
        rows = made_up.rows(methods, conditions, ("perceptual@lite0", "l1@hole"))
        run = made_up.write_run(tmp_path / "run", rows, pictures=0)
    names = [path.stem for path in reports.paper_tables(run, tmp_path / "paper.yaml") if path.suffix == ".tex"]
    assert len(names) > 1
    body = "\n".join(rf"\input{{paper/{name}}}" for name in names)
    document = f"{PREAMBLE}\n{body}\n\\end{{document}}\n"
    (tmp_path / "doc.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "doc.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-1500:]
    assert "Overfull" not in done.stdout


PUBLISHED = "method,condition,metric,value,note\nLaMa,center/25,l1@hole,0.02,Table 3\nGRIG,center/25,l1@hole,0.001,\n"


def test_rows_as_published_stand_beside_and_are_not_ranked(run: Path, tmp_path: Path) -> None:
    files = written(run, tmp_path, PUBLISHED, columns="condition", metrics=["l1@hole"], digits=3)
    heads, *rows = grid(files)
    found = {row[heads.index("Method")]: row[heads.index("center 25%")] for row in rows}
    assert list(found)[-2:] == ["LaMa", "GRIG (as published)"] and "GRIG (tiny)" in found
    assert found["LaMa"] == "0.02" and found["GRIG (as published)"] == "0.001"  # no digits that the paper did not print
    assert r"\textbf{0.001}" not in files["tex"] and r"\underline{0.001}" not in files["tex"]
    assert r"\textbf{" in files["tex"]  # the best of those that were measured
    assert "as published, Table 3" in files["tex"] and "not published" in files["tex"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("method,metric,value\n", "lacks the columns condition"),
        (
            PUBLISHED.replace("center/25", "centre/25"),
            "line 2: the results have no condition 'centre/25' .did you mean",
        ),
        (PUBLISHED.replace("0.02", "good"), "line 2: the value 'good' is no number"),
        (PUBLISHED.replace("note", "remark"), "unknown column 'remark'"),
    ],
)
def test_faults_of_published_rows_are_named(run: Path, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BenchError, match=rf"published\.csv.*{message}"):
        written(run, tmp_path, text)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"methods": ["grg"]}, r"tables\.mine: methods: the results have no method 'grg' .did you mean 'grig'"),
        (
            {"conditions": ["centre/25"]},
            "conditions: the results have no condition 'centre/25' .did you mean 'center/25'",
        ),
        ({"digits": {"psn": 1}}, "digits: the results have no metric 'psn' .did you mean 'psnr'"),
        ({"methods": ["grig", "grig"]}, r"tables\.mine\.methods: a name stands there twice"),
        ({"methods": "grig"}, "give a list of NAME"),
        ({"captoin": "x"}, r"tables\.mine\.captoin: unknown key .did you mean 'caption'"),
        ({"columns": ["method"]}, "method stands twice in columns, rows and blocks"),
        ({"environment": "figure"}, r"tables\.mine\.environment"),
    ],
)
def test_faults_of_the_file_are_named(run: Path, tmp_path: Path, keys: dict[str, object], message: str) -> None:
    with pytest.raises(BenchError, match=f"paper.yaml.*(?s:.)*{message}"):
        written(run, tmp_path, **keys)
    assert not (tmp_path / "paper").exists()


def test_a_name_of_two_rows_must_say_which(tmp_path: Path) -> None:
    rows = made_up.rows(methods={"grig": "GRIG"}, **WHAT)
    both = pd.concat([rows, rows.assign(title="GRIG (A)")], ignore_index=True)
    run = made_up.write_run(tmp_path / "run", both, pictures=0)
    with pytest.raises(BenchError, match=r"'grig' may be 'GRIG' or 'GRIG \(A\)': write which"):
        written(run, tmp_path, methods=["grig"])
    assert grid(written(run, tmp_path, methods=["GRIG (A)"]))[1][1] == "GRIG (A)"


def test_a_title_may_hold_math_and_references_and_nothing_else() -> None:
    kept = r"LaMa \cite{a,b}, \citep[see][p.~3]{k}, $\mathcal{L}_{1}$, \emph{x}"
    assert markup.paper(kept.replace("~", " ")) == kept.replace("~", " ")
    for text in (r"\input{/etc/passwd}", r"$\input{x}$", r"\cite{\write18{x}}", r"\emph{$x$}\openin"):
        assert not re.search(r"\\(input|write|openin)", markup.paper(text).replace(r"\textbackslash{}", ""))
    assert markup.paper("5 $ & 100 %") == r"5 \$ \& 100 \%"


def test_scores_of_single_images(run: Path, tmp_path: Path) -> None:
    path = reports.scores(run, tmp_path / "scores.csv")
    assert reports.scores(run, path) == path  # its own file may be replaced
    table, kept = pd.read_csv(path, dtype={"id": str}), pd.read_parquet(run / "per_image.parquet")
    assert list(table)[:4] == ["dataset", "condition", "id", "title"] and list(table)[-2:] == ["psnr", "l1@hole"]
    assert len(table) == len(made_up.METHODS) * len(WHAT["conditions"]) * 40
    for metric in ("psnr", "l1@hole"):
        found = table.set_index(["condition", "id", "title"])[metric]
        wanted = kept[kept["metric"] == metric].set_index(["condition", "id", "title"])["value"]
        pd.testing.assert_series_equal(found.sort_index(), wanted.sort_index(), check_names=False)
    only = made_up.write_run(tmp_path / "sets", made_up.rows(metrics=("fid@embedded",)), pictures=0)
    with pytest.raises(BenchError, match="no scores of single images"):
        reports.scores(only, tmp_path / "scores.csv")


def test_the_command_writes_tables_and_scores_and_no_report(run: Path, tmp_path: Path) -> None:
    (tmp_path / "paper.yaml").write_text("tables:\n  a: {}\n  b: {columns: metric}\n")
    asked = ["report", str(run), "--tables", str(tmp_path / "paper.yaml"), "--scores", str(tmp_path / "scores.csv")]
    done = CliRunner().invoke(cli.app, asked, catch_exceptions=False, env={"COLUMNS": "200"})
    written = [line.removeprefix("wrote ") for line in done.output.splitlines()]
    assert len(written) == 7 and all(Path(path).is_file() for path in written)
    assert not (run / "report").exists()


def test_scores_of_single_images_replace_no_other_file(run: Path, tmp_path: Path) -> None:
    single = run / "per_image.parquet"
    before = single.read_bytes()
    with pytest.raises(BenchError, match=r"per_image\.parquet must end in \.csv"):
        reports.scores(run, single)
    notes = tmp_path / "notes.csv"
    notes.write_text("mine")
    with pytest.raises(BenchError, match=r"notes\.csv is there already, and this command did not write it"):
        reports.scores(run, notes)
    assert single.read_bytes() == before and notes.read_text() == "mine"
