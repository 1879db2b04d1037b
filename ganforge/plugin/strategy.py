"""The base class of balancing strategies."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from ganforge.plugin.options import Options as BaseOptions
from ganforge.plugin.options import make_options


class Strategy:
    """A way to keep the two networks in balance; subclass it and implement the hooks it needs.

    Class attributes: ``name`` (what ``--balance`` calls it), ``Options`` (its typed options) and optionally
    ``conflicts`` (names of strategies it cannot be combined with), ``lazy``: its penalties, on either network,
    are computed only in every ``every``-th step and weighted by that factor; its options must have ``every``; and
    ``older``: the values that options added later have in a run that was begun without them, so that it resumes as it
    began. An instance lives as long as the run; ``self.options`` holds the validated options.

    Its state on the host is returned by ``get_state``. Its state on the device starts with
    ``initial_state(self, image_shape, batch_size)``, an ordinary method without ``@hookimpl`` that returns numbers
    or arrays in a dict, list or tuple, float32 or int32; the batch size is the total of all devices. It may also
    name ``generator_weights`` and ``discriminator_weights``, lists of numpy arrays: the initial trainable weights.
    Traced hooks that name ``state`` receive it as tensors, and ``update_state`` returns the next one. Structure,
    shapes and dtypes must not change. It is saved with every checkpoint, and is reset by ``resume --balance``.
    """

    name: ClassVar[str] = ""
    Options: ClassVar[type[BaseOptions]] = BaseOptions
    conflicts: ClassVar[tuple[str, ...]] = ()
    lazy: ClassVar[bool] = False
    older: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    def __init__(self, options: BaseOptions | None = None, **values: Any) -> None:
        """Take the options as an object, or one by one: ``MyStrategy(sigma=0.1)``.

        Raises:
            UsageError: there is no such option, or a value is none that it takes.
        """
        if options is None or values:
            given = {} if options is None else options.model_dump(exclude_unset=True)
            options = make_options(f"strategy '{type(self).name}'", type(self).Options, {**given, **values})
        self.options: Any = options

    def get_state(self) -> dict[str, Any]:
        """Return whatever the strategy remembers as a JSON-able dict; saved with every checkpoint."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take back what ``get_state`` returned."""
