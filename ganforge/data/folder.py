"""A folder or zip of pictures, decoded once into a memory-mapped cache."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image

from ganforge.data.cache import ArrayWriter, building, cache_root, drop_entry, new_entry, open_entry, write_about
from ganforge.data.decode import LARGE, Unreadable, decode
from ganforge.data.files import File, Files, TemporarilyUnreadable, find_files
from ganforge.errors import GANForgeError, UsageError
from ganforge.files import at_home
from ganforge.plugin.dataset import Images, describe

CACHE_VERSION = 2
_NOTES = {"count", "fingerprint", "skipped", "retry", "classes", "labels"}
# Decoded pictures that may wait to be written, together.
_BLOCK_BYTES = 2**26
_LARGE_BYTES = 2**26


def load_folder(
    path: str | os.PathLike[str],
    *,
    image_size: int,
    channels: int = 3,
    fit: str = "crop",
    limit: int | None = None,
    seed: int = 0,
    strict: bool = False,
    cache_dir: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Images:
    """Read a folder (nested or flat) or a zip of images: uint8 (N, image_size, image_size, channels).

    ``fit`` is ``crop`` or ``stretch``. ``limit`` keeps that many, chosen by ``seed`` before anything is
    decoded. ``progress(done, total)`` is called in this thread while decoding, never when the cache has them.
    First-level subfolders become ``labels`` when there are at least two and every picture lies in one.

    Raises ``GANForgeError`` when the path cannot be read, holds no image or fewer than two readable ones, or,
    with ``strict``, at the first unreadable file; ``UsageError`` for a setting out of range.
    """
    _check(image_size, channels, fit, limit)
    root = at_home(path)
    source = find_files(root)
    try:
        files = source.files
        if not files:
            why = f"; {source.denied[0][0]}: {source.denied[0][1]}" if source.denied else ""
            raise GANForgeError(f"'{root}' holds no image files{why}")
        if strict and source.denied:
            _refuse(root, *source.denied[0])
        order: Sequence[int] = range(len(files))
        wanted = len(files)
        if limit is not None and limit < len(files):
            chosen = np.random.default_rng(seed).permutation(len(files))
            # In order of name as far as the limit goes; the rest stands by for what turns out unreadable.
            order, wanted = [*sorted(chosen[:limit].tolist()), *chosen[limit:].tolist()], limit
        settings = [CACHE_VERSION, image_size, channels, fit]
        key = _key(files, [*settings, PIL.__version__, *([limit, seed] if wanted < len(files) else [])])
        where = cache_root(cache_dir)
        entry = _open(where, key)
        if entry is not None and entry[1]["retry"]:
            # What could not be read may have been put right since, without a trace in size or time.
            drop_entry(where, key)
            entry = None
        if entry is None:
            with building(where, key):
                entry = _open(where, key)  # another process may have made it while this one waited
                if entry is None:
                    with new_entry(where, key) as folder:
                        taken = [files[i] for i in order]
                        about = _fill(folder, source, taken, wanted, settings, strict, root, progress)
                        write_about(folder, about)
                    entry = _open(where, key)
        if entry is None:
            raise GANForgeError(f"the picture cache in '{where}' was removed while it was being written")
        if strict and entry[1]["skipped"]:
            _refuse(root, *entry[1]["skipped"][0])
    finally:
        source.close()
    array, about = entry
    labels = np.asarray(about["labels"], dtype=np.int32) if about["classes"] else None
    return Images(
        array=array,
        fingerprint=about["fingerprint"],
        description=describe(len(array), f"images from {root.resolve().name}", image_size, channels),
        skipped=[*source.denied, *((name, reason) for name, reason in about["skipped"])],
        found=len(files),
        labels=labels,
        classes=tuple(about["classes"]),
    )


def _open(where: Path, key: str) -> tuple[np.ndarray, dict[str, Any]] | None:
    """Return an entry with all its notes, or None."""
    entry = open_entry(where, key)
    if entry is not None and not entry[1].keys() >= _NOTES:
        drop_entry(where, key)
        return None
    return entry


def _check(image_size: int, channels: int, fit: str, limit: int | None) -> None:
    if image_size < 1:
        raise UsageError(f"image size {image_size} will not do; expected at least 1 pixel")
    if channels not in (1, 3):
        raise UsageError(f"{channels} channels will not do; expected 1 (grey) or 3 (colour)")
    if fit not in ("crop", "stretch"):
        raise UsageError(f"fit '{fit}' will not do; expected crop or stretch")
    if limit is not None and limit < 2:
        raise UsageError(f"a limit of {limit} will not do; expected at least 2 images")


def _key(files: list[File], settings: list[Any]) -> str:
    digest = hashlib.sha256(json.dumps(settings).encode())
    for file in files:
        digest.update(f"\n{file.name}\0{file.size}\0{file.stamp}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _refuse(root: Path, name: str, reason: str) -> None:
    raise GANForgeError(f"cannot read '{name}' in '{root}': {reason} (--strict stops at the first unreadable file)")


def _fill(
    folder: Path,
    source: Files,
    files: list[File],
    wanted: int,
    settings: list[Any],
    strict: bool,
    root: Path,
    progress: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    """Decode ``files`` in order until ``wanted`` are readable; return the entry's notes."""
    _, image_size, channels, fit = settings
    names: list[str] = []
    skipped: list[tuple[str, str]] = []
    retry = False
    # Over the files' own bytes: the same pictures are known again in another place, or under another Pillow.
    digest = hashlib.sha256(json.dumps(settings).encode())

    def one(file: File) -> tuple[np.ndarray, bytes] | Unreadable:
        try:
            # Large files one at a time: each may take half a gigabyte.
            with LARGE if file.size > _LARGE_BYTES else nullcontext():
                content = source.read(file)
                return decode(content, image_size, channels, fit), hashlib.sha256(content).digest()
        except Unreadable as error:
            # A new one: what this one's traceback leads to, the file's bytes, would wait with it for its turn.
            return type(error)(*error.args)

    block = max(16, min(256, _BLOCK_BYTES // (image_size * image_size * channels)))
    writer = ArrayWriter(folder, (image_size, image_size, channels))
    workers = ThreadPoolExecutor(max_workers=min(32, os.cpu_count() or 1), thread_name_prefix="ganforge-decode")
    try:
        # Set around the whole pool and not in its threads, where it would race.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
            logging.getLogger("PIL").setLevel(logging.CRITICAL)  # it logs what it raises as well
            for file, result in _in_order(workers, one, files, block, lambda: wanted - writer.count):
                if isinstance(result, Unreadable):
                    if strict:
                        _refuse(root, file.name, str(result))
                    skipped.append((file.name, str(result)))
                    retry = retry or isinstance(result, TemporarilyUnreadable)
                else:
                    writer.write(result[0])
                    digest.update(f"\n{file.name}\0".encode("utf-8", "surrogateescape") + result[1])
                    names.append(file.name)
                done = writer.count + len(skipped)
                if progress and (done % 32 == 0 or writer.count == wanted):
                    progress(min(done, wanted), wanted)
    except BaseException:
        writer.abandon()
        raise
    finally:
        workers.shutdown(wait=True, cancel_futures=True)
    writer.close()
    if progress and writer.count < wanted:
        progress(wanted, wanted)
    if not names:
        (name, reason), count = skipped[0], len(skipped)
        raise GANForgeError(f"none of the {count:,} files in '{root}' is a readable image; '{name}': {reason}")
    if len(names) == 1:
        raise GANForgeError(f"'{root}' holds only one readable image ('{names[0]}'); training needs at least 2")
    classes, labels = _labels(names)
    return {
        "count": len(names),
        "fingerprint": digest.hexdigest(),
        "skipped": skipped,
        "retry": retry,
        "classes": classes,
        "labels": labels,
    }


def _in_order(
    workers: ThreadPoolExecutor,
    function: Callable[[File], Any],
    files: list[File],
    block: int,
    needed: Callable[[], int],
) -> Iterator[tuple[File, Any]]:
    """Yield (file, function(file)) in order, a block ahead at a time, until ``needed()`` is 0.

    Blocks keep memory even however many files there are.
    """
    start = 0
    while start < len(files) and needed() > 0:
        some = files[start : start + min(block, needed())]
        yield from zip(some, workers.map(function, some))
        start += len(some)


def _labels(names: list[str]) -> tuple[list[str], list[int]]:
    """First-level folders as classes, below whatever single folder holds everything (as in most zips)."""
    parts = [name.split("/")[:-1] for name in names]
    # The lowest and highest share what all share.
    depth = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(min(parts), max(parts))))
    firsts = [part[depth] if len(part) > depth else "" for part in parts]
    classes = sorted(set(firsts))
    if len(classes) < 2 or "" in classes:
        return [], []
    index = {name: i for i, name in enumerate(classes)}
    return classes, [index[first] for first in firsts]
