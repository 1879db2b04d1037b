"""Faults in what is begun with, changed, found and explored of a run that is there."""

from __future__ import annotations

from tests.mutants.fault import Fault

_FROM = "tests/test_from.py::"
_CHANGES = "tests/test_resume_changes.py::"
_LATENT = "tests/test_latent_space.py::"
_BIT = _FROM + "test_a_run_begins_with_the_weights_of_another_bit_for_bit"
_PYTHON = _FROM + "test_networks_from_python_can_learn_again_after_they_were_frozen"
_STAY = _FROM + "test_frozen_layers_stay_and_others_move_also_after_a_stop"
_MEAN = _CHANGES + "test_another_mean_goes_on_from_the_one_before_or_begins_with_the_weights"
_RATE = _CHANGES + "test_a_step_at_another_rate_goes_as_much_further"
_HALVED = _CHANGES + "test_a_rate_that_is_given_takes_the_place_of_one_that_was_halved"
_SEARCH = _LATENT + "test_the_search_goes_down_from_each_start_and_keeps_the_nearest"
_SINGULAR = _LATENT + "test_directions_are_the_singular_vectors_of_the_first_weights"
_FOUND = _LATENT + "test_the_latent_of_a_picture_is_found"

FAULTS = [
    Fault(
        "frozen-layers-are-the-last-ones",
        "order",
        "ganforge/engine/freezing.py",
        "for layer in layers[:count] for v in layer.weights]",
        "for layer in layers[-count:] for v in layer.weights]",
        (_STAY,),
    ),
    Fault(
        "a-run-begins-with-its-own-weights-where-layers-are-one-off",
        "off by one",
        "ganforge/engine/beginning.py",
        "new[block.b + i].held, strict=True):\n                    variable.assign(array)",
        "new[block.b + i].held, strict=True):\n                    variable.assign(variable.value if i else array)",
        (_BIT,),
    ),
    Fault(
        "what-a-run-froze-stays-frozen-for-its-caller",
        "forgotten",
        "ganforge/training/objects/__init__.py",
        "                variable.trainable = trainable",
        "                pass",
        (_PYTHON,),
    ),
    Fault(
        "a-given-rate-is-halved-as-the-one-before",
        "condition",
        "ganforge/training/resume.py",
        "        if learning_rate is None:\n            scale",
        "        if True:\n            scale",
        (_HALVED,),
    ),
    Fault(
        "options-of-an-optimizer-win-over-a-given-rate",
        "forgotten",
        "ganforge/training/resume.py",
        '*(["learning_rate"] if learning_rate is not None else [])',
        "*[]",
        (_RATE,),
    ),
    Fault(
        "a-new-mean-begins-with-untrained-weights",
        "forgotten",
        "ganforge/engine/engine.py",
        "            self.ema.begin_anew()",
        "            pass",
        (_MEAN,),
    ),
    Fault(
        "latents-go-up",
        "sign",
        "ganforge/latent/search.py",
        "np.asarray(z - RATE",
        "np.asarray(z + RATE",
        (_SEARCH,),
    ),
    Fault(
        "the-last-latent-is-kept-instead-of-the-nearest",
        "condition",
        "ganforge/latent/search.py",
        "if distances[nearest] < best:",
        "if True:",
        (_SEARCH,),
    ),
    Fault(
        "beyond-white-is-an-error",
        "forgotten",
        "ganforge/latent/distance.py",
        "error = ops.where(pictures >= 1, ops.minimum(error, 0.0), error)",
        "error = error + 0.0",
        (_LATENT + "test_every_backend_has_the_slopes_of_the_distance[torch]",),
    ),
    Fault(
        "the-weakest-directions-first",
        "order",
        "ganforge/latent/directions.py",
        "np.maximum(values[::-1], 0), vectors.T[::-1]",
        "np.maximum(values[::-1], 0), vectors.T",
        (_SINGULAR,),
    ),
    Fault(
        "directions-of-the-outputs",
        "tensor",
        "ganforge/latent/directions.py",
        "np.moveaxis(_numbers(own.kernel), 3, 0)",
        "np.moveaxis(_numbers(own.kernel), 2, 0)",
        (_SINGULAR,),
    ),
    Fault(
        "the-way-ends-before-the-nearest",
        "off by one",
        "ganforge/latent/search.py",
        "ways[: at + 1]]",
        "ways[: max(at, 1)]]",
        (_FOUND, _SEARCH),
    ),
]
