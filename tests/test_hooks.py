"""No hook is passed over in silence: what is called like one is called, or refused by name; helpers stay."""

from __future__ import annotations

import functools
import json
import types
from pathlib import Path

import pytest
from support import BACKENDS, SMALL, python

from ganforge import GANForgeError, Run, Strategy, UsageError, hookimpl, train
from ganforge.plugin.alike import near
from ganforge.plugin.calling import strategy_hooks
from ganforge.plugin.hookspecs import HOOKS
from ganforge.plugin.registry import load_plugins
from ganforge.plugin.trust import given
from ganforge.plugin.types import RunConfig
from ganforge.plugin.validation import check_observers, check_strategy

pytestmark = pytest.mark.quick

TINY = {**SMALL, "image_size": 8, "batch_size": 8, "log_every": 2, "epochs": 2}
HEAD = "import functools\nfrom ganforge import Loss, Options, Strategy, hookimpl\n"
STRATEGY = HEAD + (
    "class Mine(Strategy):\n    name = 'mine'\n{body}\n@hookimpl\ndef register_strategies(register): register(Mine)\n"
)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(tmp_path: Path, source: str):
    file = tmp_path / "mine.py"
    file.write_text(source)
    return load_plugins(given([file]))


def in_class(body: str) -> str:
    return STRATEGY.format(body="\n".join("    " + line for line in body.splitlines()))


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("name", "hook"),
    [
        ("plan_steps", "plan_step"),
        ("plan_stpe", "plan_step"),
        ("planStep", "plan_step"),
        ("planstep", "plan_step"),
        ("on_step_ended", "step_ended"),
        ("on_epoch_end", "epoch_ended"),
        ("step_end", "step_ended"),
        ("run_start", "run_started"),
        ("run_finished", None),
        ("snapshot_take", "snapshot_taken"),
        ("config_run", "configure_run"),
        ("discriminator_image", "discriminator_images"),
        ("discriminator_imgs", "discriminator_images"),
        ("descriminator_images", "discriminator_images"),
        ("discriminator_label", "discriminator_labels"),
        ("discriminator_penalties", "discriminator_penalty"),
        ("register_architecture", "register_architectures"),
        ("register_strategy", "register_strategies"),
        ("register_loss", "register_losses"),
        ("register_dataset", "register_datasets"),
        # What an honest plugin may call its own.
        *((name, None) for name in ("anneal", "step", "plan", "steps", "images", "penalty", "register", "configure")),
        *((name, None) for name in ("get_state", "set_state", "plan_stop", "plan_epoch", "step_needed")),
        *((name, None) for name in ("discriminator_lr", "discriminator_steps", "discriminator_loss", "generator_lr")),
        *((name, None) for name in ("generator_images", "generator_norms", "discriminator_stages", "step_size")),
        *((name, None) for name in ("state", "update", "after_epoch", "register_keras")),
        *((name, None) for name in ("register_keras_serializable", "register_metrics", "epoch_length", "run_dir")),
        *((name, None) for name in ("discriminator", "generator", "images_seen", "labels_of", "gradient_penalty")),
    ],
)
def test_what_is_near_a_hook_and_what_is_not(name, hook):
    assert near(name, HOOKS) == hook


# ------------------------------------------------------------------ strategies


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("def plan_step(self, progress): return {}", "strategy 'mine': plan_step is not marked"),
        ("@hookimpl\ndef plan_step(self): pass\ndef step_ended(self, step): pass", "step_ended is not marked"),
        ("@staticmethod\ndef discriminator_labels(labels): return labels", "discriminator_labels is not marked"),
        ("plan_step = lambda self: {}", "plan_step is not marked"),
        ("def discriminator_image(self, images): return images", "Did you mean 'discriminator_images'?"),
        ("def plan_steps(self, progress): return {}", "'plan_steps', which is not a hook. Did you mean 'plan_step'?"),
        ("@hookimpl\ndef plan_steps(self, progress): return {}", "no such hook. Did you mean 'plan_step'?"),
        (
            "@hookimpl\ndef discriminator_image(self, images): pass",
            "no such hook. Did you mean 'discriminator_images'?",
        ),
        ("@hookimpl\ndef plan_step(self, signal): return {}", "Did you mean 'signals'?"),
        ("@hookimpl\ndef plan_step(progress): return {}", "plan_step has no self"),
        ("@hookimpl\ndef plan_step(): return {}", "plan_step has no self"),
        ("@hookimpl\ndef plan_step(self): yield {}", "plan_step is a generator"),
        ("@hookimpl\nasync def step_ended(self): pass", "step_ended is async"),
        ("@hookimpl\ndef register_losses(self, register): pass", "called in the module"),
        (
            "def __init__(self, o=None):\n    super().__init__(o)\n    self.step_ended = print",
            "step_ended is not marked",
        ),
        ("def __init__(self, o=None):\n    raise KeyError('x')", "strategy 'mine' cannot be created: KeyError: 'x'"),
    ],
)
def test_a_strategys_hook_that_would_never_be_called_is_refused(tmp_path, body, reason):
    file = tmp_path / "mine.py"
    file.write_text(in_class(body))
    with pytest.raises(GANForgeError) as caught:
        train(**TINY, balance="mine", plugins=str(file))
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_an_override_without_the_mark_is_refused_and_one_switched_off_is_not(tmp_path):
    base = "class Base(Strategy):\n    @hookimpl\n    def plan_step(self): return {'x': 1}\n"
    for body, fails in (("def plan_step(self): return {'x': 2}", True), ("plan_step = None", False)):
        source = in_class(body).replace("class Mine(Strategy)", base + "class Mine(Base)")
        if fails:
            with pytest.raises(GANForgeError, match="plan_step is not marked"):
                load(tmp_path, source)
        else:
            assert strategy_hooks(load(tmp_path, source).get("strategy", "mine").value()) == {}


class Forms(Strategy):
    """Each form a hook may have."""

    name = "forms"

    def _plan(self, scale, progress):
        return {"x": progress * scale}

    plan_step = hookimpl(functools.partialmethod(_plan, scale=3))
    discriminator_labels = hookimpl(lambda self, labels: labels + 1)
    step_ended = hookimpl(functools.partial(lambda step, seen: seen.append(step), seen=[]))

    @hookimpl
    @staticmethod
    def discriminator_images(images, real):
        return images, real

    @hookimpl
    @classmethod
    def run_ended(cls, outcome):
        return cls, outcome

    @staticmethod
    @hookimpl
    def run_started(run):
        return run

    @hookimpl
    def epoch_ended(this, epoch):
        return this, epoch


class Inherits(Forms):
    name = "inherits"

    def helper(self):
        return 1


@pytest.mark.parametrize("cls", [Forms, Inherits])
def test_a_hook_may_have_any_form_that_python_knows(cls):
    strategy = cls()
    check_strategy(cls, "x")
    check_strategy(strategy, "x")
    hooks = strategy_hooks(strategy)
    assert hooks["plan_step"](progress=2, signals={}) == {"x": 6}
    assert hooks["discriminator_labels"](labels=1, real=True, controls={}, random=None) == 2
    assert hooks["discriminator_images"](images=1, real=False, controls={}, random=None) == (1, False)
    assert hooks["run_ended"](run=1, outcome="finished") == (cls, "finished")
    assert hooks["run_started"](run=4) == 4
    assert hooks["epoch_ended"](epoch=3) == (strategy, 3)
    hooks["step_ended"](step=5)
    assert cls.step_ended.keywords["seen"].pop() == 5


@pytest.mark.parametrize("where", ["configure_run", "plan_step", "run_started", "step_ended", "run_ended"])
def test_a_strategy_that_raises_is_named_and_what_was_trained_is_kept(tmp_path, where):
    (tmp_path / "mine.py").write_text(in_class(f"@hookimpl\ndef {where}(self): raise ValueError('no\\nidea')"))
    with pytest.raises(GANForgeError) as caught:
        train(**TINY, balance="mine", plugins=str(tmp_path / "mine.py"))
    assert str(caught.value) == f"strategy 'mine': {where} raised ValueError: no"
    if where not in ("configure_run", "plan_step"):  # the first step is planned before there is a run
        assert Run("latest").state == ("finished" if where == "run_ended" else "failed")


# ------------------------------------------------------------------ modules


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def register_losses(register): pass", "module 'ganforge_plugin_mine_*': register_losses is not marked"),
        ("def register_loss(register): pass", "'register_loss', which is not a hook. Did you mean 'register_"),
        ("def step_ended(step): pass", "step_ended is not marked"),
        ("step_ended = lambda step: None", "step_ended is not marked"),
        ("def plan_step(progress): return {}", "plan_step is defined in the module; it belongs in a Strategy class"),
        ("@hookimpl\ndef run_ended(run): yield", "run_ended is a generator"),
        ("@hookimpl\ndef step_end(step): pass", "Did you mean 'step_ended'?"),
    ],
)
def test_a_modules_hook_that_would_never_be_called_is_refused(tmp_path, source, reason):
    with pytest.raises(GANForgeError) as caught:
        load(tmp_path, HEAD + source)
    assert all(part in str(caught.value) for part in reason.split("*"))
    assert str(tmp_path / "mine.py") in str(caught.value)


def test_helpers_of_a_module_are_left_alone(tmp_path):
    source = HEAD + (
        "from ganforge.balance.schedules import anneal\nfrom ganforge.plugin.hookspecs import plan_step\n"
        "from keras.saving import register_keras_serializable\n"
        "def step(x): return x\ndef plan(x): return x\ndef _register_loss(register): pass\n"
        "def discriminator_penalty(discriminator, real, options): return 0.0\n"
        "def labels(self, labels): return labels\n"
        "class Mine(Strategy):\n"
        "    name = 'mine'\n    planned = property(lambda self: 1 / 0)\n    step_size = 0.1\n"
        "    discriminator_labels = hookimpl(labels)\n"
        "    @hookimpl\n    def plan_step(self, progress): return self._plan_step(progress)\n"
        "    def _plan_step(self, progress): return {}\n    def plan_steps(self, n): return n\n"
        "    def get_state(self): return {}\n    def step(self): pass\n    def plan(self): pass\n"
        "def register_strategy(register, cls): register(cls)\n"
        "@hookimpl\ndef register_strategies(register): register_strategy(register, Mine)\n"
        "register_losses = hookimpl(functools.partial(lambda register, penalty: register(\n"
        "    Loss('mine', discriminator=None, generator=None, penalty=penalty)), penalty=discriminator_penalty))\n"
    )
    registry = load(tmp_path, source)
    assert set(strategy_hooks(registry.get("strategy", "mine").value())) == {"plan_step", "discriminator_labels"}
    assert registry.get("loss", "mine").value.penalty.__name__ == "discriminator_penalty"


def test_what_ships_and_the_examples_are_not_taken_for_mistakes():
    examples = sorted((Path(__file__).parent.parent / "examples").glob("ganforge-*/ganforge_*/__init__.py"))
    assert examples
    assert load_plugins(given(examples)).broken == []


# ------------------------------------------------------------------ observers


class Watch:
    def __init__(self):
        self.seen = []

    @hookimpl
    def step_ended(self, step):
        self.seen.append(step.progress.step)

    def step(self):
        """A helper."""

    def close(self):
        """Another."""


def made(**members):
    return type("Made", (), members)()


def keras_callback():
    import keras

    return type("Stopper", (keras.callbacks.EarlyStopping,), {})()


@pytest.mark.parametrize(
    ("observer", "reason"),
    [
        (lambda: Watch, "'Watch' is a class; expected an instance, such as Watch()"),
        (lambda: print, "'print' is a function; expected an object with methods"),
        (lambda: hookimpl(lambda step: None), "is a function; expected an object"),
        (lambda: functools.partial(print, 1), "is a function; expected an object"),
        (keras_callback, "'Stopper', a subclass of EarlyStopping, .*stop_when"),
        (lambda: made(step_ended=lambda self, step: None), "'Made': step_ended is not marked"),
        (lambda: made(step_end=lambda self, step: None), "which is not a hook. Did you mean 'step_ended'?"),
        (lambda: made(step_end=hookimpl(lambda self, step: None)), "no such hook. Did you mean 'step_ended'?"),
        (lambda: made(on_step=lambda self, step: None), "no hook marked with @hookimpl.*Did you mean 'step_ended'"),
        (lambda: made(), "no hook marked with @hookimpl.*run_started, step_ended"),
        (lambda: {}, "'dict' has no hook marked"),
        (lambda: types.ModuleType("quiet"), "'quiet' has no hook marked"),
        (lambda: made(plan_step=hookimpl(lambda self: {})), "implements plan_step, but observers only watch"),
        (lambda: made(step_ended=hookimpl(lambda self, steps: 1)), "Did you mean 'step'?"),
        (lambda: type("Half", (Watch,), {"run_end": lambda self, run: None})(), "Did you mean 'run_ended'?"),
    ],
)
def test_an_observer_that_would_never_be_called_is_refused_before_anything_is_read(tmp_path, observer, reason):
    with pytest.raises(UsageError, match=reason):
        train(**{**TINY, "data": "not-there"}, observers=[observer()])
    assert not (tmp_path / "runs").exists()


def test_observers_are_a_list_and_a_module_may_be_one():
    with pytest.raises(UsageError, match="observers='Watch' is not a list"):
        train(**TINY, observers=Watch())
    module = types.ModuleType("watching")
    module.run_ended = hookimpl(lambda run, outcome: None)
    watch = Watch()
    assert check_observers((watch, module)) == [watch, module]


def strip(run: Run) -> list[dict]:
    return [{k: v for k, v in m.items() if k not in ("seconds", "images_per_second")} for m in run.metrics()]


class Down:
    """A logging service that is down, from one hook on."""

    def __init__(self, hook, error):
        self.calls = 0

        def fail(self, **what):
            self.calls += 1
            raise error

        arguments = {"run_ended": "run, outcome", "snapshot_taken": "snapshot", "step_ended": "step"}
        body = f"lambda {arguments.get(hook, hook.split('_')[0])}: fail(self)"
        setattr(self, hook, hookimpl(eval(body, {"fail": fail, "self": self})))


@pytest.mark.parametrize(
    ("hook", "error"),
    [
        ("run_started", SystemExit(3)),
        ("step_ended", ConnectionError("no network\nat all")),
        ("epoch_ended", GANForgeError("no room")),
        ("snapshot_taken", MemoryError()),
        ("run_ended", ConnectionError("no network\nat all")),
    ],
)
def test_an_observer_that_raises_is_reported_once_and_the_run_is_the_same(caplog, hook, error):
    down, watch = Down(hook, error), Watch()
    run = train(**TINY, observers=[down, watch])
    assert run.state == "finished"
    assert watch.seen == list(range(8))
    assert down.calls == 1
    (line,) = [record.getMessage() for record in caplog.records]
    said = {"ConnectionError": "ConnectionError: no network", "SystemExit": "SystemExit: 3"}
    text = {**said, "GANForgeError": "no room", "MemoryError": "MemoryError"}[type(error).__name__]
    assert line == f"observer 'Down' failed in {hook} and will not be called again: {text}"
    if hook == "step_ended":
        plain = train(**TINY)
        assert strip(run) == strip(plain)
        assert (run.sample(4) == plain.sample(4)).all()


def test_an_observer_that_meddles_with_what_it_is_told_changes_nothing():
    class Meddler:
        @hookimpl
        def epoch_ended(self, epoch):
            epoch.metrics.clear()

        @hookimpl
        def step_ended(self, step):
            step.metrics.clear()
            step.scalars.clear()

        @hookimpl
        def run_started(self, run):
            run.config.clear()

    run, plain = train(**TINY, balance="auto", observers=[Meddler()]), train(**TINY, balance="auto")
    assert strip(run) == strip(plain)
    assert set(run.manifest["metrics"]) == set(plain.manifest["metrics"])


def test_a_plugins_observer_that_raises_is_left_out_too(tmp_path, ganforge_cli):
    source = HEAD + "@hookimpl\ndef step_ended(step): raise OSError(28, 'No space left on device')\n"
    (tmp_path / "loud.py").write_text(source)
    words = ["train", "--plugin", "loud.py", "--quiet"]
    words += [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    code, _, err = ganforge_cli(*words)
    assert code == 0
    (line,) = err.splitlines()
    assert line.startswith("ganforge: observer 'ganforge_plugin_loud_")
    assert line.endswith(
        "failed in step_ended and will not be called again: OSError: [Errno 28] No space left on device"
    )


def test_ctrl_c_from_an_observer_stops_with_everything_saved():
    class Enough:
        def __init__(self):
            self.outcomes = []

        @hookimpl
        def step_ended(self, step):
            if step.progress.step == 2:
                raise KeyboardInterrupt

        @hookimpl
        def run_ended(self, outcome):
            self.outcomes.append(outcome)

    enough = Enough()
    run = train(**TINY, observers=[enough])
    assert (run.state, run.manifest["progress"]["step"], enough.outcomes) == ("stopped", 3, ["stopped"])
    run.resume()
    assert strip(run)[-1] == strip(train(**TINY))[-1]


# ------------------------------------------------------------------ the configuration of a run


def config() -> RunConfig:
    return RunConfig("fcgan", (8, 8, 3), 16, 8, 2, 1e-3, {"width": 1}, {"width": 1}, "bce", {})


@pytest.mark.parametrize("name", ["architecture", "image_shape", "latent_dim", "batch_size", "epochs", "loss"])
def test_what_a_strategy_cannot_change_is_read_only(tmp_path, name):
    settings = config()
    before = getattr(settings, name)
    for change in (lambda: setattr(settings, name, 3), lambda: delattr(settings, name)):
        with pytest.raises(AttributeError, match=f"cannot change {name}; it may change learning_rate, generator_opt"):
            change()
    assert getattr(settings, name) == before
    (tmp_path / "mine.py").write_text(in_class(f"@hookimpl\ndef configure_run(self, config): config.{name} = 3"))
    with pytest.raises(GANForgeError) as caught:
        train(**TINY, balance="mine", plugins=str(tmp_path / "mine.py"))
    assert str(caught.value).startswith(f"strategy 'mine': configure_run cannot change {name}; it may change")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("config.learning_rat = 1.0", "RunConfig has no setting 'learning_rat'.*Did you mean 'learning_rate'?"),
        ("config.learning_rate = 'fast'", "set learning_rate to 'fast'; expected a number above 0"),
        ("config.learning_rate = -1.0", "set learning_rate to -1.0"),
        ("config.learning_rate = float('nan')", "set learning_rate to nan"),
        ("config.generator_options = None", "set generator_options to NoneType; expected a dict"),
        ("config.generator_options['hiden'] = 3", "strategy 'mine', generator_options.*Did you mean 'hidden'?"),
        ("config.discriminator_options['hidden'] = 'wide'", "strategy 'mine', discriminator_options: 'fcgan'"),
        ("config.loss_options['x'] = 1", "strategy 'mine', loss_options: 'bce' has no option 'x'"),
        ("return {'learning_rate': 1.0}", "configure_run returned a value"),
    ],
)
def test_what_a_strategy_makes_of_the_configuration_is_held_to_it_by_name(tmp_path, change, reason):
    (tmp_path / "mine.py").write_text(in_class(f"@hookimpl\ndef configure_run(self, config): {change}"))
    with pytest.raises(GANForgeError, match=reason):
        train(**TINY, balance="mine", plugins=str(tmp_path / "mine.py"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_strategy_may_change_reaches_both_networks_and_the_optimizer(tmp_path, backend, ganforge_cli):
    pytest.importorskip(backend)
    body = (
        "@hookimpl\ndef configure_run(self, config):\n    config.generator_options['hidden'] = (5,)\n"
        "    config.discriminator_options = {**config.discriminator_options, 'discriminator_hidden': (7,)}\n"
        "    config.learning_rate *= 3\n"
    )
    (tmp_path / "mine.py").write_text(in_class(body))
    words = ["train", "--plugin", "mine.py", "--balance", "mine", "--backend", backend, "--quiet"]
    words += ["--learning-rate", "0.01"]
    words += [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    if backend == "torch":  # this process's
        assert ganforge_cli(*words)[0] == 0
    else:
        python("-m", "ganforge", *words, backend=None)
    run = Run("run_1")
    shapes = {role: [row["output_shape"] for row in rows] for role, rows in run.manifest["networks"].items()}
    assert "5" in json.dumps(shapes["generator"])
    assert "7" in json.dumps(shapes["discriminator"])
    assert [line["generator_lr"] for line in run.metrics()] == [pytest.approx(0.03)] * 5
