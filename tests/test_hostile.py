"""A thousand bad files, and files of our own that were damaged: each is a clear line, never a traceback."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

import hostile
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field
from support import ARCH, TESTS, encoded, python

from ganforge import GANForgeError, Options, UsageError
from ganforge.plugin.options import make_options, parse_spec, written
from ganforge.runs import (
    create_run,
    load_checkpoint,
    read_manifest,
    read_metrics,
    save_checkpoint,
    truncate_metrics,
    write_manifest,
)
from ganforge.training.config import read_config

QUICK = settings(
    max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def says(error: GANForgeError, words: str = "", kind: type = GANForgeError) -> None:
    """Hold an error to what a person may expect: its kind, one line, and what it is about."""
    assert type(error) is kind
    assert str(error)
    assert "\n" not in str(error).strip()
    assert words in str(error)


# ------------------------------------------------------------------ pictures


def run(*args: object) -> dict[str, Any]:
    done = python(TESTS / "hostile.py", *args, timeout=300)
    # libtiff writes a line of its own about a damaged TIFF; nothing of Python's comes through.
    assert all("tif" in line.lower() for line in done.stderr.splitlines()), done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_thousand_bad_files_are_all_accounted_for_in_bounded_memory_and_time():
    report = run("--count", 1003, "--seed", 1)
    assert report["files"] >= 1000
    assert report["handled"] == report["files"], report
    assert min(report["read"], report["skipped"]) > 200  # neither all refused nor all let through
    assert report["megabytes"] < 500
    assert report["seconds"] < 120


def test_a_zip_that_would_write_outside_with_many_entries(tmp_path):
    report = run("--zip", 5000)
    assert report["handled"] == report["files"] == 4999
    assert report["read"] == 3
    assert report["megabytes"] < 300
    assert not (tmp_path.parent / "up.png").exists()


def test_a_run_on_bad_files_names_them_and_prints_nothing_that_a_terminal_obeys(ganforge_cli, tmp_path):
    (tmp_path / "bad").mkdir()
    hostile.make(tmp_path / "bad", 60, 2)
    os.symlink("broken", tmp_path / "bad" / "!\x1b[2J\n.png")  # links that lead nowhere are named first
    command = ("train", "--arch", ARCH, "--data", "./bad", "--image-size", 8)
    code, out, err = ganforge_cli(*command, "--batch-size", 8, "--epochs", 1)
    assert code == 0, err
    assert err == ""
    assert "\\x1b[2J" in out
    assert "\x1b" not in out
    skipped = {name for name, _ in json.loads((tmp_path / "runs/run_1/run.json").read_text())["data"]["skipped"]}
    assert {"!\x1b[2J\n.png", "nowhere.png", os.fsdecode(b"\xff.jpg")} <= skipped


def test_eps_is_a_program_and_is_not_run(tmp_path):
    from PIL import EpsImagePlugin, Image

    from ganforge.data.decode import Reading, Unreadable, decode

    Image.new("RGB", (8, 8)).save(tmp_path / "a.eps")
    called = []
    EpsImagePlugin.Ghostscript, kept = lambda *a, **k: called.append(1), EpsImagePlugin.Ghostscript
    try:
        with pytest.raises(Unreadable, match="EPS file, which is a program"):
            decode((tmp_path / "a.eps").read_bytes(), Reading(8))
    finally:
        EpsImagePlugin.Ghostscript = kept
    assert not called


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "I;16"])
def test_a_huge_picture_is_made_smaller_before_anything_else(mode, monkeypatch):
    from PIL import Image

    from ganforge.data import decode
    from ganforge.data.ranges import to_bytes

    values = np.zeros((90, 120), np.uint8)
    values[:, 60:] = 255
    image = Image.fromarray(values)
    image = Image.fromarray(values.astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    content = encoded(image, format="PNG", exif=exif)

    def read(content):
        (picture,) = decode.decode(content, decode.Reading(4, 3, "stretch")).pictures
        return to_bytes(picture.pixels, (0, 65535)) if picture.depth else picture.pixels

    plain = read(content)
    monkeypatch.setattr(decode, "LARGE_PIXELS", 1000)
    large = read(content)
    assert np.abs(large.astype(int) - plain).max() <= 40
    assert large[:, 0].min() > 215
    assert large[:, 3].max() < 40


# ------------------------------------------------------------------ options


class Everything(Options):
    count: int = Field(1, ge=1)
    rate: float = 0.5
    on: bool = True
    word: str = "x"
    kind: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] = (1, 2)
    maybe: float | None = None


@QUICK
@given(st.text(max_size=60))
def test_any_text_is_a_specification_or_one_line(text):
    try:
        spec = parse_spec(text)
        make_options("it", Everything, spec.values)
    except UsageError as error:
        says(error, kind=UsageError)
    else:
        assert parse_spec(str(spec)) == spec


def test_an_option_given_twice_is_one_line():
    with pytest.raises(UsageError) as error:
        parse_spec("noise-anneal:start=0.1,start=0.2")
    says(error.value, "'start' is given twice", UsageError)


KEYS = st.sampled_from([*Everything.model_fields, "cuont", ""])


@QUICK
@given(st.dictionaries(KEYS, st.text(max_size=12) | JSON, max_size=4))
def test_any_values_are_options_or_one_line(values):
    try:
        options = make_options("it", Everything, values)
    except UsageError as error:
        says(error, kind=UsageError)
    else:
        again = {name: written(value) for name, value in options.model_dump().items() if value is not None}
        if all(text for text in again.values()):
            assert make_options("it", Everything, again) == options


# ------------------------------------------------------------------ run.json, metrics.jsonl, checkpoints


@pytest.fixture
def place(tmp_path) -> Path:
    made = create_run(tmp_path, {"config": {"arch": "dcgan", "epochs": 3}, "state": "running", "stages": []})
    save_checkpoint(made, 4, {"a/b": np.arange(5.0), "c": np.asarray(3)}, {"signals": {"d_loss": 0.5}})
    save_checkpoint(made, 8, {"a/b": np.ones(5), "c": np.asarray(4)}, {"signals": {}})
    return made


def mutated(content: bytes, edits: list[tuple[int, int]], cut: int | None) -> bytes:
    result = bytearray(content)
    for place, value in edits:
        result[place % len(result)] = value
    return bytes(result[: cut % len(result)] if cut is not None else result)


EDITS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6)
CUT = st.none() | st.integers(0, 10**6)


@QUICK
@given(EDITS, CUT)
def test_a_damaged_manifest_is_read_or_is_one_line(place, edits, cut):
    path = place / "run.json"
    good = path.read_bytes()
    try:
        path.write_bytes(mutated(good, edits, cut))
        assert isinstance(read_manifest(place), dict)
        assert read_config(place).arch
    except GANForgeError as error:
        says(error, "run.json")
    finally:
        path.write_bytes(good)


MANIFEST_KEYS = st.sampled_from(
    ["config", "state", "format", "stages", "plugins", "data", "progress", "metrics", "id"]
)


@QUICK
@given(st.dictionaries(MANIFEST_KEYS, JSON, max_size=5))
def test_any_json_for_a_manifest_is_listed_shown_or_one_line(place, values):
    from click.testing import CliRunner

    from ganforge.cli.group import cli

    write_manifest(place, {"config": {"arch": "dcgan"}, **values})
    for command in (["runs"], ["show", str(place)], ["resume", str(place)]):
        result = CliRunner().invoke(cli, [*command, "--runs-dir", str(place.parent)])
        assert result.exception is None or isinstance(result.exception, (GANForgeError, SystemExit)), command


@QUICK
@given(st.binary(max_size=200) | st.lists(JSON.map(json.dumps)).map(lambda lines: "\n".join(lines).encode()))
def test_any_bytes_for_metrics_are_lines_or_one_line(place, content):
    (place / "metrics.jsonl").write_bytes(content)
    try:
        assert all(isinstance(line["step"], int) for line in read_metrics(place))
    except GANForgeError as error:
        says(error, "metrics.jsonl")
    truncate_metrics(place, 5)
    assert all(line["step"] <= 5 for line in read_metrics(place))


@QUICK
@given(st.sampled_from(["state.json", "weights.safetensors"]), EDITS, CUT)
def test_a_damaged_checkpoint_is_never_taken_for_a_good_one(place, name, edits, cut):
    path = place / "checkpoints" / "step_00000008" / name
    good = path.read_bytes()
    bad = mutated(good, edits, cut)
    try:
        path.write_bytes(bad)
        checkpoint = load_checkpoint(place)
        if name == "weights.safetensors":
            assert checkpoint.step == (8 if bad == good else 4)
        if checkpoint.step == 8:
            assert checkpoint.arrays["a/b"].tolist() == [1, 1, 1, 1, 1]
        else:
            assert "step_00000008" in checkpoint.skipped[0]
            assert checkpoint.arrays["c"].shape == ()
    finally:
        path.write_bytes(good)
