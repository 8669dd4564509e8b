"""A page on this machine, on which people hear trained models.

Gradio serves it. The page, its fonts and scripts come from this machine, and
it asks no other host for anything: a header forbids that to the browser.
"""

import logging
import os
import signal
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import matplotlib
import soundfile

from speechbrain_ptssnn.apps.timeline import timeline
from speechbrain_ptssnn.apps.timeline_page import EMBEDDED, as_html
from speechbrain_ptssnn.audio import Levels, audio_seconds, load_audio
from speechbrain_ptssnn.audio.speech import vad_package
from speechbrain_ptssnn.corpora.synthemo import (
    SAMPLE_RATE,
    SENTENCES,
    espeak_paths,
    plan_synthemo,
    speak,
)
from speechbrain_ptssnn.deploy.classify import (
    by_label,
    label_of,
    most_likely,
    open_bundle,
)
from speechbrain_ptssnn.deploy.hub import (
    new_folder,
    run_of,
    write_safe_bundle,
)
from speechbrain_ptssnn.deploy.streaming import WINDOW
from speechbrain_ptssnn.energy.measure import measure_utterance
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.inference import (
    EmotionClassifier,
    bundle_folder,
    read_labels,
)
from speechbrain_ptssnn.report import plots
from speechbrain_ptssnn.report.examples import SECONDS, hear
from speechbrain_ptssnn.report.html import picture, render
from speechbrain_ptssnn.utils.extras import extra_package
from speechbrain_ptssnn.utils.files import read_file, write_text
from speechbrain_ptssnn.utils.text_tables import number, percent

HOST = "127.0.0.1"
MAX_SECONDS, MAX_MB = 300, 50
MB = 2**20  # bytes, as Gradio counts
# What 'make demo' leaves.
DEFAULT_MODEL = "results/SynthEmo/random/fbank/pts_snn/1/fold_1/model"
# The same with fewer folds: this one alone is shown.
DEFAULT_TRAINING = (
    "SynthEmo",
    "--backbone=fbank",
    "--number_of_epochs=10",
    "--fold=1",
)
# In a Space, where the model does not lie in its run.
ABOUT = "about.txt"
# One recording is heard at a time: a head's spikes are watched on the head
# itself, and settings of torch and Matplotlib hold for all threads.
LOCK = threading.Lock()
KEPT = 3600  # seconds for which recordings are kept while the page runs
# The voices and languages of the examples, one emotion after the other.
EXAMPLES = (("f1", "en"), ("m3", "de"))
LANGUAGES = {"en": "English", "de": "German"}
# Everything that a page of this machine loads; Gradio's code is built on it.
POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)


@dataclass(frozen=True)
class OpenModel:
    """A model that the page asks.

    Arguments
    ---------
    name : str
        Its heading.
    about : str
        Sentences on what it was trained on, and how well it did there.
    classifier : EmotionClassifier
        Of :func:`~speechbrain_ptssnn.deploy.classify.open_bundle`.
    classes : list of str
        Those of its output neurons, also where it answers in groups.
    """

    name: str
    about: str
    classifier: EmotionClassifier
    classes: list


@dataclass(frozen=True)
class Limits:
    """What the page accepts.

    Arguments
    ---------
    seconds : float
        Length of a recording, at most.
    megabytes : float
        Size of its file, at most.

    Raises
    ------
    InputError
        If one is not above 0, or the length is above half an hour.

    Example
    -------
    >>> Limits(seconds=0)
    Traceback (most recent call last):
    speechbrain_ptssnn.errors.InputError: --max_seconds must be above 0, got 0
    """

    seconds: float = MAX_SECONDS
    megabytes: float = MAX_MB

    def __post_init__(self):
        for name, value in (
            ("max_seconds", self.seconds),
            ("max_mb", self.megabytes),
        ):
            if not value > 0:
                raise InputError(f"--{name} must be above 0, got {value:g}")
        if self.seconds > EMBEDDED:
            raise InputError(
                f"--max_seconds must be {EMBEDDED} at most, got "
                f"{self.seconds:g}; 'ptssnn timeline' takes longer recordings"
            )

    def check(self, path):
        """Refuses a recording that is too long or too large.

        Arguments
        ---------
        path : str or Path
            The file; only its header is read.

        Raises
        ------
        InputError
            If it is, or if the file is no audio.
        """
        megabytes = os.stat(path).st_size / MB
        if megabytes > self.megabytes:
            raise InputError(
                f"{path}: has {megabytes:.0f} MB, and this page takes "
                f"{self.megabytes:g} MB at most; cut the recording"
            )
        seconds = audio_seconds(path)
        if seconds > self.seconds:
            raise InputError(
                f"{path}: lasts {seconds:.0f} seconds, and this page takes "
                f"{self.seconds:g} at most; cut the recording"
            )


def open_model(source, trust=False, label_map=None, unsure=None):
    """Opens a model for the page.

    Arguments
    ---------
    source : str or Path
        A bundle, or its name on the hub.
    trust, label_map, unsure : bool, dict, float
        As in :func:`~speechbrain_ptssnn.deploy.classify.open_bundle`.

    Returns
    -------
    OpenModel

    Raises
    ------
    InputError
        If it is no whole bundle, or holds what training does not write; if
        ``label_map`` or ``unsure`` does not fit.
    """
    folder = bundle_folder(source)
    classifier = open_bundle(folder, trust, label_map, unsure)
    name, about = describe(folder)
    return OpenModel(name, about, classifier, read_labels(folder))


def describe(folder):
    """Says what a model was trained on, if it lies in its run or in a Space.

    Arguments
    ---------
    folder : Path
        The bundle.

    Returns
    -------
    tuple of str
        Its heading, and sentences on it.
    """
    if (folder / ABOUT).is_file():
        name, _, about = read_file(folder / ABOUT).partition("\n")
        return name, about.strip()
    try:
        _, summary, own = run_of(folder)
    except InputError:
        return str(folder), (
            "The folder does not say what this model was trained on, nor how "
            "well it did there."
        )
    corpus = summary["corpus"]
    sentences = [
        f"Trained on {corpus} ({summary['protocol']} folds, fold "
        f"{own['fold']}; {summary['trainable_params']:,} trained parameters). "
        f"Of {own['n_utterances']} recordings that it had not heard it got "
        f"{percent(own['WA'])} right; always naming the most frequent label "
        f"gives {percent(own['majority']['WA'])}."
    ]
    if summary["protocol"].startswith("random"):
        sentences.append(
            "It knew their voices; with new ones it is usually worse."
        )
    if corpus == "SynthEmo":
        sentences.append(
            "It has heard synthetic voices only, so what it says of your own "
            "voice shows how it works, and no more."
        )
    name = (
        f"{summary['model']} on {summary['backbone']}, {corpus}, fold "
        f"{own['fold']}"
    )
    return name, " ".join(sentences)


def accept(limits, path):
    """Looks at a file before the page plays it.

    Arguments
    ---------
    limits : Limits
        What is accepted.
    path : str
        The file.

    Returns
    -------
    tuple
        (str or None, str): the file, None if it is refused; and a message in
        HTML, "" if it is not.
    """
    try:
        limits.check(path)
        return path, ""
    except InputError as error:
        return None, _message(error, path)


def answers(models, limits, path):
    """What the page shows for a recording.

    Arguments
    ---------
    models : list of OpenModel
        Those that are asked.
    limits : Limits
        What is accepted.
    path : str or None
        The recording; None if there is none.

    Returns
    -------
    list of str
        HTML: a message, "" if there is none, and a section for each model.
    """
    message, found = "", [{} for _ in models]
    if path is not None:
        try:
            limits.check(path)
            with LOCK:
                found = [_heard(model, path) for model in models]
        except InputError as error:
            message = _message(error, path)
    sections = [
        render("demo_answer.html", __package__, model=model, **heard)
        for model, heard in zip(models, found, strict=True)
    ]
    return [message, *sections]


def _message(error, path):
    # Of a temporary file only the name means something.
    text = str(error).replace(f"{Path(path).parent}{os.sep}", "")
    return render("demo_message.html", __package__, text=text)


def _heard(model, path):
    """What a model makes of a recording, as the template takes it."""
    classifier, levels = model.classifier, Levels()
    encoder = classifier.mods.embedding_model
    normalizer = classifier.audio_normalizer
    wave = load_audio(path, normalizer, levels=levels)
    if levels.silent:
        raise InputError(levels.silence())
    name, rate = Path(path).name, normalizer.sample_rate
    seconds = len(wave) / rate
    try:
        feats = encoder.features(wave.to(classifier.device))[None]
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    answer = classifier.mods.classifier
    # Of the classes, where it answers in groups.
    of_classes = getattr(answer, "log_posteriors", answer)
    temperature = getattr(of_classes, "temperature", 1.0)
    heard = hear(
        name, wave, rate, encoder.head, feats, model.classes, temperature
    )
    outputs = answer(heard.outputs.view(1, 1, -1))
    posteriors = by_label(classifier, outputs[0, 0])
    energy = measure_utterance(encoder.head, feats, encoder.backbone, seconds)
    notes = []
    if levels.loud:
        notes.append(levels.loudness().partition(": ")[2])
    if encoder.lacks_speaker:
        notes.append(
            "this model was trained speaker-adapted, and this page does not "
            "adapt it to you, which costs accuracy: 'ptssnn classify --adapt' "
            "does"
        )
    with matplotlib.rc_context(plots.STYLE):
        drawn = picture(plots.example_figure(heard, model.classes))
    return {
        "heard": heard,
        "label": label_of(classifier, posteriors),
        "posteriors": posteriors,
        "best": most_likely(posteriors),
        "notes": notes,
        "is_calibrated": temperature != 1,
        "drawn": drawn,
        "seconds": SECONDS,
        "energy_rows": energy_rows(energy),
        "timeline": _timeline(classifier, path) if seconds > WINDOW else "",
    }


def _timeline(classifier, path):
    """The page of 'ptssnn timeline', to stand inside this one."""
    return as_html(timeline(classifier, path), Path(path).parent)


def energy_rows(outcome):
    """Lays out the energy of an utterance.

    Arguments
    ---------
    outcome : dict
        Of :func:`~speechbrain_ptssnn.energy.measure.measure_utterance`.

    Returns
    -------
    list of list of str
        A header, and rows for head, front-end and both, by the strict count.

    Example
    -------
    >>> strict = {"MACs": 3e6, "ACs": 1e6, "mJ": 0.0147}
    >>> rows = energy_rows({
    ...     "strict": strict, "backbone": {"MACs": 2e6, "mJ": 0.0092},
    ...     "total": {"strict": {"mJ": 0.0239}},
    ... })
    >>> rows[-1]
    ['together', '0.0239', '5,000,000', '1,000,000']
    """
    head, front_end = outcome["strict"], outcome["backbone"]
    rows = (
        ("head", head["MACs"], head["ACs"], head["mJ"]),
        ("front-end", front_end["MACs"], 0, front_end["mJ"]),
        (
            "together",
            head["MACs"] + front_end["MACs"],
            head["ACs"],
            outcome["total"]["strict"]["mJ"],
        ),
    )
    return [
        ["", "mJ", "MACs", "ACs"],
        *(
            [name, number(mJ, ".3g"), f"{macs:,.0f}", f"{acs:,.0f}"]
            for name, macs, acs, mJ in rows
        ),
    ]


def speak_examples(folder):
    """Speaks a few of SynthEmo's utterances.

    Arguments
    ---------
    folder : str or Path
        Where their files go.

    Returns
    -------
    dict
        What each is, in words, to its file. Empty if espeak-ng is missing.

    Example
    -------
    >>> files = speak_examples(getfixture("tmp_path"))
    >>> list(files)[0], len(files)
    ('English, angry', 8)
    """
    wanted = {
        (speaker, language, SENTENCES[language][0])
        for speaker, language in EXAMPLES
    }
    files = {}
    try:
        with espeak_paths() as paths:
            for take in plan_synthemo():
                language = take.voice.partition("+")[0]
                if (take.speaker, language, take.text) not in wanted:
                    continue
                wav = Path(folder, f"{take.id}.wav")
                soundfile.write(wav, speak(take, *paths), SAMPLE_RATE)
                files[f"{LANGUAGES[language]}, {take.label}"] = str(wav)
    except InputError:
        return {}
    return files


def serve(
    models,
    port=None,
    limits=None,
    host=HOST,
    trust=False,
    label_map=None,
    unsure=None,
):
    """Opens the page and waits until it is ended by Ctrl-C.

    Arguments
    ---------
    models : list of str or Path
        Bundles, or their names on the hub.
    port : int, optional
        The page's; by default 7860, or the next one that is free.
    limits : Limits, optional
        What is accepted.
    host : str or None
        The address that it listens on. None leaves it to the environment, as
        a Space does: ``GRADIO_SERVER_NAME``, else this machine only.
    trust, label_map, unsure : bool, dict, float
        As in :func:`~speechbrain_ptssnn.deploy.classify.open_bundle`.

    Raises
    ------
    InputError
        If Gradio is missing, a model cannot be opened, or the port is in use.
    """
    limits = limits or Limits()
    if port is not None and not 0 < port < 2**16:
        raise InputError(f"--port must be from 1 to 65535, got {port}")
    gradio_package()
    vad_package()
    opened = [open_model(source, trust, label_map, unsure) for source in models]
    with opened_page(opened, port, limits, host) as address:
        print(f"{address} shows the page; Ctrl-C ends it", flush=True)
        if threading.current_thread() is threading.main_thread():
            # A kill, too, removes the recordings.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            # Another Ctrl-C must not keep the recordings from being deleted.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("\nended; the recordings are deleted")


SPACE_CARD = """\
---
title: {title}
emoji: 🎙️
colorFrom: blue
colorTo: green
sdk: gradio
sdk_version: {gradio}
python_version: "3.11"
app_file: app.py
---

# {title}

A page on which {names} can be heard, written by `ptssnn demo --to_folder`
(speechbrain-ptssnn {version}). `app.py` starts it, here and on any machine:

```bash
pip install -r requirements.txt
python app.py
```

In a Space, recordings are sent to the machine that runs it.
"""
SPACE_APP = """\
\"\"\"Starts the page; written by 'ptssnn demo --to_folder'.\"\"\"

from pathlib import Path

from speechbrain_ptssnn.apps.demo import Limits, serve

if __name__ == "__main__":
    models = sorted(Path(__file__).parent.glob("model_*"))
    serve(
        models,
        limits=Limits({seconds:g}, {megabytes:g}),
        host=None,
        label_map={label_map!r},
        unsure={unsure!r},
    )
"""


def write_space(
    models, folder, limits=None, trust=False, label_map=None, unsure=None
):
    """Writes a folder that runs as a Hugging Face Space, or anywhere else.

    Arguments
    ---------
    models : list of str or Path
        Bundles, or their names on the hub.
    folder : str or Path
        Where to write; it must not exist.
    limits : Limits, optional
        What is accepted.
    trust, label_map, unsure : bool, dict, float
        As in :func:`~speechbrain_ptssnn.deploy.classify.open_bundle`.

    Raises
    ------
    InputError
        If Gradio is missing, a model cannot be opened, or the folder exists.
    """
    limits, folder = limits or Limits(), Path(folder)
    gradio = gradio_package()
    bundles = [bundle_folder(source) for source in models]
    names = [
        open_model(bundle, trust, label_map, unsure).name for bundle in bundles
    ]
    new_folder(folder)
    for k, bundle in enumerate(bundles, 1):
        written = folder / f"model_{k:02}"
        write_safe_bundle(bundle, written)
        write_text(written / ABOUT, "\n".join(describe(bundle)))
    ours = version("speechbrain-ptssnn")
    card = SPACE_CARD.format(
        title="Speech emotion recognition",
        names=" and ".join(names),
        gradio=gradio.__version__,
        version=ours,
    )
    write_text(folder / "README.md", card)
    app = SPACE_APP.format(**vars(limits), label_map=label_map, unsure=unsure)
    write_text(folder / "app.py", app)
    write_text(
        folder / "requirements.txt", f"speechbrain-ptssnn[demo]=={ours}\n"
    )


def gradio_package():
    """Imports Gradio, and keeps it from calling home.

    Returns
    -------
    module

    Raises
    ------
    InputError
        If it is not installed; says how to.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    # After a training it would tell of Gradio's request to its own server.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    need = "the page needs the package gradio"
    return extra_package("gradio", need, "demo")


@contextmanager
def opened_page(models, port, limits, host=HOST):
    """The page is there in this context; its recordings are deleted after it.

    Arguments
    ---------
    models, port, limits, host : list of OpenModel, int, Limits, str
        See :func:`serve`.

    Yields
    ------
    str
        The page's address.

    Raises
    ------
    InputError
        If the port is in use.
    """
    gradio = gradio_package()
    # Gradio asks its own server whether it is there, through a proxy if the
    # environment names one.
    for name in ("no_proxy", "NO_PROXY"):
        known = os.environ.get(name)
        os.environ[name] = ",".join(filter(None, [known, HOST, "localhost"]))
    with tempfile.TemporaryDirectory(prefix="ptssnn_demo_") as folder:
        os.environ["GRADIO_TEMP_DIR"] = str(Path(folder, "recordings"))
        page = build_page(gradio, models, limits, host, folder)
        try:
            _, address, _ = page.launch(
                server_name=host,
                server_port=port,
                share=False,
                inbrowser=False,
                prevent_thread_lock=True,
                quiet=True,
                footer_links=[],
                run_history=False,
                enable_monitoring=False,
                ssr_mode=False,
                pwa=False,
                mcp_server=False,
                max_file_size=round(limits.megabytes * MB),
                app_kwargs={"middleware": _middleware(host)},
                theme=_theme(gradio),
                head=render("demo_head.html", __package__),
            )
        except OSError as error:
            raise InputError(
                f"port {port or '7860 and the 99 after it'}: is in use; give "
                "another with --port, or leave it out for the next free one"
            ) from error
        try:
            yield address
        finally:
            page.close(verbose=False)


def build_page(gradio, models, limits, host, folder):
    """Lays the page out.

    Arguments
    ---------
    gradio : module
        Of :func:`gradio_package`.
    models, limits, host : list of OpenModel, Limits, str
        See :func:`serve`.
    folder : str or Path
        For the examples.

    Returns
    -------
    gradio.Blocks
    """
    message, *sections = answers(models, limits, None)
    plain = partial(gradio.HTML, apply_default_css=False, elem_classes="ours")
    with gradio.Blocks(
        title="Speech emotion recognition",
        analytics_enabled=False,
        fill_width=True,  # of what demo_head.html allows
        delete_cache=(KEPT // 10, KEPT),
    ) as page:
        plain(
            render(
                "demo_intro.html",
                __package__,
                limits=limits,
                n_models=len(models),
                is_local=host == HOST,
                minutes=KEPT // 60,
            )
        )
        audio = gradio.Audio(
            label="Your recording",
            elem_id="recording",
            sources=["microphone"],
            type="filepath",
            editable=False,
            buttons=[],
            waveform_options={"waveform_progress_color": plots.BLUE},
        )
        # Not Audio's own: that one plays a file before it is looked at.
        file = gradio.UploadButton("Choose a file", type="filepath")
        examples = speak_examples(folder)
        if examples:
            plain("<p>Or take a synthetic voice, as it is meant to sound:</p>")
        with gradio.Row(elem_id="examples"):
            for words, wav in examples.items():
                # Not gradio.Examples: delete_cache deletes its files.
                gradio.Button(words, size="md", min_width=0).click(
                    partial(str, wav), None, audio, api_visibility="private"
                )
        message = plain(message)
        with gradio.Row(elem_id="models"):
            outputs = [message, *map(plain, sections)]
        plain(
            render(
                "demo_limits.html",
                __package__,
                may_be_unsure=any(each.classifier.unsure for each in models),
            )
        )
        file.upload(
            partial(accept, limits),
            file,
            [audio, message],
            api_visibility="private",
        )

        def classify(path):
            said, *found = answers(models, limits, path)
            # A refused file takes the recording away; its message stays.
            return [gradio.skip() if path is None else said, *found]

        audio.change(classify, audio, outputs, api_name="classify")
        audio.clear(lambda: "", None, message, api_visibility="private")
    return page


def _theme(gradio):
    """Gradio's, in the colours and the fonts of ``report/style.css``."""
    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["monospace"]}
    return gradio.themes.Base(primary_hue="blue", **fonts).set(
        body_background_fill="var(--page)",
        body_background_fill_dark="var(--page)",
        body_text_color="var(--text)",
        body_text_color_dark="var(--text)",
    )


def _middleware(host):
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    found = [Middleware(_OwnHostOnly)]
    if host == HOST:
        # Not for another site whose name is led to this machine.
        names = [HOST, "localhost"]
        found.append(Middleware(TrustedHostMiddleware, allowed_hosts=names))
    return found


class _OwnHostOnly:
    """Forbids the browser to ask another host for anything."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def send_with_policy(message):
            if message["type"] == "http.response.start":
                policy = (b"content-security-policy", POLICY.encode())
                message["headers"] = [*message["headers"], policy]
            await send(message)

        await self.app(scope, receive, send_with_policy)
