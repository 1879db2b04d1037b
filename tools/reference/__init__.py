"""Pages of the documentation that are written from the code: ``python -m tools.reference``."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMAND = "python -m tools.reference"
MARK = f"<!-- Written by {COMMAND} from the code: change that, and run it. -->\n\n"


def pages(root: Path = ROOT) -> dict[Path, str]:
    """Return all pages by their file, as they should be. Loads all plugins, on the backend that is chosen."""
    from ganforge.plugin.registry import load_plugins
    from tools.reference import commands, hooks, metrics, named, notebook, python

    registry = load_plugins()
    plugins = hooks.page()
    found = {
        "plugins/reference": plugins,
        "reference/commands": commands.page(),
        "reference/python": python.page(plugins),
        "reference/metrics": metrics.page(),
        **{f"reference/{name}": named.page(name, registry) for name in named.PAGES},
        "notebook": notebook.page(root),
    }
    return {root / "docs" / f"{name}.md": MARK + page for name, page in found.items()}
