"""A generator as ONNX, by torch's exporter, compared with the original by onnxruntime before it is written."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ganforge.errors import GANForgeError, log, out_of_memory, reason
from ganforge.export.about import About
from ganforge.export.plain import in_float32

OPSET = 17
PROMISED = 1e-5  # the largest difference, for numbers of about 1
WRONG = 1e-3  # no rounding does that: it is another network
BATCHES = (1, 2, 5)  # of any size: what was fixed when it was traced shows at another


def from_keras(model: Any, about: About) -> tuple[bytes, float]:
    """Return a Keras model of torch as ONNX, and its largest difference from the original; for any batch size.

    The exporter that traces comes first: it takes a tenth of the time of the newer one, which is asked where the
    first one fails or what it wrote computes something else.

    Raises:
        GANForgeError: neither writes a file that onnxruntime computes the same with.
    """
    with in_float32(model, about) as plain:
        module = _module(plain)
        why: list[str] = []
        for dynamo in (False, True):
            try:
                with _silence():
                    content = _described(_traced(module, about, dynamo), about)
                    difference, largest = compared(content, module, about)
            except Exception as error:  # whatever torch, onnx and onnxruntime say of a network
                if out_of_memory(error):
                    raise
                why.append(reason(error))
                continue
            if difference <= WRONG * largest:
                if difference > PROMISED * largest:
                    log.warning(
                        "the output of the ONNX file differs from the original by %.1e, more than %g",
                        difference,
                        PROMISED,
                    )
                return content, difference
            why.append(f"its output in onnxruntime differs by {difference:.1e}")
    raise GANForgeError(f"this generator cannot be exported as ONNX: {why[0][:300]}")


def example(about: About, batch: int) -> list[np.ndarray]:
    """Return latents, float32 (batch, latent_dim), and where there are classes labels, int32 (batch,)."""
    latents = np.random.default_rng(batch).standard_normal((batch, about.latent_dim)).astype(np.float32)
    return [latents, *([np.arange(batch, dtype=np.int32) % len(about.classes)] if about.classes else [])]


def compared(content: bytes, module: Any, about: About) -> tuple[float, float]:
    """Return the largest difference between onnxruntime and torch over some batches, and the largest number, or 1."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    difference, largest = 0.0, 1.0
    for batch in BATCHES:
        given = example(about, batch)
        (made,) = session.run(None, dict(zip(about.inputs, given)))
        with torch.inference_mode():
            expected = module(*map(torch.from_numpy, given)).numpy()
        if made.shape != expected.shape or not np.isfinite(expected).all():
            raise GANForgeError(f"it makes {made.shape}; expected finite numbers {expected.shape}")
        difference = max(difference, float(np.abs(made - expected).max()))
        largest = max(largest, float(np.abs(expected).max()))
    return (difference if difference == difference else float("inf")), largest


def _module(model: Any) -> Any:
    import torch

    class Generator(torch.nn.Module):
        """The network as torch's exporter takes it."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: Any) -> Any:
            return self.model(list(inputs) if len(inputs) > 1 else inputs[0], training=False)

    return Generator().eval()


def _traced(module: Any, about: About, dynamo: bool) -> bytes:
    import torch

    inputs, (output, _) = list(about.inputs), about.output
    given = tuple(torch.from_numpy(x) for x in example(about, 2))
    export: Any = torch.onnx.export
    if not dynamo:
        file, free = io.BytesIO(), {name: {0: "batch"} for name in [*inputs, output]}
        with torch.inference_mode():
            export(
                module,
                given,
                file,
                input_names=inputs,
                output_names=[output],
                dynamic_axes=free,
                opset_version=OPSET,
                dynamo=False,
            )
        return file.getvalue()
    batch = torch.export.Dim("batch")
    shapes = (tuple({0: batch} for _ in given),)  # of `*inputs`
    program = export(
        module,
        given,
        input_names=inputs,
        output_names=[output],
        dynamic_shapes=shapes,
        dynamo=True,
        verbose=False,
    )
    content: bytes = program.model_proto.SerializeToString()
    return content


def _described(content: bytes, about: About) -> bytes:
    """Return the file with what goes in and comes out written into it."""
    import onnx

    model = onnx.load_model_from_string(content)
    onnx.checker.check_model(model)
    name, words = about.output
    model.producer_name = "ganforge"
    model.doc_string = "\n".join(f"{key}: {text}" for key, text in {**about.inputs, name: words}.items())
    onnx.helper.set_model_props(model, about.facts)
    described: bytes = model.SerializeToString()
    return described


@contextmanager
def _silence() -> Iterator[None]:
    """Keep to itself what the exporters say of themselves."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(level)
