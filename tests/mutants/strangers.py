"""Faults in what keeps a person safe from the runs and the pages of others."""

from __future__ import annotations

from tests.mutants.fault import Fault

RENDER, SERVER, FOLLOWING = (f"ganforge/report/{name}.py" for name in ("render", "server", "following"))
MANIFEST, METRICS, EVALUATION, CHECKPOINTS, TYPED, DIRECTORY = (
    f"ganforge/runs/{name}.py" for name in ("manifest", "metrics", "evaluation", "checkpoints", "typed", "directory")
)
ENGINE, RESUME, GENERATOR = (
    f"ganforge/{name}.py" for name in ("engine/engine", "training/resume", "training/saved_generator")
)
FILES, ERRORS, CONSOLE, RUNS, GRIDS = (
    f"ganforge/{name}.py" for name in ("files", "errors", "cli/console", "cli/runs", "media/grids")
)
P, T, L, X = (f"tests/test_{name}.py::" for name in ("pages", "strange_types", "long", "strange_files"))
TEXT, ANSWERS = (P + "test_a_text_is_a_text_wherever_it_stands",), (P + "test_watch_answers_whatever_the_run_holds",)
SILENT = (P + "test_clients_that_say_nothing_or_go_keep_nobody_waiting_and_are_not_told_of",)
SAME = (P + "test_who_asks_from_elsewhere_is_told_nothing_and_no_browser_guesses",)
KINDS = tuple(
    T + f"test_any_field_of_another_kind_is_one_line_or_a_readable_run[{name}]"
    for name in ("run.json", "metrics.jsonl", "evaluation.json")
)
LETTER, REFUSED = (
    (T + "test_types_are_held_to_the_letter",),
    (T + "test_a_checkpoint_that_no_training_leaves_is_refused",),
)
OBEYS = (T + "test_no_terminal_obeys_a_text_of_a_run",)
NESTED = (T + "test_what_is_nested_too_deeply_is_one_line_and_hides_no_other_run",)
LINKS = (X + "test_a_run_that_holds_a_link_is_not_trained_and_what_it_leads_to_stays",)
SPECIAL = (X + "test_what_is_no_file_of_a_run_is_refused_at_once",)
SIZED = (X + "test_a_grid_of_too_many_pixels_or_none_is_one_line",)

FAULTS = [
    # ------------------------------------------------------------------ pages
    Fault("a-title-that-is-not-escaped", "forgotten", RENDER, "html.escape(title)", "title", TEXT),
    Fault("data-that-end-a-script", "forgotten", RENDER, 'text.replace("<", "\\\\u003c")', "text", TEXT),
    Fault(
        "not-a-number-on-a-page",
        "forgotten",
        RENDER,
        "json.dumps(finite(data), ensure",
        "json.dumps((data), ensure",
        TEXT,
    ),
    Fault("a-policy-that-allows-all", "constant", RENDER, "default-src 'none'", "default-src *", TEXT),
    Fault("any-script-may-run", "constant", RENDER, "script-src {sources}", "script-src 'unsafe-inline'", TEXT),
    Fault(
        "a-page-without-its-policy",
        "forgotten",
        RENDER,
        "return page.replace('<meta charset=\"utf-8\">', f'<meta charset=\"utf-8\">\\n{tag}', 1)",
        "return page",
        TEXT,
    ),
    Fault(
        "marks-filled-one-after-the-other",
        "order",
        RENDER,
        "page = MARK.sub(lambda mark: safe[mark[0]], read[template])",
        "page = read[template]\n    for mark in safe:\n        page = page.replace(mark, safe[mark])",
        TEXT,
    ),
    Fault("pages-for-any-host", "condition", SERVER, 'if host not in (HOST, "localhost"):', "if not host:", SAME),
    Fault(
        "a-browser-may-guess",
        "constant",
        SERVER,
        '"X-Content-Type-Options", "nosniff"',
        '"X-Content-Type-Options", "no"',
        SAME,
    ),
    Fault(
        "a-linked-album-is-shown",
        "forgotten",
        SERVER,
        'own(run, "snapshots", match[1])',
        'run / "snapshots" / match[1]',
        SAME,
    ),
    Fault(
        "what-nobody-foresaw-answers-nothing",
        "forgotten",
        SERVER,
        "except Exception as error:",
        "except ZeroDivisionError as error:",
        ANSWERS,
    ),
    Fault("clients-may-say-nothing-for-ever", "constant", SERVER, "timeout = PATIENCE", "timeout = 60", SILENT),
    Fault(
        "as-many-clients-as-come",
        "constant",
        SERVER,
        "threading.BoundedSemaphore(CLIENTS)",
        "threading.BoundedSemaphore(999)",
        (P + "test_no_more_clients_than_so_many_are_answered_at_a_time",),
    ),
    Fault(
        "a-traceback-for-a-client-that-has-gone",
        "forgotten",
        SERVER,
        "def handle_error(",
        "def handle_no_error(",
        SILENT,
    ),
    Fault(
        "a-run-gone-back-is-told-on",
        "condition",
        FOLLOWING,
        "about.st_ino != self._file or about.st_size < self._at",
        "about.st_ino == 0",
        (L + "test_watch_sends_what_is_new_and_all_when_the_run_went_back",),
    ),
    # ------------------------------------------------------------------ what files hold
    Fault(
        "a-manifest-of-any-types",
        "forgotten",
        MANIFEST,
        "return held(path, Manifest, manifest)",
        "from ganforge.runs.typed import Held\n    return Held(manifest, str(path))",
        KINDS[:1],
    ),
    Fault(
        "types-that-are-only-alike",
        "constant",
        TYPED,
        "strict=True",
        "strict=False",
        LETTER,
    ),
    Fault(
        "what-is-not-there-is-a-key-error",
        "forgotten",
        TYPED,
        "def __missing__(",
        "def __gone__(",
        (T + "test_what_is_missing_is_one_line_wherever_it_is_asked_for",),
    ),
    Fault("lines-of-any-types", "condition", METRICS, "all(map(_is_number, value.values()))", "True", KINDS[1:2]),
    Fault(
        "true-is-a-number",
        "condition",
        METRICS,
        "kind = type(value)  # True is no number here",
        "kind = float if value is True else type(value)",
        LETTER,
    ),
    Fault("evaluations-of-any-types", "condition", EVALUATION, "and wrong(Evaluation, value) is None", "", KINDS[2:]),
    Fault(
        "checkpoints-of-any-types",
        "condition",
        CHECKPOINTS,
        "if why := wrong(CheckpointAbout, about):",
        "if why := None:",
        REFUSED,
    ),
    Fault(
        "weights-of-nan",
        "condition",
        CHECKPOINTS,
        'if array.dtype.kind == "f" and not',
        'if array.dtype.kind == "?" and not',
        REFUSED,
    ),
    Fault("an-empty-state", "condition", CHECKPOINTS, ' or not about["state"]', "", REFUSED),
    Fault("no-weights-at-all", "condition", CHECKPOINTS, "if not arrays:", "if arrays is None:", REFUSED),
    Fault(
        "weights-of-another-type",
        "condition",
        ENGINE,
        "if not _same_kind(",
        "if array is None and not _same_kind(",
        REFUSED,
    ),
    Fault(
        "a-step-that-was-never-taken",
        "condition",
        RESUME,
        "if step > saved.epochs * per_epoch:",
        "if step < 0:",
        REFUSED,
    ),
    Fault(
        "one-bad-run-hides-the-others",
        "forgotten",
        RUNS,
        "except GANForgeError as error:",
        "except ZeroDivisionError as error:",
        KINDS[:1],
    ),
    Fault(
        "an-error-that-a-terminal-obeys",
        "forgotten",
        ERRORS,
        "super().__init__(on_one_line(message))",
        "super().__init__(message)",
        ("tests/test_errors.py::test_no_message_holds_what_a_terminal_obeys",),
    ),
    Fault(
        "a-table-that-a-terminal-obeys",
        "forgotten",
        "ganforge/showing/words.py",
        "segment._replace(text=clean(segment.text))",
        "segment",
        OBEYS,
    ),
    Fault("as-deep-as-python-goes", "constant", FILES, "DEEPEST = 64", "DEEPEST = 1000", NESTED),
    Fault(
        "a-folder-in-a-files-place",
        "forgotten",
        RESUME,
        "    _require_kinds(run)",
        "    own(run)",
        (X + "test_what_is_of_another_kind_is_one_line",),
    ),
    Fault(
        "a-number-that-fills-its-name",
        "constant",
        DIRECTORY,
        "{1,18}",
        "+",
        (X + "test_a_runs_number_leaves_room_for_the_next",),
    ),
    Fault("a-part-that-is-a-link", "condition", FILES, "        if path.is_symlink():", "        if False:", LINKS),
    Fault(
        "a-pipe-is-opened",
        "condition",
        FILES,
        "if not stat.S_ISREG(about.st_mode):",
        "if stat.S_ISDIR(about.st_mode):",
        SPECIAL,
    ),
    Fault("a-file-of-any-size", "condition", FILES, "if about.st_size > most:", "if about.st_size > 2**62:", SPECIAL),
    Fault(
        "labels-that-nobody-promised",
        "forgotten",
        GENERATOR,
        "takes != wanted or (latent_dim",
        "(latent_dim,) not in takes or (latent_dim",
        ("tests/test_strange_networks.py::test_a_generator_takes_labels_where_its_run_has_classes_and_only_there",),
    ),
    Fault(
        "grids-of-any-size",
        "condition",
        GRIDS,
        "if picture.width * picture.height > MOST_PIXELS:",
        "if picture.width < 0:",
        SIZED,
    ),
    Fault(
        "a-grid-of-no-picture",
        "condition",
        GRIDS,
        "if grid.shape[0] < height",
        "if grid.shape[0] < 0 * height",
        SIZED,
    ),
]
