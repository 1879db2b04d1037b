"""Reading pictures: ``python -m tests.benchmarks.data [--folder PHOTOS] [--json FILE]``.

The first read of a folder against a single-process Pillow loop, in turn; the second start; batches a second and
resident memory from 1,000 to 1,000,000 cached pictures (a sparse file stands in for them).
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from ganforge.data.batches import Batches
from ganforge.data.folder import load_folder
from ganforge.files import require_file
from tests.benchmarks.record import record

SIZE, COUNTS = 64, (1_000, 10_000, 100_000, 1_000_000)


def make_photographs(folder: Path, count: int) -> None:
    """Write JPEGs of 1600×1200 with the detail of photographs: smooth noise at several scales."""
    random = np.random.default_rng(0)
    for i in range(count):
        picture = np.zeros((1200, 1600, 3), np.float32)
        for side in (4, 16, 64, 256):
            noise = random.integers(0, 256, (side * 3 // 4, side, 3), dtype=np.uint8)
            picture += np.asarray(Image.fromarray(noise).resize((1600, 1200), Image.Resampling.BICUBIC), np.float32)
        Image.fromarray((picture / 4).astype(np.uint8)).save(folder / f"{i:04d}.jpg", quality=90)


def plain_loop(folder: Path) -> np.ndarray:
    """Return the pictures as a short script reads them: one process, whole pictures, cut and scaled."""
    pictures = []
    for path in sorted(folder.rglob("*.*")):
        with Image.open(path) as image:
            picture = ImageOps.fit(image.convert("RGB"), (SIZE, SIZE), Image.Resampling.LANCZOS)
            pictures.append(np.asarray(picture))
    return np.stack(pictures)


def first_and_second(folder: Path, rounds: int) -> dict[str, Any]:
    """Return medians of seconds over the rounds: the plain loop's, ours the first time and the second."""
    plain, ours, second = [], [], []
    for _ in range(rounds):
        start = time.perf_counter()
        count = len(plain_loop(folder))
        plain.append(time.perf_counter() - start)
        with tempfile.TemporaryDirectory() as cache:
            for times in (ours, second):
                start = time.perf_counter()
                load_folder(folder, image_size=SIZE, cache_dir=Path(cache))
                times.append(time.perf_counter() - start)
    ratio = statistics.median(a / b for a, b in zip(plain, ours))
    loop, first, again = (statistics.median(times) for times in (plain, ours, second))
    print(f"{count} pictures: plain loop {loop:.2f} s, first read {first:.2f} s ")
    print(f"({ratio:.2f} times as fast), second read {1000 * again:.0f} ms\n")
    return {"pictures": count, "plain_seconds": loop, "first_seconds": first, "second_seconds": again, "ratio": ratio}


def resident_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmRSS:\s+([0-9]+)", status)[1]) / 1024  # type: ignore[index]


def memory_and_batches(counts: Sequence[int] = COUNTS) -> list[dict[str, float]]:
    """Return, for each number of cached pictures, the highest resident memory and pictures a second."""
    results = []
    print("| cached pictures | resident memory | pictures/s |\n|---:|---:|---:|")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "sparse.npy"
            np.lib.format.open_memmap(path, "w+", np.uint8, (count, SIZE, SIZE, 3))
            batches = Batches(np.load(path, mmap_mode="r"), 64, seed=0)
            steps, highest, start = min(3000, batches.steps_per_epoch * 20), 0.0, time.perf_counter()
            for step, _ in batches.iterate(0, steps):
                if step % 100 == 0:
                    highest = max(highest, resident_mib())
            rate = steps * 64 / (time.perf_counter() - start)
            print(f"| {count:,} | {highest:,.0f} MiB | {rate:,.0f} |")
            results.append({"pictures": count, "resident_mib": highest, "pictures_per_second": rate})
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--folder", type=Path, help="photographs; synthetic ones of 1600×1200 are made without")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    a = parser.parse_args()
    if a.json:
        require_file(a.json)
    if a.folder:
        reading = first_and_second(a.folder, a.rounds)
    else:
        with tempfile.TemporaryDirectory() as folder:
            make_photographs(Path(folder), 200)
            reading = first_and_second(Path(folder), a.rounds)
    batches = memory_and_batches()
    if a.json:
        record(a.json, "data", {"rounds": a.rounds, "size": SIZE}, {"reading": reading, "batches": batches})


if __name__ == "__main__":
    main()
