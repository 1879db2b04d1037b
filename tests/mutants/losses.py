"""Faults in the losses."""

from __future__ import annotations

from tests.mutants.fault import Fault

LOSSES = "ganforge/losses.py"


def step(loss: str, strategy: str = "none") -> tuple[str]:
    return (f"tests/test_exact_step.py::test_a_step_is_what_numpy_makes_of_it[{loss}-{strategy}]",)


FAULTS = [
    # ------------------------------------------------------------------ losses
    Fault("cross-entropy-turned-over", "sign", LOSSES, "- labels * logits)", "+ labels * logits)", step("bce")),
    Fault(
        "cross-entropy-of-hard-labels",
        "forgotten",
        LOSSES,
        "- labels * logits)",
        "- ops.round(labels) * logits)",
        step("bce", "label-noise"),
    ),
    Fault(
        "cross-entropy-summed",
        "factor",
        LOSSES,
        "ops.mean(ops.softplus(logits)",
        "ops.sum(ops.softplus(logits)",
        step("bce"),
    ),
    Fault(
        "reals-judged-twice",
        "tensor",
        LOSSES,
        "+ cross_entropy(fake_logits, fake_labels)",
        "+ cross_entropy(real_logits, fake_labels)",
        step("bce"),
    ),
    Fault(
        "squares-not-halved",
        "factor",
        LOSSES,
        "ops.mean(ops.square(fake_logits - fake_labels))) / 2.0",
        "ops.mean(ops.square(fake_logits - fake_labels)))",
        step("least-squares"),
    ),
    Fault(
        "squares-of-the-generator-not-halved",
        "factor",
        LOSSES,
        "ops.mean(ops.square(fake_logits - labels)) / 2.0",
        "ops.mean(ops.square(fake_logits - labels))",
        step("least-squares"),
    ),
    Fault(
        "least-squares-target-of-a-half",
        "constant",
        LOSSES,
        "ops.square(fake_logits - labels)",
        "ops.square(fake_logits - 0.5 * labels)",
        step("least-squares"),
    ),
    Fault(
        "least-squares-of-the-other-labels",
        "tensor",
        LOSSES,
        "ops.square(real_logits - real_labels)",
        "ops.square(real_logits - fake_labels)",
        step("least-squares"),
    ),
    Fault(
        "hinge-margin-of-a-tenth",
        "factor",
        LOSSES,
        "labels * ops.relu(1.0 - logits)",
        "labels * ops.relu(0.1 - logits)",
        step("hinge"),
    ),
    Fault(
        "hinge-of-one-side-turned-over",
        "sign",
        LOSSES,
        "ops.relu(1.0 + logits)",
        "ops.relu(1.0 - logits)",
        step("hinge"),
    ),
    Fault(
        "hinge-without-soft-labels",
        "tensor",
        LOSSES,
        "(1.0 - labels) * ops.relu(1.0 + logits)",
        "ops.floor(1.0 - labels) * ops.relu(1.0 + logits)",
        step("hinge", "label-noise"),
    ),
    Fault(
        "the-critics-generator-turned-over",
        "sign",
        LOSSES,
        "return -ops.mean(fake_logits)",
        "return ops.mean(fake_logits)",
        step("wasserstein"),
    ),
    Fault(
        "a-critic-that-likes-fakes",
        "sign",
        LOSSES,
        "ops.mean((1.0 - 2.0 * fake_labels) * fake_logits)",
        "ops.mean((2.0 * fake_labels - 1.0) * fake_logits)",
        step("wasserstein"),
    ),
    Fault(
        "a-critic-of-labels-alone",
        "factor",
        LOSSES,
        "ops.mean((1.0 - 2.0 * real_labels) * real_logits)",
        "ops.mean((1.0 - 1.5 * real_labels) * real_logits)",
        step("wasserstein"),
    ),
    Fault(
        "a-penalty-centred-at-zero",
        "constant",
        LOSSES,
        "ops.square(norms - 1.0)",
        "ops.square(norms)",
        step("wasserstein"),
    ),
    Fault(
        "one-place-between-for-a-whole-batch",
        "tensor",
        LOSSES,
        "random.uniform((real.shape[0], *(1 for _ in rest)))",
        "random.uniform((1, *(1 for _ in rest)))",
        step("wasserstein"),
    ),
    Fault(
        "another-place-for-each-pixel",
        "tensor",
        LOSSES,
        "random.uniform((real.shape[0], *(1 for _ in rest)))",
        "random.uniform(real.shape)",
        step("wasserstein"),
    ),
    Fault(
        "beyond-the-reals",
        "sign",
        LOSSES,
        "real + t * (fake - real)",
        "real - t * (fake - real)",
        step("wasserstein"),
    ),
    Fault(
        "slopes-by-row",
        "tensor",
        LOSSES,
        "ops.sum(ops.square(slopes), axis=tuple(rest))",
        "ops.sum(ops.square(slopes), axis=tuple(rest[1:]))",
        step("wasserstein"),
    ),
    Fault(
        "a-penalty-without-its-weight",
        "forgotten",
        LOSSES,
        "options.penalty * ops.mean",
        "1.0 * ops.mean",
        step("wasserstein"),
    ),
    # ------------------------------------------------------------------ relativistic
    Fault(
        "fakes-that-should-be-more-real",
        "sign",
        LOSSES,
        "(1.0 - 2.0 * real_labels) * (real_logits - fake_logits)",
        "(2.0 * real_labels - 1.0) * (real_logits - fake_logits)",
        step("relativistic"),
    ),
    Fault(
        "pairs-that-are-never-flipped",
        "forgotten",
        LOSSES,
        "(1.0 - 2.0 * real_labels) * (real_logits - fake_logits)",
        "fake_logits - real_logits",
        step("relativistic", "label-noise"),
    ),
    Fault(
        "a-generator-that-wants-reals-more-real",
        "tensor",
        LOSSES,
        "ops.mean(ops.softplus(real_logits - fake_logits))",
        "ops.mean(ops.softplus(fake_logits - real_logits))",
        step("relativistic"),
    ),
    Fault(
        "a-generator-that-looks-at-fakes-alone",
        "forgotten",
        LOSSES,
        "ops.mean(ops.softplus(real_logits - fake_logits))",
        "ops.mean(ops.softplus(0.0 * real_logits - fake_logits))",
        step("relativistic"),
    ),
]
