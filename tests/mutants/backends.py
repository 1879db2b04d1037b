"""Faults in what is found out about a network, and in torch, whose layers are written out."""

from __future__ import annotations

from tests.mutants.fault import Fault

TRAITS, TORCH, LAYERS, FORMS = (
    f"ganforge/engine/{name}.py"
    for name in ("traits", "backends/torch", "backends/torch_layers", "backends/torch_forms")
)
T, L = "tests/test_traits.py::", "tests/test_torch_layers.py::"
OWN = (T + "test_a_networks_own_losses_count_once_an_update",)
BESIDE = (T + "test_whether_a_verdict_depends_on_the_pictures_beside_is_measured",)
ADAM = (L + "test_the_fused_update_is_keras_adam",)
LOWERED = (L + "test_a_lowered_model_is_the_model",)

FAULTS = [
    Fault(
        "layers-in-inference-while-they-train",
        "order",
        LAYERS,
        '**{**keywords, "training": True}',
        '**{"training": True, **keywords}',
        (T + "test_layers_train_in_training_mode_whatever_their_default",),
    ),
    Fault("averages-that-forget", "factor", FORMS, "1.0 - layer.momentum", "layer.momentum", LOWERED),
    Fault(
        "a-variance-with-twice-its-epsilon",
        "sign",
        FORMS,
        "inverse.pow(-2) - layer",
        "inverse.pow(-2) + layer",
        LOWERED,
    ),
    Fault("phases-exchanged", "order", FORMS, "((3, 1), (2, 0))", "((2, 0), (3, 1))", LOWERED),
    Fault(
        "columns-of-the-other-phase",
        "off by one",
        FORMS,
        "c : c + width, (2 * a + c)",
        "c : c + width, (a + 2 * c)",
        LOWERED,
    ),
    Fault(
        "overwritten-while-it-is-needed",
        "condition",
        LAYERS,
        "uses[given] == 1 and _is_fresh",
        "uses[given] >= 1 and _is_fresh",
        LOWERED,
    ),
    Fault("two-joined-that-a-third-needs", "condition", LAYERS, "== 1 and (joined", ">= 1 and (joined", LOWERED),
    Fault(
        "a-spread-kernel-turned", "order", FORMS, "permute(2, 3, 0, 1).flip((2, 3))", "permute(2, 3, 0, 1)", LOWERED
    ),
    Fault(
        "epsilon-times-the-correction",
        "factor",
        TORCH,
        "optimizer.epsilon / math.sqrt",
        "optimizer.epsilon * math.sqrt",
        ADAM,
    ),
    Fault("updates-counted-past-a-checkpoint", "condition", TORCH, "if now != known:", "if known is None:", ADAM),
    Fault("one-beta-for-both-moments", "tensor", TORCH, "beta1=beta_1", "beta1=beta_2", ADAM),
    Fault(
        "gradients-as-they-lie-in-memory",
        "forgotten",
        TORCH,
        "[g.contiguous() for g in gradients]",
        "list(gradients)",
        ADAM,
    ),
    Fault(
        "constraints-computed-for-nothing",
        "forgotten",
        TORCH,
        "variable.assign(variable.constraint(variable.value))",
        "variable.constraint(variable.value)",
        (T + "test_a_constraint_holds_after_each_update",),
    ),
    Fault(
        "normal-numbers-of-half-the-range",
        "factor",
        TORCH,
        ".to(torch.int32).add_(2**15)",
        ".to(torch.int32).abs_()",
        (L + "test_many_normal_numbers_are_normal_and_a_function_of_their_key",),
    ),
    Fault(
        "measured-at-weights-of-zero",
        "tensor",
        TRAITS,
        "weights = [perturbed(v, random) for v in model.variables]",
        "weights = [ops.convert_to_numpy(v.value) for v in model.variables]",
        BESIDE,
    ),
    Fault(
        "nothing-replaced-beside",
        "tensor",
        TRAITS,
        "[array.copy() for array in other]",
        "[array.copy() for array in one]",
        BESIDE,
    ),
    Fault("sums-for-means", "sign", TRAITS, "abs(b) > 1.5 * abs(a)", "abs(b) < 1.5 * abs(a)", OWN),
    Fault(
        "means-added-up", "factor", TRAITS, "whole * self.team.parts if is_sum else whole / len(calls)", "whole", OWN
    ),
    Fault("sums-of-one-call", "tensor", TRAITS, "for part in parts)", "for part in parts[:1])", OWN),
    Fault(
        "one-regularizer-forgotten",
        "off by one",
        TRAITS,
        "for variable in self.regularized:",
        "for variable in self.regularized[1:]:",
        OWN,
    ),
]
