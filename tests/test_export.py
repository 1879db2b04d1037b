"""What leaves a run: ONNX opened by onnxruntime, safetensors by plain Keras, both without GANForge."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from stranger import finished
from support import python

from ganforge import GANForgeError, Run, UsageError
from ganforge.cli import main
from ganforge.export.about import About
from ganforge.export.plain import widened

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
LATENT = 6
CLASSES = ("cat", "dog", "owl")
# Those in the box, and the one that `new-plugin` writes; small, and not square where they can be.
ARCHITECTURES = {
    "dcgan": ({"width": 4}, (32, 16, 3)),
    "dcgan:transposed": ({"width": 4, "upsample": "transposed"}, (16, 32, 1)),
    "dcgan-conditional": ({"width": 4}, (16, 16, 4)),
    "fastgan": ({"width": 8}, (64, 32, 3)),
    "fcgan": ({"hidden": (8,)}, (8, 12, 3)),
    "mlp": ({"width": 8}, (2,)),
    "projected": ({"width": 8}, (32, 16, 3)),
    "projected:gated": ({"width": 8, "gates": True}, (16, 32, 1)),
    "r3gan": ({"width": 8}, (32, 16, 3)),
    "r3gan-conditional": ({"width": 8}, (16, 16, 3)),
    "sngan": ({"width": 8}, (16, 16, 3)),
    "sngan-conditional": ({"width": 8}, (16, 16, 3)),
    "mine": ({"width": 4}, (8, 8, 3)),
}


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    from ganforge.plugin.registry import load_plugins
    from ganforge.plugin.trust import given
    from ganforge.scaffold import write_plugin

    folder = write_plugin("mine", "architecture", tmp_path_factory.mktemp("plugin"))
    return load_plugins(given([folder / "ganforge_mine" / "__init__.py"]))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Run(finished(tmp_path_factory.mktemp("runs")))


def built(registry, name, precision="float32"):
    """Return a generator whose weights are far from those it begins with, and what goes in and out."""
    from ganforge.engine.networks import build_networks

    options, shape = ARCHITECTURES[name]
    entry = registry.entries["architecture"][name.partition(":")[0]][0]
    chosen = entry.options(**options)
    classes = CLASSES if entry.value.conditional else ()
    model, _ = build_networks(entry.value, shape, LATENT, chosen, chosen, 3, precision, len(classes))
    random = np.random.default_rng(5)
    for variable in model.weights:
        value = np.asarray(variable.numpy(), np.float32)
        variable.assign(value * random.uniform(0.8, 1.2, value.shape) + 0.01)
    return model, About(LATENT, shape, classes, "run_1", 7, precision)


def inputs(about, batch):
    random = np.random.default_rng(100 + batch)
    latents = random.standard_normal((batch, about.latent_dim)).astype(np.float32)
    return [latents, *([random.integers(0, len(about.classes), batch, np.int32)] if about.classes else [])]


def expected(model, given):
    import keras

    tensors = [keras.ops.convert_to_tensor(one) for one in given]
    made = model(tensors if len(tensors) > 1 else tensors[0], training=False)
    return keras.ops.convert_to_numpy(made)


def opened(content):
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def test_no_architecture_is_forgotten(registry):
    found = {entry.name for entry in registry.of("architecture") if not re.search(r"-\d$", entry.name)}
    assert found == {name.partition(":")[0] for name in ARCHITECTURES}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_onnxruntime_computes_the_same_for_every_architecture_and_batch_size(registry, name):
    from ganforge.export.onnx import from_keras

    model, about = built(registry, name)
    content, difference = from_keras(model, about)
    session = opened(content)
    names = ["latents", "labels"] if about.classes else ["latents"]
    assert [(one.name, one.shape[0]) for one in session.get_inputs()] == [(one, "batch") for one in names]
    (output,) = session.get_outputs()
    assert output.name == ("vectors" if len(about.image_shape) == 1 else "pictures")
    for batch in (1, 4, 9):
        given = inputs(about, batch)
        wanted = expected(model, given)
        assert wanted.std() > 1e-4  # not all the same
        (made,) = session.run(None, dict(zip(names, given)))
        np.testing.assert_allclose(made, wanted, rtol=0, atol=1e-5 * max(1, np.abs(wanted).max()))
    assert difference < 1e-5 * max(1, np.abs(wanted).max())
    facts = session.get_modelmeta().custom_metadata_map
    assert facts["run"] == "run_1"
    assert facts["latents"].startswith(f"float32 (batch, {LATENT})")
    assert "-1 is black, 1 is white" in facts["pictures"] if len(about.image_shape) == 3 else "vectors" in facts


def test_a_network_of_16_bits_is_written_in_32(registry):
    from ganforge.export.onnx import from_keras

    model, about = built(registry, "dcgan", "mixed_bfloat16")
    wide, _ = built(registry, "dcgan")
    wide.set_weights(model.get_weights())
    given = inputs(about, 3)
    (made,) = opened(from_keras(model, about)[0]).run(None, {"latents": given[0]})
    np.testing.assert_allclose(made, expected(wide, given), rtol=0, atol=1e-5)
    assert np.abs(expected(model, given).astype(np.float32) - made).max() > 1e-4  # it did compute in 16


def test_only_types_are_widened():
    policy = {"class_name": "DTypePolicy", "config": {"name": "mixed_bfloat16"}}
    config = {"name": "float16", "layers": [{"dtype": policy, "cast": {"dtype": "bfloat16"}}], "dtype": "float32"}
    wide = {"class_name": "DTypePolicy", "config": {"name": "float32"}}
    assert widened(config) == {
        "name": "float16",
        "layers": [{"dtype": wide, "cast": {"dtype": "float32"}}],
        "dtype": "float32",
    }


def test_what_onnxruntime_computes_otherwise_is_refused():
    import keras

    from ganforge.export.onnx import from_keras

    @keras.saving.register_keras_serializable("test_export")
    class Counting(keras.layers.Layer):
        """Adds how often it was called: a trace keeps one number of that."""

        calls = 0

        def call(self, x):
            Counting.calls += 1
            return x + Counting.calls

    given = keras.Input((LATENT,))
    model = keras.Model(given, Counting()(keras.layers.Dense(2)(given)))
    with pytest.raises(GANForgeError, match=r"cannot be exported as ONNX: its output in onnxruntime differs by"):
        from_keras(model, About(LATENT, (2,)))


# ------------------------------------------------------------------ a run


def test_the_command_writes_a_file_that_draws_the_run_s_pictures(run, tmp_path, capsys):
    main_ok("export", run.path, "--output", tmp_path / "new" / "cats.onnx")
    said = capsys.readouterr().out
    assert "batch, rows, columns, channels (red, green, blue)" in " ".join(said.split())
    latents = run.latents(5, seed=3)
    (made,) = opened((tmp_path / "new" / "cats.onnx").read_bytes()).run(None, {"latents": latents})
    bytes_ = np.clip(np.rint((made + 1) * 127.5), 0, 255).astype(np.uint8)
    assert np.abs(bytes_.astype(int) - run.sample(5, seed=3).astype(int)).max() <= 1
    assert run.export().name == "generator.onnx"
    assert (run.path / "generator.onnx").is_file()


def main_ok(*words):
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert end.value.code == 0


WITHOUT_GANFORGE = """
import json, re, sys
import numpy as np
sys.modules["ganforge"] = None
text = open("cats.md").read()
space = {}
exec(re.search("```python\\n(.*?)```", text, re.S)[1], space)
np.savez("made.npz", latents=space["latents"], pictures=space["pictures"])
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_the_readme_of_safetensors_opens_them_without_ganforge(run, tmp_path, backend):
    pytest.importorskip(backend)
    assert run.export("safetensors", tmp_path / "cats.safetensors") == tmp_path / "cats.safetensors"
    (tmp_path / "open.py").write_text(WITHOUT_GANFORGE)
    python("open.py", cwd=tmp_path, backend=backend)
    made = np.load(tmp_path / "made.npz")
    np.testing.assert_allclose(made["pictures"], expected(run.generator(), [made["latents"]]), rtol=0, atol=1e-5)


def test_safetensors_hold_every_weight_and_the_readme_every_shape(run, tmp_path):
    from safetensors.numpy import load_file

    run.export("safetensors", tmp_path / "cats.safetensors")
    tensors, model = load_file(tmp_path / "cats.safetensors"), run.generator()
    assert len(tensors) == len(model.weights)
    for variable in model.weights:
        np.testing.assert_array_equal(tensors[variable.path], variable.numpy())
    readme = (tmp_path / "cats.md").read_text()
    rows = dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \| float32 \|$", readme, re.M))
    assert {name: tuple(map(int, text.split(" × "))) for name, text in rows.items()} == {
        name: one.shape for name, one in tensors.items()
    }
    assert f"{model.count_params():,} numbers" in readme


def test_names_that_come_twice_are_told_apart():
    import keras

    from ganforge.export.tensors import named

    class Twice(keras.layers.Layer):
        def build(self, _):
            self.a = self.add_weight(shape=(1,), name="w")
            self.b = self.add_weight(shape=(2,), name="w")

        def call(self, x):
            return x

    layer = Twice(name="t")
    layer.build((1,))
    assert {name: one.shape for name, one in named(layer).items()} == {"t/w": (1,), "t/w_2": (2,)}


@pytest.mark.slow
def test_where_keras_runs_on_another_backend_torch_writes_it_all_the_same(run, tmp_path):
    pytest.importorskip("jax")
    python("-m", "ganforge", "export", run.path, "--output", tmp_path / "a.onnx", backend="jax")
    latents = run.latents(3)
    (made,) = opened((tmp_path / "a.onnx").read_bytes()).run(None, {"latents": latents})
    np.testing.assert_allclose(made, expected(run.generator(), [latents]), rtol=0, atol=1e-5)


def test_what_the_other_process_says_is_said_here(run, monkeypatch):
    from ganforge.export import run_onnx

    class Done:
        returncode, stdout = 1, "noise of a library\n" + json.dumps({"error": "no generator"}) + "\n"

    monkeypatch.setattr(run_onnx.subprocess, "run", lambda *_, **__: Done)
    with pytest.raises(GANForgeError, match=r"^no generator$"):
        run_onnx.under_torch(run)
    Done.stdout, Done.returncode = "", -9
    with pytest.raises(GANForgeError, match=r"ended with exit code -9$"):
        run_onnx.under_torch(run)


def test_mistakes_are_one_line(run, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"^invalid format 'onxn': expected onnx, .*\. Did you mean 'onnx'\?$"):
        run.export("onxn")
    with pytest.raises(UsageError, match=r"expected a name that ends in \.onnx"):
        run.export("onnx", tmp_path / "a.safetensors")
    with pytest.raises(UsageError, match="only for the format page"):
        run.export("onnx", onnxruntime_web=tmp_path)
    find = __import__("importlib.util").util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "onnxruntime" else find(name))
    with pytest.raises(GANForgeError, match=r"pip install 'ganforge\[onnx\]'$"):
        run.export("onnx", tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())
