"""``evaluation.json``: the metrics of a finished or stopped run, computed from pictures that its generator draws."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganforge.errors import GANForgeError, UsageError, reason
from ganforge.files import MIB, own, read_file, require_file, write_json
from ganforge.runs import read_history
from ganforge.runs.evaluation import FORMAT, NAME

if TYPE_CHECKING:
    from ganforge import Run
    from ganforge.metrics.sides import Sides
    from ganforge.plugin.dataset import Images
    from ganforge.plugin.options import Options

# By 1,280 features a Fréchet distance of fewer pictures is mostly their number.
SAMPLES, IMAGENET_SAMPLES = 2048, 5000
# Of a run that is told the class, so many pictures of each are read, where there are not too many classes.
OF_A_CLASS, MOST_ASKED = 100, 100


def evaluate(
    run: Run,
    samples: int | None = None,
    seed: int = 0,
    inception: Path | None = None,
    progress: Callable[[str], None] | None = None,
    *,
    features: str = "random",
    data: str | None = None,
) -> dict[str, Any]:
    """Measure a run, store the result as ``evaluation.json`` in it and return it.

    Args:
        samples: number of pictures, or vectors, to draw. By default 2,048, or 5,000 with ``features="imagenet"``; for
            the modes of ``--data stacked``, 26 per mode, at most 26,000. A distance compares as many of them with
            as many real pictures, and its floor two such sets of real pictures, so each set is at most half of the
            training pictures. For vectors, only diversity, the modes of ``--data gaussians``, balance and cost are
            measured.
        seed: random seed of the latents and of the choice of real pictures.
        inception: also compute FID and KID as published, with this TorchScript file; see
            ``ganforge.metrics.inception``.
        progress: called with the name of each metric before it is measured.
        features: ``random`` for KID from a random network only; ``imagenet`` also for Fréchet distance, KID,
            precision, recall, density and coverage from an ImageNet network, see ``ganforge.metrics.imagenet``.
        data: held-out pictures to compare with instead of the training pictures, like ``--data`` of ``train``.

    Raises:
        UsageError: ``inception``, ``data`` or ``imagenet`` is given for vectors; ``data`` names the training
            pictures; there are no such features.
        GANForgeError: the run has no generator yet, its pictures have changed, or a file cannot be used (checked
            before anything is measured). Or a metric failed: the rest is stored, and ``failed`` says what and why.
    """
    from ganforge.data.settings import parse_background
    from ganforge.metrics.balance import balance
    from ganforge.metrics.cost import cost
    from ganforge.metrics.critters import critter_coverage
    from ganforge.metrics.diversity import diversity
    from ganforge.metrics.features import NAME as RANDOM
    from ganforge.metrics.features import features as random_features
    from ganforge.metrics.imagenet import require_imagenet
    from ganforge.metrics.kid import kid
    from ganforge.metrics.memorising import memorising
    from ganforge.metrics.sides import choose_sides
    from ganforge.metrics.swd import swd
    from ganforge.metrics.tone import tone
    from ganforge.metrics.transparency import over

    def say(what: str) -> None:
        if progress:
            progress(what)

    # What can be wrong is looked at first: the rest takes minutes.
    require_file(run.path / NAME)
    manifest = run.manifest
    vectors = len(manifest["image_shape"]) == 1
    if features not in ("random", "imagenet"):
        raise UsageError(f"invalid features '{features}': expected random or imagenet")
    imagenet = features == "imagenet"
    asked = {"--inception": inception is not None, "--features imagenet": imagenet, "--data": data is not None}
    for option, given in asked.items():
        if vectors and given:
            raise UsageError(f"{option} is for pictures; {run.id} makes vectors")
    if inception is not None:
        require_inception(inception)
    if imagenet:
        require_imagenet()
    say("vectors" if vectors else "pictures")
    training = training_images(run)
    held_out = None if data is None else held_out_images(run, data)
    fake = np.asarray(run.sample(samples or (IMAGENET_SAMPLES if imagenet else SAMPLES), seed=seed))
    sides = choose_sides(training, fake, seed, held_out)
    real, other = sides.real, sides.other
    # What looks at colours sees pictures with transparency on the run's background.
    colour = parse_background(run.config.background)
    flat = sides.map(lambda pictures: over(pictures, colour))

    def measure_swd() -> dict[str, Any]:
        return {**swd(real, sides.fake), "floor": None if other is None else swd(real, other)["mean"]}

    def measure_tone() -> dict[str, Any]:
        floor = None if flat.other is None else tone(flat.real, flat.other)["distance"]
        return {**tone(flat.real, flat.fake), "floor": floor}

    def measure_kid() -> dict[str, Any]:
        seen = random_features(flat.real)
        value, error = kid(seen, random_features(flat.fake))
        floor = None if flat.other is None else kid(seen, random_features(flat.other))[0]
        return {"value": value, "error": error, "floor": floor, "features": RANDOM}

    def measure_diversity() -> dict[str, Any]:
        few = min(len(real), 200)
        mine, theirs = diversity(sides.fake[:few]), diversity(real[:few])
        return {**mine, "real_mean": theirs["mean"], "real_nearest": theirs["nearest"]}

    measures: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {"spread": ("diversity", measure_diversity)}
    source = manifest["config"]["data"].partition(":")[0]
    if not vectors:
        measures = {
            "swd": ("sliced Wasserstein distance", measure_swd),
            "tone": ("brightness, contrast and colour", measure_tone),
            "kid": ("kernel distance", measure_kid),
            **measures,
            "memorising": ("memorising", lambda: memorising(fake, training)),
        }
    if source == "gaussians":
        measures["modes"] = ("modes of the mixture", lambda: mixture_modes(run, fake))
    if source == "stacked":
        measures["modes"] = ("modes of the stacks", lambda: stacked_modes(run, samples, seed))
    if source == "critters":
        measures["critters"] = ("modes of the critters", lambda: critter_coverage(fake))
    measures["gap"] = ("balance", lambda: balance(read_history(run.path)))
    measures["cost"] = ("cost", lambda: cost(manifest))
    if imagenet:
        known = {"known_to_discriminator": True} if looks_through_imagenet(run) else {}
        measures["imagenet"] = ("FD by an ImageNet network", lambda: {**imagenet_scores(flat), **known})
    if inception is not None:
        # Of training pictures there are both sides; held-out ones are one side, and training pictures the other.
        every = over(fake, colour)
        pair = (flat.all_real[: len(fake)], every) if held_out is None else (flat.real, flat.fake)
        measures["inception"] = ("FID", lambda: inception_scores_of(*pair, inception))
    result: dict[str, Any] = {
        "format": FORMAT,
        "step": manifest["progress"]["step"],
        "samples": len(fake),
        "real": len(real),
        "seed": seed,
        "reference": {
            "held_out": data is not None,
            "data": data or manifest["config"]["data"],
            "pictures": len(training if held_out is None else held_out),
        },
    }
    failed: dict[str, str] = {}
    for name, (what, measure) in measures.items():
        say(what)
        if name in ("imagenet", "inception"):  # the longest, and what takes most memory: the rest is safe before
            write_json(run.path / NAME, result)
        try:
            result[name] = measure()
        except Exception as error:
            failed[name] = f"{what}: {reason(error)}"
    if failed:
        result["failed"] = failed
    write_json(run.path / NAME, result)
    if failed:
        raise GANForgeError(
            f"some metrics of {run.id} failed ({'; '.join(failed.values())}); the rest is in {run.path / NAME}"
        )
    if not vectors:
        draw_nearest(run.path / "nearest.png", fake, training)
    return result


def require_inception(weights: Path) -> None:
    """Raise ``GANForgeError`` if FID cannot be measured with a file, as far as can be told without pictures."""
    if not weights.is_file():
        raise GANForgeError(f"--inception {weights}: there is no such file; expected a TorchScript network")
    import torch

    try:
        torch.jit.load(str(weights), map_location="cpu")
    except Exception as error:
        why = reason(error).partition(". ")[0]  # torch goes on with advice of its own
        raise GANForgeError(f"--inception {weights} cannot be used: {why}; expected a TorchScript file") from None


def inception_scores_of(real: np.ndarray, fake: np.ndarray, weights: Path) -> dict[str, Any]:
    """Return FID and KID by the network in ``weights``; see ``ganforge.metrics.inception``."""
    from ganforge.metrics.inception import inception_scores

    require_inception(weights)
    return inception_scores(real, fake, weights)


def imagenet_scores(sides: Sides) -> dict[str, Any]:
    """Return scores by an ImageNet network; the features of real pictures are kept beside the picture cache."""
    from ganforge.data.kept import kept_rows
    from ganforge.metrics.imagenet import VERSION, WIDTH, features, scores

    real = kept_rows(sides.real, VERSION, WIDTH, features)
    other = None if sides.other is None else kept_rows(sides.other, VERSION, WIDTH, features)
    counts = {"real": len(sides.real), "generated": len(sides.fake)}
    return {**scores(real, features(sides.fake), other), **counts}


def looks_through_imagenet(run: Run) -> bool:
    """Say whether the run's discriminator contains the network that ``imagenet_scores`` uses."""
    from ganforge.metrics.imagenet import NAME

    try:
        layers = read_file(own(run.path, "architecture.txt"), MIB).decode(errors="replace")
    except (OSError, GANForgeError):  # an older run, or one from elsewhere
        return False
    return NAME.replace("-", "_") in layers.partition("Discriminator")[2]


def mixture_modes(run: Run, points: np.ndarray) -> dict[str, Any]:
    """Return which modes of ``--data gaussians`` the points cover, and how often a rare one comes, of its share."""
    from ganforge.data.gaussians import GaussianOptions, mixture, shares
    from ganforge.metrics.modes import mode_coverage

    options = _source_options(run)
    assert isinstance(options, GaussianOptions)
    probable = shares(options)
    found = mode_coverage(points, *mixture(options), probable)
    if options.rare < 1:
        found["rare"] = found["counts"][0] / max(sum(found["counts"]), 1) / probable[0]
    return found


def stacked_modes(run: Run, samples: int | None, seed: int) -> dict[str, Any]:
    """Return which modes a run on ``--data stacked`` covers; see ``ganforge.metrics.stacked``."""
    from ganforge.metrics.stacked import StackedModes

    known = StackedModes.of(_source_options(run), run.manifest["image_shape"])
    found = known.measure(run.samples(samples or known.samples, seed=seed))
    if run.classes and known.modes <= MOST_ASKED:
        found["asked"] = {
            name: known.share_of(k, run.sample(OF_A_CLASS, seed=seed, class_name=name))
            for k, name in enumerate(run.classes)
        }
    return found


def _source_options(run: Run) -> Options:
    from ganforge.plugin.registry import load_plugins

    return load_plugins(run.plugin_files().load).choose("dataset", run.config.data).options


def training_images(run: Run) -> np.ndarray:
    """Return a run's training data, uint8 (N, H, W, C) or float32 (N, D), from the cache if they are there.

    Data in several files stay there (``Shards``): rows are read when they are indexed.

    Raises:
        GANForgeError: they cannot be read, or have changed since.
    """
    data = run.config.data
    images = _read(run, data, run.config.limit)
    if images.fingerprint != run.manifest["data"]["fingerprint"]:
        raise GANForgeError(f"the pictures in {data} have changed since {run.id} was trained; restore them")
    return images.array


def held_out_images(run: Run, data: str) -> np.ndarray:
    """Return held-out pictures, uint8 (N, H, W, C), prepared as the run's training pictures were.

    Raises:
        UsageError: they are the training pictures, or there is no such source.
        GANForgeError: they cannot be read, or have a different shape.
    """
    images, shape = _read(run, data, None), run.manifest["image_shape"]
    if images.fingerprint == run.manifest["data"]["fingerprint"]:
        raise UsageError(f"invalid --data {data}: {run.id} was trained on these; expected held-out pictures")
    if list(images.array.shape[1:]) != shape or len(images.array) < 2:
        wanted = ", ".join(map(str, shape))
        raise GANForgeError(f"--data {data} holds {images.array.shape}; expected at least 2 pictures, (N, {wanted})")
    return images.array


def _read(run: Run, data: str, limit: int | None) -> Images:
    from ganforge.backend import choose_backend
    from ganforge.data.load import load_images, resolve_source
    from ganforge.plugin.registry import load_plugins
    from ganforge.plugin.sizes import size_of
    from ganforge.training.config import range_of_run
    from ganforge.training.objects.back import source_again

    config, shape = run.config, run.manifest["image_shape"]
    choose_backend(None)
    pictures = len(shape) == 3
    files = run.plugin_files()
    again = source_again(run.id, run.manifest) if data == config.data else None
    try:
        source = again or resolve_source(data, load_plugins(files.load))
    except UsageError as error:  # it may be what a file brings that was not let through
        typed = data != config.data and not files.refused
        raise (UsageError if typed else GANForgeError)("; ".join([str(error), *files.refused])) from None
    return load_images(
        data,
        source,
        image_size=size_of(shape[0], shape[1]) if pictures else None,
        channels=shape[2] if pictures else None,
        fit=config.fit,
        background=config.background,
        frames=config.frames,
        value_range=range_of_run(run.manifest),
        strict=config.strict,
        limit=limit,
        seed=config.seed,
    )


def draw_nearest(path: Path, fake: np.ndarray, training: np.ndarray, count: int = 10) -> None:
    """Save the ``count`` pictures nearest to a copy, and below each the training picture it is nearest to."""
    from ganforge.media.grids import make_grid, save_png
    from ganforge.metrics.memorising import nearest

    index, ratio = nearest(fake, training)
    worst = np.argsort(ratio)[:count]
    save_png(make_grid(np.concatenate([fake[worst], training[index[worst]]]), len(worst)), path)
