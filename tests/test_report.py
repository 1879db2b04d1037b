"""Comparing and reporting: sentences that follow from the numbers, and a page that works in a real browser."""

from __future__ import annotations

import json
import re
import threading
import urllib.error
import urllib.request

import pytest
from browser import inside, opened
from support import SMALL

from ganforge.runs import read_manifest, update_manifest
from ganforge.study.evaluate import evaluate
from ganforge.study.findings import findings
from ganforge.study.summary import COLUMNS, Summary, best


def summary(arch="dcgan-3", balance=(), seed=0, **numbers):
    """A run that was never trained, with the numbers that matter here."""
    config = {"arch": arch, "balance": list(balance), "loss": "bce", "seed": seed, "epochs": 5}
    evaluation = {"swd": {"mean": numbers["swd"]}} if "swd" in numbers else None
    gap = {name: numbers[key] for key, name in (("gap", "loss_gap"), ("balanced", "balanced")) if key in numbers}
    return Summary(
        "x", None, {"config": config, "parameters": {"generator": 1}}, [], evaluation, gap, {"training_flops": 1}
    )


def noise(sigma, seed=0, **numbers):
    return summary(balance=[f"input-noise:sigma={sigma}"], seed=seed, **numbers)


# ------------------------------------------------------------------ sentences


def test_a_scale_is_told_step_by_step_with_its_numbers():
    said = findings([noise(0.4, gap=1.1), noise(0.1, gap=1.2), noise(0.2, gap=0.828)])
    assert said == [
        "dcgan-3 (1 seed each): input-noise:sigma=0.2 narrowed the gap between the losses by 31% against "
        "input-noise:sigma=0.1 (1.20 → 0.83); at input-noise:sigma=0.4 it widened again (to 1.10)."
    ]


def test_what_creeps_up_in_small_steps_is_seen():
    (said,) = findings([noise(0.1, swd=100), noise(0.2, swd=102), noise(0.3, swd=104)])
    assert said.endswith("(100.0 → 102.0); at input-noise:sigma=0.3 it rose (to 104.0).")


def test_a_difference_within_the_seeds_is_called_none():
    apart = [noise(0.1, 0, swd=40), noise(0.1, 1, swd=42), noise(0.2, 0, swd=30), noise(0.2, 1, swd=32)]
    (said,) = findings(apart)
    assert "(2 seeds each): input-noise:sigma=0.2 lowered the sliced Wasserstein distance by 24%" in said
    mixed = [noise(0.1, 0, swd=40), noise(0.1, 1, swd=30), noise(0.2, 0, swd=32), noise(0.2, 1, swd=28)]
    (said,) = findings(mixed)
    assert "made no clear difference to the sliced Wasserstein distance" in said


def test_no_balancing_is_where_a_scale_starts_and_other_strategies_are_ranked():
    runs = [summary(swd=50), noise(0.1, swd=40), noise(0.2, swd=45), summary(balance=["auto"], swd=35)]
    along, ranked = findings(runs)
    assert "input-noise:sigma=0.1 lowered the sliced Wasserstein distance by 20% against no balancing" in along
    assert "at input-noise:sigma=0.2 it rose again (to 45.0)" in along
    assert "is lowest with auto (35.0), then input-noise:sigma=0.1 40.0" in ranked


def test_depth_is_a_scale_and_what_differs_twice_is_not_compared():
    (said,) = findings([summary("fcgan-2", gap=1.0), summary("fcgan-4", gap=3.0), summary("fcgan-3", gap=2.0)])
    assert said.startswith("(1 seed each) fcgan-3 widened the gap between the losses by 100% against fcgan-2")
    assert said.endswith("at fcgan-4 it widened further (to 3.00).")
    assert findings([summary("fcgan-2", gap=1.0), summary("dcgan-3", ["auto"], gap=9.0)]) == []
    assert findings([summary(gap=1.0), summary(seed=1, gap=9.0)]) == []
    assert findings([summary(), noise(0.1)]) == []


def test_the_best_of_a_column_is_its_smallest_or_its_largest():
    runs = [summary(swd=40.0, balanced=0.2), summary(swd=30.0, balanced=0.7), summary(swd=35.0)]
    by_key = {column.key: column for column in COLUMNS}
    assert best(by_key["swd"], runs) == 30.0
    assert best(by_key["balanced"], runs) == 0.7
    assert best(by_key["gap"], [summary(gap=1.0), summary(gap=2.0)]) is None  # neither is better


@pytest.mark.parametrize(
    ("setting", "values", "words"),
    [
        ("beta_1", (0.0, 0.5), "beta 1 0.5"),
        ("latent_dim", (16, 64), "latent dim 64"),
        ("data", ("cats", "dogs"), "data dogs"),
        ("ema", (None, "0.999"), "no average"),
        ("channels", (1, 3), "channels 3"),
    ],
)
def test_every_setting_that_differs_is_a_difference(setting, values, words):
    runs = [summary(swd=50), summary(swd=40)]
    for run, value in zip(runs, values):
        run.manifest["config"][setting] = value
    (said,) = findings(runs)
    assert words in said
    assert "50.0" in said
    assert "40.0" in said


def test_a_report_names_all_the_pictures_that_its_runs_saw():
    from ganforge.report.report import trained_on

    runs = [summary() for _ in range(5)]
    for run, name in zip(runs, ("cats", "dogs", "cats", "owls", "cows")):
        run.manifest["data"] = {"description": f"9 images from {name}"}
    assert trained_on(runs[:1]) == "9 images from cats"
    assert trained_on(runs[:3]) == "9 images from cats; 9 images from dogs"
    assert (
        trained_on(runs) == "9 images from cats; 9 images from dogs; 9 images from owls; and 1 other set of pictures"
    )


# ------------------------------------------------------------------ commands and pages


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    import ganforge

    folder = tmp_path_factory.mktemp("report") / "runs"
    settings = {**SMALL, "data": "critters:count=64", "epochs": 4, "runs_dir": folder}
    for balance in ((), "input-noise:sigma=0.1", "input-noise:sigma=0.4"):
        run = ganforge.train(balance=balance, **settings)
        if balance != "input-noise:sigma=0.4":
            evaluate(run, samples=32)
    # Nothing in a name may become part of the page.
    update_manifest(
        folder / "run_3", config={**read_manifest(folder / "run_3")["config"], "balance": ["</script><b>"]}
    )
    return folder


def test_evaluate_prints_and_stores(ganforge_cli, runs):
    code, out, err = ganforge_cli("evaluate", "run_1", "--samples", 32, "--runs-dir", runs)
    assert code == 0, err
    for words in ("SWD", "KID", "of 270 covered", "copies", "MFLOP"):
        assert words in out
    stored = json.loads((runs / "run_1" / "evaluation.json").read_text())
    assert stored["samples"] == 32
    assert stored["critters"]["reader"]["mode"] > 0.9
    assert stored["cost"]["peak_memory"] > 1e7
    assert (runs / "run_1" / "nearest.png").is_file()
    again = json.loads(ganforge_cli("evaluate", "run_1", "--samples", 32, "--json", "--runs-dir", runs)[1])
    assert again == stored


def test_compare_and_csv(ganforge_cli, runs):
    code, out, _ = ganforge_cli("compare", "run_1", "run_2", "run_3", "--runs-dir", runs)
    assert code == 0
    assert "run_2 · " in out
    assert "input-noise:sigma=0.1" in out
    assert "Not evaluated yet: run_3. Next: ganforge evaluate run_3" in out
    rows = json.loads(ganforge_cli("compare", "1", "3", "--json", "--runs-dir", runs)[1])
    assert [row["run"] for row in rows] == ["run_1", "run_3"]
    assert rows[1]["swd"] is None
    assert rows[0]["swd"] > 0
    code, out, err = ganforge_cli("compare", "run_9", "--runs-dir", runs)
    assert code == 1
    assert "there is no run 'run_9'" in err
    code, out, _ = ganforge_cli("show", "run_1", "--csv", "--runs-dir", runs)
    lines = out.splitlines()
    assert lines[0].startswith("step,epoch,d_loss")
    assert len(lines) == 1 + 16
    assert float(lines[1].split(",")[2]) > 0


@pytest.mark.slow
def test_the_report_of_one_run_compares_it_with_nothing(ganforge_cli, runs, tmp_path):
    assert ganforge_cli("report", "run_1", "--runs-dir", runs, "--output", "r.html")[0] == 0
    script = """return [document.querySelector("#about").textContent.split(" on ")[0],
                       document.querySelector("#findings").parentElement.hidden];"""
    assert inside(tmp_path / "r.html", script) == ["1 run", True]


@pytest.mark.slow
def test_the_report_works_in_a_browser_without_a_network(ganforge_cli, runs, tmp_path):
    names = ("run_1", "run_2", "run_3")
    code, _, err = ganforge_cli("report", *names, "--runs-dir", runs, "--output", "r.html", "--title", "A & <b>")
    assert code == 0, err
    page = tmp_path / "r.html"
    text = page.read_text("utf-8")
    assert set(re.findall(r"https?://[^\"'\s)]+", text)) == {"http://www.w3.org/2000/svg"}
    seen = inside(
        page,
        """
        const rows = () => [...document.querySelectorAll("tbody tr")].map((r) => r.firstChild.textContent);
        const result = { title: document.querySelector("h1").textContent };
        result.lines = document.querySelectorAll("#chart path").length;
        result.sentences = document.querySelectorAll("#findings li").length;
        result.rows = rows();
        document.querySelector("thead button").click(); document.querySelector("thead button").click();
        result.sorted = rows();
        const image = () => document.querySelector("#grids img").src.length;
        result.last = document.getElementById("at").textContent;
        const slider = document.getElementById("epoch");
        slider.value = 0; slider.oninput();
        result.first = document.getElementById("at").textContent;
        document.querySelector("#legend button").click();
        result.fewer = document.querySelectorAll("#chart path").length;
        const box = document.getElementById("chart"), area = box.getBoundingClientRect();
        box.onpointermove({ clientX: area.left + area.width / 2 });
        result.tip = document.querySelector(".tip").textContent;
        document.getElementById("curve").value = "d_real"; document.getElementById("curve").onchange();
        result.real = document.querySelectorAll("#chart path").length;
        result.diagrams = document.querySelectorAll("#diagrams img").length;
        result.injected = document.querySelectorAll("section b").length;
        return result;
        """,
    )
    assert (seen["title"], seen["lines"], seen["fewer"], seen["real"]) == ("A & <b>", 3, 2, 2)
    assert [row.split(" · ")[0] for row in seen["rows"]] == ["run_1", "run_2", "run_3"]
    assert seen["sorted"] == seen["rows"][::-1]
    assert seen["rows"][1].endswith(" · input-noise:sigma=0.1")
    assert (seen["first"], seen["last"]) == ("epoch 0", "epoch 4")
    assert "run_2 · " in seen["tip"]
    assert seen["sentences"] >= 1
    assert (seen["diagrams"], seen["injected"]) == (1, 0)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "options"), [(360, ()), (1200, ("--force-dark-mode",))])
def test_the_report_fits_a_phone(ganforge_cli, runs, tmp_path, width, options):
    assert ganforge_cli("report", "run_1", "run_2", "--runs-dir", runs, "--output", "r.html")[0] == 0
    # A window is never narrower than 500 pixels without a screen: a frame is.
    script = f"""
        const frame = document.createElement("iframe");
        frame.style.cssText = "width:{width}px;height:800px;border:0";
        document.body.append(frame);
        frame.contentDocument.write(document.documentElement.outerHTML.replace(/<script>[^]*?<\\/script>/g, ""));
        frame.contentDocument.close();
        const body = frame.contentDocument;
        return {{ wide: body.documentElement.scrollWidth, inner: frame.contentWindow.innerWidth }};
    """
    seen = inside(tmp_path / "r.html", script, *options)
    assert seen["inner"] == width
    assert seen["wide"] <= width


@pytest.mark.slow
def test_watch_serves_a_run_to_this_machine_alone(runs, tmp_path):
    from ganforge.report.server import serve

    server = serve(runs / "run_1")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        assert server.server_address[0] == "127.0.0.1"
        state = json.load(urllib.request.urlopen(f"{url}/state.json"))
        assert (state["state"], state["step"], state["grids"]) == (
            "finished",
            16,
            [[f"epoch {i}", f"epoch_000{i}.png"] for i in range(5)],
        )
        assert urllib.request.urlopen(f"{url}/grid/epoch_0004.png").read().startswith(b"\x89PNG")
        for path in ("/grid/epoch_0009.png", "/../run.json", "/grid/..%2frun.json"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(url + path)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(urllib.request.Request(url, headers={"Host": "evil.example"}))
        dom = opened(url, tmp_path)
        assert "step 16 of 16" in dom
        assert "/grid/epoch_0004.png" in dom
        assert dom.count("<path") == 4
    finally:
        server.shutdown()
        server.server_close()
