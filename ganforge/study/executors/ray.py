"""Workers on a Ray cluster, by Ray's core alone: a run is an actor, which is given cores and GPUs on some machine.

An actor and not a task, since a task that was told to stop may say nothing any more, and a run saves first. Where its
machine dies the run goes on elsewhere from its last checkpoint: the one on the disk that all machines share, else the
last that was sent here.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import platform
import secrets
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ganforge import __version__
from ganforge.errors import GANForgeError, UsageError, reason
from ganforge.runs import create_run
from ganforge.study.executors.files import Sent, put
from ganforge.study.executors.local import LocalWorker, with_threads

RETRIES = 5  # machines lost in a row without a step done in between
POLL = 0.5  # seconds that an actor waits for something to tell
UNREACHED = 120.0  # seconds that an actor may not answer before its machine counts as lost
ANSWER = 10.0  # seconds for a cluster to answer
PASSED_ON = ("GANFORGE_", "KERAS_", "OMP_", "MKL_", "OPENBLAS_", "TF_NUM_")


class Host:
    """On the machine that a run was given to: starts its worker, and keeps what that says until it is asked for."""

    def __init__(self) -> None:
        self._said: list[dict[str, Any]] = []
        self._dropped = 0
        self._changed = threading.Condition()
        self._code: int | None = None
        self._worker: LocalWorker | None = None
        self._own: Path | None = None
        self._run: Path | None = None

    def begin(self, order: dict[str, Any]) -> dict[str, Any]:
        """Start the worker; return whether the runs directory is ``shared``, or what else is needed.

        ``order``: ``task``, ``environment``, ``folder`` and ``runs_dir`` (whole paths), ``mark`` (a file that is
        there where the runs directory is shared, or None where it counts as not), ``files`` of the run to resume or
        None, ``version`` and ``cpus``. The answer has ``files`` where they are missing, ``error`` where it cannot be.
        """
        task, node = {**order["task"], "settings": dict(order["task"]["settings"])}, platform.node()
        if order["version"] != __version__:
            why = f"{node} has GANForge {__version__} and this machine {order['version']}; expected the same version"
            return {"error": why}
        folder = order["folder"] if os.path.isdir(order["folder"]) else None
        shared = order["mark"] is not None and os.path.exists(order["mark"])
        if shared and folder is None:
            task["settings"]["runs_dir"] = order["runs_dir"]
        if shared and task["run"] is not None:
            task["run"] = str(Path(order["runs_dir"]) / Path(task["run"]).name)
        if not shared:
            if task["settings"].get("from_run"):
                return {"error": f"{node} cannot see {order['runs_dir']}, which has the run to start from (--from)"}
            if task["run"] is not None and order["files"] is None:
                return {"files": True}
            self._own = Path(tempfile.mkdtemp(prefix="ganforge-study-"))
            task["settings"]["runs_dir"] = str(self._own)
            if task["run"] is not None:
                run = self._own / Path(task["run"]).name
                run.mkdir()
                put(run, str(self._own), order["files"], order["files"])
                task["run"] = str(run)
        environment = with_threads({**os.environ, **order["environment"]}, order["cpus"])
        self._worker = LocalWorker(task, {**environment, **order["environment"]}, folder)
        threading.Thread(target=self._listen, daemon=True).start()
        return {"shared": shared}

    def poll(self, after: int) -> tuple[list[dict[str, Any]], int | None]:
        """Return what was said from ``after`` on, waiting a moment for it, and the exit code once that is all."""
        with self._changed:
            del self._said[: after - self._dropped]  # what came in need not be kept
            self._dropped = after
            self._changed.wait_for(lambda: bool(self._said) or self._code is not None, POLL)
            return list(self._said), self._code

    def interrupt(self, again: bool) -> None:
        """Have the worker save and end, or end at once."""
        if self._worker:
            self._worker.interrupt(again)

    def _listen(self) -> None:
        assert self._worker is not None
        code = 1
        try:
            code = self._pass_on(self._worker)
        except Exception as error:
            self._keep({"error": reason(error)})
            self._worker.interrupt(again=True)
        finally:
            if self._own:
                shutil.rmtree(self._own, ignore_errors=True)
            with self._changed:
                self._code = code
                self._changed.notify_all()

    def _pass_on(self, worker: LocalWorker) -> int:
        sent, run = Sent(), None
        for said in worker.reports():
            run = Path(said["run"]) if "run" in said else run
            self._keep(said)
            if self._own and run and sent.due(run):
                self._keep(sent.changed(run))
        code = worker.wait()
        if self._own and run:
            self._keep(sent.changed(run))
        return code

    def _keep(self, said: dict[str, Any]) -> None:
        with self._changed:
            self._said.append(said)
            self._changed.notify_all()


class RayWorker:
    """A run on the cluster, wherever it is at the moment."""

    def __init__(self, executor: RayExecutor, task: dict[str, Any]) -> None:
        self._executor, self._task = executor, dict(task)
        self._actor: Any = None
        self._running, self._shared, self._code = False, False, 1
        self._told: list[bool] = []
        self._run: Path | None = Path(task["run"]) if task["run"] else None
        self._step = -1

    def reports(self) -> Iterator[dict[str, Any]]:
        lost, reached = 0, -1
        while True:
            yield {"doing": "queued"}
            try:
                yield from self._follow()
                return
            except _Lost as error:
                lost = 1 if self._step > reached else lost + 1
                reached = max(reached, self._step)
                if self._told:  # at once, or with its machine: what was saved is there
                    self._code = 130
                    return
                if lost > RETRIES:
                    self._code = 1
                    yield {"error": f"its machine was lost {lost} times in a row before it trained a step: {error}"}
                    return
                self._task["run"] = str(self._run) if self._run else None
            finally:
                self._running = False
                self._end()

    def wait(self) -> int:
        return self._code

    def interrupt(self, again: bool) -> None:
        self._told.append(again)
        actor = self._actor
        if actor is not None and self._running and not again:
            actor.interrupt.remote(False)
        else:
            self._end()

    def _end(self) -> None:
        """Give the actor's place back; its worker ends with it."""
        import ray

        if (actor := self._actor) is not None:
            with suppress(Exception):
                ray.kill(actor)

    def _follow(self) -> Iterator[dict[str, Any]]:
        import ray

        if self._told:
            raise _Lost("stopped")
        ex, needs = self._executor, self._task["needs"]
        cpus, gpus = needs.get("cpus", 1), needs.get("gpus", ex.gpus)
        self._actor = ray.remote(Host).options(num_cpus=cpus, num_gpus=gpus, max_concurrency=4).remote()
        if self._told:  # between the two
            self._end()
        order = {**ex.order, "task": self._task, "cpus": cpus, "files": None}
        answer = self._ask("begin", order)
        if "files" in answer and self._run:
            answer = self._ask("begin", {**order, "files": Sent().changed(self._run)["files"]})
        if "error" in answer:
            self._code = 1
            yield {"error": answer["error"]}
            return
        self._shared = bool(answer["shared"])
        self._running = True
        if self._told:
            self._actor.interrupt.remote(False)
        after, code = 0, None
        while code is None:
            said, code = self._ask("poll", after)
            after += len(said)
            for one in said:
                yield from self._take(one)
        self._code = code

    def _take(self, said: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Pass on what was said, with this machine's path of the run; or take its files."""
        if "files" in said:
            runs_dir = self._executor.runs_dir
            self._run = self._run or create_run(runs_dir)
            put(self._run, str(runs_dir), said["files"], said["names"])
            yield {"run": str(self._run)}
            return
        self._step = max(self._step, said.get("step", -1))
        if "run" in said and self._shared:
            self._run = self._executor.runs_dir / Path(said["run"]).name
        elsewhere = {key: value for key, value in said.items() if key != "run"}
        yield {**elsewhere, "run": str(self._run)} if "run" in said and self._run else elsewhere

    def _ask(self, method: str, *words: Any) -> Any:
        """Call the actor and wait for its answer; what it was asked before it may be asked again."""
        import ray
        from ray import exceptions

        since = time.monotonic()
        while True:
            try:
                return ray.get(getattr(self._actor, method).remote(*words))
            except exceptions.ActorUnavailableError as error:
                if time.monotonic() - since > UNREACHED or method == "begin":
                    raise _Lost(reason(error)) from None
                time.sleep(1)
            except exceptions.RayTaskError as error:
                raise GANForgeError(reason(error.cause or error)) from None
            except exceptions.RayError as error:
                if "import" in str(error) and "Host" in str(error):
                    raise GANForgeError("GANForge is not installed on a machine of the cluster") from None
                raise _Lost(reason(error)) from None


class RayExecutor:
    """Starts workers on a Ray cluster: that at ``address``, else that of ``RAY_ADDRESS``, else one of this machine.

    ``shared`` false has runs sent back though the runs directory may be shared; without it, whoever sees that there
    writes there. ``gpus`` is what a run is given that does not ask for a number: one, where there are any.
    """

    def __init__(self, address: str, runs_dir: Path, shared: bool | None = None) -> None:
        require_ray(address)
        import ray
        from ray.exceptions import RaySystemError

        self.runs_dir = runs_dir
        self._began = not ray.is_initialized()
        if self._began:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # of a cluster that begins here
            try:
                ray.init(address or None, log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
            except (ConnectionError, RaySystemError, RuntimeError, ValueError) as error:
                raise GANForgeError(f"--on ray{f':{address}' * bool(address)}: {reason(error)}") from None
        self.gpus = 1 if ray.cluster_resources().get("GPU") else 0
        self._mark: Path | None = None
        if shared is not False:
            runs_dir.mkdir(parents=True, exist_ok=True)
            self._mark = (runs_dir / f".shared-{secrets.token_hex(8)}").absolute()
            self._mark.touch()
        self.order = {
            "folder": os.getcwd(),
            "runs_dir": str(runs_dir.absolute()),
            "mark": str(self._mark) if self._mark else None,
            "environment": {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)},
            "version": __version__,
        }

    def start(self, task: dict[str, Any], place: int) -> RayWorker:
        return RayWorker(self, task)

    def close(self) -> None:
        """Let go of the cluster; what still runs there saves and ends."""
        import ray

        if self._mark:
            self._mark.unlink(missing_ok=True)
        if self._began:
            ray.shutdown()


def require_ray(address: str) -> None:
    """Raise where Ray is missing, nobody is at the address, or it is one by which a cluster is reached from outside.

    Raises:
        UsageError: it is no address of a cluster's own machine.
        GANForgeError: Ray is not installed, or nothing answers.
    """
    if importlib.util.find_spec("ray") is None:
        raise GANForgeError("--on ray needs the ray extra: pip install 'ganforge[ray]'")
    address = address or os.environ.get("RAY_ADDRESS", "local")
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise UsageError(f"invalid --on ray:{address}: expected HOST:PORT or auto, on a machine of the cluster")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER).close()
    except (OSError, OverflowError) as error:  # Ray itself would ask for minutes
        raise GANForgeError(
            f"--on ray:{address}: nothing answers there ({reason(error, kind=False)}); expected a cluster's address, "
            "which ray start --head prints"
        ) from None


class _Lost(Exception):
    """The machine of a run is gone, or what was to run there."""
