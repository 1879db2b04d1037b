"""Checking what a plugin brings: its version, what it registers, and its hooks, which are told from helpers.

A hook that is never called is the worst of mistakes, since the run trains as if nothing were wrong. So a name that
is a hook's, or nearly, is either marked with ``hookimpl`` and right, or refused.
"""

from __future__ import annotations

import functools
import inspect
import re
import types
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from ganforge.errors import GANForgeError, UsageError, closest
from ganforge.plugin.alike import most_like, near
from ganforge.plugin.architecture import DEFAULTS, NUMBERS, Architecture
from ganforge.plugin.averaging import parse_ema
from ganforge.plugin.callbacks import as_observer, is_callback
from ganforge.plugin.calling import implementation, is_marked, parameters, reads_state
from ganforge.plugin.hookspecs import (
    HOOK_API_VERSION,
    HOOKS,
    INITIAL_STATE,
    OBSERVER_HOOKS,
    OLDEST_HOOK_API_VERSION,
    STRATEGY_HOOKS,
    hooks_of,
)
from ganforge.plugin.kinds import KINDS, REGISTRATION_HOOKS
from ganforge.plugin.options import Options, parse_spec
from ganforge.plugin.sizes import parse_size

VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def check_version(module: types.ModuleType) -> int:
    """Return the version of the hooks that a plugin was written for, its ``ganforge_api``; 1 where it says nothing.

    Raises:
        GANForgeError: this GANForge does not speak it.
    """
    made_for = getattr(module, "ganforge_api", OLDEST_HOOK_API_VERSION)
    if isinstance(made_for, bool) or not isinstance(made_for, int):
        raise GANForgeError(f"invalid ganforge_api = {made_for!r}: expected a whole number, such as 1")
    if made_for > HOOK_API_VERSION:
        raise GANForgeError(
            f"it was made for version {made_for} of the hooks, but this GANForge has version "
            f"{HOOK_API_VERSION}; pip install --upgrade ganforge"
        )
    if made_for < OLDEST_HOOK_API_VERSION:
        raise GANForgeError(
            f"it was made for version {made_for} of the hooks, but this GANForge has versions "
            f"{OLDEST_HOOK_API_VERSION} to {HOOK_API_VERSION}; look for a newer release of it"
        )
    return made_for


def check_value(kind: str, value: Any, version: int = HOOK_API_VERSION) -> str:
    """Check what a plugin registers as one kind, and return its name.

    Raises:
        GANForgeError: it is something else, its name is no name, an option has no default, a hook is wrong.
    """
    wanted = KINDS[kind]
    if not wanted.fits(value):
        got = value.__name__ if isinstance(value, type) else type(value).__name__
        raise GANForgeError(f"{wanted.hook} registered {got}; expected {wanted.form}")
    name = value.name
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name):
        raise GANForgeError(f"invalid name {name!r}: expected lower-case letters, digits and dashes")
    options = wanted.options(value)
    if not (isinstance(options, type) and issubclass(options, Options)):
        raise GANForgeError(f"{wanted.word} '{name}': its options are not a subclass of ganforge.Options")
    for option, info in options.model_fields.items():
        if info.is_required():
            raise GANForgeError(f"{wanted.word} '{name}': option '{option}' has no default; every option needs one")
    if kind == "strategy":
        check_strategy(value, f"strategy '{name}'", version)
    elif kind == "architecture":
        _check_defaults(value)
    return name


def _check_defaults(architecture: Architecture) -> None:
    """Hold an architecture's defaults to the settings there are; whether what they name is installed shows later."""
    owner = f"architecture '{architecture.name}'"
    defaults: dict[str, Any] = architecture.defaults
    if not isinstance(defaults, dict):
        raise GANForgeError(f"{owner}: its defaults are {type(defaults).__name__}; expected a dict")
    for name, value in defaults.items():
        if name not in DEFAULTS:
            raise GANForgeError(
                f"{owner}: its defaults have '{name}'; expected some of {', '.join(DEFAULTS)}."
                f"{closest(str(name), DEFAULTS)}"
            )
        wrong = f"{owner}: invalid default {name}={value!r}"
        kind = DEFAULTS[name]
        fits = isinstance(value, kind) and (name == "ema" or not isinstance(value, bool))
        if not fits:
            kinds = kind if isinstance(kind, tuple) else (kind,)
            raise GANForgeError(f"{wrong}; expected {' or '.join(each.__name__ for each in kinds)}")
        if name in NUMBERS and not (0 <= value < 1 if name == "beta_1" else value > 0):
            raise GANForgeError(f"{wrong}; expected {'0 to below 1' if name == 'beta_1' else 'a positive number'}")
        try:
            if name in ("ema", "image_size"):
                (parse_ema if name == "ema" else parse_size)(value)
            for text in [value] if isinstance(value, str) else value if name == "balance" else []:
                if name in ("loss", "optimizer", "balance"):
                    parse_spec(text)
        except (UsageError, AttributeError) as error:
            raise GANForgeError(f"{wrong}; {error}") from None


def check_strategy(strategy: Any, what: str, version: int = HOOK_API_VERSION) -> None:
    """Check a strategy, the class or an instance: every method called like a hook is one, and is marked.

    ``version`` is that of the hooks it was written for: names that came later are its own.

    Raises:
        GANForgeError: one is not, or takes what the hook does not give; its device state is nowhere begun; or it is
            lazy without an option ``every``.
    """
    known = hooks_of(version)
    hooks = [name for name in (*STRATEGY_HOOKS, *OBSERVER_HOOKS) if name in known]
    _check_state(strategy, what, version)
    _check(strategy, what, hooks, known, "the module that registers it")
    if version >= 2 and strategy.lazy and "every" not in strategy.Options.model_fields:
        raise GANForgeError(
            f"{what} is lazy and has no option 'every'; expected one, such as every: int = Field(4, ge=1)"
        )


def _check_state(strategy: Any, what: str, version: int) -> None:
    """Check what a strategy keeps on the device: begun where a hook takes it, by a method that can be called."""
    begin = getattr(strategy, "initial_state", None)
    if begin is not None and is_marked(strategy, "initial_state", begin):
        raise GANForgeError(f"{what}: initial_state is an ordinary method; leave out the @hookimpl above it")
    readers = reads_state(strategy)
    if begin is None and "update_state" in readers:
        own = [name for name, _ in _callables(strategy)]
        likely = next((f" Should '{name}' be initial_state?" for name in own if near(name, ["initial_state"])), "")
        raise GANForgeError(
            f"{what} has update_state but no state; expected a method initial_state(self, image_shape, batch_size) "
            f"that returns the first one.{likely}"
        )
    if begin is None and version >= 2:
        for name, _ in _callables(strategy):
            if near(name, ["initial_state"]):
                raise GANForgeError(
                    f"{what} has a method '{name}', which is never called. Did you mean 'initial_state'? A method of "
                    f"your own needs a less similar name, such as _{name}"
                )
    if begin is not None and (readers or version >= 2):
        given = inspect.signature(begin).parameters
        for argument in parameters(begin):
            needed = given[argument].default is inspect.Parameter.empty and given[argument].kind not in VARIADIC
            if needed and argument not in ("self", *INITIAL_STATE):
                raise GANForgeError(
                    f"{what}: initial_state takes '{argument}'; expected some of {', '.join(INITIAL_STATE)}."
                    f"{closest(argument, INITIAL_STATE)}"
                )


def check_marked(module: types.ModuleType) -> None:
    """Check the hooks that a module marks, before any of them is called.

    Raises:
        GANForgeError: one takes what the hook does not give, or is no ordinary function.
    """
    for name, member in _functions(module):
        if name in (*REGISTRATION_HOOKS, *OBSERVER_HOOKS) and is_marked(module, name, member):
            _check_marked(module, name, member, f"module '{module.__name__}'")


def check_unmarked(module: types.ModuleType, registered: Iterable[Any] = (), version: int = HOOK_API_VERSION) -> None:
    """Check that what is marked in a module, or called like a hook, is a hook of modules and marked.

    ``registered``: what the module registered. A function called like a strategy's hook may be part of that, such as
    the penalty of a loss. What a module imports from another package is only held to if it is called exactly so.

    Raises:
        GANForgeError: a function would never be called.
    """
    what, used, known = f"module '{module.__name__}'", _parts(registered), hooks_of(version)
    for name, member in _functions(module):
        if id(_plain(member)) in used:
            continue
        if name not in HOOKS and is_marked(module, name, member):
            _check_marked(module, name, member, what)
        if name in STRATEGY_HOOKS and (name in known or is_marked(module, name, member)):
            raise GANForgeError(f"{name} is defined in the module; it belongs in a Strategy class that is registered")
        if name in (*REGISTRATION_HOOKS, *OBSERVER_HOOKS) and name in known and not is_marked(module, name, member):
            raise GANForgeError(_unmarked(what, name))
    missing = [hook for hook in REGISTRATION_HOOKS if hook in known and implementation(module, hook) is None]
    package = module.__name__.partition(".")[0]
    for name, member in _functions(module):
        ours = str(getattr(_plain(member), "__module__", "")).partition(".")[0] == package
        if ours and name not in HOOKS and not name.startswith("_") and (hook := near(name, missing)):
            raise GANForgeError(_misspelt(what, "function", name, hook))


def _functions(module: types.ModuleType) -> list[tuple[str, Any]]:
    # Who imports the hooks' own descriptions means to read them.
    return [
        (name, member)
        for name, member in vars(module).items()
        if callable(member) and not isinstance(member, type) and not hasattr(member, "ganforge_spec")
    ]


def check_observers(observers: Any) -> list[Any]:
    """Return the observers as a list, Keras callbacks as observers that call them.

    Raises:
        UsageError: one would never be called: it has no marked hook, a misspelt one, or is no object with methods;
            or it is a Keras callback whose meaning does not carry over.
    """
    if isinstance(observers, (str, bytes)) or not isinstance(observers, Iterable):
        raise UsageError(f"observers={_shown(observers)} is not a list; expected one, such as [MyObserver()]")
    listed = [as_observer(one) if is_callback(one) else one for one in observers]
    for observer in listed:
        try:
            _check_observer(observer)
        except UsageError:
            raise
        except GANForgeError as error:
            raise UsageError(str(error)) from None
    return listed


def _check_observer(observer: Any) -> None:
    what = f"observer {_shown(observer)}"
    if isinstance(observer, type):
        raise UsageError(f"{what} is a class; expected an instance, such as {observer.__name__}()")
    expected = "an object with methods such as step_ended(self, step), each with @hookimpl above it"
    if inspect.isroutine(observer) or isinstance(observer, functools.partial):
        raise UsageError(f"{what} is a function; expected {expected}")
    for name in STRATEGY_HOOKS:
        if not isinstance(observer, types.ModuleType) and implementation(observer, name) is not None:
            raise UsageError(
                f"{what} implements {name}, but observers only watch; register it as a strategy and choose it by "
                "name in balance"
            )
    if isinstance(observer, types.ModuleType):
        check_marked(observer)
        check_unmarked(observer)
    else:
        _check(observer, what, OBSERVER_HOOKS, hooks_of(1), "a module")
    if not any(implementation(observer, name) for name in OBSERVER_HOOKS):
        names = [name for name, _ in _callables(observer)]
        hint = next((f" Did you mean '{m}' instead of '{n}'?" for n in names if (m := most_like(n))), "")
        raise UsageError(
            f"{what} has no hook marked with @hookimpl, so it would never be called; expected some of "
            f"{', '.join(OBSERVER_HOOKS)}.{hint}"
        )


def _check(owner: Any, what: str, hooks: Collection[str], known: Collection[str], elsewhere: str) -> None:
    unmarked = []
    for name, member in _callables(owner):
        if is_marked(owner, name, member):
            _check_marked(owner, name, member, what)
            if name in REGISTRATION_HOOKS:
                raise GANForgeError(f"{what} implements {name}, which is only called in {elsewhere}; move it there")
        elif name in known:
            raise GANForgeError(_unmarked(what, name))
        elif name not in HOOKS:
            unmarked.append(name)
    missing = [hook for hook in hooks if implementation(owner, hook) is None]
    for name in unmarked:
        if hook := near(name, missing):
            raise GANForgeError(_misspelt(what, "method", name, hook))


def _callables(owner: Any) -> Iterator[tuple[str, Any]]:
    """Yield the public functions and methods of an object or class, without evaluating its properties."""
    for name in dir(owner):
        static = inspect.getattr_static(owner, name, None)
        wrapped = isinstance(static, (staticmethod, classmethod, functools.partialmethod))
        if not name.startswith("_") and not isinstance(static, type) and (callable(static) or wrapped):
            yield name, getattr(owner, name, None)


def _check_marked(owner: Any, name: str, member: Any, what: str) -> None:
    """Check that a marked function is a hook, an ordinary function, and takes only arguments that the hook has."""
    if name not in HOOKS:
        likely = near(name, HOOKS)
        hint = f" Did you mean '{likely}'?" if likely else closest(name, HOOKS)
        raise GANForgeError(f"{what} marks '{name}' with hookimpl, but there is no such hook.{hint}")
    function = _plain(member)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise GANForgeError(f"{what}: {name} is a generator (it has yield), so its code would never run")
    if inspect.iscoroutinefunction(function):
        raise GANForgeError(f"{what}: {name} is async, so its code would never run; expected a plain def")
    for argument in _arguments(owner, name, member, what):
        if argument not in HOOKS[name]:
            raise GANForgeError(
                f"{what}: {name} takes '{argument}'; expected some of {', '.join(HOOKS[name])}."
                f"{closest(argument, HOOKS[name])}"
            )


def _arguments(owner: Any, name: str, member: Any, what: str) -> list[str]:
    """Return what a hook must be given by name, ``self`` left out."""
    holder = owner if isinstance(owner, type) else type(owner)
    static = inspect.getattr_static(holder, name, None)
    if isinstance(static, types.FunctionType) and not isinstance(owner, types.ModuleType):
        first, *names = [*inspect.signature(static).parameters, ""]
        if not first or first in HOOKS[name]:
            raise GANForgeError(f"{what}: {name} has no self; expected {name}(self, {', '.join(HOOKS[name])})")
        return [each for each in names if each]
    return [each for each in parameters(member) if each != "self"]


def _plain(member: Any) -> Any:
    """Return the function inside partials and methods."""
    while isinstance(member, (functools.partial, types.MethodType)):
        member = member.func if isinstance(member, functools.partial) else member.__func__
    return member


def _parts(registered: Iterable[Any]) -> set[int]:
    """Return the identities of the functions that registered things are made of."""
    parts: set[int] = set()
    for value in registered:
        owners = value.__mro__ if isinstance(value, type) else [value]
        parts |= {id(_plain(each)) for owner in owners for each in vars(owner).values()}
    return parts


def _unmarked(what: str, name: str) -> str:
    return f"{what}: {name} is not marked, so it would never be called; write @hookimpl above it"


def _misspelt(what: str, kind: str, name: str, hook: str) -> str:
    return (
        f"{what} has a {kind} '{name}', which is not a hook. Did you mean '{hook}'? Rename it, with @hookimpl above "
        f"it; a {kind} of your own needs a less similar name, such as _{name}"
    )


def _shown(thing: Any) -> str:
    name = getattr(thing, "__name__", None)
    return f"'{name}'" if isinstance(name, str) else f"'{type(thing).__name__}'"
