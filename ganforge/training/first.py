"""What can be wrong with a run, as far as that shows before anything is built: a study asks it of all its runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ganforge.backend import Choice as Backend
from ganforge.backend import require_backend
from ganforge.data.adapters import is_there
from ganforge.errors import GANForgeError
from ganforge.plugin.trust import PluginFile
from ganforge.training.config import TrainConfig
from ganforge.training.earlier import Earlier, require_from
from ganforge.training.objects import NO_OBJECTS
from ganforge.training.resolve import resolve


def look_first(config: TrainConfig, plugins: Sequence[PluginFile]) -> None:
    """Raise what a run of these settings would, of names, options, the run it begins with and the place of its data.

    The backend must be there, and is not chosen: the run may have a process of its own, with another one. So no
    network is built, and whether the weights fit shows only when the run begins.

    Raises:
        UsageError: a name or an option is wrong.
        GANForgeError: a plugin file fails, or the pictures, the backend or the run to begin with are not there.
    """
    if config.backend is not None:
        require_backend(Backend(config.backend, "asked"))
    require_from(config)
    asked = config.model_copy(update={"backend": None})
    if asked.from_run is None:
        choices = resolve(asked, plugins)
    else:
        earlier = Earlier.of(asked.from_run, Path(asked.runs_dir))
        choices = resolve(earlier.settings(asked, NO_OBJECTS), earlier.plugins(asked, plugins))
        choices = earlier.with_networks(choices, asked)
    data = choices.config.data
    if choices.source is None and not is_there(data):
        raise GANForgeError(f"--data {data}: there is no such folder or zip")
