"""A run on disk: its directory, ``run.json``, metrics, snapshots and checkpoints."""

from ganforge.runs.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from ganforge.runs.directory import create_run, find_run, list_runs
from ganforge.runs.manifest import read_manifest, update_manifest, write_manifest
from ganforge.runs.metrics import MetricsWriter, read_metrics, truncate_metrics
from ganforge.runs.snapshots import list_snapshots, snapshot_path

__all__ = [
    "Checkpoint",
    "MetricsWriter",
    "create_run",
    "find_run",
    "list_runs",
    "list_snapshots",
    "load_checkpoint",
    "read_manifest",
    "read_metrics",
    "save_checkpoint",
    "snapshot_path",
    "truncate_metrics",
    "update_manifest",
    "write_manifest",
]
