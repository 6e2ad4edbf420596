"""Scores of checkpoints beside the paper's tables, on the paper's scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assets.reports.page import Section
from assets.reports.paper import PaperTable, places, read_paper
from assets.reports.scores import BASELINE
from assets.stage import Table

Row = dict[str, Any]
NUMBERS = ("score", "stderr", "clean", "clean_stderr")


@dataclass(frozen=True)
class Line:
    """One benchmark of a table: ``ours`` by column, on the paper's scale, ``paper`` by the model's name; None is no number."""

    benchmark: str
    ours: Mapping[str, Row | None]
    paper: Mapping[str, float | None]


@dataclass(frozen=True)
class Board:
    """A table of the paper with our columns in it; ``notes`` are what has to be said of its numbers."""

    title: str
    source: str
    decimals: int
    lines: Sequence[Line]
    notes: Sequence[str]


def boards(columns: Mapping[str, Sequence[Row]], always: bool = False) -> list[Board]:
    """The paper's tables with a column for each of ``columns``, the score rows of one checkpoint by its name.

    Without ``always`` those alone in which one of ours has a number.
    """
    found = []
    paper = read_paper()
    by_place: dict[tuple[str, str], dict[str, Row]] = {}
    for column, rows in columns.items():
        known = [(places().get((row["task"], "" if row["average"] else row["metric"])), row) for row in rows]
        placed = [(place, row) for place, row in known if place is not None and row["score"] is not None]
        for place, row in sorted(placed, key=lambda each: each[0].rank):
            by_place.setdefault((place.table, place.row), {}).setdefault(column, _scaled(row, place.scale))
            if row["average"]:  # the same mean may stand in another table too, alone
                second = by_place.setdefault(_second(row["task"], place.table), {})
                second.setdefault(column, _scaled(row, place.scale))
    for name, table in paper.tables.items():
        lines = []
        for label, printed in table.every_row().items():
            ours = by_place.get((name, label), {})
            numbers = {paper.models[model]: score for model, score in table.scores(printed).items()}
            lines.append(Line(label, {c: ours.get(c) for c in columns}, numbers | _over_training(name, label)))
        if always or any(entry for line in lines for entry in line.ours.values()):
            found.append(
                Board(table.title, f"{paper.paper}, table {table.number}", table.decimals, lines, _notes(table))
            )
    return found


def _scaled(row: Row, scale: float) -> Row:
    numbers = {name: None if row[name] is None else row[name] * scale for name in NUMBERS}
    about = {name: row[name] for name in ("task", "metric", "items", "contaminated")}
    return {**numbers, **about}


def _second(average: str, known: str) -> tuple[str, str]:
    """The other table and row in which the paper prints an average."""
    for name, table in read_paper().tables.items():
        for label, row in table.rows.items():
            if name != known and average in row.average:
                return name, label
    return "", ""


def _over_training(table: str, label: str) -> dict[str, float | None]:
    """Columns for the scores of Poro 34B's own checkpoints."""
    return {
        f"{read_paper().models['poro-34b']} at {point.tokens / 1e9:.0f} B tokens": point.average
        if label == "average"
        else point.scores.get(label)
        for point in read_paper().over_training
        if point.table == table
    }


def _notes(table: PaperTable) -> list[str]:
    models = read_paper().models
    told = [
        f"{c.row}, {models[c.model]}: printed {c.printed:g}, recomputed {c.recomputed:g}. {c.why}"
        for c in table.contradictions
    ]
    return [table.note, *told] if table.note else told


def section(board: Board, models: Sequence[str] | None = None) -> Section:
    """A board as a section of a report; of the paper's models those of ``models``, or all."""
    rows = []
    for line in board.lines:
        row: Row = {"benchmark": line.benchmark}
        for column, entry in line.ours.items():
            row[column] = shown(entry, "score", "stderr")
            row[f"{column}, clean"] = shown(entry, "clean", "clean_stderr")
        row |= {
            model: None if score is None else f"{score:.{board.decimals}f}"
            for model, score in line.paper.items()
            if models is None or model in models
        }
        rows.append(row)
    return Section(board.title, [f"{board.source}. ± is one standard error.", *board.notes], [Table(rows)])


def shown(entry: Row | None, score: str, stderr: str) -> str | None:
    """A score with its standard error: ``31.02 ± 2.1``; None where there is none."""
    if entry is None or entry[score] is None:
        return None
    error = "" if entry[stderr] is None else f" ± {entry[stderr]:.2g}"
    return f"{entry[score]:.4g}{error}"


def other_rows(columns: Mapping[str, Sequence[Row]]) -> list[Row]:
    """The scores that the paper has no number for: a row per task and metric, a column per checkpoint."""
    table: dict[tuple[bool, str, str], Row] = {}
    for column, rows in columns.items():
        for row in rows:
            known = (row["task"], "" if row["average"] else row["metric"]) in places()
            if row["score"] is None or row["metric"] == BASELINE or known:
                continue
            key = (not row["average"], row["task"], row["metric"])
            empty = {c: None for name in columns for c in (name, f"{name}, clean")}
            entry = table.setdefault(key, {"task": row["task"], "metric": row["metric"], **empty})
            entry[column] = shown(row, "score", "stderr")
            entry[f"{column}, clean"] = shown(row, "clean", "clean_stderr")
    return [table[key] for key in sorted(table)]
