"""A ``generator.keras`` from elsewhere computes, and does nothing else; and it is no larger than it says."""

from __future__ import annotations

import io
import json
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from stranger import copied, finished
from support import one_line

from ganforge import GANForgeError, Run
from ganforge.training.saved_generator import open_generator


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return finished(tmp_path_factory.mktemp("made"))


@pytest.fixture
def run(made, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return copied(made, tmp_path)


def changed(path: Path, change) -> None:
    """Rewrite the description in a .keras file; the weights stay."""
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    text = json.dumps(change(json.loads(held["config.json"])))
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in {**held, "config.json": text}.items():
            archive.writestr(name, value)


def layer(config, kind):
    """Return the layers of a kind in a description."""
    return [one for one in config["config"]["layers"] if one["class_name"] == kind]


def write_gallery(config, mark):
    one = layer(config, "Activation")[0]
    function = {"module": "keras.visualization", "class_name": "function", "registered_name": "function"}
    one.update({**function, "config": "plot_image_gallery"}, module="keras.visualization", class_name="function")
    one["inbound_nodes"][0]["kwargs"] = {"value_range": [0, 1], "rows": 1, "cols": 1, "path": mark}
    return config


def class_of(place, name, **settings):
    def change(config, mark):
        one = layer(config, "Activation")[0]
        options = {key: mark if value == "MARK" else value for key, value in settings.items()}
        one.update(module=place, class_name=name, registered_name=name, config={"name": "odd", **options})
        return config

    return change


def as_activation(module, name):
    def change(config, mark):
        function = {"module": module, "class_name": "function", "config": name, "registered_name": "function"}
        layer(config, "Activation")[0]["config"]["activation"] = function
        return config

    return change


def wide(config, mark):
    for one in layer(config, "Dense")[:2]:
        one["config"]["units"] = 28_000
    for one in layer(config, "Dense"):
        del one["build_config"]
    return config


def without_module(config, mark):
    del layer(config, "Activation")[0]["module"]
    return config


HOSTILE = {
    "a function that writes": (write_gallery, "plot_image_gallery"),
    "code": (class_of("keras.layers", "Lambda", function="MARK"), "'Lambda'"),
    "a saved model": (class_of("keras.layers", "TFSMLayer", filepath="MARK"), "'TFSMLayer'"),
    "a pickle": (class_of("keras.layers", "TorchModuleWrapper", module="MARK"), "'TorchModuleWrapper'"),
    "a vocabulary": (class_of("keras.layers", "StringLookup", vocabulary="MARK"), "'StringLookup'"),
    "a module of Python": (class_of("os", "system"), "'system' of 'os'"),
    "an inner module": (class_of("keras.src.utils.io_utils", "print_msg"), "'print_msg'"),
    "an optimizer": (class_of("keras.optimizers", "Adam"), "'Adam'"),
    "a function of keras": (as_activation("keras.utils", "get_file"), "'get_file'"),
    "a builtin": (as_activation("builtins", "print"), "'print'"),
    "no module": (without_module, "'Activation'"),
    "weights that are not there": (wide, "declares 3,1"),
}


def small_generator(keras):
    first = x = keras.Input((6,))
    for one in (*(keras.layers.Dense(192) for _ in range(3)), keras.layers.Reshape((8, 8, 3))):
        x = one(x)
    return keras.Model(first, keras.layers.Activation("tanh")(x))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_generator_is_made_of_ordinary_layers_alone(name, run, ganforge_cli, tmp_path):
    import keras

    change, says = HOSTILE[name]
    path, mark = run / "generator.keras", tmp_path / "mark"
    small_generator(keras).save(path)
    assert ganforge_cli("sample", "run_1", "-n", 1)[0] == 0
    changed(path, lambda config: change(config, str(mark)))
    code, _, err = ganforge_cli("sample", "run_1", "-n", 1)
    assert code == 1
    assert says in one_line(err)
    assert not mark.exists()


def peak() -> int:
    """Return the most memory that this process has held since it was reset, in bytes."""
    return 1024 * int(
        next(li for li in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in li).split()[1]
    )


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="no /proc")
@pytest.mark.parametrize("size", ["padding", "upsampling", "tile", "inner", "weights"])
def test_sizes_are_looked_at_before_anything_is_made(size, run):
    import keras

    layers, ops = keras.layers, keras.ops
    if size == "weights":
        model = small_generator(keras)
        model.save(run / "generator.keras")
        changed(run / "generator.keras", lambda config: wide(config, ""))
    else:
        first = keras.Input((6,))
        x = layers.Reshape((8, 8, 3))(layers.Dense(192)(first))
        if size == "padding":
            x = layers.Cropping2D(10_000)(layers.ZeroPadding2D(10_000)(x))
        elif size == "upsampling":
            x = layers.MaxPooling2D(2_000)(layers.UpSampling2D(2_000)(x))
        elif size == "tile":
            x = ops.tile(x, (10**6, 1, 1, 1))
        else:
            inner = keras.Input((8, 8, 3))
            inner = keras.Model(inner, layers.Cropping2D(9_000)(layers.ZeroPadding2D(9_000)(inner)))
            x = inner(x)
        keras.Model(first, x).save(run / "generator.keras")
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    with pytest.raises(GANForgeError, match=r"cannot be opened: .* (makes|declares)"):
        Run(run).sample(1)
    assert peak() - before < 200e6


def test_a_generator_of_another_shape_is_not_this_runs(run):
    import keras

    path = run / "generator.keras"
    small_generator(keras).save(path)
    assert Run(run).sample(2).shape == (2, 8, 8, 3)
    for shape, latent_dim in (((8, 8, 1), 6), ((3, 8, 8), 6), ((192,), 6), ((8, 8, 3), 7)):
        with pytest.raises(GANForgeError, match=r"makes \(8, 8, 3\) from \(6,\); according to run.json"):
            open_generator(path, shape, latent_dim)


def test_a_generator_takes_labels_where_its_run_has_classes_and_only_there(run, ganforge_cli):
    import keras

    latents, labels = keras.Input((6,)), keras.Input((), dtype="int32")
    x = keras.layers.Dense(192)(latents) + keras.layers.Embedding(2, 192)(labels)
    labelled = keras.Model([latents, labels], keras.layers.Reshape((8, 8, 3))(x))
    whole = json.loads((run / "run.json").read_text())
    for classes, model, good in (
        ([], small_generator(keras), True),
        ([], labelled, False),
        (["cat", "dog"], small_generator(keras), False),
        (["cat", "dog"], labelled, True),
    ):
        model.save(run / "generator.keras")
        (run / "run.json").write_text(json.dumps({**whole, "data": {**whole["data"], "classes": classes}}))
        code, _, err = ganforge_cli("sample", "run_1", "-n", 2)
        assert code == (0 if good else 1), err
        if not good:
            assert "according to run.json, expected (8, 8, 3) from (6,)" in one_line(err)
    (run / "run.json").write_text(json.dumps({**whole, "data": {**whole["data"], "classes": ["a", "b", "c"]}}))
    assert "the generator.keras of run_1 cannot draw" in one_line(ganforge_cli("sample", "run_1", "-n", 3)[2])


def test_a_generator_of_every_ordinary_kind_is_opened(tmp_path):
    """Models in models, operations of keras.ops, wrapped layers, named activations: what plugins write today."""
    import keras

    layers, ops = keras.layers, keras.ops
    inner = keras.Sequential(
        [layers.Input((8, 8, 3)), layers.Conv2D(3, 1, kernel_regularizer="l2"), layers.Dropout(0.2)]
    )
    first = keras.Input((6,))
    x = layers.Dense(192, kernel_initializer=keras.initializers.RandomNormal(stddev=0.02))(first)
    x = layers.Reshape((8, 8, 3))(layers.PReLU()(x))
    x = ops.leaky_relu(x) * 2 + ops.mean(x, axis=-1, keepdims=True)
    x = layers.SpectralNormalization(layers.Conv2DTranspose(3, 3, padding="same"))(x)
    x = layers.GroupNormalization(1)(layers.BatchNormalization()(x))
    x = layers.Activation(keras.activations.gelu)(inner(x))
    x = layers.TimeDistributed(layers.Dense(3, activation="silu"))(x)
    x = layers.Concatenate()([x, x])[..., :3]
    model = keras.Model(first, x)
    model.save(tmp_path / "generator.keras")
    latents = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")
    opened = open_generator(tmp_path / "generator.keras", (8, 8, 3), 6)
    np.testing.assert_array_equal(opened.predict(latents, verbose=0), model.predict(latents, verbose=0))


def test_a_file_that_unpacks_to_far_more_than_it_is_is_refused(tmp_path):
    import keras

    path = tmp_path / "generator.keras"
    small_generator(keras).save(path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/x", io.BytesIO(bytes(2**27)).getvalue())
    start = time.process_time()
    with pytest.raises(GANForgeError, match="unpacks to far more"):
        open_generator(path, (8, 8, 3), 6)
    assert time.process_time() - start < 2
