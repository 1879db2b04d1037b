"""A process that decodes some of a set's files into a shard each time it is told to: ``ganforge.data.processes``.

It is told by lines of JSON and answers so: first what is read and how, then ``{"part": k, "files": […]}`` as often as
there is work, and, where pictures are deeper than 8 bits, at the end ``{"range": [low, high]}`` for all it has made.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ganforge.data.cache import ArrayWriter, seal, shard_name
from ganforge.data.decode import Reading
from ganforge.data.files import File, Files
from ganforge.data.layout import everything
from ganforge.data.reading import Kept, Work, quiet, read_all
from ganforge.data.several import Several
from ganforge.data.tars import find_pictures
from ganforge.data.unscaled import Deep
from ganforge.data.workers import Workers
from ganforge.errors import GANForgeError, reason

# One decodes while the other waits for the disk.
_THREADS = 2


class _Said:
    """What the fingerprint is made with, put aside for the process that makes it."""

    def __init__(self) -> None:
        self.content = bytearray()

    def update(self, content: bytes, /) -> None:
        self.content += content


@dataclass
class _Unfinished:
    """A part whose deep pictures wait for the range of the whole set."""

    part: int
    writer: ArrayWriter
    deep: Deep
    file: BinaryIO


class PartWorker:
    """Reads parts of one set into ``folder``, whose name is that of an entry that is being made."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._folder = Path(job["folder"])
        size = job["image_size"]
        self._reading = Reading(
            tuple(size) if isinstance(size, list) else size, job["channels"], job["fit"], job["background"]
        )
        paths = job["paths"]
        self._source: Files = Several(paths, False) if len(paths) > 1 else find_pictures(Path(paths[0]), False)
        self._workers = Workers(_THREADS, "ganforge-decode")
        self._unfinished: list[_Unfinished] = []

    def read(self, part: int, files: list[list[Any]]) -> dict[str, Any]:
        """Decode the files of a part; return what is known of it."""
        some = [(File(name, size, stamp), "") for name, size, stamp in files]
        work = Work(self._folder, self._source, everything(len(some)), self._reading, some, None, None, False, _told)
        writer, kept, said = ArrayWriter(self._folder, self._reading.shape, first=part), Kept(), _Said()
        file = open(self._folder / f"deep-{part:05d}.tmp", "w+b")  # noqa: SIM115 - it may be finished much later
        deep = Deep(file, self._reading)
        with quiet():
            read_all(work, self._workers, writer, deep, kept, said)
        answer = {"part": part, "count": writer.count, "said": said.content.hex(), "depths": deep.depths}
        answer |= {"kept": {**vars(kept), "classes": []}}
        if not deep.depths:
            file.close()
            return answer | {"sealed": self._closed(part, writer)}
        self._unfinished.append(_Unfinished(part, writer, deep, file))
        seen = deep.values
        np.savez(
            self._folder / f"values-{part:05d}.npz",
            within=seen.within,
            histogram=seen.histogram,
            ends=np.asarray([seen.total, seen.low, seen.high]),
        )
        return answer

    def _closed(self, part: int, writer: ArrayWriter) -> tuple[int, int]:
        writer.close()
        return seal(self._folder / shard_name(part)) if writer.count else (0, 0)

    def finish(self, value_range: tuple[float, float]) -> dict[str, Any]:
        """Scale what waits for the range; return what was sealed by part, and how many became one colour."""
        sealed, one_colour = [], 0
        for one in self._unfinished:
            one.deep.finish(one.writer, value_range)
            one.file.close()
            one_colour += one.deep.one_colour
            sealed.append([one.part, *self._closed(one.part, one.writer)])
        return {"finished": sealed, "one_colour": one_colour}


def _told(done: int, _total: int) -> None:
    _say({"done": done})


def _say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def main() -> None:
    """Answer each line of the standard input."""
    worker: PartWorker | None = None
    for line in sys.stdin:
        told = json.loads(line)
        try:
            if worker is None:
                worker = PartWorker(told)
            elif "range" in told:
                _say(worker.finish((told["range"][0], told["range"][1])))
            else:
                _say(worker.read(told["part"], told["files"]))
        except OSError as error:
            _say({"error": reason(error, kind=False), "errno": error.errno})
            return
        except GANForgeError as error:
            _say({"error": str(error)})
            return


if __name__ == "__main__":
    main()
