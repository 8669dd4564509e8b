"""What benchmarks/fuzz.py has found, as small as it gets."""

import json
import shutil
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from speechbrain_ptssnn.cli import main
from speechbrain_ptssnn.corpora.manifests import read_utterances
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.run_folder import RunFolder
from speechbrain_ptssnn.inference import load_parts
from speechbrain_ptssnn.recipe import _start_log
from speechbrain_ptssnn.utils.distributed import one_sentence_errors
from speechbrain_ptssnn.utils.own_files import find_yaml, list_yaml
from speechbrain_ptssnn.utils.yaml_files import plain, read_yaml

FBANK = "!new:speechbrain_ptssnn.backbones.Fbank"
TINY = """\
base: pts_snn.yaml
corpus: Cafe
data_folder: cafe.csv
label_map: {calm: calm, angry: angry}
backbone: mine.yaml
protocol: two_folds.yaml
number_of_epochs: 1
head: {hidden_size: 4, size: 4, key_size: 2, bias_hidden: 2}
"""
TWO_FOLDS = """\
protocol: !new:speechbrain_ptssnn.corpora.folds.Protocol
    n_folds: 2
    unit: utterance
    seed: !ref <split_seed>
    valid_parts: 3
"""


@pytest.fixture
def cafe(tmp_path, monkeypatch):
    """A function that trains on eight noises of two speakers and labels. Its
    arguments are added to, or replace, the text of the YAML files.
    """
    monkeypatch.chdir(tmp_path)
    rows = ["path,label,speaker"]
    for k in range(8):
        noise = np.random.default_rng(k).normal(0, 0.1, 4800)
        soundfile.write(f"{k}.wav", noise, 16000)
        rows.append(f"{k}.wav,{('calm', 'angry')[k % 2]},{'ab'[k // 4]}")
    Path("cafe.csv").write_text("\n".join(rows) + "\n")

    def train(text=TINY, backbone=f"backbone: {FBANK}\n", protocol=TWO_FOLDS):
        Path("tiny.yaml").write_text(text)
        Path("mine.yaml").write_text(backbone)
        Path("two_folds.yaml").write_text(protocol)
        main(["train", "tiny.yaml", "--device=cpu", "--noprogressbar"])

    return train


def test_an_object_may_have_no_arguments(cafe):
    cafe()
    run = Path("results/Cafe/two_folds/mine/pts_snn/1")
    assert (run / "summary.json").is_file()
    main(["classify", str(run / "fold_1" / "model"), "0.wav"])


def test_objects_without_arguments_are_alike(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("a:\n- b: !new:B\nc: !ref <a>\nd: &d !new:D\ne: *d\n")
    document = read_yaml(file)
    assert plain(document["a"]) == [{"b": {"!new:B": {}}}]
    assert document["e"] is document["d"]
    assert plain(document["c"]) == {"!ref": "<a>"}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (
            {"text": TINY.replace("base: pts_snn.yaml\n", "")},
            r"tiny\.yaml: lacks \d+ keys; write 'base: pts_snn.yaml' at its ",
        ),
        (
            {"text": TINY + "max_grad_norm: !new:nosuch.Thing {}\n"},
            "max_grad_norm is an object, {'!new:nosuch.Thing': {}}; write a "
            "plain value, like its default 5.0",
        ),
        (
            {"text": TINY + "jobs: !apply:nosuch.thing []\n"},
            "jobs is an object, .*; write a plain value, like its default 1",
        ),
        (
            {"text": TINY + 'features_folder: "a\\0b"\n'},
            r"tiny\.yaml: features_folder is 'a\\x00b', which cannot be a name",
        ),
        (
            {"text": TINY + 'results_folder: "a\\ud800"\n'},
            r"results_folder is 'a\\ud800', which cannot be a name in UTF-8; "
            "choose another",
        ),
        (
            {"text": TINY + f"opt_class: {{lr: {'1' * 400}}}\n"},
            "optimizer or its schedule refuses its settings: int too large",
        ),
        (
            {"protocol": TWO_FOLDS.replace(".Protocol", "")},
            "corpora.folds should be a class, but is",
        ),
        (
            {"text": TINY.replace("key_size: 2", "key_size: -2")},
            "hyperparameters: .*negative dimension -2",
        ),
        (
            {"text": TINY.replace("head: {", "head: {n_classes: 3, ")},
            r"the head gives \[2, 3\] values for two utterances and 2 classes",
        ),
        (
            {"backbone": f"backbone: {FBANK} [4]\n"},
            "backbone must be an object with named arguments, like '!new:",
        ),
        (
            {"backbone": "backbone: fbank\n"},
            r"mine\.yaml: has no object 'backbone', so it is not the file of a",
        ),
        (
            {"protocol": "n_folds: 2\n"},
            r"two_folds\.yaml: has no object 'protocol', .*; write 'protocol: ",
        ),
    ],
)
def test_an_odd_yaml_file_is_refused_in_one_sentence(cafe, files, sentence):
    with pytest.raises(SystemExit, match=sentence) as end:
        cafe(**files)
    assert "\n" not in str(end.value)
    assert not Path("results").exists()


@pytest.mark.parametrize(
    "argument", ["--columns={path: file}", "--audio_folder=samples"]
)
def test_keys_of_tables_are_refused_for_published_corpora(argument, capsys):
    key = argument.strip("-").partition("=")[0]
    with pytest.raises(
        SystemExit, match=f"error: {key} is for the table of your own corpus"
    ):
        main(["train", "URDU", argument, "--backbone=fbank"])


def test_the_list_of_yaml_files_leaves_out_what_is_no_file(tmp_path):
    (tmp_path / "full.yaml").symlink_to("/dev/null")
    (tmp_path / "latin.yaml").write_bytes(b"# caf\xe9\n")
    assert list_yaml(tmp_path) == [("latin", "caf\ufffd")]
    with pytest.raises(InputError, match=r"full\.yaml: is not an ordinary fil"):
        find_yaml("backbone", "full", [tmp_path])


def test_a_log_that_cannot_be_written_is_named(tmp_path):
    log = tmp_path / "log.txt"
    log.symlink_to("missing/log.txt")
    with (
        pytest.raises(SystemExit, match=r"log\.txt: No such file") as end,
        one_sentence_errors(),
    ):
        _start_log(log, ["file_handler"])
    assert "\n" not in end.value.code


def test_tensorboards_thread_prints_no_traceback(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    others = set(threading.enumerate())  # earlier trainings' writers
    with pytest.raises(SystemExit, match="No such file"), one_sentence_errors():
        writer = SummaryWriter(tmp_path / "logs")
        shutil.rmtree(tmp_path / "logs")
        writer.add_scalar("WA", 0.5)
        writer.flush()
    for thread in set(threading.enumerate()) - others:
        thread.join(10)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"backbone: {FBANK} {{n_mells: 4}}\n", "argument 'n_mells'"),
        (f"backbode: {FBANK} {{n_mels: 4}}\n", "'backbone'"),
        ("backbone: !new:nosuch.Thing {}\n", "nosuch"),
    ],
)
def test_a_flipped_bit_in_a_bundles_yaml_is_told(text, reason, tmp_path):
    (tmp_path / "hyperparams.yaml").write_text(text)
    with pytest.raises(InputError, match=reason) as error:
        load_parts(tmp_path, ["backbone"])
    assert "hyperparams.yaml: cannot be loaded (" in str(error.value)
    assert "copy the bundle again" in str(error.value)


def test_a_flipped_bit_in_a_key_of_a_runs_file_is_told(tmp_path):
    run = RunFolder(tmp_path)
    run.summary.write_text('{"WA": 0.5, "per_fold": [{"UB": 0.5}]}')
    summary = run.read_json(run.summary)
    assert summary["WA"] == 0.5
    assert summary["per_fold"][0].get("UA") is None
    with pytest.raises(InputError, match=r"summary\.json: lacks 'UA', so it"):
        summary["per_fold"][0]["UA"]


@pytest.mark.parametrize("rows", [{"a": {"wau": "a.wav"}}, {"a": 1}, []])
def test_a_flipped_bit_in_a_runs_manifest_is_told(rows, tmp_path):
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(rows))
    with pytest.raises(InputError, match=r"manifest\.json: is no manifest of"):
        read_utterances(file)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("head:\n\tsize: 3\n", "line 2: found character '\\t' that cannot"),
        ("a: 1\nb: {a: 1, a: 2}\n", 'line 2: found duplicate key "a" with'),
        ("a: " + "[" * 3000, "nested too deeply"),
        ("a: \0", "unacceptable character"),
        ("- a\n", "is not a YAML file of keys and values"),
    ],
)
def test_a_damaged_yaml_file_is_told_in_one_line(text, reason, tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as error:
        read_yaml(file)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_a_name_with_a_line_break_leaves_the_sentence_in_one_line():
    with pytest.raises(SystemExit) as end, one_sentence_errors():
        raise InputError("a\nb.wav: is not there")
    assert end.value.code == "error: a b.wav: is not there"


def test_an_argument_of_any_length_leaves_the_sentence_readable(capsys):
    for words in (["train", "a" * 5000], ["energy", "x", f"--{'b' * 5000}=1"]):
        with pytest.raises(SystemExit) as end:
            main(words)
        said = f"{end.value.code} {capsys.readouterr().err}"
        assert len(said) < 3000
        assert "a" * 100 in said or "b" * 100 in said


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["sleep", "60"], "hung for 1 s"),
        (["false"], "ended with status 1"),
        (["true"], ""),
    ],
)
def test_the_fuzzer_notes_a_process_of_its_own_that_hangs_or_dies(
    words, reason, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import fuzz

    monkeypatch.setattr(fuzz, "CASE_LIMIT", 1)
    file = tmp_path / "fuzz.json"
    file.touch()
    process = subprocess.Popen(words)
    assert fuzz._wait(process, file) == reason
    assert process.poll() is not None


def test_a_killed_command_of_the_fuzzer_leaves_no_lock_behind(
    tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    from fuzzing import engine

    # Only the lock, not the threads of the tests that follow.
    monkeypatch.setattr(engine.torch, "set_num_threads", lambda n: None)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(tqdm, "_lock", tqdm.get_lock())
    engine.one_thread()
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()

    def hold():
        tqdm.get_lock().acquire()
        time.sleep(60)

    assert engine.call(hold, tmp_path, kill_after=0.5).status == -9
    held = threading.Thread(target=tqdm.get_lock().acquire, daemon=True)
    held.start()
    held.join(5)
    assert not held.is_alive()
