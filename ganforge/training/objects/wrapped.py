"""Losses and optimizers of Keras as GANForge's own, with what ``run.json`` needs to make plain ones again."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from ganforge.backend import decide_backend
from ganforge.errors import GANForgeError, UsageError, reason, shown
from ganforge.plugin.loss import Loss
from ganforge.plugin.optimizer import Optimizer


def keras_loss(value: Any, backend: str | None = None) -> tuple[Loss, dict[str, Any] | None]:
    """Return a Keras loss, or a function ``(y_true, logits)``, as the loss of both networks.

    The discriminator's loss is the sum of the means for real images, with label 1, and for fakes, with label 0; the
    generator's is the mean for fakes with label 1. A loss with one number per image is averaged. ``backend`` is the
    one that the run asks for.

    Raises:
        UsageError: it is neither, or takes probabilities.
    """
    if isinstance(value, type) or not callable(value):
        raise UsageError(
            f"loss is {shown(value)}; expected a name, a ganforge.Loss, a Keras loss such as "
            "keras.losses.BinaryCrossentropy(from_logits=True), or a function (y_true, logits)"
        )
    name = _name(str(getattr(value, "name", None) or getattr(value, "__name__", type(value).__name__)))
    if _from_logits(value) is False:
        raise UsageError(
            f"the loss '{name}' takes probabilities, but the discriminator gives logits; expected from_logits=True"
        )

    decide_backend(backend)  # before Keras is imported, by that function perhaps

    def measured(logits: Any, labels: Any) -> Any:
        from keras import ops

        try:
            answer = value(ops.broadcast_to(labels, ops.shape(logits)), logits)
        except GANForgeError:
            raise
        except Exception as error:
            raise GANForgeError(f"loss '{name}' raised {reason(error)}") from error
        return ops.mean(answer)

    def discriminator(real_logits: Any, fake_logits: Any, real_labels: Any, fake_labels: Any) -> Any:
        return measured(real_logits, real_labels) + measured(fake_logits, fake_labels)

    def generator(fake_logits: Any, labels: Any) -> Any:
        return measured(fake_logits, labels)

    # Whether it has a slope at every fake is not known.
    loss = Loss(name, discriminator, generator, one_stage=False, boundary=_boundary(measured))
    return loss, _plain(value, "losses", name)


def keras_optimizer(value: Any, setting: str = "optimizer") -> tuple[Optimizer, dict[str, Any] | None]:
    """Return a Keras optimizer as a recipe: each network trains with a new one of the same settings.

    Raises:
        UsageError: it is not a Keras optimizer.
    """
    import keras

    if not isinstance(value, keras.optimizers.Optimizer):
        raise UsageError(
            f"{setting} is {shown(value)}; expected a name such as 'adam:beta_2=0.99', a ganforge.Optimizer, or a "
            "Keras optimizer such as keras.optimizers.Adam(2e-4, beta_1=0.5)"
        )
    kind: Any = type(value)
    config = value.get_config()

    def build(options: Any) -> Any:  # noqa: ARG001 - the config says all
        return kind.from_config(dict(config))

    optimizer = Optimizer(_name(kind.__name__), build, summary=f"{kind.__name__} of Keras")
    return optimizer, _plain(value, "optimizers", kind.__name__)


def again(kind: str, kept: Mapping[str, Any]) -> Any:
    """Return the loss or optimizer that ``kept`` describes, a built-in Keras one with plain numbers and texts.

    Raises:
        GANForgeError: it names something else, or cannot be built.
    """
    import keras

    place, base = {
        "loss": (keras.losses, keras.losses.Loss),
        "optimizer": (keras.optimizers, keras.optimizers.Optimizer),
    }[kind]
    found = getattr(place, kept["class"], None) if isinstance(kept.get("class"), str) else None
    config = kept.get("config")
    if not (isinstance(found, type) and issubclass(found, base) and isinstance(config, dict) and _is_plain(config)):
        raise GANForgeError(f"run.json is damaged: its {kind} is not one of Keras's own")
    kind_of: Any = found
    try:
        return kind_of.from_config(dict(config))
    except Exception as error:
        raise GANForgeError(f"run.json is damaged: its {kind} cannot be made: {reason(error)}") from None


def _boundary(measured: Callable[[Any, Any], Any]) -> float:
    """Return the logit for which the loss of a real image equals that of a fake; 0 if there is none.

    It is 0 for cross-entropy on logits, and 0.5 for squared distances.
    """
    from keras import ops

    def lean(logit: float) -> float:
        at = ops.convert_to_tensor([[logit]], dtype="float32")
        return float(measured(at, ops.ones_like(at))) - float(measured(at, ops.zeros_like(at)))

    try:
        low, high = -4.0, 4.5
        if not lean(low) > 0 > lean(high):
            return 0.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if lean(middle) > 0 else (low, middle)
    except Exception:  # it may take no batch of one; what is wrong with it shows where it trains
        return 0.0
    return round(high, 3)


def _from_logits(value: Any) -> bool | None:
    """Return a loss's ``from_logits``; None if it has no such setting."""
    if callable(getattr(value, "get_config", None)):
        said = value.get_config().get("from_logits", getattr(value, "from_logits", None))
    else:
        try:
            given = inspect.signature(value).parameters.get("from_logits")
        except (TypeError, ValueError):
            return None
        said = given.default if given is not None else None
    return said if isinstance(said, bool) else None


def _plain(value: Any, module: str, name: str) -> dict[str, Any] | None:
    """Return the class and settings of a built-in Keras object; None if it contains custom code."""
    import keras

    kind = type(value)
    ours = kind.__module__.startswith("keras.src.") and hasattr(getattr(keras, module), kind.__name__)
    if not ours or not callable(getattr(value, "get_config", None)):
        return None
    config = value.get_config()
    return {"name": name, "class": kind.__name__, "config": config} if _is_plain(config) else None


def _is_plain(config: Mapping[str, Any]) -> bool:
    return all(value is None or isinstance(value, (bool, int, float, str)) for value in config.values())


def _name(text: str) -> str:
    """Return a name in lower-case letters, digits and dashes."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", text).lower()
    return re.sub(r"[^a-z0-9.]+", "-", words).strip("-.") or "own"
