"""Runs to and from the Hugging Face Hub (extra: hub). A downloaded run is untrusted.

Only the known files of a run are uploaded and downloaded: no Python files, no pickles. The types of all values in a
downloaded ``run.json`` are checked before the run is created. Its generator is checked when it is opened
(``ganforge.training.saved_generator``), and plugin files that it names must be trusted (``ganforge.plugin.trust``).
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge import __version__
from ganforge.errors import GANForgeError, UsageError, reason
from ganforge.export.about import require_extra
from ganforge.export.card import NAME as CARD
from ganforge.export.card import write_card
from ganforge.export.private import cleared, folders_of, without_places
from ganforge.files import own, require_runs_dir
from ganforge.runs import create_run, list_snapshots, load_checkpoint, read_manifest
from ganforge.runs.evaluation import read_evaluation

if TYPE_CHECKING:
    from ganforge import Run

REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
PARTS = (
    *("generator.keras", "metrics.jsonl", "losses.png", "progression.gif", "architecture.txt", "architecture.png"),
    *("generator.onnx", "generator.safetensors", "generator.md", "generator.html"),
)
TRAINABLE = ("discriminator.keras", "networks.json")  # with a checkpoint
# What may be fetched besides: written anew or read when it is asked for.
MORE = re.compile(
    r"run\.json|evaluation\.json|README\.md|snapshots/(?:epoch|step)_[0-9]{1,15}\.png|"
    r"checkpoints/step_[0-9]{1,15}/(?:state\.json|weights\.safetensors)"
)


def push(run: Run, repo: str, private: bool = False, message: str | None = None, checkpoint: bool = False) -> str:
    """Upload a run to the model repository ``USER/NAME``, and return its address; see ``Run.push``."""
    _require(repo)
    if not own(run.path, "generator.keras").is_file():
        raise GANForgeError(
            f"{run.id} has no generator.keras yet; it is saved when training ends or stops: ganforge resume {run.id}"
        )
    from huggingface_hub import CommitOperationAdd, HfApi

    if not own(run.path, CARD).is_file():
        write_card(run)
    operations = [CommitOperationAdd(name, content) for name, content in parts(run, checkpoint).items()]
    with _said(repo):
        api = HfApi(library_name="ganforge", library_version=__version__)
        address = api.create_repo(repo, private=private or None, exist_ok=True)
        api.create_commit(repo, operations, commit_message=message or f"{run.id}, by ganforge {__version__}")
    return str(address)


def parts(run: Run, checkpoint: bool = False) -> dict[str, str | bytes]:
    """Return the files to upload by name: the path of each, or its content if paths of this machine were removed."""
    manifest = run.manifest
    found: dict[str, str | bytes] = {"run.json": _json(without_places(manifest, run.path))}
    evaluation = read_evaluation(run.path)
    if evaluation is not None:
        found["evaluation.json"] = _json(cleared(evaluation, folders_of(manifest, run.path)))
    names = [CARD, *PARTS, *(f"snapshots/{grid.path.name}" for grid in list_snapshots(run.path)[-1:])]
    if checkpoint:
        last = load_checkpoint(run.path).path.name  # whole, or it says so
        names += [*TRAINABLE, *(f"checkpoints/{last}/{file}" for file in ("state.json", "weights.safetensors"))]
    for name in names:
        path = own(run.path, *name.split("/"))
        if path.is_file():
            found[name] = str(path)
    return found


def pull(repo: str, runs_dir: Path, revision: str | None = None) -> Path:
    """Download a run from the Hub as the next one in ``runs_dir``, and return its directory; see ``Run.from_hub``."""
    _require(repo)
    require_runs_dir(runs_dir)
    from huggingface_hub import HfApi, hf_hub_download

    runs_dir.mkdir(parents=True, exist_ok=True)
    # Hidden, and swept where this is killed.
    folder = Path(tempfile.mkdtemp(prefix=".new-", dir=runs_dir))
    try:
        with _said(repo):
            about = HfApi(library_name="ganforge", library_version=__version__).model_info(
                repo, revision=revision, files_metadata=True
            )
            names = [one.rfilename for one in about.siblings or () if is_part(one.rfilename)]
            if not {"run.json", "generator.keras"} <= set(names):
                raise GANForgeError(f"{repo} is not a GANForge run; expected a run.json and a generator.keras in it")
            size = sum(one.size or 0 for one in about.siblings or () if one.rfilename in names)
            if size > shutil.disk_usage(folder).free:
                raise GANForgeError(f"{repo} holds {size:,} bytes, more than the free space in {runs_dir}")
            for name in names:
                hf_hub_download(repo, name, revision=about.sha, local_dir=folder, library_name="ganforge")
        manifest = dict(read_manifest(folder))
        manifest.pop("id", None)
        manifest["pulled"] = {"repository": repo, "revision": about.sha}
        run = create_run(runs_dir, manifest)
        for name in names:
            if name != "run.json":
                (run / name).parent.mkdir(parents=True, exist_ok=True)
                own(folder, *name.split("/")).replace(run / name)
        return run
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_part(name: str) -> bool:
    """Say whether a file on the hub is one that a run consists of, by its name."""
    return name in PARTS or name in TRAINABLE or MORE.fullmatch(name) is not None


def _require(repo: str) -> None:
    if not REPO.fullmatch(repo) or ".." in repo:
        raise UsageError(f"invalid repository '{repo}': expected USER/NAME, such as me/cats")
    require_extra(("huggingface_hub",), "hub", "the Hugging Face Hub")


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


@contextmanager
def _said(repo: str) -> Iterator[None]:
    """Turn errors of the Hub into one line."""
    import huggingface_hub.utils
    from huggingface_hub import errors

    utils: Any = huggingface_hub.utils
    # Bars are for a terminal; in a file they are noise.
    quiet, before = not sys.stderr.isatty(), utils.are_progress_bars_disabled()
    if quiet:
        utils.disable_progress_bars()
    try:
        yield
    except GANForgeError:
        raise
    except errors.RepositoryNotFoundError:
        raise GANForgeError(f"there is no {repo} on the Hub, or you have no access to it: hf auth login") from None
    except errors.RevisionNotFoundError:
        raise GANForgeError(f"{repo} has no such revision; leave --revision out for the newest") from None
    except errors.LocalTokenNotFoundError:
        raise GANForgeError("you are not logged in to the Hub: hf auth login, or set HF_TOKEN") from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else None
        way_out = ": hf auth login, or set HF_TOKEN" if status in (401, 403) else ""
        raise GANForgeError(f"the Hub rejects {repo}{way_out}: {reason(error, kind=False)[:300]}") from None
    except Exception as error:
        raise GANForgeError(f"the transfer of {repo} failed: {reason(error)[:300]}") from None
    finally:
        if quiet and not before:
            utils.enable_progress_bars()
