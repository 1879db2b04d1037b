"""``ganforge diagnose``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganforge.cli.console import console, run_name
from ganforge.cli.options import run_argument, runs_dir_option

if TYPE_CHECKING:
    from ganforge.diagnosis.evidence import Evidence

EPILOG = """\b
Examples:
  ganforge diagnose run_12
  ganforge diagnose latest --json
"""


@click.command("diagnose", epilog=EPILOG)
@run_argument
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
@runs_dir_option
def command(run: str, as_json: bool, runs_dir: str) -> None:
    """Explain from a run's numbers what is wrong with it, and what to try next.

    RUN is a name such as run_12, a path, or `latest`. It may still be training.
    """
    from rich.markup import escape

    from ganforge.diagnosis.advice import command as to_try
    from ganforge.diagnosis.evidence import gather
    from ganforge.diagnosis.rules import diagnose, not_looked_at
    from ganforge.runs import find_run

    path = find_run(run, Path(runs_dir))
    evidence = gather(path)
    findings = diagnose(evidence)
    if as_json:
        click.echo(json.dumps([{**asdict(f), "command": to_try(evidence, f)} for f in findings], indent=2))
        return
    out = console()
    progress = evidence.manifest["progress"]
    out.print(f"[bold]{escape(path.name)}[/] at step {progress['step']:,} of {progress['steps']:,}")
    for finding in findings:
        out.print(f"\n[yellow]{finding.title}[/] ({finding.kind})")
        out.print(f"  {finding.numbers}: {finding.why}", markup=False)
        out.print("  Try:")
        out.print(f"  {to_try(evidence, finding)}", markup=False, soft_wrap=True)
    if not findings:
        if evidence.too_early:
            count = len(evidence.lines)
            lines = f"{count} log line{'s' * (count != 1)}"
            out.print(f"Too early to say: only {lines} so far (log more often with --log-every).")
        else:
            out.print("[green]The numbers show no problem.[/]")
            out.print(_healthy(evidence), markup=False)
    if left_out := not_looked_at(evidence):
        out.print(
            f"Not checked: {', '.join(left_out)}. With the loss '{evidence.loss}', a logit of 0 has no meaning, so "
            "there is no D(real).",
            markup=False,
        )
    if evidence.evaluation is None:
        out.print(f"\nTo check whether it copies training pictures: ganforge evaluate {run_name(path, runs_dir)}")


def _healthy(evidence: Evidence) -> str:
    from ganforge.metrics.balance import balance

    numbers = balance(evidence.lines)
    if "d_accuracy" not in numbers:
        return ""
    return (
        f"In the second half of training, the discriminator accuracy was {numbers['d_accuracy']:.0%} on average and "
        f"in balance in {numbers['balanced']:.0%} of the log lines; the gap between the losses was "
        f"{numbers.get('loss_gap', 0):.2f}."
    )
