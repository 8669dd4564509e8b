"""Timelines: the rule by hand, and what each window says."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from speechbrain_ptssnn import cli
from speechbrain_ptssnn.apps import timeline as module
from speechbrain_ptssnn.apps.timeline import (
    Settings,
    Span,
    segments,
    smooth,
    timeline,
)
from speechbrain_ptssnn.deploy.classify import classify, open_bundle
from speechbrain_ptssnn.deploy.streaming import AudioStream, file_blocks
from speechbrain_ptssnn.errors import InputError

RATE = 16000


@pytest.fixture
def find(monkeypatch):
    """Says where the speech is, instead of Silero."""

    def put(*stretches):
        class Finder:
            def __call__(self, samples):
                pass

            def finish(self):
                return list(stretches)

        monkeypatch.setattr(module, "SpeechFinder", Finder)

    return put


@pytest.fixture(scope="module")
def long(tmp_path_factory, speech):
    """Ten seconds."""
    path = tmp_path_factory.mktemp("long") / "long.wav"
    scale = np.linspace(0.2, 1, 5)[:, None]
    samples = scale * speech[: 2 * RATE] / 32768
    soundfile.write(path, samples.reshape(-1), RATE)
    return str(path)


@pytest.fixture(scope="module")
def in_windows(write_bundle):
    return write_bundle("pts_snn", backbone="fbank")


def window(start, *posteriors):
    return Span(start, start + 3, "", dict(zip("abc", posteriors, strict=True)))


def test_steps_are_means_and_then_medians_by_hand():
    windows = [
        window(0, 1.0, 0.0, 0.0),
        window(1, 0.4, 0.6, 0.0),
        window(2, 0.1, 0.2, 0.7),
    ]
    steps = smooth(windows, 0.0, 5.0, Settings(smoothing=0))
    # Their middles lie in the windows {0}, {0, 1}, {0, 1, 2}, {1, 2}, {2}.
    means = [
        [1.0, 0.0, 0.0],
        [0.7, 0.3, 0.0],
        [0.5, 0.8 / 3, 0.7 / 3],
        [0.25, 0.4, 0.35],
        [0.1, 0.2, 0.7],
    ]
    found = [list(step.posteriors.values()) for step in steps]
    np.testing.assert_allclose(found, means)
    assert [(step.start, step.end) for step in steps] == [
        *((0, 1), (1, 2), (2, 3), (3, 4), (4, 5))
    ]
    assert "".join(step.label for step in steps) == "aaabc"
    # The median of three: of step 3 (0.5, 0.25, 0.1), (0.27, 0.4, 0.2) and
    # (0.23, 0.35, 0.7), divided by their sum. The first and last steps stand
    # for those beyond them, so they stay.
    steps = smooth(windows, 0.0, 5.0, Settings(smoothing=3))
    found = [list(step.posteriors.values()) for step in steps]
    middle = np.array([0.25, 0.8 / 3, 0.35])
    np.testing.assert_allclose(found[0], means[0])
    np.testing.assert_allclose(found[3], middle / middle.sum())
    np.testing.assert_allclose(found[4], means[4])
    assert [step.label for step in segments(steps)] == ["a", "c"]


def test_one_step_that_differs_from_both_sides_goes():
    def steps(smoothing):
        a, b = (0.9, 0.1, 0.0), (0.2, 0.8, 0.0)
        windows = [
            Span(k, k + 1, "", dict(zip("abc", values, strict=True)))
            for k, values in enumerate([a, a, b, a, a])
        ]
        settings = Settings(window=1, smoothing=smoothing)
        return "".join(
            step.label for step in smooth(windows, 0.0, 5.0, settings)
        )

    assert steps(0) == "aabaa"
    assert steps(3) == "aaaaa"


def test_where_all_medians_are_zero_the_mean_stays():
    windows = [
        Span(k, k + 1, "", dict(zip("abc", np.eye(3)[k].tolist(), strict=True)))
        for k in range(3)
    ]
    steps = smooth(windows, 0.0, 3.0, Settings(window=1))
    assert [step.label for step in steps] == ["a", "b", "c"]
    assert steps[1].posteriors == {"a": 0, "b": 1, "c": 0}


@pytest.mark.parametrize(
    ("smoothing", "hop", "steps"),
    [(0, 1, 1), (1.9, 1, 1), (2, 1, 3), (3, 1, 3), (4, 1, 5), (3, 0.5, 7)],
)
def test_the_median_is_over_an_odd_number_of_steps(smoothing, hop, steps):
    assert Settings(hop=hop, smoothing=smoothing).steps_of_median == steps


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hop": 4}, "at most --window"),
        ({"hop": 0}, "at least 0.1"),
        ({"window": float("nan")}, "--window=nan"),
        ({"smoothing": -1}, "--smoothing"),
        ({"channels": "left"}, "model, split, 0, 1"),
    ],
)
def test_impossible_settings_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        Settings(**options)


def test_segments_end_where_the_speech_does():
    steps = [Span(0, 1, "a", {"a": 1}), Span(2, 3, "a", {"a": 1})]
    assert segments(steps) == steps
    assert segments([]) == []


def test_each_window_is_what_classify_says_of_it(
    in_windows, long, find, tmp_path
):
    find((0.5, 6.1), (7.0, 7.8))
    classifier = open_bundle(in_windows)
    made = timeline(classifier, long)
    (track,) = made.tracks
    ends = [(each.start, each.end) for each in track.windows]
    # 2.6 s are left behind the first window: three more, evenly.
    np.testing.assert_allclose(
        ends,
        [(0.5 + 2.6 / 3 * k, 3.5 + 2.6 / 3 * k) for k in range(4)]
        + [(7.0, 7.8)],
        atol=1 / RATE,
    )
    samples, _ = soundfile.read(long)
    for each in track.windows:
        first, last = round(each.start * RATE), round(each.end * RATE)
        soundfile.write(tmp_path / "w.wav", samples[first:last], RATE)
        expected = classify(classifier, tmp_path / "w.wav")
        assert each.label == expected.label
        assert each.posteriors == pytest.approx(expected.posteriors, abs=1e-4)
    assert len(track.steps) == 6 + 1
    assert track.steps[0].start == 0.5
    assert track.steps[-1].end == 7.8
    assert len({tuple(each.posteriors.values()) for each in track.windows}) > 3
    assert made.seconds == 10
    assert made.notes == []
    assert track.envelope.shape == (200, 2)
    size = RATE // 20
    np.testing.assert_allclose(
        track.envelope[:, 1], samples.reshape(-1, size).max(1), atol=1e-6
    )


def test_a_recording_shorter_than_a_window_is_one_window(in_windows, find, wav):
    find((0.0, 2.0076875))
    classifier = open_bundle(in_windows)
    (track,) = timeline(classifier, wav).tracks
    (window,) = track.windows
    expected = classify(classifier, wav)
    assert window.posteriors == pytest.approx(expected.posteriors, abs=1e-6)
    assert (window.start, window.end) == (0.0, 2.0076875)


def test_short_speech_gets_what_stands_around_it(windowed, find, long):
    find((5.0, 5.01))
    (track,) = timeline(open_bundle(windowed), long).tracks
    (window,) = track.windows
    assert window.end - window.start == pytest.approx(0.025, abs=0.01)
    (step,) = track.steps
    assert (step.start, step.end) == (5.0, 5.01)


def test_a_causal_model_streams_and_begins_anew(bundle, find, long, tmp_path):
    find((0.5, 4.6), (6.0, 8.0))
    classifier = open_bundle(bundle)
    made = timeline(classifier, long)
    (track,) = made.tracks
    samples, _ = soundfile.read(long)
    soundfile.write(tmp_path / "part.wav", samples[6 * RATE : 8 * RATE], RATE)
    stream = AudioStream(classifier)
    first, second = file_blocks(tmp_path / "part.wav", classifier, 1.0)
    expected = [stream(first)]
    stream(second)
    expected.append(stream.finish())
    assert len(track.steps) == 4 + 2
    for step, heard in zip(track.steps[-2:], expected, strict=True):
        assert step.posteriors == pytest.approx(heard.posteriors, abs=1e-6)
    assert "causal" in made.rule
    with pytest.raises(InputError, match="leave out --window"):
        timeline(classifier, long, Settings(window=2))


def test_a_telephone_call_has_two_tracks(in_windows, find, speech, tmp_path):
    find((0.0, 2.0))
    path = tmp_path / "call.wav"
    left = speech[: 2 * RATE : 2] / 32768
    soundfile.write(path, np.stack([left, 0.2 * left[::-1]], 1), 8000)
    classifier = open_bundle(in_windows)
    made = timeline(classifier, path, Settings(channels="split"))
    assert [track.channel for track in made.tracks] == [0, 1]
    one, two = (track.windows[0].posteriors for track in made.tracks)
    assert one != two
    alone = timeline(classifier, path, Settings(channels="1"))
    assert alone.tracks[0].windows[0].posteriors == two
    louder = timeline(classifier, path)
    assert louder.tracks[0].windows[0].posteriors == one
    rate, channel = louder.notes
    assert "ends at 4000 Hz, but the model hears up to 8000 Hz" in rate
    assert "--channels=split" in channel
    with pytest.raises(InputError, match="no channel 2"):
        timeline(classifier, path, Settings(channels="2"))


def test_ctrl_c_keeps_what_is_done(in_windows, find, long, monkeypatch):
    find((0.0, 9.9))
    classifier = open_bundle(in_windows)
    whole = timeline(classifier, long, Settings(hop=0.5))
    calls = classifier.classify_batch

    def interrupted(wavs, lengths):
        if len(wavs) < module.BATCH:
            raise KeyboardInterrupt
        return calls(wavs, lengths)

    monkeypatch.setattr(classifier, "classify_batch", interrupted)
    made = timeline(classifier, long, Settings(hop=0.5))
    assert made.tracks[0].windows == whole.tracks[0].windows[:8]
    assert made.until == made.tracks[0].steps[-1].end
    assert 6 < made.until < 7
    monkeypatch.setattr(module, "BATCH", 99)
    with pytest.raises(KeyboardInterrupt):  # nothing was done
        timeline(classifier, long)


def test_silence_gives_an_empty_timeline(in_windows, tmp_path, capsys):
    pytest.importorskip("silero_vad")
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.zeros(60 * RATE), RATE)
    cli.main(["timeline", str(in_windows), str(path), "--format=json,html"])
    printed = capsys.readouterr()
    assert "no speech was found in 60.0 s" in printed.err
    assert "speech in 0:00 of 1:00" in printed.out
    content = json.loads((tmp_path / "silence_timeline.json").read_text())
    assert content["tracks"][0]["segments"] == []
    page = (tmp_path / "silence_timeline.html").read_text()
    assert "No speech was found" in page


@pytest.fixture
def run(in_windows, find):
    find((0.5, 4.0))

    def call(*words):
        words = [str(word) for word in words]
        cli.main(["timeline", str(in_windows), *words, "--noprogressbar"])

    return call


@pytest.mark.parametrize("name", ["in_windows", "bundle"])
def test_labels_are_groups_or_unsure(name, find, long, tmp_path, request):
    find((0.5, 6.1))
    model = request.getfixturevalue(name)
    plain = timeline(open_bundle(model), long).tracks[0]
    groups = dict.fromkeys(plain.steps[0].posteriors, "rest") | {
        next(iter(plain.steps[0].posteriors)): "first"
    }
    grouped = timeline(open_bundle(model, label_map=groups), long).tracks[0]
    for step, each in zip(plain.steps, grouped.steps, strict=True):
        first = next(iter(step.posteriors.values()))
        assert each.posteriors["first"] == pytest.approx(first, abs=0.02)
        assert each.label == (
            "first" if each.posteriors["first"] > 0.5 else "rest"
        )
    unsure = timeline(open_bundle(model, unsure=0.999), long).tracks[0]
    assert {each.label for each in unsure.steps} == {"unsure"}
    assert {each.label for each in unsure.windows} == {"unsure"}
    assert unsure.steps[0].posteriors == plain.steps[0].posteriors


def test_files_that_are_there_stay(run, wav, tmp_path, capsys):
    run(wav, "--format=csv,rttm", "--output_folder", tmp_path / "made")
    table = tmp_path / "made" / "new_timeline.csv"
    assert table.read_text().startswith("channel,start,end,label,p_calm")
    table.write_text("mine")
    (tmp_path / "made" / "new_timeline.rttm").unlink()
    run(wav, "--format=csv,rttm", "--output_folder", tmp_path / "made")
    assert table.read_text() == "mine"
    assert (tmp_path / "made" / "new_timeline.rttm").exists()
    assert "--overwrite" in capsys.readouterr().out
    run(
        wav, "--format=csv", "--output_folder", tmp_path / "made", "--overwrite"
    )
    assert table.read_text() != "mine"


def test_one_bad_recording_does_not_stop_the_others(run, wav, tmp_path, capsys):
    text = tmp_path / "b.wav"
    text.write_text("not audio at all, but words")
    cut = tmp_path / "c.wav"
    soundfile.write(cut, np.ones(10 * RATE) * 0.1, RATE)
    with open(cut, "r+b") as file:
        file.truncate(5 * 2 * RATE)
    with pytest.raises(SystemExit) as ended:
        run(text, cut, wav, "--format=csv")
    assert str(ended.value).startswith("error: 2 of 3 recordings")
    assert "is a text file" in str(ended.value)
    assert "is cut short" in str(ended.value)
    assert (tmp_path / "new_timeline.csv").exists()
    assert (tmp_path / "c_timeline.csv").exists()
    assert not (tmp_path / "b_timeline.csv").exists()


def test_an_interrupted_recording_has_files_of_its_own(
    run, wav, tmp_path, monkeypatch, capsys
):
    def stopped(*arguments):
        return replace(timeline(*arguments), until=1.5)

    monkeypatch.setattr(cli, "timeline", stopped)
    with pytest.raises(SystemExit, match="goes on from here"):
        run(wav, "--format=csv,html")
    assert ", interrupted at 0:02; " in capsys.readouterr().out
    assert (tmp_path / "new_timeline_partial.csv").exists()
    page = (tmp_path / "new_timeline_partial.html").read_text()
    assert "was classified up to 0:01.5" in page
    assert not (tmp_path / "new_timeline.csv").exists()
    monkeypatch.setattr(cli, "timeline", timeline)
    run(wav, "--format=csv,html")
    assert {path.name for path in tmp_path.glob("new_timeline*")} == {
        "new_timeline.csv",
        "new_timeline.html",
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.wav", "a.flac"], "would have the same files"),
        (["a.wav", "--format=textgird"], "did you mean 'textgrid'"),
        (["a.wav", "--format="], "there is no format ''"),
        (["a.wav", "--hop=5"], "at most --window"),
        (["a.wav", "--window=0.01", "--hop=0.01"], "--hop"),
        (["gone.wav"], "there is no such file"),
    ],
)
def test_mistakes_are_told_before_the_work(
    words, message, run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "a.flac"):
        soundfile.write(name, np.zeros(RATE), RATE)
    with pytest.raises(SystemExit, match="error: ") as ended:
        run(*words)
    assert message in str(ended.value)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_that_grows_is_noted(in_windows, find, long, tmp_path):
    path = tmp_path / "live.wav"
    samples, _ = soundfile.read(long)
    soundfile.write(path, samples[: 4 * RATE], RATE)

    class Growing:
        def __call__(self, block):
            soundfile.write(path, samples, RATE)

        def finish(self):
            return [(0.0, 4.0)]

    find()
    module.SpeechFinder = Growing
    made = timeline(open_bundle(in_windows), path)
    assert made.seconds == 4
    assert made.tracks[0].steps[-1].end == 4
    assert "grew while it was read; the timeline ends at 4.0 s" in made.notes[0]
    assert made.problem is None
