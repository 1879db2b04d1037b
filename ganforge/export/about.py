"""What a generator's inputs and outputs mean, for those who open an exported file without GANForge."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ganforge import __version__
from ganforge.errors import GANForgeError, reason
from ganforge.files import write_atomic

if TYPE_CHECKING:
    from ganforge import Run

RANGE = "-1 is black, 1 is white; clip to [-1, 1], then (x + 1) * 127.5, rounded, is a byte"


@dataclass(frozen=True)
class About:
    """What goes in and comes out: ``latent_dim`` normal numbers, and of ``classes`` a label; ``image_shape``."""

    latent_dim: int
    image_shape: tuple[int, ...]
    classes: tuple[str, ...] = ()
    run: str = ""
    step: int = 0
    precision: str = "float32"

    @classmethod
    def of(cls, run: Run) -> About:
        """Return what ``run.json`` says."""
        manifest = run.manifest
        config = manifest["config"]
        return cls(
            config["latent_dim"],
            tuple(manifest["image_shape"]),
            run.classes,
            run.id,
            manifest["progress"]["step"],
            config["precision"],
        )

    @property
    def inputs(self) -> Mapping[str, str]:
        """The inputs by name, in their order, each in words."""
        found = {"latents": f"float32 (batch, {self.latent_dim}): standard normal random numbers"}
        if self.classes:
            found["labels"] = f"int32 (batch,): the number of a class, 0 to {len(self.classes) - 1}"
        return found

    @property
    def output(self) -> tuple[str, str]:
        """The output's name, and what it is in words."""
        shape = ", ".join(map(str, self.image_shape))
        if len(self.image_shape) == 1:
            return "vectors", f"float32 (batch, {shape}): on the scale of the training data"
        channels = {1: "grey", 3: "red, green, blue", 4: "red, green, blue, opacity"}
        said = channels.get(self.image_shape[-1], f"{self.image_shape[-1]} channels")
        return "pictures", f"float32 (batch, {shape}): batch, rows, columns, channels ({said}); {RANGE}"

    @property
    def facts(self) -> dict[str, str]:
        """All of it as short texts by name."""
        name, words = self.output
        found = {"made_by": f"ganforge {__version__}", "run": self.run, "step": str(self.step)}
        found |= dict(self.inputs) | {name: words}
        return found | ({"classes": ", ".join(self.classes)} if self.classes else {})


def require_extra(packages: Sequence[str], extra: str, what: str) -> None:
    """Raise ``GANForgeError``, which says what to install, where a package is missing."""
    if any(importlib.util.find_spec(package) is None for package in packages):
        raise GANForgeError(f"{what} needs the {extra} extra: pip install 'ganforge[{extra}]'")


def write(path: Path, content: bytes) -> None:
    """Write a file whole, with the folders above it. Raises ``GANForgeError`` where that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    except OSError as error:
        raise GANForgeError(f"{path} cannot be written: {reason(error, kind=False)}") from None
