"""The commands about more than one run, from Python: what they return shows itself, and can be computed with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.api import Run
from ganforge.errors import GANForgeError, UsageError, closest, log
from ganforge.files import default_runs_dir
from ganforge.showing.results import Comparison, Plugin, Plugins, StudyResult
from ganforge.showing.tables import Part, Shown, Table, as_html, as_text, shown

if TYPE_CHECKING:
    from ganforge.plugin.trust import PluginFile
    from ganforge.study.runner import StudyRunner
    from ganforge.study.summary import Summary


class Runs(Shown, list[Run]):
    """Runs, the newest last."""

    def told(self) -> Iterable[Part]:
        yield f"{len(self)} run{'s' * (len(self) != 1)}"
        rows = []
        for run in self:
            manifest, state = run.manifest, run.state
            config, progress, metrics = manifest["config"], manifest["progress"], manifest.get("metrics") or {}
            losses = [shown(metrics.get(name)) for name in ("d_loss", "g_loss")]
            balance = "\n".join(config["balance"] or ()) or "none"
            data = ",".join(Path(one).name or one for one in config["data"].split(","))
            epochs = f"{progress['epoch']}/{progress['epochs']}"
            rows.append([run.id, config["arch"], balance, data, epochs, *losses, state])
        if rows:
            yield Table(rows, ("run", "arch", "balance", "data", "epoch", "D loss", "G loss", "state"))


def runs(runs_dir: str | Path | None = None) -> Runs:
    """Return the runs in a directory, the newest last, as ``ganforge runs`` lists them.

    ``runs_dir``: where runs are kept; without it ``GANFORGE_RUNS_DIR``, else ``runs``. What is damaged is left out,
    and said.
    """
    from ganforge.runs import list_runs, read_manifest, run_state

    found = Runs()
    for path in list_runs(_place(runs_dir)):
        try:
            manifest = read_manifest(path)
            _ = manifest["progress"]["epochs"], manifest["config"]["data"], run_state(path, manifest)
            found.append(Run(path))
        except GANForgeError as error:
            log.warning("%s: %s", path.name, error)
    return found


def compare(*runs: Run | str | Path, runs_dir: str | Path | None = None) -> Comparison:
    """Put runs side by side, as ``ganforge compare`` does: their metrics, balance, parameters and time.

    Each is a ``Run``, its name or path, ``latest``, or a study by name or file. ``run.evaluate()`` measures.

    Raises:
        UsageError: nothing was given.
        GANForgeError: there is no such study or run, or one is damaged.
    """
    from ganforge.study.summary import resolve, summarise

    if not runs:
        raise UsageError("nothing to compare; expected runs or studies, such as compare('run_1', 'run_2')")
    place = _place(runs_dir)
    chosen: list[tuple[str, Path]] = []
    for run in runs:
        found = [(run.id, run.path)] if isinstance(run, Run) else resolve([str(run)], place)
        chosen += [(name, path) for name, path in found if path not in [known for _, known in chosen]]
    return _compared([summarise(name, path) for name, path in chosen])


def _compared(summaries: Sequence[Summary]) -> Comparison:
    from ganforge.study.findings import findings
    from ganforge.study.summary import columns_of, measured_apart

    columns = columns_of(summaries)
    rows = [{"name": s.name, "run": s.run.name, **{c.key: c.get(s) for c in columns}} for s in summaries]
    texts = [[s.label, *(c.text(c.get(s)) for c in columns)] for s in summaries]
    said = [*findings(summaries), *filter(None, [measured_apart(summaries)])]
    if missing := [s.run.name for s in summaries if s.evaluation is None]:
        said.append(f"Not evaluated yet: {', '.join(missing)}; call run.evaluate().")
    return Comparison(rows, Table(texts, ["run", *(c.title for c in columns)]), said)


def study(
    file: str | Path,
    *,
    on: str = "local",
    jobs: int | None = None,
    data: str | None = None,
    only: Sequence[str] = (),
    add: Sequence[str] = (),
    evaluate: bool = True,
    samples: int | None = None,
    dry_run: bool = False,
    plugins: Sequence[str | PluginFile] = (),
    runs_dir: str | Path | None = None,
    progress: bool | None = None,
) -> StudyResult:
    """Carry out all the runs of a study file, each in a process of its own, and compare them: ``ganforge study``.

    Args:
        file: the study, a TOML file or the name of one that comes with GANForge.
        on: where they are trained: ``local``, ``ray[:ADDRESS]`` or ``slurm[:PARTITION]``.
        jobs: runs at a time; without a number one, or on a cluster as many as it has room for.
        data: train every run on these instead.
        only: the runs alone whose name has all words of one of these.
        add: further rows, a strategy (several: ``A+B``), loss, optimizer or architecture each, beside every run
            without balance.
        evaluate: measure each run when it is done, on ``samples`` pictures, by default as many as ``Run.evaluate``
            draws.
        dry_run: look at what is done already, and train nothing.
        plugins: Python files that its runs may load.
        progress: false shows nothing meanwhile.

    A study that was stopped goes on where it was. A run that fails is said and stands in ``errors``; the others
    go on.

    Raises:
        UsageError: the file cannot be read, or a name or value in it is wrong.
        GANForgeError: the runs directory cannot be written, an extra is missing, or the cluster is not reached.
        KeyboardInterrupt: Ctrl-C; everything is saved.
    """
    from ganforge.files import require_runs_dir
    from ganforge.plugin.trust import given, remember
    from ganforge.study.asked import asked_study
    from ganforge.study.executors.choosing import opened, places
    from ganforge.study.mattered import told
    from ganforge.study.medians import write_medians
    from ganforge.study.runner import ENDED, StudyRunner, study_runs
    from ganforge.study.summary import summarise

    if jobs is not None and jobs < 1:
        raise UsageError(f"invalid jobs={jobs}: expected 1 or more")
    place = _place(runs_dir)
    files = given(plugins)
    at_a_time = places(on, jobs)
    asked = asked_study(Path(file), files, data=data, only=only, add=add)
    runner = StudyRunner(asked, place, at_a_time, evaluate, samples, plugins=files)
    require_runs_dir(place)
    remember(files)
    runner.look_first()
    if not dry_run:
        with opened(on, at_a_time, place) as executor:
            runner.executor = executor
            runner.run(_teller(runner) if progress is not False else None)
    errors = {row.entry.name: row.error for row in runner.rows if row.error}
    for name, error in errors.items():
        log.warning("%s: %s", name, error)
    done = [summarise(name, run) for name, run in study_runs(asked.name, place) or []]
    compared = _compared(done) if done else Comparison([], Table([]), [])
    if runner.searching:
        compared.findings += tuple(told(runner.searching.record))
    write_medians(asked, done, place)
    states = {row.entry.name: row.state for row in runner.rows}
    ready = sum(state in ENDED for state in states.values())
    return StudyResult(compared, states, errors, f"{asked.name}: {ready} of {len(states)} runs done")


def _teller(runner: StudyRunner) -> Callable[[], None]:
    """Return what shows how a study stands: a table in a notebook, elsewhere a line on stderr for each change."""
    from ganforge.showing.notebook import Output
    from ganforge.showing.pictures import in_notebook
    from ganforge.showing.words import console

    output, out = Output(), console(stderr=True)
    last: list[Any] = [None, {row.entry.name: row.state for row in runner.rows}]

    def tell() -> None:
        if in_notebook():
            rows = [
                [
                    row.entry.name,
                    row.run.name if row.run else "–",
                    f"{100 * row.step // row.steps} %" if row.steps else "–",
                    row.state,
                ]
                for row in list(runner.rows)
            ]
            if rows != last[0]:
                last[0] = rows
                table = Table(rows, ("study", "run", "done", "state"))
                output.put(as_html(table), as_text(table))
            return
        for row in list(runner.rows):
            if last[1].get(row.entry.name) != row.state:
                last[1][row.entry.name] = row.state
                out.print(f"{row.entry.name}: {row.state}{f'  {row.run.name}' if row.run else ''}", markup=False)

    return tell


def plugins(name: str | None = None, *, plugins: Sequence[str | PluginFile] = ()) -> Plugins:
    """Return what is installed and can be named; with ``name`` what is called so, with every option.

    ``plugins``: Python files to load besides.

    Raises:
        UsageError: nothing is called so.
    """
    from ganforge.backend import choose_backend
    from ganforge.plugin.kinds import KINDS
    from ganforge.plugin.options import describe_options
    from ganforge.plugin.registry import load_plugins
    from ganforge.plugin.telling import example_of, text_of
    from ganforge.plugin.trust import given

    choose_backend()
    registry = load_plugins(given(plugins))
    entries = [entry for kind in KINDS for entry in registry.of(kind)]
    names = [entry.name for entry in entries]
    if name is not None and name not in names:
        broken = next((line for line in registry.warnings() if f"'{name}'" in line), "")
        raise UsageError(
            broken or f"there is no plugin '{name}'; ganforge.plugins() lists all.{closest(name, names)}"
        )
    return Plugins(
        (
            Plugin(
                kind=entry.kind,
                name=entry.name,
                package=entry.package,
                version=entry.version,
                summary=entry.summary,
                text=text_of(entry),
                example=example_of(entry),
                options=tuple(vars(option) for option in describe_options(entry.options)),
            )
            for entry in entries
            if name in (None, entry.name)
        ),
        registry.warnings(),
    )


def _place(runs_dir: str | Path | None) -> Path:
    return Path(default_runs_dir() if runs_dir is None else runs_dir)
