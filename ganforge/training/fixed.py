"""What stays as it is when a run goes on, and why."""

from __future__ import annotations

from ganforge.errors import UsageError

# What `resume` may change.
CHANGES = (
    *("epochs", "balance", "backend", "devices", "data", "data_changed", "on_nan", "stop_when", "plugins"),
    *("learning_rate", "ema", "log", "snapshot_every"),
)
_NETWORKS = "its networks and their weights are of it"
_BATCHES = "which pictures belong to a step follows from it"
_PICTURES = "its pictures were read so, and are known by it"
_STATE = "what its optimizers remember is of it"
_STEPS = "its steps are computed so, and repeat to the bit"
_LOGS = "strategies are told what is logged, as often as it is"
_ONLY = "only a new run begins so"
_SAVES = "it says where a killed run goes on"
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
    """Raise ``UsageError`` where ``name``, as in ``TrainConfig``, is a setting that a run keeps."""
    if (why := _WHY.get(name)) is None:
        return
    flag = "--from" if name == "from_run" else f"--{name.replace('_', '-')}"
    another = "--from RUN" if name == "from_run" else f"--from {run} {flag}"
    new = "a new run begins with another's weights" if why == _ONLY else "a new run begins with its weights"
    raise UsageError(f"{flag} cannot change when a run continues: {why}; {new}: ganforge train {another} …")
