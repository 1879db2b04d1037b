"""Networks, strategies, losses and optimizers given from Python as objects."""

from __future__ import annotations

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops
from objects_probe import PICTURES, SETTINGS, Drifting, networks
from support import BACKENDS, ROOT, probe, timeless

import ganforge
from ganforge import GANForgeError, UsageError

SMALL = {"data": "critters:count=16", "batch_size": 8, "epochs": 1}


@pytest.mark.parametrize("kind", ["objects", "plain"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_of_objects_ends_as_if_it_had_never_been_cut_off(backend, kind):
    said = probe("objects_probe.py", backend)[kind]
    assert said["held"]  # the given networks hold the trained weights
    assert said["drawn"] < 1e-5
    assert said["moved"] > 1e-3
    if kind == "objects":
        assert "(loss 'squared', strategy 'drifting:sigma=0.2'); pass them again" in said["refused"]
        assert "resume(loss=…, balance=…)" in said["refused"]
    else:
        assert said["refused"] == ""
    assert said["same"]
    assert said["compared"] > 20
    assert said["state"] == "finished"


def test_data_of_python_are_found_again_in_the_cache(tmp_path, monkeypatch):
    from ganforge.study.evaluate import training_images

    monkeypatch.setenv("GANFORGE_CACHE_DIR", str(tmp_path / "cache"))
    floats = PICTURES.astype("float32") / 255
    labels = ["a", "b"] * 12
    run = ganforge.train(networks(), **SMALL | {"data": floats}, labels=labels, limit=16, runs_dir=tmp_path)
    assert run.config.data == "array"
    assert len(training_images(run)) == 16
    run.resume(2)
    assert run.state == "finished"
    for entry in (tmp_path / "cache").rglob("*.*"):
        entry.unlink()
    with pytest.raises(GANForgeError, match=r"data from Python \(16 .*no longer in the cache.*resume\(data=…\)"):
        run.resume(3)
    with pytest.raises(GANForgeError, match="that run_1 was trained on"):
        run.resume(3, data=255 - PICTURES)
    run.resume(3, data=floats, labels=labels)
    run.resume(4, data="critters:count=24", data_changed="ok")
    assert run.config.data == "critters:count=24"
    run.resume(5)
    with pytest.raises(UsageError, match="labels= applies to an array or a list of paths"):
        ganforge.train(networks(), **SMALL, labels=[1], runs_dir=tmp_path)
    with pytest.raises(UsageError, match="the networks take 8x8 pictures, but the data are 16x16"):
        ganforge.train(networks(), **SMALL | {"data": np.zeros((20, 16, 16, 3), np.uint8)}, runs_dir=tmp_path)


def test_data_without_an_end_train_so_many_steps(tmp_path):
    def noise():
        rng = np.random.default_rng(7)
        while True:
            yield rng.integers(0, 256, (5, 8, 8, 3), np.uint8)

    settings = {"batch_size": 8, "runs_dir": tmp_path, "progress": False}
    run = ganforge.train(networks(), data=noise(), steps=6, log_every=1, **settings)
    assert [line["step"] for line in run.metrics()] == [1, 2, 3, 4, 5, 6]
    assert run.manifest["data"]["count"] == 48
    run.resume(2)  # what was read is kept: it is gone through again
    assert run.manifest["progress"]["step"] == 12
    with pytest.raises(GANForgeError, match=r"ended after 10 pictures, enough for 1 of \d+ steps; .* epochs=N"):
        ganforge.train(networks(), data=(p for p in [PICTURES[:10]]), steps=6, **settings)
    with pytest.raises(UsageError, match=r"^steps is only for data from Python that never end; expected epochs$"):
        ganforge.train(networks(), data="critters:count=16", steps=6, **settings)
    with pytest.raises(UsageError, match=r"^steps and limit both say"):
        ganforge.train(networks(), data=noise(), steps=6, limit=10, **settings)


def metrics(run: ganforge.Run) -> list[dict]:
    return timeless(run.metrics())


def close(one: list[dict], other: list[dict], tolerance: float = 5e-4) -> None:
    assert len(one) == len(other) > 1
    for a, b in zip(one, other):
        shared = {name for name in a if isinstance(a[name], float) and name in b}
        assert {"d_loss", "g_loss"} <= shared
        for name in shared:
            assert a[name] == pytest.approx(b[name], rel=tolerance, abs=tolerance), name


def test_what_is_given_as_an_object_is_trained_as_by_its_name(tmp_path):
    common = {**SETTINGS, "log_every": 1, "epochs": 2}
    named = ganforge.train(
        networks(),
        **common,
        loss="bce",
        optimizer="adam:beta_2=0.99,learning_rate=0.001,beta_1=0.3",
        runs_dir=tmp_path,
    )
    given = ganforge.train(
        networks(),
        **common,
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        optimizer=keras.optimizers.Adam(0.001, beta_1=0.3, beta_2=0.99),
        runs_dir=tmp_path,
    )
    close(metrics(named), metrics(given))
    # A function, one number for each logit: the logit's own distance from its label, twice least squares' own.
    own = ganforge.train(networks(), **common, loss=lambda y, x: ops.square(x - y) / 2, runs_dir=tmp_path)
    least = ganforge.train(networks(), **common, loss="least-squares", runs_dir=tmp_path)
    close(metrics(own), metrics(least))
    assert own.metrics()[0]["d_real_sign"] == least.metrics()[0]["d_real_sign"]
    assert own.manifest["objects"]["needed"] == [["architecture", "own"], ["loss", "lambda"]]


def test_the_same_strategy_object_gives_the_same_run_twice(tmp_path):
    strategy = Drifting(sigma=0.3)
    runs = [ganforge.train(networks(), [strategy], **SETTINGS, log_every=1, runs_dir=tmp_path) for _ in range(2)]
    assert metrics(runs[0]) == metrics(runs[1])
    assert strategy.steps == 9  # of one run


def test_both_networks_have_an_optimizer_of_their_own_of_the_settings_given(tmp_path):
    used = keras.optimizers.SGD(0.02, momentum=0.5)
    used.build([keras.Variable([0.0])])  # one in use may be given: it is read, and no more
    run = ganforge.train(networks(), optimizer=(used, keras.optimizers.Adam(0.003)), **SMALL, runs_dir=tmp_path)
    line = run.metrics()[-1]
    assert (line["generator_lr"], line["discriminator_lr"]) == pytest.approx((0.02, 0.003))
    assert int(used.iterations) == 0


def test_a_registered_strategy_as_an_object_is_the_registered_one(tmp_path):
    from ganforge.balance.r1 import R1

    run = ganforge.train(networks(), R1(gamma=0.3), **SMALL, runs_dir=tmp_path)
    assert run.config.balance[0].startswith("r1:gamma=0.3")
    assert run.manifest["strategies"][0]["package"] == "ganforge"
    assert run.manifest["objects"]["needed"] == [["architecture", "own"]]


class Squashing(keras.Model):
    """A class of one's own, whose end no graph shows."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, x):
        return ops.sigmoid(self.dense(ops.reshape(x, (-1, 192))))


def ending(where: int, layer: keras.layers.Layer) -> tuple[keras.Model, keras.Model]:
    pair = list(networks())
    pair[where] = keras.Sequential([*pair[where].layers[:-1], layer])
    return pair[0], pair[1]


BAD = {
    "one network": ({"arch": networks()[0]}, "one model; expected"),
    "one twice": ({"arch": networks()[:1] * 2}, "the same model twice"),
    "no models": ({"arch": (1, 2)}, "two Keras models (generator, discriminator)"),
    "latent": ({"arch": networks(), "latent_dim": 7}, "invalid latent_dim=7: the generator takes 6"),
    "size": ({"arch": networks(), "image_size": 16}, "invalid image_size=16: the discriminator takes 8"),
    "channels": ({"arch": networks(), "channels": 1}, "invalid channels=1: the discriminator takes 3"),
    "sigmoid G": (
        {"arch": ending(0, layers.Conv2D(3, 3, padding="same", activation="sigmoid"))},
        "the generator ends with sigmoid, which is never below 0; pictures are in [-1, 1]: end it with tanh",
    ),
    "sigmoid D": (
        {"arch": ending(1, layers.Dense(1, activation="sigmoid"))},
        "expected logits: end it with Dense(1)",
    ),
    "sigmoid class": (
        {"arch": (networks()[0], Squashing()), "image_size": 8},
        "the discriminator outputs values within [0, 1]",
    ),
    "precision": ({"arch": networks(), "precision": "mixed_bfloat16"}, "the networks were built with float32"),
    "shape": (
        {"latent_dim": 6, "image_size": 8, "arch": ending(0, layers.Conv2D(1, 3, activation="tanh", padding="same"))},
        "gives (8, 8, 1) from (6,)",
    ),
    "probabilities": ({"loss": keras.losses.BinaryCrossentropy()}, "expected from_logits=True"),
    "probabilities of a function": ({"loss": keras.losses.binary_crossentropy}, "expected from_logits=True"),
    "loss": ({"loss": 3}, "loss is 3; expected a name, a ganforge.Loss, a Keras loss"),
    "optimizer": ({"optimizer": 3}, "optimizer is 3; expected a name such as"),
    "three optimizers": ({"optimizer": (1, 2, 3)}, "optimizer has 3 entries"),
    "strategy": ({"balance": [3]}, "balance contains 3; expected names"),
    "option": ({"balance": "r1:gama=1"}, "Did you mean 'gamma'?"),
    "name": ({"epoch": 3}, "there is no setting 'epoch'. Did you mean 'epochs'?"),
    "type": ({"epochs": "many"}, "invalid epochs many: expected a valid integer"),
    "array": ({"batch_size": np.zeros((300, 300))}, "invalid batch_size a ndarray of float64 (300, 300): expected"),
    "flag": ({"balance": ["r1", "r1"]}, "balance r1 is given twice"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_one_line_in_pythons_words_and_trains_nothing(name, tmp_path):
    settings, reason = BAD[name]
    with pytest.raises(GANForgeError) as caught:
        ganforge.train(**{"arch": "fcgan:hidden=8", **SMALL, **settings}, runs_dir=tmp_path)
    message = str(caught.value)
    assert reason in message
    assert "\n" not in message
    assert "--" not in message
    assert len(message) < 330
    assert not list(tmp_path.glob("run_*"))


def test_options_of_a_strategy_are_checked_when_it_is_made():
    with pytest.raises(UsageError, match=r"has no option 'sigam'.*Did you mean 'sigma'"):
        Drifting(sigam=1)


def test_a_run_is_given_back_what_it_began_with_and_nothing_else(tmp_path):
    run = ganforge.train(networks(), [Drifting()], **SMALL, runs_dir=tmp_path)
    wider = list(networks())
    wider[1] = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(1)])
    with pytest.raises(GANForgeError, match="this discriminator is not the one of run_1"):
        run.resume(2, arch=tuple(wider), balance=[Drifting()])
    other = list(networks())
    other[1] = keras.models.clone_model(other[1])
    other[1].layers[2].negative_slope = 0.3
    with pytest.raises(GANForgeError, match="other settings"):
        run.resume(2, arch=tuple(other), balance=[Drifting()])
    with pytest.raises(UsageError, match="run_1 was trained with loss=bce, not hinge"):
        run.resume(2, balance=[Drifting()], loss="hinge")
    with pytest.raises(UsageError, match=r"resume has no setting 'epoch'.*Did you mean 'epochs'"):
        run.resume(2, epoch=3)
    run.resume(2, balance=[Drifting()])  # the networks are plain
    assert run.manifest["stages"][-1]["reason"] == "epochs 2"


def test_networks_of_a_run_are_looked_at_before_they_are_made(tmp_path):
    run = ganforge.train(networks(), **SMALL, runs_dir=tmp_path)
    file = run.path / "networks.json"
    text = json.loads(file.read_text())
    text["generator"]["config"]["layers"][1] |= {"class_name": "Lambda", "module": "keras.layers"}
    file.write_text(json.dumps(text))
    with pytest.raises(GANForgeError, match=r"'Lambda' of 'keras.layers', which is not an ordinary Keras layer"):
        run.resume(2)
    text = json.loads((run.path / "run.json").read_text())
    text["objects"]["kept"] = [{"kind": "loss", "text": "x", "class": "Path", "config": {}}]
    text["objects"]["needed"].append(["loss", "x"])
    text["config"]["loss"] = "x"
    (run.path / "run.json").write_text(json.dumps(text))
    with pytest.raises(GANForgeError, match="its loss is not one of Keras's own"):
        run.resume(2, arch=networks())


def test_settings_are_typed_name_by_name():
    from ganforge.training.asked import ResumeSettings, TrainSettings
    from ganforge.training.config import TrainConfig
    from ganforge.training.objects.back import CHANGES

    assert set(TrainSettings.__annotations__) == set(TrainConfig.model_fields) - {"arch", "balance"} | {"labels"}
    assert set(ResumeSettings.__annotations__) - {"arch", "loss", "optimizer", "discriminator_optimizer"} == (
        set(CHANGES) - {"epochs"} | {"labels"}
    )


@pytest.mark.slow
def test_a_type_checker_sees_wrong_names_and_types(tmp_path):
    good = "import ganforge\nganforge.train('dcgan', epochs=5, image_size='64x32', channels=4, fit='pad')\n"
    mistakes = [
        "ganforge.train('dcgan', epoch=5)",
        "ganforge.train('dcgan', epochs='many')",
        "ganforge.train('dcgan', bogus=3)",
        "ganforge.train('dcgan', fit='squeeze')",
        "ganforge.train(3)",
        "ganforge.Run('x').resume(bogus=1)",
        "ganforge.Run('x').resume(on_nan='go')",
    ]
    file = tmp_path / "mistakes.py"
    file.write_text(good + "\n".join(mistakes) + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", str(file)],  # in the checkout: what was checked before is not checked again
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    lines = {
        int(line.split(":")[1]) for line in done.stdout.splitlines() if "mistakes.py:" in line and "error" in line
    }
    assert lines == set(range(3, 3 + len(mistakes))), done.stdout
