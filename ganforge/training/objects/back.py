"""The objects that a resumed run began with: given again, or rebuilt if they are plain Keras."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ganforge.errors import GANForgeError, UsageError, closest
from ganforge.plugin.registry import Choice
from ganforge.training.fixed import CHANGES, refuse_fixed
from ganforge.training.objects import Objects, take
from ganforge.training.objects.saved import NAME, open_networks
from ganforge.training.objects.wrapped import again

# What Python calls each kind.
ARGUMENTS = {"architecture": "arch", "loss": "loss", "strategy": "balance", "optimizer": "optimizer"}


def given_back(
    run: Path, manifest: Mapping[str, Any], objects: Objects, held: int, other_data: bool = False
) -> Objects:
    """Return the objects that a run needs: those given, after a check, and those rebuilt from its directory.

    ``other_data``: the run continues with data that have a name. ``held`` is the size of the last checkpoint in
    bytes, 0 without one.

    Raises:
        GANForgeError: some are missing, or are not those with which it began.
        UsageError: an object was given although the run began with a name.
    """
    recorded = manifest.get("objects") or {}
    needed = [(str(kind), str(text)) for kind, text in recorded.get("needed", [])]
    for kind, text in objects.choices:
        if (kind, text) not in needed and kind != "strategy":
            began = ", ".join(text for _, text in needed) or "names only"
            raise UsageError(
                f"{run.name} was trained with {began}, not with this {kind} ({text}); pass as {ARGUMENTS[kind]} what "
                "the run was started with"
            )
    networks = recorded.get("networks")
    if objects.networks is not None and networks:
        objects.networks.require_same(networks, run.name)
    if objects.source is None and not other_data:
        objects = replace(objects, source=source_again(run.name, manifest))
    missing = [one for one in needed if one not in objects.choices]
    if not missing:
        return objects
    made = _made_again(run, manifest, missing, held)
    lost = [one for one in missing if one not in made.choices]
    if lost:
        words = ", ".join(f"{kind} '{text}'" for kind, text in lost)
        arguments = ", ".join(f"{name}=…" for name in dict.fromkeys(ARGUMENTS[kind] for kind, _ in lost))
        raise GANForgeError(
            f"{run.name} was trained with objects from Python ({words}); pass them again: "
            f"ganforge.Run('{run.name}').resume({arguments})"
        )
    return replace(
        objects,
        choices={**made.choices, **objects.choices},
        networks=objects.networks or made.networks,
        kept={**made.kept, **objects.kept},
    )


def source_again(run: str, manifest: Mapping[str, Any]) -> Choice | None:
    """Return the data that a run was given from Python, from the cache; None if its data have a name.

    Raises:
        GANForgeError: the cache no longer holds them.
    """
    from ganforge.data.adapters import kept
    from ganforge.data.adapters.source import FoundSource, found

    if not (manifest.get("objects") or {}).get("data"):
        return None
    about, kind = manifest["data"], str(manifest["config"]["data"])
    images = kept(about["fingerprint"], about["description"])
    if images is None:
        raise GANForgeError(
            f"{run} was trained on data from Python ({about['description']}), which are no longer in the cache; pass "
            f"them again: ganforge.Run('{run}').resume(data=…)"
        )
    size = None if images.array.ndim == 2 else 64
    return found(FoundSource(kind, load=lambda: images, summary=about["description"], image_size=size))


def _made_again(run: Path, manifest: Mapping[str, Any], missing: list[tuple[str, str]], held: int) -> Objects:
    """Return those missing objects that the run directory describes."""
    recorded, config = manifest["objects"], manifest["config"]
    kept = {(one["kind"], one["text"]): one for one in recorded.get("kept", [])}
    values: dict[str, Any] = {}
    for setting, kind in (
        ("arch", "architecture"),
        ("loss", "loss"),
        ("optimizer", "optimizer"),
        ("discriminator_optimizer", "optimizer"),
    ):
        key = (kind, config.get(setting))
        if key not in missing:
            continue
        # Without a checkpoint the weights that they began with are gone.
        if kind == "architecture" and held and (run / NAME).is_file() and recorded.get("networks"):
            networks = open_networks(
                run, tuple(manifest["image_shape"]), config["latent_dim"], len(manifest["data"]["classes"]), held
            )
            networks.require_same(recorded["networks"], run.name)
            values[setting] = (networks.generator, networks.discriminator)
        elif key in kept:
            values[setting] = again(kind, kept[key])
    return take(values)[1]


def require_same_names(values: Mapping[str, Any], config: Mapping[str, Any], run: str) -> dict[str, Any]:
    """Return the settings that may change in a resumed run; those that may not must be the same as before.

    Raises:
        UsageError: a fixed setting differs, or there is no such setting.
    """
    rest = {name: value for name, value in values.items() if value is not None}
    for name in ("arch", "loss", "optimizer", "discriminator_optimizer"):
        if (text := rest.pop(name, None)) not in (None, config.get(name)):
            raise UsageError(
                f"{run} was trained with {name}={config.get(name)}, not {text}, and cannot change; start a new run"
            )
    for name, value in list(rest.items()):
        if name not in CHANGES and name in config and config[name] == value:
            del rest[name]  # as it is, such as what given networks decide
        elif name not in CHANGES:
            refuse_fixed(name, run)
            raise UsageError(
                f"resume has no setting '{name}'; expected {', '.join(CHANGES)}.{closest(name, CHANGES)}"
            )
    return rest
