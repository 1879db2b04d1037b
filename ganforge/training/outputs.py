"""The files of a run for people to open: its networks' description, the generator, the curves, the animation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganforge.backend import quietly
from ganforge.errors import log, reason
from ganforge.files import replacing, write_atomic
from ganforge.runs import read_history
from ganforge.runs.progression import make_progression
from ganforge.training.objects.saved import NAME as NETWORKS
from ganforge.training.objects.saved import write_networks
from ganforge.training.setup import Setup

FRAMES = 100  # of the animation that a run leaves, about
# Without all of these a run that has trained to its end is not done: resuming it makes them.
FINAL_FILES = ("generator.keras", "losses.png", "progression.gif")


def write_architecture(setup: Setup, run: Path) -> None:
    """Write the networks' description and drawing, unless they exist: they are complete or absent."""
    from ganforge.media.diagram import architecture_text, draw_architecture

    text, drawing = run / "architecture.txt", run / "architecture.png"
    if not text.is_file():
        write_atomic(text, architecture_text(setup.networks).encode())
    if not drawing.is_file():
        *sides, last = setup.image_shape
        size = "×".join(map(str, reversed(sides))) if sides else f"{last} number{'s' * (last > 1)}"
        draw_architecture(setup.networks, drawing, title=f"{setup.choices.architecture.name} · {size}")


def describe_networks(setup: Setup, run: Path) -> None:
    """Write the configuration of networks given as objects, if they consist of plain layers."""
    networks = setup.choices.objects.networks
    if networks is not None and not (run / NETWORKS).is_file():
        write_networks(networks, run)


def write_trained(setup: Setup, run: Path) -> None:
    """Write ``discriminator.keras`` and ``generator.keras``.

    An architecture must have a generator that Keras can save, but not such a discriminator: a failure to save that
    one is only a warning.
    """
    with setup.engine.showing():
        try:
            save_network(setup.engine.discriminator, run / "discriminator.keras")
        except (OSError, MemoryError):
            raise
        except Exception as error:
            log.warning("discriminator.keras of %s could not be saved: %s", run.name, reason(error))
        save_network(setup.engine.generator, run / "generator.keras")


def draw_products(setup: Setup, run: Path) -> Path | None:
    """Draw ``losses.png`` and ``progression.gif``; return the animation's path, or None.

    They are drawn from saved files when a run is over, and can be drawn again: a failure is only a warning, and does
    not change how the run ended.
    """
    animation = None
    for name, draw in (
        ("losses.png", lambda: draw_curves(setup, run)),
        ("progression.gif", lambda: make_progression(run, most=FRAMES)),
    ):
        try:
            animation = draw()
        except Exception as error:
            log.warning("%s of %s could not be drawn: %s", name, run.name, reason(error))
            animation = None
    return animation


def draw_curves(setup: Setup, run: Path) -> None:
    """Draw ``losses.png``."""
    from ganforge.media.curves import plot_losses

    if lines := read_history(run):
        balance = " + ".join(setup.settings.balance) or "no balancing"
        plot_losses(lines, run / "losses.png", title=f"{setup.settings.arch} · {balance}")


def save_network(network: Any, path: Path) -> None:
    """Save a plain Keras model, whole or not at all."""
    with replacing(path) as file, quietly():
        network.save(file.name)
