"""A run on disk: its directory, ``run.json``, metrics, snapshots and checkpoints.

Called, ``ganforge.runs()`` lists the runs of a directory: see ``ganforge.commands.runs``.
"""

from ganforge.runs.checkpoints import Checkpoint, has_checkpoints, load_checkpoint, prune_checkpoints, save_checkpoint
from ganforge.runs.directory import create_run, find_run, list_runs
from ganforge.runs.lock import lock_run
from ganforge.runs.manifest import read_manifest, update_manifest, write_manifest
from ganforge.runs.metrics import append_metrics, read_history, read_metrics, sync_metrics, truncate_metrics
from ganforge.runs.snapshots import drop_snapshots, list_snapshots, snapshot_path
from ganforge.runs.state import ended_early, run_state

__all__ = [
    "Checkpoint",
    "append_metrics",
    "create_run",
    "drop_snapshots",
    "ended_early",
    "find_run",
    "has_checkpoints",
    "list_runs",
    "list_snapshots",
    "load_checkpoint",
    "lock_run",
    "prune_checkpoints",
    "read_history",
    "read_manifest",
    "read_metrics",
    "run_state",
    "save_checkpoint",
    "snapshot_path",
    "sync_metrics",
    "truncate_metrics",
    "update_manifest",
    "write_manifest",
]
