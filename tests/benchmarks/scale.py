"""Ten million pictures: ``python -m tests.benchmarks.scale [--count N] [--folder DIR] [--files N] [--json FILE]``.

Makes N synthetic pictures of 16×16 greys in one file, reads them into a cache of their own, and, in a process of its
own each time, opens them and shows batches: seconds until the first batch, with the system's copies of the files and
without, resident memory over the steps, pictures a second in the first pass, which verifies, and in the next. Then
the order of an epoch, kept and by place; and ``--files`` small PNGs read by threads and by processes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganforge.data import adapters, processes
from ganforge.data.batches import Batches
from ganforge.data.folder import load_folder
from ganforge.data.load import load_images, resolve_source
from ganforge.data.order import Shuffled
from ganforge.files import require_file
from tests.benchmarks.record import record

SIDE, BATCH, AT_ONCE = 16, 64, 2**16


def memory() -> dict[str, float]:
    """Return this process's resident memory in MiB: its own, and of files."""
    status = Path("/proc/self/status").read_text()
    named = {"own": "RssAnon", "files": "RssFile"}
    return {name: int(re.search(rf"{word}:\s+([0-9]+)", status)[1]) / 1024 for name, word in named.items()}  # type: ignore[index]


def make(path: Path, count: int) -> None:
    """Write random greys, whose first four bytes are their index."""
    array = np.lib.format.open_memmap(path, "w+", np.uint8, (count, SIDE, SIDE))
    random = np.random.default_rng(0)
    for start in range(0, count, AT_ONCE):
        part = random.integers(0, 256, (min(AT_ONCE, count - start), SIDE * SIDE), dtype=np.uint8)
        part[:, :4] = np.arange(start, start + len(part), dtype="<u4").view(np.uint8).reshape(-1, 4)
        array[start : start + len(part)] = part.reshape(-1, SIDE, SIDE)
        array._mmap.madvise(4)  # DONTNEED
    array.flush()


def opened(path: Path) -> Batches:
    """Return the batches of a file's pictures, as a run would."""
    from ganforge.plugin.registry import Registry

    source = resolve_source(str(path), Registry())
    images = load_images(str(path), source, image_size=SIDE, channels=1)
    return Batches(images.array, BATCH, seed=0)


def show(path: Path, steps: int) -> dict[str, Any]:
    """Open a file's pictures and show batches, in this process; two passes over the same ``steps``."""
    assert adapters.file_source  # a run has imported how files are read by then
    imported, start, used = memory(), time.perf_counter(), time.process_time()
    batches = opened(path)
    ready = time.perf_counter() - start
    batches.batch(0)
    found: dict[str, Any] = {"open_seconds": ready, "first_batch_seconds": time.perf_counter() - start}
    found |= {"first_batch_processor_seconds": time.process_time() - used, "imported": imported}
    indices = []
    for name in ("verifying", "again"):
        start, most = time.perf_counter(), {"own": 0.0, "files": 0.0}
        began = time.process_time()
        for step, batch in batches.iterate(0, steps):
            if name == "again":
                told = np.ascontiguousarray(batch.images.reshape(BATCH, -1)[:, :4]).view("<u4").ravel()
                indices.append(told)
                assert np.array_equal(told, batches.indices(step))
            if step % 500 == 0:
                most = {key: max(value, most[key]) for key, value in memory().items()}
        rate = steps * BATCH / (time.perf_counter() - start)
        by_processor = steps * BATCH / (time.process_time() - began)
        found[name] = {"most": most, "pictures_per_second": rate, "per_processor_second": by_processor}
    seen, cells = np.concatenate(indices).astype(np.int64), 1000
    count = len(batches._array)
    assert len(np.unique(seen)) == len(seen)
    expected = len(seen) / cells
    statistic = float(((np.bincount(seen * cells // count, minlength=cells) - expected) ** 2 / expected).sum())
    # Drawn without putting back, counts vary less, by the part that is left.
    left = max(1 - len(seen) / count, 1e-9)
    return found | {"seen": len(seen), "chi_squared": statistic / left, "freedom": cells - 1}


def forget(folder: Path) -> None:
    """Have the system forget its copies of the files below a folder."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def apart(what: str, path: Path, steps: int, cache: Path) -> dict[str, Any]:
    """Do something in a process of its own."""
    environment = {**os.environ, "GANFORGE_CACHE_DIR": str(cache)}
    command = [sys.executable, "-m", "tests.benchmarks.scale", "--act", what, "--folder", str(path)]
    done = subprocess.run([*command, "--steps", str(steps)], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def act(what: str, path: Path, steps: int) -> dict[str, Any]:
    """Do it in this process."""
    if what == "show":
        return show(path, steps)
    before, start = memory(), time.perf_counter()
    opened(path)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": time.perf_counter() - start, "most_mib": most, "before": before}


def orders(count: int) -> dict[str, float]:
    """Return the seconds and bytes of a kept order, and of one by place the seconds of a batch."""
    random, start = np.random.default_rng(0), time.perf_counter()
    kept = random.permutation(count)
    seconds, order, start = time.perf_counter() - start, Shuffled(count, random), time.perf_counter()
    for step in range(200):
        order(np.arange(step * BATCH, (step + 1) * BATCH))
    by_place = (time.perf_counter() - start) / 200
    return {"kept_seconds": seconds, "kept_bytes": kept.nbytes, "by_place_seconds_a_batch": by_place}


def small_files(folder: Path, count: int) -> dict[str, float]:
    """Return the seconds of reading small PNGs in this process and by several, and of listing them."""
    picture = np.zeros((SIDE, SIDE), np.uint8)
    for i in range(count):
        picture.ravel()[:4] = np.frombuffer(np.uint32(i).tobytes(), np.uint8)
        (folder / f"{i // 1000:04d}").mkdir(exist_ok=True)
        Image.fromarray(picture).save(folder / f"{i // 1000:04d}" / f"{i:08d}.png", compress_level=1)
    found = {}
    for name, least in (("threads", 10**9), ("processes", 1)):
        processes.LEAST_FILES = least
        with tempfile.TemporaryDirectory() as cache:
            start = time.perf_counter()
            load_folder(folder, image_size=SIDE, channels=1, cache_dir=Path(cache))
            found[name] = time.perf_counter() - start
            start = time.perf_counter()
            load_folder(folder, image_size=SIDE, channels=1, cache_dir=Path(cache))
            found[name + "_again"] = time.perf_counter() - start
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--count", type=int, default=10_000_000)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--files", type=int, default=40_000)
    parser.add_argument("--folder", type=Path, help="where there is room for 550 bytes a picture")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--act", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.act:
        print(json.dumps(act(a.act, a.folder, a.steps)))
        return
    if a.json:
        require_file(a.json)
    folder = Path(tempfile.mkdtemp(dir=a.folder))
    try:
        found: dict[str, Any] = {"orders": orders(a.count)}
        for count in sorted({a.count // 100, a.count // 10, a.count}):
            path, cache = folder / f"{count}.npy", folder / "cache"
            make(path, count)
            steps = min(a.steps, count // BATCH)
            one = {"read": apart("read", path, steps, cache), "warm": apart("show", path, steps, cache)}
            forget(cache)
            one["cold"] = apart("show", path, min(steps, 2000), cache)
            found[f"{count:,}"] = one
            print(count, json.dumps(one), flush=True)
            path.unlink()
            shutil.rmtree(cache)
        if a.files:
            (folder / "files").mkdir()
            found["files"] = small_files(folder / "files", a.files)
        print(json.dumps(found["orders"]), json.dumps(found.get("files")))
        if a.json:
            record(a.json, "scale", {"count": a.count, "steps": a.steps, "files": a.files}, found)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
