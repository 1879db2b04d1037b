"""Faults in plugins, options and settings, in the architectures that come in the box, and in the Python API."""

from __future__ import annotations

from tests.mutants.fault import Fault

CONVOLUTIONS, PLUGINS, OPTIONS, CONFIG = (
    f"ganforge/{name}.py"
    for name in ("plugin/conv_arithmetic", "plugin/registry", "plugin/options", "training/config")
)
API, TYPES, SETUP = "ganforge/api.py", "ganforge/plugin/types.py", "ganforge/training/setup.py"
DCGAN, FCGAN = "plugins/ganforge_dcgan/__init__.py", "plugins/ganforge_fcgan/__init__.py"
SUMMARY, FINDINGS = "ganforge/study/summary.py", "ganforge/study/findings.py"
A, P, R = "tests/test_architectures.py::", "tests/test_plugins.py::", "tests/test_report.py::"
SIZES = (A + "test_sizes_are_those_that_torch_gives",)
DENSE = (A + "test_fcgan_is_the_arithmetic_of_dense_layers",)
WIDTHS = (A + "test_dcgan_has_the_layers_it_promises",)
DRAWN = "tests/test_api.py::"
S = "tests/test_shapes.py::"
STOPPING, EARLY, CALLBACKS = (
    f"ganforge/{name}.py" for name in ("training/stopping", "training/early", "plugin/callbacks")
)
ENDS = "tests/test_stopping.py::test_"

FAULTS = [
    # ------------------------------------------------------------------ architectures
    Fault("convolutions-one-smaller", "off by one", CONVOLUTIONS, "// stride + 1", "// stride", SIZES),
    Fault(
        "padding-that-widens",
        "sign",
        CONVOLUTIONS,
        "* stride - 2 * padding + kernel",
        "* stride + 2 * padding + kernel",
        SIZES,
    ),
    Fault(
        "padding-on-one-side", "factor", CONVOLUTIONS, "size + 2 * padding - kernel", "size + padding - kernel", SIZES
    ),
    Fault(
        "strides-added-up",
        "factor",
        CONVOLUTIONS,
        "sides(image_size), stride**layers",
        "sides(image_size), stride * layers",
        SIZES,
    ),
    Fault(
        "all-the-padding-on-each-side",
        "factor",
        CONVOLUTIONS,
        "kernel, (kernel - stride) // 2",
        "kernel, (kernel - stride)",
        SIZES,
    ),
    Fault(
        "sizes-with-the-height-first",
        "order",
        "ganforge/plugin/sizes.py",
        "return height if width == height else (height, width)",
        "return height if width == height else (width, height)",
        (S + "test_a_size_is_a_side_or_width_before_height",),
    ),
    Fault(
        "first-maps-as-large-as-they-come",
        "condition",
        "plugins/ganforge_r3gan/__init__.py",
        "[-1]) <= LARGEST_FIRST**2",
        "[-1]) <= 1024**2",
        (S + "test_architectures_make_the_shape_that_is_asked_for_or_name_one_that_they_make",),
    ),
    Fault(
        "widest-at-the-picture",
        "order",
        DCGAN,
        "options.layers, possible)[::-1]",
        "options.layers, possible)",
        WIDTHS,
    ),
    Fault(
        "a-bias-under-each-norm",
        "condition",
        DCGAN,
        '"use_bias": last or not options.batch_norm',
        '"use_bias": True',
        WIDTHS,
    ),
    Fault(
        "the-discriminator-stays-narrow",
        "factor",
        DCGAN,
        "[width * min(MOST, 2**n)",
        "[width * min(MOST, 1)",
        WIDTHS,
    ),
    Fault(
        "a-depth-too-few",
        "off by one",
        DCGAN,
        "max(1, min(deepest, possible))",
        "max(1, min(deepest, possible - 1))",
        (A + "test_dcgan_is_as_deep_as_its_pictures_are_large",),
    ),
    Fault(
        "as-shallow-for-large-pictures",
        "condition",
        DCGAN,
        "max(3, (size // START).bit_length() - 1)",
        "3",
        (A + "test_dcgan_is_as_deep_as_its_pictures_are_large",),
    ),
    Fault(
        "no-most-for-widths",
        "factor",
        DCGAN,
        "min(MOST, 2**n)",
        "2**n",
        (A + "test_dcgan_is_as_deep_as_its_pictures_are_large",),
    ),
    Fault(
        "a-depth-that-is-asked-for-is-resized",
        "condition",
        DCGAN,
        "options.upsample is None and options.layers == 0",
        "options.upsample is None",
        (A + "test_a_depth_that_is_asked_for_is_of_transposed_convolutions",),
    ),
    Fault(
        "the-class-counts-the-other-way",
        "sign",
        DCGAN,
        'layers.Add(dtype="float32")([plain.output, fitting])',
        'layers.Subtract(dtype="float32")([plain.output, fitting])',
        (A + "test_a_class_adds_its_projection_to_the_verdict",),
    ),
    Fault(
        "no-leak-below-zero",
        "factor",
        FCGAN,
        "x = layers.LeakyReLU(options.slope)(layers.Dense(units)(x))\n        if options.dropout:",
        "x = layers.ReLU()(layers.Dense(units)(x))\n        if options.dropout:",
        DENSE,
    ),
    Fault("pictures-from-zero", "tensor", FCGAN, 'activation="tanh"', 'activation="sigmoid"', DENSE),
    Fault(
        "normalized-by-another-constant",
        "factor",
        FCGAN,
        "layers.BatchNormalization(momentum=0.8)",
        "layers.BatchNormalization(momentum=0.8, epsilon=0.1)",
        DENSE,
    ),
    # ------------------------------------------------------------------ plugins, options, settings
    Fault(
        "hooks-get-arguments-by-place",
        "order",
        "ganforge/plugin/calling.py",
        "function(**{name: value for name, value in given.items() if name in names})",
        "function(*(given[name] for name in sorted(names)))",
        (P + "test_a_hook_is_called_with_the_arguments_it_names",),
    ),
    Fault(
        "the-second-claim-wins",
        "condition",
        PLUGINS,
        "if len(found) == 1:\n            return found[0]",
        "if found:\n            return found[-1]",
        (P + "test_two_packages_claiming_one_name_are_both_named",),
    ),
    Fault(
        "half-a-plugin-is-registered",
        "order",
        PLUGINS,
        "            new.append(Entry(kind, name, value, package, version, plugin, digest, api))",
        "            new.append(Entry(kind, name, value, package, version, plugin, digest, api))\n"
        "            registry.entries[kind].setdefault(name, []).append(new.pop())",
        (P + "test_a_plugin_that_fails_halfway_registers_nothing",),
    ),
    Fault(
        "newer-hooks-are-spoken",
        "off by one",
        "ganforge/plugin/validation.py",
        "if made_for > HOOK_API_VERSION:",
        "if made_for > HOOK_API_VERSION + 1:",
        ("tests/test_plugin_commands.py::test_a_plugin_made_for_other_hooks_is_one_line",),
    ),
    Fault(
        "a-floor-told-as-a-ceiling",
        "tensor",
        OPTIONS,
        '{"ge": "from", "gt": "above", "le": "to", "lt": "below"}',
        '{"le": "from", "gt": "above", "ge": "to", "lt": "below"}',
        ("tests/test_plugin_commands.py::test_plugins_json_has_types_bounds_defaults_and_help",),
    ),
    Fault(
        "the-last-of-two-values-wins",
        "forgotten",
        OPTIONS,
        "if key in values:",
        "if key in ():",
        ("tests/test_hostile.py::test_an_option_given_twice_is_one_line",),
    ),
    Fault(
        "progress-ends-early",
        "off by one",
        TYPES,
        "self.step / (self.steps - 1)",
        "self.step / self.steps",
        ("tests/test_auto.py::test_both_rates_fall_to_nothing_at_the_end_and_keep_their_ratio",),
    ),
    Fault(
        "an-epoch-late",
        "off by one",
        SETUP,
        "Progress(step, self.steps, step // self.steps_per_epoch,",
        "Progress(step, self.steps, (step + 1) // self.steps_per_epoch,",
        ("tests/test_faults.py::test_a_run_logs_its_first_and_last_step_and_shows_its_last_epoch",),
    ),
    # ------------------------------------------------------------------ the Python API
    Fault(
        "a-walk-that-does-not-return",
        "tensor",
        API,
        "[ends, ends[:1]]",
        "[ends, ends[-1:]]",
        (DRAWN + "test_a_walk_passes_its_stations_and_ends_where_it_began",),
    ),
    Fault(
        "a-walk-at-the-wrong-pace",
        "factor",
        API,
        "frame * stations / frames",
        "frame / frames",
        (DRAWN + "test_a_walk_passes_its_stations_and_ends_where_it_began",),
    ),
    Fault(
        "one-latent-in-64-is-lost",
        "off by one",
        API,
        "(x[i : i + BLOCK] for x in inputs)",
        "(x[i : i + BLOCK - 1] for x in inputs)",
        (DRAWN + "test_pictures_are_those_of_their_latents_however_many",),
    ),
    Fault(
        "classes-go-on-from-frame-to-frame",
        "forgotten",
        "ganforge/media/latents.py",
        "np.arange(n) % (period or n) % len(classes)",
        "np.arange(n) % len(classes)",
        (DRAWN + "test_classes_take_turns_and_begin_again_with_each_frame",),
    ),
    Fault(
        "samples-of-seed-0",
        "constant",
        API,
        'return truncated(fixed_latents(n, latent_dim, seed, "samples"), truncation)',
        'return truncated(fixed_latents(n, latent_dim, 0, "samples"), truncation)',
        (DRAWN + "test_another_seed_draws_other_pictures",),
    ),
    # ------------------------------------------------------------------ what a study says
    Fault(
        "change-relative-to-what-came-after",
        "tensor",
        FINDINGS,
        "max(abs(before.mean(column)), 1e-9)",
        "max(abs(after.mean(column)), 1e-9)",
        (R + "test_a_scale_is_told_step_by_step_with_its_numbers",),
    ),
    Fault(
        "a-rise-called-a-fall",
        "sign",
        FINDINGS,
        "(after.mean(column) - before.mean(column))",
        "(before.mean(column) - after.mean(column))",
        (R + "test_a_scale_is_told_step_by_step_with_its_numbers",),
    ),
    Fault(
        "overlap-of-the-seeds-ignored",
        "condition",
        FINDINGS,
        "return None if abs(change) < SAME or overlap else change",
        "return None if abs(change) < SAME else change",
        (R + "test_a_difference_within_the_seeds_is_called_none",),
    ),
    Fault(
        "the-worst-ranked-first",
        "sign",
        FINDINGS,
        'reverse=column.better == "high"',
        'reverse=column.better == "low"',
        (R + "test_no_balancing_is_where_a_scale_starts_and_other_strategies_are_ranked",),
    ),
    Fault(
        "the-worst-called-best",
        "sign",
        SUMMARY,
        'return min(values) if column.better == "low"',
        'return max(values) if column.better == "low"',
        (R + "test_the_best_of_a_column_is_its_smallest_or_its_largest",),
    ),
    # ------------------------------------------------------------------ ending early, callbacks
    Fault(
        "one-grid-too-patient",
        "off by one",
        STOPPING,
        "since >= self.patience",
        "since > self.patience",
        (ENDS + "a_rule_ends_a_run_where_it_says",),
    ),
    Fault(
        "what-is-better-is-worse",
        "sign",
        STOPPING,
        "best = (max if self.rising else min)(known)",
        "best = (min if self.rising else max)(known)",
        (ENDS + "a_rule_ends_a_run_where_it_says",),
    ),
    Fault(
        "the-last-grids-line-counts-again",
        "off by one",
        EARLY,
        "if step > self._looked",
        "if step >= self._looked",
        (ENDS + "what_is_looked_at_is_what_was_logged_since_the_last_grid",),
    ),
    Fault(
        "what-the-checkpoint-stands-for-is-looked-at-again",
        "off by one",
        EARLY,
        'record["seen"] if one["step"] <= step]',
        'record["seen"] if one["step"] < step]',
        (ENDS + "a_killed_run_ends_where_the_whole_one_did",),
    ),
    Fault(
        "callbacks-count-epochs-from-1",
        "off by one",
        CALLBACKS,
        '"on_epoch_end", epoch.epoch - 1',
        '"on_epoch_end", epoch.epoch',
        ("tests/test_callbacks.py::test_a_callback_is_called_in_the_order_in_which_keras_fits",),
    ),
]
