"""Networks that start from the weights of a checkpoint: which layers fit, and what is copied."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ganforge.errors import UsageError

if TYPE_CHECKING:
    from ganforge.engine.engine import Engine

SEED = "seed_generator_state"  # a run's own, whatever its weights


@dataclass(frozen=True)
class Begun:
    """What was copied: how many layers, a line for each that was not, and whether the mean of the weights was."""

    taken: int
    left: list[str]
    average: bool


@dataclass(frozen=True)
class Layer:
    """The weights of a layer, in order: their last names and shapes, which must match, and the weights themselves."""

    name: str
    fits: tuple[tuple[str, tuple[int, ...]], ...]
    held: tuple[Any, ...]


def begin(engine: Engine, arrays: Mapping[str, np.ndarray], optimizers: bool) -> Begun:
    """Copy a checkpoint's weights into an engine's networks where they fit, and its mean of the generator's weights.

    Layers whose weights have the same names and shapes are paired in order; others in between are skipped. The mean
    is copied if the whole generator fits; otherwise it starts from the weights. Strategies' state starts anew.

    Raises:
        UsageError: ``optimizers`` are to be copied, and are different ones or do not fit.
    """
    taken, left, whole = 0, list[str](), dict[str, bool]()
    for side, model in (("generator", engine.generator), ("discriminator", engine.discriminator)):
        old = _layers([(name.split("/", 2)[2], array) for name, array in _of(arrays, side)])
        new = _layers([(variable.path, variable) for variable in model.variables])
        blocks = SequenceMatcher(None, [one.fits for one in old], [one.fits for one in new], autojunk=False)
        unfit = dict(enumerate(new))
        for block in blocks.get_matching_blocks():
            for i in range(block.size):
                for array, variable in zip(old[block.a + i].held, new[block.b + i].held, strict=True):
                    variable.assign(array)
                del unfit[block.b + i]
                taken += 1
        whole[side] = not unfit and len(old) == len(new)
        left += [f"the {side}'s {one.name} ({_shapes(one)})" for one in unfit.values()]
        if not unfit and len(old) > len(new):
            fewer = len(old) - len(new)
            left.append(f"the {side}, which has {fewer} fewer layer{'s' * (fewer != 1)}")
    average = _average(engine, arrays, whole["generator"])
    if optimizers:
        if not all(whole.values()):
            raise UsageError(
                f"--from-optimizers needs networks with the same layers, and the weights do not fit {left[0]}; leave "
                "it out to start with new optimizers"
            )
        for side, optimizer, weights in zip(("generator", "discriminator"), engine.optimizers, engine.learned):
            _take_optimizer(side, optimizer, _of(arrays, f"{side}_optimizer"), weights)
    engine.state.begin_anew()
    engine.adapter.sync_from_keras()
    return Begun(taken, left, average)


def _of(arrays: Mapping[str, np.ndarray], owner: str) -> list[tuple[str, np.ndarray]]:
    """Return an owner's arrays in their order; names are ``owner/position/path``."""
    return sorted((name, array) for name, array in arrays.items() if name.startswith(f"{owner}/"))


def _layers(variables: Sequence[tuple[str, Any]]) -> list[Layer]:
    """Group weights by the layer that their paths name; seeds are left out."""
    own = [(path, held) for path, held in variables if not path.endswith(SEED)]
    found = []
    for parent, group in groupby(own, key=lambda one: one[0].rpartition("/")[0]):
        members = list(group)
        # Names that nobody gave carry a number that counts on within a process.
        fits = tuple((re.sub(r"_?\d+$", "", path.rpartition("/")[2]), tuple(held.shape)) for path, held in members)
        name = parent.rpartition("/")[2] or members[0][0]
        found.append(Layer(name, fits, tuple(held for _, held in members)))
    return found


def _shapes(layer: Layer) -> str:
    return ", ".join("×".join(map(str, shape)) or "1" for _, shape in layer.fits[:2])


def _average(engine: Engine, arrays: Mapping[str, np.ndarray], whole: bool) -> bool:
    """Restore the mean of the generator's weights if both have one; otherwise it starts from the weights."""
    if engine.ema is None:
        return False
    stored = [array for _, array in _of(arrays, "generator_average")]
    shapes = [tuple(v.shape) for v in engine.ema.variables]
    known = whole and [array.shape for array in stored] == shapes
    if known:
        for variable, array in zip(engine.ema.variables, stored):
            variable.assign(array)
        return True
    engine.ema.begin_anew()
    return False


def _take_optimizer(
    side: str, optimizer: Any, stored: Sequence[tuple[str, np.ndarray]], weights: Sequence[keras.Variable]
) -> None:
    """Restore an optimizer's state; ``weights`` are all that it moved before, of which it may now move fewer."""
    whole = type(optimizer).from_config(optimizer.get_config())
    whole.build(list(weights))
    if [tuple(v.shape) for v in whole.variables] != [array.shape for _, array in stored]:
        raise UsageError(
            f"--from-optimizers: the {side}'s optimizer was a different one, or updated other weights; choose the "
            "same --optimizer, or leave out --from-optimizers"
        )
    by_path = {v.path: array for v, (_, array) in zip(whole.variables, stored)}
    names = [v.path for v in optimizer.variables]
    if len(by_path) != len(whole.variables) or not set(names) <= set(by_path):
        raise UsageError(f"--from-optimizers: the {side}'s weights cannot be told apart by name; leave it out")
    for variable in optimizer.variables:
        variable.assign(by_path[variable.path])
