"""The plugin contract, whole: what a plugin may implement, when it is called and with what.

Every name a plugin can implement stands below, in the order of the loop (Goodfellow et al. 2014, algorithm 1)::

    register_architectures, register_strategies,         # once, when plugins are discovered
    register_losses, register_datasets,
    register_optimizers, register_loggers

    configure_run(config)                                # host, once: before the networks exist
    G, D = architecture.generator(...), architecture.discriminator(...)
    state = strategy.initial_state(image_shape, batch_size)      # an ordinary method
    run_started(run)

    for each step, with its batch of real images:
        plan_step(progress, signals)                     # host: this step's scalars

        for each discriminator update:                   # ---- traced: runs inside the compiled step ----
            fakes = G(latents)
            for images in (real, fakes):
                images = discriminator_images(images, real, controls, random, state)
                labels = discriminator_labels(labels, real, controls, random, state)     # real 1, fake 0
                logits = D(images)
            loss = loss(logits, labels) + discriminator_penalty(discriminator, real, fake, ...)
            D = D - gradient

        for each generator update:                       # the first one uses the *same* fakes
            images = discriminator_images(fakes, real=False, ...)
            loss = loss(D(images), labels = 1)           # the updated D, frozen
            loss = loss + generator_penalty(generator, discriminator, latents, fake, ...)
            G = G - gradient

        state = update_state(state, controls, metrics, random)   # once, after the first update of each network
        G, D = after_step(generator_weights, discriminator_weights, state, controls)
                                                         # ---- end of traced code ----
        step_ended(step)
        at the end of an epoch:  epoch_ended(epoch);  when a grid is saved:  snapshot_taken(snapshot)

    run_ended(run, outcome)

Host hooks run as ordinary Python, every time. Traced hooks run *once*, when the step is compiled (every step on
torch, which is eager by default): use ``keras.ops`` only, and let everything that changes come in through
``controls`` and ``state``. They compose in the order given on the command line. A traced hook may return
``(result, {name: scalar})``: the scalars are logged as ``strategy/name`` and are in the strategy's own ``signals`` as
``name``. An implementation names only the arguments it needs. Since hook API version 1 unless said otherwise.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ganforge.plugin.types import EpochInfo, Progress, Random, RunConfig, RunInfo, SnapshotInfo, StepInfo

# A plugin may say which version it was written for: ``ganforge_api = 1`` in its module.
HOOK_API_VERSION = 2
OLDEST_HOOK_API_VERSION = 1

hookspec = pluggy.HookspecMarker("ganforge")
hookimpl = pluggy.HookimplMarker("ganforge")

TRACED_HOOKS = (
    *("discriminator_images", "discriminator_labels", "discriminator_penalty"),
    *("generator_penalty", "update_state", "after_step"),
)
STRATEGY_HOOKS = ("configure_run", "plan_step", *TRACED_HOOKS)
OBSERVER_HOOKS = ("run_started", "step_ended", "epoch_ended", "snapshot_taken", "run_ended")

# An ordinary method of a strategy, and what it may name.
INITIAL_STATE = ("image_shape", "batch_size", "generator_weights", "discriminator_weights")

SINCE_2 = frozenset({"register_optimizers", "register_loggers", "generator_penalty", "update_state", "after_step"})


# ------------------------------------------------------------------ registration, called once


@hookspec
def register_architectures(register: Callable[[Any], None]) -> None:
    """Call ``register(Architecture(...))`` for each architecture the plugin brings."""


@hookspec
def register_strategies(register: Callable[[Any], None]) -> None:
    """Call ``register(StrategyClass)`` for each balancing strategy: the class, not an instance."""


@hookspec
def register_losses(register: Callable[[Any], None]) -> None:
    """Call ``register(Loss(...))`` for each adversarial loss."""


@hookspec
def register_datasets(register: Callable[[Any], None]) -> None:
    """Call ``register(DatasetSource(...))`` for each source of pictures."""


@hookspec
def register_optimizers(register: Callable[[Any], None]) -> None:
    """Call ``register(Optimizer(...))`` for each optimizer. Since version 2."""


@hookspec
def register_loggers(register: Callable[[Any], None]) -> None:
    """Call ``register(Logger(...))`` for each place that ``--log`` writes to. Since version 2."""


# ------------------------------------------------------------------ a run: host


@hookspec
def configure_run(config: RunConfig) -> None:
    """Change the configuration before the networks exist (once a run, on active strategies).

    ``config.generator_options`` and ``config.discriminator_options`` are dicts of the architecture's options, one
    for each network, so that one side can be made stronger; ``config.learning_rate`` and ``config.loss_options``
    may be changed too. Everything is validated again afterwards. The rest (``architecture``, ``image_shape``,
    ``latent_dim``, ``batch_size``, ``epochs``, ``loss``) is read-only.
    """


@hookspec
def plan_step(progress: Progress, signals: Mapping[str, float]) -> dict[str, float] | None:
    """Return this step's scalars (before each step, on active strategies): the same names every step.

    Shared names that the engine acts on: ``generator_lr`` and ``discriminator_lr`` (multipliers; they multiply across
    strategies), ``generator_steps`` and ``discriminator_steps`` (whole numbers from 0, not both 0; a network that
    is not updated does not change at all, and its metrics keep their last value). Since version 2, absolute values:
    ``generator_beta_1``, ``generator_beta_2``, ``discriminator_beta_1``, ``discriminator_beta_2`` (refused if the
    optimizer has none) and ``ema_decay`` (refused without ``--ema``). At most one strategy may set a count or an
    absolute value. Any other name is the strategy's own and reaches its traced hooks in ``controls``.

    ``progress`` has ``step``, ``steps``, ``epoch``, ``epochs`` and ``fraction`` in [0, 1]. ``signals`` holds the
    last measurements: ``d_loss``, ``g_loss``, ``d_real`` and ``d_fake`` (mean sigmoids), ``d_real_logit`` and
    ``d_fake_logit`` (means), ``d_accuracy``, ``d_real_sign`` (E[sign D(real)], from the loss's boundary; of pairs
    if it has none), scalars from the strategy's own hooks, and ``step``, the number of steps completed. It is empty
    before the first measurement and several steps old afterwards, so that the device never waits. Two measurements
    may differ only in ``step``.
    """


# ------------------------------------------------------------------ a run: traced


@hookspec
def discriminator_images(images: Any, real: bool, controls: Mapping[str, Any], random: Random, state: Any) -> Any:
    """Return what the discriminator sees instead of ``images``: (B, H, W, C) in [-1, 1], same shape out.

    ``real`` is a Python bool. Fakes also pass through it in the generator's update, and gradients flow through.
    """


@hookspec
def discriminator_labels(labels: Any, real: bool, controls: Mapping[str, Any], random: Random, state: Any) -> Any:
    """Return the discriminator's target labels instead of ``labels``: (B, 1), 1 for real and 0 for fake.

    Not called in the generator's update, whose target label is always "real".
    """


@hookspec
def discriminator_penalty(
    discriminator: Callable[..., Any],
    real: Any,
    fake: Any,
    controls: Mapping[str, Any],
    random: Random,
    gradient: Callable[[Callable[[Any], Any], Any], Any],
    real_logits: Any,
    fake_logits: Any,
    real_features: Any,
    fake_features: Any,
    state: Any,
) -> Any:
    """Return a scalar added to the discriminator's loss, such as R1.

    ``discriminator(images)`` returns logits (B, K) after every active ``discriminator_images``, as for real
    images; ``discriminator(images, real=False)`` as for fakes. n < B rows have the classes of rows 0 … n-1 of the
    batch.
    ``real`` and ``fake`` are (B, H, W, C) in [-1, 1]. ``gradient(f, x)`` is d sum(f(x)) / dx, itself
    differentiable; if f returns the discriminator's logits, it is that of their mean over K, summed over rows.

    Since version 2: ``real_logits`` and ``fake_logits`` are this update's own, (B, K), differentiable;
    ``real_features`` and ``fake_features`` likewise, refused if the discriminator returns none.
    """


@hookspec
def generator_penalty(
    generator: Callable[[Any], Any],
    discriminator: Callable[..., Any],
    latents: Any,
    fake: Any,
    controls: Mapping[str, Any],
    random: Random,
    gradient: Callable[[Callable[[Any], Any], Any], Any],
    state: Any,
) -> Any:
    """Return a scalar added to the generator's loss, in each of its updates. Since version 2.

    ``latents`` are (B, latent_dim) and ``fake`` the images this update made from them, (B, H, W, C).
    ``generator(z)`` makes more, in training mode, without changing batch statistics. Gradients through both reach
    the generator's weights, but not the discriminator's. ``discriminator(images)`` returns logits (B, K) as for
    fakes.
    """


@hookspec
def update_state(state: Any, controls: Mapping[str, Any], metrics: Mapping[str, Any], random: Random) -> Any:
    """Return the strategy's new device state: structure, shapes and dtypes as in ``initial_state``. Since version 2.

    Called once per step, after its main update. ``metrics`` are that update's, 0-d tensors; they exclude those of
    a network that is not updated in this step.
    """


@hookspec
def after_step(
    generator_weights: list[Any], discriminator_weights: list[Any], state: Any, controls: Mapping[str, Any]
) -> Any:
    """Return ``(generator_weights, discriminator_weights)``, such as averaged or clipped ones. Since version 2.

    Called once per step, after ``update_state`` and with its result. Both are lists of tensors, the trainable
    weights in their order; None leaves a network unchanged. A strategy that keeps weights in its state may return
    ``(generator_weights, discriminator_weights, state)``.
    """


# ------------------------------------------------------------------ a run: observers and strategies, host


@hookspec
def run_started(run: RunInfo) -> None:
    """Called once, when the networks exist and before the first step."""


@hookspec
def step_ended(step: StepInfo) -> None:
    """Called after every step. ``step.metrics`` is empty except on logged steps, so nothing waits."""


@hookspec
def epoch_ended(epoch: EpochInfo) -> None:
    """Called after the last step of each epoch."""


@hookspec
def snapshot_taken(snapshot: SnapshotInfo) -> None:
    """Called after each saved grid, with its path and its uint8 pictures (N, H, W, C)."""


@hookspec
def run_ended(run: RunInfo, outcome: str) -> None:
    """Called once at the end; ``outcome`` is ``"finished"``, ``"stopped"`` (Ctrl-C) or ``"failed"``."""


# Every hook, with the arguments it may be given.
HOOKS = {
    name: tuple(inspect.signature(spec).parameters)
    for name, spec in list(globals().items())
    if hasattr(spec, "ganforge_spec")
}


def hooks_of(version: int) -> dict[str, tuple[str, ...]]:
    """Return the hooks that a plugin written for a version of them knows, with their arguments.

    A name that came later may be a helper's there, until it is marked.
    """
    return {name: arguments for name, arguments in HOOKS.items() if version >= 2 or name not in SINCE_2}
