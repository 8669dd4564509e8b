"""Makes README's pictures of the pages, in docs/screenshots/.

python docs/screenshots.py RUN

RUN is a run on SynthEmo, such as the one that make demo leaves. All pages show
synthetic speech. It needs the extras [demo] and [test], and Debian's Chromium.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from speechbrain_ptssnn.apps.demo import speak_examples

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "tests"))
import browser as browsers  # noqa: E402

FOLDER = HERE / "screenshots"
CALL = "from speechbrain_ptssnn.cli import main; main()"
SIZE = {"width": 1100, "height": 800}
PAUSE = 0.7  # seconds between two voices of the long recording


def ptssnn(*words):
    """Runs the command."""
    words = [str(word) for word in words]
    subprocess.run([sys.executable, "-c", CALL, *words], check=True)


def write_long_recording(path, voices):
    """Writes the voices one after the other, with pauses."""
    pieces = []
    for voice in voices:
        samples, rate = soundfile.read(voice)
        pieces += [samples, np.zeros(round(PAUSE * rate))]
    soundfile.write(path, np.concatenate(pieces), rate)


def shoot(browser, name, address, prepare=None):
    """Takes a picture of the upper part of a page."""
    with browsers.opened(browser, address, viewport=SIZE) as page:
        if prepare:
            prepare(page)
        page.screenshot(path=FOLDER / f"{name}.png")


def hear(page):
    """Has the demo page answer an example."""
    page.get_by_role("button", name="German, sad").click(timeout=120_000)
    page.wait_for_selector(".answer", timeout=120_000)
    page.wait_for_timeout(2000)  # until the pictures are drawn
    page.locator(".answer").first.scroll_into_view_if_needed()


def main():
    """Makes all pictures."""
    run = Path(sys.argv[1]).resolve()
    model = run / "fold_1" / "model"
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as temporary,
        browsers.driver() as driver,
        browsers.chromium(driver) as browser,
    ):
        folder = Path(temporary)
        ptssnn("report", run, f"--output={folder / 'report.html'}")
        shoot(browser, "report", f"file://{folder / 'report.html'}")
        write_long_recording(
            folder / "long.wav", speak_examples(folder).values()
        )
        ptssnn("timeline", model, folder / "long.wav", "--format=html")
        shoot(browser, "timeline", f"file://{folder / 'long_timeline.html'}")
        ptssnn(
            *("explore", "SynthEmo", "--backbone=fbank"),
            *(f"--results_folder={folder}", f"--features_folder={folder}"),
        )
        (page,) = folder.rglob("explore.html")
        shoot(browser, "explore", f"file://{page}")
        with subprocess.Popen(
            [sys.executable, "-c", CALL, "demo", str(model)],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            shoot(browser, "demo", process.stdout.readline().split()[0], hear)
            process.terminate()


if __name__ == "__main__":
    main()
