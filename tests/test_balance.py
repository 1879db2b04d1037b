"""What strategies plan, on the host: schedules, the controller and shared scalars against their closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ganforge.balance.auto import Auto
from ganforge.balance.generator_steps import GeneratorSteps
from ganforge.balance.label_noise import LabelNoise
from ganforge.balance.lecam import LeCam
from ganforge.balance.lr_decay import LRDecay
from ganforge.balance.noise_anneal import NoiseAnneal
from ganforge.balance.r1 import R1
from ganforge.balance.r2 import R2
from ganforge.balance.schedules import anneal
from ganforge.balance.stronger_discriminator import StrongerDiscriminator
from ganforge.balance.unequal_lr import UnequalLR
from ganforge.engine.plan import Planner
from ganforge.engine.randomness import fixed_latents, step_key
from ganforge.errors import UsageError
from ganforge.plugin.options import make_options
from ganforge.plugin.types import Progress, RunConfig

pytestmark = pytest.mark.quick

FRACTIONS = [0.0, 0.05, 0.2, 0.25, 1 / 3, 0.5, 0.7, 0.875, 0.95, 0.999]


def at(fraction, steps=100_001):
    return Progress(round(fraction * (steps - 1)), steps, 0, 1)


def config(loss="bce", soft_labels=True, compares=False, **discriminator):
    return RunConfig("dcgan", (64, 64, 3), 100, 64, 1, 5e-4, {}, discriminator, loss, {}, soft_labels, compares)


# ------------------------------------------------------------------ schedules


@pytest.mark.parametrize(("start", "end"), [(0.4, 0.1), (0.1, 0.4), (1.0, 0.0), (0.3, 0.3)])
@pytest.mark.parametrize("hold", [0.0, 0.2, 0.9])
def test_schedules_are_their_closed_forms(start, end, hold):
    for fraction in FRACTIONS:
        t = max(0.0, fraction - hold) / (1 - hold)
        assert anneal(fraction, start, end, "linear", hold) == pytest.approx((1 - t) * start + t * end)
        half = math.cos(math.pi * t / 2) ** 2  # (1 + cos πt) / 2
        assert anneal(fraction, start, end, "cosine", hold) == pytest.approx(half * start + (1 - half) * end)
        last = max(end, start / 100)
        logarithm = (1 - t) * math.log(start) + t * math.log(last)
        assert anneal(fraction, start, end, "exponential", hold) == pytest.approx(math.exp(logarithm))


@pytest.mark.parametrize("schedule", ["linear", "cosine", "exponential"])
def test_schedules_start_at_their_start_and_end_at_their_end(schedule):
    for start, end in ((0.4, 0.1), (0.1, 0.4), (0.4, 0.0), (0.0, 0.4)):
        assert [anneal(f, start, end, schedule) for f in (0.0, 1.0)] == pytest.approx([start, end])
        held = [anneal(f, start, end, schedule, 0.5) for f in (0.0, 0.3, 0.5, 1.0)]
        assert held == pytest.approx([start, start, start, end])
    assert anneal(0.0, 0.4, 0.1) == 0.4
    assert anneal(0.25, 0.4, 0.0) == pytest.approx(0.3), "linear unless another is asked for"
    # A quarter of the way: a cosine is still near its start, an exponential has left it fastest.
    values = [anneal(0.25, 1.0, 0.01, name) for name in ("cosine", "linear", "exponential")]
    assert values == sorted(values, reverse=True)


def test_noise_anneal_plans_its_schedule():
    plan = NoiseAnneal(NoiseAnneal.Options(start=0.4, end=0.1, schedule="cosine", hold=0.2)).plan_step
    assert plan(at(0.1)) == {"sigma": 0.4}
    assert plan(at(0.6)) == {"sigma": pytest.approx(0.25)}
    assert plan(at(0.4)) == {"sigma": pytest.approx(0.1 + 0.3 * (2 + math.sqrt(2)) / 4)}
    assert plan(at(1.0)) == {"sigma": 0.1}


def test_label_noise_fades_linearly_and_only_when_asked():
    options = LabelNoise.Options(flip=0.2, smooth=0.1, fade=True)
    assert LabelNoise(options).plan_step(at(0.25)) == pytest.approx({"flip": 0.15, "smooth": 0.075})
    assert LabelNoise(options).plan_step(at(1.0)) == {"flip": 0.0, "smooth": 0.0}
    options = LabelNoise.Options(flip=0.2, smooth=0.1)
    assert LabelNoise(options).plan_step(at(0.25)) == {"flip": 0.2, "smooth": 0.1}


@pytest.mark.parametrize("penalty", [R1, R2])
def test_gamma_goes_to_its_end_in_a_straight_line_and_stays_where_none_is_given(penalty):
    plan = penalty(penalty.Options(gamma=4.0, end=1.0)).plan_step
    assert [plan(at(f))["gamma"] for f in (0.0, 0.25, 1.0)] == pytest.approx([4.0, 3.25, 1.0])
    assert [penalty(penalty.Options(gamma=4.0)).plan_step(at(f)) for f in (0.0, 1.0)] == [{"gamma": 4.0}] * 2
    assert penalty().plan_step(at(0.5)) == {"gamma": 1.0}
    assert penalty(penalty.Options(gamma=4.0, end=0.0)).plan_step(at(1.0)) == {"gamma": 0.0}


def test_weight_is_gamma_by_its_older_name():
    older, newer = (make_options("r1", R1.Options, {name: "0.7"}) for name in ("weight", "gamma"))
    assert older == newer
    # What run.json keeps of it, and takes back.
    assert older.model_dump() == {"gamma": 0.7, "end": 0.7, "every": 1}
    assert R1.Options(**older.model_dump()) == older
    assert R1.Options(weight=0.7, end=0.1).end == 0.1
    with pytest.raises(UsageError, match=r"r1: expected gamma or weight .*, not both$"):
        make_options("r1", R1.Options, {"gamma": "2", "weight": "3"})
    with pytest.raises(UsageError, match="-1"):
        make_options("r1", R1.Options, {"weight": "-1"})
    with pytest.raises(UsageError, match="no option 'weight'"):
        make_options("r2", R2.Options, {"weight": "3"})


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_rates_warm_up_hold_and_fall(schedule):
    steps, end, warmup, hold = 1000, 0.1, 0.1, 0.4
    decay = LRDecay(LRDecay.Options(schedule=schedule, end=end, warmup=warmup, hold=hold))
    for step in range(steps):
        t = max(0.0, step / (steps - 1) - hold) / (1 - hold)
        left = 1 - t if schedule == "linear" else math.cos(math.pi * t / 2) ** 2
        expected = min(1.0, (step + 1) / 100) * (end + (1 - end) * left)
        rate = pytest.approx(expected)
        assert decay.plan_step(Progress(step, steps, 0, 1)) == {"generator_lr": rate, "discriminator_lr": rate}
    # A warm-up never asks for no learning at all.
    assert decay.plan_step(Progress(0, steps, 0, 1))["generator_lr"] == pytest.approx(0.01)
    with pytest.raises(UsageError, match=r"warmup=0.6 ends after hold=0.5"):
        make_options("lr-decay", LRDecay.Options, {"warmup": "0.6"})


def test_lecam_begins_after_its_warm_up():
    plan = LeCam(LeCam.Options(weight=0.3, decay=0.9, warmup=0.1)).plan_step
    assert plan(at(0.1)) == {"weight": 0.0, "decay": 0.0}
    assert plan(at(0.101)) == {"weight": 0.3, "decay": 0.9}
    at_once = LeCam(LeCam.Options(warmup=0.0)).plan_step
    assert at_once(Progress(0, 10, 0, 1))["weight"] == 0.0, "nothing to go by yet"
    assert at_once(Progress(1, 10, 0, 1)) == {"weight": 0.3, "decay": 0.99}


# ------------------------------------------------------------------ shared scalars


def test_multipliers_multiply_and_reach_the_vector():
    first, second = UnequalLR(UnequalLR.Options(generator=3.0, discriminator=0.5)), UnequalLR()
    second.name, second.options = "again", UnequalLR.Options(generator=5.0)
    planner = Planner([first, R1(R1.Options(gamma=7.0)), second], 0.01)
    plan = planner.plan(at(0.5), {})
    assert plan.rates == pytest.approx({"generator_lr": 0.15, "discriminator_lr": 0.005})
    assert plan.counts == {"generator_steps": 1, "discriminator_steps": 1}
    assert planner.vector(plan).tolist() == pytest.approx([0.15, 0.005, 7.0])
    assert planner.vector(plan).dtype == np.float32
    assert planner.controls("r1", planner.vector(plan)) == {"gamma": 7.0}
    assert planner.controls("again", planner.vector(plan)) == {}


def test_each_strategy_sees_its_own_scalars_alone():
    planner = Planner([LabelNoise(LabelNoise.Options(flip=0.2, smooth=0.1)), R1(R1.Options(gamma=7.0))], 1.0)
    vector = planner.vector(planner.plan(at(0), {}))
    assert planner.controls("label-noise", vector) == pytest.approx({"flip": 0.2, "smooth": 0.1})
    assert planner.controls("r1", vector) == {"gamma": 7.0}


def test_step_counts_reach_the_plan():
    planner = Planner([GeneratorSteps(GeneratorSteps.Options(generator=3, discriminator=5))], 1.0)
    assert planner.plan(at(0), {}).counts == {"generator_steps": 3, "discriminator_steps": 5}
    # What is left at 1 stays free for another strategy.
    one = GeneratorSteps(GeneratorSteps.Options(generator=1, discriminator=5))
    other = GeneratorSteps(GeneratorSteps.Options(generator=2))
    other.name = "other"
    assert Planner([one, other], 1.0).plan(at(0), {}).counts == {"generator_steps": 2, "discriminator_steps": 5}


# ------------------------------------------------------------------ stronger-discriminator


def test_a_stronger_discriminator_is_wider_and_deeper_by_the_numbers():
    stronger = StrongerDiscriminator(StrongerDiscriminator.Options(width=1.5, depth=2))
    dense = config(discriminator_hidden=(512, 255))
    stronger.configure_run(dense)
    assert dense.discriminator_options == {"discriminator_hidden": (768, 768, 768, 382)}
    for layers, more in ((4, 6), (None, 5)):
        convolutions = config(discriminator_width=32, discriminator_layers=layers)
        stronger.configure_run(convolutions)
        assert convolutions.discriminator_options == {"discriminator_width": 48, "discriminator_layers": more}
        assert convolutions.generator_options == {}
    wider = config(discriminator_width=32, discriminator_layers=None)
    StrongerDiscriminator().configure_run(wider)
    assert wider.discriminator_options == {"discriminator_width": 64, "discriminator_layers": None}
    as_wide = config(width=24, discriminator_width=None)  # where nothing else is said, as wide as the generator
    StrongerDiscriminator().configure_run(as_wide)
    assert as_wide.discriminator_options == {"width": 24, "discriminator_width": 48}
    for untold in (config(width=24), config(discriminator_width=None)):
        with pytest.raises(UsageError, match="does not say how to make its discriminator stronger"):
            StrongerDiscriminator().configure_run(untold)


# ------------------------------------------------------------------ label-noise and a loss without soft labels


def test_smoothing_is_refused_where_a_loss_has_no_soft_labels():
    with pytest.raises(UsageError, match=r"'wasserstein'.*expected smooth=0, .*label-noise:flip=0.05,smooth=0$"):
        LabelNoise().configure_run(config("wasserstein", soft_labels=False))
    LabelNoise(LabelNoise.Options(smooth=0)).configure_run(config("wasserstein", soft_labels=False))
    LabelNoise().configure_run(config("bce"))
    # A loss that compares has pairs to flip and none to smooth, whatever it says of its labels.
    with pytest.raises(UsageError, match=r"'pairs'.*label-noise:flip=0.05,smooth=0$"):
        LabelNoise().configure_run(config("pairs", compares=True))
    LabelNoise(LabelNoise.Options(smooth=0)).configure_run(config("pairs", compares=True))


@pytest.mark.parametrize("loss", ["wasserstein", "relativistic"])
@pytest.mark.parametrize("fade", ["", ",fade=true"])
def test_smoothing_a_critic_is_one_line_before_anything_is_written(tmp_path, fade, loss):
    from ganforge import train

    tiny = {"data": "critters:count=32", "image_size": 16, "batch_size": 16, "epochs": 1, "runs_dir": tmp_path}
    small = "fcgan:hidden=8,discriminator_hidden=8"
    with pytest.raises(UsageError, match="cannot smooth labels") as refusal:
        train(small, loss=loss, balance=f"label-noise:smooth=0.2{fade}", **tiny)
    assert "\n" not in str(refusal.value)
    assert not list(tmp_path.glob("run_*"))
    train(small, loss=loss, balance="label-noise:smooth=0", **tiny)


# ------------------------------------------------------------------ auto


def controller(readings, steps, *, target=0.8, lag=200.0, start=0.25):
    """The help before each step: a running mean of the readings moves it, by the elapsed steps over ``lag``."""
    help_, mean, last, path = start, None, 0, []
    for step in range(steps):
        if step in readings:
            mean = readings[step] if mean is None else 0.75 * mean + 0.25 * readings[step]
            error = mean - target
            pace = 0.0 if abs(error) <= 0.02 else min(1.0, max(-1.0, error * 10))
            help_ = min(1.0, max(-1.0, help_ + min(0.1, max(-0.1, pace * (step - last) / lag))))
            last = step
        path.append(help_)
    return path


@pytest.mark.parametrize("every", [1, 7, 60])
@pytest.mark.parametrize(("target", "lag", "start"), [(0.8, 200.0, 0.25), (0.65, 40.0, -0.5)])
def test_auto_follows_its_law(every, target, lag, start):
    steps = 600
    random = np.random.default_rng(every)
    level = 0.75 + 0.25 * np.sin(np.arange(steps) / 50.0)
    readings = {s: float(np.clip(level[s] + random.normal(0, 0.05), 0, 1)) for s in range(every, steps, every)}
    auto = Auto(
        Auto.Options(
            target=target, lag=lag, start=start, noise=0.5, flip=0.2, rate=4.0, fade=0.25, cool=0.5, gamma=3.0
        )
    )
    expected = controller(readings, steps, target=target, lag=lag, start=start)
    seen: dict[str, float] = {}
    for step in range(steps):
        if step in readings:
            seen = {"d_accuracy": readings[step], "d_real": 0.5 + step / 1e6, "d_fake": 0.5, "step": step}
        plan = auto.plan_step(Progress(step, steps, 0, 1), seen)
        h, t = expected[step], step / (steps - 1)
        left, warm = min(1.0, (1 - t) / 0.25), min(1.0, (1 - t) / 0.5)
        ratio = 1 + 3 * -h if h < 0 else 1 / (1 + 3 * max(0.0, 2 * h - 1))
        assert plan == pytest.approx(
            {
                "sigma": 0.5 * max(0.0, h) * left,
                "flip": 0.2 * max(0.0, h) * left,
                "help": h,
                "generator_lr": warm,
                "discriminator_lr": warm * ratio,
                "gamma": 3.0 + (0.03 - 3.0) * t,
            }
        ), step
    assert max(expected) - min(expected) > 0.25


# ------------------------------------------------------------------ keys and latents


def test_keys_differ_by_seed_step_and_update():
    keys = {tuple(step_key(seed, step, k)) for seed in range(4) for step in range(50) for k in range(6)}
    assert len(keys) == 4 * 50 * 6
    assert step_key(3, 5, 1).dtype == np.uint32
    assert (step_key(3, 5, 1) == step_key(3, 5, 1)).all()


def test_fixed_latents_are_standard_normal_and_depend_on_seed_and_stream():
    latents = fixed_latents(4096, 16, 0)
    assert latents.shape == (4096, 16)
    assert latents.dtype == np.float32
    assert latents.mean() == pytest.approx(0, abs=4 / 256)
    assert latents.var() == pytest.approx(1, abs=4 * math.sqrt(2) / 256)
    assert (fixed_latents(4, 16, 0) == latents[:4]).all(), "more pictures keep the first ones"
    others = [fixed_latents(4, 16, 1), fixed_latents(4, 16, 0, "samples")]
    assert all(np.abs(other - latents[:4]).max() > 0.1 for other in others)
