"""Objects that are displayed as HTML in a notebook and as text elsewhere."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ganforge.errors import clean
from ganforge.showing.pictures import encoded, in_notebook

MOST_INLINE = 2**25  # bytes of a file that is put into a notebook


class Table(NamedTuple):
    """Rows of texts below ``head``; without a head, pairs of a name and its value."""

    rows: Sequence[Sequence[str]]
    head: Sequence[str] = ()


class Picture(NamedTuple):
    """A PNG."""

    content: bytes


Part = str | Table | Picture


class Shown:
    """An object that a notebook shows as HTML and ``print`` as text; ``told`` returns its parts."""

    def told(self) -> Iterable[Part]:
        """Return the parts to display, from top to bottom: the title first."""
        raise NotImplementedError

    def text(self) -> str:
        """Return what ``show`` prints, as text."""
        return clean("\n".join(said for part in self.told() if (said := as_text(part))))

    def __str__(self) -> str:
        return self.text()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002  (IPython gives both)
        printer.text(self.text())

    def _repr_html_(self) -> str:
        title, *rest = self.told()
        return f"<b>{html.escape(clean(str(title)))}</b>" + "".join(map(as_html, rest))

    def show(self) -> None:
        """Display it in a notebook, or else print it as text."""
        if in_notebook():
            from IPython.display import display

            display(self)
        else:
            print(self.text())


def as_text(part: Part) -> str:
    """Return a part as text; an empty string for a picture."""
    if isinstance(part, Picture):
        return ""
    if isinstance(part, str):
        return part
    rows = [list(row) for row in ([part.head] if part.head else [])] + [list(row) for row in part.rows]
    lines = [line for row in rows for line in _lines_of(row)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def _lines_of(row: Sequence[str]) -> list[list[str]]:
    """Return a row of cells as lines: a cell may have several."""
    cells = [cell.split("\n") for cell in row]
    most = max(map(len, cells))
    return [list(line) for line in zip(*([*cell, *[""] * (most - len(cell))] for cell in cells))]


def as_html(part: Part) -> str:
    """Return a part as HTML; markup in its texts is escaped."""
    if isinstance(part, Picture):
        source = f"data:image/png;base64,{encoded(part.content)}"
        return f'<div><img src="{source}" alt="the last grid and the curves"></div>'
    if isinstance(part, str):
        return f"<div>{_escaped(part)}</div>"
    head = "".join(f'<th style="text-align:left">{_escaped(cell)}</th>' for cell in part.head)
    body = "".join(
        "<tr>" + "".join(f'<td style="text-align:left">{_escaped(cell)}</td>' for cell in row) + "</tr>"
        for row in part.rows
    )
    return f"<table>{f'<thead><tr>{head}</tr></thead>' * bool(head)}<tbody>{body}</tbody></table>"


def _escaped(text: str) -> str:
    return html.escape(clean(text)).replace("\n", "<br>")


if TYPE_CHECKING:
    _Path = Path
else:
    _Path = type(Path())


class File(_Path):
    """The path of a file that was written; a notebook shows an animation or a picture, and links to a page."""

    def _repr_html_(self) -> str:
        kinds = {".gif": "image/gif", ".webp": "image/webp", ".png": "image/png", ".mp4": "video/mp4"}
        kind = kinds.get(self.suffix.lower())
        name = html.escape(clean(str(self)))
        if kind is None or not self.is_file() or self.stat().st_size > MOST_INLINE:
            return f'<a href="{name}">{name}</a>'
        source = f"data:{kind};base64,{encoded(self.read_bytes())}"
        if kind.startswith("video"):
            return f'<video controls loop src="{source}"></video>'
        return f'<img src="{source}" alt="{name}">'


def shown(value: Any, digits: int = 3) -> str:
    """Return a value as text for a table cell: a dash for None, a float with ``digits`` digits."""
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)
