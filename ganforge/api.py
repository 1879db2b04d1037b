"""The Python API: what the command line does, without the printing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from ganforge.errors import GANForgeError, UsageError
from ganforge.latent.of_run import LatentSpace
from ganforge.taking import RunToTake

if TYPE_CHECKING:
    from typing import Unpack

    import keras
    import numpy as np

    from ganforge.plugin.architecture import Architecture
    from ganforge.plugin.strategy import Strategy
    from ganforge.plugin.trust import PluginFile, PluginFiles
    from ganforge.showing.pictures import Pictures
    from ganforge.showing.results import Evaluation, Plan
    from ganforge.training.asked import ResumeSettings, TrainSettings


BLOCK = 64  # pictures that a generator draws at a time


@overload
def train(
    arch: str | Architecture | tuple[keras.Model, keras.Model] | None = None,
    balance: str | Strategy | Sequence[str | Strategy] | None = None,
    *,
    observers: Sequence[object] = (),
    progress: bool | None = None,
    dry_run: Literal[True],
    **settings: Unpack[TrainSettings],
) -> Plan: ...
@overload
def train(
    arch: str | Architecture | tuple[keras.Model, keras.Model] | None = None,
    balance: str | Strategy | Sequence[str | Strategy] | None = None,
    *,
    observers: Sequence[object] = (),
    progress: bool | None = None,
    dry_run: Literal[False] = False,
    **settings: Unpack[TrainSettings],
) -> Run: ...
def train(
    arch: str | Architecture | tuple[keras.Model, keras.Model] | None = None,
    balance: str | Strategy | Sequence[str | Strategy] | None = None,
    *,
    observers: Sequence[object] = (),
    progress: bool | None = None,
    dry_run: bool = False,
    **settings: Unpack[TrainSettings],
) -> Run | Plan:
    """Train a GAN and return its run.

    Args:
        arch: ``NAME`` or ``NAME:key=value,…``, as on the command line; an ``Architecture``; or two Keras models,
            ``(generator, discriminator)``, which are trained from the weights they have and hold the trained ones
            afterwards. Without it, what fits the data.
        balance: strategies, by name or as objects, in the order they compose; ``none`` for none where the
            architecture recommends some.
        observers: objects whose ``hookimpl`` methods (``step_ended``, ``epoch_ended``, …) are told what happens, and
            Keras callbacks. They may stop the run: ``run.stop()``, of what ``run_started`` is given.
        progress: false shows nothing while it trains; else it is a line on stderr, and in a notebook the grid and the
            curves.
        dry_run: train nothing, and return what would be trained.
        settings: any field of ``ganforge.training.config.TrainConfig``, named as its flag is: ``data``, ``epochs``,
            ``loss``, ``optimizer``, ``discriminator_optimizer``, ``ema``, ``log``, ``seed``, … ``data`` may be an
            array, ``loss`` a ``Loss`` or a Keras loss on logits (told 1 for real, 0 for fake), ``optimizer`` a Keras
            optimizer or two: each network trains with a new one of its settings.
            ``from_run``, the command line's ``--from``, is a run to begin with, its directory or its name.

    Raises:
        UsageError: a name, option, value or object is wrong, or an observer would never be called.
        GANForgeError: the data cannot be read, or the run cannot be written.

    Example:
        >>> run = ganforge.train("dcgan:width=32", "noise-anneal", data="photos", epochs=20)  # doctest: +SKIP
        >>> run.sample(16).shape  # doctest: +SKIP
        (16, 64, 64, 3)
        >>> run = ganforge.train((generator, discriminator), data=array, loss=my_loss)  # doctest: +SKIP
    """
    from ganforge.plugin.trust import given, remember
    from ganforge.plugin.validation import check_observers
    from ganforge.showing.following import decoding, follow
    from ganforge.showing.results import Plan
    from ganforge.training.config import TrainConfig, in_python
    from ganforge.training.objects import take
    from ganforge.training.setup import Setup
    from ganforge.training.trainer import Trainer

    with in_python():
        observers = check_observers(observers)  # before the pictures are read
        if isinstance(settings.get("from_run"), Run):
            settings["from_run"] = settings["from_run"].path.resolve()
        values, objects = take({"arch": arch, "balance": balance, **settings})
        config = TrainConfig.of(values)
        files = given(config.plugins)  # whoever calls this gives them
        remember(files)
        with objects.left_trainable():
            with decoding(progress) as read:
                setup = Setup.new(config, read, plugins=files, objects=objects)
            return Plan(setup) if dry_run else Run(follow(Trainer(setup), observers, progress).run)


class Run(LatentSpace, RunToTake):
    """A run on disk: look at it, measure it, draw from it, train it further. A notebook shows it.

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

    def latents(
        self, n: int = 1, seed: int = 0, *, truncation: float = 1.0, seeds: Sequence[int] | None = None
    ) -> np.ndarray:
        """Return what ``sample`` draws its pictures from, normal, float32 (n, latent_dim).

        ``truncation`` in [0, 1] scales them towards 0 (see ``ganforge.media.latents.truncated``). ``seeds`` take the
        place of ``n`` and ``seed``: one latent each, the first of that seed.
        """
        import numpy as np

        from ganforge.engine.randomness import fixed_latents
        from ganforge.media.latents import truncated

        latent_dim = self.config.latent_dim or 0
        if seeds is None:
            return truncated(fixed_latents(n, latent_dim, seed, "samples"), truncation)
        if not len(seeds):
            raise UsageError("seeds is empty; expected one for each picture, such as range(100)")
        each = [fixed_latents(1, latent_dim, one, "samples") for one in seeds]
        return truncated(np.concatenate(each), truncation)

    def sample(
        self,
        n: int = 1,
        seed: int = 0,
        class_name: str | None = None,
        *,
        truncation: float = 1.0,
        seeds: Sequence[int] | None = None,
    ) -> Pictures:
        """Return ``n`` new pictures, uint8 (n, H, W, C), or vectors, float32 (n, D); the same ones for one seed.

        Pictures are an array that has ``show()`` and ``save(path)``, and that a notebook shows.

        ``class_name`` is one of ``classes``; without it a conditional generator draws of each in turn. ``truncation``
        and ``seeds`` are those of ``latents``: with ``seeds`` each picture is the first of its seed.

        Raises:
            UsageError: ``truncation`` is not in [0, 1], ``seeds`` is empty, or there is no such class.
        """
        period = None if seeds is None else 1
        return self.decode(self.latents(n, seed, truncation=truncation, seeds=seeds), class_name, period)

    def samples(
        self, n: int, seed: int = 0, class_name: str | None = None, *, truncation: float = 1.0
    ) -> Iterator[np.ndarray]:
        """Yield what ``sample`` returns in parts of 64 and fewer, as they are drawn: many do not fit in memory."""
        return self.decoded(self.latents(n, seed, truncation=truncation), class_name)

    def interpolate(
        self,
        frames: int = 60,
        n: int = 16,
        seed: int = 0,
        class_name: str | None = None,
        *,
        truncation: float = 1.0,
    ) -> Pictures:
        """Return a walk between latents, uint8 (frames, n, H, W, C), that ends where it began; or of vectors.

        Four stations, spherical interpolation between them (White 2016).
        """
        import numpy as np

        from ganforge.media.latents import spherical

        latent_dim, stations = self.config.latent_dim or 0, 4
        ends = self.latents(stations * n, seed, truncation=truncation).reshape(stations, n, latent_dim)
        ends = np.concatenate([ends, ends[:1]])
        walk = []
        for frame in range(frames):
            leg, t = divmod(frame * stations / frames, 1.0)
            walk.append([spherical(a, b, t) for a, b in zip(ends[int(leg)], ends[int(leg) + 1])])
        pictures = self.decode(np.asarray(walk, dtype=np.float32).reshape(frames * n, latent_dim), class_name, n)
        return pictures.reshape(frames, n, *pictures.shape[1:]).view(type(pictures))

    def decode(self, latents: np.ndarray, class_name: str | None = None, period: int | None = None) -> Pictures:
        """Return the pictures of given latents, float32 (n, latent_dim) -> uint8 (n, H, W, C); or vectors, (n, D).

        Classes take turns with the latents where ``class_name`` is not given, from the first one again after each
        ``period`` latents.
        """
        import numpy as np

        from ganforge.showing.pictures import Pictures

        result: np.ndarray | None = None
        at = 0
        for part in self.decoded(latents, class_name, period):
            if result is None:
                result = np.empty((len(latents), *part.shape[1:]), part.dtype)
            result[at : at + len(part)] = part
            at += len(part)
        assert result is not None, "no latents"
        return result.view(Pictures)

    def decoded(
        self, latents: np.ndarray, class_name: str | None = None, period: int | None = None
    ) -> Iterator[np.ndarray]:
        """Yield what ``decode`` returns in parts of 64 and fewer, as they are drawn."""
        from ganforge.errors import out_of_memory, reason
        from ganforge.media.grids import drawn
        from ganforge.media.latents import labels_of

        labels = labels_of(len(latents), self.classes, class_name, period, self.id)
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

    # ------------------------------------------------------------------ what the commands do

    def evaluate(
        self,
        samples: int | None = None,
        seed: int = 0,
        *,
        features: str = "random",
        data: str | None = None,
        inception: str | Path | None = None,
        progress: bool | None = None,
    ) -> Evaluation:
        """Measure what its generator makes, store it as ``evaluation.json`` and return it, a dict that shows itself.

        Args and errors as ``ganforge.study.evaluate.evaluate`` has them; ``progress`` false says nothing meanwhile.
        """
        from ganforge.showing.following import saying
        from ganforge.showing.results import Evaluation
        from ganforge.study.evaluate import evaluate
        from ganforge.study.in_words import rows
        from ganforge.training.config import in_python

        network = None if inception is None else Path(inception)
        with in_python(), saying(progress) as say:
            found = evaluate(self, samples, seed, network, say, features=features, data=data)
        title = f"{self.id} at step {found['step']:,}, {found['samples']:,} samples"
        return Evaluation(found, title, rows(found))

    def resume(
        self,
        epochs: int | None = None,
        observers: Sequence[object] = (),
        *,
        progress: bool | None = None,
        **changes: Unpack[ResumeSettings],
    ) -> Run:
        """Carry on from the last checkpoint, to ``epochs`` in all when given, and return the run.

        ``observers`` and ``progress`` are those of ``train``. ``changes``: ``balance``, ``backend``, ``devices``,
        ``data``, ``data_changed``, ``on_nan``, ``stop_when``, ``learning_rate``, ``ema``, ``log``,
        ``snapshot_every`` and ``plugins``, as the flags of ``ganforge resume``. A run that began with objects in
        place of names is given them back, as ``arch``, ``loss``, ``optimizer``, ``discriminator_optimizer`` or
        ``balance``; what is plain Keras need not be.

        Raises:
            UsageError: ``epochs`` is no more than what is trained already, or an observer would never be called.
            GANForgeError: see ``ganforge.training.resume.resume``.
        """
        from ganforge.plugin.validation import check_observers
        from ganforge.showing.following import decoding, follow
        from ganforge.training.config import in_python
        from ganforge.training.objects import take
        from ganforge.training.objects.back import require_same_names
        from ganforge.training.resume import resume

        with in_python():
            observers = check_observers(observers)
            values, objects = take({"plugins": self._plugins, **changes})
            if isinstance(values.get("balance"), str):
                values["balance"] = (values["balance"],)
            rest = require_same_names(values, self.manifest["config"], self.id)
            with objects.left_trainable():
                with decoding(progress) as read:
                    trainer = resume(self.path, epochs=epochs, objects=objects, progress=read, **rest)
                follow(trainer, observers, progress)
        self._generator = None
        return self
