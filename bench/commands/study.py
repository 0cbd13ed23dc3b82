"""`facebench study`: people judge pictures of a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bench.commands import Moved, chosen, licence, out
from bench.errors import BenchError
from bench.reporters import reporter

app = typer.Typer(no_args_is_help=True, help="User studies: people judge pictures of a run.")


@app.command("make")
def make(
    run: Annotated[Path, typer.Argument(help="A suite's folder, for example runs/quickstart.")],
    kind: Annotated[
        str | None,
        typer.Option(help="ranking (order all), 2afc (choose between two) or best (choose the best of all)."),
    ] = None,
    people: Annotated[int | None, typer.Option(help="Pages to make; more may be added later.")] = None,
    questions: Annotated[int | None, typer.Option(help="That each person is asked, without controls.")] = None,
    images: Annotated[int | None, typer.Option(help="Test images of each data set that are judged.")] = None,
    methods: Annotated[str | None, typer.Option(help="Only these rows, by method or title. Default: all.")] = None,
    conditions: Annotated[str | None, typer.Option(help="Only these conditions.")] = None,
    datasets: Annotated[str | None, typer.Option(help="Only these data sets.")] = None,
    against: Annotated[str | None, typer.Option(help="2afc: only pairs with this row, by title.")] = None,
    repeated: Annotated[int | None, typer.Option(help="Of the questions, how many each person is asked again.")] = None,
    obvious: Annotated[
        int | None, typer.Option(help="Questions with one right answer, which find careless people.")
    ] = None,
    original: Annotated[
        bool | None, typer.Option("--original/--no-original", help="Show the original picture, too.")
    ] = None,
    assignment: Annotated[
        Path | None, typer.Option(help="Take who is asked what from this CSV file, in the form of assignment.csv.")
    ] = None,
    consent: Annotated[Path | None, typer.Option(help="Text file of what people agree to, in place of ours.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the study; default: its kind.")] = None,
    pictures: licence.Pictures = None,
    data: Moved = None,
) -> None:
    """Make the pages of a user study: one HTML file a person, which opens from disk and sends nothing anywhere.

    RUN/studies/NAME/pages/ is for people; assignment.csv beside it says what they see, and is not. Each person sends
    back votes-ID.json: put it into RUN/studies/NAME, then `facebench study score RUN/studies/NAME`. What no
    option says, the suite's section `study` does.
    """
    from bench import stored
    from bench.store import file_slug
    from bench.study import files
    from bench.study import make as study

    found = stored.Run.open(run, data or [])
    options: dict[str, Any] = {
        "kind": kind,
        "people": people,
        "questions": questions,
        "images": images,
        "against": against,
        "repeated": repeated,
        "obvious": obvious,
        "original": original,
    }
    asked = study.asked(found.suite, {key: value for key, value in options.items() if value is not None})
    text = ""
    if consent:
        try:
            text = consent.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise BenchError(f"--consent: cannot read {consent}: {error}; give a text file in UTF-8") from error
    folder = found.folder / files.FOLDER / file_slug(name or asked.kind)
    cells = chosen(found.cells, methods, conditions, datasets)
    licence.may_show((cell.row["dataset"] for cell in cells), pictures, needed=True)
    made = study.make(found, cells, asked, folder, reporter("study_page"), text, assignment)
    count = max(map(len, made.questions.values()))
    out.print(
        f"wrote {len(made.questions)} pages of up to {count} questions into {folder / files.PAGES}: give one to each "
        f"person, and put the votes-ID.json that come back into {folder}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


@app.command("score")
def score(
    folder: Annotated[
        Path, typer.Argument(help="A study's folder: RUN/studies/NAME, with votes-*.json.", metavar="DIR")
    ],
    mistakes: Annotated[
        int, typer.Option(min=0, help="Obvious questions that a person may answer wrong and still count.")
    ] = 0,
) -> None:
    """Score the votes of a user study: ranks, preferences and strengths with intervals, and agreement.

    People who fail the obvious questions, or have not finished, are named and left out. Writes DIR/scores.csv and
    DIR/people.csv, and the run's report anew, where tables and figures stand.
    """
    scored = reporter("study_score")(folder, mistakes)
    for table in scored.tables:
        out.print(table)
    report = f"report: {reporter('build')(scored.run)}" if scored.run else f"wrote {folder / 'scores.csv'}"
    for line in (*scored.notes, report):
        out.print(line, highlight=False, markup=False, soft_wrap=True)
