"""What a run leaves for people to open: its networks' description, the generator, the curves, the animation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.backend import quietly
from ganforge.files import replacing, write_atomic
from ganforge.runs import read_metrics
from ganforge.runs.progression import make_progression

if TYPE_CHECKING:
    from ganforge.training.setup import Training

# Without all of these a run that has trained to its end is not done: resuming it makes them.
FINAL_FILES = ("generator.keras", "losses.png", "progression.gif")


def write_architecture(training: Training, run: Path) -> None:
    """Write the networks' description and drawing, unless they are there: they are whole or absent."""
    from ganforge.media.diagram import architecture_text, draw_architecture

    text, drawing = run / "architecture.txt", run / "architecture.png"
    if not text.is_file():
        write_atomic(text, architecture_text(training.networks).encode())
    if not drawing.is_file():
        title = f"{training.arch.name} · {training.config.image_size}×{training.config.image_size}"
        draw_architecture(training.networks, drawing, title=title)


def write_products(training: Training, run: Path) -> Path:
    """Write ``FINAL_FILES`` of networks, metrics and snapshots as they are; return the animation's path."""
    with training.engine.showing():
        save_generator(training.generator, run / "generator.keras")
    draw_curves(training, run)
    return make_progression(run)


def draw_curves(training: Training, run: Path) -> None:
    """Draw ``losses.png``."""
    from ganforge.media.curves import plot_losses

    if lines := read_metrics(run):
        balance = " + ".join(training.config.balance) or "no balancing"
        plot_losses(lines, run / "losses.png", title=f"{training.config.arch} · {balance}")


def save_generator(generator: Any, path: Path) -> None:
    """Save a plain Keras model, whole or not at all."""
    with replacing(path) as file, quietly():
        generator.save(file.name)
