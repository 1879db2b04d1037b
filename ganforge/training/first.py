"""Mistakes in a run's settings that can be found before anything is built; a study checks all its runs for them."""

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
    """Raise the errors of a run with these settings: in names, options, the run it starts from or its data's path.

    The backend must be installed but is not chosen, since the run may have a process of its own with another one. So
    no network is built, and whether weights fit only shows when the run begins.

    Raises:
        UsageError: a name or an option is wrong.
        GANForgeError: a plugin file fails, or the pictures, the backend or the run to start from are missing.
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
