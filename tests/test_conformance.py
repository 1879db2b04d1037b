"""The conformance kit: what ships and what the examples bring keeps every promise, and each fault is found."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

import pytest

from ganforge.errors import GANForgeError, UsageError
from ganforge.scaffold import CHECKED, write_plugin
from ganforge.testing import CHECKS, Report, Subject, backends_to_check, run_checks

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
FAULTY = [HERE / "faulty_plugins.py", HERE / "faulty_networks.py", HERE / "faulty_version_2.py"]


# The numbered variants are the same functions with other defaults: the shallowest and the deepest stand for them.
SOUND = [
    Subject("architecture", "fcgan:hidden=8,discriminator_hidden=8"),
    Subject("architecture", "dcgan:width=4,discriminator_width=4"),
    Subject("architecture", "dcgan-1:width=4,discriminator_width=4"),
    Subject("architecture", "dcgan-4:width=2,discriminator_width=2"),
    Subject("architecture", "dcgan-conditional:width=2,discriminator_width=2"),
    *(
        Subject("strategy", name)
        for name in (
            "noise-anneal",
            "input-noise",
            "label-noise",
            "unequal-lr",
            "generator-steps",
            "stronger-discriminator",
            "r1",
            "r2",
            "lecam",
            "lookahead",
            "lr-decay",
            "auto",
            "mirror",
            "diffaugment",
            "ada",
        )
    ),
    *(Subject("loss", name) for name in ("bce", "least-squares", "hinge", "wasserstein", "relativistic")),
    Subject("dataset", "critters:count=32"),
    Subject("dataset", "gaussians:count=32"),
    Subject("architecture", "mlp:width=8"),
    Subject("architecture", "r3gan:width=4,discriminator_width=4,widest=8"),
    Subject("architecture", "sngan:width=2,discriminator_width=2"),
    Subject("architecture", "sngan-conditional:width=2,discriminator_width=2"),
    Subject("architecture", "fastgan:width=2,discriminator_width=2"),
    Subject("architecture", "projected:width=2,discriminator_width=2,enlarge=1"),
    Subject("strategy", "redraw"),
    *(Subject(kind, CHECKED[kind].format(name=f"new-{kind}")) for kind in CHECKED),
    Subject("architecture", "sound"),
    Subject("architecture", "sound-conditional"),
    Subject("strategy", "sound-strategy"),
    Subject("loss", "sound-loss"),
    Subject("dataset", "sound-data"),
    *(Subject("strategy", name) for name in ("sound-two", "sound-looking")),
    *(Subject("loss", name) for name in ("sound-pair", "sound-features")),
    *(Subject("architecture", name) for name in ("sound-patches", "sound-featured", "sound-unbounded")),
    Subject("optimizer", "sound-sgd"),
    Subject("logger", "sound-lines"),
    *(
        Subject("architecture", name)
        for name in (
            "plain",
            "nested",
            "shared-layers",
            "classy",
            "spectral",
            "minibatch",
            "normed",
            "losing",
            "losing-apart",
            "constrained",
            "attentive",
            "halves",
        )
    ),
]
# Where steps are compiled, what differs most: classes, batch statistics, second derivatives, randomness.
# (JAX compiles an architecture for most of a minute; tests/matrix.py has the others.)
COMPILED = [
    Subject("architecture", "sound-conditional"),
    Subject("architecture", "normed"),
    Subject("strategy", "ada"),
    Subject("loss", "wasserstein"),
    Subject("strategy", "sound-two"),
    Subject("loss", "sound-features"),
    Subject("optimizer", "sound-sgd"),
    Subject("strategy", "deciding"),
]
FAULTS = {
    ("architecture", "probabilities"): ("logits", "without an activation"),
    ("architecture", "zero-to-one"): ("images-in-range", "tanh"),
    ("architecture", "out-of-range"): ("images-in-range", "tanh"),
    ("architecture", "classless"): ("classes-matter", "the same for every class"),
    ("architecture", "deaf"): ("honours-options", "option width changed neither network"),
    ("architecture", "unbounded"): ("honours-options", "give the option a bound"),
    ("architecture", "unused-weight"): ("moves-every-weight", "never moved"),
    ("architecture", "forgetful"): ("saves", "get_config()"),
    ("architecture", "seedless"): ("starts-from-the-seed", "different weights"),
    ("architecture", "fixed-size"): ("other-sizes", "UsageError"),
    ("architecture", "wrong-defaults"): ("known-defaults", "Did you mean 'bce'"),
    ("architecture", "counting"): ("keeps-state-in-variables", "generator's counting gives different outputs"),
    ("architecture", "counting-deep"): ("keeps-state-in-variables", "discriminator's block/counting gives different"),
    ("architecture", "dice"): ("keeps-state-in-variables", "discriminator's dice gives different outputs"),
    ("architecture", "seedless-noise"): ("keeps-state-in-variables", "seedless draws from Keras's global generator"),
    ("architecture", "hiding"): ("keeps-state-in-variables", "hiding reads hiding/gain"),
    ("architecture", "averaging"): ("keeps-state-in-variables", "averaging writes to averaging/mean"),
    ("architecture", "remembering"): (
        "keeps-state-in-variables",
        "discriminator's remembering gives different outputs",
    ),
    ("architecture", "stopping"): ("moves-every-weight", "no gradient gets through the generator's stopping"),
    ("architecture", "doubling"): ("trains-as-written", "discriminator's doubling turns float32 into float64"),
    ("architecture", "lonely"): ("trains-as-written", "a train_step of its own"),
    ("architecture", "restless"): ("draws-the-same-twice", "generator's restless gives a different output"),
    ("strategy", "hookless"): ("has-hooks", "implements no hook"),
    ("strategy", "changing"): ("plans-the-same-scalars", "the same names every step"),
    ("strategy", "impatient"): ("waits-for-signals", "if signals"),
    ("strategy", "shared"): ("shares-nothing", "__init__"),
    ("strategy", "amnesiac"): ("state-survives-resume", "get_state()"),
    ("strategy", "unwritable"): ("state-survives-resume", "JSON"),
    ("strategy", "reshaping"): ("keeps-shape-and-dtype", "keep the shape"),
    ("strategy", "careless"): ("draws-from-random", "random.normal"),
    ("strategy", "frozen"): ("reads-controls-alone", "controls["),
    ("strategy", "rounding"): ("lets-gradients-through", "rounding"),
    ("strategy", "ignorant"): ("honours-options", "option sigma changed nothing"),
    ("strategy", "infinite"): ("trains", "nan"),
    ("strategy", "unmoving"): ("moves-the-generator-alone", "moves no weight of the generator"),
    ("strategy", "mistaken"): ("judges-fakes-as-fakes", "real=False"),
    ("strategy", "counting-calls"): ("keeps-its-state-on-the-device", "a different state from the same arguments"),
    ("strategy", "retyping"): ("keeps-its-state-on-the-device", "gives float32 where initial_state gave int32"),
    ("strategy", "idle"): ("changes-weights-alone", "changed no weight in 20 steps"),
    ("strategy", "twice-weighed"): ("pays-when-it-is-due", "weighs 9 times as much; expected 3 times"),
    ("strategy", "penniless"): ("pays-when-it-is-due", "has no penalty"),
    ("strategy", "unsteady"): ("plans-the-same-scalars", "expected a number from 0 to below 1"),
    ("strategy", "measuring"): ("trains", "discriminator_images measures 'pictures' with the shape"),
    ("strategy", "ignoring"): ("honours-options", "option pull changed nothing"),
    ("loss", "unpaired"): ("compares-with-real", "does not depend on them"),
    ("optimizer", "shared-sgd"): ("own-copy-each-time", "make a new one in each call"),
    ("optimizer", "class-itself"): ("builds", "build returned SGD; expected a keras.optimizers.Optimizer"),
    ("optimizer", "scheduled"): ("builds", "a learning-rate schedule"),
    ("optimizer", "uphill"): ("goes-downhill", "does not go against the gradient"),
    ("optimizer", "deaf-sgd"): ("heeds-the-learning-rate", "move at a learning rate of 0"),
    ("optimizer", "optionless"): ("honours-options", "option momentum changed no step"),
    ("optimizer", "forgetful-sgd"): ("repeats", "self.iterations"),
    ("logger", "overwriting"): ("survives-a-resumed-run", "lines.txt is gone"),
    ("logger", "straying"): ("writes-in-the-run-directory-alone", "it left 'stray.txt' outside"),
    ("logger", "silent"): ("makes-an-observer", "no hook marked with @hookimpl"),
    ("logger", "impatient-logger"): ("follows-a-run", "step_ended raises KeyError: 'd_loss'"),
    ("loss", "backwards"): ("points-the-right-way", "signs"),
    ("loss", "backwards-generator"): ("points-the-right-way", "sign"),
    ("loss", "overflowing"): ("scalars", "softplus"),
    ("loss", "a-vector"): ("scalars", "ops.mean"),
    ("dataset", "floats"): ("gives-pictures", "uint8"),
    ("dataset", "dark"): ("uses-the-whole-range", "255"),
    ("dataset", "unlimited"): ("heeds-the-limit", "limit"),
    ("dataset", "one-fingerprint"): ("repeats", "same fingerprint"),
    ("dataset", "no-hex"): ("describes-what-it-found", "hexadecimal"),
}


# Of architectures and strategies those that stand for all by default: each takes seconds, the other kinds a fraction.
STANDING_FOR_ALL = {
    *("sound-conditional", "nested", "sound-strategy"),
    *("probabilities", "counting", "stopping", "hookless", "reshaping", "infinite", "unsteady"),
}


# What does not apply to a kind of subject; every other check passes, but for the advice of some.
NO_IMAGES = {"lets-gradients-through"}
NO_TRANSFORM = {"keeps-shape-and-dtype", "draws-from-random", "reads-controls-alone", *NO_IMAGES}
IN_VERSION_2 = {"moves-the-generator-alone", "keeps-its-state-on-the-device", "changes-weights-alone"}
IN_VERSION_2 |= {"judges-fakes-as-fakes", "pays-when-it-is-due"}
# What of these applies, to whom it does.
APPLIES = {
    "sound-two": IN_VERSION_2,
    "r1": {"judges-fakes-as-fakes", "pays-when-it-is-due"},
    "r2": {"judges-fakes-as-fakes", "pays-when-it-is-due"},
    "lecam": {"keeps-its-state-on-the-device", "judges-fakes-as-fakes"},
    "ada": {"keeps-its-state-on-the-device"},
    "lookahead": {"changes-weights-alone"},
    "sound-looking": {"judges-fakes-as-fakes"},
    "redraw": {"judges-fakes-as-fakes"},
}
SKIPPED = {
    **dict.fromkeys(("sound-two", "sound-looking"), NO_TRANSFORM),
    "label-noise": NO_IMAGES,
    "gaussians:count=32": frozenset({"gives-other-shapes"}),
    **dict.fromkeys(("unequal-lr", "generator-steps", "stronger-discriminator", "lr-decay"), NO_TRANSFORM),
    **dict.fromkeys(("r1", "r2", "lecam", "lookahead", "redraw"), NO_TRANSFORM),
    "dcgan-conditional:width=2,discriminator_width=2": frozenset(),
    "sngan-conditional:width=2,discriminator_width=2": frozenset(),
    "sound-conditional": frozenset(),
    **dict.fromkeys(
        ("mlp:width=8", "sound-unbounded", "r3gan:width=4,discriminator_width=4,widest=8"),
        frozenset({"classes-matter", "images-in-range"}),
    ),
}
ADVISED = {
    **{name: {"heeds-labels"} for name in ("hinge", "relativistic", "sound-pair", "sound-features")},
    "sound-strategy": {"says-where-it-comes-from"},
    "classy": {"works-in-bfloat16"},
    "spectral": {"works-in-bfloat16"},
    "minibatch": {"judges-one-picture-at-a-time"},
    "normed": {"judges-one-picture-at-a-time"},
    "losing": {"saves"},
    "losing-apart": {"judges-one-picture-at-a-time"},
}


def cases(subjects: Iterable[Subject], quick: Container[str]) -> list[Any]:
    """Return subjects as parameters of a test, all but the quick ones marked slow."""
    return [
        pytest.param(subject, id=subject.spec, marks=() if subject.spec.split(":")[0] in quick else pytest.mark.slow)
        for subject in subjects
    ]


def quick(subjects: Iterable[Subject]) -> set[str]:
    return STANDING_FOR_ALL | {s.spec.split(":")[0] for s in subjects if s.kind not in ("architecture", "strategy")}


FAULTY_SUBJECTS = [Subject(*subject) for subject in FAULTS]
ONE_LOGIT, DECIDING = Subject("loss", "one-logit"), COMPILED[-1]


@pytest.fixture(scope="session")
def reports(request, tmp_path_factory) -> dict[str, Report]:
    """One process a backend, for every subject that a chosen test of this file asks about."""
    folder = tmp_path_factory.mktemp("new")
    files = [*FAULTY, *EXAMPLES.glob("ganforge-*/ganforge_*/__init__.py")]
    for kind in CHECKED:
        files.append(write_plugin(f"new-{kind}", kind, folder) / f"ganforge_new_{kind}" / "__init__.py")
    asked = [item.callspec.params for item in request.session.items if "reports" in getattr(item, "fixturenames", ())]
    here = list(dict.fromkeys(parameters["subject"] for parameters in asked))
    there = [subject for subject in COMPILED if any(p["subject"] == subject for p in asked if "backend" in p)]
    return dict(run_checks(here, () if there else ["torch"], plugins=files, elsewhere=there))


def results(report: Report, spec: str) -> dict[str, tuple[str, str]]:
    return {r.check: (r.state, r.message) for r in report.results if r.subject == spec}


@pytest.mark.parametrize("subject", cases(SOUND, quick(SOUND)))
def test_what_is_sound_keeps_every_promise(reports, subject):
    found = results(next(iter(reports.values())), subject.spec)
    skipped = set(SKIPPED.get(subject.spec, {"classes-matter"} if subject.kind == "architecture" else set()))
    if subject.kind == "strategy":
        skipped |= IN_VERSION_2 - APPLIES.get(subject.spec, set())
    if subject.kind == "loss" and subject.spec not in ("relativistic", "sound-pair", "sound-features"):
        skipped.add("compares-with-real")
    other = {**dict.fromkeys(skipped, "skipped"), **dict.fromkeys(ADVISED.get(subject.spec, ()), "advice")}
    expected = {one.name: other.get(one.name, "passed") for one in CHECKS[subject.kind]}
    assert {name: state for name, (state, _) in found.items()} == expected, found


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
@pytest.mark.parametrize("subject", cases(COMPILED[:-1], ()))
def test_what_is_sound_keeps_its_promises_where_steps_are_compiled(reports, backend, subject):
    if backend not in reports:
        pytest.skip(f"{backend} is not installed")
    found = results(reports[backend], subject.spec)
    wrong = {name: said for name, said in found.items() if said[0] not in ("passed", "advice")}
    assert {name for name in wrong if wrong[name][0] == "failed"} == set(), wrong
    assert set(wrong) <= {*IN_VERSION_2, *NO_TRANSFORM}
    expected = {one.name for one in CHECKS[subject.kind] if one.everywhere}
    assert set(found) == (expected | {"agrees"} if subject.kind in ("architecture", "loss") else expected)


@pytest.mark.parametrize("subject", cases(FAULTY_SUBJECTS, quick(FAULTY_SUBJECTS)))
def test_each_fault_is_found_and_says_what_to_change(reports, subject):
    check, words = FAULTS[subject.kind, subject.spec]
    found = results(next(iter(reports.values())), subject.spec)
    state, message = found[check]
    assert state == "failed"
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize("subject", [ONE_LOGIT], ids=lambda s: s.spec)
def test_a_loss_of_one_logit_is_advised_to_take_several(reports, subject):
    state, message = results(next(iter(reports.values())), subject.spec)["takes-several-logits"]
    assert (state, "with logits (B, 3) it fails" in message) == ("advice", True)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax"])
@pytest.mark.parametrize("subject", [DECIDING], ids=lambda s: s.spec)
def test_a_decision_on_a_tensor_is_found_where_steps_are_compiled(reports, backend, subject):
    if backend not in reports:
        pytest.skip(f"{backend} is not installed")
    state, message = results(reports[backend], subject.spec)["trains"]
    assert state == "failed"
    assert "faulty_plugins.py line" in message


@pytest.mark.slow
@pytest.mark.parametrize("subject", SOUND[:1], ids=lambda s: s.spec)
def test_parameters_are_reported(reports, subject):
    facts = next(iter(reports.values())).facts[subject.spec]
    assert facts["parameters"] == {"generator": 7752, "discriminator": 6161}


def test_the_wrong_backend_is_one_line():
    with pytest.raises(UsageError, match="no backend 'torhc'"):
        backends_to_check(["torhc"])


@pytest.mark.slow
def test_the_wrong_name_is_one_line():
    with pytest.raises(GANForgeError, match="no strategy 'r3'"):
        list(run_checks([Subject("strategy", "r3")], ["torch"]))
