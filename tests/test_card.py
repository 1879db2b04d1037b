"""A model card: its metadata as the hub's library reads them, its facts, and that no text of a run is obeyed."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from stranger import copied, finished
from support import python

from ganforge import GANForgeError, Run, UsageError
from ganforge.export.card import YOURS, card_of, escaped

EVALUATION = {
    "format": 1,
    "step": 4,
    "samples": 64,
    "real": 32,
    "reference": {"held_out": True, "data": "/home/me/secret/dogs", "pictures": 32},
    "swd": {"8": 108.3, "mean": 146.6, "floor": 64.0},
    "tone": {"distance": 7.0, "brightness": 1.0, "contrast": -2.0, "cast": [0.1, 0.2, 0.3], "floor": 1.5},
    "kid": {"value": 3.25, "error": 0.5, "floor": 0.0375, "features": "random-conv-1"},
    "spread": {"mean": 20.0, "nearest": 10.0, "real_mean": 74.0, "real_nearest": 51.0},
    "memorising": {"share": 0.5, "real_share": 0.25},
    "gap": {},
    "cost": {"flops": {"generator": 1, "discriminator": 2}, "parameters": {"generator": 1, "discriminator": 2}}
    | {"seconds": 5.0},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def run(made, tmp_path):
    return Run(copied(made, tmp_path))


def front(text):
    return re.match(r"---\n(.*?)\n---\n", text, re.S)[1]


def test_a_card_says_what_was_trained_on_what_and_measured_against_which_floor(run):
    (run.path / "evaluation.json").write_text(json.dumps(EVALUATION))
    card = run.card()
    assert card == run.path / "README.md"
    text = " ".join(card.read_text().split())
    for fact in (
        "| data | 32 drawn cats and dogs (8x8, colour) |",
        "| architecture | fcgan (hidden=8",
        "4 steps of 16, 2 of 2 epochs",
        "real against real 64.0",
        "real against real 0.0375",
        "compared with held-out pictures",
        "50% of its pictures are closer to a training picture than training pictures are to one another",
        "It was trained on 32 pictures",
        "float32 (batch, 6)",
        "![Generated pictures](<snapshots/epoch_0002.png>)",
    ):
        assert fact in text, fact
    assert "/home" not in text
    assert all(words in text for words in YOURS.values())


def test_the_hub_s_library_reads_its_metadata_and_the_licence_is_left_open(run):
    hub = pytest.importorskip("huggingface_hub")
    (run.path / "evaluation.json").write_text(json.dumps(EVALUATION))
    card = run.card()
    data = hub.ModelCard.load(card).data
    assert data.library_name == "keras"
    assert data.pipeline_tag == "unconditional-image-generation"
    assert data.license is None
    assert {"gan", "ganforge", "fcgan"} <= set(data.tags)
    assert {one.metric_type: one.metric_value for one in data.eval_results} == {"kid": 3.25, "swd": 146.6}


def test_what_the_author_wrote_stays_when_it_is_written_again(run):
    card = run.card()
    text = card.read_text().replace(YOURS["pictures"], "My own cats, photographed in 2024.\n\nAll of them.")
    card.write_text(re.sub(r"^# Replace this line.*$", "license: cc-by-4.0", text, flags=re.M))
    (run.path / "evaluation.json").write_text(json.dumps(EVALUATION))
    again = run.card().read_text()
    assert "My own cats, photographed in 2024.\n\nAll of them." in again
    assert re.search(r"^license: cc-by-4.0$", front(again), re.M)
    assert "# Replace" not in front(again)
    assert YOURS["use"] in again
    assert "real against real 64.0" in again


def test_no_text_of_a_run_is_obeyed(run, tmp_path):
    hostile = "x](evil) <script>alert(1)</script> | `b` **c**\n---\nlicense: mit\n# Taken"
    manifest = json.loads((run.path / "run.json").read_text())
    manifest["data"]["description"] = hostile
    manifest["data"]["classes"] = [hostile, "<img src=x>"]
    manifest["loss"]["name"] = hostile
    (run.path / "run.json").write_text(json.dumps(manifest))
    (run.path / "evaluation.json").write_text(json.dumps({**EVALUATION, "kid": {"value": 1, "features": hostile}}))
    text = card_of(Run(run.path), run.path)
    body = text.removeprefix(f"---\n{front(text)}\n---\n")
    assert not re.search(r"(?<!\\)<(?:script|img)", body)
    assert not re.search(r"^(?:# Taken|license:)", text, re.M)
    assert "](evil)" not in body.replace(r"\](evil)", "")
    assert all(line.count("|") - line.count(r"\|") == 3 for line in body.splitlines() if line.startswith("|"))
    assert escaped("a_b|c\n") == r"a\_b\|c\\n"


def test_a_run_of_an_older_version_has_a_card_too(run):
    manifest = json.loads((run.path / "run.json").read_text())
    for name in ("optimizer", "versions", "parameters", "strategies", "seconds"):
        del manifest[name]
    (run.path / "run.json").write_text(json.dumps(manifest))
    assert "| loss | bce |" in Run(run.path).card().read_text()
    del manifest["progress"]
    (run.path / "run.json").write_text(json.dumps(manifest))
    with pytest.raises(GANForgeError, match=r"run\.json is damaged: it has no progress"):
        Run(run.path).card()


def test_a_damaged_evaluation_leaves_the_rest_of_a_card(run):
    (run.path / "evaluation.json").write_text(json.dumps({**EVALUATION, "tone": {}, "kid": {**EVALUATION["kid"]}}))
    assert "## Limits" in run.card().read_text()


def test_a_card_beside_the_run_leads_to_its_pictures(run, tmp_path):
    card = run.card(tmp_path / "cards" / "cats.md")
    (link,) = re.findall(r"\]\(<([^>]*)>\)", card.read_text())
    assert (card.parent / link).resolve() == (run.path / "snapshots/epoch_0002.png").resolve()
    with pytest.raises(UsageError, match=r"expected a name that ends in \.md"):
        run.card(tmp_path / "cats.txt")


@pytest.mark.slow
def test_what_a_card_tells_a_stranger_to_do_works_without_ganforge(run, tmp_path):
    code = re.search("```python\n(.*?)```", run.card().read_text(), re.S)[1]
    before, after = (
        "import sys\nsys.modules['ganforge'] = None\n",
        "np.savez('made.npz', latents=latents, pictures=pictures)",
    )
    (run.path / "use.py").write_text(before + code + after)
    python("use.py", cwd=run.path)
    made = np.load(run.path / "made.npz")
    bytes_ = np.clip(np.rint((made["pictures"] + 1) * 127.5), 0, 255)
    assert np.abs(bytes_ - run.decode(made["latents"])).max() <= 1
