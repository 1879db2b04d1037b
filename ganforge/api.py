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
            ``(generator, discriminator)``, which are trained starting from their current weights and hold the
            trained weights afterwards. By default, an architecture that suits the data.
        balance: strategies, by name or as objects, applied in this order; ``none`` turns off those that the
            architecture recommends.
        observers: objects with ``hookimpl`` methods (``step_ended``, ``epoch_ended``, …), which are called during
            the run, or Keras callbacks. An observer can stop the run with ``run.stop()``; ``run_started`` receives
            ``run``.
        progress: False shows nothing during training. Otherwise a line on stderr shows the progress, or in a
            notebook the grid and the curves.
        dry_run: train nothing; return what would be trained.
        settings: any field of ``ganforge.training.config.TrainConfig``, named like its flag: ``data``, ``epochs``,
            ``loss``, ``optimizer``, ``discriminator_optimizer``, ``ema``, ``log``, ``seed``, … ``data`` may be an
            array. ``loss`` may be a ``Loss`` or a Keras loss on logits (its labels are 1 for real and 0 for fake).
            ``optimizer`` may be a Keras optimizer, or one for each network; each network gets a new optimizer with
            the same settings. ``from_run`` is ``--from`` on the command line: the run to start from, by directory
            or name.

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
    """A run on disk: inspect it, evaluate it, draw samples from it, train it further. A notebook displays it.

    Args:
        path: a run directory, or a name such as ``run_12`` or ``latest`` in ``runs_dir``.
        runs_dir: where runs are kept. By default ``GANFORGE_RUNS_DIR``, or ``runs`` if that is not set.
        plugins: Python files with layers that the generator needs, in addition to the run's own plugins.

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
        """Return the trained generator: (B, latent_dim) -> (B, H, W, C) in [-1, 1], or (B, D) for vectors.

        A conditional generator takes class labels too: [(B, latent_dim), (B,) int32].

        Raises:
            GANForgeError: the run has no generator yet, or it cannot be opened.
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
        """Return the plugin files that the run may load: those given now, and recorded ones that are still trusted.

        A recorded file is trusted if it was given on this machine before and has not changed.
        """
        from ganforge.plugin.trust import given, plugin_files

        return plugin_files(self.path, self.manifest, given(self._plugins))

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the training data in the order of their labels; empty if the generator takes no labels."""
        return tuple(self.manifest["data"].get("classes", ()))

    def latents(
        self, n: int = 1, seed: int = 0, *, truncation: float = 1.0, seeds: Sequence[int] | None = None
    ) -> np.ndarray:
        """Return the latents that ``sample`` uses: standard normal, float32 (n, latent_dim).

        ``truncation`` in [0, 1] scales them towards 0 (see ``ganforge.media.latents.truncated``). ``seeds`` replaces
        ``n`` and ``seed``: it gives one latent per seed, the first of that seed.

        Raises:
            UsageError: ``truncation`` is not in [0, 1], or ``seeds`` is empty.
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
        """Return ``n`` new pictures, uint8 (n, H, W, C), or vectors, float32 (n, D).

        The same seed gives the same pictures. Their array has the methods ``show()`` and ``save(path)``, and a
        notebook displays it.

        ``class_name`` is one of ``classes``; without it, a conditional generator draws the classes in turn.
        ``truncation`` and ``seeds`` are those of ``latents``: with ``seeds``, each picture is the first of its seed.

        Raises:
            UsageError: ``truncation`` is not in [0, 1], ``seeds`` is empty, or there is no such class.
        """
        period = None if seeds is None else 1
        return self.decode(self.latents(n, seed, truncation=truncation, seeds=seeds), class_name, period)

    def samples(
        self, n: int, seed: int = 0, class_name: str | None = None, *, truncation: float = 1.0
    ) -> Iterator[np.ndarray]:
        """Yield what ``sample`` returns in parts of at most 64, for numbers that do not fit in memory."""
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
        """Return a closed walk through the latent space, uint8 (frames, n, H, W, C), or float32 (frames, n, D).

        It passes through four latents, with spherical interpolation between them (White 2016, "Sampling Generative
        Networks").

        Raises:
            UsageError: ``truncation`` is not in [0, 1], or there is no such class.
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

        Without ``class_name``, a conditional generator draws the classes in turn, starting again with the first
        class after every ``period`` latents.

        Raises:
            UsageError: there is no such class.
            GANForgeError: the generator cannot be opened, or fails.
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
        """Yield what ``decode`` returns in parts of at most 64."""
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
                raise GANForgeError(f"the generator.keras of {self.id} cannot draw: {reason(error)}") from error
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
        """Measure the quality of the generator, store the result as ``evaluation.json`` and return it as a dict.

        ``progress=False`` shows nothing meanwhile. For the arguments and errors, see
        ``ganforge.study.evaluate.evaluate``.
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
        """Continue from the last checkpoint, up to ``epochs`` in total if given, and return the run.

        ``observers`` and ``progress`` are those of ``train``. ``changes`` are the flags of ``ganforge resume``:
        ``balance``, ``backend``, ``devices``, ``data``, ``data_changed``, ``on_nan``, ``stop_when``,
        ``learning_rate``, ``ema``, ``log``, ``snapshot_every`` and ``plugins``. If the run was trained with objects
        instead of names, pass them again as ``arch``, ``loss``, ``optimizer``, ``discriminator_optimizer`` or
        ``balance``; plain Keras objects are restored without that.

        Raises:
            UsageError: the run has trained ``epochs`` epochs already, or an observer would never be called.
            GANForgeError: nothing is left to train, the checkpoints are damaged, the pictures have changed, or
                another process is training this run.
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
