"""One more row for a study: ``--add my-strategy:option=…`` beside every run that has no balance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ganforge.errors import UsageError, closest
from ganforge.plugin.options import parse_spec
from ganforge.plugin.registry import Registry
from ganforge.study.plan import Entry, Study

# What a name may be, in this order, and the setting that it then is.
KINDS = {"strategy": "balance", "loss": "loss", "optimizer": "optimizer", "architecture": "arch"}


def with_rows(study: Study, texts: Sequence[str], registry: Registry) -> Study:
    """Return the study with a row for each text: strategies joined by ``+``, a loss, optimizer or architecture.

    A row is a copy of each run whose ``balance`` is ``none`` and whose loss and optimizer are not named, with that
    one setting in its place: the same data, seeds and everything else.

    Raises:
        UsageError: nothing goes by a name, its options are wrong, or the study has no run without balance.
    """
    if not texts:
        return study
    plain = [entry for entry in study.entries if _is_plain(entry)]
    if not plain:
        raise UsageError(f'the study {study.name} has no run with balance = "none" that --add could be compared with')
    added: list[Entry] = []
    for text in texts:
        setting = _setting(text, registry)
        parts = [part.strip() for part in text.split("+")]
        for entry in plain:
            values = {**entry.settings, setting: parts if setting == "balance" else text}
            added.append(replace(entry, name=_renamed(entry.name, text, setting), settings=values))
    known = {entry.name for entry in study.entries}
    return replace(study, entries=[*study.entries, *(entry for entry in added if entry.name not in known)])


def only(study: Study, texts: Sequence[str]) -> Study:
    """Return the study with the runs alone whose name holds all words of one of the texts; all without a text.

    A search makes runs of its own, which have no names before: it is left out.

    Raises:
        UsageError: a text fits no run.
    """
    if not texts:
        return study

    def fits(entry: Entry, text: str) -> bool:
        return all(word in entry.name for word in text.split())

    for text in texts:
        if not any(fits(entry, text) for entry in study.entries):
            shown = ", ".join(f"'{entry.name}'" for entry in study.entries[:3])
            raise UsageError(f"--only '{text}' is in no run's name of the study {study.name}, such as {shown}")
    chosen = [entry for entry in study.entries if any(fits(entry, text) for text in texts)]
    return replace(study, entries=chosen, search=None)


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
                raise UsageError(f"invalid --add {text}: only strategies are joined by +")
            for part in text.split("+"):
                registry.choose(kind, part.strip())
            return setting
    every = [entry.name for kind in KINDS for entry in registry.of(kind)]
    name = next((part.name for part in parts if part.name not in every), parts[0].name)
    raise UsageError(
        f"--add {text}: there is no strategy, loss, optimizer or architecture '{name}'.{closest(name, every)}"
    )
