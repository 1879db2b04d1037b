"""Faults in the optimizers, and in how the engine has them move the weights."""

from __future__ import annotations

from tests.mutants.fault import Fault

OPTIMISTIC, OPTIMIZERS = "ganforge/optimizers/optimistic_adam.py", "ganforge/optimizers/__init__.py"
R = "tests/test_recipes.py::"


def scene(name: str) -> tuple[str]:
    return (f"{R}test_steps_are_what_their_formulas_say[{name}]",)


FAULTS = [
    Fault(
        "optimism-without-a-forecast",
        "factor",
        OPTIMISTIC,
        "2.0 * direction - last",
        "direction",
        scene("optimistic-adam"),
    ),
    Fault(
        "a-pessimist",
        "sign",
        OPTIMISTIC,
        "2.0 * direction - last",
        "2.0 * direction + last",
        scene("optimistic-adam"),
    ),
    Fault(
        "the-last-direction-is-the-first",
        "forgotten",
        OPTIMISTIC,
        "self.assign(last, direction)",
        "self.assign(last, last)",
        scene("optimistic-adam"),
    ),
    Fault(
        "directions-of-the-raw-mean",
        "forgotten",
        OPTIMISTIC,
        "new_m / (1.0 - beta_1**steps)",
        "new_m",
        scene("optimistic-adam"),
    ),
    Fault(
        "options-that-are-not-given-win",
        "condition",
        OPTIMIZERS,
        "general.get(name) if value is None else value",
        "general.get(name, value)",
        (R + "test_options_that_are_not_given_are_the_runs",),
    ),
    Fault(
        "sgd-for-rmsprop",
        "tensor",
        OPTIMIZERS,
        "keras.optimizers.RMSprop(**settings(options))",
        "keras.optimizers.SGD(options.learning_rate or LEARNING_RATE, options.momentum)",
        scene("rmsprop"),
    ),
    Fault(
        "no-optimizer-is-fused",
        "condition",
        "ganforge/engine/optimizing.py",
        "type(optimizer) is not type(_ADAM)",
        "type(optimizer) is not keras.optimizers.Adam",
        (R + "test_an_optimizer_is_built_anew_and_survives_being_saved",),
    ),
    # ------------------------------------------------------------------ what begins anew, and what is refused
    Fault(
        "a-state-that-never-begins-anew",
        "forgotten",
        "ganforge/engine/engine.py",
        "        if anew:\n            self.state.begin_anew()\n",
        "",
        (R + "test_what_is_taken_up_anew_begins_from_the_weights_as_they_are",),
    ),
    Fault(
        "measured-by-those-that-left",
        "condition",
        "ganforge/engine/engine.py",
        'if not anew or "/" not in name',
        "if name",
        (R + "test_what_is_taken_up_anew_begins_from_the_weights_as_they_are",),
    ),
    Fault(
        "one-stage-with-a-penalty-at-fakes",
        "condition",
        "ganforge/engine/refusals.py",
        'if penalty and {"fake_logits", "fake_features"} & set(parameters(penalty)):',
        "if penalty and not parameters(penalty):",
        (R + "test_one_stage_is_refused_where_more_than_a_fakes_logit_counts",),
    ),
]
