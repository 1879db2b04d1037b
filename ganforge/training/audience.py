"""Who is told what happens in a run: strategies, which act, and observers, which watch."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from ganforge.errors import log, reason
from ganforge.plugin.calling import observer_hooks, strategy_hooks
from ganforge.plugin.strategy import Strategy


class Audience:
    """Calls the hooks ``run_started`` to ``run_ended``: the strategies' first, then the observers'.

    What fails in a strategy is part of training, and an error. An observer never ends or changes a run: it is left
    out, with one line, once it has failed. ``heard`` names the hooks that were called.
    """

    def __init__(self, strategies: Iterable[Strategy], observers: Iterable[object]) -> None:
        self.acting = [strategy_hooks(strategy) for strategy in strategies]
        self.watching = [(observer, observer_hooks(observer)) for observer in observers]
        self.heard: set[str] = set()

    def tell(self, hook: str, stopping: threading.Event, **what: Any) -> None:
        """Call a hook on everyone; ``stopping`` is set when an observer raises ``KeyboardInterrupt``.

        Raises:
            GANForgeError: a strategy failed.
            KeyboardInterrupt: an observer raised it where a stop had been asked for before: the second Ctrl-C.
        """
        self.heard.add(hook)
        for hooks in self.acting:
            if hook in hooks:
                hooks[hook](**what)
        for watcher in list(self.watching):
            observer, hooks = watcher
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
                name = getattr(observer, "__name__", None) or type(observer).__name__
                log.warning("observer '%s' failed in %s and is left out from here on: %s", name, hook, reason(error))
