"""What to try against a problem: changes of the run's own settings, and the command that makes them."""

from __future__ import annotations

import re
from typing import Any

from ganforge.diagnosis.evidence import Evidence, Finding


def command(evidence: Evidence, finding: Finding) -> str:
    """Return the exact command to try next: the run's own settings with what the finding changes."""
    config = {**evidence.manifest["config"], **finding.settings}
    parts = ["ganforge train", f"--arch {_quoted(config['arch'])}"]
    parts += [f"--balance {_quoted(text)}" for text in config["balance"]]
    if config["loss"] != "bce":
        parts.append(f"--loss {_quoted(config['loss'])}")
    for name in ("optimizer", "discriminator_optimizer"):  # neither stood in runs of 0.1
        if config.get(name):
            parts.append(f"--{name.replace('_', '-')} {_quoted(config[name])}")
    if config.get("ema"):
        parts.append(f"--ema {config['ema']}")
    if config["data"] != "critters":
        parts.append(f"--data {_quoted(config['data'])}")
    # What was filled in by default is not repeated, but for what makes the two runs comparable.
    for name in ("image_size", "channels", "limit", "epochs", "batch_size", "learning_rate", "seed"):
        said = name == "learning_rate" and _chosen_rate(evidence, finding)
        if config.get(name) is not None and not said and not (name == "channels" and config[name] == 3):
            value = config[name]
            parts.append(
                f"--{name.replace('_', '-')} {value:g}"
                if isinstance(value, float)
                else f"--{name.replace('_', '-')} {value}"
            )
    parts += [f"--plugin {_quoted(text)}" for text in config.get("plugins", ())]
    return " ".join(parts)


def _chosen_rate(evidence: Evidence, finding: Finding) -> bool:
    """Say whether the optimizers have rates of their own, which the flag would win over."""
    given, config = evidence.manifest.get("given", ["learning_rate"]), evidence.manifest["config"]
    chosen = config.get("optimizer") or config.get("discriminator_optimizer")
    return bool(chosen) and "learning_rate" not in {*given, *finding.settings}


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w./:=,+~-]+", text) else "'" + text.replace("'", "'\\''") + "'"


def _balance(e: Evidence) -> list[str]:
    return [text for text in e.manifest["config"]["balance"] if text != "none"]


def _name(spec: str) -> str:
    return spec.partition(":")[0]


def adding(e: Evidence, *specs: str) -> dict[str, Any]:
    """Return the run's strategies with ``specs`` added; each replaces a strategy of the same name or purpose."""
    names = {_name(spec) for spec in specs}
    clash = {"input-noise", "noise-anneal"} if names & {"input-noise", "noise-anneal"} else set()
    # The closed loop steers these itself.
    clash |= {"auto"} if names & {"input-noise", "noise-anneal", "label-noise", "unequal-lr"} else set()
    kept = [text for text in _balance(e) if _name(text) not in names | clash]
    return {"balance": [*kept, *specs]}


def without(e: Evidence, *names: str) -> dict[str, Any]:
    """Return the run's strategies without those of the given names."""
    return {"balance": [text for text in _balance(e) if _name(text) not in names]}


def learning_rate(e: Evidence) -> float:
    """Return the learning rate of the run's settings."""
    return float(e.manifest["config"]["learning_rate"] or 2e-4)


def slower(e: Evidence, factor: float) -> dict[str, Any]:
    """Return ``factor`` times the run's learning rate."""
    return {"learning_rate": learning_rate(e) * factor}


def faster_d(e: Evidence) -> dict[str, Any]:
    """Return the run's strategies with D at twice G's learning rate."""
    return adding(e, "unequal-lr:discriminator=2")
