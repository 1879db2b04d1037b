"""A generator's weights as safetensors, with its layers in the file's metadata, and a README of shapes beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganforge.errors import on_one_line
from ganforge.export.about import About, write
from ganforge.export.plain import weights_of, widened
from ganforge.files import require_file

if TYPE_CHECKING:
    from ganforge import Run

README = """\
# {title}

`{file}` holds the weights of a generator, written by {made_by}. GANForge is not needed to use them.

{meaning}

The file's metadata hold the layers, as Keras describes them, and the order of the weights. With Keras and
safetensors, on any backend:

```python
import json
import keras
import numpy as np
from safetensors import safe_open

with safe_open("{file}", "numpy") as file:
    about = file.metadata()
    weights = [file.get_tensor(name) for name in json.loads(about["order"])]
generator = keras.models.model_from_json(about["config"])
generator.set_weights(weights)

latents = np.random.default_rng(0).standard_normal((16, {latent_dim})).astype("float32")
{output} = keras.ops.convert_to_numpy(generator({call}, training=False))
```
{custom}
| tensor | shape | type |
|---|---|---|
{rows}

{count:,} numbers in {tensors} tensors. The `kernel` of a dense layer is (inputs, outputs); of a convolution (rows,
columns, inputs, outputs); of a transposed convolution (rows, columns, outputs, inputs). A moving mean and variance
belong to a batch normalization.
"""


def write_tensors(run: Run, path: Path) -> list[str]:
    """Write a run's generator as safetensors with a README; return what to know of it."""
    import keras

    from ganforge.training.saved_generator import looked_at

    readme = path.with_suffix(".md")
    require_file(readme)
    model, about = run.generator(), About.of(run)
    config = widened(keras.saving.serialize_keras_object(model))
    foreign = any(looked_at(config))
    tensors = named(model)
    write(path, packed(tensors, config, about))
    write(readme, described(tensors, about, path.name, foreign).encode("utf-8", "backslashreplace"))
    count = sum(one.size for one in tensors.values())
    return [f"{count:,} numbers in {len(tensors)} tensors; {readme} lists their shapes and how to open them"]


def named(model: Any) -> dict[str, np.ndarray]:
    """Return a model's weights by their names, in their order; a name that comes twice gets a number."""
    found: dict[str, np.ndarray] = {}
    for variable, weight in zip(model.weights, weights_of(model)):
        name, number = variable.path, 1
        while name in found:
            number += 1
            name = f"{variable.path}_{number}"
        found[name] = weight
    return found


def packed(tensors: dict[str, np.ndarray], config: Any, about: About) -> bytes:
    """Return the bytes of a ``.safetensors`` file that says what its numbers are and which layers they belong to."""
    from safetensors.numpy import save

    metadata = {"format": "keras", "config": json.dumps(config), "order": json.dumps(list(tensors))}
    content: bytes = save({k: np.ascontiguousarray(v) for k, v in tensors.items()}, {**about.facts, **metadata})
    return content


def described(tensors: dict[str, np.ndarray], about: About, file: str, foreign: bool) -> str:
    """Return the README of a file."""
    name, words = about.output
    meaning = [f"- `{key}`: {text}" for key, text in {**about.inputs, name: words}.items()]
    meaning += [f"- class {i}: {on_one_line(one)}" for i, one in enumerate(about.classes)]
    call = '[latents, np.zeros(16, "int32")]' if about.classes else "latents"
    custom = "\nSome layers come from a plugin: import its package before opening the file.\n" if foreign else ""
    rows = [f"| `{on_one_line(key)}` | {_shape(one)} | {one.dtype} |" for key, one in tensors.items()]
    return README.format(
        title=f"{about.run}, the generator after {about.step:,} steps",
        file=file,
        made_by=about.facts["made_by"],
        meaning="\n".join(meaning),
        latent_dim=about.latent_dim,
        output=name,
        call=call,
        custom=custom,
        rows="\n".join(rows),
        count=sum(one.size for one in tensors.values()),
        tensors=len(tensors),
    )


def _shape(weight: np.ndarray) -> str:
    return " × ".join(map(str, weight.shape)) or "one number"
