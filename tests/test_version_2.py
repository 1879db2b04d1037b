"""Version 2 of the hooks: version 1 goes on unchanged, near misses and wrong returns are one line each."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from keras import ops
from PIL import Image
from support import BACKENDS, ROOT, TESTS, python

from ganforge import GANForgeError, Options, Strategy, UsageError, hookimpl
from ganforge.plugin.registry import load_plugins
from ganforge.plugin.trust import given
from ganforge.plugin.validation import check_observers, check_strategy

pytestmark = pytest.mark.quick

HEAD = "from ganforge import Options, Strategy, hookimpl\n"
STATE = "def initial_state(self): return {'n': 0.0}"
UPDATE = "@hookimpl\ndef update_state(self, state): return state"


def load(tmp_path: Path, body: str, version: int | None, more: str = ""):
    lines = "\n".join("    " + line for line in body.splitlines())
    source = HEAD + ("" if version is None else f"ganforge_api = {version}\n") + more
    source += f"class Mine(Strategy):\n    name = 'mine'\n{lines}\n"
    source += "@hookimpl\ndef register_strategies(register): register(Mine)\n"
    file = tmp_path / "mine.py"
    file.write_text(source)
    return load_plugins(given([file]))


# ------------------------------------------------------------------ plugins of before


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_plugin_of_0_1_is_installed_and_trains_unchanged(tmp_path, backend):
    pytest.importorskip(backend)
    site = tmp_path / "site"
    shutil.copytree(TESTS / "data" / "plugin_of_0_1", site)
    path = os.pathsep.join(map(str, (site, ROOT, ROOT / "plugins")))
    words = ["--arch", "before:width=4", "--balance", "before:sigma=0.3", "--loss", "before", "--data", "before"]
    words += ["--batch-size", 16, "--epochs", 2, "--log-every", 1, "--learning-rate", 0.001, "--quiet"]
    python(
        "-m", "ganforge", "train", *words, "--backend", backend, cwd=tmp_path, PYTHONPATH=path, backend=None
    )  # fmt: skip
    run = tmp_path / "runs" / "run_1"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["before/sigma"] for line in lines] == pytest.approx([0.3 / (1 + n) for n in range(4)])
    assert {round(line["generator_lr"] / line["discriminator_lr"], 6) for line in lines} == {0.5}
    assert lines[0]["discriminator_lr"] == pytest.approx(0.002)
    # A penalty that is paid in every step, though the plugin calls itself lazy in its own sense.
    assert len({line["before/penalty"] for line in lines}) == 4
    assert (run / "before.txt").read_text() == "finished"
    for name in ("losses.png", "architecture.png"):  # blank where a test trains in its own process (conftest.py)
        with Image.open(run / name) as drawing:
            assert min(drawing.size) > 500
    manifest = json.loads((run / "run.json").read_text())
    assert [s["package"] for s in manifest["strategies"]] == ["ganforge-before"]


@pytest.mark.parametrize(
    "body",
    [
        "def update_state(self, x): return x",
        "def after_step(self): pass",
        "def generator_penalty(self, weight): return weight",
        "def updat_state(self): pass",
        "def initial_states(self, kind): pass",
        "def initial_state(self, kind): pass",
        "lazy = True",
    ],
)
@pytest.mark.parametrize("version", [None, 1])
def test_names_that_came_later_are_helpers_in_version_1(tmp_path, body, version):
    assert load(tmp_path, f"{body}\n@hookimpl\ndef plan_step(self): return {{}}", version).get("strategy", "mine")


def test_helpers_of_a_module_may_have_names_that_came_later(tmp_path):
    more = "def register_optimizers(x): pass\ndef register_logger(x): pass\ndef update_state(x): pass\n"
    assert load(tmp_path, "@hookimpl\ndef plan_step(self): return {}", None, more)
    with pytest.raises(GANForgeError, match="register_optimizers is not marked"):
        load(tmp_path, "@hookimpl\ndef plan_step(self): return {}", 2, more)
    for name, hook in (("register_optimisers", "register_optimizers"), ("register_logger", "register_loggers")):
        with pytest.raises(GANForgeError, match=f"'{name}', which is not a hook. Did you mean '{hook}'"):
            load(tmp_path, "@hookimpl\ndef plan_step(self): return {}", 2, f"def {name}(x): pass\n")


def test_a_marked_hook_of_version_2_works_where_no_version_is_said(tmp_path):
    from ganforge.testing.small import run, small_engine

    strategy = load(
        tmp_path, f"{STATE}\n@hookimpl\ndef update_state(self, state): return {{'n': state['n'] + 1}}", None
    )
    engine = small_engine(load_plugins(), [strategy.get("strategy", "mine").value()])
    run(engine, 0, 3)
    (left,) = [array for name, array in engine.get_state()[0].items() if name.startswith("strategy mine")]
    assert left == 3


# ------------------------------------------------------------------ what is refused when it is loaded


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("def update_state(self, state): return state", "update_state is not marked"),
        ("def generator_penalty(self): return 0.0", "generator_penalty is not marked"),
        (
            "def updat_state(self, state): return state",
            "'updat_state', which is not a hook. Did you mean 'update_state'?",
        ),
        ("def after_steps(self): pass", "'after_steps', which is not a hook. Did you mean 'after_step'?"),
        ("def generator_penalties(self): pass", "Did you mean 'generator_penalty'?"),
        (
            "def initial_states(self): return {}",
            "'initial_states', which is never called. Did you mean 'initial_state'?",
        ),
        (
            f"def initialState(self): return {{}}\n{UPDATE}",
            "has update_state but no state; expected a method initial_",
        ),
        (UPDATE, "has update_state but no state; expected a method initial_state(self, image_shape, batch_size)"),
        (f"@hookimpl\n{STATE}\n{UPDATE}", "initial_state is an ordinary method; leave out the @hookimpl above it"),
        (
            "def initial_state(self, shape): return 0.0\n" + UPDATE,
            "initial_state takes 'shape'; expected some of image",
        ),
        ("lazy = True\n@hookimpl\ndef generator_penalty(self): return 0.0", "is lazy and has no option 'every'"),
        ("@hookimpl\ndef update_state(self, stat): return 0\n" + STATE, "takes 'stat'; .*Did you mean 'state'"),
    ],
)
def test_what_a_plugin_of_version_2_cannot_mean_is_refused_by_name(tmp_path, body, reason):
    with pytest.raises(GANForgeError) as caught:
        load(tmp_path, body, 2)
    said = str(caught.value)
    assert all(part in said for part in reason.split(".*"))
    assert "strategy 'mine'" in said
    assert "\n" not in said


def test_a_near_miss_beside_the_hook_itself_is_a_helper(tmp_path):
    body = f"{STATE}\n{UPDATE}\ndef update_states(self): pass\ndef initial_states(self): pass"
    assert load(tmp_path, body, 2).get("strategy", "mine")


def test_the_first_state_may_name_its_arguments_as_it_likes():
    class Free(Strategy):
        name = "free"

        def initial_state(self, image_shape, scale=2.0, **given):
            return scale * image_shape[0]

        @hookimpl
        def update_state(self, state):
            return state

    check_strategy(Free, "free")


def test_an_observer_of_hooks_that_strategies_have_is_refused():
    for name in ("generator_penalty", "update_state", "after_step"):
        observer = type("Watch", (), {name: hookimpl(lambda self: None)})()
        with pytest.raises(UsageError, match=f"'Watch' implements {name}, but observers only watch"):
            check_observers([observer])


# ------------------------------------------------------------------ what is refused when it is built, or trains


class Bad(Strategy):
    name = "bad"


def bad(**members):
    return type("Made", (Bad,), members)


class Every(Options):
    every: int = 0


BAD = {
    "no first state": (
        bad(update_state=hookimpl(lambda self, state: state)),
        "build",
        "has update_state but no state: initial_state(self, image_shape, batch_size) is missing",
    ),
    "text": (
        bad(initial_state=lambda self: {"a": "no"}, update_state=hookimpl(lambda self, state: state)),
        "build",
        "initial_state has 'no'; expected numbers",
    ),
    "every": (
        bad(lazy=True, Options=Every, generator_penalty=hookimpl(lambda self, fake: ops.mean(fake))),
        "build",
        "is lazy with every=0; expected a whole number from 1",
    ),
    "features": (
        bad(discriminator_penalty=hookimpl(lambda self, real_features: ops.mean(real_features))),
        "build",
        "asks for real_features, which this discriminator does not return",
    ),
    "structure": (
        bad(initial_state=lambda self: {"a": 0.0}, update_state=hookimpl(lambda self, state: {"b": state["a"]})),
        "step",
        "update_state returned a state of another structure than initial_state",
    ),
    "shape": (
        bad(initial_state=lambda self: {"a": 0.0}, update_state=hookimpl(lambda self, state: {"a": ops.ones(3)})),
        "step",
        "update_state returned a state of shape (3,) where initial_state gave ()",
    ),
    "weights": (
        bad(after_step=hookimpl(lambda self, generator_weights: ([w[:1] for w in generator_weights], None))),
        "step",
        "kernel; expected (8, 16)",
    ),
    "few weights": (
        bad(after_step=hookimpl(lambda self, discriminator_weights: (None, discriminator_weights[:1]))),
        "step",
        "after_step returned 1 tensor for the discriminator's weights; expected a list of 4",
    ),
    "one list": (
        bad(after_step=hookimpl(lambda self, generator_weights: generator_weights)),
        "step",
        "after_step returned list; expected (generator_weights, discriminator_weights)",
    ),
    "a vector": (
        bad(generator_penalty=hookimpl(lambda self, discriminator, fake: discriminator(fake)[:, 0])),
        "step",
        "generator_penalty returned the shape (4,); expected a scalar",
    ),
    "nothing": (
        bad(discriminator_penalty=hookimpl(lambda self: None)),
        "step",
        "discriminator_penalty returned NoneType; expected a scalar",
    ),
    "measures a picture": (
        bad(discriminator_images=hookimpl(lambda self, images: (images, {"x": images}))),
        "step",
        "discriminator_images measures 'x' with the shape (4, 8, 8, 3); expected a scalar",
    ),
    "measures under no name": (
        bad(discriminator_labels=hookimpl(lambda self, labels: (labels, {1: 0.0}))),
        "step",
        "discriminator_labels measures 1; expected a name, such as 'mean'",
    ),
}


def said_of(strategy) -> tuple[str, str]:
    """Return when a strategy was refused, and how."""
    from ganforge.testing.small import run, small_engine

    when = "build"
    try:
        engine = small_engine(load_plugins(), [strategy()])
        when = "step"
        run(engine, 0, 1)
    except GANForgeError as error:
        return when, str(error)
    return "never", ""


@pytest.mark.parametrize("name", BAD)
def test_what_a_hook_may_not_return_is_one_line_that_names_it(name):
    strategy, when, reason = BAD[name]
    found, said = said_of(strategy)
    assert found == when
    assert reason in said
    assert "strategy 'bad'" in said
    assert "\n" not in said


@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_it_is_the_same_line_where_steps_are_compiled(backend):
    pytest.importorskip(backend)
    script = "import json, test_version_2 as t\n"
    script += (
        "print(json.dumps({n: t.said_of(t.BAD[n][0]) for n in ('structure', 'weights', 'a vector', 'nothing')}))"
    )
    path = os.pathsep.join(map(str, (TESTS, ROOT, ROOT / "plugins")))
    said = json.loads(python("-c", script, backend=backend, PYTHONPATH=path).stdout.splitlines()[-1])
    for name, (_, line) in said.items():
        assert line.startswith("strategy 'bad'")
        assert BAD[name][2] in line
        assert "\n" not in line


def test_one_number_in_a_tensor_of_one_is_a_scalar():
    one = bad(
        discriminator_penalty=hookimpl(lambda self, real: ops.mean(real, keepdims=True) ** 2),
        generator_penalty=hookimpl(lambda self: (0.0, {"nothing": 1})),
    )
    assert said_of(one) == ("never", "")
