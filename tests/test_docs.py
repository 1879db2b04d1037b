"""The documentation names every hook, argument and option; its examples load, and its links lead somewhere."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import textwrap
from pathlib import Path

import numpy as np
import pytest
from support import ARCH, python

from ganforge.backend import choose_backend
from ganforge.plugin import hookspecs
from ganforge.plugin.kinds import KINDS, REGISTRATION_HOOKS
from ganforge.plugin.options import describe_options
from tools.links import broken_links, pages, sections

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = pages(ROOT)
HOOKS = [name for name, value in vars(hookspecs).items() if hasattr(value, "ganforge_spec")]


def read(page: Path) -> str:
    return page.read_text("utf-8") if page.is_file() else ""


def first_cells(text: str) -> dict[str, list[str]]:
    """Rows of a section's tables by their first cell."""
    rows = re.findall(r"^\| `([^`]+)` \|(.*)\|$", text, flags=re.M)
    return {name: [cell.strip() for cell in re.split(r"(?<!\\)\|", rest)] for name, rest in rows}


def registered() -> list:
    choose_backend()
    from ganforge.plugin.registry import load_plugins

    registry = load_plugins()
    assert not registry.broken
    # Installed third-party plugins document themselves.
    return [entry for kind in KINDS for entry in registry.of(kind) if entry.package == "ganforge"]


# ------------------------------------------------------------------ hooks


def test_the_hooks_are_found():
    assert set(HOOKS) == {*REGISTRATION_HOOKS, *hookspecs.STRATEGY_HOOKS, *hookspecs.OBSERVER_HOOKS}


@pytest.mark.parametrize("hook", HOOKS)
def test_the_hook_table_names_each_hook_its_place_and_its_arguments(hook):
    runs, _, arguments, _ = first_cells(sections(DOCS / "plugins" / "reference.md")["All hooks"])[hook]
    assert runs == ("traced" if hook in hookspecs.TRACED_HOOKS else "host")
    named = re.findall(r"`([a-z_]+)`", arguments)
    assert named == list(inspect.signature(getattr(hookspecs, hook)).parameters)
    assert hook in (DOCS / "plugins" / "hooks.md").read_text("utf-8")


def test_the_pages_written_from_the_code_say_what_it_says():
    choose_backend()
    from tools.reference import COMMAND, pages

    written = pages()
    stale = {page.relative_to(DOCS).as_posix() for page, text in written.items() if text != read(page)}
    assert not stale, f"run: {COMMAND}"
    left = {page for page in (DOCS / "reference").iterdir() if page not in written}
    assert not left, "nothing writes these"


def test_the_table_of_strategies_and_losses_is_what_is_taken_and_refused(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    from generate_matrix import PAGE, page

    assert PAGE.read_text("utf-8") == page(), "run: python docs/generate_matrix.py"


# ------------------------------------------------------------------ options


def test_every_registered_name_and_option_stands_in_the_reference_and_in_no_table_by_hand():
    from tools.reference.named import PAGES as OF

    pages = {kind: f"{name}.md" for name, (kind, _) in OF.items()}
    texts = {kind: sections(DOCS / "reference" / page) for kind, page in pages.items()}
    explained = sections(DOCS / "strategies.md")
    missing = []
    for entry in registered():
        text = texts[entry.kind]
        family = entry.name if entry.name in text else re.sub(r"-\d+$", "", entry.name)
        rows = first_cells(text.get(family, ""))
        if entry.name not in (family, *rows):
            missing.append(entry.name)
        for option in describe_options(entry.options):
            row = rows.get(option.name, [""])
            if (family == entry.name and row[0].strip("`–") != option.default.replace("None", "")) or not row[-1]:
                missing.append(f"{entry.name}:{option.name}={option.default}, not {row[0]}")
        # Formula and advice stand elsewhere, where data sources have a page of their own.
        link = f"](reference/{pages[entry.kind]}#{family})" if describe_options(entry.options) else ""
        if entry.kind != "dataset" and (family not in explained or link not in explained[family]):
            missing.append(f"{family} in strategies.md, with {link}")
    assert missing == []
    by_hand = [page.name for page in PAGES if page.parent.name != "reference" and "| option | default" in read(page)]
    assert by_hand == []


# ------------------------------------------------------------------ examples and links


def test_every_whole_example_loads_as_a_plugin(tmp_path):
    choose_backend()
    from ganforge.plugin.registry import load_plugins
    from ganforge.plugin.trust import given

    examples = [block for block in python_blocks(DOCS / "plugins" / "tutorial.md") if "hookimpl" in block]
    for i, block in enumerate(examples):
        (tmp_path / f"example_{i}.py").write_text(block, "utf-8")
    files = sorted(tmp_path.glob("example_*.py"))
    registry = load_plugins(given(files))
    brought = {entry.name for kind in registry.entries for entry in registry.of(kind) if entry.sha256}
    assert brought == {
        *("tiny", "tiny-conditional", "my-input-noise", "slow-when-winning", "gradient-norm", "two-slopes"),
        *(
            "my-lecam",
            "my-adaptive",
            "my-lookahead",
            "absolute",
            "clipped-adam",
            "lines",
            "discs",
        ),
    }
    assert {kind for kind in KINDS if any(e.sha256 for e in registry.of(kind))} == set(KINDS)
    assert [plugin for plugin, _ in registry.observers if plugin.startswith(str(tmp_path))]


def test_every_example_of_a_plugin_works(tmp_path):
    """A few steps each; the last state of those that keep one is worked out by hand from what was measured."""
    choose_backend()
    import numpy as np

    from ganforge.plugin.calling import observer_hooks
    from ganforge.plugin.registry import load_plugins
    from ganforge.plugin.trust import given
    from ganforge.plugin.types import Progress, RunInfo, StepInfo
    from ganforge.testing.small import run, small_engine

    for i, block in enumerate(python_blocks(DOCS / "plugins" / "tutorial.md")):
        if "hookimpl" in block:
            (tmp_path / f"example_{i}.py").write_text(block, "utf-8")
    registry = load_plugins(given(sorted(tmp_path.glob("example_*.py"))))
    found = {e.name: e for kind in KINDS for e in registry.of(kind) if e.sha256}
    lines, states = {}, {}
    for name, entry in found.items():
        if entry.kind == "strategy":
            engine = small_engine(registry, [entry.value()])
        elif entry.kind == "loss":
            engine = small_engine(registry, loss=entry.value)
        elif entry.kind == "optimizer":
            engine = small_engine(registry, optimizers=tuple(entry.value.build(entry.value.options()) for _ in "GD"))
        else:
            continue
        lines[name] = run(engine, 0, 6)
        assert all(np.isfinite(list(line.values())).all() for line in lines[name]), name
        states[name] = [
            float(v) for n, v in engine.get_state()[0].items() if n.startswith("strategy") and v.ndim == 0
        ]
    means = {"real": 0.0, "fake": 0.0}
    for line in lines["my-lecam"]:
        means = {side: 0.99 * mean + 0.01 * line[f"d_{side}_logit"] for side, mean in means.items()}
    assert states["my-lecam"] == pytest.approx([means["fake"], means["real"]], rel=1e-4)  # in the order of names
    p = 0.0
    for line in lines["my-adaptive"]:
        p = min(1.0, max(0.0, p + 4 / 500_000 * np.sign(line["d_real_sign"] - 0.6)))
        assert line["my-adaptive/p"] == pytest.approx(p, abs=1e-9)
    assert states["my-lookahead"] == [6.0]
    paid = [line["two-slopes/slope"] for line in lines["two-slopes"]]
    assert paid[0] == paid[1] == paid[3] != paid[4] == paid[5], "paid in steps 0 and 4, and shown until the next"
    logger = found["lines"].value
    for start in (0, 1):
        watch = logger.make(RunInfo(tmp_path, {}, 2, 1, start), logger.options(separator=","))
        metrics = {"d_loss": 1.0, "g_loss": 2.0}
        observer_hooks(watch)["step_ended"](step=StepInfo(Progress(start, 2, 0, 1), {}, metrics))
    assert (tmp_path / "lines.txt").read_text() == "1,1.0,2.0\n2,1.0,2.0\n"


def test_the_page_of_version_2_names_all_that_came_with_it():
    page = (DOCS / "plugins" / "version-2.md").read_text("utf-8")
    words = {*hookspecs.SINCE_2, "initial_state", "lazy", "real_logits", "real_features", "ganforge_api = 2"}
    assert {word for word in words if f"`{word}" not in page} == set()


def python_blocks(page: Path) -> list[str]:
    found = re.findall(r"^( *)```python\n(.*?)^\1```$", page.read_text("utf-8"), flags=re.M | re.S)
    return [textwrap.dedent(block) for _, block in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_python_block_is_python(page):
    for block in python_blocks(page):
        compile(block, page.name, "exec")


def test_the_python_blocks_of_the_tutorial_run(tmp_path, monkeypatch):
    """As they stand, but for sizes: a small network, few steps, and cartoon animals for photos."""
    import ganforge
    from ganforge.training.config import TrainConfig

    of = TrainConfig.of
    small = {"arch": ARCH, "data": "critters:count=32", "image_size": 8}

    def quick(cls, values):
        if "epochs" in values and "latent_dim" not in values:  # settings as a person gives them, not a run's own
            return of({**values, **small, "epochs": 1, "batch_size": 16})
        return of(values)

    monkeypatch.setattr(TrainConfig, "of", classmethod(quick))
    resume = ganforge.Run.resume
    monkeypatch.setattr(ganforge.Run, "resume", lambda self, epochs=None, **more: resume(self, 2, **more))
    monkeypatch.chdir(tmp_path)
    ganforge.train("fcgan", epochs=1)
    names: dict = {}
    for block in python_blocks(DOCS / "tutorial.md"):
        exec(compile(block, "tutorial.md", "exec"), names)
    assert (tmp_path / "photos.gif").stat().st_size > 0
    assert names["pictures"].shape == (16, 8, 8, 3)
    assert names["walk"].shape == (60, 4, 8, 8, 3)
    assert tuple(names["images"].shape) == (16, 8, 8, 3)


@pytest.mark.slow
def test_the_python_blocks_of_the_page_on_python_run(tmp_path, monkeypatch):
    """As they stand, but for sizes, as those of the tutorial."""
    from support import photos

    import ganforge

    train, resume = ganforge.train, ganforge.Run.resume

    def quick(arch, *more, **settings):
        small = {"arch": ARCH, "image_size": 8} if isinstance(arch, str) else {"arch": arch}
        data = {"data": settings.get("data", "critters:count=32")}
        return train(**{"balance": more or None, **settings, **small, **data, "epochs": 2, "batch_size": 16})

    monkeypatch.setattr(ganforge, "train", quick)
    monkeypatch.setattr(ganforge.Run, "resume", lambda self, epochs=None, **how: resume(self, 3, **how))
    monkeypatch.chdir(tmp_path)
    photos(tmp_path / "photos", 32)
    names: dict = {}
    for block in python_blocks(DOCS / "python.md"):
        exec(compile(block, "python.md", "exec"), names)
    assert (tmp_path / "walk.gif").stat().st_size > 0
    assert names["plan"].settings["epochs"] == 2
    assert len(names["history"].history["g_loss"]) == 2
    assert tuple(names["grid"].shape) == (16, 3, 8, 8)


def command_lines(page: Path) -> list[list[str]]:
    """The ``ganforge …`` lines of a page's plain blocks, as words."""
    found = re.findall(r"^ *```(\w*)[^\n]*\n(.*?)^ *```$", page.read_text("utf-8"), flags=re.M | re.S)
    blocks = [block for language, block in found if language in ("", "bash", "console")]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [
        shlex.split(re.split(r" (?:&&|[|>]) ", line)[0], comments=True)[1:]
        for line in lines
        if re.match(r"\s*\$?\s*ganforge [a-z][a-z-]*( |$)", line)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_line_has_only_options_and_names_that_exist(page):
    import click

    from ganforge.cli.group import cli
    from ganforge.plugin.options import make_options, parse_spec

    entries = {(e.kind, e.name): e for e in registered()}
    kinds = {"arch": "architecture", "balance": "strategy", "loss": "loss"}
    for words in command_lines(page):
        context = click.Context(cli, info_name="ganforge")
        command = cli.get_command(context, words[0])
        assert command is not None, words
        parameters, rest, _ = command.make_parser(click.Context(command)).parse_args(list(words[1:]))
        assert not rest, words
        for flag, kind in kinds.items():
            value = parameters.get(flag)
            for text in [value] if isinstance(value, str) else value or []:
                spec = parse_spec(text)
                if (entry := entries.get((kind, spec.name))) is not None:
                    options = entry.value.Options if kind == "strategy" else entry.value.options
                    make_options(text, options, spec.values)


def test_below_each_kind_of_picture_in_the_gallery_stands_the_command_that_made_it():
    parts = re.split(r"^## .+$", read(DOCS / "gallery.md"), flags=re.M)[1:]
    assert len(parts) >= 3
    for part in parts:
        assert re.search(r"^!\[.+\]\(images/\S+\)\n\n```\nganforge train ", part, flags=re.M), part


def test_the_tables_of_modes_are_the_medians_of_their_figures():
    """The page against the figures seed by seed, by numpy alone."""
    page = (DOCS / "balance.md").read_text("utf-8").partition("## The tables")[2].partition("## Published")[0]
    rows = json.loads((DOCS / "reports" / "modes.json").read_text("utf-8"))
    figures = {(row["way"], row["data"]): row for row in rows}
    told = ("kind=ring", "n=25", "n=100", "rare=0.1", "stacked:source=digits")
    tables = re.findall(r"^\| way \|.*\n\|[- |:]+\n((?:\|.*\n)+)", page, re.MULTILINE)
    assert len(tables) == len(told)
    seen = set()
    for data, table in zip(told, tables):
        for line in table.splitlines():
            way, seeds, *cells = (cell.strip().strip("*`") for cell in line.strip("|").split("|"))
            key = next(key for key in figures if key[0] == way and key[1].endswith(data))
            row, seen = figures[key], seen | {key}
            assert int(seeds) == len(row["modes"])
            columns = [name for name in ("modes", "precision", "kl", "rare") if name in row]
            assert len(cells) == len(columns)
            for name, cell in zip(columns, cells):
                values = [value for value in row[name] if value is not None]  # a KL needs one sample on a mode
                shown = [float(number) for number in re.findall(r"[0-9.]+", cell.replace(",", ""))]
                expected = [np.median(values), min(values), max(values)][: len(shown)]
                half = {"modes": 0.05, "precision": 0.00501, "kl": 0.000501, "rare": 0.00501}[name]
                np.testing.assert_allclose(shown, expected, rtol=0, atol=half, err_msg=f"{key} {name}")
    assert seen == set(figures)


@pytest.mark.slow
def test_the_site_builds_with_no_broken_link(tmp_path):
    pytest.importorskip("mkdocs")
    python("-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path / "site", cwd=ROOT)
    assert (tmp_path / "site" / "plugins" / "reference" / "index.html").is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_relative_links_lead_somewhere(page):
    assert broken_links(page) == []
