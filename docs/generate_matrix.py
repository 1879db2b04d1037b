"""Write the tables of strategies, losses and optimizers in strategies.md: ``python docs/generate_matrix.py``.

What is refused is found by asking for it; a row stands for a strategy whose step ``tests/test_numbers.py`` holds to
NumPy's (or whose change of pictures ``tests/test_augmenting.py`` does), and an optimizer for one that
``tests/test_recipes.py`` holds to its formulas. A test fails when a table is not what this script writes, or when a
strategy, a loss or an optimizer is not in it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PAGE = Path(__file__).with_name("strategies.md")
BEGIN, END = "<!-- written by generate_matrix.py -->\n", "<!-- end -->"

# (strategy, loss, step), any of them None for all: what to know about the pairs that are taken.
NOTES = [
    *(
        (("label-noise", loss, None), "Flips only: `smooth` above 0 is refused, `smooth=0` is allowed.")
        for loss in ("wasserstein", "relativistic")
    ),
    (
        ("label-noise", "relativistic", None),
        "A flipped real label swaps a pair's two logits; the fake's label is not used.",
    ),
    (
        ("auto", "relativistic", None),
        "A flipped real label swaps a pair's two logits; the fake's label is not used.",
    ),
    (("label-noise", "hinge", None), "A soft label mixes the two sides of hinge; the margin stays at one."),
    (
        ("auto", "least-squares", None),
        "D is right about a picture if its logit is on the correct side of 0.5, midway between the targets.",
    ),
    *(
        (("auto", loss, None), "D is right about a pair if the real picture has the higher logit.")
        for loss in ("wasserstein", "relativistic")
    ),
    *(
        (("lecam", loss, None), "This loss gives a logit of 0 no meaning; the penalty does.")
        for loss in ("wasserstein", "relativistic")
    ),
    (
        ("r2", "wasserstein", None),
        "Two conflicting penalties: R2 pulls the slope to 0 at fakes, the loss's own to 1 in between.",
    ),
    *(
        (
            (name, "wasserstein", None),
            "Two conflicting penalties: R1 pulls the slope to 0 at real pictures, the loss's own to 1 in between.",
        )
        for name in ("r1", "auto")
    ),
    *(
        ((name, "wasserstein", None), "The gradient penalty is computed at points between real and fake, plus noise.")
        for name in ("auto", "noise-anneal", "input-noise")
    ),
    *(
        (
            (name, None, "one-stage"),
            "A flipped fake reverses the sign of D's gradient there; G's part is reversed back.",
        )
        for name in ("label-noise", "auto")
    ),
    (
        (None, "bce", "one-stage"),
        "A fake with a logit below about −100 has no effect: D's slope there is 0 in float32.",
    ),
]
# Options that make a pair possible which the defaults do not.
INSTEAD = {("label-noise", loss): {"smooth": 0.0} for loss in ("wasserstein", "relativistic")}
STEPS = ("two-stage", "one-stage")


def optimizers() -> str:
    """Return the table of optimizers: what a strategy may plan of each, found by asking, with each loss and step."""
    from ganforge.engine.plan import BETAS, absent_scalars
    from tests.exact.recipes import scenes
    from tests.exact.small import REGISTRY

    entries = REGISTRY.of("optimizer")
    if undecided := {entry.name for entry in entries} ^ {
        scene.optimizer.partition(":")[0] for scene in scenes().values()
    }:
        raise SystemExit(f"optimizer {', '.join(undecided)}: expected in scenes() of tests/exact/recipes.py")
    lines = ["| | update | rate planned | betas planned |", "|---|---|---|---|"]
    for entry in entries:
        built = entry.value.build(entry.options())
        absent = absent_scalars((built, built), True)
        betas = [beta for beta in BETAS[:2] if beta not in absent]
        names = " and ".join(f"`{name.removeprefix('generator_')}`" for name in betas) or "refused"
        lines.append(f"| `{entry.name}` | right | right | {names} |")
    return "\n".join(lines) + "\n"


def table() -> str:
    """Return the table and its notes."""
    from tests.exact.pairs import ASKED, AUGMENTING, LOSSES
    from tests.exact.small import REGISTRY

    for kind, tested in (("strategy", {*ASKED, *AUGMENTING} - {"none"}), ("loss", set(LOSSES))):
        # What an architecture brings for itself is described there.
        found = {entry.name for entry in REGISTRY.of(kind) if entry.plugin in ("balance", "losses")}
        if undecided := found ^ tested:
            raise SystemExit(f"{kind} {', '.join(undecided)}: expected in ASKED or LOSSES of tests/exact/pairs.py")
    numbers: dict[str, int] = {}
    lines = [
        "| | " + " | ".join(f"{loss}, {step}" for loss in LOSSES for step in STEPS) + " |",
        "|---" * (1 + len(LOSSES) * len(STEPS)) + "|",
    ]
    for name in (*ASKED, *AUGMENTING):
        cells = []
        for loss in LOSSES:
            for step in STEPS:
                if not taken(name, loss, step):
                    cells.append("refused")
                    continue
                known = [
                    text for pair, text in NOTES if all(map(lambda a, b: a in (None, b), pair, (name, loss, step)))
                ]
                marks = [str(numbers.setdefault(text, len(numbers) + 1)) for text in known]
                cells.append("right" + (f" [{', '.join(marks)}]" if marks else ""))
        lines.append(f"| {'no strategy' if name == 'none' else f'`{name}`'} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"{number}. {text}" for text, number in numbers.items())]) + "\n"


def covers(pattern: tuple, pair: tuple) -> bool:
    return all(a in (None, b) for a, b in zip(pattern, pair, strict=True))


def taken(name: str, loss: str, step: str) -> bool:
    """Say whether a run with this strategy, loss and step starts."""
    from ganforge import UsageError
    from ganforge.plugin.types import Progress, RunConfig
    from tests.exact.pairs import CONFIG
    from tests.exact.small import REGISTRY, Small, strategy

    strategies = [strategy(name, **INSTEAD.get((name, loss), {}))] if name != "none" else []
    known = REGISTRY.get("loss", loss).value
    about = {"loss": loss, "loss_options": {}, "soft_labels": known.soft_labels, "compares": known.compares}
    try:
        for one in strategies:
            if hook := getattr(one, "configure_run", None):
                hook(config=RunConfig(*CONFIG, **about))
        Small(loss, strategies, step=step).engine.planner.plan(Progress(0, 10, 0, 1), {})
    except UsageError:
        return False
    return True


def page() -> str:
    """Return the whole page with the table as it should be."""
    text = PAGE.read_text("utf-8")
    tables = iter((table(), optimizers()))
    return re.sub(f"({BEGIN}).*?({END})", lambda m: f"{m[1]}\n{next(tables)}\n{m[2]}", text, flags=re.DOTALL)


if __name__ == "__main__":
    sys.path.insert(0, str(PAGE.parents[1]))
    from ganforge.backend import choose_backend

    choose_backend("torch")
    PAGE.write_text(page(), "utf-8")
