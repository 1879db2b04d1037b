"""Faults in the updates, the loop, the random numbers and the running mean."""

from __future__ import annotations

from tests.mutants.fault import Fault

STEP, DOOR, OBJECTIVE, PLAYER, CONTEXT, ENGINE, PLAN, EMA, RANDOM = (
    f"ganforge/engine/{name}.py"
    for name in ("step", "door", "objective", "player", "context", "engine", "plan", "ema", "randomness")
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
        'self.objective.generator(self.door.discriminate(images, False, context, "generator"))',
        "self.objective.generator(self.door._logits(images, context))",
        NOISE,
    ),
    Fault(
        "noise-on-reals-alone",
        "forgotten",
        DOOR,
        'fakes = self.transform_images(fakes, False, context, "discriminator")',
        "fakes = fakes + 0.0",
        NOISE,
    ),
    Fault(
        "the-same-noise-on-reals-and-fakes",
        "forgotten",
        DOOR,
        '{name}/images/{stream}/{real}"',
        '{name}/images/{stream}"',
        NOISE,
    ),
    Fault(
        "the-same-noise-in-both-updates",
        "forgotten",
        DOOR,
        '{name}/images/{stream}/{real}"',
        '{name}/images/{real}"',
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
        "real_logits, fake_logits, calls = logits[:count], logits[count:]",
        "fake_logits, real_logits, calls = logits[:count], logits[count:]",
        PLAIN,
    ),
    Fault(
        "the-generator-wants-to-be-caught",
        "sign",
        OBJECTIVE,
        "labels=ops.ones_like(fake_logits)",
        "labels=ops.zeros_like(fake_logits)",
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
        "        return {**metrics, **self._learn_generator(fakes, backward, context)}",
        "        metrics = self._learn_generator(fakes, backward, context)\n"
        "        more = self._learn_discriminator(as_images(batch.images), ops.stop_gradient(fakes), context)\n"
        "        return {**metrics, **more}",
        PLAIN,
    ),
    Fault(
        "the-discriminator-at-the-generators-rate",
        "tensor",
        ENGINE,
        "takes[1], batch_size, count, 1)",
        "takes[1], batch_size, count, 0)",
        (H + "test_a_step_is_what_numpy_makes_of_it[bce-unequal-lr]",),
    ),
    Fault(
        "the-generator-at-the-discriminators-rate",
        "tensor",
        ENGINE,
        "takes[0], batch_size, count, 0, companions",
        "takes[0], batch_size, count, 1, companions",
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
        DOOR,
        '"real": real,\n            "fake": fakes,',
        '"real": fakes,\n            "fake": real,',
        (H + "test_a_step_is_what_numpy_makes_of_it[bce-r1]",),
    ),
    Fault(
        "d-real-of-the-fakes",
        "tensor",
        OBJECTIVE,
        '"d_real": ops.mean(ops.sigmoid(real_logits))',
        '"d_real": ops.mean(ops.sigmoid(fake_logits))',
        PLAIN,
    ),
    Fault(
        "right-where-it-is-wrong",
        "sign",
        OBJECTIVE,
        "ops.cast(fake_logits < self.loss.boundary",
        "ops.cast(fake_logits > self.loss.boundary",
        ACCURATE,
    ),
    Fault(
        "pairs-the-other-way",
        "sign",
        OBJECTIVE,
        "margin = real_logits - fake_logits",
        "margin = fake_logits - real_logits",
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
        "self.update_discriminator(batches.extra(step, k),",
        "self.update_discriminator(real,",
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
