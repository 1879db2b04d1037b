"""Put a fault into the engine, and the conformance kit finds it in a plugin that is sound, and names the layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import pytest

from ganforge.engine import player, traits
from ganforge.engine.backends import torch as adapter
from ganforge.engine.backends import torch_forms, torch_layers
from ganforge.testing import CHECKS
from ganforge.testing.cases import make_case
from ganforge.testing.framework import Result, perform

PLUGINS = [str(Path(__file__).with_name("faulty_networks.py"))]
CHECKED = ("keeps-state-in-variables", "trains-as-written", "updates-as-written", "judges-one-picture-at-a-time")


def found(name: str, folder: Path) -> list[Result]:
    case = make_case("architecture", name, PLUGINS, folder, True)
    return [perform(one, case, name, "torch") for one in CHECKS["architecture"] if one.name in CHECKED]


# ------------------------------------------------------------------ faults, by what they break


def training_as_the_graph_has_it(patch: Any) -> None:
    """A default of ``training`` other than None wins over training mode."""

    def as_it_is(node: Any, forms: Any) -> Callable:
        whole = original(node, forms)
        if not isinstance(node.operation, keras.Layer) or isinstance(whole, torch_layers.Lowered):
            return whole
        return lambda *arguments, **keywords: node.operation(*arguments, **{"training": True, **keywords})

    original = torch_layers._as_it_is
    patch.setattr(torch_layers, "_as_it_is", as_it_is)


def nested_models_take_no_mask(patch: Any) -> None:
    patch.setattr(torch_layers._Nested, "__call__", lambda self, x: self.run(x))


def constraints_ignored(patch: Any) -> None:
    def apply(self: Any, optimizer: Any, gradients: Any, variables: Any, rate: Any) -> None:
        kept = [v.constraint for v in variables]
        for v in variables:
            v._constraint = None
        original(self, optimizer, gradients, variables, rate)
        for v, constraint in zip(variables, kept):
            v._constraint = constraint

    original = adapter.Adapter.apply
    patch.setattr(adapter.Adapter, "apply", apply)


def losses_ignored(patch: Any) -> None:
    patch.setattr(traits.OwnLosses, "total", lambda self, *calls: keras.ops.zeros(()))


def losses_of_the_update_ignored(patch: Any) -> None:
    """Known to the network, forgotten in the step."""

    class Nothing:
        sums = ()

        def __init__(self, model: Any, sums: Any, team: Any) -> None: ...

        def __bool__(self) -> bool:
            return False

        def of_call(self) -> list[Any]:
            return []

    patch.setattr(player, "OwnLosses", Nothing)


def judged_together(patch: Any) -> None:
    def observe(*arguments: Any, **keywords: Any) -> Any:
        return dataclasses.replace(original(*arguments, **keywords), depends_on_batch=False)

    original = player.observe
    patch.setattr(player, "observe", observe)


def lowered_by_the_first_node(patch: Any) -> None:
    def form(node: Any, forms: Any) -> Any:
        first = node.operation._inbound_nodes[0]
        return None if original(node, forms) is None else original(first, forms)

    original = torch_layers._form
    patch.setattr(torch_layers, "_form", form)


def assignments_in_place(patch: Any) -> None:
    def begin(self: Any, variables: Any) -> None:
        original(self, [])

    original = adapter._Assignments.__init__
    patch.setattr(adapter._Assignments, "__init__", begin)


def assignments_dropped(patch: Any) -> None:
    def leave(self: Any, *error: Any) -> None:
        if self.copies:
            keras.StatelessScope.__exit__(self, *error)

    patch.setattr(adapter._Assignments, "__exit__", leave)


def statistics_not_kept(patch: Any) -> None:
    """Batch normalization as plain torch leaves its running averages as they are."""

    def batch_norm(layer: Any, given: Any, gives: Any) -> Any:
        form = original(layer, given, gives)

        def call(x: Any, **then: Any) -> Any:
            mean, variance = layer.moving_mean.value.clone(), layer.moving_variance.value.clone()
            y = form(x, **then)
            layer.moving_mean.value.copy_(mean)
            layer.moving_variance.value.copy_(variance)
            return y

        return call

    original = torch_forms._batch_norm
    patch.setitem(torch_forms.FORMS, keras.layers.BatchNormalization, batch_norm)


def wrong_slope(patch: Any) -> None:
    patch.setitem(
        torch_forms.FORMS,
        keras.layers.LeakyReLU,
        lambda layer, given, gives: partial(_leaky, slope=layer.negative_slope + 0.05),
    )


def _leaky(x: Any, slope: float, in_place: bool = False) -> Any:
    return keras.ops.leaky_relu(x, slope)


@pytest.mark.parametrize(
    ("fault", "plugin", "check", "words"),
    [
        (
            training_as_the_graph_has_it,
            "nested",
            "trains-as-written",
            "generator's mapping/inside/dropping runs in inference",
        ),
        (training_as_the_graph_has_it, "spectral", "trains-as-written", "normalized runs in inference mode"),
        (nested_models_take_no_mask, "nested", "trains-as-written", "mapping/inside raises as it trains"),
        (
            constraints_ignored,
            "constrained",
            "updates-as-written",
            "held is not what plain Keras has: its constraint",
        ),
        (losses_ignored, "losing", "trains-as-written", "loss that the generator's shrinking adds is not counted"),
        (losses_of_the_update_ignored, "losing", "updates-as-written", "loss that the generator's shrinking adds"),
        (
            losses_of_the_update_ignored,
            "losing-apart",
            "updates-as-written",
            "loss that the discriminator's shrinking",
        ),
        (judged_together, "minibatch", "judges-one-picture-at-a-time", "first in minibatchdeviation, and yet"),
        (judged_together, "normed", "judges-one-picture-at-a-time", "first in norm, and yet"),
        (lowered_by_the_first_node, "shared-layers", "trains-as-written", "discriminator's flat raises as it trains"),
        (assignments_in_place, "spectral", "trains-as-written", "discriminator's judging raises as it trains"),
        (assignments_dropped, "spectral", "trains-as-written", "discriminator's normalized leaves a different"),
        (statistics_not_kept, "normed", "trains-as-written", "generator's norm leaves a different moving_mean"),
        (wrong_slope, "plain", "trains-as-written", "leaky gives different outputs in training"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_fault_of_the_engine_is_found_and_its_layer_named(fault, plugin, check, words, monkeypatch, tmp_path):
    assert [r for r in found(plugin, tmp_path) if r.state == "failed"] == []
    fault(monkeypatch)
    keras.backend.clear_session()
    failed = {r.check: r.message for r in found(plugin, tmp_path) if r.state == "failed"}
    assert words in failed[check]
