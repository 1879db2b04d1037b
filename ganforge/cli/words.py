"""What commands say of a run in words: its optimizers, its average, and how its two networks stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ganforge.cli.console import with_options

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
    return [("average", f"of the generator's weights, {how}")]


def standing(metrics: Mapping[str, float], digits: int = 2) -> list[str]:
    """Return how the networks stand, piece by piece; what was not measured yet, or has no meaning, is left out.

    D(real) and D(fake) are probabilities. Where logits have no zero of their own there are none: then how often a
    real picture's logit is above that of the fake beside it, and the mean logits.
    """
    parts = [("D", "d_loss", digits), ("G", "g_loss", digits)]
    in_pairs = "d_real_logit" in metrics and "d_real" not in metrics
    parts += [("D right", "d_accuracy", 2)] if in_pairs else [("D(real)", "d_real", 2), ("D(fake)", "d_fake", 2)]
    said = [f"{label} {metrics[name]:.{n}f}" for label, name, n in parts if name in metrics]
    if in_pairs:
        said.append(f"logits {metrics['d_real_logit']:.2f} / {metrics['d_fake_logit']:.2f}")
    return said
