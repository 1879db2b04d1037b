"""What commands say of a run in words: its optimizers and its average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ganforge.cli.console import with_options
from ganforge.showing.words import standing

__all__ = ["average_rows", "learning_rates", "optimizer_rows", "records_of", "standing"]

Records = Sequence[Mapping[str, Any]]  # the generator's optimizer and the discriminator's, as run.json has them


def records_of(manifest: Mapping[str, Any]) -> Records:
    """Return the optimizers of a run; none where it was made before they were recorded."""
    return [manifest[name] for name in ("optimizer", "discriminator_optimizer") if name in manifest]


def optimizer_rows(config: Mapping[str, Any], records: Records) -> list[tuple[str, str]]:
    """Return a row that names the optimizers, where somebody chose one."""
    if not (config.get("optimizer") or config.get("discriminator_optimizer")) or len(records) != 2:
        return []
    made, judged = (with_options(record["name"], record["options"]) for record in records)
    return [("optimizer", made if made == judged else f"generator: {made}\ndiscriminator: {judged}")]


def learning_rates(config: Mapping[str, Any], records: Records) -> str:
    """Return ``Adam 0.0002``, or the learning rates of the optimizers that somebody chose."""
    if not optimizer_rows(config, records):
        return f"Adam {config['learning_rate']:g}"
    made, judged = (record["learning_rate"] for record in records)
    return f"learning rate {made:g}" if made == judged else f"learning rates {made:g} and {judged:g}"


def average_rows(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a row about the running mean of the generator's weights, where there is one."""
    from ganforge.plugin.averaging import parse_ema

    number = parse_ema(config.get("ema") or 0.0)
    if not number:
        return []
    how = f"decay {number:g}" if number < 1 else f"half-life {number:,.0f} pictures"
    return [("running mean", f"of the generator's weights, {how}")]
