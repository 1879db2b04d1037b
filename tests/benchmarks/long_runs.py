"""Peak memory with a million logged lines, ten thousand grids and a hundred thousand samples.

``python -m tests.benchmarks.long_runs`` makes a tiny run, gives it lines and grids without training for them, and
does with it, each in a process of its own, what a person would. A row is the peak of the process above what the same
process holds once its imports, and the framework where it is needed, are there.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

LINES, GRIDS, SAMPLES = 1_000_000, 10_000, 100_000


def _show(run: Path) -> None:
    _command("show", str(run))


def _curves(run: Path) -> None:
    from ganforge.media.curves import plot_losses
    from ganforge.runs import read_history

    plot_losses(read_history(run), run / "losses.png")


def _diagnose(run: Path) -> None:
    _command("diagnose", str(run))


def _report(run: Path) -> None:
    _command("report", str(run), "--output", str(run / "report.html"))


def _watch(run: Path) -> None:
    from ganforge.report.following import Following

    following, seen = Following(run), ""
    for _ in range(20):
        seen = following.state(seen)["seen"]


def _resume(run: Path) -> None:
    from ganforge.runs import truncate_metrics

    truncate_metrics(run, LINES - 10)


def _animation(run: Path) -> None:
    from ganforge.runs.progression import make_progression

    make_progression(run, most=100)


def _gif(run: Path) -> None:
    _command("gif", str(run), "--output", str(run / "all.gif"))


def _webp(run: Path) -> None:
    _command("gif", str(run), "--output", str(run / "all.webp"))


def _sample(run: Path) -> None:
    _command("sample", str(run), "-n", str(SAMPLES), "--output", str(run / "album"))


ACTS: dict[str, Callable[[Path], None]] = {
    f"show, {LINES:,} lines": _show,
    f"losses.png, {LINES:,} lines": _curves,
    f"diagnose, {LINES:,} lines": _diagnose,
    f"report, {LINES:,} lines, {GRIDS:,} grids": _report,
    f"watch, {LINES:,} lines, {GRIDS:,} grids": _watch,
    f"what resume cuts, {LINES:,} lines": _resume,
    f"progression.gif, {GRIDS:,} grids": _animation,
    f"gif, all {GRIDS:,} grids": _gif,
    f"the same as WebP, {GRIDS:,} grids": _webp,
    f"sample -n {SAMPLES:,}": _sample,
}


def _command(*words: str) -> None:
    from ganforge.cli.group import cli

    cli.main(list(words), prog_name="ganforge", standalone_mode=False)


def make(folder: Path) -> Path:
    """Return a tiny run with as many lines and grids as a very long one."""
    import numpy as np
    from PIL import Image

    from ganforge import train

    settings = {"arch": "dcgan:width=4", "data": "critters:count=32", "image_size": 16, "batch_size": 16}
    run = train(**settings, epochs=1, runs_dir=folder).path
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    with open(run / "metrics.jsonl", "w") as file:
        for step in range(1, LINES + 1):
            file.write(json.dumps({**last, "step": step, "epoch": step / 100, "d_loss": 1 + step % 97 / 97}) + "\n")
    side = 10 * 18 + 2
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    for epoch in range(GRIDS):
        picture[epoch % side] = epoch % 256
        Image.fromarray(picture).save(run / "snapshots" / f"epoch_{epoch:04d}.png", compress_level=1)
    return run


def peak() -> int:
    """Return the most bytes that this process has held (Linux). ``ru_maxrss`` would count its parent's too."""
    status = Path("/proc/self/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


def _worker(name: str, run: Path) -> None:
    import matplotlib.figure
    import rich.table

    assert matplotlib.figure
    assert rich.table
    if name.startswith("sample"):
        from ganforge.api import Run

        Run(run).sample(64)
    before = peak()
    ACTS[name](run)
    print(json.dumps([before, peak()]))


def main() -> None:
    """Print a row an act."""
    if sys.argv[1:]:
        _worker(sys.argv[1], Path(sys.argv[2]))
        return
    folder = Path(tempfile.mkdtemp())
    try:
        run = make(folder)
        for name in ACTS:
            done = subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.long_runs", name, str(run)], capture_output=True, text=True
            )
            if done.returncode:
                print(f"{name}: {done.stderr.strip().splitlines()[-1]}", flush=True)
                continue
            before, after = json.loads(done.stdout.splitlines()[-1])
            print(f"| {name} | {(after - before) / 1e6:,.0f} MB |", flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
