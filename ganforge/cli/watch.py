"""``ganforge watch``."""

from __future__ import annotations

from pathlib import Path

import click

from ganforge.cli.console import console
from ganforge.cli.options import runs_dir_option

EPILOG = """\b
Examples:
  ganforge watch
  ganforge watch run_12 --port 8000 --open
"""


@click.command("watch", epilog=EPILOG)
@click.argument("run", metavar="[RUN]", default="latest")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8420, show_default=True, help="The port; 0 chooses a free one."
)
@click.option("--open", "open_it", is_flag=True, help="Open the page in a browser.")
@runs_dir_option
def command(run: str, port: int, open_it: bool, runs_dir: str) -> None:
    """Serve a page with the live grid and curves of a run, on this machine only.

    RUN is a name such as run_12, a path, or `latest` (the default). Ctrl-C stops the page; the run continues.
    """
    from ganforge.report.server import HOST, serve
    from ganforge.runs import find_run

    path = find_run(run, Path(runs_dir))
    server = serve(path, port)
    url = f"http://{HOST}:{server.server_port}/"
    out = console()
    out.print(f"{path.name}: {url}  (Ctrl-C stops the page)", markup=False)
    out.file.flush()
    if open_it:
        click.launch(url)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        out.print("The page is closed.")
    finally:
        server.server_close()
