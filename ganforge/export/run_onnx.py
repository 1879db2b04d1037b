"""A run's generator as ONNX, whatever backend the run was trained on: one exporter, one form of file.

The network is made anew on torch, on the processor and in float32. Where Keras runs on another backend that takes a
process of its own: ``python -m ganforge.export.run_onnx`` reads one JSON object from its standard input, and answers
with one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.backend import choose_backend
from ganforge.errors import GANForgeError, reason
from ganforge.export.about import About, require_extra, write
from ganforge.export.onnx import from_keras

if TYPE_CHECKING:
    from ganforge import Run


def write_onnx(run: Run, path: Path) -> list[str]:
    """Write a run's generator as ONNX; return what to know of it."""
    content, difference = onnx_of(run)
    write(path, content)
    about = About.of(run)
    name, words = about.output
    notes = [f"{key}: {text}" for key, text in {**about.inputs, name: words}.items()]
    if about.precision != "float32":
        notes.append(f"computes in float32; the run was trained in {about.precision}")
    return [*notes, f"checked in onnxruntime: outputs differ from the original by at most {difference:.1e}"]


def onnx_of(run: Run) -> tuple[bytes, float]:
    """Return a run's generator as ONNX, and its largest difference from the original.

    Raises:
        GANForgeError: the extra is missing, the generator cannot be opened, or torch cannot write it so.
    """
    require_extra(("onnx", "onnxruntime"), "onnx", "ONNX")
    if choose_backend() != "torch":
        return under_torch(run)
    return from_keras(run.generator(), About.of(run))


def under_torch(run: Run) -> tuple[bytes, float]:
    """Return what ``onnx_of`` does, computed by a process whose Keras runs on torch.

    Raises:
        GANForgeError: what it says, or that it ended without an answer.
    """
    plugins = [one.record for one in run.plugin_files().load]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "generator.onnx"
        task = {"run": str(run.path.resolve()), "plugins": plugins, "file": str(file)}
        done = subprocess.run(
            [sys.executable, "-m", "ganforge.export.run_onnx"],
            input=json.dumps(task),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "KERAS_BACKEND": "torch"},
        )
        lines = done.stdout.splitlines()
        try:
            answer = json.loads(lines[-1])
            if "error" not in answer:
                return file.read_bytes(), float(answer["difference"])
        except (IndexError, ValueError, OSError):
            raise GANForgeError(f"the process that exports to ONNX ended with exit code {done.returncode}") from None
    raise GANForgeError(answer["error"])


def main() -> int:
    """Do what standard input asks for."""
    from ganforge import Run
    from ganforge.plugin.trust import handed_over

    task = json.load(sys.stdin)
    # What libraries print must not be taken for the answer.
    stream, sys.stdout = os.fdopen(os.dup(1), "w", encoding="utf-8"), sys.stderr
    os.dup2(2, 1)
    answer: dict[str, Any]
    try:
        content, difference = onnx_of(Run(task["run"], plugins=handed_over(task["plugins"])))
        Path(task["file"]).write_bytes(content)
        answer = {"difference": difference}
    except Exception as error:
        answer = {"error": reason(error)}
    stream.write(json.dumps(answer) + "\n")
    stream.flush()
    return int("error" in answer)


if __name__ == "__main__":
    sys.exit(main())
