"""What a run is asked about its latent space: methods of ``ganforge.Run``."""

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
        """Find the latents whose pictures are nearest to files, or to uint8 (n, H, W, C); it shows itself.

        ``settings`` (``starts``, ``steps``, ``seed``, ``class_name``, ``features``) and errors as
        ``ganforge.latent.projection.project`` has them; ``progress`` false shows nothing meanwhile.
        """
        from ganforge.latent.projection import project
        from ganforge.showing.following import decoding
        from ganforge.training.config import in_python

        with in_python(), decoding(progress, "projecting") as told:
            return project(cast("Run", self), pictures, progress=told, **settings)

    def directions(self, count: int = 10, class_name: str | None = None) -> Directions:
        """Return the directions of the latent space in which its pictures change most, found without labels.

        Errors as ``ganforge.latent.explore.find`` has them.
        """
        from ganforge.latent.explore import find
        from ganforge.training.config import in_python

        with in_python():
            return find(cast("Run", self), count, class_name)

    def explore(self, output: str | Path | None = None, **settings: Any) -> File:
        """Write a page of what happens along its first directions; in the run unless ``output`` is given.

        ``settings`` (``count``, ``seeds``, ``strength``, ``class_name``) and errors as
        ``ganforge.latent.explore.explore`` has them.
        """
        from ganforge.latent.explore import explore
        from ganforge.showing.tables import File
        from ganforge.training.config import in_python

        with in_python():
            return File(explore(cast("Run", self), Path(output) if output else None, **settings))
