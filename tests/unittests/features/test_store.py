import errno
import hashlib
import os
import pickle
import random
import shutil
import signal
import sqlite3
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_ptssnn.backbones import Fbank, HuggingFace
from speechbrain_ptssnn.backbones.base import Backbone
from speechbrain_ptssnn.corpora.common import Utterance
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.features import audio_hashes, shards
from speechbrain_ptssnn.features import store as store_module
from speechbrain_ptssnn.features.shards import parse, scan
from speechbrain_ptssnn.features.store import FeatureStore

NAMES = "012"


@pytest.fixture
def corpus(tmp_path):
    """Makes so many short utterances."""

    def make(n):
        rng = np.random.default_rng(0)
        rows = []
        for k in range(n):
            wav = tmp_path / f"{k}.wav"
            soundfile.write(
                wav, 0.1 * rng.standard_normal(4000 + 80 * k), 16000
            )
            rows.append(Utterance(str(k), str(wav), "s", "calm", 0.3))
        return rows

    return make


@pytest.fixture
def utterances(corpus):
    return corpus(len(NAMES))


@pytest.fixture
def open_store(utterances, tmp_path):
    def call(backbone=None, utterances=utterances, **options):
        backbone = backbone or Fbank()
        return FeatureStore(tmp_path / "store", backbone, utterances, **options)

    return call


def are_right(store, utterances):
    for u in utterances:
        wav, _ = soundfile.read(u.wav, dtype="float32")
        if not torch.equal(store[u.id], Fbank()(torch.from_numpy(wav))):
            return False
    return True


def records(store):
    """Payloads by key, and where each begins: (shard, offset, payload)."""
    found = {}
    for path in sorted(store.folder.glob("*.bin")):
        data = path.read_bytes()
        for offset, record in scan(path):
            begin = offset + shards.ALIGNMENT
            payload = data[begin : begin + record.payload]
            found[record.key.hex()] = (path, begin, payload)
    return found


def flip(path, position):
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 0x10]))


def in_child(work):
    """Runs a function in a forked process; gives its id."""
    pid = os.fork()
    if not pid:
        code = 99
        # It has none of OpenMP's threads and would wait for them for ever.
        torch.set_num_threads(1)
        try:
            code = work()
        finally:
            os._exit(code)
    return pid


def exit_code(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Counting(Fbank):
    """Counts its calls, and is slow where a test needs the time."""

    calls = 0
    pause = 0.0

    def extract(self, wav):
        self.calls += 1
        time.sleep(self.pause)
        return super().extract(wav)


def test_a_part_of_a_file_is_what_a_cut_file_is(open_store, tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, (44100, 2))
    whole, cut = tmp_path / "whole.wav", tmp_path / "cut.wav"
    soundfile.write(whole, noise, 44100)
    soundfile.write(cut, noise[13230:22050], 44100)
    parts = [
        Utterance("part", str(whole), "s", "calm", 0.2, start=0.3, end=0.5),
        Utterance("cut", str(cut), "s", "calm", 0.2),
        Utterance("rest", str(whole), "s", "calm", 0.5, start=0.5),
        Utterance("again", str(whole), "s", "calm", 0.2, start=0.3, end=0.5),
    ]
    store = open_store(utterances=parts)
    assert store.fill(False) == 3
    assert torch.equal(store["part"], store["cut"])
    assert torch.equal(store["part"], store["again"])
    assert store.n_frames("rest") == 25
    assert open_store(utterances=parts).fill(False) == 0
    # It is the part that counts, not the file around it.
    noise[40000:] = 0
    soundfile.write(whole, noise, 44100)
    assert open_store(utterances=parts).fill(False) == 1


def test_of_a_long_file_only_the_part_is_read(
    open_store, tmp_path, monkeypatch
):
    wav = tmp_path / "long.wav"
    soundfile.write(wav, np.zeros(160000), 16000)
    read = []
    original = soundfile.SoundFile.read

    def count(self, frames, **options):
        read.append(frames)
        return original(self, frames, **options)

    monkeypatch.setattr(soundfile.SoundFile, "read", count)
    monkeypatch.setattr(hashlib, "file_digest", None)
    utterance = Utterance("a", str(wav), "s", "calm", 1.0, start=5.0, end=6.0)
    assert open_store(utterances=[utterance]).fill(False) == 1
    assert set(read) == {16000}


@pytest.mark.parametrize("span", [(0.2, 1.1), (1.5, None), (0.5, 0.5)])
def test_a_part_that_is_not_there_is_named(span, open_store, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(16000), 16000)
    utterance = Utterance(
        "a",
        str(tmp_path / "a.wav"),
        "s",
        "calm",
        1.0,
        "",
        "",
        "",
        "",
        "",
        *span,
    )
    with pytest.raises(InputError, match=r"a\.wav: has no part from .* 1\.0 s"):
        open_store(utterances=[utterance]).fill(False)


def test_a_part_too_short_is_named(open_store, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(16000), 16000)
    utterance = Utterance(
        "a", str(tmp_path / "a.wav"), "s", "calm", 0.01, start=0.5, end=0.51
    )
    message = r"a\.wav from 0\.5 s to 0\.51 s: too short"
    with pytest.raises(InputError, match=message):
        open_store(utterances=[utterance]).fill(False)


def test_another_channel_is_another_store(open_store):
    stores = [open_store(channel=channel) for channel in ("louder", 0)]
    assert stores[0].fingerprint != stores[1].fingerprint


def test_features_are_the_backbones_and_computed_once(open_store, utterances):
    assert open_store().fill(progressbar=False) == 3
    again = open_store()
    assert again.fill(progressbar=False) == 0
    assert are_right(again, utterances)
    assert again.n_frames("2") == len(again["2"])
    with pytest.raises(KeyError):
        again["3"]


def test_unfilled_features_are_an_error_that_says_so(open_store):
    with pytest.raises(InputError, match=r"0\.wav: has no features"):
        open_store()["0"]


def test_changed_audio_and_settings_are_computed_again(open_store, utterances):
    open_store().fill(False)
    soundfile.write(utterances[1].wav, np.full(4000, 0.1), 16000)
    store = open_store()
    assert store.fill(False) == 1
    assert are_right(store, utterances)
    other = open_store(Fbank(n_mels=40))
    assert other.fill(False) == 3
    assert other["0"].shape[1] == 80
    assert open_store(dtype="float16").fill(False) == 3


def test_a_changed_weight_is_another_store(open_store, make_backbone):
    backbone = HuggingFace(str(make_backbone("wav2vec2")))
    old = open_store(backbone)
    old.fill(False)
    with torch.no_grad():
        list(backbone.parameters())[-1].view(-1)[0] += 0.1
    new = open_store(backbone)
    assert new.fill(False) == 3
    assert new.folder != old.folder
    assert not torch.equal(new["0"], old["0"])


def test_equal_audio_is_computed_once(open_store, utterances):
    shutil.copy(utterances[0].wav, utterances[2].wav)
    store = open_store()
    assert store.fill(False) == 2
    assert torch.equal(store["0"], store["2"])


def test_what_is_read_is_the_callers_own(open_store, utterances):
    store = open_store()
    store.fill(False)
    store["0"].zero_()
    assert are_right(store, utterances)


def test_float16_halves_the_records_and_refuses_overflow(open_store):
    whole, half = open_store(), open_store(dtype="float16")
    whole.fill(False)
    half.fill(False)
    assert half["0"].dtype == torch.float32
    assert torch.equal(half["0"], whole["0"].half().float())
    sizes = [
        len(records(s)[s.audio_fingerprint("0")][2]) for s in (whole, half)
    ]
    assert sizes[0] == 2 * sizes[1]

    class Loud(Fbank):
        def extract(self, wav):
            return super().extract(wav) * 0 + 1e5

        def fingerprint(self):
            return "loud"

    assert open_store(Loud()).fill(False) == 3
    with pytest.raises(InputError, match=r"0\.wav: a feature of 1e\+05 is too"):
        open_store(Loud(), dtype="float16").fill(False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int8"}, r"features_dtype must be one of \['float32', 'fl"),
        ({"precision": "tf32"}, "extraction_precision must be one of"),
        ({"precision": "fp16"}, "extraction_precision=fp16 needs a GPU"),
    ],
)
def test_settings_are_checked(options, message, open_store):
    with pytest.raises(InputError, match=message):
        open_store(**options)


def test_all_layers_fit_in_a_record(open_store):
    class Layers(Backbone):
        output_size = 2

        def extract(self, wav):
            return wav[:3996].reshape(3, -1, 2)

        def fingerprint(self):
            return "layers"

    store = open_store(Layers(16000, 50.0, 400))
    store.fill(False)
    assert store["0"].shape == (3, 666, 2)
    assert store.n_frames("0") == 666


@pytest.mark.parametrize(("kept", "lost"), [(0, 3), (50, 3), (-7, 1)])
def test_a_shard_cut_short_is_completed(kept, lost, open_store, utterances):
    store = open_store()
    store.fill(False)
    (shard,) = store.folder.glob("*.bin")
    shard.write_bytes(shard.read_bytes()[:kept])
    assert store.fill(False) == lost
    assert are_right(store, utterances)


def test_a_missing_shard_is_computed_again(open_store, utterances):
    store = open_store()
    store.fill(False)
    (shard,) = store.folder.glob("*.bin")
    shard.unlink()
    assert open_store().fill(False) == 3
    assert are_right(open_store(), utterances)


def test_a_flipped_byte_is_found_and_only_its_record_mended(
    open_store, utterances, caplog
):
    store = open_store()
    store.fill(False)
    path, begin, payload = records(store)[store.audio_fingerprint("1")]
    flip(path, begin + len(payload) // 2)
    backbone = Counting()
    store = open_store(backbone)
    assert store.fill(False) == 0
    assert are_right(store, utterances) and are_right(store, utterances)
    assert backbone.calls == 1
    assert caplog.text.count("are damaged") == 1
    assert f"{utterances[1].wav}: the stored" in caplog.text
    again = open_store(backbone)
    assert are_right(again, utterances)
    assert backbone.calls == 1


def test_no_flipped_byte_anywhere_gives_wrong_features(open_store, utterances):
    store = open_store()
    store.fill(False)
    sound = {p: p.read_bytes() for p in store.folder.iterdir()}
    rng = random.Random(0)
    for path in store.folder.glob("[0i]*"):
        for _ in range(25):
            flip(path, rng.randrange(len(sound[path])))
            try:
                store = open_store()
                store.fill(False)
                assert are_right(store, utterances)
            except InputError as error:
                assert "index.sqlite" in str(error)
            for each in store.folder.iterdir():
                each.unlink()
            for each, data in sound.items():
                each.write_bytes(data)


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "garbage"])
def test_a_damaged_index_is_rebuilt(damage, open_store, utterances, caplog):
    store = open_store()
    store.fill(False)
    index = store.folder / "index.sqlite"
    whole = index.read_bytes()
    index.unlink()
    if damage != "missing":
        index.write_bytes(
            {"empty": b"", "cut": whole[:9000], "garbage": b"x" * 9000}[damage]
        )
    again = open_store()
    assert again.fill(False) == 0
    assert are_right(again, utterances)
    assert "no features are lost" in caplog.text


def test_records_around_a_damaged_header_are_found(open_store, utterances):
    store = open_store()
    store.fill(False)
    path, begin, _ = records(store)[store.audio_fingerprint("1")]
    flip(path, begin - 20)
    (store.folder / "index.sqlite").unlink()
    again = open_store()
    assert again.fill(False) == 1
    assert are_right(again, utterances)


@pytest.mark.parametrize("pragma", ["application_id = 7", "user_version = 99"])
def test_a_foreign_index_is_refused(pragma, open_store):
    store = open_store()
    with sqlite3.connect(store.folder / "index.sqlite") as index:
        index.execute(f"PRAGMA {pragma}")
    with pytest.raises(InputError, match=r"index\.sqlite: is not the index"):
        open_store()


def test_a_store_of_another_backbone_is_refused(open_store):
    store = open_store()
    (store.folder / "backbone.txt").write_text("wavlm 1234\n")
    with pytest.raises(InputError, match="made with another backbone, 'wavlm"):
        open_store()


def test_a_rebuild_waits_for_no_writer(open_store, monkeypatch):
    store = open_store()
    monkeypatch.setattr("speechbrain_ptssnn.features.index.PATIENCE", 0.2)
    with store._index.writing():
        (store.folder / "index.sqlite").write_bytes(b"x" * 9000)
        with pytest.raises(InputError, match="while another process writes"):
            open_store()


def kill_in(place, after, monkeypatch):
    """Has this process kill itself in a certain call."""
    calls = 0

    def wrap(function):
        def call(*arguments, **options):
            nonlocal calls
            calls += 1
            if calls > after:
                if place == "pwrite":  # in the middle of a record
                    descriptor, data, position = arguments
                    function(descriptor, data[: len(data) // 2], position)
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    owner = {
        "pwrite": shards.os,
        "fsync": shards.os,
        "extract": Fbank,
        "add": store_module.Index,
    }[place]
    monkeypatch.setattr(owner, place, wrap(getattr(owner, place)))


@pytest.mark.parametrize(
    ("place", "after", "left"),
    [
        ("extract", 0, 3),
        ("extract", 2, 1),
        ("pwrite", 0, 3),
        ("pwrite", 1, 2),
        # The first two are of backbone.txt and its folder.
        ("fsync", 0, 3),
        ("fsync", 2, 3),
        ("fsync", 3, 0),
        ("add", 2, 0),
    ],
)
def test_killed_anywhere_loses_one_record_at_most(
    place, after, left, open_store, utterances, monkeypatch
):
    def work():
        kill_in(place, after, monkeypatch)
        open_store().fill(False)
        return 0

    assert exit_code(in_child(work)) == -signal.SIGKILL
    store = open_store()
    assert store.fill(False) == left
    assert are_right(store, utterances)
    assert len(records(store)) == 3


def test_processes_share_the_work(open_store, corpus):
    rows = corpus(80)

    def work():
        backbone = Counting()
        backbone.pause = 0.005
        return open_store(backbone, rows).fill(False)

    done = [exit_code(pid) for pid in [in_child(work) for _ in range(3)]]
    assert sum(done) == 80
    assert all(0 < n < 80 for n in done)
    store = open_store(utterances=rows)
    assert store.fill(False) == 0
    assert are_right(store, rows)


def test_a_killed_process_does_not_keep_its_claims(open_store, tmp_path):
    def stall():
        backbone = Counting()
        backbone.pause = 60
        (tmp_path / "stalls").touch()
        open_store(backbone).fill(False)

    first = in_child(stall)
    store = open_store()
    claims = "SELECT count(*) FROM claims"
    while not store._index._fetch(claims)[0]:
        time.sleep(0.01)
    second = in_child(lambda: open_store().fill(False))
    time.sleep(0.5)
    assert os.waitpid(second, os.WNOHANG) == (0, 0)  # waits for the first
    os.kill(first, signal.SIGKILL)
    assert exit_code(first) == -signal.SIGKILL
    assert exit_code(second) == 3


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(100), 16000, "too short for one frame"),
        (np.full(8000, np.nan), 16000, "NaN or infinite"),
        (np.full(8000, np.inf), 16000, "NaN or infinite"),
        (np.zeros(0), 16000, "0 samples"),
    ],
)
def test_bad_audio_is_named_and_the_rest_is_kept(
    samples, rate, message, utterances, open_store
):
    soundfile.write(utterances[0].wav, samples, rate, subtype="FLOAT")
    store = open_store()
    with pytest.raises(InputError, match=message) as error:
        store.fill(False)
    assert utterances[0].wav in str(error.value)
    assert are_right(store, utterances[1:])


@pytest.mark.parametrize("keep", [0, 20, 60, 3000])
def test_a_cut_or_empty_file_is_named(keep, utterances, open_store):
    with open(utterances[0].wav, "r+b") as file:
        file.truncate(keep)
    with pytest.raises(InputError, match=r"0\.wav"):
        open_store().fill(False)


def test_loud_recordings_are_one_warning(corpus, open_store, caplog):
    rows = corpus(6)
    for k, u in enumerate(rows[:4]):
        noise = np.random.default_rng(k).normal(0, 2, 4000)
        soundfile.write(u.wav, noise, 16000, "FLOAT")
    assert open_store(utterances=rows).fill(False) == 6
    (said,) = [r.message for r in caplog.records if "scale" in r.message]
    assert "the samples of 4 of 6 recordings are far beyond -1 and 1" in said
    assert said.count(".wav") == 3


def test_many_bad_files_are_one_error(corpus, open_store):
    rows = corpus(6)
    for u in rows[:4]:
        soundfile.write(u.wav, [0.1] * 10, 16000)
    os.unlink(rows[4].wav)
    with pytest.raises(
        InputError, match=r"^5 audio files.*0\.wav.*2 more, all"
    ):
        open_store(utterances=rows).fill(False)
    assert len(open_store(utterances=rows)["5"])


def test_a_file_that_changes_while_it_is_read_is_named(
    open_store, utterances, monkeypatch
):
    def load(wav, *arguments):
        samples = original(wav, *arguments)
        if wav == utterances[1].wav:
            soundfile.write(wav, samples[:-80].numpy(), 16000)
        return samples

    original = store_module.load_audio
    monkeypatch.setattr(store_module, "load_audio", load)
    with pytest.raises(InputError, match=r"1\.wav: changed while it was read"):
        open_store().fill(False)
    monkeypatch.undo()
    store = open_store()
    assert store.fill(False) == 1
    assert are_right(store, utterances)


def test_audio_is_hashed_once_unless_it_was_written_just_now(
    open_store, utterances, monkeypatch
):
    with monkeypatch.context() as patch:  # as if the files were old
        patch.setattr(audio_hashes, "RACY_NS", 0)
        open_store().hash_audio(False)
    Path(utterances[2].wav).touch()
    hashed = []
    digest = hashlib.file_digest
    monkeypatch.setattr(
        hashlib,
        "file_digest",
        lambda f, n: hashed.append(f.name) or digest(f, n),
    )
    for _ in range(2):
        open_store().hash_audio(False)
    assert hashed == [utterances[2].wav] * 2


@pytest.mark.parametrize("how", ["rewritten", "exchanged"])
def test_audio_swapped_behind_its_times_back_has_its_own_features(
    open_store, utterances, monkeypatch, how
):
    """By a file of its size and time, as archives may leave them."""
    monkeypatch.setattr(audio_hashes, "RACY_NS", 0)
    first, second = (Path(u.wav) for u in utterances[:2])
    soundfile.write(second, np.full(4000, 0.1), 16000)
    for path in (first, second):
        os.utime(path, (1e9, 1e9))
    assert first.stat().st_size == second.stat().st_size
    open_store().fill(False)
    other = first.with_name("other.wav")
    if how == "exchanged":
        first.rename(other)
        second.rename(first)
        other.rename(second)
    else:
        first.write_bytes(second.read_bytes())
        os.utime(first, (1e9, 1e9))
    store = open_store()
    assert store.fill(False) == 0  # both are known, by their content
    assert are_right(store, utterances)


def test_a_read_only_store_is_read_and_nothing_else(
    open_store, utterances, monkeypatch
):
    open_store(utterances=utterances[:2]).fill(False)
    monkeypatch.setattr(os, "access", lambda *_: False)
    store = open_store(utterances=utterances[:2])
    before = {p: p.read_bytes() for p in store.folder.iterdir()}
    assert store.fill(False) == 0
    assert are_right(store, utterances[:2])
    path, begin, _ = records(store)[store.audio_fingerprint("1")]
    with pytest.raises(InputError, match=r"of 1 utter.*2\.wav.*is read-only"):
        open_store().fill(False)
    assert {p: p.read_bytes() for p in store.folder.iterdir()} == before
    flip(path, begin)
    assert are_right(open_store(), utterances[:2])
    (store.folder / "index.sqlite").unlink()
    with pytest.raises(InputError, match=r"index\.sqlite: is missing or dam"):
        open_store()


@pytest.mark.parametrize("how", ["no room", "in a write"])
def test_a_full_disk_leaves_the_store_whole(
    how, open_store, utterances, monkeypatch
):
    Usage = namedtuple("Usage", "free")
    pwrite, calls = os.pwrite, []

    def fail(descriptor, data, position):
        calls.append(position)
        if len(calls) == 2:
            return pwrite(descriptor, data[:1000], position)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(descriptor, data, position)

    if how == "no room":
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1000))
    else:
        monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(InputError, match=r"No space left on device.*is kept"):
        open_store().fill(False)
    monkeypatch.undo()
    store = open_store()
    assert store.fill(False) == (3 if how == "no room" else 2)
    assert are_right(store, utterances)
    (shard,) = store.folder.glob("*.bin")
    assert shard.stat().st_size == sum(
        parse(shard.read_bytes()[offset:]).size for offset, _ in scan(shard)
    )


def test_a_folder_that_can_not_be_made_is_an_error(tmp_path, utterances):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="no feature store can be opened"):
        FeatureStore(tmp_path / "file", Fbank(), utterances)


def test_shards_are_cut_and_few_are_open(open_store, corpus, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_BYTES", 50_000)
    monkeypatch.setattr(shards, "OPEN_MAPS", 2)
    rows = corpus(40)
    store = open_store(utterances=rows)
    assert store.fill(False) == 40
    assert len(list(store.folder.glob("*.bin"))) > 2
    assert are_right(store, rows)
    assert len(store._reader._maps) == 2


def test_other_processes_read_what_this_one_opened(open_store, utterances):
    store = open_store()
    store.fill(False)
    assert are_right(pickle.loads(pickle.dumps(store)), utterances)
    pid = in_child(lambda: 7 if are_right(store, utterances) else 8)
    assert exit_code(pid) == 7
