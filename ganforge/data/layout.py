"""How a folder is laid out: which of its files are for training, and of which class each is."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

TRAIN = frozenset(("train", "training"))
OTHER = frozenset(["test", "testing", "val", "valid", "validation", "dev", "eval", "holdout"])
LABELS = "dataset.json"
# Files beside class folders are strays where they are at most one in so many, and fewer than any class.
_STRAYS = 5


@dataclass(frozen=True)
class Layout:
    """Indices of the files to take, in order, and the class of each (all "" where there are none).

    ``left`` counts by folder the pictures that are left for evaluating, ``train`` names the one that is used;
    ``strays`` are left out, ``loose`` counts files that are too many to be strays and so cost the classes;
    ``empty`` names class folders with no file; ``numbered``: classes are the numbers of a dataset.json;
    ``problem`` is why one could not be used.
    """

    kept: list[int]
    classes: list[str]
    train: str = ""
    left: dict[str, int] = field(default_factory=dict)
    strays: list[str] = field(default_factory=list)
    loose: int = 0
    empty: list[str] = field(default_factory=list)
    numbered: bool = False
    problem: str = ""


def arrange(names: Sequence[str], folders: Iterable[str] = (), labels: bytes | None = None) -> Layout:
    """Return the layout of files with these paths, ``/`` between their parts; ``folders`` as well, empty or not.

    Folders just below whatever single folder holds everything (as in most zips) are classes where there are two or
    more. Where they are ``train`` and ``test`` (or ``val`` …) and the other has no class that ``train`` has not,
    ``train`` is taken alone. ``labels`` is the content of the StyleGAN tools' dataset.json, which wins over folders.
    """
    if labels is not None:
        named = _labels_of(labels)
        if isinstance(named, str):
            found = arrange(names, folders)
            return Layout(**{**vars(found), "problem": named})
        return _numbered(names, named)
    parts = [name.split("/")[:-1] for name in names]
    depth = shared(parts)
    firsts = [part[depth] if len(part) > depth else "" for part in parts]
    split = _split(parts, firsts, depth)
    left: dict[str, int] = {}
    strays: list[str] = []
    indices = list(range(len(names)))
    if split:
        left = dict(sorted(Counter(first for first in firsts if first not in (split, "")).items()))
        strays = [name for name, first in zip(names, firsts) if not first]
        indices = [i for i in indices if firsts[i] == split]
        parts = [parts[i] for i in indices]
        depth = shared(parts)
        firsts = [part[depth] if len(part) > depth else "" for part in parts]
    counts = Counter(firsts)
    loose = counts.pop("", 0)
    if len(counts) < 2:
        return Layout(indices, [""] * len(indices), split, left, strays)
    if loose and (loose >= min(counts.values()) or loose * _STRAYS > len(indices)):
        return Layout(indices, [""] * len(indices), split, left, strays, loose=loose)
    strays += [names[i] for i, first in zip(indices, firsts) if not first]
    kept = [(i, first) for i, first in zip(indices, firsts) if first]
    prefix = next(part for part in parts if len(part) > depth)[:depth]
    empty = {
        folder[depth]
        for folder in (f.split("/") for f in folders)
        if len(folder) > depth and folder[:depth] == prefix
    }
    return Layout([i for i, _ in kept], [c for _, c in kept], split, left, strays, empty=sorted(empty - set(counts)))


def everything(count: int, problem: str = "") -> Layout:
    """Return the layout of files that are all taken and of no class."""
    return Layout([*range(count)], [""] * count, problem=problem)


def shared(parts: Sequence[list[str]]) -> int:
    """Return how many folders all files have in common: the lowest and highest share what all share."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(min(parts), max(parts))))


def _split(parts: Sequence[list[str]], firsts: Sequence[str], depth: int) -> str:
    """Return the folder to train on, where the folders are the parts of a split and not classes; else ""."""
    folders = set(firsts) - {""}
    train = [name for name in folders if name.lower() in TRAIN]
    if len(train) != 1 or len(folders) < 2 or any(name.lower() not in TRAIN | OTHER for name in folders):
        return ""
    if firsts.count("") * _STRAYS > len(firsts):
        return ""
    classes: dict[str, set[str]] = {name: set() for name in folders}
    for part, first in zip(parts, firsts):
        if first and len(part) > depth + 1:
            classes[first].add(part[depth + 1])
    # The others' pictures may lie in no class: they are often handed out without.
    return train[0] if all(found <= classes[train[0]] for found in classes.values()) else ""


def _labels_of(content: bytes) -> dict[str, int] | str | None:
    """Return the class numbers in a dataset.json by file; None where it says there are none; a reason in words."""
    try:
        about: Any = json.loads(content)
        labels = about["labels"]
        if not labels:
            return None
        found = {name.replace("\\", "/"): number for name, number in labels}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "it has no list of labels"
    if not all(type(number) is int and 0 <= number < 2**31 for number in found.values()):
        return "its labels are not whole numbers"
    return found


def _numbered(names: Sequence[str], labels: dict[str, int] | None) -> Layout:
    """Lay out files by the numbers of a dataset.json, whose paths begin at its own folder."""
    if labels is None:  # its folders hold a thousand pictures each, and are no classes
        return everything(len(names))
    depth = shared([name.split("/")[:-1] for name in names])
    tails = ([name.split("/", k)[-1] for k in range(depth + 1)] for name in names)
    numbers = [next((labels[tail] for tail in some if tail in labels), None) for some in tails]
    without = [name for name, number in zip(names, numbers) if number is None]
    counts = Counter(number for number in numbers if number is not None)
    if len(counts) < 2 or len(without) >= min(counts.values()) or len(without) * _STRAYS > len(names):
        problem = "" if len(counts) == 1 and not without else f"it has labels for {sum(counts.values())} of the files"
        return everything(len(names), problem)
    kept = [i for i in range(len(names)) if numbers[i] is not None]
    return Layout(kept, [str(numbers[i]) for i in kept], strays=without, numbered=True)


def draw(classes: Sequence[str], limit: int, seed: int) -> list[int]:
    """Return an order of the files whose first ``limit`` are those to take, by name; the rest stands by.

    They are chosen by ``seed``; a class that none fell to gets one in place of the last of the most frequent.
    """
    chosen = np.random.default_rng(seed).permutation(len(classes)).tolist()
    counts = Counter(classes[i] for i in chosen[:limit])
    for missing in sorted(set(classes) - set(counts)):
        often, count = max(counts.items(), key=lambda item: (item[1], item[0]))
        if count < 2:
            break  # fewer pictures than classes
        here = max(k for k in range(limit) if classes[chosen[k]] == often)
        there = next(k for k in range(limit, len(chosen)) if classes[chosen[k]] == missing)
        chosen[here], chosen[there] = chosen[there], chosen[here]
        counts[often] -= 1
        counts[missing] = 1
    return [*sorted(chosen[:limit]), *chosen[limit:]]


def labelled(classes: Collection[str], numbered: bool) -> tuple[list[str], list[int]]:
    """Return the classes of pictures, in order, and each picture's index; none where there is but one."""
    names = sorted(set(classes), key=int if numbered else str)
    if len(names) < 2:
        return [], []
    index = {name: i for i, name in enumerate(names)}
    return names, [index[name] for name in classes]
