"""What a search found, in sentences and as numbers for a page; of ``NAME.study.json`` alone, without Optuna."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganforge.errors import GANForgeError
from ganforge.study.runner import study_path
from ganforge.study.search import Trial
from ganforge.study.searching import read_search_record
from ganforge.study.summary import study_name

SOURCE = "functional ANOVA"


def searched(names: Sequence[str], runs_dir: Path) -> list[dict[str, Any]]:
    """Return what the studies among ``names`` keep of their searches; of those without one, nothing."""
    found = []
    for name in names:
        title = study_name(Path(name)) if name.endswith(".toml") else name
        record = read_search_record(study_path(title, runs_dir))
        if record.get("trials"):
            found.append(record)
    return found


def told(record: Mapping[str, Any]) -> list[str]:
    """Return what a search found: the best trial, what mattered, and how many were ended early."""
    about = shown(record)
    metric, trials, best = about["metric"], about["trials"], about["best"]
    if best is None:
        return [f"No trial was trained to the end and evaluated ({_counted(trials)})."]
    values = ", ".join(f"{row['name']} {row['best']}" for row in about["rows"])
    sentences = [f"The best {metric} of {_counted(trials)} is {best['value']:.4g}, in {best['name']}: {values}."]
    if about["measured"]:
        shares = ", ".join(f"{row['name']} {row['share']:.0%}" for row in about["rows"] if row["share"] is not None)
        sentences.append(f"What mattered for {metric}, by {SOURCE} over {about['done']} trials: {shares}.")
    if about["pruned"]:
        verb = "was" if about["pruned"] == 1 else "were"
        sentences.append(f"{about['pruned']} of {_counted(trials)} {verb} stopped early.")
    return sentences


def _counted(trials: int) -> str:
    return f"{trials} trial{'s' * (trials != 1)}"


def shown(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of a search, JSON-able: a row for each name, with its share and its value in the best trial.

    Raises:
        GANForgeError: the study's file is damaged.
    """
    trials = [Trial.of(one) for one in record["trials"]]
    done = [(trial.value, trial) for trial in trials if trial.state == "done" and trial.value is not None]
    pick = min if record.get("falling") else max
    value, best = pick(done, key=lambda pair: pair[0]) if done else (None, None)
    shares = record.get("mattered") or {}
    if not isinstance(shares, dict) or not all(isinstance(share, (int, float)) for share in shares.values()):
        raise GANForgeError("what mattered in a study's file is damaged; move the file away to start afresh")
    names = sorted(trials[0].params, key=lambda name: -shares.get(name, 0.0))
    return {
        "metric": str(record.get("metric")),
        "source": SOURCE,
        "trials": len(trials),
        "done": len(done),
        "pruned": sum(trial.state == "pruned" for trial in trials),
        "best": best and {"name": best.name, "value": value},
        "measured": bool(shares),
        "rows": [
            {
                "name": name.replace("_", "-"),
                "share": shares.get(name),
                "best": _written(best.params[name]) if best else "",
            }
            for name in names
        ],
    }


def _written(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
