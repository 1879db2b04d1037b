"""Reading files in parallel into a cache entry, in order, as many as needed."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from ganforge.data.cache import ArrayWriter
from ganforge.data.decode import LARGE, Decoded, Picture, Reading, Unreadable, decode
from ganforge.data.files import MAX_BYTES, File, Files, TemporarilyUnreadable
from ganforge.data.layout import Layout, labelled
from ganforge.data.ranges import choose_range
from ganforge.data.settings import Range
from ganforge.data.unscaled import Deep, to_pixels
from ganforge.data.workers import Workers, patiently
from ganforge.errors import GANForgeError, reason
from ganforge.files import at_home, read_file
from ganforge.plugin.sizes import written_size

# The fingerprint of pictures of 8 bits, without a profile, read as by default, has been this since 0.1.
FINGERPRINT_VERSION = 2
# Decoded pictures that may wait to be written, together.
_BLOCK_BYTES = 2**26
_LARGE_BYTES = 2**26
Result = tuple[Decoded, bytes] | Unreadable


@dataclass(frozen=True)
class Work:
    """What to read: files in order, each with its class, until there are ``limit`` pictures.

    ``paths`` are those with which another process can open the source, none if it cannot.
    """

    root: Path
    source: Files
    layout: Layout
    reading: Reading
    files: list[tuple[File, str]]
    limit: int | None
    value_range: Range | None
    strict: bool
    progress: Callable[[int, int], None] | None
    paths: Sequence[str] = ()

    @property
    def every_frame(self) -> bool:
        """Whether a file may give several pictures."""
        return self.reading.frames == "all"

    @property
    def wanted(self) -> int:
        """The number of pictures to read, or, for all frames without a limit, of files."""
        return len(self.files) if self.limit is None else self.limit

    @property
    def at_once(self) -> int:
        """How many decoded pictures may wait in memory: no more than are needed."""
        most = max(16, _BLOCK_BYTES // math.prod(self.reading.shape))
        return most if self.limit is None else min(most, max(16, self.limit))

    def read(self, file: File, start: int = 0) -> Result:
        """Read a file's pictures from frame ``start`` on, and its digest."""
        try:
            # Large files one at a time: each may take half a gigabyte.
            with LARGE if file.size > _LARGE_BYTES else nullcontext():
                content = self.source.read(file)
                return decode(content, self.reading, file.name, start, self.at_once), hashlib.sha256(content).digest()
        except Unreadable as error:
            # A new one: what this one's traceback leads to, the file's bytes, would wait with it for its turn.
            return type(error)(*error.args)


class NotEnough(GANForgeError):
    """Fewer than two pictures could be read."""


def refuse(root: Path, name: str, reason: str) -> None:
    """Raise for an unreadable file, because of ``--strict``."""
    raise GANForgeError(f"cannot read '{name}' in '{root}': {reason}; without --strict, it would be skipped")


@dataclass
class Kept:
    """What is gathered of the pictures beside their pixels; ``first`` is the first file that could be read."""

    first: str = ""
    classes: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    retry: bool = False
    formats: Counter[str] = field(default_factory=Counter)
    colours: Counter[str] = field(default_factory=Counter)
    one_colour: int = 0
    framed: tuple[int, ...] = (0, 0, 0)

    def add(self, other: Kept) -> None:
        """Add what was gathered of the files that follow."""
        self.first = self.first or other.first
        self.classes += other.classes
        self.skipped += other.skipped
        self.retry = self.retry or other.retry
        self.formats.update(other.formats)
        self.colours.update(other.colours)
        self.one_colour += other.one_colour
        self.framed = tuple(a + b for a, b in zip(self.framed, other.framed))


class Digest(Protocol):
    """What the fingerprint is made with."""

    def update(self, content: bytes, /) -> None:
        """Take what follows."""


@dataclass(frozen=True)
class Gathered:
    """What was read: ``count`` pictures; ``sealed`` says of shards that are whole what ``cache.seal`` does."""

    kept: Kept
    count: int
    depths: Counter[str]
    value_range: Range | None
    sealed: list[tuple[int, int]] | None = None


def read_here(folder: Path, work: Work, digest: Digest) -> Gathered:
    """Decode the files into ``folder`` in threads of this process."""
    reading, kept = work.reading, Kept()
    writer = ArrayWriter(folder, reading.shape)
    workers = Workers(min(32, os.cpu_count() or 1), "ganforge-decode")
    patience: float | None = 0
    try:
        with open(folder / "deep.tmp", "w+b") as file:
            deep = Deep(file, reading)
            with quiet():  # around all threads and not in them, where it would race
                read_all(work, workers, writer, deep, kept, digest)
            value_range = deep.finish(writer, work.value_range)
        patience = None
    except Exception:
        patience = 5
        raise
    finally:
        workers.close(patience)  # none for an interrupt: a disk may never answer
        if patience is not None:
            writer.abandon()
    writer.close()
    (folder / "deep.tmp").unlink()
    kept.one_colour += deep.one_colour
    return Gathered(kept, writer.count, deep.depths, value_range)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Pillow's warnings about single pictures."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
        logging.getLogger("PIL").setLevel(logging.CRITICAL)  # it logs what it raises as well
        yield


def fill(folder: Path, work: Work, read: Callable[[Path, Work, Digest], Gathered] = read_here) -> dict[str, Any]:
    """Decode the files into ``folder`` until as many as are wanted are there; return what the record says of them.

    ``read`` does that, and ``sealed`` is what its ``Gathered`` says.
    """
    reading = work.reading
    # Over the files' own bytes: the same pictures are known again in another place, or under another Pillow.
    settings = [FINGERPRINT_VERSION, written_size(reading.image_size), reading.channels, reading.fit]
    digest = hashlib.sha256(json.dumps(settings).encode())
    gathered = read(folder, work, digest)
    kept = gathered.kept
    _require_enough(work.root, kept, gathered.count)
    classes, labels = labelled(kept.classes, work.layout.numbered)
    for more in _beyond_the_defaults(reading, gathered.value_range, labels if work.layout.numbered else []):
        digest.update(f"\n\0{more}".encode())
    skipped = {name for name, _ in kept.skipped}
    unread = {of for file, of in work.files if file.name in skipped} - {
        of for file, of in work.files if file.name not in skipped
    }
    return {
        "fingerprint": digest.hexdigest(),
        "skipped": kept.skipped,
        "retry": kept.retry,
        "classes": classes,
        "labels": labels,
        "formats": dict(kept.formats),
        "depths": dict(gathered.depths),
        "range": gathered.value_range,
        "frames": kept.framed,
        "fit": reading.fit,
        "background": reading.background,
        "one_colour": kept.one_colour,
        "colours": dict(kept.colours),
        "train": work.layout.train,
        "left": work.layout.left,
        "strays": work.layout.strays,
        "loose": work.layout.loose,
        "empty": sorted({*work.layout.empty, *unread} - {""}),
        "problem": work.layout.problem,
        "sealed": gathered.sealed,
    }


def read_all(work: Work, workers: Workers, writer: ArrayWriter, deep: Deep, kept: Kept, digest: Digest) -> None:
    """Decode the files in order into ``writer``, or into ``deep`` where they wait for the range of the whole set."""
    shown, total = 0, work.wanted
    results = _in_order(work, workers, lambda: total - (0 if work.limit is None else writer.count))
    for done, ((file, of), result) in enumerate(results, 1):
        if isinstance(result, Unreadable):
            if work.strict:
                refuse(work.root, file.name, str(result))
            kept.skipped.append((file.name, str(result)))
            kept.retry = kept.retry or isinstance(result, TemporarilyUnreadable)
        else:
            used = 0
            for picture in () if writer.count == work.limit else _pictures(work, file, result):
                _keep(picture, writer, deep, kept)
                kept.classes.append(of)
                used += 1
                if writer.count == work.limit:  # asked here, before more frames are decoded
                    break
            decoded, content = result
            mark = "".join(sorted({picture.colour for picture in decoded.pictures}))
            if work.every_frame and used < decoded.frames:
                mark += f" {used} frames"
            digest.update(f"\n{file.name}\0".encode("utf-8", "surrogateescape") + content + mark.encode())
            kept.first = kept.first or file.name
            kept.formats[decoded.format] += used
            if decoded.frames > 1:
                kept.framed = tuple(a + b for a, b in zip(kept.framed, (1, decoded.frames, used)))
        shown = done if work.every_frame and work.limit is None else writer.count + len(kept.skipped)
        if work.progress and (shown % 32 == 0 or shown >= total):
            work.progress(min(shown, total), total)
    if work.progress and shown < total:
        work.progress(total, total)


def _in_order(work: Work, workers: Workers, needed: Callable[[], int]) -> Iterator[tuple[tuple[File, str], Result]]:
    """Yield (file, what it gave) in order, a block ahead at a time, until ``needed()`` is 0.

    Blocks keep memory even however many files there are.
    """
    block = 4 * min(32, os.cpu_count() or 1) if work.every_frame else min(256, work.at_once)
    start = 0
    while start < len(work.files) and needed() > 0:
        some = work.files[start : start + min(block, needed())]
        futures = deque(workers.submit(work.read, file) for file, _ in some)
        for one in some:
            yield one, patiently(futures.popleft())
        start += len(some)


def _pictures(work: Work, file: File, result: tuple[Decoded, bytes]) -> Iterator[Picture]:
    """Yield all that a file gives; what holds very many frames is decoded part by part."""
    decoded = result[0]
    yield from decoded.pictures
    read = len(decoded.pictures)
    while work.every_frame and read < decoded.frames:
        more = work.read(file, read)
        if isinstance(more, Unreadable) or not more[0].pictures:
            return
        yield from more[0].pictures
        read += len(more[0].pictures)


def _keep(picture: Picture, writer: ArrayWriter, deep: Deep, kept: Kept) -> None:
    if picture.depth:
        deep.add(writer.count, picture)
        writer.write(np.zeros(deep.shape, np.uint8))
    else:
        writer.write(picture.pixels)
    kept.one_colour += picture.one_colour
    if picture.colour:
        kept.colours[picture.colour] += 1


def read_picture(path: Path, reading: Reading, value_range: Range | None) -> np.ndarray:
    """Return one file's picture, uint8 (H, W, C), read like those of a set; if it has several frames, the first.

    ``value_range`` is the set's; without it, a picture deeper than 8 bits is scaled by its own range.

    Raises:
        GANForgeError: it cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow says of a damaged file, the error says too
            picture = decode(read_file(at_home(path), MAX_BYTES), reading, path.name).pictures[0]
    except FileNotFoundError:
        raise GANForgeError(f"there is no file '{path}'; expected a picture") from None
    except (Unreadable, OSError, ValueError) as error:
        raise GANForgeError(f"'{path}' cannot be read: {reason(error, kind=False)}") from None
    if picture.values is None:
        return picture.pixels
    value_range = value_range or choose_range(picture.values)
    return to_pixels(picture.pixels, picture.inverted, picture.finish, value_range, reading)[0]


def _beyond_the_defaults(reading: Reading, value_range: Range | None, labels: list[int]) -> Iterator[str]:
    """Yield what else decides the pictures, where it is not as it always was."""
    if value_range is not None:
        yield f"range {value_range[0]:.17g} {value_range[1]:.17g}"
    if reading.colour != (255, 255, 255):
        yield f"background {reading.colour}"
    if reading.frames == "all":
        yield "all frames"
    if labels:
        yield "labels " + hashlib.sha256(np.asarray(labels, "<i4").tobytes()).hexdigest()


def _require_enough(root: Path, kept: Kept, count: int) -> None:
    if not count:
        (name, reason), files = kept.skipped[0], len(kept.skipped)
        which = f"the file '{name}'" if files == 1 else f"all {files:,} files, such as '{name}'"
        raise NotEnough(f"'{root}' holds no readable image; skipped {which}: {reason}")
    if count == 1:
        raise NotEnough(f"'{root}' holds only one readable image ('{kept.first}'); training needs at least 2")
