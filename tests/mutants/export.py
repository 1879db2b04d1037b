"""Faults in what leaves a run: exported files, cards, what is sent to a hub and fetched from it."""

from __future__ import annotations

from tests.mutants.fault import Fault

ONNX, PLAIN, TENSORS, WEB, CARD, HUB, PRIVATE = (
    f"ganforge/export/{name}.py" for name in ("onnx", "plain", "tensors", "web", "card", "hub", "private")
)
E, C, H, P = (f"tests/test_{name}.py::" for name in ("export", "card", "hub", "export_page"))
EVERY = (E + "test_onnxruntime_computes_the_same_for_every_architecture_and_batch_size[dcgan]",)
REFUSED = (E + "test_what_onnxruntime_computes_otherwise_is_refused",)
STRANGER = (H + "test_a_stranger_s_run_is_looked_at_first",)
NAMES = (H + "test_what_no_run_consists_of_is_not_fetched",)
PLACES = (H + "test_of_every_place_the_last_part_stays",)

FAULTS = [
    Fault("any-difference-will-do", "condition", ONNX, "if difference <= WRONG * largest:", "if True:", REFUSED),
    Fault("in-training-mode", "condition", ONNX, "training=False)", "training=True)", EVERY),
    Fault(
        "narrow-types-stay",
        "forgotten",
        PLAIN,
        '{**inner, "name": "float32"}',
        "{**inner}",
        (E + "test_only_types_are_widened",),
    ),
    Fault(
        "the-second-of-a-name-takes-its-place",
        "condition",
        TENSORS,
        "while name in found:",
        "while False:",
        (E + "test_names_that_come_twice_are_told_apart",),
    ),
    Fault(
        "the-package-is-not-kept",
        "forgotten",
        WEB,
        "write_atomic(kept / name, files[name])",
        "pass",
        (P + "test_the_package_is_asked_for_once",),
    ),
    Fault(
        "the-author-s-words-are-lost",
        "forgotten",
        CARD,
        "yours.get(name) or YOURS[name]",
        "YOURS[name]",
        (C + "test_what_the_author_wrote_stays_when_it_is_written_again",),
    ),
    Fault("a-name-s-beginning-is-enough", "condition", HUB, "MORE.fullmatch(name)", "MORE.match(name)", NAMES),
    Fault("anything-is-fetched", "condition", HUB, " if is_part(one.rfilename)]", "]", STRANGER),
    Fault("the-process-is-told", "forgotten", PRIVATE, 'cleaned["process"] = {"pid": 0}', "pass", PLACES),
    Fault("loggers-are-told", "condition", PRIVATE, 'config["log"] =', 'config["none"] =', PLACES),
]
