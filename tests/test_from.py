"""A run that begins with another's weights: the same numbers at step 0, what fits, and layers that stay."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from support import BACKENDS, SMALL, one_line, printed

from ganforge import GANForgeError, Run, UsageError, hookimpl, train
from ganforge.engine.beginning import begin
from ganforge.training.config import TrainConfig
from ganforge.training.resume import resume
from ganforge.training.setup import Setup

QUIET = {"progress": False}


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Run:
    """A finished run, which nobody may change."""
    return train(
        **SMALL, epochs=2, ema=0.9, seed=4, loss="hinge", runs_dir=tmp_path_factory.mktemp("source"), **QUIET
    )


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANFORGE_STATE_DIR", str(tmp_path / "state"))


def weights(run: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a run's last checkpoint by owner and position, read by safetensors alone."""
    last = sorted((run / "checkpoints").glob("step_*"))[-1]
    return by_position(load_file(last / "weights.safetensors"))


def by_position(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return arrays by owner and position; without the seeds of dropout, which are a run's own."""
    kept = {name: array for name, array in arrays.items() if not name.endswith("seed_generator_state")}
    return {"/".join(name.split("/")[:2]): array.reshape(-1) for name, array in kept.items()}


def setup(source: Run, **settings: object) -> Setup:
    return Setup.new(TrainConfig.of({"from_run": source.path, "data": SMALL["data"], "epochs": 2, **settings}))


def state(made: Setup) -> dict[str, np.ndarray]:
    return by_position(made.engine.get_state()[0])


def of(arrays: dict[str, np.ndarray], *owners: str) -> dict[str, np.ndarray]:
    return {name: array for name, array in arrays.items() if name.split("/")[0] in owners}


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


NETWORKS = ("generator", "discriminator", "generator_average")
OPTIMIZERS = ("generator_optimizer", "discriminator_optimizer")


def test_a_run_begins_with_the_weights_of_another_bit_for_bit(source):
    old, new = weights(source.path), state(made := setup(source, seed=9))
    assert len(of(old, *NETWORKS)) > 12
    assert equal(of(old, *NETWORKS), of(new, *NETWORKS))
    assert not any(array.any() for name, array in of(new, *OPTIMIZERS).items() if not name.endswith("/001"))
    assert (made.settings.loss, made.settings.ema, made.settings.image_size) == ("hinge", 0.9, 16)
    other = setup(source, loss="bce", balance="label-noise", learning_rate=1e-3).settings
    assert (other.loss, other.balance, other.learning_rate) == ("bce", ("label-noise",), 1e-3)


def test_what_was_taken_is_in_run_json(source):
    run = train(from_run=source, epochs=1, **QUIET)
    checkpoint = sorted((source.path / "checkpoints").glob("step_*"))[-1]
    origin = run.manifest["from"]
    assert (origin["run"], origin["path"], origin["step"]) == (source.id, str(source.path.resolve()), 4)
    assert origin["sha256"] == json.loads((checkpoint / "state.json").read_text())["sha256"]
    assert run.manifest["config"]["data"] == SMALL["data"]
    assert not equal(of(weights(run.path), "generator"), of(weights(source.path), "generator"))


def test_the_mean_begins_with_the_weights_where_the_earlier_run_has_none(tmp_path):
    plain = train(**SMALL, epochs=1, runs_dir=tmp_path / "plain", **QUIET)
    made = setup(plain, ema=0.5)
    new = made.engine.get_state()[0]
    means = [array for name, array in new.items() if name.startswith("generator_average/")][1:]
    learned = [v.numpy() for v in made.engine.generator.trainable_weights]
    assert len(means) == len(learned)
    assert all(np.array_equal(one, other) for one, other in zip(means, learned))


def test_optimizers_are_taken_where_asked(source):
    old, new = weights(source.path), state(setup(source, from_optimizers=True))
    assert equal(of(old, *OPTIMIZERS), of(new, *OPTIMIZERS))
    frozen = setup(source, from_optimizers=True, freeze_discriminator=1)
    assert equal(of(old, "generator_optimizer"), of(state(frozen), "generator_optimizer"))
    # Adam's are its step, its rate, and two slots of each weight: those of the first layer's two weights are gone.
    kept = frozen.engine.get_state()[0]
    slots = [array.reshape(-1) for name, array in kept.items() if name.startswith("discriminator_optimizer/")]
    before = list(of(old, "discriminator_optimizer").values())
    assert len(before) - len(slots) == 4
    assert all(any(np.array_equal(slot, one) for one in before) for slot in slots)
    with pytest.raises(UsageError, match="the generator's optimizer was a different one"):
        setup(source, from_optimizers=True, optimizer="sgd" if _has("sgd") else "optimistic-adam")


def _has(name: str) -> bool:
    from ganforge.plugin.registry import load_plugins

    return name in load_plugins().entries["optimizer"]


def test_layers_that_do_not_fit_are_listed_and_refused(source, ganforge_cli):
    words = ("train", "--from", source.path, "--image-size", 8, "--data", SMALL["data"], "--dry-run")
    code, _, err = ganforge_cli(*words)
    assert code == 2
    line = one_line(err)
    assert "the generator's" in line
    assert "8×192" in line
    assert "the discriminator's" in line
    assert "192×8" in line
    code, out, _ = ganforge_cli(*words, "--from-partial")
    assert code == 0
    assert "starts from" in out


def test_partly_takes_what_fits_and_leaves_the_rest_as_it_was_drawn(source):
    made = setup(source, image_size=8, from_partial=True)
    fresh = state(Setup.new(TrainConfig.of({**SMALL, "image_size": 8, "ema": 0.9, "loss": "hinge"})))
    old, new = weights(source.path), state(made)
    for name in of(new, "generator", "discriminator"):
        expected = old[name] if old[name].shape == new[name].shape and name not in unfit(made) else fresh[name]
        assert np.array_equal(new[name], expected), name
    left = made.origin["left_out"]
    assert len(left) == 2
    assert made.origin["average"] is False
    with pytest.raises(UsageError, match="leave it out"):
        setup(source, image_size=8, from_partial=True, from_optimizers=True)


def unfit(made: Setup) -> set[str]:
    """Return the generator's last layer and the discriminator's first: those at the picture."""
    last = len(made.engine.generator.variables) - 1
    return {f"generator/{last:03d}", f"generator/{last - 1:03d}", "discriminator/000", "discriminator/001"}


class StopAt:
    def __init__(self, steps: int) -> None:
        self.steps = steps

    @hookimpl
    def run_started(self, run):
        self.run = run

    @hookimpl
    def step_ended(self, step):
        if step.progress.step + 1 == self.steps:
            self.run.stop()


def test_frozen_layers_stay_and_others_move_also_after_a_stop(source, tmp_path):
    settings = {"from_run": source, "data": "critters:count=48", "epochs": 2, "freeze_discriminator": 1}
    whole = train(**settings, runs_dir=tmp_path / "a", **QUIET)
    parted = train(**settings, runs_dir=tmp_path / "b", observers=[StopAt(3)], **QUIET)
    assert parted.state == "stopped"
    parted.resume(**QUIET)
    assert equal(weights(whole.path), weights(parted.path))
    assert {**parted.manifest["from"], "frozen": []} == {**whole.manifest["from"], "frozen": []}
    old, new = weights(source.path), weights(whole.path)
    judged = of(new, "discriminator")
    same = [name for name in judged if np.array_equal(old[name], judged[name])]
    assert same == ["discriminator/000", "discriminator/001"]
    assert not any(np.array_equal(old[name], new[name]) for name in of(new, "generator"))
    assert len(whole.manifest["from"]["frozen"]) == 1


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_with_the_same_weights(source, tmp_path):
    earlier = tmp_path / "earlier" / "run_1"
    shutil.copytree(source.path, earlier)
    run = train(from_run=Run(earlier), epochs=1, **QUIET)
    finished = weights(run.path)
    for folder in (run.path / "checkpoints").iterdir():
        shutil.rmtree(folder)
    killed = tmp_path / "killed"
    shutil.copytree(run.path, killed)
    Run(run.path).resume(**QUIET)
    assert equal(finished, weights(run.path))
    Run(earlier).resume(3, **QUIET)
    with pytest.raises(GANForgeError, match="from which it started, have changed"):
        resume(killed)


PLUGIN = """
from pathlib import Path
from ganforge import Strategy, hookimpl

Path({mark!r}).write_text("ran")

class Still(Strategy):
    '''Does nothing.'''
    name = "still"

    @hookimpl
    def plan_step(self, progress):
        return {{}}

@hookimpl
def register_strategies(register):
    register(Still)
"""


def test_no_file_of_the_earlier_run_runs_unless_it_is_known(tmp_path, monkeypatch):
    mark, file = tmp_path / "mark", tmp_path / "still.py"
    file.write_text(PLUGIN.format(mark=str(mark)))
    run = train(**SMALL, epochs=1, balance="still", plugins=[str(file)], runs_dir=tmp_path / "runs", **QUIET)
    assert setup(run).settings.balance == ("still",)  # given on this machine, and unchanged
    mark.unlink()
    file.write_text(PLUGIN.format(mark=str(mark)) + "# so that it is none that this process has loaded")
    monkeypatch.setenv("GANFORGE_STATE_DIR", str(tmp_path / "another machine"))
    with pytest.raises(GANForgeError, match="never given on this machine"):
        setup(run)
    # What is asked for needs nothing of it.
    setup(run, arch=SMALL["arch"], balance="none", loss="bce")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--freeze-discriminator", 1), "add --from RUN"),
        (("--from-partial",), "add --from RUN"),
        (("--from", "run_9"), "there is no run 'run_9'"),
        (("--from", "SOURCE", "--freeze-discriminator", 99), "layers with weights must learn"),
        (("--from", "SOURCE", "--freeze-discriminator", -1), "invalid --freeze-discriminator -1"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(source, ganforge_cli, words, why):
    code, _, err = ganforge_cli("train", *(source.path if word == "SOURCE" else word for word in words), "--dry-run")
    assert code == (1 if "run_9" in words else 2)
    assert why in one_line(err)


def test_a_source_of_more_layers_is_said_to_be_so(source):
    """All of the new layers fit, and the old network had one more: it is another network all the same."""
    made = setup(source)
    arrays = made.engine.get_state()[0]
    extra = {"discriminator/999/another/kernel": np.zeros((3, 3), np.float32)}
    assert begin(made.engine, {**arrays, **extra}, optimizers=False).left == [
        "the discriminator, which has 1 fewer layer"
    ]


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_begins_alike_and_keeps_frozen_layers(source, tmp_path, backend):
    report = printed("from_probe.py", backend, backend, source.path, tmp_path)
    assert report["compared"] > 12
    assert report["differ"] == []
    assert report["frozen"] == {
        "moved": ["conv", "more", "judge"],
        "slots": 12,
        "names": ["normalized", "statistics"],
    }
    assert report["free"]["moved"] == ["normalized", "statistics", "conv", "more", "judge"]


def own(channels: int = 3):
    """Two networks as Python has them, of a discriminator with two layers of weights."""
    import keras
    from keras import layers

    latents, image = keras.Input((6,)), keras.Input((8, 8, channels))
    made = layers.Reshape((8, 8, channels))(layers.Dense(64 * channels, "tanh")(latents))
    judged = layers.Dense(1)(layers.Dense(4, "relu")(layers.Flatten()(image)))
    return keras.Model(latents, made), keras.Model(image, judged)


PICTURES = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), np.uint8)
OWN = {"data": PICTURES, "batch_size": 8, "epochs": 1, **QUIET}


@pytest.fixture(scope="module")
def python_run(tmp_path_factory) -> Run:
    return train(own(), **OWN, runs_dir=tmp_path_factory.mktemp("python"))


@pytest.mark.parametrize("how", ["trained", "looked at", "refused"])
def test_networks_from_python_can_learn_again_after_they_were_frozen(python_run, how):
    generator, discriminator = own()
    discriminator.layers[-1].bias.trainable = False  # a person's own choice
    before = [v.trainable for v in discriminator.variables]
    assert before == [True, True, True, False]
    settings = {**OWN, "from_run": python_run, "freeze_discriminator": 99 if how == "refused" else 1}
    if how == "refused":
        with pytest.raises(UsageError, match="layers with weights must learn"):
            train((generator, discriminator), **settings)
    elif how == "looked at":
        train((generator, discriminator), **settings, dry_run=True)
    else:
        run = train((generator, discriminator), **settings)
        old, new = weights(python_run.path), weights(run.path)
        moved = [not np.array_equal(old[name], new[name]) for name in sorted(of(new, "discriminator"))]
        assert moved == [False, False, True, False]
    assert [v.trainable for v in discriminator.variables] == before
    assert len(discriminator.trainable_variables) == 3


def test_what_only_python_has_is_asked_for(python_run):
    with pytest.raises(GANForgeError, match=r"was trained with the architecture '\w+' from Python; pass it"):
        train(from_run=python_run, data=PICTURES, epochs=1, **QUIET)
    with pytest.raises(GANForgeError, match="was trained on data from Python; choose data for this run"):
        train(own(), from_run=python_run, epochs=1, **QUIET)


def test_where_a_run_began_is_said_wherever_it_is_shown(source, ganforge_cli, tmp_path):
    run = train(from_run=source, epochs=1, freeze_discriminator=1, runs_dir=tmp_path / "runs", **QUIET)
    (frozen,) = run.manifest["from"]["frozen"]
    for said in (ganforge_cli("show", run.path)[1], run.text(), run.report().read_text()):
        assert f"{source.id} at step 4" in said
        assert frozen in said
    assert "started from" not in ganforge_cli("show", source.path)[1]
