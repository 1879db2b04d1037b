"""Faults in the strategies that balance the two networks."""

from __future__ import annotations

from tests.mutants.fault import Fault

AUTO, STEPS, NOISE, LABELS, ANNEAL, R1, R2, GAMMA, LECAM, LOOKAHEAD, DECAY, SCHEDULES, STRONGER, UNEQUAL = (
    f"ganforge/balance/{name}.py"
    for name in (
        "auto",
        "generator_steps",
        "input_noise",
        "label_noise",
        "noise_anneal",
        "r1",
        "r2",
        "gradient_penalty",
        "lecam",
        "lookahead",
        "lr_decay",
        "schedules",
        "stronger_discriminator",
        "unequal_lr",
    )
)
H, B, R = "tests/test_exact_step.py::", "tests/test_balance.py::", "tests/test_recipes.py::"
FEATURES = "test_steps_are_what_their_formulas_say[features, jacobian, lookahead, optimistic]"


def step(loss: str, strategy: str = "none") -> tuple[str]:
    return (f"{H}test_a_step_is_what_numpy_makes_of_it[{loss}-{strategy}]",)


FORMS = (B + "test_schedules_are_their_closed_forms",)
LAW = (B + "test_auto_follows_its_law",)
STRENGTH = (H + "test_noise_has_its_strength_wherever_the_discriminator_looks",)
FLIPS = (H + "test_labels_are_flipped_picture_by_picture",)
WIDER = (B + "test_a_stronger_discriminator_is_wider_and_deeper_by_the_numbers",)

FAULTS = [
    Fault(
        "opacity-as-a-colour",
        "condition",
        "ganforge/balance/augmenting.py",
        "if images.shape[-1] != 4:",
        "if True:",
        (
            "tests/test_shapes.py::test_augmentations_change_the_colours_as_without_transparency_and_leave_the_opacity",
        ),
    ),
    # ------------------------------------------------------------------ r1
    Fault("gamma-for-half-of-it", "factor", GAMMA, "ops.mean(squares) / 2.0", "ops.mean(squares)", step("bce", "r1")),
    Fault(
        "r1-at-fakes",
        "tensor",
        R1,
        "def discriminator_penalty(self, discriminator: Any, real: Any, controls: Any, gradient: Any) -> Any:\n"
        '        return controls["gamma"] * half_square(gradient(discriminator, real))',
        "def discriminator_penalty(self, discriminator: Any, fake: Any, controls: Any, gradient: Any) -> Any:\n"
        '        return controls["gamma"] * half_square(gradient(discriminator, fake))',
        step("bce", "r1"),
    ),
    Fault(
        "r1-of-mean-squares",
        "factor",
        GAMMA,
        "ops.sum(ops.square(slopes)",
        "ops.mean(ops.square(slopes)",
        step("bce", "r1"),
    ),
    Fault(
        "r2-at-reals",
        "tensor",
        R2,
        "def discriminator_penalty(self, discriminator: Any, fake: Any, controls: Any, gradient: Any) -> Any:",
        "def discriminator_penalty(self, discriminator: Any, real: Any, controls: Any, gradient: Any) -> Any:\n"
        "        fake = real\n",
        step("relativistic", "r2"),
    ),
    Fault(
        "gamma-from-its-end",
        "tensor",
        GAMMA,
        "self.options.gamma, self.options.end",
        "self.options.end, self.options.gamma",
        (B + "test_gamma_goes_to_its_end_in_a_straight_line_and_stays_where_none_is_given",),
    ),
    Fault("r1-that-is-never-lazy", "forgotten", GAMMA, "lazy = True", "lazy = False", step("bce", "r1")),
    # ------------------------------------------------------------------ lecam, lookahead, lr-decay
    Fault(
        "held-to-its-own-side",
        "tensor",
        LECAM,
        'ops.square(real_logits - state["fake"])',
        'ops.square(real_logits - state["real"])',
        step("relativistic", "lecam"),
    ),
    Fault(
        "means-that-forget",
        "factor",
        LECAM,
        'kept * state["real"] + (1.0 - kept)',
        '(1.0 - kept) * state["real"] + kept',
        step("relativistic", "lecam"),
    ),
    Fault(
        "held-to-nothing-from-the-start",
        "forgotten",
        LECAM,
        'controls["weight"] * state["begun"] * off',
        'controls["weight"] * off',
        (R + "test_steps_are_what_their_formulas_say[relativistic, r1, r2, lecam]", step("relativistic", "lecam")[0]),
    ),
    Fault(
        "lecam-without-its-warm-up",
        "off by one",
        LECAM,
        "progress.fraction > self.options.warmup",
        "progress.fraction >= self.options.warmup",
        (B + "test_lecam_begins_after_its_warm_up",),
    ),
    Fault(
        "the-other-part-of-the-way-back",
        "factor",
        LOOKAHEAD,
        "before + self.options.alpha * (now - before)",
        "now + self.options.alpha * (before - now)",
        step("bce", "lookahead"),
    ),
    Fault(
        "a-look-back-a-step-too-late",
        "off by one",
        LOOKAHEAD,
        "ops.equal(steps, 0)",
        "ops.equal(steps, 1)",
        (R + FEATURES,),
    ),
    Fault(
        "slow-weights-that-stay",
        "forgotten",
        LOOKAHEAD,
        "[ops.where(looks_back, new, before) for new, before in zip(moved, slow)]",
        "[before for new, before in zip(moved, slow)]",
        (R + FEATURES,),
    ),
    Fault(
        "a-warm-up-of-rates-that-fall",
        "factor",
        DECAY,
        "(progress.step + 1) / (o.warmup * progress.steps)",
        "(progress.step + 1) / progress.steps",
        (B + "test_rates_warm_up_hold_and_fall",),
    ),
    Fault(
        "rates-that-fall-at-once",
        "forgotten",
        DECAY,
        "o.end, o.schedule, o.hold)",
        "o.end, o.schedule)",
        (B + "test_rates_warm_up_hold_and_fall",),
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
    Fault(
        "auto-r1-that-stays",
        "forgotten",
        AUTO,
        "anneal(progress.fraction, o.gamma, LEFT * o.gamma)",
        "anneal(progress.fraction, o.gamma, o.gamma)",
        LAW,
    ),
    Fault(
        "auto-r1-from-nothing",
        "sign",
        AUTO,
        "anneal(progress.fraction, o.gamma, LEFT * o.gamma)",
        "anneal(progress.fraction, LEFT * o.gamma, o.gamma)",
        LAW,
    ),
]
