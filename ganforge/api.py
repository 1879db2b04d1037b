"""The Python API: what the command line does, without the printing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.errors import GANForgeError

if TYPE_CHECKING:
    import keras
    import numpy as np

    from ganforge.plugin.trust import PluginFile, PluginFiles
    from ganforge.runs.snapshots import Grid
    from ganforge.training.config import TrainConfig


BLOCK = 64  # pictures that a generator draws at a time


def train(
    arch: str | None = None,
    balance: str | Sequence[str] | None = None,
    *,
    observers: Sequence[object] = (),
    **settings: Any,
) -> Run:
    """Train a GAN and return its run.

    Args:
        arch: ``NAME`` or ``NAME:key=value,…``, as on the command line; without it, what fits the data.
        balance: strategies, in the order they compose; ``none`` for none where the architecture recommends some.
        observers: objects whose ``hookimpl`` methods (``step_ended``, ``epoch_ended``, …) are told what happens.
        settings: any field of ``ganforge.training.config.TrainConfig``, named as its flag is: ``data``, ``epochs``,
            ``loss``, ``optimizer``, ``discriminator_optimizer``, ``ema``, ``log``, ``seed``, …

    Raises:
        UsageError: a name, option or value will not do, or an observer would never be called.
        GANForgeError: the data cannot be read, or the run cannot be written.

    Example:
        >>> run = ganforge.train("dcgan:width=32", "noise-anneal", data="photos", epochs=20)  # doctest: +SKIP
        >>> run.sample(16).shape  # doctest: +SKIP
        (16, 64, 64, 3)
    """
    from ganforge.plugin.trust import given, remember
    from ganforge.plugin.validation import check_observers
    from ganforge.training.config import TrainConfig
    from ganforge.training.setup import Setup
    from ganforge.training.trainer import Trainer

    observers = check_observers(observers)  # before the pictures are read
    config = TrainConfig.of({"arch": arch, "balance": balance, **settings})
    files = given(config.plugins)  # whoever calls this gives them
    remember(files)
    return Run(Trainer(Setup.new(config, plugins=files)).run(observers).run)


class Run:
    """A run on disk: read it, draw from it, train it further.

    Args:
        path: a run directory, or a name such as ``run_12`` or ``latest`` in ``runs_dir``.
        runs_dir: where runs are kept; without it ``GANFORGE_RUNS_DIR``, else ``runs``.
        plugins: Python files that bring layers the generator needs, besides those the run was trained with.

    Raises:
        GANForgeError: there is no such run.
    """

    def __init__(
        self, path: str | Path, runs_dir: str | Path | None = None, plugins: Sequence[str | PluginFile] = ()
    ) -> None:
        from ganforge.files import default_runs_dir
        from ganforge.runs import find_run

        self.path = find_run(path, Path(default_runs_dir() if runs_dir is None else runs_dir))
        self._plugins = tuple(plugins)
        self._generator: keras.Model | None = None

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def id(self) -> str:
        """The directory's name, such as ``run_12``."""
        return self.path.name

    @property
    def manifest(self) -> dict[str, Any]:
        """Everything in ``run.json``."""
        from ganforge.runs import read_manifest

        return read_manifest(self.path)

    @property
    def config(self) -> TrainConfig:
        """The settings it was trained with, all filled in."""
        from ganforge.training.config import read_config

        return read_config(self.path)

    @property
    def state(self) -> str:
        """``running``, ``finished``, ``stopped``, ``failed``, or ``killed`` where it was running and no longer is."""
        from ganforge.runs import run_state

        return run_state(self.path, self.manifest)

    def metrics(self) -> list[dict[str, Any]]:
        """Return the logged lines of ``metrics.jsonl``, oldest first."""
        from ganforge.runs import read_metrics

        return read_metrics(self.path)

    def snapshots(self) -> list[Grid]:
        """Return (epoch, path) of each saved grid, oldest first; the epoch is a fraction for one saved within it."""
        from ganforge.runs import list_snapshots

        return list_snapshots(self.path)

    def generator(self) -> keras.Model:
        """Return the trained generator: (B, latent_dim) -> (B, H, W, C) in [-1, 1], or (B, D).

        Raises:
            GANForgeError: the run has none yet, or it cannot be opened.
        """
        if self._generator is None:
            from ganforge.backend import choose_backend

            path = self.path / "generator.keras"
            if not path.is_file():
                raise GANForgeError(
                    f"{self.id} has no generator.keras yet; it is saved when training ends or stops: "
                    f"ganforge resume {self.id}"
                )
            choose_backend(None)
            from ganforge.plugin.registry import load_plugins
            from ganforge.training.saved_generator import open_generator

            files = self.plugin_files()
            load_plugins(files.load)  # an architecture may bring layers of its own
            manifest = self.manifest
            try:
                shape, latent_dim = manifest["image_shape"], manifest["config"]["latent_dim"]
                self._generator = open_generator(path, shape, latent_dim, len(self.classes))
            except GANForgeError as error:
                hint = f" ({'; '.join(files.refused)})" if files.refused else ""
                raise GANForgeError(f"{error}{hint}") from error
        return self._generator

    def plugin_files(self) -> PluginFiles:
        """Return the plugin files that it may load: those given, and recorded ones that are known and unchanged."""
        from ganforge.plugin.trust import given, plugin_files

        return plugin_files(self.path, self.manifest, given(self._plugins))

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes a conditional generator was trained on, in the order of their labels; else none."""
        return tuple(self.manifest["data"].get("classes", ()))

    def sample(self, n: int = 1, seed: int = 0, class_name: str | None = None) -> np.ndarray:
        """Return ``n`` new pictures, uint8 (n, H, W, C), or vectors, float32 (n, D); the same ones for one seed.

        ``class_name`` is one of ``classes``; without it a conditional generator draws of each in turn.
        """
        from ganforge.engine.randomness import fixed_latents

        return self.decode(fixed_latents(n, self.config.latent_dim or 0, seed, "samples"), class_name)

    def samples(self, n: int, seed: int = 0, class_name: str | None = None) -> Iterator[np.ndarray]:
        """Yield what ``sample`` returns in parts of 64 and fewer, as they are drawn: many do not fit in memory."""
        from ganforge.engine.randomness import fixed_latents

        return self._decoded(fixed_latents(n, self.config.latent_dim or 0, seed, "samples"), class_name)

    def interpolate(self, frames: int = 60, n: int = 16, seed: int = 0, class_name: str | None = None) -> np.ndarray:
        """Return a walk between latents, uint8 (frames, n, H, W, C), that ends where it began; or of vectors.

        Four stations, spherical interpolation between them (White 2016).
        """
        import numpy as np

        from ganforge.engine.randomness import fixed_latents
        from ganforge.media.latents import spherical

        latent_dim, stations = self.config.latent_dim or 0, 4
        ends = fixed_latents(stations * n, latent_dim, seed, "samples").reshape(stations, n, latent_dim)
        ends = np.concatenate([ends, ends[:1]])
        walk = []
        for frame in range(frames):
            leg, t = divmod(frame * stations / frames, 1.0)
            walk.append([spherical(a, b, t) for a, b in zip(ends[int(leg)], ends[int(leg) + 1])])
        pictures = self.decode(np.asarray(walk, dtype=np.float32).reshape(frames * n, latent_dim), class_name, n)
        return pictures.reshape(frames, n, *pictures.shape[1:])

    def decode(self, latents: np.ndarray, class_name: str | None = None, period: int | None = None) -> np.ndarray:
        """Return the pictures of given latents, float32 (n, latent_dim) -> uint8 (n, H, W, C); or vectors, (n, D).

        Classes take turns with the latents where ``class_name`` is not given, from the first one again after each
        ``period`` latents.
        """
        import numpy as np

        result: np.ndarray | None = None
        at = 0
        for part in self._decoded(latents, class_name, period):
            if result is None:
                result = np.empty((len(latents), *part.shape[1:]), part.dtype)
            result[at : at + len(part)] = part
            at += len(part)
        assert result is not None, "no latents"
        return result

    def _decoded(
        self, latents: np.ndarray, class_name: str | None = None, period: int | None = None
    ) -> Iterator[np.ndarray]:
        from ganforge.errors import out_of_memory, reason
        from ganforge.media.grids import drawn

        labels = self._labels(len(latents), class_name, period)
        model = self.generator()  # chooses the backend, before anything imports Keras
        from ganforge.engine.backends import make_adapter

        generate = make_adapter(model.variables).inference(model)
        inputs = [latents, *labels]
        for i in range(0, len(latents), BLOCK):
            try:
                outputs = generate(*(x[i : i + BLOCK] for x in inputs))
            except Exception as error:  # whatever a network from anywhere makes of latents and labels
                if out_of_memory(error):
                    raise
                raise GANForgeError(f"{self.id}'s generator.keras draws nothing: {reason(error)}") from error
            yield drawn(outputs)

    def _labels(self, n: int, class_name: str | None, period: int | None) -> list[np.ndarray]:
        """Return what the generator takes besides latents: class labels where it is conditional, else nothing."""
        import numpy as np

        from ganforge.errors import UsageError, closest

        classes = self.classes
        if not classes:
            if class_name is not None:
                raise UsageError(f"{self.id} knows no classes: its architecture takes no labels")
            return []
        if class_name is None:
            return [(np.arange(n) % (period or n) % len(classes)).astype(np.int32)]
        if class_name not in classes:
            raise UsageError(
                f"{self.id} has no class '{class_name}'; expected {', '.join(classes)}.{closest(class_name, classes)}"
            )
        return [np.full(n, classes.index(class_name), np.int32)]

    def make_gif(self, output: str | Path | None = None, *, every: int = 1, **settings: Any) -> Path:
        """Make an animation of what the same latents became; the suffix decides gif, webp, png or mp4.

        ``settings``: ``fps`` (8), ``scale`` (1), ``hold`` in seconds (2) and ``caption`` (True).

        Raises:
            GANForgeError: the run has no snapshots.
        """
        from ganforge.runs.progression import make_progression

        return make_progression(self.path, Path(output) if output else None, every=every, **settings)

    def resume(self, epochs: int | None = None, observers: Sequence[object] = (), **changes: Any) -> Run:
        """Carry on from the last checkpoint, to ``epochs`` in all when given, and return the run.

        ``changes``: ``balance``, ``backend``, ``data``, ``data_changed``, ``on_nan`` and ``plugins``, as the flags of
        ``ganforge resume``.

        Raises:
            UsageError: ``epochs`` is no more than what is trained already, or an observer would never be called.
            GANForgeError: see ``ganforge.training.resume.resume``.
        """
        from ganforge.plugin.validation import check_observers
        from ganforge.training.resume import resume

        observers = check_observers(observers)
        if isinstance(changes.get("balance"), str):
            changes["balance"] = (changes["balance"],)
        changes.setdefault("plugins", self._plugins)
        resume(self.path, epochs=epochs, **changes).run(observers)
        self._generator = None
        return self
