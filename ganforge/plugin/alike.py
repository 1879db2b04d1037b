"""Names that sound like a hook's: the same words up to a slip, an ending or an abbreviation."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ganforge.errors import closest
from ganforge.plugin.hookspecs import OBSERVER_HOOKS

ENDINGS = ("ures", "ured", "uring", "ies", "ing", "ure", "es", "ed", "en", "s", "e", "y", "d", "n")


def near(name: str, hooks: Iterable[str]) -> str | None:
    """Return the hook that ``name`` likely stands for: the same words up to a slip, an ending or an abbreviation.

    ``plan_steps``, ``planStep``, ``on_epoch_end``, ``discriminator_imgs`` are near a hook; ``plan``, ``step``,
    ``plan_stop``, ``discriminator_stages`` and ``generator_images`` are not.
    """
    words = [word for word in re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower().split("_") if word]
    if len(words) > 1 and words[0] == "on":
        words = words[1:]
    for hook in hooks:
        parts = hook.split("_")
        alike = len(words) == len(parts) and all(_near_word(a, b) for a, b in zip(words, parts))
        if alike or "".join(words) == "".join(parts):
            return hook
    return None


def _near_word(word: str, wanted: str) -> bool:
    if word == wanted or _stem(word) == _stem(wanted):
        return True
    if len(word) >= 3 and wanted.startswith(word):
        return True
    if len(word) >= 0.6 * len(wanted) and len(word) >= 4 and word[0] == wanted[0] and _is_within(word, wanted):
        return True
    return _is_one_slip(word, wanted)


def _stem(word: str) -> str:
    ending = next((end for end in ENDINGS if word.endswith(end) and len(word) - len(end) >= 3), "")
    return word.removesuffix(ending)


def _is_within(word: str, wanted: str) -> bool:
    """Whether ``word`` is ``wanted`` with letters left out."""
    letters = iter(wanted)
    return all(letter in letters for letter in word)


def _is_one_slip(word: str, wanted: str) -> bool:
    """Whether one letter was left out, added or exchanged with its neighbour, or, in a long word, replaced."""
    if abs(len(word) - len(wanted)) == 1:
        short, long = sorted((word, wanted), key=len)
        return any(long[:i] + long[i + 1 :] == short for i in range(len(long)))
    if len(word) != len(wanted):
        return False
    wrong = [i for i, (a, b) in enumerate(zip(word, wanted)) if a != b]
    if len(wrong) == 1:
        return len(word) >= 6
    return (
        len(wrong) == 2
        and wrong[1] == wrong[0] + 1
        and word[wrong[0]] == wanted[wrong[1]]
        and (word[wrong[1]] == wanted[wrong[0]])
    )


def most_like(name: str) -> str | None:
    """Return the observer's hook that shares a word with ``name``, or looks like it."""
    words = {_stem(word) for word in name.split("_")}
    shared = [hook for hook in OBSERVER_HOOKS if words & {_stem(word) for word in hook.split("_")}]
    hint = closest(name, shared or OBSERVER_HOOKS)
    return shared[0] if len(shared) == 1 else hint.split("'")[1] if hint else None
