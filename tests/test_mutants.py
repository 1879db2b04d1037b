"""The seeded faults: the tool says what is true of them, and those chosen here, of each kind, are seen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support import ROOT

from tests.mutants import FAULTS
from tests.mutants.__main__ import chosen, main
from tests.mutants.fault import MATHEMATICS, Fault, check
from tests.mutants.runner import copies, try_faults

pytestmark = pytest.mark.quick

# Eleven that once passed all tests, and three of other parts; a second or two each.
DOZEN = [
    "noise-forgotten-in-the-generators-step",
    "gamma-for-half-of-it",
    "r1-at-fakes",
    "hinge-margin-of-a-tenth",
    "least-squares-target-of-a-half",
    "a-penalty-centred-at-zero",
    "one-place-between-for-a-whole-batch",
    "smoothing-on-fakes-as-well",
    "one-flip-for-a-whole-batch",
    "a-cosine-inverted",
    "extra-generator-updates-on-the-same-latents",
    "layers-in-inference-while-they-train",
    "labels-of-other-pictures",
    "weights-are-believed",
]


def test_every_fault_fits_the_code_as_it_is():
    assert check(FAULTS, ROOT) == []
    assert len(FAULTS) >= 80
    assert sum(fault.kind in MATHEMATICS for fault in FAULTS) >= 40


@pytest.mark.slow
def test_a_dozen_of_them_are_seen():
    faults = [fault for fault in FAULTS if fault.name in DOZEN]
    assert len(faults) == len(DOZEN)
    assert [verdict.fault.name for verdict in try_faults(faults, ROOT) if verdict.state != "killed"] == []


# ------------------------------------------------------------------ the tool, on a repository of three lines


@pytest.fixture
def tiny(tmp_path) -> Path:
    """A package of two functions, of which the tests look at one."""
    root = tmp_path / "repository"
    (root / "ganforge").mkdir(parents=True)
    (root / "tests").mkdir()
    (root / "pyproject.toml").write_text("[tool.pytest.ini_options]\npythonpath = ['.']\n")
    (root / "ganforge" / "__init__.py").write_text("def half(x): return x / 2\ndef third(x): return x / 3\n")
    (root / "tests" / "test_half.py").write_text(
        "import subprocess, sys\nfrom ganforge import half\n"
        "def test_half(): assert half(4) == 2\n"
        "def test_elsewhere():\n"
        "    code = 'import ganforge; print(ganforge.half(4))'\n"
        "    assert subprocess.run([sys.executable, '-c', code], capture_output=True).stdout == b'2.0\\n'\n"
    )
    return root


def fault(name: str, old: str, new: str, test: str = "test_half") -> Fault:
    return Fault(name, "factor", "ganforge/__init__.py", old, new, (f"tests/test_half.py::{test}",))


SEEN, UNSEEN = fault("seen", "x / 2", "x / 5"), fault("unseen", "x / 3", "x / 4")
ELSEWHERE = fault("elsewhere", "x / 2", "x * 2", "test_elsewhere")
ENDLESS = fault("endless", "x / 2", "half(x)")


@pytest.mark.slow
def test_survivors_are_named_and_the_checkout_stays_as_it_was(tiny, capsys, monkeypatch):
    before = {path: path.read_bytes() for path in tiny.rglob("*") if path.is_file()}
    monkeypatch.chdir(tiny)  # from here `import ganforge` would find the checkout, were it not for the copy's path
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tiny), str(ROOT)]))
    assert main([], [SEEN, UNSEEN, ELSEWHERE, ENDLESS], tiny) == 1
    out = capsys.readouterr().out
    assert "seen: killed by tests/test_half.py::test_half" in out
    assert "elsewhere: killed by tests/test_half.py::test_elsewhere" in out
    assert "4 faults, 1 survived" in out
    assert out.splitlines()[-1].startswith("  unseen  (factor, ganforge/__init__.py)")
    assert main(["seen", "--jobs", "1"], [SEEN], tiny) == 0
    assert {path: path.read_bytes() for path in tiny.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("stale", "words"),
    [
        (fault("gone", "x / 7", "x"), "has 0 of 'x / 7'; expected exactly one"),
        (fault("twice", "return x", "return 2 * x"), "has 2 of 'return x'"),
        (fault("nothing", "x / 2", "x / 2"), "it changes nothing"),
        (fault("broken", "x / 2", "x /"), "would not compile"),
        (fault("untested", "x / 2", "x / 5", "test_third"), "there is no test tests/test_half.py::test_third"),
    ],
)
def test_a_stale_fault_is_refused_before_anything_runs(tiny, capsys, stale, words):
    assert main([], [SEEN, stale], tiny) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert "1 stale" in captured.err
    assert captured.out == ""


@pytest.mark.slow
def test_tests_that_fail_anyway_say_nothing_of_a_fault(tiny, capsys):
    (tiny / "ganforge" / "__init__.py").write_text("def half(x): return x / 2 + 1\ndef third(x): return x / 3\n")
    assert main([], [SEEN], tiny) == 2
    assert "tests/test_half.py::test_half fails without any fault" in capsys.readouterr().err


@pytest.mark.slow
def test_what_cannot_be_imported_is_no_verdict(tiny, capsys):
    nowhere = fault("nowhere", "def half(x)", "import nowhere\ndef half(x)")
    assert main([], [nowhere], tiny) == 2
    captured = capsys.readouterr()
    assert "No module named 'nowhere'" in captured.out
    assert "no verdict on nowhere" in captured.err


def test_faults_are_chosen_by_name_kind_file_or_pattern(capsys):
    assert chosen(["seen"], [SEEN, UNSEEN, ELSEWHERE]) == [SEEN, UNSEEN]
    assert chosen(["else*", "unseen"], [SEEN, UNSEEN, ELSEWHERE]) == [UNSEEN, ELSEWHERE]
    assert chosen(["__init__"], [SEEN, UNSEEN]) == [SEEN, UNSEEN]
    assert main(["--list", "seen"], [SEEN, UNSEEN]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        "seen  (factor, ganforge/__init__.py)",
        "    tests/test_half.py::test_half",
    ]
    assert main(["nothing-like-it"], [SEEN]) == 2
    assert main(["--jobs", "0"], [SEEN]) == 2


def test_copies_are_removed_whatever_happens(tiny):
    def interrupted() -> None:
        with copies(tiny, 2) as free:
            seen.append(free.get().path.parent)
            assert sorted(path.name for path in seen[0].iterdir()) == ["copy_0", "copy_1"]
            raise KeyboardInterrupt

    seen: list[Path] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not seen[0].exists()
