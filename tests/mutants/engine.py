"""Faults in the updates, the loop, the random numbers and the running mean."""

from __future__ import annotations

from tests.mutants.fault import Fault

STEP, DOOR, OBJECTIVE, PENALTIES, CONTEXT, ENGINE, PLAN, EMA, RANDOM = (
    f"ganforge/engine/{name}.py"
    for name in ("step", "door", "objective", "penalties", "context", "engine", "plan", "ema", "randomness")
)
H, B = "tests/test_exact_step.py::", "tests/test_balance.py::"
PLAIN = (H + "test_a_step_is_what_numpy_makes_of_it[bce-none]",)
ONE_STAGE = (H + "test_both_networks_learn_at_once_as_in_numpy",)
NOISE = (H + "test_noise_has_its_strength_wherever_the_discriminator_looks",)
FRESH = (H + "test_each_update_has_latents_and_pictures_of_its_own",)
DRAWN = (H + "test_what_hooks_draw_is_what_they_ask_for",)
MULTIPLIERS = (B + "test_multipliers_multiply_and_reach_the_vector",)
ACCURATE = (H + "test_the_discriminator_is_right_on_either_side_of_its_boundary",)

FAULTS = [
    # ------------------------------------------------------------------ the updates
    Fault(
        "noise-forgotten-in-the-generators-step",
        "forgotten",
        STEP,
        'fake = self.door.discriminate(images, False, context, "generator", measured)',
        "fake = self.door._judge(images, context)",
        NOISE,
    ),
    Fault(
        "noise-on-reals-alone",
        "forgotten",
        DOOR,
        'fakes = self.transform_images(fakes, False, context, "discriminator", measured)',
        "fakes = fakes + 0.0",
        NOISE,
    ),
    Fault(
        "the-same-noise-on-reals-and-fakes",
        "forgotten",
        DOOR,
        'real, context, f"{stream}/{real}", measured)',
        'real, context, f"{stream}", measured)',
        NOISE,
    ),
    Fault(
        "the-same-noise-in-both-updates",
        "forgotten",
        DOOR,
        'real, context, f"{stream}/{real}", measured)',
        'real, context, f"{real}", measured)',
        NOISE,
    ),
    Fault(
        "reals-told-to-be-fakes",
        "tensor",
        DOOR,
        'ops.ones((count, 1), "float32") if real',
        'ops.ones((count, 1), "float32") if not real',
        PLAIN,
    ),
    Fault(
        "real-and-fake-logits-swapped",
        "tensor",
        DOOR,
        "of_real, of_fakes, calls = both.rows(",
        "of_fakes, of_real, calls = both.rows(",
        PLAIN,
    ),
    Fault(
        "the-generator-wants-to-be-caught",
        "sign",
        OBJECTIVE,
        "labels=ops.ones((fake",
        "labels=ops.zeros((fake",
        PLAIN,
    ),
    Fault(
        "the-generator-climbs",
        "sign",
        STEP,
        "gradients, own = backward(at_fakes)",
        "gradients, own = backward(-at_fakes)",
        PLAIN,
    ),
    Fault(
        "the-generator-learns-from-the-old-discriminator",
        "order",
        STEP,
        "        metrics = self._learn_discriminator(as_images(batch.images), ops.stop_gradient(fakes), context)\n"
        "        metrics = {**metrics, **self._learn_generator(fakes, backward, context, batch)}",
        "        metrics = self._learn_generator(fakes, backward, context, batch)\n"
        "        more = self._learn_discriminator(as_images(batch.images), ops.stop_gradient(fakes), context)\n"
        "        metrics = {**metrics, **more}",
        PLAIN,
    ),
    Fault(
        "the-discriminator-at-the-generators-rate",
        "tensor",
        ENGINE,
        'judged = player("discriminator"',
        'judged = player("generator"',
        (H + "test_a_step_is_what_numpy_makes_of_it[bce-unequal-lr]",),
    ),
    Fault(
        "the-generator-at-the-discriminators-rate",
        "tensor",
        ENGINE,
        'made = player("generator"',
        'made = player("discriminator"',
        (H + "test_a_step_is_what_numpy_makes_of_it[bce-unequal-lr]",),
    ),
    Fault(
        "penalties-logged-and-not-added",
        "forgotten",
        STEP,
        "return sum(added.values(), loss), (metrics",
        "return loss + 0.0 * sum(added.values(), loss), (metrics",
        (H + "test_a_step_is_what_numpy_makes_of_it[bce-r1]",),
    ),
    Fault(
        "penalties-subtracted",
        "sign",
        STEP,
        "return sum(added.values(), loss), (metrics",
        "return loss - sum(added.values(), 0.0 * loss), (metrics",
        (H + "test_a_step_is_what_numpy_makes_of_it[bce-r1]",),
    ),
    Fault(
        "penalties-at-fakes-for-reals",
        "tensor",
        PENALTIES,
        '"real": real,\n            "fake": fakes,',
        '"real": fakes,\n            "fake": real,',
        (H + "test_a_step_is_what_numpy_makes_of_it[bce-r1]",),
    ),
    Fault(
        "d-real-of-the-fakes",
        "tensor",
        OBJECTIVE,
        '"d_real": real.logits',
        '"d_real": fake.logits',
        PLAIN,
    ),
    Fault(
        "right-where-it-is-wrong",
        "sign",
        OBJECTIVE,
        "ops.cast(fake.logits < self.boundary",
        "ops.cast(fake.logits > self.boundary",
        ACCURATE,
    ),
    Fault(
        "pairs-the-other-way",
        "sign",
        OBJECTIVE,
        "margin = real.logits - fake.logits",
        "margin = fake.logits - real.logits",
        ACCURATE,
    ),
    Fault("pictures-by-128", "factor", STEP, "/ 127.5 - 1.0", "/ 128.0 - 1.0", PLAIN),
    Fault(
        "one-stage-turned-over",
        "tensor",
        STEP,
        "ops.reshape(b / a,",
        "ops.reshape(a / b,",
        ONE_STAGE,
    ),
    Fault(
        "one-stage-with-the-discriminators-sign",
        "sign",
        STEP,
        "ops.stop_gradient(ratio) * at_fakes",
        "ops.abs(ops.stop_gradient(ratio)) * at_fakes",
        ONE_STAGE,
    ),
    Fault(
        "classes-drawn-by-the-others-frequency",
        "tensor",
        STEP,
        "np.cumsum(self.frequencies)[None, :-1]",
        "np.cumsum(self.frequencies[::-1])[None, :-1]",
        ("tests/test_conditional.py::test_extra_fakes_are_of_each_class_as_often_as_the_pictures",),
    ),
    # ------------------------------------------------------------------ the loop
    Fault(
        "extra-generator-updates-on-the-same-latents",
        "tensor",
        ENGINE,
        "step_key(self.seed, step, 2 * k + 1)",
        "step_key(self.seed, step, 0)",
        FRESH,
    ),
    Fault(
        "extra-discriminator-updates-on-the-same-latents",
        "tensor",
        ENGINE,
        "vector, step_key(self.seed, step, 2 * k))",
        "vector, step_key(self.seed, step, 0))",
        FRESH,
    ),
    Fault(
        "extra-updates-on-the-steps-pictures",
        "tensor",
        ENGINE,
        "extra = batches.extra(step, k)",
        "extra = batch",
        FRESH,
    ),
    Fault(
        "an-update-too-many",
        "off by one",
        ENGINE,
        'range(1, plan.counts["generator_steps"])',
        'range(0, plan.counts["generator_steps"])',
        (H + "test_a_step_is_what_numpy_makes_of_it[bce-generator-steps]", *FRESH),
    ),
    Fault(
        "the-two-counts-exchanged",
        "tensor",
        ENGINE,
        'range(1, plan.counts["discriminator_steps"])',
        'range(1, plan.counts["generator_steps"])',
        FRESH,
    ),
    Fault("multipliers-that-replace", "factor", PLAN, "rates[name] *= number", "rates[name] = number", MULTIPLIERS),
    Fault(
        "rates-in-the-other-order",
        "tensor",
        PLAN,
        "list(plan.rates.values())",
        "list(plan.rates.values())[::-1]",
        MULTIPLIERS,
    ),
    Fault(
        "controls-of-the-neighbour",
        "off by one",
        PLAN,
        "self.layout = {key: len(RATES) + i for",
        "self.layout = {key: len(RATES) + (i + 1) % len(keys) for",
        (B + "test_each_strategy_sees_its_own_scalars_alone",),
    ),
    # ------------------------------------------------------------------ the running mean, random numbers
    Fault("a-mean-of-the-moment-alone", "factor", EMA, "move = 1.0 - ops.minimum", "move = ops.minimum", PLAIN),
    Fault(
        "untrained-weights-remembered",
        "forgotten",
        EMA,
        "ops.minimum(self.decay, (1.0 + done) / (10.0 + done))",
        "self.decay + 0.0 * done",
        PLAIN,
    ),
    Fault("a-mean-that-runs-away", "sign", EMA, '"float32")) - mean))', '"float32")) + mean))', PLAIN),
    Fault(
        "flips-where-there-should-be-none",
        "sign",
        RANDOM,
        '"float32") < probability',
        '"float32") > probability',
        DRAWN,
    ),
    Fault(
        "uniform-from-nothing",
        "factor",
        RANDOM,
        "return minval + (maxval - minval) *",
        "return minval + maxval *",
        DRAWN,
    ),
    Fault("two-draws-alike", "forgotten", RANDOM, "self._calls += 1", "self._calls += 0", DRAWN),
    Fault(
        "keys-without-the-step",
        "forgotten",
        RANDOM,
        "SeedSequence([seed, step, update])",
        "SeedSequence([seed, update])",
        (B + "test_keys_differ_by_seed_step_and_update",),
    ),
    Fault(
        "samples-that-are-the-grids",
        "forgotten",
        RANDOM,
        "SeedSequence([seed, zlib.crc32(stream.encode())])",
        "SeedSequence([seed])",
        (B + "test_fixed_latents_are_standard_normal_and_depend_on_seed_and_stream",),
    ),
]
