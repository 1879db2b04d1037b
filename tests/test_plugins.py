"""Plugins: found one at a time, checked when they register, and never in each other's way."""

from __future__ import annotations

import json
import sys

import pytest
from support import SMALL

from ganforge import Architecture, Strategy, UsageError, hookimpl
from ganforge.errors import GANForgeError
from ganforge.plugin.calling import strategy_hooks
from ganforge.plugin.hookspecs import OBSERVER_HOOKS, STRATEGY_HOOKS
from ganforge.plugin.registry import _all_but, load_plugins
from ganforge.plugin.trust import given

pytestmark = pytest.mark.quick

ARCHITECTURE = """
from ganforge import Architecture, hookimpl

@hookimpl
def register_architectures(register):
    register(Architecture("{name}", generator=None, discriminator=None, summary="{package}"))
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution for real: its metadata and its module, on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def make(package: str, source: str) -> None:
        module = package.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{module}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(f"[ganforge]\n{package} = {module}\n")
        made.append(module)
        _all_but.cache_clear()

    yield make
    for module in made:
        sys.modules.pop(module, None)
    _all_but.cache_clear()


def test_what_ships_comes_by_the_same_door_as_anybodys():
    registry = load_plugins()
    assert registry.broken == []
    for kind, name in [("architecture", "dcgan"), ("strategy", "r1"), ("loss", "bce"), ("dataset", "critters")]:
        assert registry.get(kind, name).package == "ganforge"


def test_an_installed_package_is_found_with_its_name_and_version(install):
    install("tiny-gan", ARCHITECTURE.format(name="tiny", package="tiny-gan"))
    entry = load_plugins().get("architecture", "tiny")
    assert (entry.package, entry.version, entry.plugin) == ("tiny-gan", "1.5", "tiny-gan")
    assert isinstance(entry.value, Architecture)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import not_there_at_all", "not_there_at_all"),
        ("raise SystemExit(3)", "SystemExit"),
        ("def f(:", "SyntaxError"),
        (
            "from ganforge import hookimpl\n@hookimpl\ndef register_architecture(register): pass",
            "Did you mean 'register_architectures'?",
        ),
        (
            "from ganforge import hookimpl\n@hookimpl\ndef register_losses(registrar): pass",
            "takes 'registrar'; expected some of register",
        ),
        (
            "from ganforge import hookimpl\n@hookimpl\ndef register_losses(register): register('bce')",
            "registered str; expected Loss(...)",
        ),
        (
            "from ganforge import hookimpl\n@hookimpl\ndef register_losses(register): register('mine', object())",
            "register takes one loss at a time, without a separate name; got 2 values",
        ),
        (
            "from ganforge import hookimpl\n@hookimpl\ndef plan_step(progress): return {}",
            "belongs in a Strategy class",
        ),
        (
            "from ganforge import Strategy, hookimpl\n"
            "class S(Strategy):\n    name = 'sss'\n    @hookimpl\n    def plan_steps(self): pass\n"
            "@hookimpl\ndef register_strategies(register): register(S)",
            "Did you mean 'plan_step'?",
        ),
        (
            "from ganforge import Options, Strategy, hookimpl\n"
            "class S(Strategy):\n    name = 'sss'\n    class Options(Options):\n        x: int\n"
            "@hookimpl\ndef register_strategies(register): register(S)",
            "option 'x' has no default",
        ),
    ],
)
def test_a_broken_plugin_is_named_in_one_line_and_the_rest_works(install, source, reason):
    install("broken-one", source)
    install("good-one", ARCHITECTURE.format(name="good", package="good-one"))
    registry = load_plugins()
    assert registry.get("architecture", "good").package == "good-one"
    assert registry.get("architecture", "dcgan").package == "ganforge"
    (line,) = registry.warnings()
    assert "broken-one" in line
    assert reason in line
    assert "\n" not in line
    with pytest.raises(UsageError, match="broken-one"):
        registry.get("strategy", "sss")


def test_a_plugin_that_fails_halfway_registers_nothing(install):
    install("half-gan", ARCHITECTURE.format(name="half", package="half-gan") + "    register('and now this')\n")
    registry = load_plugins()
    assert "half-gan" in registry.warnings()[0]
    with pytest.raises(UsageError, match="no architecture 'half'"):
        registry.get("architecture", "half")


def test_two_packages_claiming_one_name_are_both_named(install):
    for package in ("one-gan", "two-gan"):
        install(package, ARCHITECTURE.format(name="tiny", package=package))
    registry = load_plugins()
    with pytest.raises(UsageError, match="registered by two packages, one-gan and two-gan"):
        registry.get("architecture", "tiny")
    assert registry.get("architecture", "dcgan")
    assert any("one-gan and two-gan" in line for line in registry.warnings())


def test_a_plugin_can_be_left_out_by_the_environment(install, monkeypatch):
    install("tiny-gan", ARCHITECTURE.format(name="tiny", package="tiny-gan"))
    monkeypatch.setenv("GANFORGE_DISABLE_PLUGINS", "other, tiny-gan")
    with pytest.raises(UsageError, match="no architecture 'tiny'"):
        load_plugins().get("architecture", "tiny")


def test_a_file_is_a_plugin_and_its_hash_is_kept(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(ARCHITECTURE.format(name="mine", package=""))
    entry = load_plugins(given([file])).get("architecture", "mine")
    assert entry.plugin == str(file)
    assert len(entry.sha256) == 64
    with pytest.raises(UsageError):
        load_plugins().get("architecture", "mine")
    file.write_text("import not_there_at_all")
    with pytest.raises(GANForgeError, match=r"mine\.py: ModuleNotFoundError"):
        load_plugins(given([file]))


def test_a_hook_is_called_with_the_arguments_it_names():
    class Some(Strategy):
        name = "some"

        @hookimpl
        def discriminator_images(self, images, controls):  # in another order than the hook's
            return images, controls

        def plan_step(self):
            raise AssertionError("not marked with hookimpl")

    hooks = strategy_hooks(Some())
    assert set(hooks) == {"discriminator_images"}
    assert hooks["discriminator_images"](images=1, real=True, controls=2, random=3) == (1, 2)


def test_an_observer_module_is_called_and_a_run_names_what_acted(install, tmp_path):
    source = (
        "from ganforge import hookimpl\nSEEN = []\n"
        "@hookimpl\ndef step_ended(step): SEEN.append(step.progress.step)\n"
        "@hookimpl\ndef run_ended(run, outcome): SEEN.append(outcome)\n"
    )
    install("watcher", source)
    from ganforge import train

    run = train(**SMALL, epochs=1, runs_dir=tmp_path / "r")
    assert sys.modules["watcher"].SEEN == [0, 1, "finished"]
    assert json.loads((run.path / "run.json").read_text())["architecture"]["name"] == "fcgan"


def test_hooks_are_split_between_strategies_and_observers():
    assert not set(STRATEGY_HOOKS) & set(OBSERVER_HOOKS)
