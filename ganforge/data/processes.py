"""Reading a large set with all cores: processes that decode a shard at a time, put in order by this one.

Threads share one interpreter, which small pictures keep busy; processes do not. The result is the same as with
threads, including the fingerprint, whichever process reads which part.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ganforge.data.cache import SUMS, rows_a_shard, shard_name
from ganforge.data.ranges import Values, choose_range
from ganforge.data.reading import Digest, Gathered, Kept, Work, refuse
from ganforge.data.shards import BLOCK
from ganforge.errors import GANForgeError

# Files from which processes pay for their start; parts a process is given, so that none waits long for another.
LEAST_FILES, _PARTS_EACH = 20_000, 4
# Seconds after which an interrupt is heard.
_HEARD = 0.2


def apt(work: Work) -> bool:
    """Tell whether processes would be faster: many files, a core for each, and a source that they can open too.

    With a limit, or with all frames, the number of pictures in a file decides which is read next, so files are read
    in order.
    """
    return (
        bool(work.paths and sys.executable)
        and len(work.files) >= LEAST_FILES
        and cores() > 1
        and not (work.limit is not None or work.every_frame)
    )


def cores() -> int:
    """Return how many processes may run at a time."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_by_processes(folder: Path, work: Work, digest: Digest) -> Gathered:
    """Decode the files into shards in ``folder``.

    Raises ``GANForgeError`` when a process ends before its work, and what reading raises.
    """
    count = min(32, cores())
    size = max(BLOCK, min(rows_a_shard(_row_bytes(work)), -(-len(work.files) // (count * _PARTS_EACH))))
    size = -(-size // BLOCK) * BLOCK
    starts = range(0, len(work.files), size)
    crew = _Crew(folder, work, count, [work.files[start : start + size] for start in starts])
    kept, depths, values, finished = Kept(), Counter[str](), Values(), {}
    try:
        for answer in crew.answers():
            part = work.files[starts[answer["part"]] : starts[answer["part"]] + size]
            here = _kept(answer["kept"])
            if here.skipped and work.strict:
                refuse(work.root, *here.skipped[0])
            unread = {name for name, _ in here.skipped}
            here.classes = [of for file, of in part if file.name not in unread]
            kept.add(here)
            digest.update(bytes.fromhex(answer["said"]))
            depths.update(answer["depths"])
            if "sealed" in answer:
                finished[answer["part"]] = tuple(answer["sealed"])
            else:
                values.merge(_values(folder / f"values-{answer['part']:05d}.npz"))
        value_range = (work.value_range or choose_range(values)) if depths else None
        for told in crew.finish(value_range):
            kept.one_colour += told["one_colour"]
            finished.update({part: (rows, crc) for part, rows, crc in told["finished"]})
    finally:
        crew.close()
    sealed = _in_a_row(folder, [finished[part] for part in range(len(starts))])
    return Gathered(kept, sum(rows for rows, _ in sealed), depths, value_range, sealed)


def _row_bytes(work: Work) -> int:
    return int(np.prod(work.reading.shape, dtype=np.int64))


def _kept(told: dict[str, Any]) -> Kept:
    kept = Kept(**told)
    kept.skipped = [(name, why) for name, why in kept.skipped]
    return kept


def _values(path: Path) -> Values:
    """Return the values of a part's deep pictures, and remove their file."""
    values = Values()
    with np.load(path) as held:
        values.within, values.histogram = held["within"], held["histogram"]
        total, values.low, values.high = held["ends"].tolist()
        values.total = int(total)
    path.unlink()
    return values


def _in_a_row(folder: Path, sealed: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Number the shards without those that are empty, and remove what was needed to make them."""
    number = 0
    for part, (rows, _) in enumerate(sealed):
        shard = folder / shard_name(part)
        if not rows:
            shard.unlink()
            continue
        if number != part:
            for path in (shard, shard.with_suffix(SUMS)):
                os.replace(path, (folder / shard_name(number)).with_suffix(path.suffix))
        number += 1
    for path in folder.glob("deep-*.tmp"):
        path.unlink()
    return [one for one in sealed if one[0]]


class _Crew:
    """The processes, and a thread for each that hands it the next part when it has done one."""

    def __init__(self, folder: Path, work: Work, count: int, parts: list[Any]) -> None:
        self._work, self._parts = work, parts
        self._next, self._lock = iter(range(len(parts))), threading.Lock()
        self._said: queue.SimpleQueue[tuple[int, dict[str, Any]]] = queue.SimpleQueue()
        reading = work.reading
        job = {"folder": str(folder), "paths": work.paths, "image_size": reading.image_size}
        job |= {"channels": reading.channels, "fit": reading.fit, "background": reading.background}
        home = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._processes: list[subprocess.Popen[str]] = []
        try:
            for _ in range(min(count, len(parts))):
                process = subprocess.Popen(
                    [sys.executable, "-m", "ganforge.data.part_worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    encoding="utf-8",
                    env={**os.environ, "PYTHONPATH": home, "PYTHONSAFEPATH": "1"},
                    start_new_session=True,  # a terminal's Ctrl-C is heard here, and ends them
                )
                self._processes.append(process)
            for k in range(len(self._processes)):
                about = (k, job)
                threading.Thread(target=self._follow, args=about, name=f"ganforge-read_{k}", daemon=True).start()
        except BaseException:
            self.close()
            raise

    def _follow(self, k: int, job: dict[str, Any]) -> None:
        """Hand one process its parts, and pass on what it says; then what it says at the end."""
        process = self._processes[k]
        assert process.stdout is not None
        try:
            _tell(process, job)
            while True:
                with self._lock:
                    part = next(self._next, None)
                if part is not None:
                    files = [(file.name, file.size, file.stamp) for file, _ in self._parts[part]]
                    _tell(process, {"part": part, "files": files})
                for line in process.stdout:
                    try:
                        told = json.loads(line)
                    except ValueError:  # what a library prints
                        continue
                    self._said.put((k, told))
                    if part is not None and "part" in told:
                        break
                else:
                    self._said.put((k, {"ended": process.wait()}))
                    return
        except OSError:  # it hears no more
            process.kill()
            self._said.put((k, {"ended": process.wait()}))

    def answers(self) -> Iterator[dict[str, Any]]:
        """Yield what was said of each part, in order."""
        waiting: dict[int, dict[str, Any]] = {}
        done, running, wanted, total = 0, [0] * len(self._processes), 0, len(self._work.files)
        while wanted < len(self._parts):
            k, told = self._hear()
            if "done" in told:
                running[k] = told["done"]
            else:
                running[k] = 0
                waiting[told["part"]] = told
                done += len(self._parts[told["part"]])
            if self._work.progress:
                self._work.progress(min(total, done + sum(running)), total)
            while wanted in waiting:
                yield waiting.pop(wanted)
                wanted += 1

    def finish(self, value_range: tuple[float, float] | None) -> Iterator[dict[str, Any]]:
        """Yield what each process says once it has scaled its deep pictures; nothing where there are none."""
        if value_range is None:
            return
        for process in self._processes:
            with suppress(OSError):  # one that hears no more is said to have ended
                _tell(process, {"range": value_range})
        for _ in self._processes:
            yield self._hear()[1]

    def _hear(self) -> tuple[int, dict[str, Any]]:
        while True:
            try:
                k, told = self._said.get(timeout=_HEARD)
            except queue.Empty:
                continue
            if "errno" in told:
                raise OSError(told["errno"], told["error"])
            if "error" in told:
                raise GANForgeError(told["error"])
            if "ended" in told:
                raise GANForgeError(
                    f"a process that reads pictures ended early (exit status {told['ended']}), perhaps because of "
                    "too little memory; start again"
                )
            return k, told

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()


def _tell(process: subprocess.Popen[str], what: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(what) + "\n")
    process.stdin.flush()
