"""The adversarial losses that ship with GANForge. All take logits (B, K) float32 and return a scalar."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ganforge import Loss, Options, hookimpl

ganforge_api = 2


def cross_entropy(logits: Any, labels: Any) -> Any:
    """Return the mean binary cross-entropy on logits, softplus(x) - y x, stable for any logit and soft label."""
    from keras import ops

    return ops.mean(ops.softplus(logits) - labels * logits)


def bce_discriminator(real_logits: Any, fake_logits: Any, real_labels: Any, fake_labels: Any) -> Any:
    """-E log D(x) - E log(1 - D(G(z))), Goodfellow et al. 2014; 2 ln 2 if D can only guess."""
    return cross_entropy(real_logits, real_labels) + cross_entropy(fake_logits, fake_labels)


def bce_generator(fake_logits: Any, labels: Any) -> Any:
    """-E log D(G(z)), the non-saturating form of the same paper; ln 2 if D can only guess."""
    return cross_entropy(fake_logits, labels)


def least_squares_discriminator(real_logits: Any, fake_logits: Any, real_labels: Any, fake_labels: Any) -> Any:
    """(E (D(x) - 1)^2 + E D(G(z))^2) / 2, Mao et al. 2017, "Least Squares Generative Adversarial Networks"."""
    from keras import ops

    return (ops.mean(ops.square(real_logits - real_labels)) + ops.mean(ops.square(fake_logits - fake_labels))) / 2.0


def least_squares_generator(fake_logits: Any, labels: Any) -> Any:
    """E (D(G(z)) - 1)^2 / 2."""
    from keras import ops

    return ops.mean(ops.square(fake_logits - labels)) / 2.0


def hinge_discriminator(real_logits: Any, fake_logits: Any, real_labels: Any, fake_labels: Any) -> Any:
    """E y max(0, 1 - D) + (1 - y) max(0, 1 + D) for labels y; Lim & Ye 2017, "Geometric GAN".

    A soft label mixes the two sides, so the margin stays at one.
    """
    from keras import ops

    def side(logits: Any, labels: Any) -> Any:
        return ops.mean(labels * ops.relu(1.0 - logits) + (1.0 - labels) * ops.relu(1.0 + logits))

    return side(real_logits, real_labels) + side(fake_logits, fake_labels)


def critic_generator(fake_logits: Any) -> Any:
    """-E D(G(z)), for hinge and Wasserstein."""
    from keras import ops

    return -ops.mean(fake_logits)


def wasserstein_critic(real_logits: Any, fake_logits: Any, real_labels: Any, fake_labels: Any) -> Any:
    """E D(G(z)) - E D(x), Arjovsky et al. 2017: a logit is weighted by -1 for label 1 and by 1 for label 0.

    Labels in between are refused (``Loss.soft_labels``): with smoothed real labels the two sides no longer have equal
    weight, and the difference shifts the critic's offset without end.
    """
    from keras import ops

    return ops.mean((1.0 - 2.0 * real_labels) * real_logits) + ops.mean((1.0 - 2.0 * fake_labels) * fake_logits)


def gradient_penalty(discriminator: Any, real: Any, fake: Any, random: Any, gradient: Any, options: Any) -> Any:
    """lambda E (|grad D(x)| - 1)^2 between real and fake; Gulrajani et al. 2017, "Improved Training of WGANs"."""
    from keras import ops

    rest = range(1, len(real.shape))
    t = random.uniform((real.shape[0], *(1 for _ in rest)))
    slopes = gradient(discriminator, real + t * (fake - real))
    # The small constant keeps the square root's own gradient finite where the slope is 0.
    norms = ops.sqrt(ops.sum(ops.square(slopes), axis=tuple(rest)) + 1e-12)
    return options.penalty * ops.mean(ops.square(norms - 1.0))


def relativistic_discriminator(real_logits: Any, fake_logits: Any, real_labels: Any) -> Any:
    """E softplus(-(D(x) - D(G(z)))) over pairs, Jolicoeur-Martineau 2018, "The relativistic discriminator: a key
    element missing from standard GAN", equation 3 (RpGAN); ln 2 if D can only guess.

    If the label of the real picture is 0, the two logits of the pair are swapped. The fake's label is not used.
    """
    from keras import ops

    return ops.mean(ops.softplus((1.0 - 2.0 * real_labels) * (real_logits - fake_logits)))


def relativistic_generator(real_logits: Any, fake_logits: Any) -> Any:
    """E softplus(-(D(G(z)) - D(x))): the generator learns to have each fake rated above the real picture beside it.

    Huang et al. 2024, "The GAN is dead; long live the GAN! A Modern Baseline GAN" (R3GAN), equation 2, with
    f(t) = -softplus(-t).
    """
    from keras import ops

    return ops.mean(ops.softplus(real_logits - fake_logits))


class WassersteinOptions(Options):
    penalty: float = Field(10.0, ge=0, description="lambda, the weight of the gradient penalty")


@hookimpl
def register_losses(register: Any) -> None:
    register(Loss("bce", bce_discriminator, bce_generator, summary="Binary cross-entropy on logits, non-saturating"))
    register(
        Loss(
            "least-squares",
            least_squares_discriminator,
            least_squares_generator,
            summary="Squared distance of the logit from its target label",
            boundary=0.5,
        )
    )
    register(
        Loss(
            "hinge",
            hinge_discriminator,
            critic_generator,
            summary="Hinge loss with a margin of one on each side",
            one_stage=False,
        )
    )
    register(
        Loss(
            "wasserstein",
            wasserstein_critic,
            critic_generator,
            gradient_penalty,
            WassersteinOptions,
            "Wasserstein distance with gradient penalty; use --balance generator-steps:generator=1,discriminator=5",
            boundary=None,
            soft_labels=False,
        )
    )
    register(
        Loss(
            "relativistic",
            relativistic_discriminator,
            relativistic_generator,
            summary="Rates each real picture above a fake; use --balance r1:gamma=1 --balance r2:gamma=1",
            boundary=None,
            soft_labels=False,
        )
    )
