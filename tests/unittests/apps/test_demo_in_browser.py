"""The page as a person uses it, in Chromium."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import browser as browsers
import numpy as np
import pytest
import soundfile

from speechbrain_ptssnn.apps.demo import speak_examples

CALL = "from speechbrain_ptssnn.cli import main; main()"
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
}
WAIT = 120_000  # milliseconds, on a busy machine


@pytest.fixture(scope="module")
def address(write_bundle, tmp_path_factory):
    """Starts 'ptssnn demo' with two models; ends it as Ctrl-C does."""
    pytest.importorskip("gradio", reason="the extra [demo] is missing")
    models = [
        write_bundle(head, backbone="fbank")
        for head in ("pts_snn", "linear_probe")
    ]
    temporary = tmp_path_factory.mktemp("temporary")
    with subprocess.Popen(
        [
            *(sys.executable, "-c", CALL, "demo", *map(str, models)),
            *("--max_seconds=20", "--max_mb=5"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        # Behind a shell's & Ctrl-C is switched off, also for children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env={**os.environ, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"},
    ) as process:
        yield process.stdout.readline().split()[0]
        assert [*temporary.rglob("*.wav")]
        process.send_signal(signal.SIGINT)
        assert "recordings are deleted" in process.stdout.read()
    assert process.returncode == 0
    assert not [*temporary.rglob("*.wav")]


@pytest.fixture(scope="module")
def driver():
    with browsers.driver() as found:
        yield found


@pytest.fixture(scope="module")
def browser(driver):
    with browsers.chromium(driver, *browsers.MICROPHONE) as found:
        yield found


@pytest.fixture
def page(browser, address):
    with browsers.opened(browser, address) as found:
        yield found


def upload(page, path):
    page.wait_for_selector("text=What it cannot tell", timeout=WAIT)
    page.set_input_files("input[type=file]", str(path))


def answers_of(page):
    """The label of each model, once they are there."""
    page.wait_for_selector(".answer", timeout=WAIT)
    return page.locator(".answer b").all_inner_texts()


def message_of(page):
    page.wait_for_selector(".alert:not([hidden]) p", timeout=WAIT)
    (message,) = page.locator(".alert:not([hidden]) p").all_inner_texts()
    return message


def test_a_file_is_heard_by_both_models(page, wav):
    upload(page, wav)
    assert len(answers_of(page)) == 2
    assert page.get_by_role("img", name=re.compile("spike raster")).count() == 2
    assert page.locator("text=together").count() == 2
    assert page.locator(".bars tr").count() == 6
    columns = page.locator("#models section").all()
    boxes = [each.bounding_box() for each in columns]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] < boxes[1]["x"]


def test_ones_own_voice_is_heard(page):
    page.get_by_role("button", name="Record").click(timeout=WAIT)
    page.wait_for_timeout(1500)
    page.get_by_role("button", name="Stop").first.click()
    assert len(answers_of(page)) == 2
    page.get_by_label("Clear").click()
    page.wait_for_selector(".answer", state="detached", timeout=WAIT)


def test_an_example_is_reached_with_the_keyboard(page):
    page.get_by_role("button", name="German, sad").focus(timeout=WAIT)
    page.keyboard.press("Enter")
    assert len(answers_of(page)) == 2


def test_a_file_that_is_no_audio_takes_the_old_answer_away(page, wav, tmp_path):
    bad = tmp_path / "notes.wav"
    bad.write_text("Dear all")
    upload(page, wav)
    answers_of(page)
    upload(page, bad)
    assert message_of(page).startswith("notes.wav: is a text file")
    page.wait_for_selector(".answer", state="detached", timeout=WAIT)
    page.get_by_text("English, angry").click()
    assert len(answers_of(page)) == 2
    page.wait_for_selector(
        ".alert:not([hidden]) p", state="detached", timeout=WAIT
    )


def test_a_large_file_stays_where_it_is(page, tmp_path):
    large = tmp_path / "large.wav"
    with large.open("wb") as file:
        file.truncate(500_000_000)
    upload(page, large)
    toast = page.locator(".toast-body")
    toast.wait_for(timeout=WAIT)
    assert 'exceed the maximum allowed size of 5.0 Mb: "large.wav"' in (
        toast.inner_text()
    )


def test_two_people_get_their_own_answers(browser, address, wav):
    with (
        browsers.opened(browser, address) as anna,
        browsers.opened(browser, address, **PHONE) as ben,
    ):
        upload(anna, wav)
        ben.get_by_text("German, happy").click(timeout=WAIT)
        assert len(answers_of(anna)) == len(answers_of(ben)) == 2
        named = [
            each.get_by_role("img", name=re.compile("raster of"))
            .first.get_attribute("alt")
            .split(":")[0]
            for each in (anna, ben)
        ]
        assert named[0].endswith(Path(wav).name)
        assert named[1].endswith("m3_de_01_happy.wav")
        # On a phone the models stand below each other.
        boxes = [
            each.bounding_box() for each in ben.locator("#models section").all()
        ]
        assert boxes[0]["x"] == boxes[1]["x"]
        assert ben.evaluate("document.documentElement.scrollWidth") == 390


def test_a_long_recording_gets_a_timeline(page, tmp_path):
    files = speak_examples(tmp_path).values()
    voices = [soundfile.read(file)[0] for file in files]
    long = tmp_path / "long.wav"
    soundfile.write(long, np.concatenate(voices), 22050)
    upload(page, long)
    answers_of(page)
    inside = page.frame_locator("iframe").first
    assert inside.locator("h1").inner_text() == "long.wav"
    assert inside.locator("button.bit").count() > 0


def test_a_refused_microphone_is_said(driver, address):
    with (
        browsers.chromium(driver) as browser,
        browsers.opened(browser, address) as page,
    ):
        page.get_by_role("button", name="Record").click(timeout=WAIT)
        assert "gives this page no microphone" in message_of(page)
