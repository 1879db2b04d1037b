"""``lecam``: pulls the logits of real pictures and fakes towards each other's running means."""

from __future__ import annotations

from typing import Any

from keras import ops
from pydantic import Field

from ganforge import Options as BaseOptions
from ganforge import Strategy, hookimpl


class LeCam(Strategy):
    """Adds lambda ( E (D(x) - a_F)^2 + E (D(G(z)) - a_R)^2 ) to the discriminator's loss.

    a_R and a_F are running means of the logits of real pictures and of fakes, up to the previous step. The penalty
    keeps the two from diverging, as they do when the discriminator memorises a small set.

    During ``warmup`` there is no penalty, and the means are those of the last step alone, as in the authors' code
    (1,000 updates there); after it, they move by 1 - decay per step. Their code also clips (D(x) - a_F) and
    (a_R - D(G(z))) at 0; the paper's formula, which is used here, does not.

    Helps: a few hundred to a few thousand training pictures. Hurts: with enough pictures it only holds the
    discriminator back.

    Source: Tseng et al. 2021, "Regularizing Generative Adversarial Networks under Limited Data", equation 5.
    """

    name = "lecam"

    class Options(BaseOptions):
        weight: float = Field(0.3, ge=0, description="lambda; the authors use 0.3 for CIFAR")
        decay: float = Field(0.99, ge=0, lt=1, description="decay of the running means per step")
        warmup: float = Field(0.05, ge=0, lt=1, description="first part of training, without penalty")

    def initial_state(self) -> dict[str, float]:
        return {"real": 0.0, "fake": 0.0, "begun": 0.0}

    @hookimpl
    def plan_step(self, progress: Any) -> dict[str, float]:
        acts = progress.fraction > self.options.warmup
        return {
            "weight": self.options.weight if acts else 0.0,
            "decay": self.options.decay if acts else 0.0,
        }

    @hookimpl
    def discriminator_penalty(self, real_logits: Any, fake_logits: Any, controls: Any, state: Any) -> Any:
        off = ops.mean(ops.square(real_logits - state["fake"])) + ops.mean(ops.square(fake_logits - state["real"]))
        # Averages that have not begun, as after resume --balance, hold nobody to anything.
        return controls["weight"] * state["begun"] * off

    @hookimpl
    def update_state(self, state: Any, controls: Any, metrics: Any) -> Any:
        if "d_real_logit" not in metrics:  # the discriminator made no update in this step
            return state
        kept = controls["decay"] * state["begun"]
        real = kept * state["real"] + (1.0 - kept) * metrics["d_real_logit"]
        fake = kept * state["fake"] + (1.0 - kept) * metrics["d_fake_logit"]
        state = {"real": real, "fake": fake, "begun": ops.ones_like(state["begun"])}
        return state, {"real": real, "fake": fake}
