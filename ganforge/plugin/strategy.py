"""The base class of balancing strategies."""

from __future__ import annotations

from typing import Any, ClassVar

from ganforge.plugin.options import Options as BaseOptions


class Strategy:
    """A way to keep the two networks in balance; subclass it and implement the hooks it needs.

    Class attributes: ``name`` (what ``--balance`` calls it), ``Options`` (its typed options) and optionally
    ``conflicts`` (names of strategies it cannot run beside). An instance lives as long as the run;
    ``self.options`` holds the validated options.
    """

    name: ClassVar[str] = ""
    Options: ClassVar[type[BaseOptions]] = BaseOptions
    conflicts: ClassVar[tuple[str, ...]] = ()

    def __init__(self, options: BaseOptions | None = None) -> None:
        self.options: Any = options if options is not None else type(self).Options()

    def get_state(self) -> dict[str, Any]:
        """Return whatever the strategy remembers as a JSON-able dict; saved with every checkpoint."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take back what ``get_state`` returned."""
