"""Sharing a run: its generator as ONNX, safetensors or a page for browsers, a model card, the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ganforge.errors import UsageError, closest
from ganforge.files import require_file

if TYPE_CHECKING:
    from ganforge import Run

# What each format is kept as, in the run directory unless another place is named.
FORMATS = {"onnx": "generator.onnx", "safetensors": "generator.safetensors", "page": "generator.html"}


def export(
    run: Run, form: str, output: str | Path | None = None, onnxruntime_web: str | Path | None = None
) -> tuple[Path, list[str]]:
    """Write a run's generator as ``onnx``, ``safetensors`` or ``page``; return the file and notes about it.

    Args:
        output: the file; by default ``generator.onnx``, ``.safetensors`` or ``.html`` in the run directory.
        onnxruntime_web: for a page, the npm package onnxruntime-web: its folder, or the ``.tgz`` that npm makes.
            It is cached, so it is needed only once.

    Raises:
        UsageError: there is no such format, or ``output`` is not a file name with its suffix.
        GANForgeError: the generator cannot be opened or exported, or an extra or the npm package is missing.
    """
    if form not in FORMATS:
        raise UsageError(f"invalid format '{form}': expected {', '.join(FORMATS)}.{closest(form, FORMATS)}")
    if onnxruntime_web is not None and form != "page":
        raise UsageError("onnxruntime-web is only for the format page; leave it out")
    path = Path(output) if output is not None else run.path / FORMATS[form]
    suffix = Path(FORMATS[form]).suffix
    if path.suffix.lower() != suffix:
        raise UsageError(f"invalid output {path}: expected a name that ends in {suffix}")
    require_file(path)
    return path, _writer(form, onnxruntime_web)(run, path)


def _writer(form: str, onnxruntime_web: str | Path | None) -> Callable[[Run, Path], list[str]]:
    """Return what writes a format, and says what to know of it."""
    if form == "onnx":
        from ganforge.export.run_onnx import write_onnx

        return write_onnx
    if form == "safetensors":
        from ganforge.export.tensors import write_tensors

        return write_tensors
    from ganforge.export.page import write_page

    return lambda run, path: write_page(run, path, onnxruntime_web)
