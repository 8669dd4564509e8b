"""The page of a timeline, in a browser and without."""

import base64
import re
from dataclasses import replace
from io import BytesIO

import browser as browsers
import numpy as np
import pytest
import soundfile

from speechbrain_ptssnn.apps import timeline_page
from speechbrain_ptssnn.apps.timeline import Span, Timeline, Track
from speechbrain_ptssnn.apps.timeline_page import as_html, clock, codes

RATE = 16000
SECONDS = 300.0
LABELS = ["anger", "sadness", "surprise"]


def span(start, end, k):
    posteriors = dict.fromkeys(LABELS, 0.1)
    posteriors[LABELS[k]] = 0.8
    return Span(start, end, LABELS[k], posteriors)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A timeline of five minutes; nothing is said from 60 s on."""
    path = tmp_path_factory.mktemp("page") / "a talk.wav"
    time = np.arange(int(SECONDS * RATE)) / RATE
    wav = 0.3 * np.sin(2 * np.pi * 300 * time) * (time < 58)
    soundfile.write(path, wav, RATE)
    steps = [span(float(k), k + 1.0, k // 10 % 3) for k in range(2, 58)]
    parts = [span(2, 10, 0)] + [
        span(10 * k, min(10 * k + 10, 58), k % 3) for k in range(1, 6)
    ]
    envelope = np.stack([-0.3 * np.ones(6000), 0.3 * np.ones(6000)], 1)
    track = Track(0, [(2.0, 58.0)], steps, steps, parts, envelope)
    return Timeline(str(path), SECONDS, LABELS, 1, [track], "A rule.", None, [])


def write(made, folder):
    path = folder / "a talk_timeline.html"
    path.write_text(as_html(made, folder), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def written(made, tmp_path_factory):
    return write(made, tmp_path_factory.mktemp("written"))


def sound_of(page):
    (data,) = re.findall(r'src="data:audio/mpeg;base64,([^"]+)"', page)
    return soundfile.read(BytesIO(base64.b64decode(data)), always_2d=True)


def test_the_sound_in_the_page_is_the_recording_in_time(made, written):
    samples, rate = sound_of(written.read_text())
    wav, _ = soundfile.read(made.path)
    assert rate == 16000
    assert len(samples) == len(wav)
    middle = slice(5 * RATE, 6 * RATE)
    np.testing.assert_allclose(samples[middle, 0], wav[middle], atol=0.05)


def test_two_tracks_are_two_channels_of_sound(made, tmp_path):
    path = tmp_path / "call.wav"
    wav, _ = soundfile.read(made.path, frames=8 * RATE)
    soundfile.write(path, np.stack([wav[::2], 0 * wav[::2]], 1), 8000)
    (track,) = made.tracks
    call = replace(
        made,
        path=str(path),
        seconds=8.0,
        channels=2,
        tracks=[track, replace(track, channel=1)],
    )
    page = as_html(call, tmp_path)
    samples, _ = sound_of(page)
    assert samples.shape == (8 * RATE, 2)
    assert np.abs(samples[RATE:]).max(0) == pytest.approx([0.3, 0], abs=0.03)
    assert page.count('class="lane"') == 2
    assert "ch. 1" in page


def test_a_long_recording_is_linked(made, tmp_path, monkeypatch):
    monkeypatch.setattr(timeline_page, "EMBEDDED", 100)
    page = write(made, tmp_path).read_text()
    assert 'src="../' in page
    assert 'a%20talk.wav"' in page
    assert "data:audio" not in page


def test_labels_that_are_no_class_are_shown(made, tmp_path, monkeypatch):
    monkeypatch.setattr(timeline_page, "EMBEDDED", 100)
    (track,) = made.tracks
    unsure = replace(track.segments[0], label="unsure")
    steps = [replace(track.steps[0], label="unsure"), *track.steps[1:]]
    changed = replace(track, segments=[unsure], steps=steps)
    page = as_html(replace(made, tracks=[changed]), tmp_path)
    assert 'class="chip none"><b>?</b></span> unsure' in page


def test_markup_in_names_stays_text(made, tmp_path, monkeypatch):
    monkeypatch.setattr(timeline_page, "EMBEDDED", 100)
    labels = ["<b>x</b>", "</script>", 'a"b']
    (track,) = made.tracks

    def named(each):
        posteriors = dict(zip(labels, each.posteriors.values(), strict=True))
        return Span(
            each.start, each.end, labels[LABELS.index(each.label)], posteriors
        )

    changed = replace(
        track,
        segments=list(map(named, track.segments)),
        steps=list(map(named, track.steps)),
    )
    page = as_html(replace(made, tracks=[changed], labels=labels), tmp_path)
    assert "<b>x</b>" not in page
    assert page.count("</script>") == 2


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["sadness", "surprise", "fear"], ["Sa", "Su", "F"]),
        (["a", "b"], ["A", "B"]),
        (["same1x", "same2x"], ["1", "2"]),
        (["x"], ["X"]),
    ],
)
def test_short_names_differ(labels, expected):
    assert codes(labels) == expected


def test_times_are_written_for_people():
    assert [clock(t) for t in (0, 59.4, 59.6, 3600)] == [
        *("0:00", "0:59", "1:00", "1:00:00")
    ]


@pytest.fixture(scope="module")
def browser():
    with browsers.driver() as driver, browsers.chromium(driver) as found:
        yield found


@pytest.fixture(params=["desktop", "phone"])
def page(request, browser, written):
    """The page, opened from the disk; what it complains of or asks for is
    an error.
    """
    sizes = {"desktop": (1280, 900), "phone": (390, 844)}
    width, height = sizes[request.param]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        has_touch=request.param == "phone",
    )
    page, complaints, requests = context.new_page(), [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(written.as_uri())
    page.wait_for_function("document.querySelector('audio').readyState >= 1")
    yield page
    context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [
        written.as_uri()
    ]


def now(page):
    return page.evaluate("document.querySelector('audio').currentTime")


def cursor(page):
    """The line that the cursor is in, and where in it, from 0 to 1."""
    return page.evaluate(
        """() => {
            const row = document.querySelector(".lanes.on");
            const line = row.querySelector(".cursor").getBoundingClientRect();
            const box = row.getBoundingClientRect();
            const x = (line.left + line.width / 2 - box.left) / box.width;
            return [Number(row.dataset.start), x];
        }"""
    )


def test_the_page_fits_and_holds_everything(page):
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"]
    assert page.locator("#rows .row").count() == 2  # of 5, 4 are silent
    assert page.locator("#rows button:not([aria-hidden])").count() == 6
    duration = page.evaluate("document.querySelector('audio').duration")
    assert duration == pytest.approx(SECONDS, abs=0.1)
    assert page.locator("#unheard").is_hidden()


def test_a_click_jumps_there(page):
    box = page.locator(".lanes .wave").first.bounding_box()
    page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 5)
    assert now(page) == pytest.approx(15, abs=0.4)
    start, x = cursor(page)
    assert (start, x) == (0, pytest.approx(0.25, abs=0.01))
    # At 15 s the label is sadness.
    best = page.locator(".bar.best")
    assert best.get_attribute("title") == "sadness"
    assert best.locator("small").inner_text() == "80"
    # A click on the strip of the whole.
    box = page.locator(".whole").bounding_box()
    page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + 5)
    assert now(page) == pytest.approx(240, abs=1.5)
    assert cursor(page)[0] == 60
    assert page.locator(".bar.best").count() == 0


def test_the_cursor_runs_along_with_the_sound(page):
    page.evaluate(
        """() => {
            const audio = document.querySelector("audio");
            audio.muted = true;
            audio.currentTime = 20;
            return audio.play();
        }"""
    )
    page.wait_for_function("document.querySelector('audio').currentTime > 20.5")
    page.evaluate("document.querySelector('audio').pause()")
    page.wait_for_function(
        """() => {
            const line = document.querySelector(".lanes.on .cursor");
            const t = document.querySelector("audio").currentTime;
            return Math.abs(parseFloat(line.style.left) - 100 * t / 60) < 0.01;
        }"""
    )
    assert now(page) > 20.5


def test_the_keyboard_is_enough(page):
    page.locator("#rows button").first.focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert now(page) == pytest.approx(20, abs=0.01)
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    assert now(page) == pytest.approx(40, abs=0.01)
    # The group of segments is one stop of the Tab key.
    page.keyboard.press("Tab")
    inside = page.evaluate("document.activeElement.closest('#rows') !== null")
    assert not inside


def test_the_table_jumps_and_the_posteriors_can_go(page):
    page.get_by_text("As a table").click()
    page.locator("details button").nth(3).click()
    assert now(page) == pytest.approx(30, abs=0.01)
    heat = page.locator(".heat").first
    assert heat.bounding_box()["height"] > 20
    page.get_by_label("posteriors").uncheck()
    assert heat.bounding_box()["height"] == 0


def test_a_recording_that_is_gone_is_told(browser, made, tmp_path, monkeypatch):
    monkeypatch.setattr(timeline_page, "EMBEDDED", 100)
    moved = replace(made, path=str(tmp_path / "gone.wav"))
    path = write(moved, tmp_path)
    page = browser.new_page()
    page.goto(path.as_uri())
    page.locator("#unheard").wait_for(state="visible")
    assert "gone.wav" in page.locator("#unheard").inner_text()
    box = page.locator(".lanes .wave").first.bounding_box()
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 5)
    assert cursor(page)[1] == pytest.approx(0.5, abs=0.01)
    page.close()
