"""The balancing strategies that ship with GANForge; they register like those of any plugin."""

from collections.abc import Callable

from ganforge import Strategy, hookimpl

ganforge_api = 2


@hookimpl
def register_strategies(register: Callable[[type[Strategy]], None]) -> None:
    from ganforge.balance.ada import ADA
    from ganforge.balance.auto import Auto
    from ganforge.balance.diffaugment import DiffAugment
    from ganforge.balance.generator_steps import GeneratorSteps
    from ganforge.balance.input_noise import InputNoise
    from ganforge.balance.label_noise import LabelNoise
    from ganforge.balance.lecam import LeCam
    from ganforge.balance.lookahead import Lookahead
    from ganforge.balance.lr_decay import LRDecay
    from ganforge.balance.mirror import Mirror
    from ganforge.balance.noise_anneal import NoiseAnneal
    from ganforge.balance.r1 import R1
    from ganforge.balance.r2 import R2
    from ganforge.balance.stronger_discriminator import StrongerDiscriminator
    from ganforge.balance.unequal_lr import UnequalLR

    for strategy in (
        *(Auto, NoiseAnneal, InputNoise, LabelNoise, UnequalLR, LRDecay, GeneratorSteps, StrongerDiscriminator),
        *(R1, R2, LeCam, Lookahead, Mirror, DiffAugment, ADA),
    ):
        register(strategy)
