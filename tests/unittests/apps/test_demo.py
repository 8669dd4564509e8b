"""What the page shows for a recording, and how the page is opened."""

import html
import re
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
import soundfile

from speechbrain_ptssnn.apps.demo import (
    ABOUT,
    Limits,
    accept,
    answers,
    describe,
    open_model,
    opened_page,
    serve,
    speak_examples,
    write_space,
)
from speechbrain_ptssnn.audio import load_audio
from speechbrain_ptssnn.deploy.classify import classify
from speechbrain_ptssnn.energy.measure import backbone_operations
from speechbrain_ptssnn.energy.operations import count_operations
from speechbrain_ptssnn.energy.pricing import energy, total_energy
from speechbrain_ptssnn.errors import InputError

RATE = 16000
RUN = Path(__file__).parents[2] / "specimens/run/Cafe/two_folds/tiny_fbank"
OLD = RUN / "pts_snn/1/fold_1/model"


@pytest.fixture(scope="module")
def model(write_bundle):
    return open_model(write_bundle("pts_snn", backbone="fbank"))


@pytest.fixture(scope="module")
def linear(write_bundle):
    return open_model(write_bundle("linear_probe", backbone="fbank"))


def text_of(section):
    """What a reader sees of HTML."""
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", section)).split())


def posteriors_of(section):
    rows = re.findall(
        r'<th scope="row">(\w+)</th><td class="bar".*?</td><td>([\d.]+)</td>',
        section,
    )
    return {label: float(p) for label, p in rows}


def test_the_answer_is_that_of_classify(model, linear, wav):
    message, *sections = answers([model, linear], Limits(), wav)
    assert message == ""
    for each, section in zip([model, linear], sections, strict=True):
        expected = classify(each.classifier, wav)
        assert f"It hears: {expected.label} " in text_of(section)
        assert posteriors_of(section) == pytest.approx(
            expected.posteriors, abs=5e-4
        )
    assert "classifier.output spikes at a rate of" in sections[0]
    assert "bias voltages from" in sections[0]
    assert "This model has no spiking neurons." in text_of(sections[1])


def test_the_energy_is_counted_on_this_recording(model, wav):
    _, section = answers([model], Limits(), wav)
    encoder = model.classifier.mods.embedding_model
    wave = load_audio(wav, model.classifier.audio_normalizer)
    feats = encoder.features(wave)[None]
    head = total_energy(count_operations(encoder.head, feats))
    macs = backbone_operations(encoder.backbone, len(wave) / RATE)
    row = r" ([\d.e-]+) [\d,]+ [\d,]+"
    found = re.search(
        rf"head{row} front-end{row} together{row}", text_of(section)
    )
    together = head + energy(macs, 0)
    expected = (head, energy(macs, 0), together)
    assert [f"{mJ:.3g}" for mJ in expected] == list(found.groups())


GROUPS = {"calm": "good", "angry": "bad", "sad": "bad"}


@pytest.mark.parametrize("label_map", [None, GROUPS])
@pytest.mark.parametrize("unsure", [0.01, 1.0])
def test_groups_and_unsure_are_those_of_classify(
    write_bundle, wav, label_map, unsure
):
    folder = write_bundle("pts_snn", backbone="fbank")
    asked = open_model(folder, label_map=label_map, unsure=unsure)
    expected = classify(asked.classifier, wav)
    assert (expected.label == "unsure") == (unsure == 1)
    message, section = answers([asked], Limits(), wav)
    assert message == ""
    assert f"It hears: {expected.label} " in text_of(section)
    found = posteriors_of(section)
    assert list(found) == list(expected.posteriors)
    assert found == pytest.approx(expected.posteriors, abs=5e-4)
    best = max(expected.posteriors, key=expected.posteriors.get)
    said = (
        f"Unsure: its most likely answer, {best}, has a posterior of "
        f"{found[best]:.3f}, below 1."
    )
    assert (said in text_of(section)) == (unsure == 1)
    # The neurons keep their classes.
    assert "classifier.output spikes at a rate of" in section


def test_groups_that_do_not_fit_are_refused_before_the_page_opens():
    with pytest.raises(InputError, match="label_map must name each label of"):
        serve([OLD], label_map={"angry": "bad"})
    with pytest.raises(InputError, match="unsure must be a posterior"):
        serve([OLD], unsure=2)


def test_without_a_recording_only_the_headings_stand_there(model):
    message, section = answers([model], Limits(), None)
    assert message == ""
    assert model.name in section
    assert "It hears" not in section


@pytest.fixture
def make(tmp_path):
    """Writes a file, of samples or bytes."""

    def write(name, content, rate=RATE):
        path = tmp_path / "a1b2" / name
        path.parent.mkdir(exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            soundfile.write(path, content, rate)
        return str(path)

    return write


NOISE = np.random.default_rng(0).normal(0, 0.1, 3 * RATE)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a <b>.wav", b"Dear all,", "a <b>.wav: is a text file, beginning "),
        ("a.mp4", b"\0\0\0 ftypmp42", "a.mp4: is MPEG-4 .* -i a.mp4 a.wav"),
        ("a.wav", b"", r"a.wav: is empty \(0 bytes\)"),
        ("a.wav", np.zeros(0), "a.wav: has 0 samples"),
        ("a.wav", NOISE, "a.wav: lasts 3 seconds, .* takes 2 at most"),
    ],
)
def test_what_is_refused_is_said_in_a_sentence(
    model, make, name, content, sentence
):
    path, limits = make(name, content), Limits(seconds=2)
    refused, message = accept(limits, path)
    assert refused is None
    assert re.match(sentence, text_of(message))
    assert answers([model], limits, path) == [
        message,
        *answers([model], limits, None)[1:],
    ]
    assert "a1b2" not in message


def test_too_large_a_file_is_not_even_looked_at(tmp_path):
    path = tmp_path / "large.wav"
    with path.open("wb") as file:
        file.truncate(500_000_000)
    _, message = accept(Limits(megabytes=50), path)
    assert text_of(message) == (
        "large.wav: has 477 MB, and this page takes 50 MB at most; cut the "
        "recording"
    )


def test_a_muted_microphone_gets_no_answer(model, make):
    message, section = answers([model], Limits(), make("a.wav", [0.0] * RATE))
    assert "a.wav: is digital silence" in message
    assert "It hears" not in section
    message, _ = answers([model], Limits(), make("b.wav", NOISE[:100]))
    assert "b.wav: too short for one frame" in message


def test_what_is_heard_at_the_same_time_does_not_mix(model, make):
    paths = [
        make(f"{k}.wav", NOISE[: (k + 1) * RATE // 2] * (k + 1))
        for k in range(4)
    ]
    alone = [answers([model], Limits(), path) for path in paths]
    with ThreadPoolExecutor(4) as pool:
        together = [
            *pool.map(lambda path: answers([model], Limits(), path), paths)
        ]
    assert len({section for _, section in alone}) == 4
    assert together == alone


def test_limits_are_positive():
    with pytest.raises(InputError, match="--max_mb must be above 0, got -1"):
        Limits(megabytes=-1)
    with pytest.raises(InputError, match=r"--max_seconds .*got nan"):
        Limits(seconds=float("nan"))


def test_the_heading_says_how_well_it_did(model):
    name, about = describe(OLD)
    assert name == "pts_snn on tiny_fbank, Cafe, fold 1"
    assert re.search(
        r"Trained on Cafe \(two_folds folds, fold 1; .* it got [\d.]+% right",
        about,
    )
    assert "does not say what this model was trained on" in model.about


def test_examples_are_spoken_here(tmp_path):
    files = speak_examples(tmp_path)
    assert len(files) == 8
    for words, file in files.items():
        assert words.partition(", ")[2] in Path(file).stem
        assert 0.5 < soundfile.info(file).duration < 5


@pytest.fixture
def page(model):
    pytest.importorskip("gradio", reason="the extra [demo] is missing")
    with opened_page([model], None, Limits(megabytes=1)) as address:
        yield address


def test_the_page_is_for_this_machine_only(page):
    with urlopen(page) as answer:
        policy = answer.headers["Content-Security-Policy"]
        text = answer.read().decode()
    assert policy.startswith("default-src 'self' data: blob:")
    assert "http" not in policy
    assert "fonts.googleapis" not in text
    assert '"analytics_enabled":false' in text.replace(" ", "")
    with pytest.raises(HTTPError, match="400"):
        urlopen(Request(page, headers={"Host": "evil.example"}))
    port = int(page.rstrip("/").rpartition(":")[2])
    with pytest.raises(InputError, match=f"port {port}: is in use"):  # noqa: SIM117
        with opened_page([], port, Limits()):
            pass


def test_too_large_an_upload_ends_where_the_limit_is(page):
    boundary = b"--x\r\nContent-Disposition: form-data; name=files; "
    boundary += b'filename="a.wav"\r\n\r\n'
    port = int(page.rstrip("/").rpartition(":")[2])
    sent = 0
    with socket.create_connection(("127.0.0.1", port)) as upload:
        upload.sendall(
            b"POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n"
            b"Content-Length: 500000000\r\n\r\n" + boundary
        )
        upload.settimeout(0.01)
        answer = b""
        while not answer and sent < 100e6:
            try:
                answer = upload.recv(4096)
            except TimeoutError:
                upload.settimeout(10)
                upload.sendall(bytes(2**18))
                upload.settimeout(0.01)
                sent += 2**18
    assert answer.startswith(b"HTTP/1.1 413")
    assert sent < 20e6


def test_a_model_comes_first_and_ports_have_a_range():
    with pytest.raises(InputError, match="nothing: is not there; MODEL is"):
        serve(["nothing"])
    with pytest.raises(InputError, match=r"--port must be .* got 70000"):
        serve([OLD], port=70000)


def test_what_to_install_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(InputError, match=r"pip install '.*\[demo\]'"):
        serve([OLD])


def test_a_space_runs_where_it_lies(tmp_path, wav):
    folder = tmp_path / "space"
    write_space([OLD], folder, Limits(20, 5))
    written = folder / "model_01"
    name, about = (written / ABOUT).read_text().split("\n")
    assert (name, about) == describe(OLD) == describe(written)
    assert not [*written.glob("*.ckpt")]
    old, new = open_model(OLD), open_model(written)
    assert new.name == old.name
    assert classify(new.classifier, wav).posteriors == (
        classify(old.classifier, wav).posteriors
    )
    again = tmp_path / "again"
    write_space([written], again, unsure=0.6)
    assert "unsure=0.6," in (again / "app.py").read_text()
    assert (again / "model_01" / "head.safetensors").read_bytes() == (
        written / "head.safetensors"
    ).read_bytes()
    with pytest.raises(InputError, match="space: cannot be made"):
        write_space([OLD], folder)
    assert (
        (folder / "requirements.txt")
        .read_text()
        .startswith("speechbrain-ptssnn[demo]==")
    )
    card = (folder / "README.md").read_text()
    assert re.match(
        r"---\ntitle: .*\nsdk: gradio\n.*\napp_file: app.py\n", card, re.S
    )
    with subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        said = process.stdout.readline()
        address = said.split()[0]
        with urlopen(address) as answer:
            assert name in answer.read().decode()
        process.terminate()
        assert "recordings are deleted" in process.stdout.read()
    assert process.returncode == 0
