"""What a timeline's line says was heard."""

import numpy as np
import pytest

from speechbrain_ptssnn.apps.timeline import Span, Timeline, Track
from speechbrain_ptssnn.apps.timeline_files import summary


def made(*tracks, until=None):
    """Thirty seconds; a track is its channel and its (start, end, label)."""
    return Timeline(
        "a.wav",
        30.0,
        ["calm", "mad"],
        2,
        [
            Track(
                channel,
                [],
                [],
                [],
                [Span(start, end, label, {}) for start, end, label in parts],
                np.zeros((600, 2), np.float32),
            )
            for channel, parts in tracks
        ],
        "A rule.",
        None,
        [],
        until=until,
    )


ONE = [(0, 20, "calm"), (20, 25, "mad")]
OTHER = [(5, 30, "mad")]


@pytest.mark.parametrize("channel", [0, 1])
def test_one_track_is_named_without_its_channel(channel):
    assert summary(made((channel, ONE))) == (
        "a.wav: speech in 0:25 of 0:30; calm 80 %, mad 20 %"
    )
    assert summary(made((channel, []))) == "a.wav: speech in 0:00 of 0:30"


def test_tracks_that_speak_at_the_same_time_are_not_added_up():
    assert summary(made((0, ONE), (1, OTHER))) == (
        "a.wav: speech in 0:25 (channel 0), 0:25 (channel 1) of 0:30; "
        "mad 60 %, calm 40 %"
    )


def test_a_track_without_speech_is_named_too():
    assert summary(made((0, ONE), (1, []), until=9)) == (
        "a.wav: speech in 0:25 (channel 0), 0:00 (channel 1) of 0:30, "
        "interrupted at 0:09; calm 80 %, mad 20 %"
    )
