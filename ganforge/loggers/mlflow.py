"""A run in MLflow: ``--log mlflow``, the extra ``mlflow``; without a server, a database in the run directory."""

from __future__ import annotations

import logging
import math
import os
import time
from pathlib import Path
from typing import Any

from ganforge import hookimpl
from ganforge.files import own

STORE, ARTIFACTS, ID = "mlflow.db", "mlflow", "mlflow.txt"
STATUS = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
LONGEST = 500  # of a setting's text, the least that any server takes


class MLflow:
    """An observer that sends settings, log lines and grids. A resumed run continues the same run there."""

    def __init__(self, options: Any) -> None:
        self.options = options
        self.client: Any = None
        self.id = ""

    @hookimpl
    def run_started(self, run: Any) -> None:
        from mlflow import MlflowClient

        for name in ("mlflow.store.db.utils", "alembic"):  # they tell of every table that they make
            logging.getLogger(name).setLevel(logging.WARNING)
        here = Path(run.directory).resolve()
        own(here, STORE), own(here, ARTIFACTS)
        uri = self.options.uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{here / STORE}"
        local = uri == f"sqlite:///{here / STORE}"
        self.client = MlflowClient(tracking_uri=uri)
        mark = own(here, ID)
        self.id = self._again(mark) if run.start_step else ""
        if not self.id:
            experiment = self._experiment((here / ARTIFACTS).as_uri() if local else None)
            self.id = self.client.create_run(experiment, run_name=here.name).info.run_id
            mark.write_text(self.id, "utf-8")
            for name, value in run.config.items():
                self.client.log_param(self.id, name, str(value)[:LONGEST])

    @hookimpl
    def step_ended(self, step: Any) -> None:
        from mlflow.entities import Metric

        now, number = int(time.time() * 1000), step.progress.step + 1
        numbers = {name: value for name, value in step.metrics.items() if name != "step" and value is not None}
        metrics = [Metric(name, float(v), now, number) for name, v in numbers.items() if math.isfinite(v)]
        if metrics:
            self.client.log_batch(self.id, metrics=metrics)

    @hookimpl
    def snapshot_taken(self, snapshot: Any) -> None:
        self.client.log_artifact(self.id, str(snapshot.path), "grids")

    @hookimpl
    def run_ended(self, outcome: str) -> None:
        if self.id:
            self.client.set_terminated(self.id, STATUS.get(outcome, "FAILED"))

    def _again(self, mark: Path) -> str:
        """Return the run that this one was before, if the server knows it, and set it going again."""
        from mlflow.exceptions import MlflowException

        known = mark.read_text("utf-8", errors="replace").strip()[:64] if mark.is_file() else ""
        if not known.isalnum():
            return ""
        try:
            self.client.update_run(known, status="RUNNING")
        except MlflowException:  # another server, or it was removed there
            return ""
        return known

    def _experiment(self, artifacts: str | None) -> str:
        found = self.client.get_experiment_by_name(self.options.experiment)
        if found is not None:
            return str(found.experiment_id)
        return str(self.client.create_experiment(self.options.experiment, artifact_location=artifacts))
