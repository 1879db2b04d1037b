"""The plugin contract, whole: what a plugin may implement, when it is called and with what.

Every name a plugin can implement stands below, in the order of the loop (Goodfellow et al. 2014, algorithm 1)::

    register_architectures, register_strategies,         # once, when plugins are discovered
    register_losses, register_datasets

    configure_run(config)                                # host, once: before the networks exist
    G, D = architecture.generator(...), architecture.discriminator(...)
    run_started(run)

    for each step, with its batch of real images:
        plan_step(progress, signals)                     # host: this step's scalars

        for each discriminator update:                   # ---- traced: runs inside the compiled step ----
            fakes = G(latents)
            for images in (real, fakes):
                images = discriminator_images(images, real, controls, random)
                labels = discriminator_labels(labels, real, controls, random)      # real 1, fake 0
                logits = D(images)
            loss = loss(logits, labels) + discriminator_penalty(discriminator, real, fake, controls, ...)
            D = D - gradient

        for each generator update:                       # the first one uses the *same* fakes
            images = discriminator_images(fakes, real=False, controls, random)
            loss = loss(D(images), labels = 1)           # the updated D, frozen
            G = G - gradient
                                                         # ---- end of traced code ----
        step_ended(step)
        at the end of an epoch:  epoch_ended(epoch);  when a grid is saved:  snapshot_taken(snapshot)

    run_ended(run, outcome)

Host hooks run as ordinary Python, every time. Traced hooks run *once*, when the step is compiled (every step on
torch, which is eager by default): use ``keras.ops`` only, and let everything that changes come in through
``controls``. They compose in the order given on the command line. An implementation names only the arguments it
needs. Since hook API version 1 unless said otherwise.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ganforge.plugin.types import EpochInfo, Progress, Random, RunConfig, RunInfo, SnapshotInfo, StepInfo

# A plugin may say which version it was written for: ``ganforge_api = 1`` in its module.
HOOK_API_VERSION = 1
OLDEST_HOOK_API_VERSION = 1

hookspec = pluggy.HookspecMarker("ganforge")
hookimpl = pluggy.HookimplMarker("ganforge")

TRACED_HOOKS = ("discriminator_images", "discriminator_labels", "discriminator_penalty")
STRATEGY_HOOKS = ("configure_run", "plan_step", *TRACED_HOOKS)
OBSERVER_HOOKS = ("run_started", "step_ended", "epoch_ended", "snapshot_taken", "run_ended")


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


# ------------------------------------------------------------------ a run: host


@hookspec
def configure_run(config: RunConfig) -> None:
    """Change the configuration before the networks exist (once a run, on active strategies).

    ``config.generator_options`` and ``config.discriminator_options`` are dicts of the architecture's options, one
    for each network, so that one side can be made stronger; ``config.learning_rate`` and ``config.loss_options``
    may be changed too. Everything is validated again afterwards. The rest (``architecture``, ``image_shape``,
    ``latent_dim``, ``batch_size``, ``epochs``, ``loss``) can be read; assigning to it is an error.
    """


@hookspec
def plan_step(progress: Progress, signals: Mapping[str, float]) -> dict[str, float] | None:
    """Return this step's scalars (before each step, on active strategies): the same names every step.

    Shared names the engine acts on: ``generator_lr`` and ``discriminator_lr`` (multipliers; they multiply across
    strategies), ``generator_steps`` and ``discriminator_steps`` (whole numbers from 1; at most one strategy may set
    each). Any other name is the strategy's own and reaches its traced hooks in ``controls``.

    ``progress`` has ``step``, ``steps``, ``epoch``, ``epochs`` and ``fraction`` in [0, 1]. ``signals`` holds what
    was last measured: ``d_loss``, ``g_loss``, ``d_real`` and ``d_fake`` (mean sigmoids), ``d_real_logit`` and
    ``d_fake_logit`` (means), ``d_accuracy``, ``d_real_sign`` (E[sign D(real)], from the loss's boundary; of pairs
    where it has none), what strategies add under their names, and in ``step`` after how many steps. It is empty
    before the first measurement and some steps late ever after, so that the device never waits. Two measurements may
    be alike in all but ``step``.
    """


# ------------------------------------------------------------------ a run: traced


@hookspec
def discriminator_images(images: Any, real: bool, controls: Mapping[str, Any], random: Random) -> Any:
    """Return what the discriminator sees instead of ``images``: (B, H, W, C) in [-1, 1], same shape out.

    ``real`` is a Python bool. Fakes pass here in the generator's update as well, and gradients flow through.
    """


@hookspec
def discriminator_labels(labels: Any, real: bool, controls: Mapping[str, Any], random: Random) -> Any:
    """Return what the discriminator is told instead of ``labels``: (B, 1), 1 for real and 0 for fake.

    Not called in the generator's update, whose label is always "real".
    """


@hookspec
def discriminator_penalty(
    discriminator: Callable[[Any], Any],
    real: Any,
    fake: Any,
    controls: Mapping[str, Any],
    random: Random,
    gradient: Callable[[Callable[[Any], Any], Any], Any],
) -> Any:
    """Return a scalar added to the discriminator's loss, such as R1.

    ``discriminator(images)`` gives logits (B, 1) through every active ``discriminator_images``. ``real`` and
    ``fake`` are (B, H, W, C) in [-1, 1]. ``gradient(f, x)`` is d sum(f(x)) / dx, itself differentiable.
    """


# ------------------------------------------------------------------ a run: observers and strategies, host


@hookspec
def run_started(run: RunInfo) -> None:
    """Called once, when the networks exist and before the first step."""


@hookspec
def step_ended(step: StepInfo) -> None:
    """Called after every step. ``step.metrics`` is filled only on logged steps, else empty: nothing waits."""


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
