"""A run directory from elsewhere is read as data: its links, its special files and its networks."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import socket
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from support import SMALL, one_line

from ganforge import GANForgeError, Run, train
from ganforge.training.saved_generator import open_generator

SETTINGS = {**SMALL, "image_size": 8, "epochs": 2, "snapshot_every": 1, "latent_dim": 6}
READING = ("runs", "show run_1", "diagnose run_1", "compare run_1", "report run_1", "gif run_1", "sample run_1 -n 4")
READING += ("evaluate run_1 --samples 16 --json",)
RESUME = "resume run_1 --epochs 3 --quiet"
STEP = "checkpoints/step_00000004"
GRID = "snapshots/epoch_0002.png"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Return the directory of a finished run, which nobody may change."""
    return train(**SETTINGS, runs_dir=tmp_path_factory.mktemp("made")).path


@pytest.fixture
def run(made, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, tmp_path / "runs" / "run_1")
    return tmp_path / "runs" / "run_1"


def content(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fail what waits for ever, as opening a pipe does."""

    def late(*_: object) -> None:
        raise AssertionError(f"it took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# ------------------------------------------------------------------ links

PARTS = ("checkpoints", STEP, f"{STEP}/state.json", f"{STEP}/weights.safetensors", "snapshots", GRID)
PARTS += ("metrics.jsonl", "run.json", ".lock")


@pytest.mark.parametrize("part", PARTS)
def test_a_run_that_holds_a_link_is_not_trained_and_what_it_leads_to_stays(part, run, made, ganforge_cli, tmp_path):
    mine = tmp_path / "mine"
    shutil.copytree(made, mine)
    (mine / "snapshots" / "epoch_0009.png").write_bytes(b"a picture of somebody's")
    (mine / "checkpoints" / ".old.tmp").write_bytes(b"and a file")
    before = content(mine)
    linked = run / part
    if linked.is_dir():
        shutil.rmtree(linked)
    linked.unlink(missing_ok=True)
    linked.symlink_to(mine / part)
    code, _, err = ganforge_cli(*RESUME.split())
    assert code == 1
    assert "link" in one_line(err)
    for words in READING:
        code, _, err = ganforge_cli(*words.split())
        assert (code, "Traceback" in err) in ((0, False), (1, False)), words
    assert content(mine) == before
    assert sorted(path.name for path in mine.iterdir()) == sorted(path.name for path in made.iterdir())


# ------------------------------------------------------------------ special files


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(path.parent)  # the names of sockets are short
        one.bind(path.name)
        os.chdir(here)


def endless(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(2**42)


READ = ("run.json", "metrics.jsonl", "evaluation.json", f"{STEP}/state.json", f"{STEP}/weights.safetensors", GRID)
READ += ("architecture.png", "generator.keras", ".lock")


@pytest.mark.parametrize("make", [pipe, device, listening, endless])
def test_what_is_no_file_of_a_run_is_refused_at_once(make, made, ganforge_cli, tmp_path, monkeypatch):
    commands = dict.fromkeys(READ, READING[1:]) | {f"{STEP}/state.json": (RESUME,), ".lock": (RESUME,)}
    commands |= {f"{STEP}/weights.safetensors": (RESUME,), "generator.keras": READING[-2:], GRID: READING[2:6]}
    for name in READ:
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)
        run = tmp_path / "runs" / "run_1"
        shutil.copytree(made, run)
        (run / name).unlink(missing_ok=True)
        make(run / name)
        for words in commands[name]:
            with within(20):
                code, _, err = ganforge_cli(*words.split())
            assert code in (0, 1), (name, words, err)
            if code:
                assert one_line(err)
        if name not in ("evaluation.json", "architecture.png", ".lock"):
            assert code == 1, (name, words)


@pytest.mark.parametrize("make", [pipe, device, listening, endless])
def test_what_is_no_file_is_no_plugin(make, run, ganforge_cli, tmp_path):
    make(tmp_path / "mine.py")
    manifest = json.loads((run / "run.json").read_text())
    manifest["config"]["plugins"] = [str(tmp_path / "mine.py")]
    (run / "run.json").write_text(json.dumps(manifest))
    for words in (RESUME.split(), ["plugins", "--plugin", tmp_path / "mine.py"]):
        with within(20):
            code, _, err = ganforge_cli(*words)
        assert code == 1
        assert "mine.py" in one_line(err)


# ------------------------------------------------------------------ networks


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
        with pytest.raises(GANForgeError, match=r"makes \(8, 8, 3\) of \(6,\); the run's run.json says"):
            open_generator(path, shape, latent_dim)


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
    start = time.perf_counter()
    with pytest.raises(GANForgeError, match="unpacks to far more"):
        open_generator(path, (8, 8, 3), 6)
    assert time.perf_counter() - start < 2


# ------------------------------------------------------------------ types

WRONG = (None, True, -1, 0, 10**400, 1e308, "", "\x1b]0;owned\x07\x1b[2J", "[/]", [], [None], ["x"], {}, {"a": {}})


def places(value, here=()) -> Iterator[tuple]:
    """Yield the place of every value in a file; of a list's elements the first."""
    if here:
        yield here
    if isinstance(value, dict):
        for name in value:
            yield from places(value[name], (*here, name))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*here, 0))


def replaced(value, place, new):
    value = json.loads(json.dumps(value))
    one = value
    for name in place[:-1]:
        one = one[name]
    if new is KeyError:
        del one[place[-1]]
    else:
        one[place[-1]] = new
    return value


def looked_at_in_every_way(run: Path) -> None:
    """Do what the commands do with a run that nobody trains, without what they print or write."""
    from ganforge.cli.console import console
    from ganforge.cli.runs import _row
    from ganforge.cli.show import _curves, _story
    from ganforge.diagnosis.advice import command
    from ganforge.diagnosis.evidence import gather
    from ganforge.diagnosis.rules import diagnose
    from ganforge.report.following import Following
    from ganforge.report.report import report_data
    from ganforge.report.server import answer
    from ganforge.runs import read_manifest, read_metrics, run_state
    from ganforge.study.summary import summarise

    ways = (
        lambda: (_row("run_1", read_manifest(run)), run_state(run, read_manifest(run))),
        lambda: _story(read_manifest(run)),
        lambda: console().print(_curves(read_metrics(run))),
        lambda: [command(gather(run), finding) for finding in diagnose(gather(run))],
        lambda: json.dumps(report_data([summarise("run_1", run)], "it", 2), allow_nan=False),
        lambda: answer(Following(run), "/state.json"),
        lambda: Run(run).config,
        lambda: (Run(run).classes, Run(run).plugin_files()),
    )
    for way in ways:
        said = ""
        try:
            way()
        except GANForgeError as error:
            said = str(error)
        assert "\x1b" not in said
        assert len(said.splitlines()) <= 1


@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl", "evaluation.json"])
def test_any_field_of_another_kind_is_one_line_or_a_readable_run(name, run, ganforge_cli, tmp_path):
    path = run / name
    if name == "evaluation.json":
        assert ganforge_cli("evaluate", "run_1", "--samples", 16, "--json")[0] == 0
    lines = path.read_text().splitlines() if name == "metrics.jsonl" else [path.read_text()]
    whole = json.loads(lines[-1])
    cases = [(place, new) for place in places(whole) for new in (*WRONG, KeyError)]
    random = np.random.default_rng(7)
    chosen = [
        cases[i]
        for i in sorted(random.choice(len(cases), min(len(cases), 120 if name == "run.json" else 50), replace=False))
    ]
    shutil.copytree(run, tmp_path / "runs" / "run_2")
    for i, (place, new) in enumerate(chosen):
        path.write_text("\n".join([*lines[:-1], json.dumps(replaced(whole, place, new)), ""]))
        try:
            looked_at_in_every_way(run)
            if i % 20 == 0:
                code, out, err = ganforge_cli("runs")
                assert code == 0
                assert "run_2" in out  # a bad one hides no other
                assert "\x1b" not in out + err
                for words in ("show run_1", "show run_1 --csv", "diagnose run_1", "compare run_1 run_2", "gif run_1"):
                    code, out, err = ganforge_cli(*words.split())
                    assert code == 0 or (code == 1 and one_line(err))
                    assert "\x1b" not in out + err
        except Exception as error:
            raise AssertionError(f"{'.'.join(map(str, place))} = {new!r}"[:200]) from error


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda arrays, about: (arrays.clear(), about["scalars"].clear()), "holds no weights"),
        (lambda arrays, about: about.update(state={}), "state is empty"),
        (lambda arrays, about: about["state"].update(signals={"d_loss": "much"}), "state.signals.d_loss"),
        (lambda arrays, about: about["state"].update(strategies=[]), "state.strategies"),
        (lambda arrays, about: about["state"].update(seconds=-1), "state.seconds"),
        (lambda arrays, about: about.update(scalars=[3]), "scalars.0"),
        (lambda arrays, about: next(iter(arrays.values())).fill(np.nan), "no finite number"),
        (lambda arrays, about: next(iter(arrays.values())).fill(np.inf), "no finite number"),
        (
            lambda arrays, about: arrays.update(
                {k: v.astype("f2") for k, v in arrays.items() if v.dtype.kind == "f"}
            ),
            "float16, expected",
        ),
        (lambda arrays, about: arrays.update({k: v.astype("i4") for k, v in arrays.items()}), "int32, expected"),
        (lambda arrays, about: arrays.update({k: v[..., None] for k, v in arrays.items()}), "has the shape"),
        (lambda arrays, about: about.update(step=99), "only 4 steps"),
    ],
)
def test_a_checkpoint_that_no_training_leaves_is_refused(change, says, run, ganforge_cli):
    from safetensors.numpy import load_file, save

    for older in (run / "checkpoints").iterdir():
        if older.name != "step_00000004":
            shutil.rmtree(older)
    step = run / STEP
    arrays, about = load_file(step / "weights.safetensors"), json.loads((step / "state.json").read_text())
    arrays = {name: array.copy() for name, array in arrays.items()}
    change(arrays, about)
    content = save(arrays)
    about["sha256"] = hashlib.sha256(content).hexdigest()
    (step / "weights.safetensors").write_bytes(content)
    (step / "state.json").write_text(json.dumps(about))
    step.rename(step.with_name(f"step_{about['step']:08d}"))
    code, _, err = ganforge_cli("resume", "run_1", "--epochs", 100, "--quiet")
    assert code == 1
    assert says in one_line(err)


def test_an_index_of_a_study_names_runs_beside_it_alone(run, ganforge_cli, tmp_path):
    shutil.copytree(run, tmp_path / "mine")
    for place in ("../mine", str(tmp_path / "mine"), "run_1/../../mine", 3, None):
        (tmp_path / "runs" / "all.study.json").write_text(json.dumps({"entries": {"a": {"run": place}}}))
        for words in ("compare all", "report all"):
            code, _, err = ganforge_cli(*words.split())
            assert code == 1
            assert "all.study.json is damaged" in one_line(err)


def test_no_terminal_obeys_a_text_of_a_run(run, ganforge_cli):
    """Every text of run.json at once, in every command that prints some."""
    whole = json.loads((run / "run.json").read_text())
    texts = [place for place in places(whole) if place[0] != "state"]
    evil = whole
    for place in texts:
        value = evil
        for name in place:
            value = value[name]
        if isinstance(value, str) and place[-1] not in ("ema", "fingerprint"):
            evil = replaced(evil, place, f"{value}\x1b]0;owned\x07\x9b2J\u202e")
    (run / "run.json").write_text(json.dumps(evil))
    line = {**json.loads((run / "metrics.jsonl").read_text().splitlines()[-1]), "strategy/\x1b[2J": 1.0}
    (run / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    said = ""
    for words in (
        "runs",
        "show run_1",
        "show run_1 --csv",
        "diagnose run_1",
        "compare run_1",
        "resume run_1 --epochs 3",
    ):
        _, out, err = ganforge_cli(*words.split())
        said += out + err
    assert "owned" in said
    assert not set("\x1b\x07\x9b\u202e") & set(said)
