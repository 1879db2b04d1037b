"""Calling what plugins wrote with the arguments it names, and telling a hook by its mark."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterable
from typing import Any

from ganforge.errors import GANForgeError, reason
from ganforge.plugin.hookspecs import HOOKS, OBSERVER_HOOKS, TRACED_HOOKS
from ganforge.plugin.types import FixedSetting

Hooks = dict[str, Callable[..., Any]]


def call_by_name(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that takes all arguments by name and passes on those that ``function`` names.

    The signature is read once, here. What ``functools.partial`` has filled in stays as it is.
    """
    if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values()):
        return function
    names = frozenset(parameters(function))
    return lambda **given: function(**{name: value for name, value in given.items() if name in names})


def parameters(function: Callable[..., Any]) -> list[str]:
    """Return a function's parameters, without those that ``functools.partial`` or ``partialmethod`` has filled in."""
    inner = function.__func__ if isinstance(function, types.MethodType) else function
    # Python's own mark on what a partialmethod became, before 3.13 and since.
    filled = getattr(inner, "__partialmethod__", getattr(inner, "_partialmethod", inner))
    given = filled.keywords if isinstance(filled, (functools.partial, functools.partialmethod)) else {}
    return [name for name in inspect.signature(function).parameters if name not in given]


# ------------------------------------------------------------------ hooks


def is_marked(owner: Any, name: str, member: Any) -> bool:
    """Tell whether a member of an object, class or module has ``@hookimpl`` above it."""
    # Above @staticmethod or @classmethod it marks the wrapper, which getattr takes off.
    return any(
        isinstance(getattr(one, "ganforge_impl", None), dict)
        for one in (member, inspect.getattr_static(owner, name, None))
    )


def implementation(owner: Any, hook: str) -> Callable[..., Any] | None:
    """Return what an object implements a hook with, or None where it has nothing of that name, or nothing marked."""
    member = getattr(owner, hook, None)
    return member if callable(member) and is_marked(owner, hook, member) else None


def strategy_hooks(strategy: Any) -> Hooks:
    """Return the hooks a strategy implements, each taking all its arguments by name and passing on those it names.

    Nothing of the plugin machinery is left when the step runs. What a host hook raises becomes a ``GANForgeError``
    that names the strategy.
    """
    name = getattr(strategy, "name", "") or type(strategy).__name__
    # Traced hooks stay bare: a compiler looks into them.
    return {
        hook: function if hook in TRACED_HOOKS else _blaming(name, hook, function)
        for hook, function in _hooks(strategy, HOOKS).items()
    }


def observer_hooks(observer: Any) -> Hooks:
    """Return the hooks an observer implements, as ``strategy_hooks`` does; what they raise is left as it is."""
    return _hooks(observer, OBSERVER_HOOKS)


def reads_state(strategy: Any) -> list[str]:
    """Return the traced hooks of a strategy, an instance or the class, that take its device state.

    Where there is none, an ``initial_state`` is a helper's name: version 1 of the hooks knew no state.
    """
    found = {hook: implementation(strategy, hook) for hook in TRACED_HOOKS}
    return [
        hook
        for hook, member in found.items()
        if member is not None and (hook == "update_state" or "state" in parameters(member))
    ]


def _hooks(owner: Any, names: Iterable[str]) -> Hooks:
    members = {name: implementation(owner, name) for name in names}
    return {name: call_by_name(member) for name, member in members.items() if member is not None}


def _blaming(strategy: str, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(**keywords: Any) -> Any:
        try:
            return function(**keywords)
        except (GANForgeError, MemoryError):
            raise
        except FixedSetting as error:
            raise GANForgeError(f"strategy '{strategy}': {error}") from error
        except Exception as error:
            raise GANForgeError(f"strategy '{strategy}': {hook} raised {reason(error)}") from error

    return call
