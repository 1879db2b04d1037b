"""Medians and ranges over the seeds: a table for each dataset, with a row for each way to train."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganforge.files import write_atomic
from ganforge.study.findings import DIMENSIONS, Group, groups_of
from ganforge.study.plan import Study
from ganforge.study.summary import COLUMNS, Column, Summary

OF_MODES, OF_PICTURES = ("modes", "precision", "kl", "rare"), ("kid", "fd", "swd")
NOTE = "Medians over the seeds, minimum and maximum in brackets; the best median of each column is bold."
# What says how a run was trained, and what it is where nothing is said.
WAYS = {"balance": "none", "loss": "bce", "optimizer": None}


@dataclass(frozen=True)
class Cell:
    """A number over the seeds."""

    column: Column
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def text(self) -> str:
        """The median, and the lowest and highest of several seeds."""
        low, high = (self.column.text(end) for end in (min(self.values), max(self.values)))
        middle = self.column.text(self.median)
        return middle if low == high else f"{middle} ({low}–{high})"


@dataclass(frozen=True)
class Medians:
    """``rows``: the measured numbers, by way to train and by dataset."""

    rows: dict[str, dict[str, dict[str, Cell]]]
    seeds: dict[str, dict[str, int]]

    @property
    def data(self) -> list[str]:
        """The sets of data, in the order in which they come up."""
        return list(dict.fromkeys(data for cells in self.rows.values() for data in cells))

    def columns(self, data: str) -> list[Column]:
        known = {key for cells in self.rows.values() for key in cells.get(data, {})}
        return [column for column in COLUMNS if column.key in known]

    def is_best(self, data: str, key: str, cell: Cell) -> bool:
        """Say whether no other way has a better median there, and some have a worse one."""
        medians = {cells[data][key].median for cells in self.rows.values() if key in cells.get(data, {})}
        if not cell.column.better:
            return False
        top = max(medians) if cell.column.better == "high" else min(medians)
        return len(medians) > 1 and cell.median == top

    def table(self, data: str, mark: str = "**{}**") -> tuple[list[str], list[list[str]]]:
        """Return the head and the rows of one set of data as text, the best by the first column on top.

        ``mark`` is put around the best of a column.
        """
        columns, lines = self.columns(data), []

        def rank(way: str) -> list[float]:
            here = [(self.rows[way][data].get(column.key), column.better == "high") for column in columns]
            return [math.inf if cell is None else -cell.median if high else cell.median for cell, high in here]

        for way in sorted((way for way, cells in self.rows.items() if data in cells), key=rank):
            cells = self.rows[way][data]
            line = [way, str(self.seeds[way][data])]
            for column in columns:
                cell = cells.get(column.key)
                shown = "–" if cell is None else cell.text
                line.append(mark.format(shown) if cell and self.is_best(data, column.key, cell) else shown)
            lines.append(line)
        return ["", "seeds", *(column.title for column in columns)], lines

    def markdown(self) -> str:
        """Return every table as Markdown."""
        parts = []
        for data in self.data:
            head, lines = self.table(data)
            rule = ["---", *["---:"] * (len(head) - 1)]
            lines = [[f"`{line[0]}`", *line[1:]] for line in lines]
            parts += [f"### `{data}`\n", *(f"| {' | '.join(line)} |" for line in (head, rule, *lines)), ""]
        return "\n".join(parts)

    def numbers(self) -> list[dict[str, Any]]:
        """Return a dict for each way and set of data: its seeds' numbers, in the order of the runs."""
        return [
            {"way": way, "data": data, **{key: list(cell.values) for key, cell in cells[data].items()}}
            for way, cells in self.rows.items()
            for data in cells
        ]


def medians(summaries: Sequence[Summary]) -> Medians:
    """Return the medians of the evaluated runs; runs that differ only in the seed share a cell."""
    groups = groups_of([summary for summary in summaries if summary.evaluation])
    rows: dict[str, dict[str, dict[str, Cell]]] = {}
    seeds: dict[str, dict[str, int]] = {}
    for group in groups:
        data = str(group.config.get("data", "data"))
        beside = [other for other in groups if other.config.get("data", "data") == data]
        wanted = OF_MODES if any(_cell(group, key) for key in OF_MODES) else OF_PICTURES
        cells = {key: cell for key in wanted if (cell := _cell(group, key))}
        way = _way(group, beside)
        rows.setdefault(way, {})[data] = cells
        seeds.setdefault(way, {})[data] = len(group.runs)
    return Medians(rows, seeds)


def has_seeds(summaries: Sequence[Summary]) -> bool:
    """Say whether some runs differ only in the seed, so that there is something to take a median of."""
    return any(len(group.runs) > 1 for group in groups_of(summaries))


def write_medians(study: Study, summaries: Sequence[Summary], runs_dir: Path) -> Path | None:
    """Write ``NAME.md``, a study's medians, beside its runs; None if no runs differ only in the seed."""
    if not has_seeds(summaries):
        return None
    page = runs_dir / f"{study.name}.md"
    about = f"# {study.name}\n\n{study.description}\n\n" if study.description else f"# {study.name}\n\n"
    write_atomic(page, f"{about}{NOTE}\n\n{medians(summaries).markdown()}".encode())
    return page


def _cell(group: Group, key: str) -> Cell | None:
    column = next(column for column in COLUMNS if column.key == key)
    values = group.values(column)
    return Cell(column, tuple(values)) if values else None


def _way(group: Group, beside: Sequence[Group]) -> str:
    """Return what distinguishes a group from the others on the same data; ``none`` if it sets nothing."""
    words = [str(group.config[key]) for key, silent in WAYS.items() if group.config.get(key) not in (silent, None)]
    for key in DIMENSIONS:
        if key not in WAYS and len({repr(other.config.get(key)) for other in beside}) > 1:
            value = group.config.get(key)
            words.append(str(value) if key == "arch" else f"{key.replace('_', '-')}={value}")
    return " · ".join(words) or "none"
