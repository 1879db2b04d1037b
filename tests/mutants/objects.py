"""Faults in what Python objects mean, and in how a run of them goes on."""

from __future__ import annotations

from tests.mutants.fault import Fault

_T = "tests/test_objects.py::"
_NAMED = _T + "test_what_is_given_as_an_object_is_trained_as_by_its_name"
_REFUSED = _T + "test_what_does_not_fit_is_one_line_in_pythons_words_and_trains_nothing"
_TWICE = _T + "test_the_same_strategy_object_gives_the_same_run_twice"
_BACK = _T + "test_a_run_is_given_back_what_it_began_with_and_nothing_else"
_KILLED = _T + "test_a_run_of_objects_ends_as_if_it_had_never_been_cut_off[torch-objects]"
_LOOKED = _T + "test_networks_of_a_run_are_looked_at_before_they_are_made"
_PLACE = "ganforge/training/objects"

FAULTS = [
    Fault(
        "a-keras-loss-is-told-1-for-fakes-as-well",
        "tensor",
        f"{_PLACE}/wrapped.py",
        "measured(fake_logits, fake_labels)",
        "measured(fake_logits, real_labels)",
        (_NAMED,),
    ),
    Fault(
        "a-loss-of-distances-is-undecided-at-0",
        "constant",
        f"{_PLACE}/wrapped.py",
        "    return round(high, 3)",
        "    return 0.0",
        (_NAMED,),
    ),
    Fault(
        "probabilities-are-taken-for-logits",
        "condition",
        f"{_PLACE}/wrapped.py",
        "if _from_logits(value) is False:",
        "if _from_logits(value) is None:",
        (_REFUSED,),
    ),
    Fault(
        "a-strategy-given-twice-goes-on-where-it-was",
        "forgotten",
        f"{_PLACE}/__init__.py",
        "            value.set_state(deepcopy(_first[value]))",
        "            pass",
        (_TWICE,),
    ),
    Fault(
        "other-networks-of-the-same-shapes-are-taken-back",
        "condition",
        f"{_PLACE}/networks.py",
        'if before.get("sha256") != now["sha256"]:',
        'if before.get("sha256") == "":',
        (_BACK,),
    ),
    Fault(
        "a-sigmoid-that-no-graph-shows-is-not-seen",
        "condition",
        f"{_PLACE}/networks.py",
        "answers.max() <= 1 and",
        "answers.max() < 0 and",
        (_REFUSED,),
    ),
    Fault(
        "a-strategy-given-back-begins-anew",
        "forgotten",
        "ganforge/training/resume.py",
        '            del changes["balance"]  # given back, and nothing new',
        "            pass",
        (_KILLED,),
    ),
    Fault(
        "the-plan-that-is-only-looked-at-counts-as-a-step",
        "forgotten",
        "ganforge/training/setup.py",
        "                strategy.set_state(state)",
        "                pass",
        (_TWICE,),
    ),
    Fault(
        "networks-of-a-run-are-made-without-a-look-at-them",
        "forgotten",
        f"{_PLACE}/saved.py",
        "if not isinstance(config, dict) or any(looked_at(config)):",
        "if not isinstance(config, dict):",
        (_LOOKED,),
    ),
]
