"""Faults in studies elsewhere, in searches, and in tables over the seeds."""

from __future__ import annotations

from tests.mutants.fault import Fault

SEARCH, SPACE, SEARCHING = (f"ganforge/study/{name}.py" for name in ("search", "space", "searching"))
MATTERED, RUNNER = "ganforge/study/mattered.py", "ganforge/study/runner.py"
FILES, RAY, SLURM = (f"ganforge/study/executors/{name}.py" for name in ("files", "ray", "slurm"))
C, S = "tests/test_cluster.py::", "tests/test_search.py::"
SENT = (C + "test_of_a_run_what_changed_is_sent_and_what_was_pruned_is_removed",)
ON_RAY = (C + "test_a_study_on_ray_loses_a_machine_and_no_bit",)

MEDIANS, ROWS = "ganforge/study/medians.py", "ganforge/study/rows.py"
M = "tests/test_medians.py::"
OVER_SEEDS = (M + "test_medians_and_ranges_are_those_of_the_seeds",)
BESIDE = (M + "test_a_row_stands_beside_every_run_without_balance",)

FAULTS = [
    Fault("the-mean-for-the-median", "formula", MEDIANS, "statistics.median(", "statistics.mean(", OVER_SEEDS),
    Fault(
        "a-range-from-the-first-to-the-last",
        "order",
        MEDIANS,
        "(min(self.values), max(self.values))",
        "(self.values[0], self.values[-1])",
        OVER_SEEDS,
    ),
    Fault(
        "more-is-always-better",
        "sign",
        MEDIANS,
        'max(medians) if cell.column.better == "high" else min(medians)',
        "max(medians)",
        (M + "test_a_low_kl_is_the_best_and_ways_that_differ_in_more_are_told_apart",),
    ),
    Fault(
        "the-only-one-is-the-best",
        "condition",
        MEDIANS,
        "return len(medians) > 1 and cell",
        "return cell",
        OVER_SEEDS,
    ),
    Fault(
        "a-row-has-the-seeds-of-all",
        "tensor",
        MEDIANS,
        "[data] = len(group.runs)",
        "[data] = len(summaries)",
        OVER_SEEDS,
    ),
    Fault(
        "an-added-row-has-one-seed",
        "tensor",
        ROWS,
        "values = {**entry.settings,",
        "values = {**plain[0].settings,",
        BESIDE,
    ),
    Fault("a-row-beside-runs-with-a-loss", "condition", ROWS, "return not named and [", "return [", BESIDE),
    Fault(
        "one-word-is-enough",
        "condition",
        ROWS,
        "return any(all(re.search(",
        "return any(any(re.search(",
        (M + "test_some_runs_are_chosen_by_words_of_their_names",),
    ),
    Fault(
        "a-number-goes-on",
        "condition",
        ROWS,
        'r"(?!\\.?\\d)" if word',
        '"" if word',
        (M + "test_some_runs_are_chosen_by_words_of_their_names",),
    ),
    Fault(
        "an-added-row-has-no-neighbour",
        "forgotten",
        ROWS,
        ", beside=entry.name)",
        ")",
        (M + "test_an_added_row_stays_beside_the_run_that_is_chosen_and_can_be_chosen_alone",),
    ),
    Fault(
        "every-trial-draws-the-same",
        "forgotten",
        SEARCH,
        "[options.seed, number]",
        "[options.seed]",
        (S + "test_what_is_drawn_lies_in_the_space_and_follows_its_scale",),
    ),
    Fault(
        "the-others-direction",
        "sign",
        SEARCH,
        "MINIMIZE if search.falling",
        "MINIMIZE if not search.falling",
        (S + "test_a_trial_ends_where_its_best_is_worse_than_the_median",),
    ),
    Fault(
        "only-the-better-half-of-modes",
        "order",
        MATTERED,
        'min if record.get("falling") else max',
        'max if record.get("falling") else min',
        (S + "test_trials_are_ordinary_runs_and_the_study_goes_on",),
    ),
    Fault(
        "another-search-keeps-old-trials",
        "condition",
        SEARCHING,
        'if known.get("asked") == found.asked:',
        'if known.get("asked"):',
        (S + "test_trials_are_ordinary_runs_and_the_study_goes_on",),
    ),
    Fault(
        "what-was-pruned-is-trained-again",
        "forgotten",
        RUNNER,
        'ENDED = ("done", "pruned")',
        'ENDED = ("done",)',
        (S + "test_a_trial_that_is_worse_is_told_to_save_and_end",),
    ),
    Fault(
        "what-was-pruned-stays",
        "forgotten",
        FILES,
        "                path.unlink()\n",
        "                pass\n",
        SENT,
    ),
    Fault("all-is-sent-each-time", "forgotten", FILES, "self.known[name] = stamp", "stamp = stamp", SENT),
    Fault(
        "a-run-that-lost-its-machine-begins-anew",
        "forgotten",
        RAY,
        'self._task["run"] = str(self._run) if self._run else None',
        "pass",
        ON_RAY,
    ),
    Fault(
        "a-job-that-was-preempted-begins-anew",
        "forgotten",
        SLURM,
        'begun[-1] if begun else self.task["run"]',
        'self.task["run"]',
        (C + "test_a_preempted_job_is_queued_again_and_loses_no_bit",),
    ),
]
