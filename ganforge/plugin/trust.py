"""Which Python files may run, and that what runs is what was looked at: the one gate for plugin files.

A file that a person gives with ``--plugin`` runs. A run directory, a study or a settings file may come from anywhere
and is only text: it must not choose code that runs. A plugin file that such a text names runs without being
asked for again only when a person gave this very content with ``--plugin`` on this machine before. What was given is
remembered by its SHA-256 outside every run directory.

The loader (``ganforge.plugin.registry.load_plugins``) takes nothing but ``PluginFile``, and no file is read twice.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganforge.errors import GANForgeError, UsageError, reason
from ganforge.files import MIB, read_file, user_folder

NAME = "plugins-given.txt"
MOST = 16 * MIB  # a plugin is a text that somebody has read


@dataclass(frozen=True)
class PluginFile:
    """A plugin file that may run: its place as it was named, what it held when it was read, the SHA-256 of that."""

    file: str
    source: bytes = field(repr=False)
    sha256: str

    @property
    def record(self) -> dict[str, str]:
        """What ``run.json`` keeps of it, and what a study hands to its workers."""
        return {"file": self.file, "sha256": self.sha256}


@dataclass
class PluginFiles:
    """Plugin files that a text names: those that may be loaded, and for the others one line why not."""

    load: tuple[PluginFile, ...] = ()
    refused: list[str] = field(default_factory=list)


def given(files: Iterable[str | Path | PluginFile]) -> tuple[PluginFile, ...]:
    """Return the plugin files that a person gives now, each once; those let through before stay as they are.

    Raises:
        UsageError: there is no such file.
        GANForgeError: it cannot be read, or is no file.
    """
    found: dict[str, PluginFile] = {}
    for file in files:
        one = file if isinstance(file, PluginFile) else _given(str(file))
        found.setdefault(one.file, one)
    return tuple(found.values())


def remember(files: Iterable[PluginFile]) -> None:
    """Note that a person gave these plugin files. Where nothing can be noted they are asked for again."""
    known = _known()
    lines = [f"{one.sha256}  {Path(one.file).name}\n" for one in files if one.sha256 not in known]
    if lines:
        with suppress(OSError):
            _place().parent.mkdir(parents=True, exist_ok=True)
            with open(_place(), "a", encoding="utf-8", errors="backslashreplace") as file:
                file.write("".join(lines))


def named_by_text(
    files: Iterable[str], given: Sequence[PluginFile], who: str, recorded: Mapping[Any, Any] | None = None
) -> PluginFiles:
    """Return which of the ``files`` that a text names may be loaded: those that are known on this machine.

    Args:
        given: what a person gives now. It is loaded, and stands for a file of the same name in the text.
        who: what the text is called, such as ``run_3`` or ``--config FILE``.
        recorded: the SHA-256 of each file when the text was written, where that was kept: it must be the same.
    """
    names = {Path(one.file).name for one in given}
    known, found = _known(), PluginFiles()
    for file in files:
        if Path(file).name in names:
            continue
        try:
            one = _read(file)
        except (FileNotFoundError, NotADirectoryError):
            found.refused.append(f"{who} needs the plugin file {file}, which is not there; give it with --plugin")
            continue
        except (OSError, ValueError) as error:
            why = reason(error, kind=False)
            found.refused.append(f"{who} names the plugin file {file}, which cannot be read: {why}")
            continue
        if one.sha256 not in known:
            found.refused.append(
                f"{who} names the plugin file {file}, which was never given on this machine; read it, and if "
                f"you trust it add --plugin {file}"
            )
        elif recorded is not None and one.sha256 != recorded.get(file):
            found.refused.append(
                f"the plugin file {file} has changed since {who} was made; restore the old one, or add "
                f"--plugin {file} to use the new one"
            )
        else:
            found.load += (one,)
    found.load = tuple({one.file: one for one in (*found.load, *given)}.values())
    return found


def plugin_files(run: Path, manifest: Mapping[str, Any], given: Sequence[PluginFile]) -> PluginFiles:
    """Return which plugin files a run may load: those ``given`` now, and those recorded that are known and unchanged.

    A given file stands for the recorded one of the same name.
    """
    recorded = {entry.get("file"): entry.get("sha256") for entry in manifest.get("plugins", [])}
    settings = manifest["config"].get("plugins") or []
    files = [file for file in settings if isinstance(file, str)] if isinstance(settings, (list, tuple)) else []
    return named_by_text(files, given, run.name, recorded)


def require(files: PluginFiles) -> tuple[PluginFile, ...]:
    """Return the files to load. Raises ``GANForgeError`` when one was refused."""
    if files.refused:
        raise GANForgeError(files.refused[0])
    return files.load


def handed_over(records: Iterable[Mapping[str, str]]) -> tuple[PluginFile, ...]:
    """Return the files that another process of this program let through; ``records`` are their ``record``.

    Raises:
        GANForgeError: one cannot be read, or is another one by now.
    """
    files = []
    for record in records:
        files.append(_given(record["file"]))
        if files[-1].sha256 != record["sha256"]:
            raise GANForgeError(f"the plugin file {record['file']} has changed since the study began; run it again")
    return tuple(files)


def _given(file: str) -> PluginFile:
    try:
        return _read(file)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(
            f"--plugin {file}: there is no such file; expected a Python file that registers something"
        ) from None
    except (OSError, ValueError) as error:
        raise GANForgeError(f"--plugin {file} cannot be read: {reason(error, kind=False)}") from None


def _read(file: str) -> PluginFile:
    source = read_file(Path(file), MOST)
    return PluginFile(file, source, hashlib.sha256(source).hexdigest())


def _known() -> set[str]:
    try:
        lines = _place().read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return {line.split()[0] for line in lines if line.strip()}


def _place() -> Path:
    chosen = os.environ.get("GANFORGE_STATE_DIR")
    # Where nobody knows the home, nothing is known and nothing is kept.
    return (Path(chosen) if chosen else user_folder("state") or Path(os.devnull)) / NAME
