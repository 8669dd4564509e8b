"""A model is pushed to a stand-in for the hub, and loaded from it by name."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import soundfile
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from ruamel.yaml import YAML

from speechbrain_ptssnn import cli, inference
from speechbrain_ptssnn.deploy.hub import model_card, write_model
from speechbrain_ptssnn.deploy.trust import check_trusted
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.inference import EmotionClassifier

OLD = Path(__file__).parents[2] / "specimens/run"
RUN = "Cafe/two_folds/tiny_fbank/pts_snn/1"
COMMIT = "c" * 40
USER = """\
import sys
from speechbrain.inference import EncoderClassifier
from speechbrain_ptssnn.cli import main

model, wav, savedir = sys.argv[1:]
if model != "-":
    main(["push", model, "anna/cafe"])
main(["classify", "anna/cafe", wav])
classifier = EncoderClassifier.from_hparams("anna/cafe", savedir=savedir)
print(classifier.classify_file(wav)[3][0])
"""


@pytest.fixture
def run(tmp_path):
    """A copy of a run; gives its folder."""
    return Path(shutil.copytree(OLD / RUN, tmp_path / "results" / RUN))


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "new.wav"
    soundfile.write(path, torch.randn(16000) / 10, 16000)
    return str(path)


class Hub(BaseHTTPRequestHandler):
    """The part of the hub's interface that a push and a download need."""

    files: ClassVar = {}

    @property
    def address(self):
        return f"http://{self.headers['Host']}"

    def answer(self, content, **headers):
        body = content if isinstance(content, bytes) else json.dumps(content)
        body = body if isinstance(body, bytes) else body.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_POST(self):
        body, path = self.body(), self.path.partition("?")[0]
        if path == "/api/repos/create":
            self.answer({"url": f"{self.address}/anna/cafe", "id": "anna/cafe"})
        elif "/preupload/" in path:
            self.answer(
                {
                    "files": [
                        {**each, "uploadMode": "regular", "shouldIgnore": False}
                        for each in json.loads(body)["files"]
                    ]
                }
            )
        elif "/commit/" in path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    value = line["value"]
                    content = base64.b64decode(value["content"])
                    self.files[value["path"]] = content
            self.answer(
                {
                    "commitUrl": f"{self.address}/anna/cafe/commit/{COMMIT}",
                    "commitOid": COMMIT,
                }
            )
        else:  # the card's metadata are looked at
            self.answer({"errors": [], "warnings": []})

    def do_GET(self):
        path = self.path.partition("?")[0]
        name = path.rpartition("/")[2]
        if path.startswith("/anna/cafe/resolve/"):
            if name not in self.files:
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = self.files[name]
            etag = hashlib.sha256(content).hexdigest()
            self.answer(content, ETag=f'"{etag}"', X_Repo_Commit=COMMIT)
        elif "/tree/" in path:
            self.answer(
                [
                    {
                        "type": "file",
                        "path": name,
                        "size": len(content),
                        "oid": hashlib.sha1(content).hexdigest(),
                    }
                    for name, content in self.files.items()
                ]
            )
        else:
            siblings = [{"rfilename": name} for name in self.files]
            self.answer(
                {"id": "anna/cafe", "sha": COMMIT, "siblings": siblings}
            )

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    """Starts the stand-in; gives its address."""
    monkeypatch.setattr(Hub, "files", {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def test_a_pushed_model_is_loaded_by_its_name_also_offline(
    hub, run, wav, tmp_path
):
    def user(model, savedir, **variables):
        process = subprocess.run(
            [sys.executable, "-c", USER, model, wav, tmp_path / savedir],
            env={
                **os.environ,
                "HF_ENDPOINT": hub,
                "HF_HOME": str(tmp_path / "home"),
                "HF_TOKEN": "hf_nobody",
                "HF_HUB_DISABLE_XET": "1",
                **variables,
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert process.returncode == 0, process.stderr[-2000:]
        return process.stdout.splitlines()

    model = run / "fold_1" / "model"
    *_, line, stock = user(str(model), "first")
    assert {"README.md", "head.safetensors", "label_encoder.txt"} < set(
        Hub.files
    )
    classifier = EmotionClassifier.from_hparams(model)
    expected = classifier.classify_file(wav)
    assert stock == expected[3][0]
    posteriors = " ".join(
        f"{classifier.hparams.label_encoder.ind2lab[k]} {p:.3f}"
        for k, p in enumerate(expected[0][0].exp().tolist())
    )
    assert line.replace(",", "") == f"{wav}: {stock} ({posteriors})"
    assert user("-", "second", HF_HUB_OFFLINE="1")[-2:] == [line, stock]


def test_the_files_hold_what_the_bundle_does(run, tmp_path):
    model, folder = run / "fold_1" / "model", tmp_path / "pushed"
    write_model(model, "anna/cafe", folder)
    check_trusted(folder)
    assert not list(folder.glob("*.ckpt"))
    one, other = map(EmotionClassifier.from_hparams, (model, folder))
    for name in ("head", "normalizer"):
        weights = [
            getattr(each.mods.embedding_model, name).state_dict()
            for each in (one, other)
        ]
        assert weights[0].keys() == weights[1].keys()
        for key, weight in weights[0].items():
            assert torch.equal(weight, weights[1][key])


def test_front_ends_of_a_local_folder_go_with_it(windowed, run, tmp_path):
    model = run / "fold_1" / "model"
    shutil.rmtree(model)
    shutil.copytree(windowed, model)
    folder = tmp_path / "pushed"
    write_model(model, "anna/cafe", folder)
    check_trusted(folder)
    wave = torch.randn(1, 8000) / 10
    one, other = map(EmotionClassifier.from_hparams, (model, folder))
    assert torch.equal(one.encode_batch(wave), other.encode_batch(wave))


def test_the_card_says_what_the_run_measured(run, tmp_path):
    summary = json.loads((run / "summary.json").read_text())
    folder = tmp_path / "pushed"
    model = str(run / "fold_2" / "model")
    options = ["--licence=cc-by-4.0", f"--to_folder={folder}"]
    cli.main(["push", model, "anna/cafe", *options])
    card = (folder / "README.md").read_text()
    _, metadata, text = card.split("---\n", 2)
    data = YAML(typ="safe").load(metadata)
    assert data["license"] == "cc-by-4.0"
    own, every = data["model-index"][0]["results"]
    fold = summary["per_fold"][1]
    for result, scores in ((own, fold), (every, summary)):
        values = {each["name"]: each["value"] for each in result["metrics"]}
        assert values["WA"] == round(scores["WA"], 4)
        assert values["UA"] == round(scores["UA"], 4)
    assert "fold 2" in own["dataset"]["split"]
    assert f"this model has WA {fold['WA']:.2%}" in " ".join(text.split())
    oracle = fold["speaker_oracle"]["WA"]
    assert f"who speaks gives {oracle:.2%}" in " ".join(text.split())
    for label, counts in zip(
        summary["labels"], summary["confusion"], strict=True
    ):
        assert f"| {label} | {' | '.join(map(str, counts))} |" in text
    for title in ("How to use it", "Limits", "Licences", "Training"):
        assert f"## {title}" in text
    assert "## Energy" not in text  # it was not counted


@pytest.mark.parametrize(
    ("corpus", "task"),
    [
        ("FSDD", "Spoken digit recognition"),
        ("SpeechCommands", "Keyword spotting"),
        ("URDU", "Speech emotion recognition"),
        ("Cafe", "Speech emotion recognition"),
    ],
)
def test_the_card_names_the_corpuss_task(corpus, task, run):
    path = run / "summary.json"
    summary = json.loads(path.read_text())
    path.write_text(json.dumps({**summary, "corpus": corpus}))
    card = model_card(run / "fold_1" / "model", "anna/cafe")
    _, metadata, text = card.split("---\n", 2)
    data = YAML(typ="safe").load(metadata)
    (result, _) = data["model-index"][0]["results"]
    assert result["task"]["name"] == task
    assert task.lower().replace(" ", "-") in data["tags"]
    assert f"{task}: one of 2 labels" in text
    assert ("emotion" in card.lower()) == ("emotion" in task)


def test_the_card_of_an_adapted_model_asks_for_the_speakers_recordings(run):
    path, model = run / "summary.json", run / "fold_1" / "model"
    assert "adapt" not in model_card(model, "anna/cafe")
    summary = json.loads(path.read_text())
    backbone = f"{summary['backbone']}_speaker-adapted"
    path.write_text(json.dumps({**summary, "backbone": backbone}))
    card = model_card(model, "anna/cafe")
    assert "ptssnn classify anna/cafe recording.wav --adapt speaker" in card
    assert "classifier.mods.embedding_model.adapt(others)" in card


@pytest.mark.parametrize(
    ("length", "words"),
    [
        ({"frames": 226, "seconds": 4.55}, "4.55 s"),
        ({"frames": 2000, "seconds": 2000 / 226 * 4.55}, "40.27 s"),
        ({"frames": 226}, "226 frames"),  # of an older version
    ],
)
def test_the_card_names_the_length_whose_energy_was_counted(length, words, run):
    scaled = {**length, "strict": {"mJ": 0.125}, "backbone": {"mJ": 2.0}}
    (run / "energy.json").write_text(json.dumps({"scaled": scaled}))
    card = model_card(run / "fold_1" / "model", "anna/cafe")
    assert (
        f"for an utterance of {words}: head 0.125 mJ, front-end 2 mJ, "
        "together 2.12 mJ."
    ) in card


@pytest.mark.parametrize(
    ("backbone", "lines"),
    [
        (
            "emotion2vec_base",
            ["Front-end `emotion2vec_base`: FunASR's model licence."],
        ),
        (
            "fbank+emotion2vec_base+whisper-base-audio",
            [
                "Front-end `emotion2vec_base`: FunASR's model licence.",
                "Front-end `whisper-base-audio`: Apache-2.0.",
            ],
        ),
        ("fbank", []),
        ("mine", ["Front-end `mine`: see its publisher."]),
    ],
)
@pytest.mark.parametrize("suffix", ["", "_speaker-adapted"])
def test_the_card_has_the_front_ends_licences(backbone, lines, suffix, run):
    path = run / "summary.json"
    summary = json.loads(path.read_text())
    path.write_text(json.dumps({**summary, "backbone": backbone + suffix}))
    card = model_card(run / "fold_1" / "model", "anna/cafe")
    found = [each for each in card.splitlines() if "- Front-end" in each]
    assert found == [f"- {line}" for line in lines]


def test_the_card_says_whether_the_voices_are_known(run):
    model = run / "fold_1" / "model"
    assert "The folds share speakers" in model_card(model, "anna/cafe")
    path = run / "folds.json"
    rows = json.loads((run / "manifest.json").read_text())
    one, *others = sorted({row["speaker"] for row in rows.values()})
    assert others
    fold = {
        "train": [name for name in rows if rows[name]["speaker"] != one],
        "valid": [],
        "test": [name for name in rows if rows[name]["speaker"] == one],
    }
    path.write_text(json.dumps({"1": fold}))
    assert "The folds share speakers" not in model_card(model, "anna/cafe")


def test_what_the_hub_does_not_give_is_named(monkeypatch):
    def fail(name, **_):
        raise LocalEntryNotFoundError("no network")

    monkeypatch.setattr(inference, "snapshot_download", fail)
    with pytest.raises(
        InputError, match=r"anna/cafe: is no folder here.*\(no network\)"
    ):
        EmotionClassifier.from_hparams("anna/cafe")


def test_what_cannot_be_pushed_is_named(run, tmp_path):
    model = run / "fold_1" / "model"
    for arguments, words in (
        ((model, "cafe", tmp_path / "a"), "write it as user/name"),
        ((model, "anna/cafe", tmp_path), "choose a new folder"),
        ((tmp_path, "anna/cafe", tmp_path / "a"), "hyperparams.yaml"),
    ):
        with pytest.raises(InputError, match=words):
            write_model(*arguments)
    outside = tmp_path / "model"
    shutil.copytree(model, outside)
    with pytest.raises(InputError, match="does not lie in its run"):
        write_model(outside, "anna/cafe", tmp_path / "a")
    assert not (tmp_path / "a").exists()
