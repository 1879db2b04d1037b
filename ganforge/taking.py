"""A run taken elsewhere: its generator for other programs, a model card, Hugging Face's hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from ganforge.looking import RunOnDisk
from ganforge.showing.tables import File

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ganforge import Run


class RunToTake(RunOnDisk):
    """A run directory whose generator can be handed on."""

    def export(
        self,
        format: Literal["onnx", "safetensors", "page"] = "onnx",
        output: str | Path | None = None,
        *,
        onnxruntime_web: str | Path | None = None,
    ) -> File:
        """Write its generator for other programs, in the run directory or to ``output``, and return the file.

        ``onnx`` (extra: onnx) is made by torch, for any batch size, and compared with the original by onnxruntime;
        ``safetensors`` has a README of shapes beside it; ``page`` is one HTML file that draws in a browser.

        The input ``latents`` is float32 (batch, latent_dim), normal; of a conditional generator ``labels``, int32
        (batch,), as well. The output ``pictures`` is float32 (batch, H, W, C) in [-1, 1], or ``vectors`` (batch, D).

        Args:
            onnxruntime_web: for a page, the npm package onnxruntime-web, its folder or its ``.tgz``; needed once.

        Raises:
            UsageError: there is no such format, or ``output`` has another suffix than it.
            GANForgeError: the run has no generator, an extra or the npm package is missing, or it cannot be written.
        """
        from ganforge.export import export

        return File(export(cast("Run", self), format, output, onnxruntime_web)[0])

    def card(self, output: str | Path | None = None) -> File:
        """Write a model card, ``README.md`` in the run directory: Markdown with Hugging Face's metadata.

        Raises:
            UsageError: ``output`` does not end in ``.md``.
            GANForgeError: it cannot be written.
        """
        from ganforge.export.card import write_card

        return File(write_card(cast("Run", self), output))

    def push(self, repo: str, *, private: bool = False, message: str | None = None, checkpoint: bool = False) -> str:
        """Send it to a model repository of Hugging Face's hub, ``USER/NAME``, and return its address (extra: hub).

        The card, the generator, what was exported, ``run.json`` without the paths of this machine, numbers and
        pictures; with ``checkpoint`` what others need to train it further. The card is written where there is none.

        Raises:
            UsageError: ``repo`` is no USER/NAME.
            GANForgeError: the extra is missing, the run has no generator, or the hub refuses.
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
        """Fetch a run that was pushed to Hugging Face's hub, ``USER/NAME``, as a new run here (extra: hub).

        Nothing of it runs: its files are looked at as those of any run from elsewhere, and a plugin file that it
        names is asked for with ``plugins``.

        Raises:
            UsageError: ``repo`` is no USER/NAME.
            GANForgeError: the extra is missing, there is no such run on the hub, or a file of it is damaged.
        """
        from ganforge import Run
        from ganforge.export.hub import pull
        from ganforge.files import default_runs_dir

        place = Path(default_runs_dir() if runs_dir is None else runs_dir)
        return Run(pull(repo, place, revision), plugins=plugins)
