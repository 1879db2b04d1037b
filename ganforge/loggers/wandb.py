"""A run at Weights & Biases: ``--log wandb``, the extra ``wandb``; offline without a word to any server."""

from __future__ import annotations

from typing import Any

from ganforge import hookimpl
from ganforge.files import own

FOLDER, ID = "wandb", "wandb.txt"


class Wandb:
    """An observer that sends log lines and grids, by step. A resumed run continues the same run there."""

    def __init__(self, options: Any) -> None:
        self.options = options
        self.run: Any = None

    @hookimpl
    def run_started(self, run: Any) -> None:
        import wandb

        options, mark = self.options, own(run.directory, ID)
        own(run.directory, FOLDER)
        known = mark.read_text("utf-8").strip()[:64] if mark.is_file() and run.start_step else ""
        self.run = wandb.init(
            project=options.project,
            entity=options.entity or None,
            mode=options.mode or None,
            dir=run.directory,
            name=run.directory.name,
            id=known if known.isalnum() else None,
            resume="allow",
            config=dict(run.config),
            settings=wandb.Settings(silent=True, console="off", disable_git=True, save_code=False),
            reinit="create_new",
        )
        mark.write_text(self.run.id, "utf-8")
        self.run.define_metric("*", step_metric="step")

    @hookimpl
    def step_ended(self, step: Any) -> None:
        line = {name: value for name, value in step.metrics.items() if value is not None}
        if line:
            self.run.log({**line, "step": step.progress.step + 1})

    @hookimpl
    def snapshot_taken(self, snapshot: Any) -> None:
        import wandb

        self.run.log({"grid": wandb.Image(str(snapshot.path)), "step": snapshot.step})

    @hookimpl
    def run_ended(self, outcome: str) -> None:
        if self.run is not None:
            self.run.finish(exit_code=int(outcome == "failed"))
