"""Faults in the strategies that balance the two networks."""

from __future__ import annotations

from tests.mutants.fault import Fault

AUTO, STEPS, NOISE, LABELS, ANNEAL, R1, SCHEDULES, STRONGER, UNEQUAL = (
    f"ganforge/balance/{name}.py"
    for name in (
        "auto",
        "generator_steps",
        "input_noise",
        "label_noise",
        "noise_anneal",
        "r1",
        "schedules",
        "stronger_discriminator",
        "unequal_lr",
    )
)
H, B = "tests/test_exact_step.py::", "tests/test_balance.py::"


def step(loss: str, strategy: str = "none") -> tuple[str]:
    return (f"{H}test_a_step_is_what_numpy_makes_of_it[{loss}-{strategy}]",)


FORMS = (B + "test_schedules_are_their_closed_forms",)
LAW = (B + "test_auto_follows_its_law",)
STRENGTH = (H + "test_noise_has_its_strength_wherever_the_discriminator_looks",)
FLIPS = (H + "test_labels_are_flipped_picture_by_picture",)
WIDER = (B + "test_a_stronger_discriminator_is_wider_and_deeper_by_the_numbers",)

FAULTS = [
    # ------------------------------------------------------------------ r1
    Fault("gamma-for-half-of-it", "factor", R1, 'controls["weight"] / 2.0', 'controls["weight"]', step("bce", "r1")),
    Fault(
        "r1-at-fakes",
        "tensor",
        R1,
        "def discriminator_penalty(self, discriminator: Any, real: Any, controls: Any, gradient: Any) -> Any:\n"
        "        squares = ops.sum(ops.square(gradient(discriminator, real)), axis=(1, 2, 3))",
        "def discriminator_penalty(self, discriminator: Any, fake: Any, controls: Any, gradient: Any) -> Any:\n"
        "        squares = ops.sum(ops.square(gradient(discriminator, fake)), axis=(1, 2, 3))",
        step("bce", "r1"),
    ),
    Fault(
        "r1-of-mean-squares",
        "factor",
        R1,
        "ops.sum(ops.square(gradient",
        "ops.mean(ops.square(gradient",
        step("bce", "r1"),
    ),
    # ------------------------------------------------------------------ noise and labels
    Fault(
        "one-noise-for-each-picture",
        "tensor",
        NOISE,
        "random.normal(ops.shape(images))",
        "random.normal((ops.shape(images)[0], 1, 1, 1))",
        STRENGTH,
    ),
    Fault(
        "noise-of-the-square",
        "factor",
        NOISE,
        'controls["sigma"] * random.normal',
        'controls["sigma"] ** 2 * random.normal',
        STRENGTH,
    ),
    Fault(
        "noise-of-one-sign",
        "sign",
        NOISE,
        'controls["sigma"] * random.normal(ops.shape(images))',
        'controls["sigma"] * ops.abs(random.normal(ops.shape(images)))',
        STRENGTH,
    ),
    Fault(
        "annealed-upwards",
        "tensor",
        ANNEAL,
        "o.start, o.end, o.schedule",
        "o.end, o.start, o.schedule",
        (B + "test_noise_anneal_plans_its_schedule",),
    ),
    Fault(
        "annealed-without-its-hold",
        "forgotten",
        ANNEAL,
        "o.schedule, o.hold)",
        "o.schedule)",
        (B + "test_noise_anneal_plans_its_schedule",),
    ),
    Fault(
        "smoothing-on-fakes-as-well",
        "condition",
        LABELS,
        '        if real:\n            labels = labels * (1.0 - controls["smooth"])',
        '        labels = labels * (1.0 - controls["smooth"]) + (not real) * controls["smooth"]',
        FLIPS,
    ),
    Fault(
        "one-flip-for-a-whole-batch",
        "tensor",
        LABELS,
        "random.bernoulli(ops.shape(labels), controls",
        "random.bernoulli((1, 1), controls",
        FLIPS,
    ),
    Fault(
        "flipped-beyond-the-labels",
        "factor",
        LABELS,
        "flipped * (1.0 - 2.0 * labels)",
        "flipped * (1.0 - 3.0 * labels)",
        FLIPS,
    ),
    Fault(
        "labels-that-fade-in",
        "sign",
        LABELS,
        "1.0 - progress.fraction if",
        "progress.fraction if",
        (B + "test_label_noise_fades_linearly_and_only_when_asked",),
    ),
    # ------------------------------------------------------------------ schedules
    Fault(
        "a-cosine-inverted",
        "sign",
        SCHEDULES,
        "(1.0 + math.cos(math.pi * t))",
        "(1.0 - math.cos(math.pi * t))",
        FORMS,
    ),
    Fault(
        "a-cosine-of-twice-the-way", "factor", SCHEDULES, "math.cos(math.pi * t)", "math.cos(2 * math.pi * t)", FORMS
    ),
    Fault(
        "a-hold-that-is-not-made-up-for",
        "factor",
        SCHEDULES,
        "(fraction - hold) / (1.0 - hold)",
        "fraction - hold",
        FORMS,
    ),
    Fault(
        "a-power-from-the-end",
        "tensor",
        SCHEDULES,
        "return float(start * (max(end, start / 100.0) / start) ** t)",
        "return float(end * (start / max(end, start / 100.0)) ** t)",
        FORMS,
    ),
    Fault(
        "linear-from-the-end",
        "sign",
        SCHEDULES,
        "return start + (end - start) * t",
        "return end + (start - end) * t",
        FORMS,
    ),
    # ------------------------------------------------------------------ rates, counts, networks
    Fault(
        "unequal-the-other-way",
        "tensor",
        UNEQUAL,
        '{"generator_lr": self.options.generator, "discriminator_lr": self.options.discriminator}',
        '{"generator_lr": self.options.discriminator, "discriminator_lr": self.options.generator}',
        (B + "test_multipliers_multiply_and_reach_the_vector",),
    ),
    Fault(
        "steps-of-the-other-network",
        "tensor",
        STEPS,
        '{"generator_steps": self.options.generator, "discriminator_steps": self.options.discriminator}',
        '{"generator_steps": self.options.discriminator, "discriminator_steps": self.options.generator}',
        (B + "test_step_counts_reach_the_plan",),
    ),
    Fault("wider-by-addition", "factor", STRONGER, "round(units * o.width)", "round(units + o.width)", WIDER),
    Fault(
        "deeper-at-the-end",
        "tensor",
        STRONGER,
        "hidden[:1] * o.depth + hidden",
        "hidden + hidden[-1:] * o.depth",
        WIDER,
    ),
    Fault("three-layers-too-few", "off by one", STRONGER, "or 3) + o.depth", "or 2) + o.depth", WIDER),
    # ------------------------------------------------------------------ auto
    Fault(
        "auto-helps-the-winner",
        "sign",
        AUTO,
        "error = self.accuracy - self.options.target",
        "error = self.options.target - self.accuracy",
        LAW,
    ),
    Fault("auto-without-elapsed-steps", "factor", AUTO, "* passed / self.options.lag", "/ self.options.lag", LAW),
    Fault(
        "auto-hears-the-last-reading-alone", "factor", AUTO, "before + NEW * (reading[0] - before)", "reading[0]", LAW
    ),
    Fault("auto-divides-from-the-start", "factor", AUTO, "max(0.0, 2 * hinder - 1)", "hinder", LAW),
    Fault(
        "auto-cools-the-generator-alone",
        "forgotten",
        AUTO,
        '"discriminator_lr": ratio * warm',
        '"discriminator_lr": ratio',
        LAW,
    ),
    Fault(
        "auto-noise-that-stays",
        "forgotten",
        AUTO,
        '"sigma": o.noise * hinder * noisy',
        '"sigma": o.noise * hinder',
        LAW,
    ),
    Fault(
        "auto-flips-that-stay", "forgotten", AUTO, '"flip": o.flip * hinder * noisy', '"flip": o.flip * hinder', LAW
    ),
    Fault(
        "auto-noise-when-it-spurs",
        "sign",
        AUTO,
        "max(0.0, self.help), max(0.0, -self.help)",
        "abs(self.help), max(0.0, -self.help)",
        LAW,
    ),
]
