"""``ganforge train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ganforge.cli.console import console, pairs, warn, with_options
from ganforge.cli.grouped import GroupedCommand
from ganforge.cli.live import follow
from ganforge.cli.options import no_plugin_option, plugin_option, runs_dir_option, spec_completion, together
from ganforge.cli.sharing import shared_out
from ganforge.cli.words import average_rows, learning_rates, optimizer_rows
from ganforge.plugin.averaging import ALONE
from ganforge.showing.terminal import reading

if TYPE_CHECKING:
    from ganforge.plugin.dataset import Images
    from ganforge.training.setup import Setup

EPILOG = """\b
Examples:
  ganforge train --arch dcgan --balance noise-anneal
  ganforge train --arch dcgan:layers=4,width=64 --data PHOTOS --epochs 100
  ganforge train --arch fcgan:hidden=256-512 --balance input-noise:sigma=0.2 --balance unequal-lr:generator=2
  ganforge train --from run_12 --data DOGS --freeze-discriminator 2
  ganforge train --config study.toml --seed 7 --dry-run

`ganforge plugins` lists all architectures, strategies, losses, data sources, optimizers and loggers;
`ganforge plugins NAME` shows one of them with its options.
"""


class _Train(GroupedCommand):
    groups = (
        ("Networks and balance", ("arch", "balance", "loss", "latent_dim", "ema")),
        ("Pictures", ("data", "image_size", "channels", "fit", "background", "range", "frames", "limit", "strict")),
        (
            "Training length and optimization",
            ("epochs", "batch_size", "learning_rate", "optimizer", "discriminator_optimizer", "beta_1", "seed"),
        ),
        ("Starting from another run", ("from_run", "freeze_discriminator", "from_optimizers", "from_partial")),
        (
            "Snapshots, checkpoints, logs and stopping",
            ("snapshot_every", "checkpoint_every", "keep", "stop_when", "on_nan", "log_every", "log", "runs_dir"),
        ),
        ("Backend, devices and precision", ("backend", "devices", "precision", "step", "compile")),
        ("Plugins, settings files and output", ("plugins", "no_plugin", "config_file", "dry_run", "quiet")),
    )


@click.command("train", cls=_Train, epilog=EPILOG)
@click.option(
    "--arch",
    metavar="NAME[:OPTIONS]",
    shell_complete=spec_completion("architecture"),
    help="The architecture. [default: chosen to fit the data, such as projected or r3gan for photographs]",
)
@click.option(
    "--balance",
    multiple=True,
    metavar="NAME[:OPTIONS]",
    shell_complete=spec_completion("strategy"),
    help="A balancing strategy (repeatable), or none. [default: the architecture's, or none]",
)
@click.option(
    "--loss",
    metavar="NAME[:OPTIONS]",
    shell_complete=spec_completion("loss"),
    help="The adversarial loss. [default: the architecture's, or bce]",
)
@click.option(
    "--optimizer",
    metavar="NAME[:OPTIONS]",
    shell_complete=spec_completion("optimizer"),
    help="The optimizer for both networks. [default: the architecture's, or Adam]",
)
@click.option(
    "--discriminator-optimizer",
    metavar="NAME[:OPTIONS]",
    shell_complete=spec_completion("optimizer"),
    help="The discriminator's optimizer. [default: the same as --optimizer]",
)
@click.option(
    "--data",
    multiple=True,
    callback=together,
    metavar="FOLDER|FILE|NAME",
    help="Your pictures: a folder, zip or tar (repeatable), or FILE[:images=KEY,labels=KEY] of arrays (.npy, .npz, "
    ".h5, .parquet, idx, .csv); or a data source. [default: critters]",
)
@click.option(
    "--image-size",
    metavar="PIXELS|WIDTHxHEIGHT",
    help="Side of square pictures, or width and height, such as 128x64. [default: 64; critters 32]",
)
@click.option("--channels", type=int, metavar="1|3|4", help="Grey, colour, or colour with transparency. [default: 3]")
@click.option("--fit", metavar="crop|stretch|pad", help="How to fit pictures of other shapes. [default: crop]")
@click.option(
    "--background",
    metavar="white|black|#rrggbb",
    help="The colour behind transparent pixels and for the bars of --fit pad. [default: white]",
)
@click.option(
    "--range",
    metavar="LOW,HIGH",
    help="The values of black and white in 16-bit, 32-bit and float pictures. [default: measured on the whole set]",
)
@click.option(
    "--frames",
    metavar="first|all",
    help="Which frames to use from files with several, such as GIFs. [default: first]",
)
@click.option("--limit", type=int, metavar="N", help="Use only N pictures, chosen at random by the seed.")
@click.option(
    "--strict/--no-strict", default=None, help="Stop at the first unreadable picture instead of skipping it."
)
@click.option(
    "--from",
    "from_run",
    metavar="RUN",
    help="Start with the weights of another run (a name or path); settings not given are copied from it.",
)
@click.option(
    "--freeze-discriminator",
    type=int,
    metavar="N",
    help="With --from: do not train the discriminator's first N layers. [default: 0]",
)
@click.option(
    "--from-optimizers/--no-from-optimizers", default=None, help="With --from: copy the optimizers' state too."
)
@click.option("--from-partial/--no-from-partial", default=None, help="With --from: copy only the layers that fit.")
@click.option("--epochs", type=int, metavar="N", help="Passes over the pictures. [default: about 2,500 steps]")
@click.option("--batch-size", type=int, metavar="N", help="Real pictures per step. [default: the architecture's]")
@click.option("--latent-dim", type=int, metavar="N", help="Length of a latent vector. [default: the architecture's]")
@click.option(
    "--learning-rate",
    type=float,
    metavar="RATE",
    help="Learning rate of both networks. [default: the architecture's]",
)
@click.option("--beta-1", type=float, metavar="BETA", help="Adam's beta_1. [default: the architecture's]")
@click.option("--seed", type=int, metavar="N", help="Random seed; the same seed gives the same run. [default: 0]")
@click.option(
    "--precision",
    metavar="float32|mixed_bfloat16",
    help="The number format in which layers compute. [default: float32]",
)
@click.option(
    "--step",
    metavar="two-stage|one-stage",
    help="Update the networks in turn, or both at once (faster). [default: two-stage]",
)
@click.option(
    "--compile/--no-compile", default=None, help="Compile the step. [default: yes on JAX and TensorFlow, no on torch]"
)
@click.option(
    "--ema",
    is_flag=False,
    flag_value=str(ALONE),
    metavar="[DECAY|Nkimg|none]",
    help="Draw pictures from a running mean of the generator's weights, with this decay or half-life in "
    f"thousands of pictures. [without a value: {ALONE}]",
)
@click.option(
    "--backend",
    metavar="torch|jax|tensorflow",
    help="The backend. [default: KERAS_BACKEND, else torch, else an installed one]",
)
@click.option(
    "--devices", type=int, metavar="N", help="Split each batch among N devices of this machine. [default: 1]"
)
@click.option(
    "--snapshot-every",
    metavar="EPOCHS|Nsteps",
    help="How often to save a snapshot. [default: 6 epochs; 20 to 100 snapshots per run]",
)
@click.option(
    "--checkpoint-every",
    metavar="EPOCHS|Nsteps|Nmin",
    help="How often to save a checkpoint; separate several intervals by commas. [default: each snapshot, and 10min]",
)
@click.option(
    "--stop-when",
    metavar="NAME:RULE",
    help="Stop early by a rule such as kid:below=0.2,patience=3, checked at each snapshot. [default: none]",
)
@click.option("--keep", type=int, metavar="N", help="How many checkpoints to keep. [default: 2]")
@click.option("--on-nan", metavar="stop|rollback", help="What to do when a loss becomes nan. [default: stop]")
@click.option("--log-every", type=int, metavar="STEPS", help="Steps between two log lines. [default: 10]")
@click.option(
    "--log",
    multiple=True,
    metavar="NAME[:OPTIONS]",
    shell_complete=spec_completion("logger"),
    help="Also write to a logger, such as tensorboard (repeatable).",
)
@plugin_option
@no_plugin_option
@runs_dir_option
@click.option(
    "--config",
    "config_file",
    metavar="FILE.toml",
    help="Read settings from a file, named like the flags; flags take precedence.",
)
@click.option(
    "--dry-run", is_flag=True, help="Print the resolved settings and the first step's plan without training."
)
@click.option("--quiet", is_flag=True, help="Print only the run's directory.")
@click.pass_context
def command(ctx: click.Context, /, config_file: str | None, dry_run: bool, quiet: bool, **flags: Any) -> int:
    """Train a GAN on a folder or zip of pictures.

    NAME[:OPTIONS] is written NAME:key=value,key=value. Ctrl-C saves everything; `ganforge resume` continues.
    """
    from ganforge.data.files import require_there
    from ganforge.plugin.trust import given as read_given
    from ganforge.plugin.trust import named_by_text, remember, require
    from ganforge.training.config import TrainConfig
    from ganforge.training.setup import Setup
    from ganforge.training.trainer import Trainer

    given = {n: v for n, v in flags.items() if ctx.get_parameter_source(n) is not ParameterSource.DEFAULT}
    filed = _read(config_file)
    settings = {**filed, **given}
    settings.setdefault("runs_dir", flags["runs_dir"])
    config = TrainConfig.of(settings)
    require_there(config.data)
    if (code := shared_out(config.devices, config.backend, ctx.obj, config.batch_size)) is not None:
        return code
    out = console()
    own = read_given(given.get("plugins", ()))
    # A settings file may come from elsewhere too: what it names is not given by a person.
    plugins = require(named_by_text(filed.get("plugins", ()), own, f"--config {config_file}"))
    remember(own)
    with reading(quiet) as progress:
        setup = Setup.new(config, progress, plugins=plugins)
    for warning in setup.choices.warnings:
        warn(warning)
    if not quiet or dry_run:
        filed_backend = "backend" in filed and "backend" not in given
        describe(out, setup, f"--config {config_file}" if filed_backend else "--backend")
    if dry_run:
        describe_plan(out, setup)
        return 0
    return follow(Trainer(setup), quiet)


def _read(file: str | None) -> dict[str, Any]:
    """Return the settings of a TOML file, dashes in names as underscores."""
    if file is None:
        return {}

    from ganforge.errors import UsageError
    from ganforge.files import read_toml
    from ganforge.training.config import TrainConfig

    values = read_toml(Path(file), f"--config {file}")
    values = {name.replace("-", "_"): value for name, value in values.items()}
    if "plugin" in values:
        values["plugins"] = values.pop("plugin")
    if "from" in values:
        values["from_run"] = values.pop("from")
    try:
        plugins = TrainConfig.of(values).plugins
    except UsageError as error:
        raise UsageError(f"--config {file}: {error}") from None
    return {**values, "plugins": plugins} if plugins else values


def describe(out: Any, setup: Setup, asked: str = "--backend") -> None:
    """Print what will be trained, with everything resolved; ``asked``: where the backend was asked for, if it was."""
    from rich.markup import escape
    from rich.panel import Panel

    from ganforge.errors import on_one_line
    from ganforge.runs.origin import in_words

    settings, choices, images = setup.settings, setup.choices, setup.images
    config, optimizers = settings.model_dump(), [one.record for one in setup.optimizers]
    balance = [with_options(s.name, s.options.model_dump()) for s in choices.strategies]
    sizes = setup.parameters
    rows = [
        ("architecture", with_options(choices.architecture.name, choices.architecture.options.model_dump())),
        *([("", choices.chosen_because)] if choices.chosen_because else []),
        ("parameters", f"generator {sizes['generator']:,}, discriminator {sizes['discriminator']:,}"),
        ("balance", "\n".join(balance) or "none"),
        ("loss", with_options(setup.loss.name, setup.loss.options.model_dump())),
        *optimizer_rows(config, optimizers),
        *average_rows(config),
        *([("starts from", "\n".join(in_words(setup.origin)))] if setup.origin else []),
        ("data", images.description),
        *([("", "\n".join(images.notes))] if images.notes else []),
        *([("classes", _classes(images))] if images.classes else []),
    ]
    if images.skipped:
        first = on_one_line(", ".join(f"{name} ({why})" for name, why in images.skipped[:3]))
        more = f" and {len(images.skipped) - 3} more" if len(images.skipped) > 3 else ""
        rows.append(("skipped", f"{len(images.skipped)} unreadable: {first}{more}; all are listed in run.json"))
    rows += [
        (
            "training",
            f"{settings.epochs} epoch{'s' * (settings.epochs != 1)} × {setup.steps_per_epoch} "
            f"step{'s' * (setup.steps_per_epoch != 1)} of {settings.batch_size} pictures, "
            f"{learning_rates(config, optimizers)}, seed {settings.seed}",
        ),
        ("runs on", f"{choices.backend.said(asked)}, {settings.precision}{_share(setup)}"),
    ]
    out.print(
        Panel(pairs([(n, escape(v)) for n, v in rows]), title="GANForge", title_align="left", border_style="dim")
    )


def _share(setup: Setup) -> str:
    """Return what each of several devices has of a batch."""
    devices, batch = setup.settings.devices, setup.settings.batch_size
    return f", {devices} devices, {batch // devices} pictures each per step" if devices > 1 else ""


def _classes(images: Images) -> str:
    """Return ``cat 150, dog 150``, the most frequent of many."""
    import numpy as np

    from ganforge.errors import on_one_line

    counts = [0] * len(images.classes)
    if images.labels is not None:
        counts = np.bincount(images.labels, minlength=len(counts)).tolist()
    pairs = list(zip(images.classes, counts))
    if len(pairs) > 12:
        pairs = sorted(pairs, key=lambda pair: -pair[1])[:10]
    more = f" and {len(counts) - len(pairs):,} more" if len(pairs) < len(counts) else ""
    return on_one_line(", ".join(f"{name} {count:,}" for name, count in pairs) + more)


def describe_plan(out: Any, setup: Setup) -> None:
    """Print both networks and the first step's scalars."""
    from rich.markup import escape

    from ganforge.media.diagram import architecture_text

    out.print(escape(architecture_text(setup.networks)))
    out.print("First step")
    out.print(pairs([(name, f"{value:g}") for name, value in setup.first_plan().items()]))
    out.print("Nothing was trained or written (--dry-run).")
