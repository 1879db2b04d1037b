"""The listeners of a run: strategies, which act, and observers, which watch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ganforge.errors import log, reason
from ganforge.plugin.calling import call_by_name, observer_hooks, parameters, strategy_hooks
from ganforge.plugin.options import Options
from ganforge.plugin.registry import Choice
from ganforge.plugin.strategy import Strategy
from ganforge.plugin.types import RunInfo
from ganforge.plugin.validation import check_observers


class Audience:
    """Calls the hooks ``run_started`` to ``run_ended``: the strategies' first, then the observers'.

    A failure in a strategy is an error, since strategies are part of training. An observer never ends or changes a
    run: once it fails, it is left out with a one-line message; so is a logger, whose observer is created when the run
    starts. ``heard`` names the hooks that were called.
    """

    def __init__(
        self, strategies: Iterable[Strategy], observers: Iterable[object], loggers: Sequence[Choice] = ()
    ) -> None:
        self.acting = [strategy_hooks(strategy) for strategy in strategies]
        self.watching = [(_called(observer), observer_hooks(observer)) for observer in observers]
        self.loggers = loggers
        self.heard: set[str] = set()

    def start(self, run: RunInfo, stopping: threading.Event) -> None:
        """Create the loggers' observers, and tell everyone that the run starts; raises as ``tell`` does."""
        for logger in self.loggers:
            name = f"logger '{logger.name}'"
            try:
                observer = _by_name(logger.value.make, run, logger.options)
                (observer,) = check_observers([observer])
                self.watching.append((name, observer_hooks(observer)))
            except KeyboardInterrupt:
                if stopping.is_set():
                    raise
                stopping.set()
            except (Exception, SystemExit) as error:
                log.warning("%s failed and will not be called: %s", name, reason(error))
        self.tell("run_started", stopping, run=run)

    def tell(self, hook: str, stopping: threading.Event, **what: Any) -> None:
        """Call a hook on everyone; ``stopping`` is set when an observer raises ``KeyboardInterrupt``.

        Raises:
            GANForgeError: a strategy failed.
            KeyboardInterrupt: an observer raised it after a stop was requested already, like a second Ctrl-C.
        """
        self.heard.add(hook)
        for hooks in self.acting:
            if hook in hooks:
                hooks[hook](**what)
        for watcher in list(self.watching):
            name, hooks = watcher
            if hook not in hooks:
                continue
            try:
                hooks[hook](**what)
            except KeyboardInterrupt:
                if stopping.is_set():
                    raise
                stopping.set()
            except (Exception, SystemExit) as error:
                self.watching.remove(watcher)
                log.warning("%s failed in %s and will not be called again: %s", name, hook, reason(error))


def _by_name(make: Callable[..., object], run: RunInfo, options: Options) -> object:
    """Call a logger's ``make`` with those of both arguments that it names, or with both in this order."""
    if set(parameters(make)) <= {"run", "options"}:
        return call_by_name(make)(run=run, options=options)
    return make(run, options)


def _called(observer: object) -> str:
    return f"observer '{getattr(observer, '__name__', None) or type(observer).__name__}'"
