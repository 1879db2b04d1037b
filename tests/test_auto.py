"""The closed loop: which way it steers, within its limits, without swinging, and across a resume."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support import SMALL, At, fail, timeless

from ganforge.balance.auto import Auto
from ganforge.errors import UsageError
from ganforge.plugin.calling import strategy_hooks
from ganforge.plugin.types import Progress


def plan(auto, step, accuracy, steps=2000, **other):
    signals = {} if accuracy is None else {"d_accuracy": accuracy, "d_real": 0.5 + step / 1e6, "d_fake": 0.5, **other}
    return auto.plan_step(Progress(step, steps, 0, 1), signals)


def follow(auto, accuracy, start=0, stop=600, every=10):
    """Let a fixed accuracy, or a function of the plan, reach the plan every tenth step, ten steps late."""
    seen, plans = None, []
    for step in range(start, stop):
        plans.append(plan(auto, step, seen, steps=100_000))  # far from where the noise fades out
        if step % every == every - 1:
            seen = accuracy(plans[-1]) if callable(accuracy) else accuracy
    return plans


def test_a_sure_discriminator_is_hindered_and_a_guessing_one_is_spurred_within_limits():
    sure = follow(Auto(), 1.0)
    assert [p["help"] for p in sure] == sorted(p["help"] for p in sure)
    limit = {"sigma": 0.4, "flip": 0.05, "help": 1.0, "generator_lr": 1.0, "discriminator_lr": pytest.approx(1 / 3)}
    assert sure[-1] == {**limit, "gamma": pytest.approx(0.1, abs=1e-3)}
    guessing = follow(Auto(), 0.5)
    limit = {"sigma": 0.0, "flip": 0.0, "help": -1.0, "generator_lr": 1.0, "discriminator_lr": 3.0}
    assert guessing[-1] == {**limit, "gamma": pytest.approx(0.1, abs=1e-3)}
    # The first move comes with the first reading: before it, the plan is that of the start.
    assert sure[5]["sigma"] == pytest.approx(0.4 * 0.25)


def test_near_the_target_nothing_moves_and_a_reading_counts_once():
    auto = Auto()
    follow(auto, 0.81)
    assert auto.help == 0.25
    auto = Auto()
    for step in range(50):
        auto.plan_step(Progress(step, 100, 0, 1), {"d_accuracy": 1.0, "d_real": 0.9, "d_fake": 0.1})
    assert auto.help == pytest.approx(0.25)  # one reading at step 0 moves by no steps
    before = auto.help
    plan(auto, 60, float("nan"))
    assert auto.help == before


def test_readings_that_are_alike_count_each_by_the_step_they_were_measured_at():
    auto, alike = Auto(), {"d_accuracy": 1.0, "d_real": 1.0, "d_fake": 0.0}
    helps = []
    for step in range(400):
        signals = {**alike, "step": step // 10 * 10} if step >= 10 else {}
        helps.append(auto.plan_step(Progress(step, 100_000, 0, 1), signals)["help"])
    # e = 1, and 10 steps pass from one reading to the next: h rises by 10 / 200 with each.
    assert helps[10] == pytest.approx(0.25 + 0.05)
    assert helps[19] == helps[10]
    assert helps[109] == pytest.approx(0.25 + 10 * 0.05)
    assert helps[-1] == 1.0
    # Read late, a reading still counts for the steps it was measured after.
    late = Auto()
    late.plan_step(Progress(35, 100_000, 0, 1), {**alike, "step": 10})
    assert late.plan_step(Progress(44, 100_000, 0, 1), {**alike, "step": 20})["help"] == pytest.approx(0.35)


def test_it_steers_by_pairs_where_the_loss_compares():
    """Such a loss has no D(real) or D(fake) among its signals."""
    auto, helps = Auto(), []
    for step in range(200):
        signals = {"d_accuracy": 1.0, "step": step // 10 * 10} if step >= 10 else {}
        helps.append(auto.plan_step(Progress(step, 100_000, 0, 1), signals)["help"])
    assert helps[109] == pytest.approx(0.25 + 10 * 0.05)
    again = Auto()
    again.set_state(auto.get_state())
    assert again.plan_step(Progress(200, 100_000, 0, 1), {"d_accuracy": 1.0, "step": 190})["help"] == helps[-1]


def test_a_state_saved_before_readings_had_steps_goes_on():
    seen = {"d_accuracy": 1.0, "d_real": 0.9, "d_fake": 0.1}
    auto = Auto()
    auto.set_state({"help": 0.4, "accuracy": 1.0, "read": [1.0, 0.9, 0.1], "read_at": 30})
    # The checkpoint's signals lack the step: this one was taken in before.
    assert auto.plan_step(Progress(37, 100_000, 0, 1), seen)["help"] == pytest.approx(0.4)
    assert auto.plan_step(Progress(40, 100_000, 0, 1), {**seen, "step": 40})["help"] == pytest.approx(0.45)


@pytest.mark.parametrize("every", [1, 10, 50])
def test_it_settles_on_the_target_without_swinging(every):
    random = np.random.default_rng(0)
    level = [0.95]

    def discriminator(planned):
        # One whose accuracy falls with noise, follows slowly, and is measured on 64 pictures.
        level[0] += 0.1 * (0.95 - 0.4 * planned["sigma"] / 0.4 - level[0])
        return float(np.clip(level[0] + random.normal(0, 0.03), 0, 1))

    plans = follow(Auto(Auto.Options(lag=max(200, 10 * every))), discriminator, stop=1500 + 60 * every, every=every)
    tail = [p["help"] for p in plans[-800:]]
    assert np.mean(tail) == pytest.approx(0.375, abs=0.12)  # where the accuracy is 0.8
    assert np.ptp(tail) < (0.35 if every < 50 else 0.5)
    assert abs(level[0] - 0.8) < 0.08


def test_both_rates_fall_to_nothing_at_the_end_and_keep_their_ratio():
    auto = Auto(Auto.Options(start=-1.0))
    begin, late = plan(auto, 100, None), plan(auto, 1749, None)
    assert begin["generator_lr"] == 1.0
    assert late["generator_lr"] == pytest.approx(0.5, abs=2e-3)
    assert late["discriminator_lr"] / late["generator_lr"] == pytest.approx(begin["discriminator_lr"])
    last = plan(auto, 1999, None)
    assert (last["generator_lr"], last["discriminator_lr"]) == (0, 0)
    assert plan(Auto(Auto.Options(cool=0)), 1999, None)["generator_lr"] == 1.0


def test_the_noise_is_gone_at_the_end():
    auto = Auto(Auto.Options(start=1.0))
    assert plan(auto, 1599, None)["sigma"] == pytest.approx(0.4)
    assert plan(auto, 1799, None)["sigma"] == pytest.approx(0.2, abs=1e-3)
    assert plan(auto, 1999, None)["sigma"] == 0
    assert plan(Auto(Auto.Options(start=1.0, fade=0)), 1999, None)["sigma"] == pytest.approx(0.4)


def test_r1_falls_to_a_hundredth_and_is_left_out_without_a_weight():
    weights = [plan(Auto(Auto.Options(gamma=2.0)), step, None)["gamma"] for step in (0, 1999)]
    assert weights == [2.0, pytest.approx(0.02)]
    assert "discriminator_penalty" in strategy_hooks(Auto())
    assert "discriminator_penalty" not in strategy_hooks(Auto(Auto.Options(gamma=0.0)))


def test_its_memory_is_saved():
    whole, first = Auto(), Auto()
    plans = follow(whole, 0.95, stop=400)
    begun = follow(first, 0.95, stop=200)
    second = Auto()
    second.set_state(first.get_state())
    seen = {"d_accuracy": 0.95, "d_real": 0.5, "d_fake": 0.5}
    assert begun == plans[:200]
    # The reading that the checkpoint keeps has been taken in already.
    assert second.plan_step(Progress(200, 2000, 0, 1), {**seen, "d_real": first.read[1]})["help"] == first.help
    assert second.get_state() == {**first.get_state()}


def test_a_resumed_run_equals_one_never_stopped(tmp_path):
    import ganforge

    settings = {**SMALL, "data": "critters:count=64", "epochs": 3, "balance": "auto:lag=20", "runs_dir": tmp_path}
    whole = ganforge.train(**settings)
    stopped = ganforge.train(observers=[At(7, fail(KeyboardInterrupt()))], **settings)
    assert stopped.manifest["progress"]["step"] == 7
    lines = timeless(stopped.resume().metrics())
    assert lines == timeless(whole.metrics())
    assert len({line["auto/help"] for line in lines}) > 3
    assert all(type(line["step"]) is int for line in lines)
    with pytest.raises(UsageError, match="'auto' and 'input-noise'"):
        ganforge.train(**{**settings, "balance": ("auto", "input-noise")})


def test_the_loop_says_at_which_step_it_measured(tmp_path, monkeypatch):
    import ganforge

    seen = []
    plan = Auto.plan_step

    @ganforge.hookimpl
    def listen(self, progress, signals):
        seen.append((progress.step, signals.get("step")))
        return plan(self, progress, signals)

    monkeypatch.setattr(Auto, "plan_step", listen)
    settings = {"data": "critters:count=64", "image_size": 16, "batch_size": 16, "log_every": 3, "epochs": 2}
    settings |= {"arch": "fcgan:hidden=8,discriminator_hidden=8", "balance": "auto", "runs_dir": tmp_path}
    run = ganforge.train(**settings)
    # The first look at the plan, before the run, then each step with what was last measured.
    assert seen[1:] == [(0, None), (1, 1), (2, 1), (3, 3), (4, 3), (5, 3), (6, 6), (7, 6)]
    assert [line["step"] for line in run.metrics()] == [1, 3, 6, 8]
    _, state = run.path, json.loads(next(run.path.glob("checkpoints/step_00000008/state.json")).read_text())
    assert state["state"]["signals"]["step"] == 8
    del seen[:]
    run.resume(3)
    assert seen[1:3] == [(8, 8), (9, 9)]
