"""Faults in what a study measures and in what a diagnosis says."""

from __future__ import annotations

from tests.mutants.fault import Fault

SWD, KID, MEMORISING, SPREAD, GAP, COST, CRITTERS, SIDES, TONE = (
    f"ganforge/metrics/{name}.py"
    for name in ("swd", "kid", "memorising", "diversity", "balance", "cost", "critters", "sides", "tone")
)
FEATURES = "ganforge/metrics/features.py"
DIAGNOSE, EVIDENCE = "ganforge/diagnosis/rules.py", "ganforge/diagnosis/evidence.py"
FRECHET, PRDC, IMAGENET = (f"ganforge/metrics/{name}.py" for name in ("frechet", "prdc", "imagenet"))
KEPT, BY_NETWORK = "ganforge/data/kept.py", "tests/test_imagenet.py::"
FD = (BY_NETWORK + "test_the_frechet_distance_is_that_of_the_moments",)
BALLS = (BY_NETWORK + "test_precision_recall_density_and_coverage_are_their_definitions",)
SEEN = (BY_NETWORK + "test_features_are_those_of_the_package_on_pictures_resized_by_pillow",)
ONCE = (BY_NETWORK + "test_what_was_computed_is_kept_for_the_same_pictures_and_computation",)
AGAINST = (BY_NETWORK + "test_evaluate_compares_with_training_or_held_out_pictures_and_says_which",)
T, D = "tests/test_metrics.py::", "tests/test_diagnose.py::"
OWN_SWD = (T + "test_swd_equals_an_implementation_of_its_own",)
ERROR = (T + "test_the_error_is_how_far_the_estimate_scatters",)
BRUTE = (T + "test_nearest_equals_brute_force",)
TONES = (T + "test_tone_sees_what_swd_is_blind_to",)
EDGE = (D + "test_a_rule_speaks_on_one_side_of_its_threshold_alone",)

PARTS = ("tests/test_shards.py::test_what_is_measured_reads_a_large_set_in_parts",)

FAULTS = [
    Fault(
        "a-part-in-the-place-of-the-first",
        "order",
        MEMORISING,
        "small[start : start + BLOCK] =",
        "small[: len(part)] =",
        PARTS,
    ),
    Fault(
        "a-set-is-read-whole",
        "forgotten",
        "ganforge/study/evaluate.py",
        'restore them")\n    return images.array',
        'restore them")\n    return np.asarray(images.array)',
        PARTS,
    ),
    Fault(
        "unseen-colours-count",
        "forgotten",
        "ganforge/metrics/transparency.py",
        "seen[..., 3:] / 255",
        "1",
        ("tests/test_shapes.py::test_what_nobody_sees_counts_nowhere",),
    ),
    # ------------------------------------------------------------------ sliced Wasserstein distance
    Fault(
        "directions-of-any-length",
        "forgotten",
        SWD,
        "directions /= np.linalg.norm(directions, axis=0)",
        "directions /= 1.0",
        (T + "test_a_shifted_cloud_is_as_far_as_its_shift_projects",),
    ),
    Fault(
        "distances-that-cancel",
        "sign",
        SWD,
        "np.abs(ordered[0] - ordered[1]).mean(0)",
        "np.abs((ordered[0] - ordered[1]).mean(0))",
        OWN_SWD,
    ),
    Fault(
        "projections-of-one-side-sorted",
        "tensor",
        SWD,
        "[np.sort(cloud @ part, axis=0) for cloud in (a, b)]",
        "[np.sort(a @ part, axis=0), b @ part]",
        (T + "test_a_shifted_cloud_is_as_far_as_its_shift_projects",),
    ),
    Fault(
        "blurred-up-at-half-the-gain",
        "factor",
        SWD,
        "return _blur(wide, 2.0)",
        "return _blur(wide, 1.0)",
        (T + "test_the_pyramid_adds_up_and_blurs_as_scipy_does", *OWN_SWD),
    ),
    Fault(
        "levels-that-keep-what-lies-below",
        "forgotten",
        SWD,
        "levels.append(current - up(below))",
        "levels.append(current)",
        (T + "test_the_pyramid_adds_up_and_blurs_as_scipy_does",),
    ),
    Fault(
        "one-mean-for-all-channels",
        "tensor",
        SWD,
        "patches.mean((0, 1, 2), dtype=float)",
        "patches.mean(dtype=float)",
        OWN_SWD,
    ),
    # ------------------------------------------------------------------ kernel distance
    Fault(
        "a-kernel-of-the-second-degree",
        "constant",
        KID,
        "kernel = kernel**3",
        "kernel = kernel**2",
        (T + "test_mmd_equals_the_double_sum_and_the_reference_library",),
    ),
    Fault(
        "within-over-all-pairs",
        "off by one",
        KID,
        "within = self.rows[0].sum() / (n * (n - 1))",
        "within = self.rows[0].sum() / (n * n)",
        (T + "test_mmd_equals_the_double_sum_and_the_reference_library",),
    ),
    Fault(
        "across-counted-once",
        "factor",
        KID,
        "within - 2.0 * self.across[0].sum()",
        "within - self.across[0].sum()",
        (T + "test_mmd_equals_the_double_sum_and_the_reference_library",),
    ),
    Fault(
        "features-by-the-fakes-deviation",
        "tensor",
        KID,
        "real.mean(0, dtype=float), real.std(0, dtype=float)",
        "real.mean(0, dtype=float), fake.std(0, dtype=float)",
        (T + "test_kid_normalises_by_the_real_side_and_cuts_off_at_five_deviations",),
    ),
    Fault(
        "an-error-of-one-side",
        "factor",
        KID,
        "both = 2 * aa / (n * (n - 1)) + 2 * bb / (m * (m - 1))",
        "both = 2 * aa / (n * (n - 1))",
        ERROR,
    ),
    Fault(
        "an-error-squared",
        "factor",
        KID,
        "float(np.sqrt(max(alone + both, both / 2, 0.0)))",
        "float(max(alone + both, both / 2, 0.0))",
        ERROR,
    ),
    # ------------------------------------------------------------------ tone, copies, spread
    Fault(
        "brighter-called-darker",
        "sign",
        TONE,
        "fake_mean - mean, fake_deviation",
        "mean - fake_mean, fake_deviation",
        TONES,
    ),
    Fault(
        "contrast-without-its-root",
        "factor",
        TONE,
        "return mean, np.sqrt((shares",
        "return mean, np.abs((shares",
        TONES,
    ),
    Fault(
        "a-cast-that-brightens",
        "forgotten",
        TONE,
        "[float(shift) - brightness for shift in means]",
        "[float(shift) for shift in means]",
        TONES,
    ),
    Fault(
        "mirrored-copies-missed",
        "tensor",
        MEMORISING,
        "for way in (part, part[:, :, ::-1])]",
        "for way in (part, part)]",
        (T + "test_mirrored_copies_are_copies",),
    ),
    Fault(
        "copies-upside-down",
        "tensor",
        MEMORISING,
        "for way in (part, part[:, :, ::-1])]",
        "for way in (part, part[:, ::-1])]",
        (T + "test_mirrored_copies_are_copies",),
    ),
    Fault(
        "a-neighbourhood-with-the-nearest", "off by one", MEMORISING, "close[:, 1:].mean(1)", "close.mean(1)", BRUTE
    ),
    Fault(
        "the-copy-itself-counts",
        "forgotten",
        MEMORISING,
        "itself[start : start + 512]] = np.inf",
        "itself[start : start + 512]] += 0",
        BRUTE,
    ),
    Fault(
        "copies-in-the-first-pictures-alone",
        "tensor",
        MEMORISING,
        "real = nearest(training[own], training, own)[1]",
        "real = nearest(training[: len(own)], training, np.arange(len(own)))[1]",
        (T + "test_the_share_among_training_pictures_is_that_of_all_of_them",),
    ),
    Fault(
        "a-floor-of-the-pictures-of-the-score",
        "tensor",
        SIDES,
        "training[order[size : 2 * size]]",
        "training[order[:size]]",
        (T + "test_a_score_and_its_floor_are_taken_from_equally_many_pictures_and_no_picture_twice",),
    ),
    Fault(
        "a-floor-of-fewer-pictures",
        "factor",
        SIDES,
        "training[order[size : 2 * size]]",
        "training[order[size : size + size // 2]]",
        (T + "test_a_score_and_its_floor_are_taken_from_equally_many_pictures_and_no_picture_twice",),
    ),
    Fault(
        "a-spread-with-itself",
        "forgotten",
        SPREAD,
        "np.fill_diagonal(distances, np.inf)",
        "np.fill_diagonal(distances, 0.0)",
        (T + "test_spread_equals_brute_force",),
    ),
    Fault(
        "pairs-counted-with-themselves",
        "off by one",
        SPREAD,
        "np.triu_indices(len(flat), 1)",
        "np.triu_indices(len(flat), 0)",
        (T + "test_spread_equals_brute_force",),
    ),
    # ------------------------------------------------------------------ balance, cost, modes
    Fault(
        "the-gap-of-the-first-half",
        "tensor",
        GAP,
        "name, len(lines) - len(lines) // 2)",
        "name, len(lines))",
        (T + "test_gap_of_known_curves",),
    ),
    Fault(
        "the-gap-the-other-way",
        "sign",
        GAP,
        'values["d_real"] - values["d_fake"]',
        'values["d_fake"] - values["d_real"]',
        (T + "test_gap_of_known_curves",),
    ),
    Fault(
        "balanced-on-the-line-is-not",
        "off by one",
        GAP,
        "(known <= BALANCED[1])",
        "(known < BALANCED[1])",
        (T + "test_gap_of_known_curves",),
    ),
    Fault(
        "a-multiplication-without-its-addition",
        "factor",
        COST,
        "total += 2 * shape[-1] * math.prod(gives)",
        "total += shape[-1] * math.prod(gives)",
        (T + "test_flops_by_hand",),
    ),
    Fault(
        "transposed-at-what-it-gives",
        "tensor",
        COST,
        '(gives if kind == "Conv2D" else shape)',
        '(shape if kind == "Conv2D" else gives)',
        (T + "test_flops_by_hand",),
    ),
    Fault(
        "half-of-the-modes-chance",
        "factor",
        CRITTERS,
        "np.full(2 * others, 0.25 / others)",
        "np.full(2 * others, 0.5 / others)",
        (T + "test_coverage_counts_the_modes_that_are_there",),
    ),
    Fault(
        "clear-where-it-is-not",
        "sign",
        CRITTERS,
        "order[:, 0] < RATIO * order[:, 1]",
        "order[:, 0] > RATIO * order[:, 1]",
        (T + "test_no_mode_is_seen_in_noise_smears_and_mixtures",),
    ),
    # ------------------------------------------------------------------ by an ImageNet network
    Fault("biased-covariance", "off by one", FRECHET, "np.sqrt(len(x) - 1)", "np.sqrt(len(x))", FD),
    Fault("moments-about-nothing", "forgotten", FRECHET, "np.linalg.qr(x - mean,", "np.linalg.qr(x,", FD),
    Fault("one-root-for-two", "factor", FRECHET, "traces - 2.0 * cross", "traces - cross", FD),
    Fault("distance-of-means-unsquared", "tensor", FRECHET, "((mean_a - mean_b) ** 2)", "(mean_a - mean_b)", FD),
    Fault("the-neighbour-before", "off by one", PRDC, "axis=1)[:, k]", "axis=1)[:, k - 1]", BALLS),
    Fault("recall-by-the-real-balls", "tensor", PRDC, "(distances < radii_b).any(1)", "inside.any(1)", BALLS),
    Fault("density-without-k", "factor", PRDC, "balls.mean() / k", "balls.mean()", BALLS),
    Fault(
        "balls-of-the-last-rows-alone", "forgotten", PRDC, "balls += inside.sum(0)", "balls = inside.sum(0)", BALLS
    ),
    Fault(
        "other-points-at-0",
        "off by one",
        PRDC,
        "start + np.arange(len(distances))]",
        "np.arange(len(distances))]",
        BALLS,
    ),
    Fault("pictures-from-minus-one", "factor", IMAGENET, "(x - 127.0) / 128.0", "(x - 127.0) / 64.0", SEEN),
    Fault("bilinear", "constant", IMAGENET, 'mode="bicubic"', 'mode="bilinear"', SEEN),
    Fault("aliased", "forgotten", IMAGENET, "antialias=True", "antialias=False", SEEN),
    Fault("overshoot-kept", "forgotten", IMAGENET, ".clamp(0, 255)", "", SEEN),
    Fault("statistics-of-the-batch", "forgotten", IMAGENET, "network.eval()", "network.train()", SEEN),
    Fault(
        "floor-of-the-fakes",
        "tensor",
        IMAGENET,
        "frechet_distance(real, other)",
        "frechet_distance(fake, other)",
        AGAINST,
    ),
    Fault("kept-whatever-the-pixels", "forgotten", KEPT, "    key.update(pixels.data)\n", "", ONCE),
    Fault(
        "kept-whatever-computed", "forgotten", KEPT, "{what}-{key.hexdigest()[:32]}", "{key.hexdigest()[:32]}", ONCE
    ),
    Fault(
        "held-out-on-the-other-side",
        "order",
        SIDES,
        "Sides(held_out[chosen], training[order[:size]],",
        "Sides(training[order[:size]], held_out[chosen],",
        AGAINST,
    ),
    # ------------------------------------------------------------------ diagnoses
    Fault(
        "sure-of-either",
        "condition",
        DIAGNOSE,
        "(real > SURE_REAL and fake < SURE_FAKE)",
        "(real > SURE_REAL or fake < SURE_FAKE)",
        EDGE,
    ),
    Fault("fooled-by-more-than-the-rest", "sign", DIAGNOSE, "fake > 1 - FOOLED", "fake > 1 + FOOLED", EDGE),
    Fault(
        "blind-in-one-direction", "sign", DIAGNOSE, "abs(real - fake) < BLIND_GAP", "real - fake < BLIND_GAP", EDGE
    ),
    Fault(
        "the-whole-run-is-recent",
        "factor",
        EVIDENCE,
        "math.ceil(len(self.lines) * WINDOW)",
        "len(self.lines)",
        (D + "test_rules_look_at_the_last_quarter",),
    ),
    Fault(
        "growth-from-nothing",
        "condition",
        DIAGNOSE,
        "now > EXPLODING and now > GROWTH",
        "now > EXPLODING or now > GROWTH",
        (D + "test_a_loss_runs_away_when_it_is_large_and_has_grown_or_is_huge",),
    ),
]
