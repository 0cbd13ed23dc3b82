"""A scored study in its folder: written by `facebench study score`, read by reports.

scores.csv   see `reports.study.scores`
people.csv   who voted, how the controls went, and whose votes do not count
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from bench.errors import BenchError
from bench.store import write_text
from bench.study.files import FOLDER, PEOPLE, SCORES, Study
from reports.study.scores import COLUMNS, scores
from reports.study.votes import Person, Votes


@dataclass(frozen=True)
class Scored:
    """The scores of a study, and the people behind them."""

    study: Study
    scores: pd.DataFrame
    people: pd.DataFrame

    @property
    def name(self) -> str:
        return self.study.folder.resolve().name


def keep(votes: Votes) -> Scored:
    """Score the votes of a study, and write both tables."""
    scored = Scored(
        votes.study, scores(votes), pd.DataFrame(map(asdict, votes.people), columns=list(Person.__annotations__))
    )
    for name, table in ((SCORES, scored.scores), (PEOPLE, scored.people)):
        write_text(votes.study.folder / name, table.to_csv(index=False, lineterminator="\n"))
    return scored


def of_run(run: Path) -> list[Scored]:
    """The scored studies of a run, by name. Raises BenchError that names a damaged file."""
    return [_read(path.parent) for path in sorted((run / FOLDER).glob(f"*/{SCORES}"))]


def _read(folder: Path) -> Scored:
    return Scored(
        Study.read(folder), _table(folder / SCORES, COLUMNS), _table(folder / PEOPLE, [*Person.__annotations__])
    )


def _table(path: Path, columns: list[str]) -> pd.DataFrame:
    try:
        text = {"dataset", "condition", "measure", "method", "against", "interval", "name", "reason"}
        table = pd.read_csv(path, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values={"value": [""]})
        numbers = [column for column in columns if column not in text]
        table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce")
        return table[columns]
    except KeyError as error:
        again = f"run `facebench study score {path.parent}` again"
        raise BenchError(f"{path} was written by an earlier version, or changed, and lacks columns: {again}") from error
    except (OSError, ValueError) as error:
        raise BenchError(f"cannot read {path}: {error}; run `facebench study score {path.parent}` again") from error
