"""Projection: finding the latents whose pictures are nearest to given ones, and showing the path to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganforge.errors import GANForgeError, UsageError, out_of_memory, reason
from ganforge.showing.pictures import Pictures
from ganforge.showing.tables import Part, Picture, Shown, Table

if TYPE_CHECKING:
    from ganforge import Run

STEPS, STARTS, CANDIDATES = 250, 4, 512
COLUMNS, FRAMES = 7, 48  # of the strip, besides the picture that was looked for; of the animation
Told = Callable[[int, int], None]  # (done, total)


class Projection(Shown):
    """The result of ``project``, one row for each picture.

    Attributes:
        names: the names of the pictures.
        targets: the given pictures at the generator's size and colours, uint8 (n, H, W, C).
        pictures: the nearest pictures that the generator draws, uint8 (n, H, W, C).
        latents: their latents, float32 (n, latent_dim).
        classes: the class of each, None if the generator takes no labels.
        psnr: the similarity, 10 log10(255² / mean squared error) in dB; infinite if they are identical.
        ways: the pictures on the path from the start to the result, uint8 (n, ``FRAMES``, H, W, C).
    """

    def __init__(self, run: Run, names: Sequence[str], targets: np.ndarray, found: Sequence[_Nearest]) -> None:
        self.run, self.names, self.targets = run, list(names), targets.view(Pictures)
        self.latents = np.stack([one.latent for one in found])
        self.classes = [one.class_name for one in found]
        self.ways = np.stack([one.way for one in found]).view(Pictures)
        self.pictures = self.ways[:, -1]
        self.psnr = np.array([psnr(one, other) for one, other in zip(self.pictures, targets)])

    def __len__(self) -> int:
        return len(self.names)

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield each picture's name, and in words how near its projection is."""
        for name, near, latent, of in zip(self.names, self.psnr, self.latents, self.classes):
            length = float(np.linalg.norm(latent)) / len(latent) ** 0.5
            words = "identical" if np.isinf(near) else f"{near:.1f} dB"
            yield name, f"{words}, latent {length:.2f} times as long as usual" + (f", class {of}" if of else "")

    def told(self) -> Iterable[Part]:
        from ganforge.showing.pictures import png

        yield f"{len(self)} picture{'s' * (len(self) != 1)} in the latent space of {self.run.id}"
        yield Table(list(self.rows()))
        yield Picture(png(self.strip))

    @property
    def strip(self) -> np.ndarray:
        """A row for each picture, uint8 (H, W, C): the path from the start to the result, then the picture itself."""
        from ganforge.media.grids import make_grid

        shown = np.concatenate([np.asarray(self.ways[:, _spread(COLUMNS)]), np.asarray(self.targets)[:, None]], 1)
        return make_grid(shown.reshape(-1, *shown.shape[2:]), COLUMNS + 1)

    def interpolate(self, a: int = 0, b: int = 1, frames: int = FRAMES) -> Pictures:
        """Return a walk from projection ``a`` to ``b`` and back, uint8 (2 frames, 1, H, W, C); see ``between``."""
        ends = (self.latents[a], self.latents[b])
        return between(self.run, ends, (self.classes[a], self.classes[b]), frames)

    def save(self, output: str | Path, fps: float = 16.0) -> list[Path]:
        """Write the strip (.png), and beside it the animation (.gif) and the latents (.npy); return their paths.

        In the animation, the given pictures are on the left.

        Raises:
            UsageError: ``output`` is not a .png.
            GANForgeError: a file cannot be written.
        """
        from ganforge.media.animation import make_animation
        from ganforge.media.grids import make_grid, save_png
        from ganforge.media.latents import save_latents

        strip, animation, latents = places(Path(output))
        frames = []
        for i in range(FRAMES):
            pair = np.stack([np.asarray(self.targets), np.asarray(self.ways[:, i])], 1)
            frames.append(make_grid(pair.reshape(-1, *pair.shape[2:]), 2 * _across(len(self))))
        try:
            strip.parent.mkdir(parents=True, exist_ok=True)
            save_png(self.strip, strip)
        except OSError as error:
            raise GANForgeError(f"{strip} cannot be written: {reason(error, kind=False)}") from None
        scale = 1 if frames[0].shape[1] >= 200 else 2
        make_animation(frames, [""] * FRAMES, animation, fps=fps, scale=scale, hold=2, caption=False)
        save_latents(self.latents, latents)
        return [strip, animation, latents]


@dataclass(frozen=True)
class _Nearest:
    latent: np.ndarray
    class_name: str | None
    way: np.ndarray


def between(
    run: Run, ends: tuple[np.ndarray, np.ndarray], classes: tuple[str | None, str | None], frames: int = FRAMES
) -> Pictures:
    """Return a walk from one latent to another and back, along the arc between them, uint8 (2 frames, 1, H, W, C).

    If the two ends are of different classes, each half is drawn in the class of its end.
    """
    from ganforge.media.latents import spherical

    at = np.linspace(0, 1, frames)
    there = np.stack([spherical(*ends, float(t)) for t in at])
    parts = [(there[at < 0.5], classes[0]), (there[at >= 0.5], classes[1])]
    drawn = np.concatenate([np.asarray(run.decode(part, of)) for part, of in parts if len(part)])
    return np.concatenate([drawn, drawn[::-1]])[:, None].view(Pictures)


def places(output: Path) -> tuple[Path, Path, Path]:
    """Return where the strip, the animation and the latents go. Raises where one cannot be written."""
    from ganforge.files import require_file

    if output.suffix.lower() != ".png" or output.is_dir():
        raise UsageError(f"invalid --output {output}: expected a .png; a .gif and a .npy are written beside it")
    found = output, output.with_suffix(".gif"), output.with_suffix(".npy")
    for one in found:
        require_file(one)
    return found


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio of two uint8 pictures in dB, infinite where they are the same."""
    error = _error(one, other)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def project(
    run: Run,
    pictures: Any,
    *,
    starts: int = STARTS,
    steps: int = STEPS,
    seed: int = 0,
    class_name: str | None = None,
    features: str = "pixels",
    progress: Told | None = None,
) -> Projection:
    """Find the latents whose pictures are nearest to given ones.

    The search for each picture starts from ``starts`` latents: of 512 random ones, those whose pictures are nearest.
    Adam minimizes the distance for ``steps`` steps from each, and the nearest latent found on the way is kept.

    Args:
        pictures: a file, several files, or an array uint8 (n, H, W, C) of the run's own size. Files are read like
            the run's training pictures: size, ``--fit``, colours, range.
        starts: number of latents to start from.
        steps: Adam steps from each start.
        seed: random seed for the starts.
        class_name: search only this class. Without it, the search in a conditional generator tries as many classes
            as there are ``starts``.
        features: ``pixels``, or ``imagenet`` to compare features of an ImageNet network too
            (``ganforge.latent.distance``).
        progress: called with (done, total).

    Raises:
        UsageError: a setting is invalid, the run makes vectors, or the array does not have the run's shape.
        GANForgeError: a file cannot be read, the generator cannot be opened, or it has no gradient.
    """
    from ganforge.engine.randomness import fixed_latents
    from ganforge.latent.distance import judging, require_features
    from ganforge.latent.search import descend, starting
    from ganforge.media.latents import labels_of

    for flag, value in (("--starts", starts), ("--steps", steps)):
        if value < 1:
            raise UsageError(f"invalid {flag} {value}: expected 1 or more")
    names, targets = taken(run, pictures)
    model = run.generator()  # chooses the backend, before anything imports Keras
    require_features(features)
    from ganforge.engine.backends import make_adapter

    candidates = fixed_latents(max(CANDIDATES, starts), run.config.latent_dim or 0, seed, "projections")
    labels = labels_of(len(candidates), run.classes, class_name, None, run.id)
    parts = run.decoded(candidates, class_name)
    distances = np.array([[_error(one, target) for target in targets] for part in parts for one in part])
    slopes = make_adapter(model.variables).slopes(model, judging(model, features))
    found, total = list[_Nearest](), len(targets) * steps
    for i, target in enumerate(targets):
        rows = starting(distances[:, i], labels[0] if labels and class_name is None else None, starts)
        wanted = np.repeat((target.astype(np.float32) / 127.5 - 1.0)[None], starts, 0)
        fixed = [wanted, *(one[rows] for one in labels)]

        def told(step: int, done: int = i * steps) -> None:
            if progress:
                progress(done + step, total)

        def judged(latents: np.ndarray, fixed: list[np.ndarray] = fixed) -> tuple[np.ndarray, np.ndarray]:
            return slopes(latents, *fixed)

        try:
            best = descend(judged, candidates[rows], steps, told)
        except Exception as error:  # whatever a network from anywhere makes of latents and labels
            if out_of_memory(error):
                raise
            raise GANForgeError(f"the generator.keras of {run.id} has no gradient: {reason(error)}") from error
        of = run.classes[labels[0][rows[best.start]]] if labels else None
        found.append(_Nearest(best.latent, of, np.asarray(run.decode(best.way[_steps(len(best.way))], of))))
    return Projection(run, names, targets, found)


def taken(run: Run, pictures: Any) -> tuple[list[str], np.ndarray]:
    """Return the names of pictures, and the pictures read like the run's training pictures, uint8 (n, H, W, C).

    Raises:
        UsageError: there are none, the run makes vectors, or an array does not have the run's shape.
        GANForgeError: a file cannot be read.
    """
    from ganforge.data.decode import Reading
    from ganforge.data.reading import read_picture
    from ganforge.plugin.sizes import size_of
    from ganforge.training.config import range_of_run

    shape = tuple(run.manifest["image_shape"])
    if len(shape) == 1:
        raise UsageError(f"projecting is for pictures; {run.id} makes vectors")
    if isinstance(pictures, np.ndarray):
        array = np.asarray(pictures)
        array = array[None] if array.ndim == 3 else array
        if array.dtype != np.uint8 or array.shape[1:] != shape or not len(array):
            wanted = ", ".join(map(str, shape))
            raise UsageError(f"invalid pictures: {array.dtype} {array.shape}; expected uint8 (n, {wanted}), or files")
        return [f"picture {i}" for i in range(len(array))], array
    paths = [Path(pictures)] if isinstance(pictures, (str, Path)) else [Path(one) for one in pictures]
    if not paths:
        raise UsageError("there is nothing to project; expected one or more pictures")
    config = run.config
    reading = Reading(size_of(shape[0], shape[1]), shape[2], config.fit, config.background)
    value_range = range_of_run(run.manifest)
    return [one.name for one in paths], np.stack([read_picture(one, reading, value_range) for one in paths])


def _error(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.mean((np.asarray(one, np.float64) - np.asarray(other, np.float64)) ** 2))


def _across(count: int) -> int:
    """Return how many pairs stand side by side in a frame of the animation."""
    return max(1, round(math.sqrt(count / 2)))


def _spread(count: int) -> np.ndarray:
    """Return which of the ``FRAMES`` a strip of ``count`` shows: the first and the last among them."""
    return np.linspace(0, FRAMES - 1, count).round().astype(int)


def _steps(count: int) -> np.ndarray:
    """Return the steps of a way that are shown, of ``count``: closer together at first, where most happens."""
    return np.rint((count - 1) * np.linspace(0, 1, FRAMES) ** 2).astype(int)
