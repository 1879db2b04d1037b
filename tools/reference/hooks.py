"""The plugin reference, from the contract itself.

Hooks and their arguments come from ``ganforge/plugin/hookspecs.py``, objects from their docstrings, checks from the
conformance kit.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from types import ModuleType
from typing import Any

from ganforge.plugin.kinds import KINDS, REGISTRATION_HOOKS
from tools.reference.markdown import code, text, wrapped

HEAD = """\
# Plugin reference

Hook API version {version}. Everything below can be imported from `ganforge`. An implementation names only the
arguments it needs, in any order. [Which hook runs where](hooks.md) shows the loop.

"""


def page() -> str:
    """Return the whole page."""
    from ganforge.plugin import hookspecs
    from ganforge.plugin import types as api_types
    from ganforge.plugin.dataset import Images
    from ganforge.plugin.options import Options
    from ganforge.testing import CHECKS

    parts = [HEAD.format(version=hookspecs.HOOK_API_VERSION), "## All hooks\n", hook_table(hookspecs)]
    for title, names in (
        ("Registration", REGISTRATION_HOOKS),
        ("Strategies", hookspecs.STRATEGY_HOOKS),
        ("Observers", hookspecs.OBSERVER_HOOKS),
    ):
        parts.append(f"## {title}\n")
        for name in names:
            hook = getattr(hookspecs, name)
            parts.append(f"### {name}\n\n{signature(name, hook)}\n\n{text(hook)}\n")
    parts.append("## What a plugin registers\n")
    for each in (*(kind.base for kind in KINDS.values()), Images, Options):
        parts.append(f"### {each.__name__}\n\n{fields(each)}{text(each)}\n")
    parts.append("## What hooks receive\n")
    for kind in (
        api_types.RunConfig,
        api_types.Progress,
        api_types.Random,
        api_types.RunInfo,
        api_types.StepInfo,
        api_types.EpochInfo,
        api_types.SnapshotInfo,
    ):
        parts.append(f"### {kind.__name__}\n\n{fields(kind)}{text(kind)}\n{methods(kind)}")
    parts.append(
        "## What is checked\n\nBy `ganforge check NAME`, and by the tests of `ganforge.testing`. Requirements "
        "marked ● are tested on every\nbackend, the others on the first.\n"
    )
    for row in KINDS.values():
        title = f"{'An' if row.word[0] in 'aeiou' else 'A'} {row.word}"
        checks = CHECKS[row.name]
        rows = [f"| `{one.name}` | {'●' if one.everywhere else ''} | {code(one.summary)} |" for one in checks]
        parts.append("\n".join([f"### {title}\n", "| check | | requirement |", "|---|---|---|", *rows]) + "\n")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def hook_table(hookspecs: ModuleType) -> str:
    rows = ["| hook | runs | when | arguments | returns |", "|---|---|---|---|---|"]
    for name, arguments in hookspecs.HOOKS.items():
        runs = "traced" if name in hookspecs.TRACED_HOOKS else "host"
        listed = ", ".join(f"`{argument}`" for argument in arguments)
        annotation = inspect.signature(getattr(hookspecs, name)).return_annotation
        when = WHEN[name] + (" ²" if name in hookspecs.SINCE_2 else "")
        returns = "nothing" if annotation in (None, "None") else RETURNS[name]
        rows.append(f"| `{name}` | {runs} | {when} | {listed} | {returns} |")
    return "\n".join(rows) + "\n\n² since version 2 of the hooks: [what that means](version-2.md).\n"


WHEN = {
    **dict.fromkeys(REGISTRATION_HOOKS, "once, at discovery"),
    "configure_run": "once a run, before the networks exist",
    "plan_step": "before each step",
    "discriminator_images": "before D sees images, in both updates",
    "discriminator_labels": "D's update, once for real, once for fake",
    "discriminator_penalty": "D's update",
    "generator_penalty": "G's update",
    "update_state": "at the end of a step's main update",
    "after_step": "after `update_state`",
    "run_started": "once, before the first step",
    "step_ended": "after each step",
    "epoch_ended": "after the last step of an epoch",
    "snapshot_taken": "after a grid is saved",
    "run_ended": "once, at the end",
}
RETURNS = {
    "plan_step": "dict of numbers, or None",
    "discriminator_images": "images of the same shape",
    "discriminator_labels": "labels of the same shape",
    "discriminator_penalty": "a scalar",
    "generator_penalty": "a scalar",
    "update_state": "the next state",
    "after_step": "both networks' weights, optionally with a state",
}


def signature(name: str, function: Any) -> str:
    names = list(inspect.signature(function).parameters)
    return f"```python\n{wrapped(f'def {name}', names, ': ...')}\n```"


def fields(kind: type) -> str:
    if not dataclasses.is_dataclass(kind):
        return ""
    names = [field.name for field in dataclasses.fields(kind)]
    return f"```python\n{wrapped(kind.__name__, names)}\n```\n\n"


def methods(kind: type) -> str:
    rows = []
    for name, member in vars(kind).items():
        if name.startswith("_") or not (inspect.isfunction(member) or isinstance(member, property)):
            continue
        if isinstance(member, property):
            rows.append(f"- `{name}`: {code(inspect.getdoc(member.fget) or '')}")
        else:
            arguments = [n for n in inspect.signature(member).parameters if n != "self"]
            rows.append(f"- `{name}({', '.join(arguments)})`: {code(inspect.getdoc(member) or '')}")
    return "\n".join(rows) + ("\n" if rows else "")
