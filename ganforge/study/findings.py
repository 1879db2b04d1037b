"""What a comparison of runs shows, in sentences made from their numbers and nothing else.

Runs that differ only in the seed form one group, with the mean of their numbers. Two groups are compared if they
differ in exactly one setting. A difference within the range of the seeds counts as no clear difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ganforge.study.plan import short_architectures
from ganforge.study.summary import COLUMNS, Column, Summary

# Settings that change how a run is followed or numbered, not what it learns.
BESIDE = ("log", "seed", "runs_dir", "snapshot_every", "checkpoint_every", "keep", "log_every", "plugins", "backend")
DIMENSIONS = (
    *("arch", "balance", "loss", "optimizer", "discriminator_optimizer", "learning_rate", "ema"),
    *("beta_1", "latent_dim", "data", "batch_size", "epochs", "limit", "precision", "image_size", "channels", "fit"),
    "step",
)
# What no run of 0.1 says; and what it means that a run says nothing.
SILENT = {
    "optimizer": "Adam",
    "discriminator_optimizer": "one optimizer for both",
    "ema": "no average",
    "limit": "no limit",
}
NUMBER = re.compile(r"\d+(?:\.\d+)?")
OF_DATA = ("modes", "precision", "kl")  # of other data they count something else
SAME = 0.03  # a change smaller than this part is called none


@dataclass(frozen=True)
class Group:
    """Runs that differ only in the seed."""

    config: dict[str, Any]
    runs: tuple[Summary, ...]

    def values(self, column: Column) -> list[float]:
        return [value for run in self.runs if (value := column.get(run)) is not None]

    def mean(self, column: Column) -> float:
        values = self.values(column)
        return sum(values) / len(values)


def findings(summaries: Sequence[Summary]) -> list[str]:
    """Return sentences about which setting changed which number; empty if no two runs are comparable."""
    groups = groups_of(summaries)
    sentences: list[str] = []
    for dimension in DIMENSIONS:
        for family in _families(groups, dimension):
            sentences += _about(family, dimension)
    return sentences


def groups_of(summaries: Sequence[Summary]) -> list[Group]:
    """Return the runs in groups that differ only in the seed, in the order of their first runs."""
    by_key: dict[str, list[Summary]] = {}
    for summary in summaries:
        config = {k: v for k, v in summary.manifest["config"].items() if k not in BESIDE}
        config |= {"balance": summary.balance, **{k: config.get(k) for k in SILENT}}
        by_key.setdefault(json.dumps(config, sort_keys=True), []).append(summary)
    groups = [Group(json.loads(key), tuple(runs)) for key, runs in by_key.items()]
    called = short_architectures([group.config["arch"] for group in groups])
    return [Group({**group.config, "arch": called[group.config["arch"]]}, group.runs) for group in groups]


def _families(groups: Sequence[Group], dimension: str) -> list[list[Group]]:
    """Return sets of groups that differ in ``dimension`` alone, each in the order of its number where it has one."""
    by_rest: dict[str, list[Group]] = {}
    for group in groups:
        if dimension not in group.config:  # written by another version
            continue
        rest = {k: v for k, v in group.config.items() if k != dimension}
        by_rest.setdefault(json.dumps(rest, sort_keys=True), []).append(group)
    families = []
    for members in by_rest.values():
        # The same text but for a number is a scale; "none" is where a scale of strategies starts.
        scales: dict[str, list[Group]] = {}
        for group in members:
            scales.setdefault(NUMBER.sub("#", str(group.config[dimension])), []).append(group)
        plain = scales.get("none", [])
        for text, scale in scales.items():
            if text != "none" and len(scale) + len(plain) > 1 and len(scale) > 1:
                families.append([*plain, *sorted(scale, key=lambda g: _numbers(g.config[dimension]))])
        if len(scales) - bool(plain) > 1 or (
            plain and all(len(s) == 1 for s in scales.values()) and len(members) > 1
        ):
            families.append(members)
    return families


def _numbers(value: Any) -> list[float]:
    return [float(n) for n in NUMBER.findall(str(value))]


def _about(family: Sequence[Group], dimension: str) -> list[str]:
    texts = [NUMBER.sub("#", str(group.config[dimension])) for group in family if group.config[dimension] != "none"]
    ordered = len(set(texts)) == 1
    sentences = []
    for column in COLUMNS:
        members = [group for group in family if group.values(column)]
        if (
            not column.noun
            or (dimension == "data" and column.key in OF_DATA)
            or len(members) < 2
            or len({value for group in members for value in group.values(column)}) < 2
        ):
            continue
        if ordered:
            sentences.append(_along(members, dimension, column))
        elif column.better:
            sentences.append(_ranked(members, dimension, column))
    return [_where(family, dimension) + sentence for sentence in sentences]


def _where(family: Sequence[Group], dimension: str) -> str:
    config = family[0].config
    parts = [str(config["arch"])] if dimension != "arch" else []
    if dimension != "balance" and config["balance"] != "none":
        parts.append(config["balance"])
    seeds = {len(group.runs) for group in family}
    counts = (
        f"{min(seeds)} seed{'s' if min(seeds) > 1 else ''} each" if len(seeds) == 1 else "unequal numbers of seeds"
    )
    return f"{', '.join(parts)} ({counts}): " if parts else f"({counts}) "


def _along(members: Sequence[Group], dimension: str, column: Column) -> str:
    """Return what happens to a number along a scale, step by step, each against the last step that changed it."""
    words, last, before = [], 0, members[0]
    for i, after in enumerate(members[1:]):
        change = _change(before, after, column)
        direction = 0 if change is None else (1 if change > 0 else -1)
        name, value = _named(after, dimension), column.text(after.mean(column))
        if i == 0:
            start = f"against {_named(before, dimension)} ({column.text(before.mean(column))} → {value})"
            if not direction:
                words.append(f"{name} made no clear difference to {column.noun} {start}")
            else:
                verb = _verb(column, direction)
                words.append(f"{name} {verb} {column.noun} by {abs(change or 0):.0%} {start}")
        elif not direction:
            words.append(f"{name} made no further clear difference ({value})")
        else:
            again = " again" if last and direction != last else " further" if direction == last else ""
            words.append(f"at {name} it {_intransitive(column, direction)}{again} (to {value})")
        last = direction or last
        if direction:  # what creeps up in small steps must be seen as well
            before = after
    return "; ".join(words) + "."


def _ranked(members: Sequence[Group], dimension: str, column: Column) -> str:
    """Return which of several has the best number, and by how much."""
    order = sorted(members, key=lambda g: g.mean(column), reverse=column.better == "high")
    first, second = order[:2]
    word = "lowest" if column.better == "low" else "highest"
    rest = ", ".join(f"{_named(g, dimension)} {column.text(g.mean(column))}" for g in order[1:])
    note = "" if _change(second, first, column) is not None else ", no clear difference to the next"
    return (
        f"{column.noun} is {word} with {_named(first, dimension)} ({column.text(first.mean(column))}{note}), "
        f"then {rest}."
    )


def _change(before: Group, after: Group, column: Column) -> float | None:
    """Return the relative change, None when it is small or the ranges of the seeds overlap."""
    a, b = before.values(column), after.values(column)
    change = (after.mean(column) - before.mean(column)) / max(abs(before.mean(column)), 1e-9)
    overlap = max(min(a), min(b)) <= min(max(a), max(b)) and len(a) + len(b) > 2
    return None if abs(change) < SAME or overlap else change


def _verb(column: Column, direction: int) -> str:
    if column.key == "gap":
        return "widened" if direction > 0 else "narrowed"
    return "raised" if direction > 0 else "lowered"


def _intransitive(column: Column, direction: int) -> str:
    if column.key == "gap":
        return "widened" if direction > 0 else "narrowed"
    return "rose" if direction > 0 else "fell"


def _named(group: Group, dimension: str) -> str:
    value = group.config[dimension]
    if dimension == "balance":
        return "no balancing" if value == "none" else str(value)
    if dimension in SILENT and value is None:
        return SILENT[dimension]
    return str(value) if dimension in ("arch", "loss", "optimizer") else f"{dimension.replace('_', ' ')} {value}"
