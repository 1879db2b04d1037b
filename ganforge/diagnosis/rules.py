"""What is wrong with a run, in words: rules over its log lines and grids, each with its threshold.

Every rule is a function of ``Evidence`` that returns a ``Finding`` or None. It looks at the last ``WINDOW``, a
fraction, of the log lines, and at least ``LEAST`` of them; with fewer lines, the rules on losses find nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ganforge.diagnosis.advice import (
    adding,
    faster_d,
    learning_rate,
    slower,
    without,
)
from ganforge.diagnosis.evidence import LEAST, Evidence, Finding
from ganforge.metrics.balance import swing
from ganforge.metrics.columns import PROBABILITIES, column, first_null, judged_in_pairs

# The thresholds, all in one place; docs/study.md says where they come from.
SURE_REAL, SURE_FAKE, SURE_ACCURACY = 0.93, 0.07, 0.97  # D has won
FOOLED = 0.15  # G has won: D(fake) this far above D(real), or above 1 minus this
BLIND_GAP, BLIND_ACCURACY = 0.04, 0.535  # D cannot tell real from fake
STRONG_NOISE, MANY_FLIPS, STRONG_R1 = 0.3, 0.3, 50.0  # possible explanations
SWING_FAKE = 0.2  # standard deviation of D(fake) around its running mean
EXPLODING, GROWTH, HUGE = 25.0, 4.0, 500.0  # a loss so large, and so much larger than before; or simply huge
COLLAPSED_MEAN, COLLAPSED_NEAREST = 0.3, 0.2  # fractions of the training pictures' own spread
GROWING = 1.1  # no collapse while the spread grows by this factor from one grid to the next
STILL = 0.5  # levels of 255 from one grid to the next
COPIES, COPIES_OVER_REAL = 0.1, 3.0  # share of copies, and times that of the training pictures
DISTINCT_LOSSES = ("bce", "hinge")  # those whose logits separate real from fake at 0


def diagnose(evidence: Evidence) -> list[Finding]:
    """Return what is wrong with a run, most serious first; an empty list if nothing is."""
    found: list[Finding] = []
    for rule in RULES:
        # One state may fit several names; the most serious is enough.
        if rule.applies(evidence) and (finding := rule.look(evidence)):
            found.append(finding)
            if finding.kind in FINAL:
                break
    return found


# ------------------------------------------------------------------ the rules, most serious first


def _diverged(e: Evidence) -> Finding | None:
    bad = first_null(e.lines, ("d_loss", "g_loss", "d_real", "d_real_logit"))
    if bad is None:
        return None
    return Finding(
        "diverged",
        "Training has diverged",
        "a loss is no longer a finite number, so the updated weights and their pictures are useless.",
        f"first at step {e.lines[bad]['step']:,}",
        slower(e, 0.25),
    )


def _diverging(e: Evidence) -> Finding | None:
    for name in ("d_loss", "g_loss"):
        values = np.abs(e.recent(name))
        earlier = np.abs(column(e.lines, name))[: len(e.lines) - len(values)]
        earlier = earlier[np.isfinite(earlier)][-len(values) :]
        if len(values) < LEAST or len(earlier) < LEAST:
            continue
        now, before = float(np.median(values[-LEAST:])), float(np.median(earlier))
        if now > HUGE or (now > EXPLODING and now > GROWTH * max(before, 1e-3)):
            return Finding(
                "diverging",
                "A loss is growing without bound",
                "logits that keep growing eventually overflow to nan, and nothing limits the discriminator.",
                f"{_label(name)} {now:.3g}, {before:.3g} before",
                adding(e, "r1:gamma=1") if not _gamma(e) else slower(e, 0.25),
            )
    return None


def _discriminator_wins(e: Evidence) -> Finding | None:
    real, fake, accuracy = e.mean("d_real"), e.mean("d_fake"), e.mean("d_accuracy")
    sure = (real > SURE_REAL and fake < SURE_FAKE) or e.loss == "hinge"
    if e.too_early or e.loss not in DISTINCT_LOSSES or not (sure and accuracy > SURE_ACCURACY):
        return None
    return Finding(
        "discriminator-wins",
        "The discriminator has won",
        "it almost always tells real from fake, so its output for a fake hardly depends on the picture, and the "
        "generator's gradient carries little information.",
        f"D(real) {real:.2f}, D(fake) {fake:.2f}, D accuracy {accuracy:.0%}, generator loss {e.mean('g_loss'):.2f}",
        adding(e, "noise-anneal:start=0.2") if not _noise(e) else adding(e, "unequal-lr:discriminator=0.5"),
    )


def _generator_wins(e: Evidence) -> Finding | None:
    real, fake, accuracy = e.mean("d_real"), e.mean("d_fake"), e.mean("d_accuracy")
    if e.too_early or e.loss not in DISTINCT_LOSSES:
        return None
    if not (fake > real + FOOLED or fake > 1 - FOOLED) or _hindered(e):
        return None
    return Finding(
        "generator-wins",
        "The generator has won",
        "the discriminator takes fakes for real pictures, so it can no longer teach the generator anything.",
        f"D(real) {real:.2f}, D(fake) {fake:.2f}, D accuracy {accuracy:.0%}",
        adding(e, "unequal-lr:discriminator=2"),
    )


def _hindered(e: Evidence) -> Finding | None:
    """A strategy leaves the discriminator guessing, or worse."""
    real, fake, accuracy = e.mean("d_real"), e.mean("d_fake"), e.mean("d_accuracy")
    if e.too_early or e.loss not in DISTINCT_LOSSES or not accuracy < BLIND_ACCURACY:
        return None
    numbers = f"D(real) {real:.2f}, D(fake) {fake:.2f}, D accuracy {accuracy:.0%}"
    sigma, flip, gamma = _noise(e), e.option("label-noise", "flip"), _gamma(e)
    if sigma >= STRONG_NOISE:
        return Finding(
            "noise-too-strong",
            "The noise hides the pictures from the discriminator",
            "real pictures and fakes are mostly noise, so it guesses; convolutions, which see few pixels at a time, "
            "are affected sooner than dense layers.",
            f"noise {sigma:.2f}, {numbers}",
            without(e, "input-noise", "noise-anneal") | adding(e, f"noise-anneal:start={sigma / 3:.2g}"),
        )
    if flip >= MANY_FLIPS:
        return Finding(
            "labels-too-noisy",
            "Too many flipped labels",
            "the more labels are flipped, the less they say about the pictures; at one half, D can only guess.",
            f"flipped {flip:.0%}, {numbers}",
            adding(e, "label-noise:flip=0.05"),
        )
    if gamma >= STRONG_R1:
        return Finding(
            "penalty-too-strong",
            "The gradient penalty keeps the discriminator flat",
            "a discriminator whose output is nearly the same for all pictures gives the generator no direction.",
            f"R1 gamma {gamma:g}, {numbers}",
            adding(e, f"r1:gamma={gamma / 50:.2g}"),
        )
    return None


def _gamma(e: Evidence) -> float:
    """Return the gamma of R1, 0 if it is not active; before 0.2 it was called weight."""
    return e.option("r1", "gamma") or e.option("r1", "weight")


def _blind(e: Evidence) -> Finding | None:
    real, fake, accuracy = e.mean("d_real"), e.mean("d_fake"), e.mean("d_accuracy")
    if e.too_early or e.loss not in DISTINCT_LOSSES or _hindered(e):
        return None
    if not (abs(real - fake) < BLIND_GAP and accuracy < BLIND_ACCURACY):
        return None
    return Finding(
        "discriminator-blind",
        "The discriminator guesses",
        "its accuracy is no better than chance; unless the pictures are already perfect, it is too weak or too slow.",
        f"D(real) {real:.2f}, D(fake) {fake:.2f}, D accuracy {accuracy:.0%}",
        adding(e, "stronger-discriminator") if "fcgan" in e.manifest["config"]["arch"] else faster_d(e),
    )


def _oscillation(e: Evidence) -> Finding | None:
    values = e.recent("d_fake")
    if len(values) < 2 * LEAST or e.loss not in DISTINCT_LOSSES:
        return None
    deviation = swing(values)
    if deviation < SWING_FAKE:
        return None
    low, high = np.percentile(values, [5, 95])
    return Finding(
        "oscillation",
        "The two networks chase each other",
        "each undoes the other's progress: the generator jumps to whatever fools the current discriminator, which "
        "then learns to reject exactly that.",
        f"D(fake) swings from {low:.2f} to {high:.2f}, standard deviation {deviation:.2f} around its running mean",
        adding(e, "r1:gamma=1") if not _gamma(e) else slower(e, 0.5),
    )


EARLIEST_COLLAPSE = 500


def _collapse(e: Evidence) -> Finding | None:
    real = (e.manifest.get("data") or {}).get("spread")
    trained = [grid for grid in e.grids if grid["epoch"] > 0]
    # A small DCGAN's pictures can be alike at 320 steps and differ at 640.
    if not real or len(trained) < 2 or e.manifest["progress"]["step"] < EARLIEST_COLLAPSE:
        return None
    last = trained[-1]
    # All generators start with one picture; while they learn, the spread grows.
    if last["mean"] > GROWING * trained[-2]["mean"] or last["nearest"] > GROWING * trained[-2]["nearest"]:
        return None
    mean, nearest = last["mean"] / max(real["mean"], 1e-6), last["nearest"] / max(real["nearest"], 1e-6)
    if not (mean < COLLAPSED_MEAN or nearest < COLLAPSED_NEAREST):
        return None
    one = mean < COLLAPSED_MEAN
    return Finding(
        "mode-collapse",
        "The generator makes the same picture again and again" if one else "The generator repeats a few pictures",
        "one picture that fools the current discriminator is enough for a low loss, so the loss looks normal.",
        f"pictures of a grid differ {mean:.0%} as much as training pictures do, nearest pairs {nearest:.0%} as much",
        adding(e, "label-noise:smooth=0", "noise-anneal") if not e.manifest.get("strategies") else slower(e, 0.5),
    )


def _still(e: Evidence) -> Finding | None:
    moves = [grid["moved"] for grid in e.grids if "moved" in grid]
    if len(moves) < 2 or e.manifest["progress"]["step"] < 100 or max(moves[-2:]) >= STILL:
        return None
    rates = column(e.lines, "generator_lr")
    rates = rates[np.isfinite(rates)]
    if len(rates) and rates[-1] < rates.max() / 2:  # a strategy lowers it on purpose
        return None
    return Finding(
        "standing-still",
        "The pictures have stopped changing",
        "the generator's updates are too small to see: its learning rate is too low, or its gradient has vanished.",
        f"from one grid to the next, a pixel changes by {max(moves[-2:]):.2f} of 255 levels on average",
        {"learning_rate": learning_rate(e) * 10},
    )


def _memorising(e: Evidence) -> Finding | None:
    copies = (e.evaluation or {}).get("memorising")
    if not copies:
        return None
    if copies["share"] < COPIES or copies["share"] < COPIES_OVER_REAL * copies["real_share"]:
        return None
    return Finding(
        "memorising",
        "The generator copies training pictures",
        "with few pictures the discriminator memorises them, and the surest way to fool it is to copy them.",
        f"{copies['share']:.0%} of the pictures are copies (among the training pictures themselves: "
        f"{copies['real_share']:.0%}), {e.manifest['data']['count']:,} training pictures",
        adding(e, "noise-anneal:start=0.2,end=0.05"),
    )


@dataclass(frozen=True)
class Rule:
    """A rule: its function, the kinds of its findings, and the columns it needs."""

    look: Callable[[Evidence], Finding | None]
    kinds: tuple[str, ...]
    needs: tuple[str, ...] = ()

    def applies(self, evidence: Evidence) -> bool:
        """Say whether the run logs the columns: there are no probabilities if a logit of 0 has no meaning."""
        return all(evidence.logs(name) for name in self.needs)


# The most serious first.
RULES = (
    Rule(_diverged, ("diverged",)),
    Rule(_diverging, ("diverging",)),
    Rule(_discriminator_wins, ("discriminator-wins",), PROBABILITIES),
    Rule(_hindered, ("noise-too-strong", "labels-too-noisy", "penalty-too-strong"), PROBABILITIES),
    Rule(_generator_wins, ("generator-wins",), PROBABILITIES),
    Rule(_blind, ("discriminator-blind",), PROBABILITIES),
    Rule(_oscillation, ("oscillation",), PROBABILITIES),
    Rule(_collapse, ("mode-collapse",)),
    Rule(_still, ("standing-still",)),
    Rule(_memorising, ("memorising",)),
)
FINAL = ("diverged",)
KINDS = tuple(kind for rule in RULES for kind in rule.kinds)


def not_looked_at(evidence: Evidence) -> tuple[str, ...]:
    """Return the kinds that no rule can find in this run, since a logit of 0 has no meaning in it."""
    in_pairs = judged_in_pairs(evidence.lines)
    return tuple(kind for rule in RULES if in_pairs and not rule.applies(evidence) for kind in rule.kinds)


def _noise(e: Evidence) -> float:
    """Return the recent standard deviation of the noise on D's input, whichever strategy adds it."""
    names = [name for name in (e.lines[-1] if e.lines else {}) if name.endswith("/sigma")]
    return max((value for name in names if math.isfinite(value := e.mean(name))), default=0.0)


def _label(name: str) -> str:
    return {"d_loss": "discriminator loss", "g_loss": "generator loss"}[name]
