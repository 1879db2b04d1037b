"""``ganforge runs``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ganforge.cli.console import console, short, warn
from ganforge.cli.options import runs_dir_option

EPILOG = """\b
Examples:
  ganforge runs
  ganforge runs --json
"""
STATES = {"finished": "green", "running": "cyan", "stopped": "yellow", "killed": "yellow", "failed": "red"}


@click.command("runs", epilog=EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
@runs_dir_option
def command(as_json: bool, runs_dir: str) -> None:
    """List the runs, newest last."""
    from ganforge.errors import GANForgeError
    from ganforge.runs import list_runs, read_manifest, run_state

    rows, damaged = [], []
    for run in list_runs(Path(runs_dir)):
        try:
            manifest = read_manifest(run)
            rows.append({**_row(run.name, manifest), "state": run_state(run, manifest)})
        except GANForgeError as error:
            damaged.append(f"{run.name}: {error}")
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    elif not rows and not damaged:
        click.echo(f"No runs in {runs_dir} yet; make one: ganforge train --arch dcgan --balance noise-anneal")
    else:
        _print(rows)
    for line in damaged:
        warn(line)


def _row(name: str, manifest: dict[str, Any]) -> dict[str, Any]:
    config, progress, metrics = manifest["config"], manifest["progress"], manifest.get("metrics") or {}
    return {
        "id": name,
        "arch": config["arch"],
        "balance": list(config["balance"] or ()),
        "data": config["data"],
        "epoch": progress["epoch"],
        "epochs": progress["epochs"],
        "d_loss": metrics.get("d_loss"),
        "g_loss": metrics.get("g_loss"),
    }


def _print(rows: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("run", "arch", "balance", "data"):
        table.add_column(name, overflow="fold", no_wrap=name == "run")
    for name in ("epoch", "D loss", "G loss"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for row in rows:
        state = f"[{STATES.get(row['state'], 'white')}]{escape(row['state'])}[/]"
        table.add_row(
            row["id"],
            escape(row["arch"]),
            escape("\n".join(row["balance"]) or "none"),
            escape(Path(row["data"]).name or row["data"]),
            f"{row['epoch']}/{row['epochs']}",
            short(row["d_loss"]),
            short(row["g_loss"]),
            state,
        )
    console().print(table)
