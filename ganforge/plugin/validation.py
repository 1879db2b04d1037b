"""Telling hooks from helpers: what is marked, what was meant to be marked, and what only sounds alike.

A hook that is never called is the worst of mistakes, since the run trains as if nothing were wrong. So a name that
is a hook's, or nearly, is either marked with ``hookimpl`` and right, or refused.
"""

from __future__ import annotations

import functools
import inspect
import re
import types
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from ganforge.errors import GANForgeError, UsageError, closest
from ganforge.plugin import hookspecs
from ganforge.plugin.hookspecs import OBSERVER_HOOKS, REGISTRATION_HOOKS, STRATEGY_HOOKS

HOOKS = {
    name: tuple(inspect.signature(spec).parameters)
    for name, spec in vars(hookspecs).items()
    if hasattr(spec, "ganforge_spec")
}
ENDINGS = ("ures", "ured", "uring", "ies", "ing", "ure", "es", "ed", "en", "s", "e", "y", "d", "n")


# ------------------------------------------------------------------ what is marked


def implementation(owner: Any, hook: str) -> Callable[..., Any] | None:
    """Return what an object implements a hook with, or None where it has nothing of that name, or nothing marked."""
    member = getattr(owner, hook, None)
    return member if callable(member) and _is_marked(owner, hook, member) else None


def _is_marked(owner: Any, name: str, member: Any) -> bool:
    # @hookimpl above @staticmethod or @classmethod marks the wrapper, which getattr takes off.
    return any(
        isinstance(getattr(one, "ganforge_impl", None), dict)
        for one in (member, inspect.getattr_static(owner, name, None))
    )


def _callables(owner: Any) -> Iterator[tuple[str, Any]]:
    """Yield the public functions and methods of an object or class, without evaluating its properties."""
    for name in dir(owner):
        static = inspect.getattr_static(owner, name, None)
        wrapped = isinstance(static, (staticmethod, classmethod, functools.partialmethod))
        if not name.startswith("_") and not isinstance(static, type) and (callable(static) or wrapped):
            yield name, getattr(owner, name, None)


# ------------------------------------------------------------------ what is refused


def check_strategy(strategy: Any, what: str) -> None:
    """Check a strategy, the class or an instance: every method called like a hook is one, and is marked.

    Raises:
        GANForgeError: one is not, or takes what the hook does not give.
    """
    _check(strategy, what, (*STRATEGY_HOOKS, *OBSERVER_HOOKS), "the module that registers it")


def check_marked(module: types.ModuleType) -> None:
    """Check the hooks that a module marks, before any of them is called.

    Raises:
        GANForgeError: one takes what the hook does not give, or is no ordinary function.
    """
    for name, member in _functions(module):
        if name in (*REGISTRATION_HOOKS, *OBSERVER_HOOKS) and _is_marked(module, name, member):
            _check_marked(module, name, member, f"module '{module.__name__}'")


def check_unmarked(module: types.ModuleType, registered: Iterable[Any] = ()) -> None:
    """Check that what is marked in a module, or called like a hook, is a hook of modules and marked.

    ``registered``: what the module registered. A function called like a strategy's hook may be part of that, such as
    the penalty of a loss. What a module imports from another package is only held to if it is called exactly so.

    Raises:
        GANForgeError: a function would never be called.
    """
    what, used = f"module '{module.__name__}'", _parts(registered)
    for name, member in _functions(module):
        if id(_plain(member)) in used:
            continue
        if name not in HOOKS and _is_marked(module, name, member):
            _check_marked(module, name, member, what)
        if name in STRATEGY_HOOKS:
            raise GANForgeError(f"{name} stands in the module; it belongs in a Strategy class that is registered")
        if name in (*REGISTRATION_HOOKS, *OBSERVER_HOOKS) and not _is_marked(module, name, member):
            raise GANForgeError(_unmarked(what, name))
    missing = [hook for hook in REGISTRATION_HOOKS if implementation(module, hook) is None]
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
    """Return the observers as a list.

    Raises:
        UsageError: one would never be called: it has no marked hook, a misspelt one, or is no object with methods.
    """
    if isinstance(observers, (str, bytes)) or not isinstance(observers, Iterable):
        raise UsageError(f"observers={_shown(observers)} is no list; expected one, such as [MyObserver()]")
    listed = list(observers)
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
        raise UsageError(f"{what} is a class; expected an object of it, such as {observer.__name__}()")
    expected = "an object with methods such as step_ended(self, step), each with @hookimpl above it"
    if any(
        one.__name__ == "Callback" and one.__module__.partition(".")[0] in ("keras", "tf_keras", "tensorflow")
        for one in type(observer).__mro__
    ):
        raise UsageError(f"{what} is a Keras callback, and these are not supported yet; expected {expected}")
    if inspect.isroutine(observer) or isinstance(observer, functools.partial):
        raise UsageError(f"{what} is a function; expected {expected}")
    for name in STRATEGY_HOOKS:
        if not isinstance(observer, types.ModuleType) and implementation(observer, name) is not None:
            raise UsageError(
                f"{what} implements {name}, and observers only watch; register it as a strategy and choose it by "
                "name in balance"
            )
    if isinstance(observer, types.ModuleType):
        check_marked(observer)
        check_unmarked(observer)
    else:
        _check(observer, what, OBSERVER_HOOKS, "a module")
    if not any(implementation(observer, name) for name in OBSERVER_HOOKS):
        names = [name for name, _ in _callables(observer)]
        hint = next((f" Did you mean '{m}' by '{n}'?" for n in names if (m := _most_like(n))), "")
        raise UsageError(
            f"{what} has no hook marked with @hookimpl, so that it would never be called; expected some of "
            f"{', '.join(OBSERVER_HOOKS)}.{hint}"
        )


def _check(owner: Any, what: str, hooks: Collection[str], elsewhere: str) -> None:
    unmarked = []
    for name, member in _callables(owner):
        if _is_marked(owner, name, member):
            _check_marked(owner, name, member, what)
            if name in REGISTRATION_HOOKS:
                raise GANForgeError(f"{what} implements {name}, which is called in {elsewhere} alone; move it there")
        elif name in HOOKS:
            raise GANForgeError(_unmarked(what, name))
        else:
            unmarked.append(name)
    missing = [hook for hook in hooks if implementation(owner, hook) is None]
    for name in unmarked:
        if hook := near(name, missing):
            raise GANForgeError(_misspelt(what, "method", name, hook))


def _check_marked(owner: Any, name: str, member: Any, what: str) -> None:
    """Check that a marked function is a hook, an ordinary function, and takes only arguments that the hook has."""
    if name not in HOOKS:
        likely = near(name, HOOKS)
        hint = f" Did you mean '{likely}'?" if likely else closest(name, HOOKS)
        raise GANForgeError(f"{what} marks '{name}' with hookimpl, but there is no such hook.{hint}")
    function = _plain(member)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise GANForgeError(f"{what}: {name} is a generator (it has yield), whose lines would never run")
    if inspect.iscoroutinefunction(function):
        raise GANForgeError(f"{what}: {name} is async, so that its lines would never run; expected def alone")
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
    return [each for each in _names(member) if each != "self"]


def _names(function: Callable[..., Any]) -> list[str]:
    """Return a function's parameters, without those that ``functools.partial`` or ``partialmethod`` has filled in."""
    inner = function.__func__ if isinstance(function, types.MethodType) else function
    # Python's own mark on what a partialmethod became, before 3.13 and since.
    filled = getattr(inner, "__partialmethod__", getattr(inner, "_partialmethod", inner))
    given = filled.keywords if isinstance(filled, (functools.partial, functools.partialmethod)) else {}
    return [name for name in inspect.signature(function).parameters if name not in given]


def call_by_name(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that takes all arguments by name and passes on those that ``function`` names."""
    names = tuple(name for name in _names(function) if name != "self")
    return lambda **keywords: function(**{name: keywords[name] for name in names})


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
    return f"{what}: {name} is not marked, so that it would never be called; write @hookimpl above it"


def _misspelt(what: str, kind: str, name: str, hook: str) -> str:
    return (
        f"{what} has a {kind} '{name}', which is no hook. Did you mean '{hook}'? Write that with @hookimpl above it; "
        f"a {kind} of your own needs a name less alike, such as _{name}"
    )


def _shown(thing: Any) -> str:
    name = getattr(thing, "__name__", None)
    return f"'{name}'" if isinstance(name, str) else f"'{type(thing).__name__}'"


# ------------------------------------------------------------------ what sounds alike


def near(name: str, hooks: Iterable[str]) -> str | None:
    """Return the hook that ``name`` likely stands for: the same words up to a slip, an ending or an abbreviation.

    ``plan_steps``, ``planStep``, ``on_epoch_end``, ``discriminator_imgs`` are near a hook; ``plan``, ``step``,
    ``plan_stop``, ``discriminator_stages`` and ``generator_images`` are not.
    """
    words = [word for word in re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower().split("_") if word]
    if len(words) > 1 and words[0] == "on":
        words = words[1:]
    for hook in hooks:
        parts = hook.split("_")
        alike = len(words) == len(parts) and all(_near_word(a, b) for a, b in zip(words, parts))
        if alike or "".join(words) == "".join(parts):
            return hook
    return None


def _near_word(word: str, wanted: str) -> bool:
    if word == wanted or _stem(word) == _stem(wanted):
        return True
    if len(word) >= 3 and wanted.startswith(word):
        return True
    if len(word) >= 0.6 * len(wanted) and len(word) >= 4 and word[0] == wanted[0] and _is_within(word, wanted):
        return True
    return _is_one_slip(word, wanted)


def _stem(word: str) -> str:
    ending = next((end for end in ENDINGS if word.endswith(end) and len(word) - len(end) >= 3), "")
    return word.removesuffix(ending)


def _is_within(word: str, wanted: str) -> bool:
    """Whether ``word`` is ``wanted`` with letters left out."""
    letters = iter(wanted)
    return all(letter in letters for letter in word)


def _is_one_slip(word: str, wanted: str) -> bool:
    """Whether one letter was left out, added or exchanged with its neighbour, or, in a long word, replaced."""
    if abs(len(word) - len(wanted)) == 1:
        short, long = sorted((word, wanted), key=len)
        return any(long[:i] + long[i + 1 :] == short for i in range(len(long)))
    if len(word) != len(wanted):
        return False
    wrong = [i for i, (a, b) in enumerate(zip(word, wanted)) if a != b]
    if len(wrong) == 1:
        return len(word) >= 6
    return (
        len(wrong) == 2
        and wrong[1] == wrong[0] + 1
        and word[wrong[0]] == wanted[wrong[1]]
        and (word[wrong[1]] == wanted[wrong[0]])
    )


def _most_like(name: str) -> str | None:
    """Return the observer's hook that shares a word with ``name``, or looks like it."""
    words = {_stem(word) for word in name.split("_")}
    shared = [hook for hook in OBSERVER_HOOKS if words & {_stem(word) for word in hook.split("_")}]
    hint = closest(name, shared or OBSERVER_HOOKS)
    return shared[0] if len(shared) == 1 else hint.split("'")[1] if hint else None
