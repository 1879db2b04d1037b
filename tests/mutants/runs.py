"""Faults in run directories, checkpoints and their schedule, and in what a run does to its own files."""

from __future__ import annotations

from tests.mutants.fault import Fault

CHECKPOINTS, DIRECTORY, MANIFEST = (f"ganforge/runs/{name}.py" for name in ("checkpoints", "directory", "manifest"))
METRICS, SNAPSHOTS, PROGRESSION = (f"ganforge/runs/{name}.py" for name in ("metrics", "snapshots", "progression"))
LOCK, SCHEDULE = "ganforge/runs/lock.py", "ganforge/training/schedule.py"
RECOVERY, RECORDER, RECORD = (f"ganforge/training/{name}.py" for name in ("recovery", "recorder", "record"))
T, F, W = "tests/test_runs.py::", "tests/test_faults.py::", "tests/test_files.py::"
FILES, EXECUTOR = "ganforge/files.py", "ganforge/study/executors/local.py"
NEWEST = (T + "test_the_newest_whole_checkpoint_is_used_and_damaged_ones_are_named",)
LINES = (T + "test_metrics_survive_a_torn_line_and_are_cut_to_a_step",)
DUE = (F + "test_a_checkpoint_is_due_at_whichever_comes_first",)
FOUND = (T + "test_a_run_is_found_by_name_number_path_and_latest",)
ROLLBACK = (F + "test_rollback_returns_with_a_smaller_learning_rate_and_says_so",)

FAULTS = [
    Fault(
        "what-stands-at-a-temporary-name-is-opened",
        "forgotten",
        FILES,
        " | os.O_EXCL",
        "",
        (W + "test_what_stands_at_the_temporary_name_is_neither_followed_nor_opened[file-a.bin]",),
    ),
    Fault(
        "a-file-put-in-its-place-takes-the-name",
        "condition",
        FILES,
        "if not os.path.samestat(",
        "if False and os.path.samestat(",
        (W + "test_a_file_put_in_its_place_meanwhile_does_not_take_the_name",),
    ),
    Fault(
        "workers-share-a-gpu",
        "order",
        EXECUTOR,
        "gpus[place % len(gpus)]",
        "gpus[0]",
        ("tests/test_study.py::test_each_worker_sees_one_gpu_in_turn",),
    ),
    Fault("the-oldest-are-kept", "order", CHECKPOINTS, "<= step][-keep:]", "<= step][:keep]", NEWEST),
    Fault(
        "the-new-one-is-dropped",
        "off by one",
        CHECKPOINTS,
        "if _step(path) <= step]",
        "if _step(path) < step]",
        NEWEST,
    ),
    Fault(
        "later-ones-are-kept",
        "forgotten",
        CHECKPOINTS,
        "[path for path in saved if _step(path) <= step][-keep:]",
        "saved[-keep:]",
        (T + "test_checkpoints_after_the_step_that_training_returned_to_go",),
    ),
    Fault("the-oldest-is-loaded", "order", CHECKPOINTS, "in reversed(_list(run)):", "in _list(run):", NEWEST),
    Fault(
        "weights-are-believed",
        "condition",
        CHECKPOINTS,
        'if hashlib.sha256(content).hexdigest() != about.get("sha256"):',
        'if about.get("sha256") is None:',
        (T + "test_weights_that_differ_by_one_bit_are_not_taken",),
    ),
    Fault(
        "scalars-come-back-as-vectors",
        "forgotten",
        CHECKPOINTS,
        "arrays[name] = arrays[name].reshape(())",
        "arrays[name] = arrays[name].reshape(-1)",
        (T + "test_a_checkpoint_comes_back_to_the_bit",),
    ),
    Fault(
        "runs-in-order-of-the-alphabet",
        "order",
        DIRECTORY,
        '(p / "run.json").is_file()), key=_number)',
        '(p / "run.json").is_file()))',
        FOUND,
    ),
    Fault("latest-is-the-first", "tensor", DIRECTORY, "return runs[-1]", "return runs[0]", FOUND),
    Fault(
        "changes-lose-against-what-was",
        "order",
        MANIFEST,
        "{**read_manifest(run), **changes}",
        "{**changes, **read_manifest(run)}",
        (T + "test_a_manifest_is_changed_whole_and_a_damaged_one_is_one_line",),
    ),
    Fault(
        "every-change-is-a-creation",
        "order",
        MANIFEST,
        '"created": now, **manifest, "updated": now',
        '**manifest, "created": now, "updated": now',
        (T + "test_a_change_is_dated_and_leaves_the_date_of_creation",),
    ),
    Fault(
        "a-running-run-is-called-killed",
        "condition",
        "ganforge/runs/state.py",
        'state == "running" and not is_locked(run)',
        'state == "running" and is_locked(run)',
        (T + "test_a_run_that_nobody_trains_was_killed",),
    ),
    Fault(
        "infinity-is-written",
        "condition",
        METRICS,
        "not math.isfinite(value)",
        "math.isnan(value)",
        LINES,
    ),
    Fault(
        "the-last-line-is-cut",
        "off by one",
        METRICS,
        'if line["step"] <= last_step',
        'if line["step"] < last_step',
        LINES,
    ),
    Fault("a-torn-line-is-damage", "off by one", METRICS, "if whole or line is not None:", "if True:", LINES),
    Fault(
        "the-newest-grid-is-dropped",
        "off by one",
        SNAPSHOTS,
        "if epoch > after:",
        "if epoch >= after:",
        (T + "test_snapshots_are_listed_by_epoch",),
    ),
    Fault(
        "grids-in-order-of-the-folder",
        "order",
        SNAPSHOTS,
        "return sorted(found)",
        "return sorted(found, key=lambda one: str(one[0]))",
        (T + "test_snapshots_are_listed_by_epoch",),
    ),
    Fault(
        "the-last-grid-left-out",
        "forgotten",
        PROGRESSION,
        "snapshots[:-1][::every] + snapshots[-1:]",
        "snapshots[::every]",
        (T + "test_a_progression_takes_each_nth_grid_and_always_the_last",),
    ),
    Fault(
        "a-lock-that-is-always-free",
        "condition",
        LOCK,
        "return isinstance(error, TimeoutError)",
        "return not isinstance(error, TimeoutError)",
        (T + "test_a_run_that_nobody_trains_was_killed",),
    ),
    # ------------------------------------------------------------------ the schedule of checkpoints
    Fault(
        "hours-of-3600-minutes",
        "factor",
        SCHEDULE,
        '"minutes", 60 * number',
        '"minutes", 3600 * number',
        (F + "test_how_often_is_written_in_epochs_steps_or_minutes",),
    ),
    Fault("epochs-of-one-step", "tensor", SCHEDULE, '("epochs", steps_per_epoch))', '("epochs", 1))', DUE),
    Fault("minutes-of-a-second", "factor", SCHEDULE, '60.0 * parts["minutes"]', '1.0 * parts["minutes"]', DUE),
    Fault(
        "time-that-never-comes",
        "sign",
        SCHEDULE,
        "self._clock() - self._since >= self._seconds",
        "self._since - self._clock() >= self._seconds",
        DUE,
    ),
    Fault("all-of-the-schedules-at-once", "condition", SCHEDULE, "return any(step", "return all(step", DUE),
    # ------------------------------------------------------------------ what a run does
    Fault(
        "one-finite-weight-is-enough",
        "condition",
        RECOVERY,
        "not np.isfinite(array).all()",
        "not np.isfinite(array).any()",
        (F + "test_one_weight_that_is_no_number_is_named",),
    ),
    Fault(
        "rollback-doubles-the-rate",
        "factor",
        RECORD,
        "learning_rate_scale(stages) / 2",
        "learning_rate_scale(stages) * 2",
        ROLLBACK,
    ),
    Fault(
        "rollback-counts-every-scale-again",
        "factor",
        RECOVERY,
        "planner.scale = learning_rate_scale(stages)",
        "planner.scale *= learning_rate_scale(stages)",
        (F + "test_each_rollback_scales_the_rate_that_the_run_began_with",),
    ),
    Fault(
        "rows-of-one-class-each-picture",
        "tensor",
        RECORDER,
        "(np.arange(len(latents)) // GRID % classes)",
        "(np.arange(len(latents)) % classes)",
        (F + "test_a_row_of_the_grid_is_of_one_class",),
    ),
    Fault(
        "the-last-step-is-not-logged",
        "off by one",
        SCHEDULE,
        "step in (1, steps)",
        "step in (1, steps + 1)",
        (F + "test_a_run_logs_its_first_and_last_step_and_shows_its_last_epoch",),
    ),
    Fault(
        "the-last-epoch-is-not-shown",
        "forgotten",
        SCHEDULE,
        'epoch % every["epochs"] == 0 or last',
        'epoch % every["epochs"] == 0',
        (F + "test_a_run_logs_its_first_and_last_step_and_shows_its_last_epoch",),
    ),
]
