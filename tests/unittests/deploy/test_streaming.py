"""Audio as it comes is classified as ``ptssnn classify`` does the whole."""

import io
import json
import re
import sys

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_ptssnn import cli
from speechbrain_ptssnn.deploy.classify import classify, open_bundle
from speechbrain_ptssnn.deploy.streaming import (
    AudioStream,
    as_text,
    file_blocks,
    pcm_blocks,
)
from speechbrain_ptssnn.errors import InputError

LABELS = ["calm", "angry", "sad"]  # of the bundles
RATE = 16000


@pytest.fixture
def send(monkeypatch):
    """Puts bytes on standard input."""

    def put(data, is_terminal=False):
        stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(data)))
        stdin.isatty = lambda: is_terminal
        monkeypatch.setattr(sys, "stdin", stdin)

    return put


@pytest.mark.parametrize("block", [97, 1000, 8000, 100_000])
def test_at_its_end_a_stream_says_what_classify_says(bundle, wav, block):
    classifier = open_bundle(bundle)
    expected = classify(classifier, wav)
    stream = AudioStream(classifier)
    for samples in file_blocks(wav, classifier, block / RATE):
        heard = stream(samples)
    assert heard.window is None
    assert not heard.is_end
    heard = stream.finish()
    assert heard.is_end
    assert heard.seconds == pytest.approx((2 * RATE + 123) / RATE)
    assert heard.label == expected.label
    assert heard.posteriors == pytest.approx(expected.posteriors, abs=1e-6)
    assert max(heard.posteriors.values()) > 0.4


def test_a_reset_starts_again(bundle, wav):
    stream = AudioStream(open_bundle(bundle))
    whole = next(file_blocks(wav, stream.classifier, 100))
    first = stream(whole)
    assert stream(whole) != first
    stream.reset()
    assert stream(whole) == first


def test_integers_are_converted_by_their_type(bundle, speech):
    stream = AudioStream(open_bundle(bundle))
    heard = stream(torch.from_numpy(speech.astype(np.int16)))
    stream.reset()
    assert stream(torch.from_numpy(speech / 32768).float()) == heard


def test_after_bad_samples_the_stream_goes_on(bundle, wav):
    stream = AudioStream(open_bundle(bundle))
    first, *rest = file_blocks(wav, stream.classifier, 0.7)
    stream(first)
    with pytest.raises(InputError, match="NaN or infinite"):
        stream(torch.full((100,), torch.nan))
    for block in rest:
        stream(block)
    expected = classify(stream.classifier, wav).posteriors
    assert stream.finish().posteriors == pytest.approx(expected, abs=1e-6)


def test_other_front_ends_hear_the_last_seconds_again(windowed, wav):
    classifier = open_bundle(windowed)
    stream = AudioStream(classifier, window=0.8)
    audio = torch.cat(list(file_blocks(wav, classifier, 0.5)))
    end = 0
    for block in audio.split(8000):
        heard, end = stream(block), end + len(block)
        part = audio[max(0, end - 12_800) : end]
        expected = classifier.classify_batch(part[None])[0][0].exp().tolist()
        assert list(heard.posteriors.values()) == pytest.approx(expected)
        assert heard.window == 0.8
    assert as_text(stream.finish()).startswith("2.01 s, the last 0.8 s, end: ")


def test_a_classification_without_the_speaker_does_not_count_as_adapted(
    write_bundle, wav
):
    folder = write_bundle("ablations/causal", normalize="speaker")
    classifier = open_bundle(folder)
    classifier.classify_file(str(wav))  # warns, and takes the training's
    with pytest.raises(InputError, match=r"trained speaker-adapted.*--adapt"):
        AudioStream(classifier)


def test_too_little_audio_has_no_result_yet(bundle, windowed):
    for folder in (bundle, windowed):
        stream = AudioStream(open_bundle(folder))
        with pytest.raises(InputError, match="no audio came at 16000 Hz"):
            stream.finish()
        assert stream(torch.zeros(100)) is None
        stream(torch.zeros(299))  # classify refuses as many
        with pytest.raises(InputError, match=r"only 399 samples.*one frame"):
            stream.finish()


@pytest.mark.parametrize(
    ("head", "options", "message"),
    [
        ("pts_snn", {}, "PTSSNN is not causal.*ablations/causal"),
        ("linear_probe", {"fires": False}, "LinearProbe is not causal"),
        ("ablations/causal", {"backbone": "fbank"}, "fbank with top_db=80"),
        (
            "ablations/causal",
            {"normalize": "speaker"},
            "trained speaker-adapted.*--adapt",
        ),
    ],
)
def test_models_that_cannot_stream_are_named(
    write_bundle, wav, head, options, message
):
    folder = write_bundle(head, **options)
    with pytest.raises(SystemExit, match=message) as error:
        cli.main(["stream", str(folder), wav])
    assert "\n" not in str(error.value)


def test_a_speakers_recordings_adapt_the_stream(write_bundle, wav, capsys):
    folder = str(write_bundle(normalize="speaker"))
    options = ["--format=json", "--adapt", wav]
    cli.main(["stream", folder, wav, *options])
    *_, last = map(json.loads, capsys.readouterr().out.splitlines())
    cli.main(["classify", folder, wav, *options])
    (expected,) = json.loads(capsys.readouterr().out)
    assert last["posteriors"] == pytest.approx(expected["posteriors"], abs=1e-6)


@pytest.mark.parametrize("window", [0.0, 0.001, float("inf"), float("nan")])
def test_an_impossible_window_is_named(windowed, window):
    with pytest.raises(InputError, match=r"--window must be .* at least 0\.0"):
        AudioStream(open_bundle(windowed), window)


def test_a_window_where_there_is_none_is_named(bundle):
    with pytest.raises(InputError, match="leave out --window"):
        AudioStream(open_bundle(bundle), 3.0)


def test_the_command_hears_a_file_and_a_microphone_alike(
    bundle, wav, speech, send, capsys
):
    cli.main(["stream", str(bundle), wav])
    said = capsys.readouterr().out
    times = re.findall(r"^(\d\.\d\d s(?:, end)?): \w+ \(calm 0", said, re.M)
    assert times == [
        *("0.50 s", "1.00 s", "1.50 s", "2.00 s", "2.01 s"),
        "2.01 s, end",
    ]
    send(speech.tobytes())
    cli.main(["stream", str(bundle), "-"])
    assert capsys.readouterr().out == said
    send(speech.tobytes() + b"7")  # half a sample
    cli.main(["stream", str(bundle)])
    assert capsys.readouterr().out == said


def test_the_command_writes_an_object_in_each_line(bundle, wav, capsys):
    cli.main(["stream", str(bundle), wav, "--every=1.5", "--format=json"])
    rows = [json.loads(x) for x in capsys.readouterr().out.splitlines()]
    assert [row["seconds"] for row in rows] == [1.5, 2.0076875, 2.0076875]
    assert [row["is_end"] for row in rows] == [False, False, True]
    for row in rows:
        assert list(row["posteriors"]) == LABELS
        assert row["label"] == max(LABELS, key=row["posteriors"].get)


def test_another_rate_is_resampled(bundle, speech, send, capsys):
    doubled = np.repeat(speech, 2)
    send(doubled.tobytes())
    cli.main(["stream", str(bundle), "--rate=32000", "--format=json"])
    *_, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert last["seconds"] == pytest.approx(len(speech) / RATE, abs=0.001)


@pytest.mark.parametrize("seconds", [0.5, 0.0113])
def test_resampled_blocks_are_the_whole_resampled(seconds):
    tone = np.sin(np.arange(44100) / 40) * 20000
    file = io.BytesIO(tone.astype("<i2").tobytes())
    audio = torch.cat(list(pcm_blocks(file, 44100, RATE, seconds)))
    assert abs(len(audio) - RATE) <= 1
    expected = np.sin(np.arange(RATE) * 44100 / RATE / 40) * 20000 / 32768
    inner = slice(500, -500)
    np.testing.assert_allclose(
        audio[:RATE].numpy()[inner], expected[: len(audio)][inner], atol=1e-3
    )


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (b"", [], "no audio came on standard input"),
        (b"7", [], "no audio came at 16000 Hz"),
        (bytes(200), [], "only 100 samples came .* too short"),
        (b"RIFF" + bytes(4000), [], "holds a WAV file"),
        (b"fLaC" + bytes(4000), [], "holds a FLAC file"),
        (bytes(4000), ["--rate=8"], "--rate must be between 1000 and"),
        (bytes(4000), ["--every=0"], "--every must be a number of seconds"),
        (bytes(4000), ["--every=nan"], "--every must be a number of seconds"),
        (bytes(4000), ["--evry=1"], "did you mean '--every'"),
    ],
)
def test_bad_input_is_one_sentence(bundle, send, data, options, message):
    send(data)
    with pytest.raises(SystemExit, match=message) as error:
        cli.main(["stream", str(bundle), *options])
    assert "\n" not in str(error.value)


def test_bad_arguments_are_one_sentence(bundle, wav, tmp_path, send):
    send(b"", is_terminal=True)
    soundfile.write(tmp_path / "other.wav", np.zeros(8000), RATE)
    for words, message in (
        ([bundle], "standard input is a terminal; give a FILE"),
        ([bundle, wav, "--rate=8000"], "new.wav says its rate itself"),
        ([bundle, tmp_path], "is a folder; give one file"),
        ([bundle, "no.wav"], r"no\.wav: "),
        ([wav, bundle], f"did you mean: ptssnn stream {bundle}"),
    ):
        with pytest.raises(SystemExit, match=message) as error:
            cli.main(["stream", *map(str, words)])
        assert "\n" not in str(error.value)


def test_a_silent_file_is_named(bundle, tmp_path, capsys):
    soundfile.write(tmp_path / "mute.wav", np.zeros(8000), RATE)
    cli.main(["stream", str(bundle), str(tmp_path / "mute.wav")])
    said = capsys.readouterr()
    assert "0.50 s, end: " in said.out
    assert "warning: " in said.err and "mute.wav: is digital" in said.err


def test_ctrl_c_ends_the_recording(bundle, speech, monkeypatch, capsys):
    class Microphone(io.BytesIO):
        def read(self, n):
            data = super().read(n)
            if not data:
                raise KeyboardInterrupt
            return data

    class Stdin:
        buffer = Microphone(speech.tobytes())

        @staticmethod
        def isatty():
            return False

    monkeypatch.setattr(sys, "stdin", Stdin)
    cli.main(["stream", str(bundle), "--every=1"])
    assert "2.01 s, end: " in capsys.readouterr().out
