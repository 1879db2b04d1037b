"""Added rows of a study: ``--add my-strategy:option=…`` beside every run without a balancing strategy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ganforge.errors import UsageError, closest
from ganforge.plugin.options import parse_spec
from ganforge.plugin.registry import Registry
from ganforge.study.plan import Entry, Study

# The kinds that a name is looked up in, in this order, and the setting for each.
KINDS = {"strategy": "balance", "loss": "loss", "optimizer": "optimizer", "architecture": "arch"}


def with_rows(study: Study, texts: Sequence[str], registry: Registry) -> Study:
    """Return the study with a row for each text: strategies joined by ``+``, a loss, optimizer or architecture.

    A row is a copy of each run whose ``balance`` is ``none`` and whose loss and optimizer are not named, with that
    one setting in its place: the same data, seeds and everything else.

    Raises:
        UsageError: a name is unknown, its options are invalid, or the study has no run without a strategy.
    """
    if not texts:
        return study
    plain = [entry for entry in study.entries if _is_plain(entry)]
    if not plain:
        raise UsageError(f'the study {study.name} has no run with balance = "none" to compare --add with')
    added: list[Entry] = []
    for text in texts:
        setting = _setting(text, registry)
        parts = [part.strip() for part in text.split("+")]
        for entry in plain:
            values = {**entry.settings, setting: parts if setting == "balance" else text}
            name = _renamed(entry.name, text, setting)
            added.append(replace(entry, name=name, settings=values, beside=entry.name))
    known = {entry.name for entry in study.entries}
    return replace(study, entries=[*study.entries, *(entry for entry in added if entry.name not in known)])


def only(study: Study, texts: Sequence[str]) -> Study:
    """Return the study with only the runs whose names contain all words of one of the texts; all without texts.

    Numbers count as a whole: ``seed=1`` is not in ``seed=10``. An added run also stays where the one beside which it
    stands does. The runs of a search have no names yet, so the search is left out.

    Raises:
        UsageError: a text matches no run.
    """
    if not texts:
        return study

    def fits(entry: Entry, text: str) -> bool:
        names = (entry.name, entry.beside)
        return any(all(re.search(_whole_numbers(word), name) for word in text.split()) for name in names)

    for text in texts:
        if not any(fits(entry, text) for entry in study.entries):
            shown = ", ".join(f"'{entry.name}'" for entry in study.entries[:3])
            names = (
                f"expected words of a run's name, such as {shown}" if shown else "it has only a search: leave it out"
            )
            raise UsageError(f"--only '{text}' matches no run of the study {study.name}; {names}")
    chosen = [entry for entry in study.entries if any(fits(entry, text) for text in texts)]
    return replace(study, entries=chosen, search=None)


def _whole_numbers(word: str) -> str:
    """Return a pattern for a word in a longer name, in which no number goes on before or after it."""
    before, after = (r"(?<![\d.])" if word[0].isdigit() else ""), (r"(?!\.?\d)" if word[-1].isdigit() else "")
    return before + re.escape(word) + after


def _is_plain(entry: Entry) -> bool:
    named = {key for key in ("loss", "optimizer") if entry.settings.get(key)}
    return not named and [str(text).strip() for text in entry.settings.get("balance") or ()] == ["none"]


def _renamed(name: str, text: str, setting: str) -> str:
    words = name.split()
    shown = text if setting == "balance" else f"{setting}={text}"
    if "none" in words:
        words[words.index("none")] = shown
        return " ".join(words)
    return f"{name} {shown}"


def _setting(text: str, registry: Registry) -> str:
    parts = [parse_spec(part.strip()) for part in text.split("+")]
    for kind, setting in KINDS.items():
        known = {entry.name for entry in registry.of(kind)}
        if all(part.name in known for part in parts):
            if len(parts) > 1 and setting != "balance":
                raise UsageError(f"invalid --add {text}: only strategies can be joined by +")
            for part in text.split("+"):
                registry.choose(kind, part.strip())
            return setting
    every = [entry.name for kind in KINDS for entry in registry.of(kind)]
    name = next((part.name for part in parts if part.name not in every), parts[0].name)
    raise UsageError(
        f"--add {text}: there is no strategy, loss, optimizer or architecture '{name}'.{closest(name, every)}"
    )
