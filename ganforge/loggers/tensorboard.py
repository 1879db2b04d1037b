"""TensorBoard events of a run: ``--log tensorboard``, the extra ``tensorboard``."""

from __future__ import annotations

from typing import Any

from ganforge import hookimpl
from ganforge.files import own

LOSSES = ("d_loss", "g_loss", "d_real", "d_fake", "d_accuracy", "d_real_sign", "d_real_logit", "d_fake_logit")


class TensorBoard:
    """An observer that writes logged scalars and grids to ``tensorboard/`` in the run directory."""

    def __init__(self) -> None:
        self.writer: Any = None

    @hookimpl
    def run_started(self, run: Any) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # What a run cut off wrote after its checkpoint is hidden: it is written again.
        purge = run.start_step + 1 if run.start_step else None
        self.writer = SummaryWriter(own(run.directory, "tensorboard"), purge_step=purge)

    @hookimpl
    def step_ended(self, step: Any) -> None:
        for name, value in step.metrics.items():
            if name in ("step", "epoch", "seconds") or value is None:
                continue
            group = "balance" if "/" in name else "losses" if name in LOSSES else "training"
            self.writer.add_scalar(f"{group}/{name}", value, step.progress.step + 1)

    @hookimpl
    def snapshot_taken(self, snapshot: Any) -> None:
        from ganforge.media.grids import on_checkerboard, read_png

        self.writer.add_image("grid", on_checkerboard(read_png(snapshot.path)), snapshot.step, dataformats="HWC")

    @hookimpl
    def run_ended(self) -> None:
        if self.writer is not None:
            self.writer.close()
