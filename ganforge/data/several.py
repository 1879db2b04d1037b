"""``--data A --data B``, written ``A,B``: several folders, zips and tars of pictures as one set."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ganforge.data.files import File, Files
from ganforge.data.layout import LABELS, OTHER, TRAIN, Layout, arrange, shared
from ganforge.data.tars import find_pictures
from ganforge.errors import GANForgeError, UsageError
from ganforge.files import at_home


def named(paths: Sequence[str]) -> list[str]:
    """Return the names of sources for messages and pictures: those of their folders, made unique."""
    names: list[str] = []
    for path in paths:
        own = at_home(path).resolve().name or "data"
        names.append(
            own if own not in names else next(n for k in range(2, 10**6) if (n := f"{own} {k}") not in names)
        )
    return names


class Several:
    """Pictures of several sources, each named by its source and its path there, and ordered by these names.

    Class folders with the same name are one class, whichever sources they are in; a source without class folders is a
    class of its own, named after the single folder that holds everything, or after itself. So ``layout`` is the same
    as if all class folders lay side by side. Raises ``GANForgeError`` if a source cannot be read or is empty, and
    ``UsageError`` if one is named twice. Without ``listed``, files are not listed, only read by name.
    """

    def __init__(self, paths: Sequence[str], listed: bool = True) -> None:
        wholes = [os.path.realpath(at_home(path)) for path in paths]
        if twice := [path for path, whole in zip(paths, wholes) if wholes.count(whole) > 1]:
            raise UsageError(f"invalid --data: '{twice[0]}' is given twice; expected each folder, zip or tar once")
        self._sources: dict[str, Files] = {}
        self.denied: list[tuple[str, str]] = []
        self.folders: list[str] = []
        self._labels = b""
        found: list[tuple[File, int, str]] = []
        layouts: dict[str, Layout] = {}
        for name, path in zip(named(paths), paths):
            source = self._sources[name] = find_pictures(at_home(path), listed)
            if not listed:
                continue
            if not source.files:
                raise GANForgeError(f"'{path}' holds no image files")
            labels = labels_beside(source)
            self._labels += labels or b""
            layouts[name] = layout = _classed(source, labels, Path(at_home(path)))
            self.denied += [(f"{name}/{one}", why) for one, why in source.denied]
            of = dict(zip(layout.kept, layout.classes))
            for i, file in enumerate(source.files):
                found.append((File(f"{name}/{file.name}", file.size, file.stamp), i in of, of.get(i, "")))
        found.sort(key=lambda one: one[0].name)
        self.files = [file for file, _, _ in found]
        self.layout = _together(found, layouts)

    def read(self, file: File) -> bytes:
        """Return a file's bytes. Raises ``Unreadable``."""
        name, _, inner = file.name.partition("/")
        return self._sources[name].read(File(inner, file.size, file.stamp))

    def beside(self, name: str) -> bytes | None:
        """Return the contents of the sources' dataset.json files, so that a change in one is noticed."""
        return self._labels or None if name == LABELS else None

    def close(self) -> None:
        """Close all open sources."""
        for source in self._sources.values():
            source.close()


def labels_beside(source: Files) -> bytes | None:
    """Return the content of a dataset.json at the top, or in the one folder that holds everything."""
    first = source.files[0].name.split("/")[:-1]
    tops = [
        "",
        *(f"{first[0]}/" for _ in first[:1] if all(file.name.startswith(f"{first[0]}/") for file in source.files)),
    ]
    return next((content for top in tops if (content := source.beside(top + LABELS)) is not None), None)


def _classed(source: Files, labels: bytes | None, path: Path) -> Layout:
    """Return the layout of a source; one without classes becomes a class with its own name."""
    layout = arrange([file.name for file in source.files], source.folders, labels)
    if any(layout.classes):
        return layout
    parts = [source.files[i].name.split("/")[:-1] for i in layout.kept]
    inner = parts[0][shared(parts) - 1] if shared(parts) else ""
    whole = path.resolve()
    own = inner if inner and inner.lower() not in TRAIN | OTHER else whole.name if whole.is_dir() else whole.stem
    return Layout(**{**vars(layout), "classes": [own] * len(layout.kept)})


def _together(found: list[tuple[File, int, str]], layouts: dict[str, Layout]) -> Layout:
    classes = [of for _, kept, of in found if kept]
    left: Counter[str] = Counter()
    for name, one in layouts.items():
        left.update({f"{name}/{folder}": count for folder, count in one.left.items()})
    return Layout(
        kept=[i for i, (_, kept, _) in enumerate(found) if kept],
        classes=classes if len(set(classes)) > 1 else [""] * len(classes),
        train=next((one.train for one in layouts.values() if one.train), ""),
        left=dict(left),
        strays=sorted(f"{name}/{stray}" for name, one in layouts.items() for stray in one.strays),
        loose=sum(one.loose for one in layouts.values()),
        empty=sorted({folder for one in layouts.values() for folder in one.empty} - set(classes)),
        numbered=all(one.numbered for one in layouts.values()),
        problem="; ".join(f"{name}: {one.problem}" for name, one in layouts.items() if one.problem),
    )
