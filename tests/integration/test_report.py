"""The report: its values, its figures, and how a browser shows it."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.predictions import write_predictions
from speechbrain_ptssnn.evaluation.trained_run import TrainedRun
from speechbrain_ptssnn.report.mismatch import measure_mismatch
from speechbrain_ptssnn.report.page import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# Tells what only a browser knows: whether images and sounds were decoded, and
# whether the page is wider than the screen of a phone.
PROBE = """<script>
window.addEventListener("load", () => setTimeout(() => {
  document.title = JSON.stringify({
    images: [...document.images].map((i) => i.naturalWidth),
    seconds: [...document.querySelectorAll("audio")].map((a) => a.duration),
    width: [document.documentElement.scrollWidth, window.innerWidth],
  });
}, 1000));
</script>"""


class Page(HTMLParser):
    """Tables by caption, images, sounds, and all addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.images, self.sounds = {}, [], []
        self.addresses, self.tags, self.cell = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        keys = ("src", "href", "srcset", "poster", "data", "action")
        self.addresses += [attributes[k] for k in keys if k in attributes]
        if tag == "img":
            self.images.append(attributes)
        elif tag == "audio":
            self.sounds.append(attributes)
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("caption", "th", "td"):
            self.cell = ""

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data

    def handle_endtag(self, tag):
        if tag == "caption":
            self.rows = self.tables[self.cell] = []
        elif tag in ("th", "td"):
            self.rows[-1].append(self.cell)
        if tag in ("caption", "th", "td"):
            self.cell = None


@pytest.fixture
def written(recipe):
    """A run of two folds, and its report."""
    run = recipe.run()
    path = write_report([str(run.folder)])
    assert path == run.folder / "report.html"
    text = path.read_text(encoding="utf-8")
    return SimpleNamespace(**vars(run), text=text, page=Page(text))


def shown(share):
    return f"{100 * share:.2f}%"


def test_values_are_the_summarys(written):
    s, tables = written.summary, written.page.tables
    scores = {
        row[0]: row[1:] for row in tables["Scores over all test utterances"]
    }
    for key in ("WA", "UA"):
        low, high = s["interval_95"][key]
        assert scores[key] == [
            shown(s[key]),
            f"{100 * low:.1f} to {100 * high:.1f}%",
            shown(s["majority"][key]),
            shown(s["speaker_oracle"][key]),
            shown(s[f"{key}_fold_mean"]),
            shown(s[f"{key}_fold_std"]),
        ]
    assert scores["ECE"] == [f"{s['ECE']:.3f}"]
    assert scores["ECE at T = 1"] == [f"{s['ECE_uncalibrated']:.3f}"]
    header, *rows = tables["Confusion matrix"]
    assert header[1:-1] == s["labels"] == [row[0] for row in rows]
    for row, counts in zip(rows, s["confusion"], strict=True):
        of_label = sum(counts)
        assert row[1:-1] == [f"{n}{100 * n / of_label:.0f}%" for n in counts]
        assert row[-1] == shown(s["recall"][row[0]])
    for row, fold in zip(tables["Folds"][1:], s["per_fold"], strict=True):
        assert row[0] == str(fold["fold"])
        assert row[3:5] == [shown(fold["WA"]), shown(fold["UA"])]
    layers = tables["Spiking layers, on the test utterances"][1:]
    assert [row[:2] for row in layers] == [
        [name, f"{rates['mean']:.3f}"]
        for name, rates in s["firing_rates"].items()
    ]
    found = measure_mismatch(TrainedRun(written.folder))
    for name, rates in s["firing_rates"].items():
        assert found[name].rates["all"] == pytest.approx(rates, abs=1e-6)


def test_figures_have_words_and_nothing_is_fetched(written):
    page = written.page
    # Reliability, coverage, energy, learning, firing, two for each layer, the
    # utterances.
    n_layers = len(written.summary["firing_rates"])
    assert len(page.images) == 5 + 2 * n_layers + len(page.sounds)
    assert 2 <= len(page.sounds) <= 3
    assert all(len(image["alt"]) > 40 for image in page.images)
    assert all(each.startswith("data:") for each in page.addresses)
    assert "script" not in page.tags
    collapsed = written.summary["collapsed_layers"]
    assert ("Collapsed layers" in written.text) == bool(collapsed)
    assert not re.search(r"url\(|@import", written.text)
    assert len(written.text) < 5e6
    assert "PTSSNN" in written.text  # the configuration


def test_several_runs_stand_side_by_side_with_their_energy(written, recipe):
    probe = recipe.run(
        head="linear_probe", results_folder=recipe.path / "other"
    )
    for folder, strict in ((written.folder, 0.5), (probe.folder, 0.25)):
        mJ = {"strict": {"mJ": strict}, "paper": {"mJ": strict / 2}}
        energy = {"scaled": {"frames": 226, **mJ}, "backbone": {"mJ": 153.4}}
        (folder / "energy.json").write_text(json.dumps(energy))
    assert "Not measured" in written.text
    page = recipe.path / "new" / "both.html"
    write_report([probe.folder, written.folder], page)
    text = page.read_text(encoding="utf-8")
    assert "Not measured" not in text
    assert "one utterance of 226 frames" in text
    assert "This model has no spiking layer." in text
    for collapsed in written.summary["collapsed_layers"]:
        assert f"run 2: {collapsed['layer']} has collapsed" in text
    header, *rows = Page(text).tables["Runs"]
    rows = [dict(zip(header, row, strict=True)) for row in rows]
    assert [row["model, seed"] for row in rows] == [
        "linear_probe, 1",
        "pts_snn, 1",
    ]
    for column, cells in {
        "head's mJ, strict": ["0.250", "0.500"],
        "head's mJ, paper's rule": ["0.125", "0.250"],
        "front-end's mJ": ["153.400"] * 2,
        "total mJ, strict": ["153.650", "153.900"],
        "total mJ, paper's rule": ["153.525", "153.650"],
    }.items():
        assert [row[column] for row in rows] == cells
    (chain,) = [
        image["alt"]
        for image in Page(text).images
        if image["alt"].startswith("Energy of the whole chain")
    ]
    assert "run 1: head 0.25 mJ, front-end 153, total 154;" in chain
    assert "run 2: head 0.5 mJ, front-end 153, total 154." in chain
    energy = json.loads((probe.folder / "energy.json").read_text())
    del energy["backbone"]  # of --count_backbone=no
    (probe.folder / "energy.json").write_text(json.dumps(energy))
    text = write_report([probe.folder]).read_text(encoding="utf-8")
    assert "Not measured:</b> the front-end's energy of" in text
    assert "Energy of the whole chain" not in text
    assert [row["WA"] for row in rows] == [
        shown(run.summary["WA"]) for run in (probe, written)
    ]


def test_a_collapse_is_flagged_everywhere(recipe, capsys):
    run = recipe.run(plif="{v_threshold: 10.0}", number_of_epochs=1, fold=1)
    printed = capsys.readouterr().out
    sentence = "classifier.hidden has collapsed in fold 1"
    assert sentence in printed
    layers = [each["layer"] for each in run.summary["collapsed_layers"]]
    assert "classifier.hidden" in layers
    log = (run.folder / "fold_1" / "train_log.txt").read_text()
    assert "valid classifier.hidden/silent: 1.00e+00" in log
    log = (run.folder / "log.txt").read_text()
    assert "classifier.hidden: 100 % of the neurons are silent" in log
    text = write_report([run.folder]).read_text(encoding="utf-8")
    assert text.index('role="alert"') < text.index("<h2>Results")
    assert sentence in text


def test_a_committees_members_are_one_population(recipe):
    run = recipe.run(head="committee", fold=1)
    log = (run.folder / "fold_1" / "train_log.txt").read_text()
    assert "valid classifier.hidden/silent" in log
    assert "members" not in log
    page = Page(write_report([run.folder]).read_text(encoding="utf-8"))
    words = [image["alt"] for image in page.images]
    assert sum("Histogram of the current of" in each for each in words) == 5
    (biased,) = [
        each
        for each in words
        if each.startswith("Histogram") and "without bias" in each
    ]
    assert "classifier.hidden" in biased
    # The raster is one member's, and says so.
    assert any("classifier.output of member 5 spikes" in each for each in words)
    mismatch = measure_mismatch(TrainedRun(run.folder))
    assert list(mismatch)[-2:] == ["classifier.hidden", "classifier.output"]
    assert "without bias" in mismatch["classifier.hidden"].rates


def test_what_cannot_be_reported_is_said(tmp_path):
    with pytest.raises(InputError, match="no fold has finished"):
        write_report([tmp_path])
    (tmp_path / "fold_1").mkdir()
    (tmp_path / "fold_1" / "result.json").touch()
    with pytest.raises(InputError, match="no fold has finished"):
        write_report([tmp_path])
    (tmp_path / "fold_1" / "result.json").write_text("{}")
    (tmp_path / "folds.json").write_text('{"1": {"test": []}}')
    write_predictions(tmp_path / "fold_1" / "predictions.csv", [], [])
    with pytest.raises(InputError, match=r"summary\.json: is not there"):
        write_report([tmp_path])


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_chromium_shows_it_on_a_phone(written, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(written.text.replace("</body>", f"{PROBE}</body>"))
    browser = subprocess.run(
        [
            CHROMIUM,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
            *("--no-first-run", "--disable-background-networking"),
            *("--disable-component-update", "--disable-sync"),
            *("--enable-logging=stderr", "--v=0", "--window-size=390,800"),
            f"--user-data-dir={tmp_path / 'profile'}",
            *("--virtual-time-budget=10000", "--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "CONSOLE" not in browser.stderr
    found = json.loads(re.search("<title>(.*)</title>", browser.stdout)[1])
    assert len(found["images"]) == len(written.page.images)
    assert all(width > 100 for width in found["images"])
    assert all(seconds > 0.2 for seconds in found["seconds"])
    width, screen = found["width"]
    assert width <= screen <= 500  # the narrowest that headless mode may have
