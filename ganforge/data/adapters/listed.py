"""Encoded pictures that are named one by one, read as a folder's are: by paths, or as bytes in a table."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ganforge.data.adapters.beside import inside
from ganforge.data.adapters.source import found, read_source
from ganforge.data.decode import Unreadable
from ganforge.data.files import MAX_BYTES, File
from ganforge.data.folder import load_folder
from ganforge.data.layout import Layout
from ganforge.errors import GANForgeError, reason
from ganforge.files import at_home, read_file
from ganforge.plugin.options import Options
from ganforge.plugin.registry import Choice

_WIDTH = 10


def known_by(row: int, name: str, labels: Sequence[str] | None) -> str:
    """Return what a listed picture is known by: its order, since one may stand in a list twice, and its label."""
    return f"{row:0{_WIDTH}d}/{'' if labels is None else labels[row]}/{name}"


class Listed:
    """Files named by a list, each by its place in it, its label and its name.

    With a ``root``, names are paths below it, and none that leads out is read. A file that is not there is refused:
    a list says which pictures are meant.
    """

    def __init__(self, names: Sequence[str], labels: Sequence[str] | None = None, root: Path | None = None) -> None:
        self._paths: dict[str, Path] = {}
        self.files: list[File] = []
        self.denied: list[tuple[str, str]] = []
        self.folders: list[str] = []
        self.rows: list[int] = []
        for row, name in enumerate(names):
            path = at_home(name) if root is None else inside(root, name.replace("\\", "/"))
            if path is None:
                self.denied.append((name, f"outside the folder of the list, '{root}'"))
                continue
            try:
                about = path.stat()
            except (OSError, ValueError):
                raise GANForgeError(f"there is no file '{name}', listed in row {row + 1:,}") from None
            if not stat.S_ISREG(about.st_mode):
                raise GANForgeError(f"'{name}', listed in row {row + 1:,}, is not a file")
            known = known_by(row, path.name if root is None else name, labels)
            self._paths[known] = path
            self.files.append(File(known, about.st_size, about.st_mtime_ns))
            self.rows.append(row)

    def read(self, file: File) -> bytes:
        try:
            return read_file(self._paths[file.name], MAX_BYTES)
        except (OSError, ValueError) as error:
            raise Unreadable(reason(error, kind=False)) from error

    def beside(self, name: str) -> bytes | None:  # noqa: ARG002 - of Files; nothing lies beside
        return None

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Held:
    """Pictures as bytes, ``size`` of them, each asked for by its row."""

    count: int
    stamp: str
    row: Callable[[int], bytes]
    labels: Sequence[str] | None = None
    denied: list[tuple[str, str]] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        stamp = int(hashlib.sha256(self.stamp.encode()).hexdigest()[:15], 16)
        self.files = [File(known_by(row, "", self.labels), 0, stamp) for row in range(self.count)]
        self.rows = range(self.count)

    def read(self, file: File) -> bytes:
        try:
            return self.row(int(file.name[:_WIDTH]))
        except Unreadable:
            raise
        except Exception as error:  # whatever a damaged table raises costs that picture
            raise Unreadable(reason(error, kind=False)) from error

    def beside(self, name: str) -> bytes | None:  # noqa: ARG002 - of Files; nothing lies beside
        return None

    def close(self) -> None:
        """What is open stays so for the next reading."""


def listed_choice(
    kind: str, name: str, files: Any, labels: Sequence[str] | None = None, options: Options | None = None
) -> Choice:
    """Return encoded pictures, ``Listed`` or ``Held``, as a data source; ``labels``: a class by name for each row."""
    of = [""] * len(files.files) if labels is None else [labels[row] for row in files.rows]
    if len(set(of)) < 2:
        of = [""] * len(of)
    layout = Layout(list(range(len(of))), of, numbered=all(one.isdecimal() for one in of))

    source = read_source(
        kind,
        partial(load_folder, name, files=files, layout=layout),
        f"{name}: {len(files.files):,} encoded pictures",
        options=Options if options is None else type(options),
    )
    return found(source, options)
