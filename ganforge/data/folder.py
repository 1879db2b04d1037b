"""A folder, zip or tar of pictures, decoded once into a memory-mapped cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from ganforge.data.cache import building, cache_root, drop_entry, new_entry, open_entry, write_record
from ganforge.data.decode import FITS, Reading
from ganforge.data.files import File, Files
from ganforge.data.hints import readers
from ganforge.data.layout import Layout, arrange, draw, everything
from ganforge.data.processes import apt, read_by_processes
from ganforge.data.reading import Digest, Gathered, NotEnough, Work, fill, read_here, refuse
from ganforge.data.record import VERSION, Record, notes, warnings
from ganforge.data.settings import Range, parse_background, parse_range
from ganforge.data.several import Several, labels_beside, named
from ganforge.data.tars import find_pictures
from ganforge.data.workers import aside
from ganforge.errors import GANForgeError, UsageError
from ganforge.files import at_home
from ganforge.plugin.dataset import KINDS, Images, describe
from ganforge.plugin.sizes import Size, sides, written_size

Entry = tuple[np.ndarray, Record]


def load_folder(
    path: str | os.PathLike[str],
    *,
    image_size: Size,
    channels: int = 3,
    fit: str = "crop",
    background: str = "white",
    frames: str = "first",
    value_range: Range | None = None,
    limit: int | None = None,
    seed: int = 0,
    strict: bool = False,
    cache_dir: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    files: Files | None = None,
    layout: Layout | None = None,
    paths: Sequence[str] = (),
) -> Images:
    """Read a folder (nested or flat), a zip or a tar of images: uint8 (N, H, W, channels).

    ``image_size`` is a side, or (height, width). ``channels`` is 1, 3, or 4 for colour with transparency, which is
    not premultiplied. ``fit`` is ``crop``, ``stretch`` or ``pad``; ``background`` (``white``, ``black``, ``#rrggbb``)
    lies under transparency and around what is padded, and is the colour of what stays transparent; ``frames`` is
    ``first`` or ``all``. ``value_range`` is what is black and white in pictures deeper than 8 bits; without it, one
    range is found for the whole set (``ganforge.data.ranges``), and ``Images.range`` says which. ``limit`` keeps that
    many pictures, chosen by ``seed`` before anything is decoded, of every class. ``progress(done, total)`` is called
    in this thread while decoding, never when the cache has them. First-level subfolders, or the numbers in a
    dataset.json of the StyleGAN tools, become ``labels`` (``ganforge.data.layout``). ``files`` are encoded pictures
    that lie in no folder, of the classes that ``layout`` says; ``path`` is then only what messages call them, and
    ``paths`` are where another process finds them, if it can.

    Raises ``GANForgeError`` when the path cannot be read, holds no image or fewer than two readable ones, or,
    with ``strict``, at the first unreadable file, or when files are gone since they were listed; ``UsageError`` for
    a setting out of range.
    """
    reading = Reading(image_size, channels, fit, background, frames)
    _check(reading, limit)
    value_range = None if value_range is None else parse_range(value_range)
    root = at_home(path)
    paths = paths if files else [str(root)]
    source = files or aside(find_pictures, root)
    try:
        listed = source.files
        if not listed:
            why = f"; {source.denied[0][0]}: {source.denied[0][1]}" if source.denied else ""
            raise GANForgeError(f"'{root}' holds no image files{why}")
        if strict and source.denied:
            refuse(root, *source.denied[0])
        labels = labels_beside(source)
        layout = layout or arrange([file.name for file in listed], source.folders, labels)
        limited = limit is not None and (limit < len(layout.kept) or frames == "all")
        settings: list[Any] = [VERSION, written_size(image_size), channels, fit, reading.colour, frames]
        settings += [PIL.__version__, readers()]
        settings += [hashlib.sha256(labels or b"").hexdigest(), *([limit, seed] if limited else [])]
        key = _key(listed, settings)
        where = cache_root(cache_dir)
        own = key if value_range is None else _key(listed, [*settings, value_range])
        # Its range may be the one that is asked for, as when a run goes on.
        entry = _found(where, key, value_range) or (_found(where, own, value_range) if own != key else None)
        if entry is None:
            count = limit if limited else None
            ways = [layout, *([everything(len(listed))] if layout.strays and not layout.train else [])]
            works = [
                Work(
                    root,
                    source,
                    w,
                    reading,
                    _chosen(listed, w, count, seed),
                    count,
                    value_range,
                    strict,
                    progress,
                    [*paths],
                )
                for w in ways
            ]
            entry = _made(where, own, works)
        array, record = entry
        if strict and record.skipped:
            refuse(root, *record.skipped[0])
    finally:
        source.close()
    return Images(
        array=array,
        fingerprint=record.fingerprint,
        description=describe(len(array), f"images from {root.resolve().name}", image_size, channels),
        skipped=[*source.denied, *record.skipped],
        found=len(listed) - len(record.strays) - sum(record.left.values()),
        labels=np.asarray(record.labels, dtype=np.int32) if record.classes else None,
        classes=record.classes,
        range=record.range,
        notes=tuple(notes(record)),
        warnings=tuple(warnings(record, reading, value_range is not None)),
    )


def load_several(paths: list[str], **how: Any) -> Images:
    """Read several folders, zips and tars as one set, ``how`` as ``load_folder`` says (``ganforge.data.several``)."""
    source = aside(Several, paths)
    return load_folder(" and ".join(named(paths)), files=source, layout=source.layout, paths=paths, **how)


def _found(where: Path, key: str, value_range: Range | None) -> Entry | None:
    """Return an entry that is there, if it is of this range, or holds nothing that has one."""
    entry = open_entry(where, key)
    if entry is None or (value_range is not None and entry[1].range not in (None, value_range)):
        return None
    if entry[1].retry:
        # What could not be read may have been put right since, without a trace in size or time.
        drop_entry(where, key)
        return None
    return entry


def _chosen(files: list[File], layout: Layout, limit: int | None, seed: int) -> list[tuple[File, str]]:
    """Return the files to read in order, each with its class; those beyond the limit stand by."""
    order = range(len(layout.kept)) if limit is None else draw(layout.classes, limit, seed)
    return [(files[layout.kept[i]], layout.classes[i]) for i in order]


def _filled(folder: Path, works: list[Work]) -> dict[str, Any]:
    """Read what is there; where folders prove to hold no pictures, no file beside them is a stray."""
    first, *others = works
    if not others:
        return fill(folder, first, _way(first))
    with suppress(NotEnough):
        about = fill(folder, first, _way(first))
        if about["classes"]:
            return about
    for path in folder.iterdir():
        path.unlink()
    return fill(folder, others[0], _way(others[0]))


def _way(work: Work) -> Callable[[Path, Work, Digest], Gathered]:
    return read_by_processes if apt(work) else read_here


def _made(where: Path, key: str, works: list[Work]) -> Entry:
    """Read the pictures into an entry, or take the one that another process has made meanwhile."""
    with building(where, key):
        entry = open_entry(where, key)
        if entry is None:
            with new_entry(where, key) as folder:
                about = _filled(folder, works)
                write_record(folder, about, about.pop("sealed"))
            entry = open_entry(where, key)
    if entry is None:
        raise GANForgeError(f"the picture cache in '{where}' was removed while it was being written")
    return entry


def _check(reading: Reading, limit: int | None) -> None:
    if min(sides(reading.image_size)) < 1:
        raise UsageError(f"invalid image size {written_size(reading.image_size)}: expected at least 1 pixel a side")
    if reading.channels not in KINDS:
        known = ", ".join(f"{channels} ({kind})" for channels, kind in KINDS.items())
        raise UsageError(f"invalid channels {reading.channels}: expected one of {known}")
    if reading.fit not in FITS:
        raise UsageError(f"invalid fit '{reading.fit}': expected {', '.join(FITS[:-1])} or {FITS[-1]}")
    if reading.frames not in ("first", "all"):
        raise UsageError(f"invalid frames '{reading.frames}': expected first or all")
    parse_background(reading.background)
    if limit is not None and limit < 2:
        raise UsageError(f"invalid limit {limit}: expected at least 2 images")


def _key(files: list[File], settings: list[Any]) -> str:
    digest = hashlib.sha256(json.dumps(settings).encode())
    for file in files:
        digest.update(f"\n{file.name}\0{file.size}\0{file.stamp}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
