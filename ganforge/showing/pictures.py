"""Arrays of pictures that a notebook displays; a run's grid beside its curves."""

from __future__ import annotations

import base64
import io
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganforge.errors import GANForgeError, log
from ganforge.media.grids import make_grid, on_checkerboard, save_png

MOST, SIDE, PAD, COLUMNS = 100, 480, 2, 10  # pictures shown; pixels of a grid beside curves; as grids of a run have


class Pictures(np.ndarray[Any, np.dtype[Any]]):
    """Pictures that a notebook displays: uint8 (n, H, W, C), a single one (H, W, C), or a walk (frames, n, H, W, C).

    Otherwise an ordinary numpy array. Indexing gives ``Pictures`` again; arithmetic gives an ordinary array.
    """

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = (), **how: Any) -> Any:
        plain = [one.view(np.ndarray) if isinstance(one, Pictures) else one for one in inputs]
        if out:
            how["out"] = tuple(one.view(np.ndarray) if isinstance(one, Pictures) else one for one in out)
        result = getattr(ufunc, method)(*plain, **how)
        return out[0] if len(out) == 1 else result

    @property
    def _shown(self) -> bool:
        return self.dtype == np.uint8 and 3 <= self.ndim <= 5 and self.size > 0 and self.shape[-1] in (1, 3, 4)

    @property
    def grid(self) -> np.ndarray:
        """The first hundred pictures as one grid, uint8 (H, W, C); of a walk, those of its first frame."""
        some = self.view(np.ndarray)
        some = some[None] if self.ndim == 3 else some[0] if self.ndim == 5 else some
        some = some[:MOST]
        return make_grid(some, min(COLUMNS, max(1, round(len(some) ** 0.5))), pad=PAD if len(some) > 1 else 0)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        if not self._shown:
            return {}
        height, width = self.shape[-3:-1]
        count = self.shape[-4] if self.ndim > 3 else 1
        many = f"{count} pictures" if count != 1 else "a picture"
        text = f"{many} of {width}×{height}, uint8 {self.shape}"
        if self.ndim < 5:
            return {"image/png": encoded(png(np.asarray(_larger(_image(self.grid))))), "text/plain": text}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "walk.gif"
            self.save(path)
            return {"image/gif": encoded(path.read_bytes()), "text/plain": f"a walk of {text}"}

    def show(self) -> None:
        """Show them in the notebook, or else in the system's image viewer.

        Raises:
            GANForgeError: the array is no longer uint8 pictures.
        """
        self._require()
        if in_notebook():
            from IPython.display import display

            display(self)
            return
        from PIL import ImageShow

        seen = sys.platform != "linux" or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
        if not (seen and ImageShow.show(_image(self.grid))):
            log.warning("there is no image viewer here; pictures.save('pictures.png') writes a file")

    def save(self, path: str | Path, fps: float = 12.0) -> Path:
        """Save them as a grid (.png), or a walk as an animation (.gif, .webp, .png or .mp4); return the path.

        ``fps`` is the number of frames per second of an animation.

        Raises:
            UsageError: the suffix is none of these.
            GANForgeError: the array is no longer uint8 pictures, or the file cannot be written.
        """
        from ganforge.media.animation import make_animation

        self._require()
        path = Path(path)
        if self.ndim < 5:
            save_png(self.grid, path)
        else:
            frames = [frame.view(Pictures).grid for frame in self.view(np.ndarray)]
            make_animation(frames, [""] * len(frames), path, fps=fps, hold=0.0, caption=False)
        return path

    def _require(self) -> None:
        if not self._shown:
            raise GANForgeError(
                f"these are not pictures: {self.dtype} {self.shape}; expected uint8 (n, H, W, C), (H, W, C) or "
                "(frames, n, H, W, C)"
            )


def in_notebook() -> bool:
    """Say whether this runs in a notebook's kernel (Jupyter, Colab, VS Code), which shows pictures and HTML."""
    shell = sys.modules.get("IPython")
    return shell is not None and getattr(shell.get_ipython(), "kernel", None) is not None


def png(picture: np.ndarray) -> bytes:
    """Return uint8 (H, W, C) as PNG."""
    buffer = io.BytesIO()
    _image(picture).save(buffer, "png")
    return buffer.getvalue()


def encoded(content: bytes) -> str:
    """Return bytes as notebooks keep them."""
    return base64.b64encode(content).decode()


def overview(grid: np.ndarray | None, lines: Sequence[Mapping[str, Any]], vectors: bool = False) -> bytes | None:
    """Return a run's last grid, uint8 (H, W, C), beside the curves of its logged lines, as one PNG; None of nothing.

    Of a grid as much as is seen well; of a plot of vectors all.
    """
    from PIL import Image

    from ganforge.media.curves import draw_losses

    parts = [] if grid is None else [_fitted(_image(on_checkerboard(grid if vectors else _corner(grid))))]
    if len(lines) > 1:
        buffer = io.BytesIO()
        draw_losses(lines, buffer, dpi=80)
        parts.append(Image.open(buffer).convert("RGB"))
    if not parts:
        return None
    gap = 12
    size = sum(part.width for part in parts) + gap * (len(parts) - 1), max(part.height for part in parts)
    sheet, at = Image.new("RGB", size, "white"), 0
    for part in parts:
        sheet.paste(part.convert("RGB"), (at, 0))
        at += part.width + gap
    return png(np.asarray(sheet))


def _corner(grid: np.ndarray) -> np.ndarray:
    """Return as many rows and columns of a run's grid as fit ``SIDE`` pixels, four of each at least."""
    cells = [(side - PAD) // COLUMNS for side in grid.shape[:2]]
    rows, columns = (min(COLUMNS, max(4, (SIDE - PAD) // cell)) for cell in cells)
    return grid[: rows * cells[0] + PAD, : columns * cells[1] + PAD]


def _fitted(image: Any) -> Any:
    """Return an image at about ``SIDE`` pixels."""
    long = max(image.size)
    if 2 * long > SIDE:
        return image.resize(tuple(max(1, round(side * SIDE / long)) for side in image.size), 3)
    return _larger(image)


def _larger(image: Any) -> Any:
    """Return an image a whole number of times as large, of ``SIDE`` pixels at most: every pixel stays one."""
    times = max(1, SIDE // max(image.size))
    return image.resize(tuple(side * times for side in image.size), 0)


def _image(picture: np.ndarray) -> Any:
    from PIL import Image

    picture = np.asarray(picture)
    picture = picture[..., None] if picture.ndim == 2 else picture
    return Image.fromarray(np.ascontiguousarray(picture[..., 0] if picture.shape[-1] == 1 else picture))
