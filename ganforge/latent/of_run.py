"""The methods of ``ganforge.Run`` about its latent space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from ganforge import Run
    from ganforge.latent.directions import Directions
    from ganforge.latent.projection import Projection
    from ganforge.showing.tables import File


class LatentSpace:
    """A part of ``ganforge.Run``."""

    def project(self, pictures: Any, *, progress: bool | None = None, **settings: Any) -> Projection:
        """Find the latents whose pictures are nearest to yours: picture files, or an array uint8 (n, H, W, C).

        ``settings`` are ``starts``, ``steps``, ``seed``, ``class_name`` and ``features``. ``progress=False`` shows
        nothing meanwhile. For the arguments and errors, see ``ganforge.latent.projection.project``.
        """
        from ganforge.latent.projection import project
        from ganforge.showing.following import decoding
        from ganforge.training.config import in_python

        with in_python(), decoding(progress, "projecting") as told:
            return project(cast("Run", self), pictures, progress=told, **settings)

    def directions(self, count: int = 10, class_name: str | None = None) -> Directions:
        """Return the directions of the latent space in which the pictures change most, found without labels (SeFa).

        For the errors, see ``ganforge.latent.explore.find``.
        """
        from ganforge.latent.explore import find
        from ganforge.training.config import in_python

        with in_python():
            return find(cast("Run", self), count, class_name)

    def explore(self, output: str | Path | None = None, **settings: Any) -> File:
        """Write a page that shows how the pictures change along these directions, to ``output`` or into the run.

        ``settings`` are ``count``, ``seeds``, ``strength`` and ``class_name``. For the arguments and errors, see
        ``ganforge.latent.explore.explore``.
        """
        from ganforge.latent.explore import explore
        from ganforge.showing.tables import File
        from ganforge.training.config import in_python

        with in_python():
            return File(explore(cast("Run", self), Path(output) if output else None, **settings))
