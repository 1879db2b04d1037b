"""Faults in what runs that are long, large or unlucky rely on, and in how colours of 16 bits are read."""

from __future__ import annotations

from tests.mutants.fault import Fault

READING, ZIP, WORKERS, DEEP = (f"ganforge/data/{name}.py" for name in ("reading", "files", "workers", "deep"))
LOCAL, LIVE, OUTPUTS, RESOLVE = (
    f"ganforge/{name}.py"
    for name in ("study/executors/local", "diagnosis/live", "training/outputs", "training/resolve")
)
STREAMS, ANIMATION, METRICS, ERRORS = (
    f"ganforge/{name}.py" for name in ("cli/streams", "media/animation", "runs/metrics", "errors")
)
L, D, E, C = (f"tests/test_{name}.py::" for name in ("long", "pictures", "environment", "deep_colour"))
FRAMES = ("tests/test_media.py::test_an_animation_may_have_more_frames_than_its_bar_has_pixels",)
LETTERS = (E + "test_a_stream_of_few_letters_is_given_those",)
MEMORY = (E + "test_a_plugin_that_memory_was_too_small_for_is_not_called_unknown",)
GONE = (D + "test_files_that_are_gone_stop_the_run",)
STALLED = (D + "test_a_stalled_disk_does_not_hold_an_interrupt",)
RHYTHM = ("tests/test_asking.py::test_a_run_shows_at_most_about_a_hundred_grids_unless_it_is_asked_to",)
STRAY = ("tests/test_study.py::test_a_workers_stray_lines_are_no_reports_and_it_is_told_to_save",)
DEEP_COLOUR = (C + "test_colours_of_16_bits_are_read_by_the_range_of_the_set",)
CLEAR = (C + "test_transparency_of_16_bits_lies_on_the_background",)

FAULTS = [
    # ------------------------------------------------------------------ long, large and unlucky runs
    Fault(
        "a-bar-of-negative-width",
        "condition",
        ANIMATION,
        "if long := round(picture.width * done):",
        "if (long := round(picture.width * done)) is not None:",
        FRAMES,
    ),
    Fault(
        "files-that-stay-with-their-error",
        "forgotten",
        READING,
        "return type(error)(*error.args)",
        "return error",
        (L + "test_unreadable_files_do_not_stay_in_memory",),
    ),
    Fault(
        "a-history-beyond-the-memory",
        "condition",
        METRICS,
        "if i % 2**16 == 0 and history.nbytes",
        "if i < 0 and history.nbytes",
        (L + "test_a_file_cannot_fill_the_memory_with_columns",),
    ),
    Fault(
        "a-live-diagnosis-of-every-line",
        "constant",
        LIVE,
        "deque(maxlen=LATEST)",
        "deque()",
        (L + "test_the_diagnosis_of_a_run_that_goes_on_looks_at_its_latest_lines",),
    ),
    Fault(
        "entries-swell-beyond-what-they-declare",
        "constant",
        ZIP,
        "bz2.BZ2Decompressor().decompress(raw, info.file_size + 1)",
        "bz2.decompress(raw)",
        (L + "test_a_zip_entry_swells_no_further_than_it_declares[ZIP_BZIP2]",),
    ),
    Fault(
        "a-grid-for-every-step-of-a-tiny-set",
        "forgotten",
        RESOLVE,
        "max(min(6, max(1, epochs // 20)), -(-epochs // 100))",
        "min(6, max(1, epochs // 20))",
        RHYTHM,
    ),
    Fault(
        "a-drawing-that-fails-a-run",
        "forgotten",
        OUTPUTS,
        'except Exception as error:\n            log.warning("%s of %s could not be drawn',
        'except ZeroDivisionError as error:\n            log.warning("%s of %s could not be drawn',
        ("tests/test_faults.py::test_what_is_drawn_of_a_run_cannot_change_how_it_ended",),
    ),
    Fault(
        "a-stray-line-orphans-a-worker",
        "forgotten",
        LOCAL,
        "with suppress(ValueError, RecursionError):",
        "with suppress(ZeroDivisionError):",
        STRAY,
    ),
    Fault("a-stray-object-is-a-report", "condition", LOCAL, "if isinstance(said, dict):", "if True:", STRAY),
    Fault(
        "files-that-are-gone-are-skipped",
        "condition",
        ZIP,
        "if error.errno in _GONE:",
        "if error.errno is None:",
        GONE,
    ),
    Fault("an-interrupt-waits-for-a-disk", "constant", WORKERS, "daemon=True", "daemon=False", STALLED),
    Fault(
        "letters-a-stream-does-not-know",
        "constant",
        STREAMS,
        'stream.reconfigure(errors="replace")',
        'stream.reconfigure(errors="strict")',
        LETTERS,
    ),
    Fault(
        "no-memory-is-no-plugin",
        "condition",
        ERRORS,
        "if isinstance(error, MemoryError) or",
        "if isinstance(error, ZeroDivisionError) or",
        MEMORY,
    ),
    # ------------------------------------------------------------------ colours of 16 bits
    Fault(
        "upper-bytes-for-lower-ones",
        "tensor",
        DEEP,
        "samples += np.asarray(low.getchannel(k))",
        "samples += np.asarray(high.getchannel(i))",
        DEEP_COLOUR,
    ),
    Fault(
        "planes-in-the-other-order",
        "order",
        DEEP,
        '"<u2" if content.startswith(b"II") else ">u2"',
        '"<u2"',
        DEEP_COLOUR,
    ),
    Fault(
        "opacity-counted-twice",
        "condition",
        DEEP,
        "return Planes(planes[:3], planes[3] / _TOP, times) if",
        "return Planes(planes[:3], planes[3] / _TOP) if",
        CLEAR,
    ),
    Fault(
        "hidden-colours-decide",
        "condition",
        "ganforge/data/decode.py",
        "seen = alpha > 0",
        "seen = alpha >= 0",
        CLEAR,
    ),
    Fault(
        "gamma-forgotten-on-16-bits",
        "forgotten",
        DEEP,
        "image.info |= {} if self.gamma is None else",
        "image.info |= {} if True else",
        ("tests/test_deep_colour.py::test_a_profile_and_a_gamma_hold_for_16_bits_too",),
    ),
]
