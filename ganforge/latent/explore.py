"""A page that shows how a generator's pictures change along directions of the latent space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganforge.errors import GANForgeError, UsageError, reason

if TYPE_CHECKING:
    from ganforge import Run
    from ganforge.latent.directions import Directions

COUNT, SEEDS, COLUMNS, STRENGTH = 10, 5, 9, 3.0


def find(run: Run, count: int = COUNT, class_name: str | None = None) -> Directions:
    """Return the first ``count`` directions of a run's generator; see ``ganforge.latent.directions``.

    Raises:
        UsageError: ``count`` is below 1, or there is no such class.
        GANForgeError: the generator cannot be opened.
    """
    from ganforge.latent.directions import directions
    from ganforge.media.latents import labels_of

    if count < 1:
        raise UsageError(f"invalid --directions {count}: expected 1 or more")
    labels_of(1, run.classes, class_name, None, run.id)
    model = run.generator()  # chooses the backend, before anything imports Keras
    from ganforge.engine.backends import make_adapter

    generate = make_adapter(model.variables).inference(model)

    def draw(latents: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [
                generate(latents[i : i + 64], *labels_of(len(latents[i : i + 64]), run.classes, of, None, run.id))
                for i in range(0, len(latents), 64)
            ]
        )

    of = class_name or (run.classes[0] if run.classes else None)
    return directions(model, draw, run.config.latent_dim or 0, count)


def explore(
    run: Run,
    output: Path | None = None,
    *,
    count: int = COUNT,
    seeds: int = SEEDS,
    strength: float = STRENGTH,
    class_name: str | None = None,
) -> Path:
    """Write a self-contained page: a sheet for each direction, a row for each latent.

    Along a direction v of length 1, the latents are z + t v with t from -``strength`` to ``strength``, in standard
    deviations of the latents. The directions are saved beside the page as ``.npy``, float32 (count, latent_dim).

    Args:
        output: the page; by default ``directions.html`` in the run directory.
        count: number of directions.
        seeds: number of latents, one row each.
        strength: how far to go in both directions, in standard deviations.
        class_name: draw only this class (conditional generators).

    Raises:
        UsageError: a setting is invalid, or the run makes vectors.
        GANForgeError: the generator cannot be opened, or a file cannot be written.
    """
    from ganforge.files import replacing, require_file
    from ganforge.media.latents import save_latents
    from ganforge.report.render import render

    if len(run.manifest["image_shape"]) == 1:
        raise UsageError(f"directions are shown in pictures; {run.id} makes vectors")
    if seeds < 1:
        raise UsageError(f"invalid --seeds {seeds}: expected 1 or more")
    if not 0 < strength < float("inf"):
        raise UsageError(f"invalid --strength {strength:g}: expected a number above 0")
    page = output or run.path / "directions.html"
    if page.suffix.lower() != ".html" or page.is_dir():
        raise UsageError(f"invalid --output {page}: expected a .html; a .npy is written beside it")
    for path in (page, page.with_suffix(".npy")):
        require_file(path)
    found = find(run, count, class_name)
    data = {
        "about": _about(run, found, class_name),
        "columns": COLUMNS,
        "strength": strength,
        "height": run.manifest["image_shape"][0],
        "directions": [
            {"share": float(share), "sheet": sheet(run, vector, seeds, strength, class_name)}
            for vector, share in zip(found.vectors, found.shares)
        ],
    }
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        with replacing(page) as file:
            file.write(render("explore.html", f"Directions of {run.id}", data).encode())
    except OSError as error:
        raise GANForgeError(f"{page} cannot be written: {reason(error, kind=False)}") from None
    save_latents(found.vectors, page.with_suffix(".npy"))
    return page


def along(latents: np.ndarray, vector: np.ndarray, strength: float, columns: int = COLUMNS) -> np.ndarray:
    """Return latents moved along a direction, float32 (n · columns, latent_dim), each one's row after the other."""
    steps = np.linspace(-strength, strength, columns, dtype=np.float32)
    moved: np.ndarray = latents[:, None] + steps[:, None] * vector
    return moved.reshape(-1, latents.shape[1]).astype(np.float32)


def sheet(run: Run, vector: np.ndarray, seeds: int, strength: float, class_name: str | None) -> dict[str, Any]:
    """Return a direction's sheet: a picture of the seeds 0 to ``seeds``, a row each, as a ``data:`` address."""
    from ganforge.media.grids import make_grid
    from ganforge.showing.pictures import encoded, png

    latents = run.latents(seeds=range(seeds))
    # Each row of one class: they take turns with the latents, not with the steps.
    parts = [
        np.asarray(run.decode(along(one[None], vector, strength), class_name or _turn(run, i)))
        for i, one in enumerate(latents)
    ]
    picture = make_grid(np.concatenate(parts), COLUMNS)
    return {"source": f"data:image/png;base64,{encoded(png(picture))}", "width": picture.shape[1]}


def _turn(run: Run, row: int) -> str | None:
    return run.classes[row % len(run.classes)] if run.classes else None


def _about(run: Run, found: Directions, class_name: str | None) -> str:
    config, step = run.config, run.manifest["progress"]["step"]
    where = f"the weights of {', '.join(found.layers)}" if found.layers else "changes of its pictures"
    of = f", class {class_name}" if class_name else ""
    return f"{config.arch} on {run.manifest['data']['description']}, step {step:,}{of}; computed from {where}"
