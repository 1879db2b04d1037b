"""A model card: what others should know about a run, in Markdown with the metadata that the Hugging Face Hub reads.

What only the author knows, such as the licence and the source of the pictures, is between marks, and is kept when the
card is written again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.errors import GANForgeError, UsageError, on_one_line
from ganforge.export.about import About, write
from ganforge.export.private import cleared, folders_of, without_places
from ganforge.files import MIB, own, read_file, require_file

if TYPE_CHECKING:
    from ganforge import Run

NAME = "README.md"
# Sections for the author to write, with their placeholders.
YOURS = {
    "licence": "**To be filled in:** the licence under which others may use this model, here and in the metadata "
    "above (`license: …`).",
    "pictures": "**To be filled in:** where these pictures come from, who made them, and what their licence allows.",
    "use": "**To be filled in:** what this model is for, and what it should not be used for.",
}
EXPLAINED = {
    "SWD": "sliced Wasserstein distance between patches, at several sizes; lower is better",
    "tone": "difference from the real pictures in brightness, contrast and colour, in levels of 255; lower is better",
    "KID": "kernel distance between features; lower is better. Without Inception's features it cannot be compared "
    "with published values",
    "FD": "Fréchet distance between an ImageNet network's features; lower is better",
    "FID": "Fréchet distance between Inception's features, as published; lower is better",
    "diversity": "how different pictures are from one another; a collapsed generator scores far below the real ones",
    "copies": "the share of pictures closer to a training picture than training pictures are to one another",
    "modes": "how many of the known kinds of pictures in the data the generator draws",
}
FEW = 1000  # with fewer pictures, a generator tends to copy them


def write_card(run: Run, output: str | Path | None = None) -> Path:
    """Write a run's model card, by default ``README.md`` in the run directory; what the author wrote is kept.

    Raises:
        UsageError: ``output`` does not end in ``.md``.
        GANForgeError: the card cannot be written.
    """
    path = Path(output) if output is not None else own(run.path, NAME)
    if path.suffix.lower() != ".md":
        raise UsageError(f"invalid output {path}: expected a name that ends in .md")
    require_file(path)
    write(path, card_of(run, path.parent, written_by_hand(path)).encode("utf-8", "backslashreplace"))
    return path


def written_by_hand(path: Path) -> dict[str, str]:
    """Return what the author put between the marks of an earlier card, and the licence in its metadata."""
    try:
        text = read_file(path, MIB).decode("utf-8", "replace")
    except OSError:
        return {}
    found = {
        name: match[1].strip()
        for name in YOURS
        if (match := re.search(f"<!-- yours: {name} -->\n(.*?)\n<!-- end -->", text, re.DOTALL))
    }
    head = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    if head and (match := re.search(r"^license: *(\S.*)$", head[1], re.MULTILINE)):
        found["license"] = match[1].strip()
    return found


def card_of(run: Run, folder: Path, yours: Mapping[str, str] | None = None) -> str:
    """Return the card's text; ``folder`` is where it will be, for the links to pictures."""
    from ganforge.runs.evaluation import read_evaluation

    yours = yours or {}
    whole = run.manifest
    manifest = without_places(whole, run.path)
    evaluation = read_evaluation(run.path)
    if evaluation is not None:
        evaluation = cleared(evaluation, folders_of(whole, run.path))
    about = About.of(run)
    parts = [
        _metadata(about, manifest, evaluation, yours.get("license")),
        f"# {escaped(run.id)}: {escaped(_what(about))}",
        _grid(run, folder),
        "This is the generator of a generative adversarial network, trained with GANForge. From random numbers, it "
        f"draws {escaped(_what(about))} like those it was trained on.",
        _own("use", yours),
        "## Usage",
        _usage(run, about),
        "## Data",
        _table(_data_rows(manifest, about)),
        _own("pictures", yours),
        "## Training",
        _table(_training_rows(manifest)),
        "## Evaluation",
        _measured(run, evaluation),
        "## Limits",
        "\n".join(f"- {one}" for one in _limits(run, manifest, evaluation)),
        "## Licence",
        _own("licence", yours),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def escaped(text: object) -> str:
    """Return a text of a run escaped for Markdown."""
    return re.sub(r"([\\`*_\[\]<>|#!~$&])", r"\\\1", on_one_line(str(text)))


def _own(name: str, yours: Mapping[str, str]) -> str:
    return f"<!-- yours: {name} -->\n{yours.get(name) or YOURS[name]}\n<!-- end -->"


def _what(about: About) -> str:
    if len(about.image_shape) != 3:
        count = about.image_shape[0]
        return f"vectors of {count} number{'s' * (count != 1)}"
    height, width, channels = about.image_shape
    colours = {1: "grey ", 4: "partly transparent "}.get(channels, "")
    return f"{colours}pictures of {width}×{height} pixels"


def _metadata(
    about: About, manifest: Mapping[str, Any], evaluation: Mapping[str, Any] | None, licence: str | None
) -> str:
    """Return the metadata, YAML; every value is JSON, which YAML reads as it is."""
    pictures = len(about.image_shape) == 3
    task = "unconditional-image-generation"
    lines = ["---"]
    if licence:
        lines.append(f"license: {licence}")
    else:
        lines.append("# Replace this line by the licence, such as: license: cc-by-4.0")
    lines.append("library_name: keras")
    if pictures:
        lines.append(f"pipeline_tag: {task}")
    arch = str(manifest["config"].get("arch", "")).partition(":")[0]
    lines.append(f"tags: {json.dumps(['gan', 'ganforge', *([arch] if re.fullmatch('[a-z0-9-]+', arch) else [])])}")
    metrics = _numbers(evaluation) if pictures and evaluation else []
    if metrics:
        data = {"type": "other", "name": on_one_line(str(manifest["data"].get("description", "")))[:200]}
        result = {"task": {"type": task}, "dataset": data, "metrics": metrics}
        lines.append(f"model-index: {json.dumps([{'name': about.run, 'results': [result]}])}")
    return "\n".join([*lines, "---"])


def _numbers(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    if "value" in (kid := evaluation.get("kid") or {}):
        features = on_one_line(str(kid.get("features", "")))[:60]
        found.append({"type": "kid", "name": f"KID by {features}", "value": kid["value"]})
    if "mean" in (swd := evaluation.get("swd") or {}):
        found.append({"type": "swd", "name": "SWD, ×10⁻³", "value": swd["mean"]})
    if isinstance(inception := evaluation.get("inception"), Mapping) and "fid" in inception:
        found.append({"type": "fid", "name": "FID", "value": inception["fid"]})
    return found


def _grid(run: Run, folder: Path) -> str:
    snapshots = run.snapshots()
    if not snapshots:
        return ""
    last = snapshots[-1]
    place = Path(os.path.relpath(last.path.resolve(), folder.resolve())).as_posix()
    return f"![Generated pictures](<{place}>)\n\n*Generated pictures at {last.title}, not selected.*"


def _usage(run: Run, about: About) -> str:
    name, words = about.output
    given = '[latents, np.zeros(16, "int32")]' if about.classes else "latents"
    lines = [
        "With plain [Keras](https://keras.io); GANForge is not needed:",
        "",
        "```python",
        "import keras",
        "import numpy as np",
        "",
        'generator = keras.models.load_model("generator.keras")',
        f'latents = np.random.default_rng(0).standard_normal((16, {about.latent_dim})).astype("float32")',
        f"{name} = keras.ops.convert_to_numpy(generator({given}, training=False))",
        "```",
        "",
        *(f"- `{key}`: {text}" for key, text in about.inputs.items()),
        f"- `{name}`: {words}",
    ]
    if about.classes:
        lines.append(f"- classes: {', '.join(f'{i} {escaped(one)}' for i, one in enumerate(about.classes[:50]))}")
    others = {
        "generator.onnx": "ONNX",
        "generator.safetensors": "safetensors",
        "generator.html": "a page that draws pictures",
    }
    there = [f"`{file}` ({kind})" for file, kind in others.items() if (run.path / file).is_file()]
    return "\n".join([*lines, *([f"- other formats: {', '.join(there)}"] if there else [])])


def _data_rows(manifest: Mapping[str, Any], about: About) -> list[tuple[str, str]]:
    data, config = manifest["data"], manifest["config"]
    skipped = len(data.get("skipped") or ())
    return [
        ("data", str(data.get("description") or config.get("data"))),
        ("count", f"{data.get('count', 0):,}" + (f"; skipped {skipped} unreadable" if skipped else "")),
        *([("classes", ", ".join(map(str, about.classes[:50])))] if about.classes else []),
        (
            "format",
            f"{_what(about)}; fit: {config.get('fit', 'crop')}" if len(about.image_shape) == 3 else _what(about),
        ),
        ("fingerprint", str(data.get("fingerprint", ""))[:16]),
    ]


def _training_rows(m: Mapping[str, Any]) -> list[tuple[str, str]]:
    from ganforge.showing.words import duration

    config, progress, sizes = m["config"], m["progress"], m.get("parameters") or {}
    versions = ", ".join(f"{name} {version}" for name, version in (m.get("versions") or {}).items())
    origin = m.get("from")
    return [
        ("architecture", _named(m.get("architecture"))),
        ("parameters", ", ".join(f"{name} {count:,}" for name, count in sizes.items())),
        ("balance", "; ".join(_named(one) for one in m.get("strategies") or ()) or "none"),
        ("loss", _named(m.get("loss"))),
        ("optimizer", _named(m.get("optimizer"))),
        ("running mean of the weights", str(config.get("ema") or "none")),
        *([("started from", f"{origin['run']} at step {origin['step']:,}")] if origin else []),
        (
            "trained",
            f"{progress['step']:,} steps of {config['batch_size']}, {progress['epoch']} of "
            f"{progress['epochs']} epochs, {duration(m.get('seconds') or 0)}; {m.get('state')}",
        ),
        ("seed", f"{config.get('seed')}, {config.get('precision')}, on {config.get('backend')}"),
        ("versions", versions),
    ]


def _named(entry: Mapping[str, Any] | None) -> str:
    from ganforge.plugin.options import written

    if not entry:  # an older version wrote less
        return ""
    options = ", ".join(f"{key}={written(value)}" for key, value in entry["options"].items() if value is not None)
    return f"{entry['name']} ({options})" if options else str(entry["name"])


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(
        ["| | |", "|---|---|", *(f"| {escaped(name)} | {escaped(text)} |" for name, text in rows if text)]
    )


def _measured(run: Run, evaluation: Mapping[str, Any] | None) -> str:
    if evaluation is None:
        return f"Not evaluated yet: run `ganforge evaluate {escaped(run.id)}`, then `ganforge card` again."
    rows = _rows(evaluation)
    reference = evaluation.get("reference") or {}
    against = "held-out pictures" if reference.get("held_out") else "the training pictures"
    said = (
        f"At step {evaluation['step']:,}, {evaluation['samples']:,} samples, compared with {against}. "
        "*Real against real* is the score of other real pictures; no generator is expected to beat it."
    )
    shown = [name for name, _ in rows if name in EXPLAINED]
    why = "\n".join(f"- **{name}**: {EXPLAINED[name]}." for name in dict.fromkeys(shown))
    return "\n\n".join(filter(None, [said, _table(rows), why]))


def _rows(evaluation: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    from ganforge.study.in_words import rows

    try:
        return [(name, text) for name, text in rows(dict(evaluation)) if name not in ("cost", "time", "balance")]
    except (KeyError, TypeError, ValueError, AttributeError):  # of another version, or from elsewhere
        return []


def _limits(run: Run, manifest: Mapping[str, Any], evaluation: Mapping[str, Any] | None) -> list[str]:
    found = ["It can only reproduce its training data, including their gaps and biases."]
    count = manifest["data"].get("count") or 0
    if 0 < count < FEW:
        found.append(f"It was trained on {count:,} pictures; with so few, a generator tends to copy them.")
    copies = (evaluation or {}).get("memorising") or {}
    share, real = copies.get("share"), copies.get("real_share")
    if share is not None and real is not None and share > real + 0.05:
        found.append(
            f"{share:.0%} of its pictures are closer to a training picture than training pictures are to one another."
        )
    if evaluation is None:
        found.append("Whether it copies training pictures was not measured.")
    elif evaluation["step"] != manifest["progress"]["step"]:
        found.append(f"It was evaluated at step {evaluation['step']:,}, but trained further after that.")
    if manifest.get("state") != "finished":
        found.append(f"Its training did not finish as planned; its state is {escaped(manifest.get('state'))}.")
    with suppress(GANForgeError):  # it says so when it is asked for; a card can do without
        found += [f"Diagnosis: {escaped(one.title)} ({escaped(one.numbers)})." for one in run.diagnose()]
    return found
