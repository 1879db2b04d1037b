"""The optimizers that ship with GANForge; they register like those of any plugin.

Options that are None take the run's values: ``--learning-rate`` and ``--beta-1``, or the architecture's defaults. An
optimizer built without a run uses 0.0002 and 0.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import Field

from ganforge import Optimizer, Options, hookimpl

ganforge_api = 2

LEARNING_RATE, BETA_1 = 2e-4, 0.5


class WithRate(Options):
    learning_rate: float | None = Field(None, gt=0, description="learning rate; by default the run's")


class AdamOptions(WithRate):
    beta_1: float | None = Field(None, ge=0, lt=1, description="decay of the mean gradient; by default the run's")
    beta_2: float = Field(0.999, ge=0, lt=1, description="decay of the mean squared gradient")
    epsilon: float = Field(1e-8, gt=0, description="added to the denominator, against division by 0")


class AdamWOptions(AdamOptions):
    weight_decay: float = Field(0.01, ge=0, description="each step shrinks weights by the learning rate times this")


class RMSpropOptions(WithRate):
    rho: float = Field(0.9, ge=0, lt=1, description="decay of the mean squared gradient")
    momentum: float = Field(0.0, ge=0, lt=1, description="fraction of the previous update that is added")
    epsilon: float = Field(1e-7, gt=0, description="added to the denominator, against division by 0")


class SGDOptions(WithRate):
    momentum: float = Field(0.0, ge=0, lt=1, description="fraction of the previous update that is added")
    nesterov: bool = Field(False, description="use Nesterov momentum")


def adam(options: AdamOptions) -> Any:
    """Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization"; beta_1 0.5: Radford et al. 2016 (DCGAN)."""
    import keras

    return keras.optimizers.Adam(**settings(options))


def adamw(options: AdamWOptions) -> Any:
    """Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2."""
    import keras

    return keras.optimizers.AdamW(**settings(options))


def rmsprop(options: RMSpropOptions) -> Any:
    """Hinton 2012, lecture 6e; for critics, Arjovsky et al. 2017, "Wasserstein GAN", algorithm 1."""
    import keras

    return keras.optimizers.RMSprop(**settings(options))


def sgd(options: SGDOptions) -> Any:
    """v ← momentum v - rate g, w ← w + v; Nesterov: Sutskever et al. 2013, "On the importance of initialization"."""
    import keras

    return keras.optimizers.SGD(**settings(options))


def optimistic_adam(options: AdamOptions) -> Any:
    """Daskalakis et al. 2018, "Training GANs with Optimism", algorithm 1."""
    from ganforge.optimizers.optimistic_adam import OptimisticAdam

    return OptimisticAdam(**settings(options))


def settings(options: Options) -> dict[str, Any]:
    """Return the arguments of the Keras optimizer."""
    given = options.model_dump()
    general = {"learning_rate": LEARNING_RATE, "beta_1": BETA_1}
    return {name: general.get(name) if value is None else value for name, value in given.items()}


@hookimpl
def register_optimizers(register: Callable[[Optimizer], None]) -> None:
    register(Optimizer("adam", adam, AdamOptions, "Adam: adapts the step size of each weight"))
    register(Optimizer("adamw", adamw, AdamWOptions, "Adam with decoupled weight decay"))
    register(Optimizer("rmsprop", rmsprop, RMSpropOptions, "Like Adam, without the mean of past gradients"))
    register(Optimizer("sgd", sgd, SGDOptions, "Stochastic gradient descent, optionally with momentum"))
    register(
        Optimizer(
            "optimistic-adam", optimistic_adam, AdamOptions, "Adam that forecasts the other network's next move"
        )
    )
