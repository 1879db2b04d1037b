"""A generator and a discriminator given as Keras models: their architecture, and what a run stores about them."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ganforge.errors import GANForgeError, UsageError, shown
from ganforge.plugin.architecture import Architecture
from ganforge.plugin.sizes import parse_size, size_of, written_size

if TYPE_CHECKING:
    import keras

NAME = "own"  # as an architecture
SIDES = ("generator", "discriminator")
# What squeezes into [0, 1], or has nothing below 0.
PROBABILITIES = ("sigmoid", "hard_sigmoid", "softmax")
ONE_SIDED = (*PROBABILITIES, "relu", "relu6", "softplus", "exponential")


@dataclass(frozen=True)
class Networks:
    """Two models built by the user, trained from the weights they have."""

    generator: keras.Model
    discriminator: keras.Model

    @classmethod
    def of(cls, value: Any) -> Networks:
        """Return a pair of models. Raises ``UsageError`` if it is not one, or does not end in pictures and logits."""
        models = value if isinstance(value, (tuple, list)) else (value,)
        if len(models) == 2 and models[0] is models[1]:
            raise UsageError("arch is the same model twice; expected two Keras models (generator, discriminator)")
        if not all(_is_model(model) for model in models) or len(models) != 2:
            raise UsageError(
                f"arch is {_said(value)}; expected a name, a ganforge.Architecture, or two Keras models "
                "(generator, discriminator)"
            )
        networks = cls(*models)
        networks._refuse_ends()
        return networks

    @property
    def architecture(self) -> Architecture:
        """The architecture that returns these two models, whatever it is asked to build."""
        return Architecture(
            NAME,
            generator=lambda *_: self.generator,
            discriminator=lambda *_: self.discriminator,
            summary="Two networks given as Keras models",
            conditional=len(_inputs(self.generator)) == 2,
            bounded=_end(self.generator) in ("tanh", "hard_tanh", "softsign"),
        )

    def settings(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings that the networks' shapes decide: the latents' length, the pictures' size and channels.

        Raises:
            UsageError: other values are asked for, or a network computes in a different precision.
        """
        found: dict[str, Any] = {}
        latent, image = _inputs(self.generator)[:1], _inputs(self.discriminator)[:1]
        if latent and len(latent[0]) == 1 and latent[0][0]:
            found["latent_dim"] = int(latent[0][0])
        shape = [int(n) for n in image[0] if n] if image else []
        if len(shape) == 3:
            height, width, channels = shape
            found |= {"image_size": written_size(size_of(height, width)), "channels": channels}
        for name, value in found.items():
            other = asked.get(name)
            if name == "image_size" and other is not None:
                other = written_size(parse_size(other))
            if other not in (None, value):
                who = "generator" if name == "latent_dim" else "discriminator"
                raise UsageError(f"invalid {name}={other}: the {who} takes {value}; leave {name} out")
        policies = {model.dtype_policy.name for model in (self.generator, self.discriminator)}
        precision = asked.get("precision")
        if precision is not None and policies != {precision}:
            raise UsageError(
                f"invalid precision={precision}: the networks were built with {' and '.join(sorted(policies))}; "
                f"build them after keras.config.set_dtype_policy('{precision}'), or leave precision out"
            )
        return {**found, "precision": policies.pop()} if len(policies) == 1 else found

    def _refuse_ends(self) -> None:
        end = _end(self.discriminator)
        if end in PROBABILITIES:
            raise UsageError(
                f"the discriminator ends with {end}; expected logits: end it with Dense(1) without an activation"
            )
        end, image = _end(self.generator), _inputs(self.discriminator)[:1]
        if end in ONE_SIDED and not (image and len(image[0]) == 1):
            raise UsageError(
                f"the generator ends with {end}, which is never below 0; pictures are in [-1, 1]: end it with tanh"
            )

    def refuse_answers(self, image_shape: Sequence[int], latent_dim: int) -> None:
        """Raise ``UsageError`` if the networks do not return logits and pictures, whatever they are made of.

        For inputs far outside the usual range, a sigmoid still stays within [0, 1], and nothing else does.
        """
        rng = np.random.default_rng(0)
        labels = [np.zeros(16, "int32")] if self.architecture.conditional else []
        for side, shape in (("discriminator", tuple(image_shape)), ("generator", (latent_dim,))):
            if side == "generator" and len(image_shape) == 1:
                continue
            model = getattr(self, side)
            first = 1e3 * rng.standard_normal((16, *shape)).astype("float32")
            answers = _numbers(model([first, *labels] if labels else first, training=False))
            if answers.min() >= 0 and answers.max() <= 1 and answers.min() < answers.max():
                wanted = (
                    "logits, any number" if side == "discriminator" else "pictures in [-1, 1], such as tanh gives"
                )
                raise UsageError(f"the {side} outputs values within [0, 1], as a sigmoid does; expected {wanted}")

    def record(self) -> dict[str, Any]:
        """Return what ``run.json`` keeps: for each, its weights' names and shapes and a hash of its configuration."""
        return {side: account(getattr(self, side)) for side in SIDES}

    def require_same(self, recorded: Mapping[str, Any], run: str) -> None:
        """Raise ``GANForgeError`` if they are not those with which a run began."""
        for side in SIDES:
            before, now = recorded.get(side), account(getattr(self, side))
            if not isinstance(before, dict):
                raise GANForgeError(f"run.json of {run} is damaged: it does not say what its {side} was")
            for one, other in zip(before.get("weights", []), now["weights"], strict=False):
                if list(one) != other:
                    raise GANForgeError(
                        f"this {side} is not the one of {run}: its weight {other[0]} is {tuple(other[1])}, expected "
                        f"{one[0]}, {tuple(one[1])}"
                    )
            if len(before.get("weights", [])) != len(now["weights"]):
                raise GANForgeError(
                    f"this {side} is not the one of {run}: it has {len(now['weights'])} weights, expected "
                    f"{len(before.get('weights', []))}"
                )
            if before.get("sha256") != now["sha256"]:
                raise GANForgeError(
                    f"this {side} is not the one of {run}: its weights have the same shapes, but its layers have "
                    "other settings"
                )


def account(model: keras.Model) -> dict[str, Any]:
    """Return a network's weights' names and shapes, and a hash of its configuration without automatic names."""
    weights = [[weight.path.rpartition("/")[2], list(weight.shape)] for weight in model.weights]
    described = described_model(model)
    about = described if described is not None else {"class": type(model).__qualname__}
    text = json.dumps(_nameless(about), sort_keys=True, default=str)
    return {"class": type(model).__name__, "weights": weights, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def described_model(model: keras.Model) -> dict[str, Any] | None:
    """Return Keras's configuration of a model; None if its class does not provide one."""
    import keras

    try:
        described: dict[str, Any] = keras.saving.serialize_keras_object(model)
        json.dumps(described)
    except Exception:  # a class of one's own may say anything
        return None
    if not isinstance(described.get("config"), dict) or not isinstance(described["config"].get("layers"), list):
        return None
    return {**described, "compile_config": None}


def _nameless(described: Any) -> Any:
    """Return a description with layers numbered instead of named, since automatic names count up in a process."""
    numbers: dict[str, str] = {}

    def note(layer: dict[str, Any]) -> None:
        config = layer.get("config") or {}
        if isinstance(config.get("name"), str):
            numbers.setdefault(config["name"], f"#{len(numbers)}")
        for one in config.get("layers") or []:
            note(one)

    def named(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: named(one) for key, one in value.items() if key != "shared_object_id"}
        if isinstance(value, (list, tuple)):
            return [named(one) for one in value]
        return numbers.get(value, value) if isinstance(value, str) else value

    note(described)
    return named(described)


def _is_model(value: Any) -> bool:
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(value, keras.Model)


def _said(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"({', '.join(type(one).__name__ for one in value[:3])}{', …' * (len(value) > 3)})"
    return "one model" if _is_model(value) else shown(value)


def _inputs(model: Any) -> list[tuple[int | None, ...]]:
    """Return the shapes of a network's inputs, without the batch; none if it does not declare them."""
    try:
        inputs = model.inputs
    except (AttributeError, ValueError):
        return []
    return [tuple(one.shape[1:]) for one in inputs or []]


def _end(model: Any) -> str:
    """Return the name of a network's last activation; "" if it has none, or it is not known."""
    from ganforge.engine.keras_internals import last_operation

    operation = last_operation(model)
    activation = getattr(operation, "activation", None)
    if activation is None:
        return type(operation).__name__.lower() if operation is not None else ""
    return str(getattr(activation, "__name__", type(activation).__name__)).lower()


def _numbers(answer: Any) -> np.ndarray:
    import keras

    if isinstance(answer, Mapping):
        answer = answer["logits"]
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(answer, "float32")))
