"""What a run leaves for people to open: its networks' description, the generator, the curves, the animation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganforge.backend import quietly
from ganforge.files import replacing, write_atomic
from ganforge.runs import read_metrics
from ganforge.runs.progression import make_progression
from ganforge.training.setup import Setup

# Without all of these a run that has trained to its end is not done: resuming it makes them.
FINAL_FILES = ("generator.keras", "losses.png", "progression.gif")


def write_architecture(setup: Setup, run: Path) -> None:
    """Write the networks' description and drawing, unless they are there: they are whole or absent."""
    from ganforge.media.diagram import architecture_text, draw_architecture

    text, drawing = run / "architecture.txt", run / "architecture.png"
    if not text.is_file():
        write_atomic(text, architecture_text(setup.networks).encode())
    if not drawing.is_file():
        *sides, last = setup.image_shape
        size = "×".join(map(str, sides)) if sides else f"{last} number{'s' * (last > 1)}"
        draw_architecture(setup.networks, drawing, title=f"{setup.choices.architecture.name} · {size}")


def write_outputs(setup: Setup, run: Path) -> Path:
    """Write ``FINAL_FILES`` of networks, metrics and snapshots as they are; return the animation's path."""
    with setup.engine.showing():
        save_generator(setup.engine.generator, run / "generator.keras")
    draw_curves(setup, run)
    return make_progression(run)


def draw_curves(setup: Setup, run: Path) -> None:
    """Draw ``losses.png``."""
    from ganforge.media.curves import plot_losses

    if lines := read_metrics(run):
        balance = " + ".join(setup.settings.balance) or "no balancing"
        plot_losses(lines, run / "losses.png", title=f"{setup.settings.arch} · {balance}")


def save_generator(generator: Any, path: Path) -> None:
    """Save a plain Keras model, whole or not at all."""
    with replacing(path) as file, quietly():
        generator.save(file.name)
