"""The commands about several runs, from Python. A notebook displays what they return; code can compute with it."""

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
    """A list of runs, newest last."""

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
    """Return the runs in a directory, newest last, like ``ganforge runs``.

    ``runs_dir`` is where runs are kept. By default ``GANFORGE_RUNS_DIR``, or ``runs`` if that is not set. Damaged
    runs are left out, with a warning.
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
    """Compare runs like ``ganforge compare``: their metrics, balance, parameters and time.

    Each argument is a ``Run``, its name or path, ``latest``, or the name or file of a study. Metrics come from
    ``run.evaluate()``.

    Raises:
        UsageError: no run was given.
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
    """Train all runs of a study file, each in its own process, and compare them, like ``ganforge study``.

    Args:
        file: a TOML file, or the name of a built-in study.
        on: where to train: ``local``, ``ray[:ADDRESS]`` or ``slurm[:PARTITION]``.
        jobs: runs at a time. By default 1, or on a cluster as many as fit.
        data: train every run on these pictures instead.
        only: train only the runs whose name contains all words of one of these texts.
        add: strategies (several at once: ``A+B``), losses, optimizers or architectures to compare: each run that has
            no balancing strategy is repeated with each of them.
        evaluate: evaluate each run when it finishes.
        samples: pictures to draw for the evaluation. By default as many as ``Run.evaluate`` draws.
        dry_run: list the runs and their state; train nothing.
        plugins: Python files that the runs may load.
        runs_dir: where runs are kept. By default ``GANFORGE_RUNS_DIR``, or ``runs`` if that is not set.
        progress: False shows nothing meanwhile.

    A study that was stopped continues where it was. If a run fails, a warning says so, its error is kept in
    ``errors``, and the other runs continue.

    Raises:
        UsageError: the file cannot be read, or a name or value in it is wrong.
        GANForgeError: the runs directory cannot be written, an extra is missing, or the cluster cannot be reached.
        KeyboardInterrupt: Ctrl-C was pressed; everything is saved.
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
    """Return a function that shows the state of a study: a table in a notebook, else a line on stderr per change."""
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
    """Return the installed plugins; with ``name``, only those of this name, with all options.

    ``plugins`` are additional Python files to load.

    Raises:
        UsageError: there is no plugin of this name.
        GANForgeError: a file fails.
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
            broken or f"there is no plugin '{name}'; ganforge.plugins() lists all names.{closest(name, names)}"
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
