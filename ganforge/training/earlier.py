"""An earlier run from which a new one starts: with its weights, and with its settings unless others are given.

The earlier run is only read, and none of its code runs: its weights are numbers, and a plugin file that its networks
need must pass ``ganforge.plugin.trust`` as on ``resume``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.data.adapters import is_there
from ganforge.data.stacked import inner_path
from ganforge.errors import GANForgeError, UsageError, on_one_line
from ganforge.plugin.options import make_options, parse_spec
from ganforge.plugin.trust import PluginFile, plugin_files, require
from ganforge.runs import Checkpoint, find_run, load_checkpoint, read_manifest
from ganforge.runs.origin import listed
from ganforge.training.config import TrainConfig, read_config
from ganforge.training.objects import Objects
from ganforge.training.objects.back import ARGUMENTS
from ganforge.training.resolve import WINNING, Choices

if TYPE_CHECKING:
    from ganforge.engine.engine import Engine

# What makes the networks and how they learn; it belongs together, and is taken where no other architecture is named.
RECIPE = ("arch", "balance", "loss", "optimizer", "discriminator_optimizer", "batch_size", "ema")
# What the networks expect of pictures and of latents, whatever trains them.
SHAPE = ("image_size", "channels", "fit", "background", "latent_dim")
HOW = ("from_optimizers", "from_partial", "freeze_discriminator")


def require_from(config: TrainConfig) -> None:
    """Raise ``UsageError`` if a setting says how to start from a run, and no run is named."""
    for name in HOW:
        if getattr(config, name) and config.from_run is None:
            raise UsageError(f"--{name.replace('_', '-')} needs a run to start from; add --from RUN")


@dataclass(frozen=True)
class Earlier:
    """A run on disk whose weights a new one begins with."""

    path: Path
    manifest: Mapping[str, Any]
    config: TrainConfig
    checkpoint: Checkpoint

    @classmethod
    def of(cls, name: str, runs_dir: Path) -> Earlier:
        """Open a run by its name or path.

        Raises:
            GANForgeError: there is no such run, or it has no checkpoint that can be read.
        """
        path = find_run(name, runs_dir)
        try:
            checkpoint = load_checkpoint(path)
        except GANForgeError as error:
            raise GANForgeError(f"invalid --from {name}: {error}") from None
        return cls(path, read_manifest(path), read_config(path), checkpoint)

    @classmethod
    def again(cls, run: str, manifest: Mapping[str, Any]) -> Earlier:
        """Open the run that another began with, which was ended before its own first checkpoint.

        Raises:
            GANForgeError: it is gone, or has other weights by now.
        """
        began = manifest.get("from") or {}
        found = cls.of(str(began.get("path", "")), Path())
        if found.checkpoint.sha256 != began.get("sha256"):
            raise GANForgeError(
                f"{run} ended before its first checkpoint, and the weights of {found.path.name}, from which it "
                "started, have changed; start again with ganforge train --from"
            )
        return found

    @property
    def id(self) -> str:
        """What the run is called."""
        return self.path.name

    def settings(self, config: TrainConfig, objects: Objects) -> TrainConfig:
        """Return the settings with those of the earlier run where nobody said otherwise.

        Raises:
            GANForgeError: it was trained with objects from Python, which are only there.
        """
        asked = config.model_fields_set
        names = [name for name in SHAPE if name not in asked]
        same = config.arch is None or _name(config.arch) == _name(self.config.arch or "")
        if same:
            names += [name for name in RECIPE if name not in asked]
            given = self.manifest.get("given", WINNING)
            if config.optimizer is None and config.discriminator_optimizer is None:
                names += [name for name in sorted(WINNING) if name in given and name not in asked]
            elif "discriminator_optimizer" in names:
                names.remove("discriminator_optimizer")
        if objects.source is None and "data" not in asked:
            names.append("data")
        values = {name: getattr(self.config, name) for name in names}
        self._require_no_objects(values)
        if "balance" in values:
            values["balance"] = values["balance"] or ("none",)  # not what the architecture recommends now
        if "ema" in values:
            values["ema"] = values["ema"] or "none"
        if "data" in values:
            values["data"] = place_of_data(values["data"], self.manifest)
        given_values = {name: getattr(config, name) for name in asked}
        return TrainConfig.of({**values, **given_values})

    def plugins(self, config: TrainConfig, plugins: Sequence[PluginFile]) -> tuple[PluginFile, ...]:
        """Return the plugin files to load: those given, and the earlier run's where its recipe is taken.

        ``config`` is what was asked. Raises ``GANForgeError`` when one is not known on this machine, or has changed.
        """
        if config.arch is not None and all(name in config.model_fields_set for name in RECIPE[:3]):
            return tuple(plugins)
        return require(plugin_files(self.path, self.manifest, plugins))

    def _require_no_objects(self, values: Mapping[str, Any]) -> None:
        recorded = self.manifest.get("objects") or {}
        settings = {"architecture": ["arch"], "loss": ["loss"], "strategy": ["balance"]}
        settings["optimizer"] = ["optimizer", "discriminator_optimizer"]
        for kind, text in recorded.get("needed", []):
            for name in settings.get(kind, []):
                value = values.get(name)
                if value == text or (name == "balance" and text in (value or ())):
                    raise GANForgeError(
                        f"{self.id} was trained with the {kind} '{text}' from Python; pass it or another one: "
                        f"ganforge.train({ARGUMENTS[kind]}=…, from_run='{self.id}')"
                    )
        if "data" in values and recorded.get("data"):
            raise GANForgeError(f"{self.id} was trained on data from Python; choose data for this run with --data")

    def with_networks(self, choices: Choices, asked: TrainConfig) -> Choices:
        """Return the choices with the architecture's options as they were, where they were not asked for."""
        if asked.arch is not None:
            return choices
        return with_recorded_options(choices, self.path, self.manifest)

    def give(self, engine: Engine, config: TrainConfig) -> dict[str, Any]:
        """Put the weights into new networks, and return what ``run.json`` says of it.

        Raises:
            UsageError: layers do not fit, or optimizers, which are listed.
        """
        from ganforge.engine.beginning import begin

        begun = begin(engine, self.checkpoint.arrays, optimizers=config.from_optimizers)
        if begun.left and not config.from_partial:
            raise UsageError(
                f"the weights of {self.id} do not fit {listed(begun.left)}; expected the same networks, with the "
                "same --image-size, --channels and options; --from-partial copies only the layers that fit"
            )
        if not begun.taken:
            raise UsageError(f"no weights of {self.id} fit these networks; expected layers of the same sizes")
        return {
            "run": self.id,
            "path": str(self.path.resolve()),
            "step": self.checkpoint.step,
            "sha256": self.checkpoint.sha256,
            "taken": begun.taken,
            "left_out": [on_one_line(line) for line in begun.left],
            "average": begun.average,
            "optimizers": config.from_optimizers,
            "frozen": engine.frozen,
        }


def place_of_data(text: str, manifest: Mapping[str, Any]) -> str:
    """Return where a run's pictures are: as it was written, or, from another folder, the whole path."""
    whole = manifest.get("data", {}).get("path")
    moved = isinstance(whole, str) and not is_there(inner_path(text)) and is_there(inner_path(whole))
    return str(whole) if moved else text


def with_recorded_options(choices: Choices, run: Path, manifest: Mapping[str, Any]) -> Choices:
    """Return the choices with the architecture's options as a run began with them, whatever its defaults are now.

    Options that it has got since are at their defaults, which must leave the networks of before as they were.
    """
    recorded, choice = manifest.get("architecture"), choices.architecture
    if not isinstance(recorded, dict) or recorded.get("name") != choice.name:
        return choices
    options = recorded.get("options")
    if not isinstance(options, dict):
        return choices
    known = choice.value.options
    values = {name: value for name, value in options.items() if name in known.model_fields}
    try:
        made = make_options(f"architecture '{choice.name}'", known, values)
    except UsageError as error:
        raise GANForgeError(f"{run / 'run.json'} is damaged, or from another version: {error}") from None
    return replace(choices, architecture=replace(choice, options=made))


def _name(text: str) -> str:
    return parse_spec(text).name if text else ""
