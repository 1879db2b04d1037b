"""The settings that cannot change when a run is resumed, and why."""

from __future__ import annotations

from ganforge.errors import UsageError

# What `resume` may change.
CHANGES = (
    *("epochs", "balance", "backend", "devices", "data", "data_changed", "on_nan", "stop_when", "plugins"),
    *("learning_rate", "ema", "log", "snapshot_every"),
)
_NETWORKS = "the shapes of its networks depend on it"
_BATCHES = "it decides which pictures belong to each step"
_PICTURES = "its pictures were read with it"
_STATE = "the state of its optimizers depends on it"
_STEPS = "its steps must be computed as before"
_LOGS = "strategies receive the logged numbers, as often as they are logged"
_ONLY = "it applies only when a run starts"
_SAVES = "it decides where a killed run continues"
_WHY = {
    **dict.fromkeys(("arch", "image_size", "channels", "latent_dim"), _NETWORKS),
    **dict.fromkeys(("batch_size", "limit", "steps", "seed"), _BATCHES),
    **dict.fromkeys(("fit", "background", "range", "frames", "strict"), _PICTURES),
    **dict.fromkeys(("optimizer", "discriminator_optimizer", "beta_1"), _STATE),
    **dict.fromkeys(("loss", "step", "compile", "precision"), _STEPS),
    "log_every": _LOGS,
    **dict.fromkeys(("checkpoint_every", "keep"), _SAVES),
    **dict.fromkeys(("from_run", "from_optimizers", "from_partial", "freeze_discriminator"), _ONLY),
}


def refuse_fixed(name: str, run: str) -> None:
    """Raise ``UsageError`` if ``name``, as in ``TrainConfig``, is a setting that cannot change."""
    if (why := _WHY.get(name)) is None:
        return
    flag = "--from" if name == "from_run" else f"--{name.replace('_', '-')}"
    another = "--from RUN" if name == "from_run" else f"--from {run} {flag}"
    new = "to start a new run from another's weights" if why == _ONLY else "to start a new run from its weights"
    raise UsageError(f"{flag} cannot change when a run continues: {why}; {new}: ganforge train {another} …")
