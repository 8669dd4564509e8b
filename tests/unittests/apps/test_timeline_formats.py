"""What is written is what other programs read back."""

import csv
import json
from io import StringIO

import numpy as np
import pytest
from praatio import textgrid

from speechbrain_ptssnn.apps.timeline import Span, Timeline, Track
from speechbrain_ptssnn.apps.timeline_formats import (
    as_audacity,
    as_csv,
    as_json,
    as_rttm,
    as_textgrid,
)


def span(start, end, p, label="very calm"):
    label = label if p > 0.5 else 'mad "x"'
    return Span(start, end, label, {"very calm": p, 'mad "x"': 1 - p})


ONE = [span(0.5, 2.25, 0.75), span(2.25, 3.0004, 0.25), span(7, 9.9996, 1.0)]
OTHER = [span(0.0, 4.0, 0.6)]


def track(channel, parts):
    envelope = np.zeros((200, 2), np.float32)
    speech = [(each.start, each.end) for each in parts]
    return Track(channel, speech, parts, parts, parts, envelope)


def made(*parts):
    return Timeline(
        "tapes/a talk.wav",
        9.9996,
        ["very calm", 'mad "x"'],
        len(parts),
        [track(k, each) for k, each in enumerate(parts)],
        "A rule.",
        None,
        ["A note"],
    )


def near(found, parts):
    assert len(found) == len(parts)
    for row, part in zip(found, parts, strict=True):
        assert row[:2] == pytest.approx((part.start, part.end), abs=6e-4)


@pytest.mark.parametrize("with_empty", [False, True])
def test_praats_textgrid_is_read_back(with_empty, tmp_path):
    path = tmp_path / "a.TextGrid"
    path.write_text(as_textgrid(made(ONE, OTHER)), encoding="utf-8")
    # "error" refuses gaps, overlaps and times outside.
    grid = textgrid.openTextgrid(
        str(path), with_empty, reportingMode="error", duplicateNamesMode="error"
    )
    assert grid.tierNames == ("emotion, channel 0", "emotion, channel 1")
    assert (grid.minTimestamp, grid.maxTimestamp) == (0, 10.0)
    for name, parts in zip(grid.tierNames, (ONE, OTHER), strict=True):
        entries = grid.getTier(name).entries
        named = [each for each in entries if each.label]
        near([(each.start, each.end) for each in named], parts)
        assert [each.label for each in named] == [p.label for p in parts]
        if with_empty:  # one interval ends where the next begins
            ends = [each.end for each in entries]
            assert [0, *ends[:-1]] == [each.start for each in entries]
            assert ends[-1] == 10.0


def test_an_empty_textgrid_has_one_empty_interval(tmp_path):
    path = tmp_path / "a.TextGrid"
    path.write_text(as_textgrid(made([])), encoding="utf-8")
    grid = textgrid.openTextgrid(str(path), True)
    (entry,) = grid.getTier("emotion").entries
    assert (entry.start, entry.end, entry.label) == (0, 10.0, "")


def test_audacitys_labels_are_read_back():
    # Start, end and label, with tabs between.
    rows = [
        (float(start), float(end), label)
        for start, end, label in csv.reader(
            StringIO(as_audacity(made(ONE))),
            delimiter="\t",
            quoting=csv.QUOTE_NONE,
        )
    ]
    near(rows, ONE)
    assert [row[2] for row in rows] == [part.label for part in ONE]
    lines = as_audacity(made(ONE, OTHER)).splitlines()
    assert lines[0] == "0.000000\t4.000000\t1: very calm"
    assert lines[1].endswith("\t0: very calm")


def test_rttm_is_read_back():
    rows = []
    for line in as_rttm(made(ONE, OTHER)).splitlines():
        kind, name, channel, start, seconds, *rest = line.split()
        assert (kind, name) == ("SPEAKER", "a_talk")
        assert len(rest) == 5
        assert rest[0] == rest[1] == rest[3] == rest[4] == "<NA>"
        end = float(start) + float(seconds)
        rows.append((float(start), end, int(channel), rest[2]))
    near(rows, [*ONE, *OTHER])
    assert [row[2] for row in rows] == [1, 1, 1, 2]
    assert [row[3] for row in rows] == [
        *("very_calm", 'mad_"x"', "very_calm", "very_calm")
    ]


def test_csv_is_read_back():
    rows = list(csv.DictReader(StringIO(as_csv(made(ONE, OTHER)))))
    near(
        [(float(row["start"]), float(row["end"])) for row in rows], ONE + OTHER
    )
    assert [row["channel"] for row in rows] == ["0", "0", "0", "1"]
    for row, part in zip(rows, ONE + OTHER, strict=True):
        assert row["label"] == part.label
        found = {label: float(row[f"p_{label}"]) for label in part.posteriors}
        assert found == pytest.approx(part.posteriors)


def test_json_holds_everything_but_the_waveform():
    timeline = made(ONE, OTHER)
    content = json.loads(as_json(timeline))
    assert content["seconds"] == 9.9996
    assert content["labels"] == ["very calm", 'mad "x"']
    assert content["rule"] == "A rule."
    for found, track in zip(content["tracks"], timeline.tracks, strict=True):
        for key in ("windows", "steps", "segments"):
            assert [Span(**each) for each in found[key]] == getattr(track, key)
        assert [
            tuple(each.values()) for each in found["speech"]
        ] == track.speech
        assert "envelope" not in found
