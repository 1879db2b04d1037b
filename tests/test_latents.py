"""Where pictures come from: seeds, truncation, and latents in files. The generator is known: 0.2 z in one pixel."""

from __future__ import annotations

import io
import pickle
import re

import numpy as np
import pytest
from PIL import Image
from support import one_line
from test_api import SHRINK, run_of

from ganforge.errors import UsageError
from ganforge.media.grids import to_uint8
from ganforge.media.latents import parse_seeds, read_latents, save_latents

pytestmark = pytest.mark.quick


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.fixture
def run(tmp_path):
    return run_of(tmp_path / "runs")


def test_each_seed_has_its_first_picture(run):
    together = run.sample(seeds=[5, 0, 7])
    assert np.array_equal(together, np.concatenate([run.sample(1, seed) for seed in (5, 0, 7)]))
    with pytest.raises(UsageError, match="seeds is empty"):
        run.sample(seeds=[])


def test_each_seed_has_its_first_picture_of_its_first_class_too(tmp_path):
    run = run_of(tmp_path, ("dark", "bright"))
    assert np.array_equal(run.sample(seeds=[4, 9]), np.concatenate([run.sample(1, 4), run.sample(1, 9)]))


@pytest.mark.parametrize("truncation", [0.7, 0.0])
def test_truncation_scales_the_latents(run, truncation):
    latents = run.latents(50, seed=2)
    expected = to_uint8(np.float32(SHRINK * truncation) * latents).astype(int)
    drawn = run.sample(50, seed=2, truncation=truncation)[:, 0, 0].astype(int)
    assert np.abs(drawn - expected).max() <= 1
    if truncation:
        untouched = to_uint8(SHRINK * latents).astype(int)
        assert np.abs(drawn - untouched).max() > 10
    walk = run.interpolate(4, 2, seed=2, truncation=truncation)
    assert np.array_equal(walk.reshape(8, 1, 1, 3), run.sample(8, seed=2, truncation=truncation))


@pytest.mark.parametrize("truncation", [-0.1, 1.1, float("nan")])
def test_a_truncation_out_of_range_is_refused(run, truncation):
    with pytest.raises(UsageError, match="expected a number from 0 to 1"):
        run.sample(1, truncation=truncation)


def test_seeds_are_read():
    assert parse_seeds("0-3") == [0, 1, 2, 3]
    assert parse_seeds("3, 7,10-12") == [3, 7, 10, 11, 12]
    for wrong in ("", "a", "3-1", "-1", "1,,2", "0-99999999999", "1-2-3"):
        with pytest.raises(UsageError, match="invalid --seeds"):
            parse_seeds(wrong)


@pytest.mark.parametrize("dtype", ["float16", ">f4", "float64"])
def test_latents_of_any_float_are_taken_in_either_order(tmp_path, dtype):
    latents = np.random.default_rng(0).standard_normal((5, 3)).astype(dtype)
    for array in (latents, np.asfortranarray(latents)):
        (tmp_path / "z.npy").write_bytes(npy(array))
        read = read_latents(tmp_path / "z.npy", 3)
        assert read.dtype == np.float32
        assert np.array_equal(read, latents.astype(np.float32))


class Evil:
    def __reduce__(self):
        return print, ("unpickled",)


# The header says more than the file holds: a reader that believes it would take the memory.
BOMB = npy(np.zeros((2, 3))).replace(b"(2, 3), }" + 8 * b" ", b"(222222222, 3), }")
WRONG = {
    "other length": (npy(np.zeros((2, 4))), "it holds float64 (2, 4); expected a .npy of floats, (n, 3)"),
    "one axis": (npy(np.zeros(3)), "(3,)"),
    "none": (npy(np.zeros((0, 3))), "(0, 3)"),
    "whole numbers": (npy(np.zeros((2, 3), int)), "int64"),
    "objects": (npy(np.array([[Evil()] * 3], object)), "object"),
    "a pickle": (pickle.dumps(Evil()), "this is not a .npy file"),
    "cut short": (npy(np.zeros((2, 3)))[:-1], "cut short"),
    "more declared than held": (BOMB, "cut short"),
    "not finite": (npy(np.full((2, 3), np.nan)), "not finite"),
    "too large": (npy(np.full((2, 3), 1e300)), "not finite"),
    "nothing": (b"", "this is not a .npy file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_other_files_are_refused_in_one_line(tmp_path, run, ganforge_cli, case):
    content, why = WRONG[case]
    (tmp_path / "z.npy").write_bytes(content)
    code, out, err = ganforge_cli("sample", "run_1", "--latents", "z.npy")
    assert code == 2
    assert "unpickled" not in out + err
    assert why in one_line(err)


def picture(path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_the_command_line_keeps_latents_and_takes_them_back(tmp_path, run, ganforge_cli):
    words = ("sample", "run_1", "--seeds", "3-6", "--truncation", 0.5, "--save-latents", "kept/z.npy")
    assert ganforge_cli(*words, "--output", "a.png")[0] == 0
    kept = np.load("kept/z.npy")
    assert kept.dtype == np.float32
    assert np.array_equal(kept, np.float32(0.5) * np.concatenate([run.latents(1, seed) for seed in (3, 4, 5, 6)]))
    assert ganforge_cli("sample", "run_1", "--latents", "kept/z.npy", "--output", "b.png")[0] == 0
    assert np.array_equal(picture("a.png"), picture("b.png"))
    assert ganforge_cli("sample", "run_1", "--seed", 3, "-n", 4, "--output", "c.png")[0] == 0
    assert not np.array_equal(picture("a.png"), picture("c.png"))


def test_pictures_of_seeds_have_the_names_that_each_seed_gives(run, ganforge_cli):
    assert ganforge_cli("sample", "run_1", "--seeds", "8,2", "--output", "many")[0] == 0
    for seed in (8, 2):
        assert ganforge_cli("sample", "run_1", "--seed", seed, "-n", 1, "--output", "one")[0] == 0
        name = f"sample_seed_{seed}_00000.png"
        assert np.array_equal(picture(f"many/{name}"), picture(f"one/{name}"))
    assert ganforge_cli("sample", "run_1", "--seeds", "0-3", "--truncation", 0.7)[0] == 0
    assert (run.path / "samples_seeds_0-3_truncation_0.7.png").is_file()


@pytest.mark.parametrize(
    "words",
    [
        ("--seeds", "0-3", "-n", 2),
        ("--seeds", "0-3", "--seed", 0),
        ("--seeds", "0-3", "--latents", "z.npy"),
        ("--latents", "z.npy", "--interpolate"),
        ("--save-latents", "z.npy", "--interpolate"),
    ],
)
def test_flags_that_say_two_things_are_refused(run, ganforge_cli, words):
    code, _, err = ganforge_cli("sample", "run_1", *words)
    assert code == 2
    assert "do not go together" in err


def test_save_latents_is_looked_at_before_anything_is_drawn(run, ganforge_cli, tmp_path):
    for wrong in ("z.txt", "runs/"):
        code, _, err = ganforge_cli("sample", "run_1", "--save-latents", wrong)
        assert code == 2
        assert re.search(r"expected a( \.npy| file name)", err), err
    assert not list(run.path.glob("samples*"))


def test_what_is_saved_is_read_again(tmp_path):
    latents = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)
    save_latents(latents, tmp_path / "new" / "z.npy")
    assert np.array_equal(read_latents(tmp_path / "new" / "z.npy", 3), latents)
