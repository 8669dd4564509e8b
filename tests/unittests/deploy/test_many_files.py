"""A folder classified into a CSV: resumed, with bad files, in groups."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

from speechbrain_ptssnn import cli
from speechbrain_ptssnn.deploy import classify as classification
from speechbrain_ptssnn.deploy import many_files
from speechbrain_ptssnn.deploy.classify import classify, find_audio, open_bundle
from speechbrain_ptssnn.utils.processes import Died

CLASSES = ["calm", "angry", "sad"]


@pytest.fixture
def folder(tmp_path, speech):
    """Seven files; three are good, one is silent, three are bad."""
    path = tmp_path / "calls"
    (path / "sub").mkdir(parents=True)
    for k, name in enumerate(("b.wav", "sub/a.wav", "c, 'd'.wav")):
        soundfile.write(path / name, speech[k * 4000 :], 16000)
    soundfile.write(path / "silent.wav", speech[:8000] * 0, 16000)
    (path / "text.wav").write_text("no audio")
    whole = (path / "b.wav").read_bytes()
    (path / "short.wav").write_bytes(whole[:-20])
    (path / "empty.wav").touch()
    (path / "notes.txt").touch()
    (path / "._b.wav").touch()
    (path / "loop").symlink_to(path)
    return path


@pytest.fixture
def in_process(monkeypatch):
    """Classifies in this process; returns the files that were classified, and
    what is done instead of some.
    """
    seen, instead = [], {}

    def run(prepare, items, jobs):
        function = prepare()
        for item in items:
            seen.append(Path(item).name)
            if item in instead:
                yield item, instead[item]()
            else:
                yield item, function(item)

    monkeypatch.setattr(many_files, "map_in_processes", run)
    monkeypatch.setattr(many_files.torch, "set_num_threads", lambda n: None)
    return seen, instead


def run(*words):
    """Calls ``ptssnn classify``; returns how it ended, "" if well."""
    try:
        cli.main(["classify", *map(str, words), "--noprogressbar"])
    except SystemExit as end:
        return str(end.code)
    return ""


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def test_what_was_read_and_skipped_is_said(
    bundle, folder, tmp_path, in_process, capsys
):
    out = tmp_path / "out.csv"
    end = run(bundle, folder, f"--csv={out}")
    assert end.startswith("error: 3 of 7 files could not be classified")
    assert "empty.wav: is empty" in end
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == f"{out}: 4 of 7 files classified"
    assert sorted(lines[1:]) == [
        f"skipped, a hidden file: 1 ({folder}/._b.wav)",
        f"skipped, a link to a folder: 1 ({folder}/loop)",
        f"skipped, no ending of an audio file: 1 ({folder}/notes.txt)",
    ]
    assert "warning: 1 of 7 recordings are silent or too loud: " in said.err
    rows = rows_of(out)
    assert [*rows] == sorted(rows)
    classifier = open_bundle(bundle)
    for name in ("b.wav", "sub/a.wav", "c, 'd'.wav", "silent.wav"):
        path = str(folder / name)
        row, expected = rows.pop(path), classify(classifier, path)
        assert row["label"] == expected.label
        for label, p in expected.posteriors.items():
            assert row[f"p_{label}"] == f"{p:.6f}"
        status = os.stat(path)
        assert int(row["bytes"]) == status.st_size
        assert int(row["modified_ns"]) == status.st_mtime_ns
        assert row["warning"].startswith("is digital silence") == (
            name == "silent.wav"
        )
        assert row["error"] == ""
    assert len(rows) == 3
    for row in rows.values():
        assert (row["label"], row["p_calm"]) == ("", "")
        assert row["error"] and row["path"] not in row["error"]


def test_the_same_command_goes_on_and_sees_changes(
    bundle, folder, tmp_path, in_process, capsys, speech
):
    seen, instead = in_process
    whole, out = tmp_path / "whole.csv", tmp_path / "out.csv"
    run(bundle, folder, f"--csv={whole}", "--jobs=2")
    order = seen.copy()
    assert len(order) == 7

    def interrupt():
        raise KeyboardInterrupt

    seen.clear()
    instead[str(folder / "short.wav")] = interrupt
    end = run(bundle, folder, f"--csv={out}")
    assert end == "interrupted; the same command goes on from here"
    n_done = order.index("short.wav")
    assert f"out.csv.part: {n_done} of 7 files" in capsys.readouterr().err
    assert not out.exists()
    instead.clear()
    seen.clear()
    run(bundle, folder, f"--csv={out}")
    # What was classified is not classified again, but what failed is.
    assert sorted(seen) == sorted({*order[n_done:], "empty.wav"})
    assert out.read_bytes() == whole.read_bytes()
    said = capsys.readouterr().out
    n_good = n_done - 1  # all but empty.wav
    assert f"4 of 7 files classified ({n_good} of them before)" in said

    seen.clear()
    for name in ("text", "empty", "short"):
        (folder / f"{name}.wav").unlink()
    soundfile.write(folder / "b.wav", speech[:16000], 16000)  # another size
    status = os.stat(folder / "silent.wav")
    os.utime(folder / "silent.wav", (5, 5))
    soundfile.write(folder / "new.wav", speech, 16000)
    before = rows_of(out)
    assert run(bundle, folder, f"--csv={out}") == ""
    assert seen == ["b.wav", "new.wav", "silent.wav"]
    assert "kept: 3 rows of other files" in capsys.readouterr().out
    after = rows_of(out)
    assert {*before, str(folder / "new.wav")} == {*after}
    changed = {path for path in before if before[path] != after[path]}
    assert changed == {str(folder / name) for name in ("b.wav", "silent.wav")}
    assert status.st_mtime_ns != int(
        after[str(folder / "silent.wav")]["modified_ns"]
    )
    seen.clear()
    assert run(bundle, folder, f"--csv={out}") == ""
    assert not seen


def test_a_dead_process_and_a_growing_file_are_rows(
    bundle, folder, tmp_path, in_process, monkeypatch
):
    _, instead = in_process
    instead[str(folder / "b.wav")] = lambda: Died(-9)
    load = classification.load_audio

    def load_and_grow(path, *arguments, **options):
        wav = load(path, *arguments, **options)
        if path.endswith("a.wav"):
            with open(path, "ab") as file:
                file.write(b"more")
        return wav

    monkeypatch.setattr(classification, "load_audio", load_and_grow)
    out = tmp_path / "out.csv"
    assert "5 of 7 files could not" in run(bundle, folder, f"--csv={out}")
    rows = rows_of(out)
    assert rows[str(folder / "b.wav")]["error"].startswith(
        "the process was killed (signal 9), perhaps for lack of memory"
    )
    assert rows[str(folder / "sub/a.wav")]["error"].startswith(
        "was changed while it was read; classify it again"
    )


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 9. GiB for an array"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_a_file_that_is_too_long_for_the_memory_is_named(
    error, bundle, wav, monkeypatch
):
    classifier = open_bundle(bundle)

    def fail(*_):
        raise error

    monkeypatch.setattr(classifier, "encode_batch", fail)
    with pytest.raises(ValueError, match=r"new\.wav: is too long to be clas"):
        classify(classifier, wav)
    error.args = ("another one",)
    with pytest.raises(type(error), match="another one"):
        classify(classifier, wav)


def test_groups_and_unsure_answers_agree_on_screen_and_in_the_csv(
    bundle, wav, tmp_path, in_process, capsys
):
    posteriors = classify(open_bundle(bundle), wav).posteriors
    label_map = "--label_map={sad: bad, angry: bad, calm: null}"
    end = run(bundle, wav, label_map, f"--csv={tmp_path}/x.csv")
    assert "leaves 1 classes" in end
    label_map = "--label_map={sad: bad, angry: good, calm: null}"
    kept = posteriors["sad"] + posteriors["angry"]
    expected = {
        "bad": posteriors["sad"] / kept,
        "good": posteriors["angry"] / kept,
    }
    best = max(expected, key=expected.get)
    for unsure, label in (("0.5", best), ("1", "unsure")):
        out = tmp_path / f"{unsure}.csv"
        words = (label_map, f"--unsure={unsure}")
        capsys.readouterr()
        assert run(bundle, wav, *words, f"--csv={out}") == ""
        said = capsys.readouterr().out
        assert ("unsure: 1 of 1 answers" in said) == (label == "unsure")
        (row,) = rows_of(out).values()
        assert row["label"] == label
        assert [key for key in row if key.startswith("p_")] == [
            *("p_bad", "p_good"),
        ]
        cli.main(["classify", str(bundle), wav, *words])
        text = capsys.readouterr().out
        assert text.startswith(f"{wav}: {label} (bad ")
        cli.main(["stream", str(bundle), wav, *words])
        last = capsys.readouterr().out.splitlines()[-1]
        assert f"end: {label} (bad " in last
        for group, p in expected.items():
            assert float(row[f"p_{group}"]) == pytest.approx(p, abs=2e-6)
            assert f"{group} {p:.3f}" in text
    other = run(bundle, wav, f"--csv={out}")
    assert f"by {bundle}: label_map was {{" in other


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--csv=no/x.csv"], "--csv=no/x.csv: there is no such folder"),
        (["--csv=x.csv", "--jobs=0"], "--jobs must be at least 1, got 0"),
        (["--csv=x.csv", "--format=json"], "--format is for the screen"),
        (["--jobs=2"], "--jobs and --noprogressbar need --csv=FILE"),
        (["--csv=x.csv", "--label_map={a: b"], "cannot be read as YAML"),
        (["--csv=x.csv", "--label_map=calm"], "label_map must be like"),
        (["--csv=x.csv", "--unsure=2"], "at most 1, got 2"),
    ],
)
def test_words_that_do_not_fit_are_refused(
    words, message, bundle, wav, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    before = {*tmp_path.iterdir()}
    with pytest.raises(SystemExit, match=message) as error:
        cli.main(["classify", str(bundle), wav, *words])
    assert "\n" not in str(error.value)
    assert {*tmp_path.iterdir()} == before


def test_a_folder_is_searched_and_the_rest_is_noted(folder, monkeypatch):
    skipped = {}
    found = find_audio([folder, folder / "notes.txt"], skipped)
    assert len(found) == 8
    assert found[:-1] == sorted(found[:-1])
    assert found[-1] == str(folder / "notes.txt")  # as it was named
    assert {Path(path).name for path in skipped} == {
        *("._b.wav", "loop", "notes.txt"),
    }
    scan = os.scandir

    def refuse(path):
        if str(path).endswith(refused):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    refused, skipped = "sub", {}
    assert len(find_audio([folder], skipped)) == 6
    assert (
        skipped[str(folder / "sub")] == "cannot be entered (Permission denied)"
    )
    refused = "calls"
    with pytest.raises(PermissionError):
        find_audio([folder])


def test_killed_processes_leave_what_another_command_goes_on_from(
    bundle, folder, tmp_path, in_process
):
    """The same, larger: benchmarks/classify_kill.py."""
    for k in range(150):
        shutil.copy2(folder / "b.wav", folder / f"sub/{k}.wav")
    whole, out = tmp_path / "whole.csv", tmp_path / "out.csv"
    run(bundle, folder, f"--csv={whole}")
    part = tmp_path / "out.csv.part"
    words = [str(bundle), str(folder), f"--csv={out}", "--jobs=2"]
    process = subprocess.Popen(
        [sys.executable, "-m", cli.__name__, "classify", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not part.exists() or part.read_bytes().count(b"\n") < 8:
        assert process.poll() is None
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    os.truncate(part, part.stat().st_size - 9)
    kept = part.read_bytes()
    rows = [*csv.reader(kept.decode().splitlines())][1:-1]
    done = {Path(path).name for path, label, *_ in rows if label}
    assert len(done) >= 2
    seen, _ = in_process
    seen.clear()
    run(bundle, folder, f"--csv={out}")
    assert not done & {*seen}
    assert out.read_bytes() == whole.read_bytes()
    assert not part.exists()
