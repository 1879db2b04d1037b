"""Sharing a run: its generator for other programs, a model card, the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from ganforge.looking import RunOnDisk
from ganforge.showing.tables import File

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ganforge import Run


class RunToTake(RunOnDisk):
    """A run directory whose generator can be exported and shared."""

    def export(
        self,
        format: Literal["onnx", "safetensors", "page"] = "onnx",
        output: str | Path | None = None,
        *,
        onnxruntime_web: str | Path | None = None,
    ) -> File:
        """Export the generator for other programs, to ``output`` or into the run directory, and return the file.

        ``onnx`` (extra: onnx) accepts any batch size and is compared with the original in onnxruntime.
        ``safetensors`` comes with a README that lists the shapes. ``page`` (extra: onnx) is one HTML file that draws
        pictures in a browser.

        The input ``latents`` is float32 (batch, latent_dim), standard normal; a conditional generator also takes
        ``labels``, int32 (batch,). The output ``pictures`` is float32 (batch, H, W, C) in [-1, 1]; for vectors it is
        ``vectors``, float32 (batch, D).

        Args:
            onnxruntime_web: for a page, the npm package onnxruntime-web: its folder or its ``.tgz``. It is cached, so
                give it once.

        Raises:
            UsageError: there is no such format, or the suffix of ``output`` does not match it.
            GANForgeError: the run has no generator, an extra or the npm package is missing, or the file cannot be
                written.
        """
        from ganforge.export import export

        return File(export(cast("Run", self), format, output, onnxruntime_web)[0])

    def card(self, output: str | Path | None = None) -> File:
        """Write a model card in Markdown with Hugging Face metadata; by default ``README.md`` in the run directory.

        Raises:
            UsageError: ``output`` does not end in ``.md``.
            GANForgeError: the card cannot be written.
        """
        from ganforge.export.card import write_card

        return File(write_card(cast("Run", self), output))

    def push(self, repo: str, *, private: bool = False, message: str | None = None, checkpoint: bool = False) -> str:
        """Upload the run to the model repository ``USER/NAME`` on the Hugging Face Hub, and return its address.

        It needs the extra hub. It uploads the model card (written now if there is none), the generator, exported
        files, numbers, pictures, and ``run.json`` without this machine's paths; with ``checkpoint`` also the last
        checkpoint, so that others can continue training.

        Raises:
            UsageError: ``repo`` is not of the form USER/NAME.
            GANForgeError: the extra is missing, the run has no generator, or the Hub rejects the upload.
        """
        from ganforge.export.hub import push

        return push(cast("Run", self), repo, private, message, checkpoint)

    @staticmethod
    def from_hub(
        repo: str,
        *,
        revision: str | None = None,
        runs_dir: str | Path | None = None,
        plugins: Sequence[Any] = (),
    ) -> Run:
        """Download the run ``USER/NAME`` from the Hugging Face Hub as a new run (extra: hub).

        None of its code is run: its files are checked like those of any untrusted run. If it needs a plugin file,
        give that file with ``plugins``.

        Raises:
            UsageError: ``repo`` is not of the form USER/NAME.
            GANForgeError: the extra is missing, there is no such run on the Hub, or one of its files is damaged.
        """
        from ganforge import Run
        from ganforge.export.hub import pull
        from ganforge.files import default_runs_dir

        place = Path(default_runs_dir() if runs_dir is None else runs_dir)
        return Run(pull(repo, place, revision), plugins=plugins)
