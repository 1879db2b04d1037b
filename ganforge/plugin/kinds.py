"""The kinds of things that plugins bring: one row each. A new kind is a row here and its hook in ``hookspecs``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ganforge.plugin.architecture import Architecture
from ganforge.plugin.dataset import DatasetSource
from ganforge.plugin.loss import Loss
from ganforge.plugin.options import Options
from ganforge.plugin.strategy import Strategy


@dataclass(frozen=True)
class Kind:
    """One kind.

    Attributes:
        name: in code, in JSON and after ``--kind``.
        word: in messages.
        title: above its list in ``ganforge plugins``.
        flag: of ``ganforge train``, which chooses one.
        hook: registers some.
        base: what is registered: an instance of this class, or a subclass of it where ``by_class``.
        by_class: a run makes its own instances of what is registered.
    """

    name: str
    word: str
    title: str
    flag: str
    hook: str
    base: type
    by_class: bool = False

    @property
    def form(self) -> str:
        """What a plugin passes to ``register``, in words."""
        wanted = self.base.__name__
        return f"a subclass of {wanted} (the class itself)" if self.by_class else f"{wanted}(...)"

    def fits(self, value: Any) -> bool:
        """Tell whether a value may be registered as this kind."""
        if self.by_class:
            return isinstance(value, type) and issubclass(value, self.base)
        return isinstance(value, self.base)

    def options(self, value: Any) -> type[Options]:
        """Return the ``Options`` subclass that a registered value takes."""
        found: type[Options] = value.Options if self.by_class else value.options
        return found


KINDS = {
    kind.name: kind
    for kind in (
        Kind("architecture", "architecture", "Architectures", "--arch", "register_architectures", Architecture),
        Kind("strategy", "strategy", "Balancing strategies", "--balance", "register_strategies", Strategy, True),
        Kind("loss", "loss", "Losses", "--loss", "register_losses", Loss),
        Kind("dataset", "data source", "Data sources", "--data", "register_datasets", DatasetSource),
    )
}
REGISTRATION_HOOKS = tuple(kind.hook for kind in KINDS.values())
