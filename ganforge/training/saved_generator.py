"""Opening a ``generator.keras`` that may come from anywhere: its description is checked before anything is built.

Keras's safe mode refuses Python code in a file. It does not refuse Keras's own functions with arguments of the file's
choice, which may write files, nor layers that open files; and it creates weights of whatever size a file names. So
the file's description is read first. Every class in it must be an ordinary Keras layer, or part of one, or registered
in this process by an installed package or a trusted plugin file; its networks are built without weights, and their
sizes compared with the contents of the file, the run's pictures and the available memory.
"""

from __future__ import annotations

import math
import re
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ganforge.backend import quietly
from ganforge.errors import GANForgeError, reason
from ganforge.files import MIB, opened, own, parse_json
from ganforge.memory import memory_left

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MOST_CONFIG = 64 * MIB
# Numbers between layers, of one picture: as many as this for each number of the picture, or so many in any case.
MOST_WIDER, SMALL = 4096, 2**20
# Where the layers of Keras live that do nothing but compute with what they are given. No preprocessing: it may open
# files named in it; no layer that carries a function, a saved model or another framework's module.
LIVE_IN = tuple(
    f"keras.src.{name}"
    for name in (
        *("layers.activations", "layers.attention", "layers.convolutional", "layers.core", "layers.merging"),
        *("layers.normalization", "layers.pooling", "layers.regularization", "layers.reshaping", "layers.rnn"),
        *("layers.preprocessing.rescaling", "layers.preprocessing.normalization"),
        "layers.preprocessing.image_preprocessing.resizing",
        "layers.preprocessing.image_preprocessing.center_crop",
        *("models", "dtype_policies", "initializers", "regularizers", "constraints", "random.seed_generator"),
    )
)
NEVER = (
    "Lambda",
    "Function",
    "Map",
    "VectorizedMap",
    "Scan",
    "AssociativeScan",
    "WhileLoop",
    "ForiLoop",
    "Cond",
    "JVP",
)
PLAIN = ("__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__")


def open_generator(path: Path, image_shape: Sequence[int], latent_dim: int, classes: int = 0) -> Any:
    """Return the generator saved at ``path``: (B, latent_dim) -> (B, *image_shape).

    With ``classes``, it also takes labels (B,).

    Raises:
        GANForgeError: it is not a complete regular file, contains unknown layers, declares sizes that do not fit,
            makes pictures of another shape, or Keras cannot open it.
    """
    import keras

    from ganforge.engine.keras_internals import safe_mode

    own(path.parent, path.name)
    try:
        with quietly(), safe_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it says of a damaged file, the error says too
            config, held = _description(path)
            foreign = [known for known in looked_at(config) if known]
            require_sizes(config, held, image_shape, latent_dim, classes, bool(foreign))
            return keras.models.load_model(path, compile=False, safe_mode=True)
    except GANForgeError as error:
        raise GANForgeError(f"{path} cannot be opened: {error}") from None
    except Exception as error:
        raise GANForgeError(f"{path} cannot be opened: {reason(error, kind=False)}") from error


def _description(path: Path) -> tuple[dict[str, Any], int]:
    """Return a file's description of the network, and the largest number of bytes of weights in it."""
    with opened(path, memory_left() // 2, links=False) as file, zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        if len(set(names)) < len(names) or not {CONFIG, WEIGHTS} <= set(names):
            raise GANForgeError(f"expected {CONFIG} and {WEIGHTS} in it, once each")
        if any(entry.file_size > 16 * entry.compress_size + MIB for entry in entries):
            raise GANForgeError("a part of it unpacks to far more than its size")
        if archive.getinfo(CONFIG).file_size > MOST_CONFIG:
            raise GANForgeError(f"its {CONFIG} is larger than {MOST_CONFIG:,} bytes")
        config = parse_json(archive.read(CONFIG))
        if not isinstance(config, dict):
            raise GANForgeError(f"its {CONFIG} is not a JSON object")
        config["compile_config"] = None  # it is not asked for
        return config, archive.getinfo(WEIGHTS).compress_size


def looked_at(value: Any) -> Iterator[bool]:
    """Check every class that a description names; yield for each whether it is a registered one, not Keras's own.

    Raises:
        GANForgeError: a class is neither an ordinary Keras layer (or part of one) nor registered.
    """
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            waiting += one.values()
            if "class_name" in one and one["class_name"] not in PLAIN:
                yield _is_foreign(one)


def _is_foreign(named: Mapping[str, Any]) -> bool:
    import keras

    name, module = named["class_name"], named.get("module")
    registered = named.get("registered_name") or name
    if name == "function":
        function = named.get("config")
        if isinstance(registered, str) and keras.saving.get_registered_object(registered) is not None:
            return True
        if (
            isinstance(function, str)
            and module == "builtins"
            and callable(getattr(keras.activations, function, None))
        ):
            return False
        raise GANForgeError(f"it uses the function {_shown(function)}, which is not a Keras activation")
    found = keras.saving.get_registered_object(registered) if isinstance(registered, str) else None
    if found is not None:
        return True
    if not (isinstance(name, str) and isinstance(module, str) and _is_ordinary(name, module)):
        raise GANForgeError(
            f"it contains {_shown(name)} of {_shown(module)}, which is not an ordinary Keras layer; if it comes from "
            "a plugin file, give that with --plugin"
        )
    return False


def _is_ordinary(name: str, module: str) -> bool:
    """Say whether a name in a module of Keras is a class that only computes."""
    import keras

    # Modules that are there: none is imported because a file names it.
    place = sys.modules.get(module)
    if place is None or module.split(".")[0] != "keras":
        return False
    found = getattr(place, name, None)
    if not isinstance(found, type) or name in NEVER:
        return False
    lives = found.__module__
    if lives.startswith("keras.src.ops."):
        return issubclass(found, keras.Operation)
    return any(lives == part or lives.startswith(f"{part}.") for part in LIVE_IN)


def require_sizes(
    config: Any,
    held: int,
    image_shape: Sequence[int],
    latent_dim: int | None,
    classes: int = 0,
    foreign: bool = False,
) -> None:
    """Build the network without weights; compare its sizes with the ``held`` bytes, the pictures and the memory.

    It maps latents to pictures, or, without a ``latent_dim``, pictures to anything. If ``foreign`` layers cannot be
    built that way, their plugin is trusted, since the user let it run.

    Raises:
        GANForgeError: the sizes do not fit.
    """
    import keras

    from ganforge.engine.keras_internals import graph_of, is_graph, without_numbers

    try:
        with without_numbers():
            model = keras.saving.deserialize_keras_object(config, safe_mode=True)
            if not isinstance(model, keras.Model):
                raise GANForgeError(f"it is a {type(model).__name__}; expected a Keras model")
            declared = sum(math.prod(v.shape) * _width(str(v.dtype)) for v in model.variables)
            if declared > held + MIB:
                raise GANForgeError(f"it declares {declared:,} bytes of weights, but holds {held:,}")
            if 2 * declared > memory_left():
                raise GANForgeError(f"its weights take {declared:,} bytes, more than the free memory")
            graph = graph_of(model)
            if is_graph(graph):
                _lay_out(graph, tuple(image_shape), latent_dim, classes)
            elif not foreign:
                raise GANForgeError("it does not say the output shapes of its layers")
    except GANForgeError:
        raise
    except Exception:
        if not foreign:
            raise


def _lay_out(graph: Any, image_shape: tuple[int, ...], latent_dim: int | None, classes: int, batch: int = 2) -> None:
    """Follow a batch's shapes from layer to layer, also within inner models; nothing is computed.

    Raises:
        GANForgeError: the result has a different shape, or an intermediate one is far larger than a picture.
    """
    import keras

    from ganforge.engine.keras_internals import graph_of, is_graph, run_through

    most = batch * max(MOST_WIDER * math.prod(image_shape), SMALL)

    def made(operation: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            inner = graph_of(operation)
            if is_graph(inner) and args:
                outputs = run_through(inner, args[0], made)
            else:
                outputs = operation.compute_output_spec(*args, **kwargs)
            for tensor in keras.tree.flatten(outputs):
                shape = tuple(getattr(tensor, "shape", ()))
                if math.prod(n or 1 for n in shape) > most:
                    raise GANForgeError(f"its layer '{operation.name}' makes {shape} for pictures of {image_shape}")
            return outputs

        return call

    symbols = [keras.KerasTensor((batch, *one.shape[1:]), dtype=one.dtype) for one in graph.inputs]
    makes = [tuple(one.shape[1:]) for one in keras.tree.flatten(run_through(graph, symbols, made))]
    takes = [tuple(one.shape[1:]) for one in symbols]
    wanted = [image_shape if latent_dim is None else (latent_dim,), *([()] if classes else [])]
    if takes != wanted or (latent_dim is not None and makes != [image_shape]):
        expected = f"{'' if latent_dim is None else f'{image_shape} '}from {', '.join(map(str, wanted))}"
        wrong = f"it makes {', '.join(map(str, makes))} from {', '.join(map(str, takes))}"
        raise GANForgeError(f"{wrong}; according to run.json, expected {expected}")


def _width(dtype: str) -> int:
    """Return the size in bytes of a number of a type: ``float32``, ``bfloat16``, ``bool``."""
    bits = re.search(r"\d+", dtype)
    return -(-int(bits[0]) // 8) if bits else 1


def _shown(value: Any) -> str:
    return f"'{value}'"[:80] if isinstance(value, str) else type(value).__name__
