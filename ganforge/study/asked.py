"""The requested study: a file or a name, all or some of its runs, and added rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ganforge.backend import choose_backend
from ganforge.plugin.registry import load_plugins
from ganforge.plugin.trust import PluginFile
from ganforge.study.named import find_study
from ganforge.study.plan import Study, read_study
from ganforge.study.rows import only as chosen
from ganforge.study.rows import with_rows


def asked_study(
    file: Path,
    plugins: Sequence[PluginFile] = (),
    *,
    data: str | None = None,
    only: Sequence[str] = (),
    add: Sequence[str] = (),
) -> Study:
    """Return the study of a file, or of a name that comes with GANForge; see ``ganforge study``.

    Raises:
        UsageError: there is no such study, or something in it, in ``only`` or in ``add`` is wrong.
    """
    study = read_study(find_study(file), **({"data": data} if data else {}))
    if add:
        choose_backend()  # before plugins, which may import Keras
        study = with_rows(study, add, load_plugins(plugins))
    return chosen(study, only)
