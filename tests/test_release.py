"""The release checklist and the registry of figures, on small checkouts that are right but for one thing."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from tools import numbers, release
from tools.shell import run

ROOT = Path(__file__).parent.parent
FILES = {
    "ganforge/__init__.py": '__version__ = "1.2.3"\n',
    "ganforge/cli.py": """import sys
from ganforge import __version__
def main(): print(f"ganforge {__version__}" if "--version" in sys.argv else "Usage: ganforge")
""",
    "ganforge/page/style.css": "body {}\n",
    "plugins/ganforge_tiny/__init__.py": "",
    "pyproject.toml": """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "ganforge"
dynamic = ["readme", "version"]
description = "Small."
requires-python = ">=3.11"
license = "MIT"
license-files = ["LICENSE"]
classifiers = ["Typing :: Typed"]
[project.optional-dependencies]
more = []
[project.scripts]
ganforge = "ganforge.cli:main"
[tool.hatch.metadata.hooks.custom]
path = "tools/description.py"
[tool.hatch.version]
path = "ganforge/__init__.py"
[tool.hatch.build.targets.wheel]
packages = ["ganforge", "plugins/ganforge_tiny"]
""",
    "constraints.txt": "",
    "LICENSE": "Free.\n",
    ".gitignore": "dist/\n",
    "README.md": "# Small\n\nSee [speed](docs/speed.md#how-fast).\n",
    "CHANGELOG.md": "# Changelog\n\n## [1.2.3] - 2026-01-02\n\n### Added\n\n- It.\n\n### Fixed\n\n- That.\n",
    "CITATION.cff": "cff-version: 1.2.0\nversion: 1.2.3\ndate-released: 2026-01-02\n",
    "docs/speed.md": "# Speed\n\n## How fast\n\nBy `python  fast.py`:\n\n| | img/s |\n|---|---|\n| here | 12 |\n",
    "fast.py": "print(12)\n",
    "tools/numbers.toml": "",
    "tools/description.py": (ROOT / "tools" / "description.py").read_text("utf-8"),
}
ENTRY = """
[[table]]
page = "docs/speed.md"
what = "speed"
command = "python fast.py"
cheap = true
commit = "COMMIT"
date = 2026-01-02
paths = ["ganforge", "fast.py"]
"""
QUICK = ["tree", "version", "changelog", "links", "numbers"]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A committed checkout in which every step is ok, its figures measured at the first commit."""
    for part in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{part}_NAME", "N")
        monkeypatch.setenv(f"GIT_{part}_EMAIL", "n@example.org")
    root = tmp_path / "checkout"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    run("git", "init", "-q", cwd=root)
    commit(root)
    first = run("git", "rev-parse", "HEAD", cwd=root).strip()
    (root / "tools/numbers.toml").write_text(ENTRY.replace("COMMIT", first), "utf-8")
    commit(root)
    return root


def commit(root):
    run("git", "add", "-A", cwd=root)
    run("git", "commit", "-q", "-m", "state", cwd=root)


def change(root, name, old, new):
    text = (root / name).read_text("utf-8")
    assert old in text
    (root / name).write_text(text.replace(old, new), "utf-8")


def only(*steps):
    return [word for step in steps for word in ("--only", step)]


def lines(capsys):
    return [re.split(r"  +", line, maxsplit=2) for line in capsys.readouterr().out.splitlines()]


def test_a_checkout_that_is_right_passes_one_line_a_step(checkout, capsys):
    assert release.main(only(*QUICK), checkout) == 0
    said = lines(capsys)
    assert [(mark, step) for mark, step, _ in said] == [("ok", step) for step in QUICK]
    assert said[1][2] == "1.2.3 of 2026-01-02 in the code, CHANGELOG.md and CITATION.cff"


@pytest.mark.parametrize(
    ("step", "name", "old", "new", "why"),
    [
        ("tree", "fast.py", "12", "13", "1 uncommitted files, the first: fast.py"),
        ("version", "ganforge/__init__.py", "1.2.3", "1.2.4", "expected the line ## [1.2.4] - DATE"),
        ("version", "CHANGELOG.md", "2026-01-02", "unreleased", "expected the date of the release"),
        ("version", "CITATION.cff", "version: 1.2.3", "version: 1.2.2", "expected the line version: 1.2.3"),
        ("version", "CITATION.cff", "date-released: 2026-01-02\n", "", "expected the line date-released: 2026-01-02"),
        (
            "version",
            "pyproject.toml",
            'dynamic = ["readme", "version"]',
            'version = "1.2.3"',
            "in ganforge/__init__.py alone",
        ),
        ("changelog", "CHANGELOG.md", "### Fixed", "### Added", "1.2.3 has the heading 'Added' 2 times"),
        ("changelog", "CHANGELOG.md", "### Fixed", "### Mended", "heading 'Mended': expected Added,"),
        ("links", "README.md", "docs/speed.md", "docs/sped.md", "README.md: docs/sped.md#how-fast"),
        ("links", "docs/speed.md", "## How fast", "## How slow", "README.md: docs/speed.md#how-fast"),
        ("numbers", "docs/speed.md", "python  fast.py", "python slow.py", "the page does not name python fast.py"),
        ("numbers", "tools/numbers.toml", '"fast.py"]', '"slow.py"]', "there is no slow.py"),
        ("numbers", "tools/numbers.toml", "docs/speed.md", "docs/sped.md", "there is no such page"),
        ("numbers", "tools/numbers.toml", "python fast.py", "python fast.py PHOTOS", "the page does not name"),
        ("numbers", "tools/numbers.toml", "what", "wat", "unexpected keyword argument 'wat'"),
    ],
)
def test_one_thing_wrong_fails_its_step_and_says_why(checkout, capsys, step, name, old, new, why):
    change(checkout, name, old, new)
    assert release.main(only(step), checkout) == 1
    [(mark, failed, said)] = lines(capsys)
    assert (mark, failed) == ("failed", step)
    assert why in said


def test_an_unknown_step_and_a_missing_file_are_one_line(checkout, capsys):
    with pytest.raises(SystemExit) as stopped:
        release.main(only("biuld"), checkout)
    assert stopped.value.code == 2
    assert "unknown step 'biuld': expected one of tree, version," in capsys.readouterr().err
    (checkout / "CITATION.cff").unlink()
    assert release.main(only("version", "metadata"), checkout) == 1
    assert [said for *_, said in lines(capsys)] == [
        "CITATION.cff: No such file or directory",
        "dist/ganforge-1.2.3-py3-none-any.whl is not there: run --only build first",
    ]


def test_the_description_reads_well_where_relative_links_lead_nowhere():
    pytest.importorskip("hatchling")
    from tools.description import portable

    page = (
        "# A\n\n![a *b*](docs/a.gif)\n\n*A picture.*\n\nSee [b](docs/b.md#c), [d](https://d.org/e) and [f](#f).\n\n"
        "```\n[x](y)\n```\n"
    )
    rest = "[d](https://d.org/e) and [f](#f).\n\n```\n[x](y)\n```\n"
    assert portable(page) == f"# A\n\nSee b, {rest}"
    assert portable(page, "https://h.org/g") == (
        "# A\n\n![a *b*](https://h.org/g/raw/HEAD/docs/a.gif)\n\n*A picture.*\n\n"
        f"See [b](https://h.org/g/blob/HEAD/docs/b.md#c), {rest}"
    )


@pytest.mark.slow
def test_the_wheel_is_built_looked_at_and_installed_elsewhere(checkout, capsys, monkeypatch):
    """No index is asked: nothing is depended on. A wheel without a committed file fails."""
    pytest.importorskip("hatchling")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert release.main(only("build", "metadata", "extra:more"), checkout) == 0, lines(capsys)
    assert [step for _, step, _ in lines(capsys)] == ["build", "metadata", "extra:more"]
    wheel = checkout / "dist" / "ganforge-1.2.3-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        assert {"ganforge/page/style.css", "ganforge_tiny/__init__.py"} <= set(archive.namelist())
        assert "\n# Small\n\nSee speed.\n" in archive.read("ganforge-1.2.3.dist-info/METADATA").decode()

    change(checkout, "tools/description.py", 'portable(text, repository.rstrip("/"))', "text")
    commit(checkout)
    assert release.main(only("build", "metadata"), checkout) == 1
    assert lines(capsys)[1][2].startswith("the description has the relative link (docs/speed.md#how-fast)")

    excluded = '[tool.hatch.build]\nexclude = ["*.css"]\n[tool.hatch.version]'
    change(checkout, "pyproject.toml", "[tool.hatch.version]", excluded)
    commit(checkout)
    assert release.main(only("build"), checkout) == 1
    assert lines(capsys)[0][2] == "ganforge/page/style.css is not in the wheel"


def test_figures_are_stale_once_what_they_depend_on_has_changed(checkout, capsys):
    assert numbers.main([], checkout) == 0
    assert capsys.readouterr().out.startswith("fresh")
    change(checkout, "README.md", "Small", "Tiny")  # they do not depend on it
    commit(checkout)
    assert numbers.state(numbers.registry(checkout)[0], checkout)[0] == "fresh"
    change(checkout, "ganforge/cli.py", "Usage", "usage")  # not committed yet: stale all the same
    assert numbers.main(["speed"], checkout) == 0
    assert re.match(
        r"stale +docs/speed.md +speed +2026-01-02 +1 files changed .* ganforge/cli.py$", capsys.readouterr().out
    )
    release.main(only("numbers"), checkout)
    assert lines(capsys)[0][2].startswith("1 tables, 1 of them stale")


def test_figures_without_a_command_a_commit_or_an_entry_are_said(checkout, capsys):
    entry = (checkout / "tools/numbers.toml").read_text()
    unknown = re.sub('commit = ".*"', f'commit = "{"0" * 40}"', entry)
    (checkout / "tools/numbers.toml").write_text(unknown + re.sub("(command|cheap) = .*\n", "", entry))
    (checkout / "docs/more.md").write_text("| | a | b |\n|---|---|---|\n| x | **1** | 2 |\n| y | one | two |\n")
    (checkout / "docs/words.md").write_text("| | a | b |\n|---|---|---|\n| x | 1 | two |\n| 1 | one | two |\n")
    assert numbers.main([], checkout) == 1
    said = capsys.readouterr()
    assert [line.split("  ")[0] for line in said.out.splitlines()] == ["unknown", "no command"]
    assert said.err.startswith("docs/more.md has a table of figures")
    assert "words.md" not in said.err


def test_cheap_commands_run_in_the_checkout_and_a_failing_one_is_the_exit_code(checkout, capfd):
    assert numbers.main(["--run", "cheap"], checkout) == 0
    assert capfd.readouterr().out == "== docs/speed.md, speed: python fast.py\n12\n"
    assert numbers.main(["--run", "cheap", "elsewhere"], checkout) == 0
    assert capfd.readouterr().out == ""
    change(checkout, "fast.py", "print(12)", "raise SystemExit(3)")
    assert numbers.main(["--run", "cheap"], checkout) == 1


def test_the_registry_of_this_project_says_what_is_so():
    assert numbers.faults(numbers.registry(ROOT), ROOT) == []


def test_the_changelog_of_this_project_has_its_form_and_one_version():
    release.changelog(ROOT)
    assert release.releases(ROOT)[0][0] == release.version_of(ROOT)
    assert f"version: {release.version_of(ROOT)}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
