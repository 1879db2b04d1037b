"""What is measured of a run and of its pictures, from the docstrings of the functions that measure."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from tools.reference.markdown import text

HEAD = """\
# Metrics

`ganforge evaluate RUN` draws pictures, measures them and writes `evaluation.json` into the run; the headings below
are the names in that file. `ganforge compare`, `study` and `report` show them side by side;
[comparing runs](../study.md) says how to read them. A *floor*, where there is one, is the distance between two halves
of the training pictures: what so many pictures can resolve. Sets of pictures are uint8 (N, H, W, C), features (N, D).

"""
PICTURES, KNOWN, RUN, ASKED = "any pictures", "data whose modes are known", "every run", "asked for"
WHEN = {
    PICTURES: "## Of pictures\n",
    KNOWN: "## Of data whose modes are known\n",
    RUN: "## Of every run, pictures or not\n",
    ASKED: "## By a network that was trained on photographs\n",
}


def measures() -> dict[str, tuple[str, dict[str, Callable[..., Any]]]]:
    """Return by name in ``evaluation.json`` when it is measured, and what says what it is, by label."""
    from ganforge.metrics import imagenet
    from ganforge.metrics.balance import balance
    from ganforge.metrics.cost import cost
    from ganforge.metrics.critters import critter_coverage
    from ganforge.metrics.diversity import diversity
    from ganforge.metrics.frechet import frechet_distance
    from ganforge.metrics.inception import inception_scores
    from ganforge.metrics.kid import kid
    from ganforge.metrics.memorising import memorising
    from ganforge.metrics.modes import mode_coverage
    from ganforge.metrics.prdc import prdc
    from ganforge.metrics.stacked import stack_coverage
    from ganforge.metrics.swd import swd
    from ganforge.metrics.tone import tone

    return {
        "swd": (PICTURES, {"": swd}),
        "tone": (PICTURES, {"": tone}),
        "kid": (PICTURES, {"": kid}),
        "memorising": (PICTURES, {"": memorising}),
        "modes": (KNOWN, {"`--data gaussians`": mode_coverage, "`--data stacked`": stack_coverage}),
        "critters": (KNOWN, {"": critter_coverage}),
        "spread": (RUN, {"": diversity}),
        "gap": (RUN, {"": balance}),
        "cost": (RUN, {"": cost}),
        "imagenet": (
            ASKED,
            {"": imagenet.scores, "The distance": frechet_distance, "The four shares": prdc},
        ),
        "inception": (ASKED, {"": inception_scores}),
    }


def page() -> str:
    """Return the whole page. Raises ``ValueError`` where ``evaluate`` writes what is not on it."""
    from ganforge.study.evaluate import evaluate
    from ganforge.training.stopping import OF_MIXTURES, OF_PICTURES, PROBABILITIES, SIGNALS

    known = measures()
    source = inspect.getsource(evaluate)
    written = {*re.findall(r'measures\["(\w+)"\]', source), *re.findall(r'"(\w+)": \("', source)}
    if undecided := written ^ set(known):
        raise ValueError(f"{', '.join(sorted(undecided))}: expected the same in measures() as in evaluate()")
    parts = [HEAD]
    for when, title in WHEN.items():
        parts.append(f"{title}\n")
        for name, (of, functions) in known.items():
            if of == when:
                parts.append(f"### {name}\n\n")
                parts += [
                    f"{f'**{label}**: ' if label else ''}{text(function)}\n" for label, function in functions.items()
                ]
    measured, logged, probable = (
        ", ".join(f"`{name}`" for name in some) for some in ((*OF_PICTURES, *OF_MIXTURES), SIGNALS, PROBABILITIES)
    )
    parts.append(
        "## While a run trains\n\n"
        "`--stop-when NAME:below=…,above=…,patience=…` ends a run early. NAME is measured with each snapshot, as\n"
        f"`evaluate` does: {measured} (the last where modes are known); or it is logged:\n{logged},\n"
        f"a strategy's own number (`STRATEGY/NAME`), and {probable} where logits have a zero of their own.\n"
        "[Reading the curves](../tutorial.md#5-reading-the-curves) says what these mean.\n"
    )
    return "".join(parts).rstrip() + "\n"
