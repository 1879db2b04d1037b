"""Keras callbacks as observers; an observer that stops a run; and the discriminator that a run leaves."""

from __future__ import annotations

import csv
import logging

import keras
import numpy as np
import pytest
from support import BACKENDS, SMALL, TESTS, printed

from ganforge import UsageError, hookimpl, train

HOOKS = [name for name in dir(keras.callbacks.Callback) if name.startswith("on_") and "_batch" not in name[:9]]


def recorder(events: list, stop_at: str = "", **more):
    """A callback that writes down each call with its number; ``stop_at`` is the event after which it stops."""

    def noting(name):
        def call(self, *args, logs=None):
            number = args[0] if args and isinstance(args[0], int) else ""
            events.append(f"{name} {number}".strip())
            if events[-1] == stop_at:
                self.model.stop_training = True

        return call

    return type("Notes", (keras.callbacks.Callback,), {name: noting(name) for name in HOOKS} | more)()


def test_a_callback_is_called_in_the_order_in_which_keras_fits(tmp_path):
    ours, theirs = [], []
    train(**SMALL, epochs=3, runs_dir=tmp_path, observers=[recorder(ours)])
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    data = np.zeros((32, 2)), np.zeros((32, 1))
    model.fit(*data, batch_size=16, epochs=3, verbose=0, callbacks=[recorder(theirs)])
    assert ours == theirs
    assert len(ours) == 2 + 3 * 2 + 6 * 2


@pytest.mark.parametrize(
    ("stop_at", "steps"), [("on_train_batch_end 0", 1), ("on_epoch_end 1", 4), ("on_train_batch_begin 0", 1)]
)
def test_stop_training_stops_and_a_resumed_run_goes_on_from_there(tmp_path, stop_at, steps):
    events, rest = [], []
    run = train(**SMALL, epochs=3, runs_dir=tmp_path, observers=[recorder(events, stop_at)])
    assert run.state == "stopped"
    assert run.manifest["progress"]["step"] == steps
    assert events[-1] == "on_train_end"
    run.resume(observers=[recorder(rest)])
    assert run.state == "finished"
    epoch, batch = divmod(steps, 2)
    assert rest[:3] == ["on_train_begin", f"on_epoch_begin {epoch}", f"on_train_batch_begin {batch}"]
    assert sum(one.startswith("on_train_batch_end") for one in rest) == 6 - steps


def test_logs_are_what_the_run_logs_and_callbacks_of_keras_use_them(tmp_path):
    history = keras.callbacks.History()
    seen = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs.get("d_loss")))
    table = keras.callbacks.CSVLogger(tmp_path / "epochs.csv")
    run = train(**{**SMALL, "log_every": 2}, epochs=2, runs_dir=tmp_path, observers=[history, watch, table])
    logged = {line["step"]: line["d_loss"] for line in run.metrics()}
    assert list(logged) == [1, 2, 4]
    assert seen == [logged.get(step) for step in (1, 2, 3, 4)]
    assert history.history["d_loss"] == [logged[2], logged[4]]
    rows = list(csv.DictReader((tmp_path / "epochs.csv").open()))
    assert [float(row["d_loss"]) for row in rows] == [logged[2], logged[4]]


def test_the_model_of_a_callback_is_both_networks(tmp_path, caplog):
    made = []

    def on_epoch_end(self, epoch, logs=None):
        made.append(np.asarray(keras.ops.convert_to_numpy(self.model.generator(np.zeros((1, 100), "float32")))))
        if epoch:
            self.model.optimizer  # noqa: B018

    monitor = type("Monitor", (keras.callbacks.Callback,), {"on_epoch_end": on_epoch_end})()
    with caplog.at_level(logging.WARNING, "ganforge"):
        run = train(**SMALL, epochs=3, runs_dir=tmp_path, observers=[monitor])
    assert [one.shape for one in made] == [(1, 16, 16, 3)] * 2
    assert run.state == "finished"
    assert "'Monitor' failed in epoch_ended" in caplog.text
    assert "has generator, discriminator and stop_training, but no optimizer" in caplog.text


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda k: k.EarlyStopping(), 'stop_when="kid:patience=3"'),
        (lambda k: k.ModelCheckpoint("x.keras"), 'checkpoint_every="6,10min"'),
        (lambda k: k.BackupAndRestore("x"), "run.resume()"),
        (lambda k: k.ReduceLROnPlateau(), 'balance="lr-decay"'),
        (lambda k: k.LearningRateScheduler(lambda epoch: 1e-4), 'balance="lr-decay"'),
        (lambda k: k.TensorBoard(), 'log="tensorboard"'),
        (lambda k: k.TerminateOnNaN(), 'on_nan="stop"'),
        (lambda k: k.SwapEMAWeights(), "ema=0.999"),
        (lambda k: k.CallbackList(), "pass the callbacks themselves"),
        (lambda k: type("Mine", (k.EarlyStopping,), {})(), "'Mine', a subclass of EarlyStopping, is made"),
        (lambda k: k.Callback(), "would never be called"),
        (
            lambda k: type("T", (k.Callback,), {"on_test_end": lambda self, logs=None: None})(),
            "would never be called",
        ),
        (lambda k: k.EarlyStopping, "is a class"),
    ],
)
def test_a_callback_whose_meaning_does_not_carry_over_is_refused_with_the_flag_that_does_it(tmp_path, make, says):
    with pytest.raises(UsageError) as caught:
        train(**SMALL, epochs=1, runs_dir=tmp_path, observers=[make(keras.callbacks)])
    assert says in str(caught.value)
    assert not list(tmp_path.glob("run_*"))


def test_methods_that_are_never_called_are_named(tmp_path, caplog):
    events = []
    test = {"on_test_begin": lambda self, logs=None: events.append("wrong")}
    one = recorder(events, **test)
    with caplog.at_level(logging.WARNING, "ganforge"):
        train(**SMALL, epochs=1, runs_dir=tmp_path, observers=[one])
    assert "on_test_begin" in caplog.text
    assert "wrong" not in events


class Stops:
    """Asks for an end at a grid."""

    @hookimpl
    def run_started(self, run):
        self.run = run

    @hookimpl
    def snapshot_taken(self, snapshot):
        if snapshot.step == 4:
            self.run.stop()


def test_an_observer_stops_a_run_with_all_saved(tmp_path):
    run = train(**SMALL, epochs=6, snapshot_every=2, runs_dir=tmp_path, observers=[Stops()])
    assert (run.state, run.manifest["progress"]["step"]) == ("stopped", 4)
    assert (run.path / "generator.keras").is_file()
    assert run.resume().manifest["progress"]["step"] == 12


READS = """
import sys, json, numpy as np, keras, ganforge
sys.path.insert(0, {tests!r})
from support import SMALL
seen = []
class Monitor(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        seen.append(float(np.abs(self.model.generator.get_weights()[0]).sum()))
run = ganforge.train(**SMALL, epochs=2, snapshot_every=2, runs_dir={runs!r}, observers=[Monitor()])
last = float(np.abs(run.generator().get_weights()[0]).sum())
print(json.dumps([seen, last]))
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_callback_reads_the_weights_of_each_step_on_every_backend(tmp_path, backend):
    seen, last = printed(READS.format(tests=str(TESTS), runs=str(tmp_path)), backend)
    assert len({*seen}) == 4
    assert seen[-1] == pytest.approx(last, rel=1e-6)


# ------------------------------------------------------------------ the discriminator


class Keeps:
    """Keeps what the discriminator says at the end."""

    @hookimpl
    def run_ended(self, run):
        pictures = np.random.default_rng(0).uniform(-1, 1, (4, 16, 16, 3)).astype("float32")
        self.logits = keras.ops.convert_to_numpy(run.discriminator(pictures, training=False))


def test_the_discriminator_is_a_plain_keras_file(tmp_path):
    keeps = Keeps()
    run = train(**SMALL, epochs=1, runs_dir=tmp_path, observers=[keeps])
    loaded = keras.models.load_model(run.path / "discriminator.keras")
    pictures = np.random.default_rng(0).uniform(-1, 1, (4, 16, 16, 3)).astype("float32")
    assert keras.ops.convert_to_numpy(loaded(pictures, training=False)) == pytest.approx(keeps.logits, abs=1e-5)


def test_a_discriminator_that_cannot_be_saved_costs_no_run(tmp_path, monkeypatch, caplog):
    from ganforge.training import outputs

    save = outputs.save_network

    def fails(network, path):
        if path.name == "discriminator.keras":
            raise NotImplementedError("no config")
        save(network, path)

    monkeypatch.setattr(outputs, "save_network", fails)
    with caplog.at_level(logging.WARNING, "ganforge"):
        run = train(**SMALL, epochs=1, runs_dir=tmp_path)
    assert run.state == "finished"
    assert run.sample(1).shape == (1, 16, 16, 3)
    assert "discriminator.keras of run_1 could not be saved: NotImplementedError: no config" in caplog.text
