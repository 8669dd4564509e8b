"""SynthEmo: 640 SYNTHETIC utterances in four emotions, 160 each, 22.05 kHz
mono, which espeak-ng speaks on this machine. It needs no download, agreement or
``--data_folder``. It shows that the training runs and learns. An accuracy on
it says nothing about people and is never a result.

The speakers are eight voices of espeak-ng. Each says four plain sentences
in each of five languages once with each emotion, so that neither speaker,
text nor language predicts the label. A file is called
``f1/f1_de_02_angry.wav``: speaker, language, sentence, emotion.

An emotion is a rule (``RULES``) for rate, pitch, pitch range, amplitude and
spectral tilt. The directions are those measured on speech by Banse & Scherer
(1996, doi:10.1037/0022-3514.70.3.614) and Juslin & Laukka (2003, a review,
doi:10.1037/0033-2909.129.5.770), and used for synthesis by Murray & Arnott
(1993, doi:10.1121/1.405558) and in the rules reviewed by Schröder (2001,
Eurospeech): anger and happiness are faster, higher, wider in pitch, louder
and richer in high frequencies than neutral speech; sadness is the reverse.
The sizes are our own choice. They are moderate, and each speaker and each
utterance varies at random (``SPEAKER_SPREAD``, ``UTTERANCE_SPREAD``), because
classes overlap in real speech too.

espeak-ng carries flutter, phase and gain from one utterance into the next.
The library is therefore loaded again for each utterance, so that a file does
not depend on which files were made before it.
"""

import _ctypes
import ctypes
import math
import os
import random
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import numpy as np
import soundfile
from tqdm import tqdm

from speechbrain_ptssnn.audio import audio_seconds
from speechbrain_ptssnn.corpora.checks import check_counts
from speechbrain_ptssnn.corpora.common import Corpus, Utterance
from speechbrain_ptssnn.corpora.release import visible
from speechbrain_ptssnn.errors import InputError

LABELS = ("angry", "happy", "neutral", "sad")
DATA_FOLDER = "data/SynthEmo"
SAMPLE_RATE = 22050  # Hz, espeak-ng's own
INSTALL = "pip install espeakng-loader==0.2.4"
# Of the samples of all utterances, sorted by id, 16 bit little-endian.
PCM_SHA256 = "a46410cd7948ce48e9e9f25bc96b85120a71f89e5bd9a101b0bead92ea3c7223"


class Prosody(NamedTuple):
    """How something is said.

    In a rule the values are factors, and ``tilt`` is added. In a
    :class:`Take` they are in espeak-ng's units, and ``tilt`` is in percent.

    Arguments
    ---------
    rate : float
        Words a minute.
    pitch : float
        Mean fundamental frequency; in espeak-ng 0 to 99, and 50 is an octave.
    pitch_range : float
        Spread of the fundamental frequency; in espeak-ng 0 to 99.
    amplitude : float
        Loudness; in espeak-ng 100 is loud.
    tilt : float
        The a in y[n] = (x[n] - a x[n-1]) / (1 - a), which keeps the lowest
        frequencies and amplifies the highest by (1 + a) / (1 - a).
    """

    rate: float
    pitch: float
    pitch_range: float
    amplitude: float
    tilt: float


@dataclass(frozen=True)
class Take:
    """One utterance before it is spoken.

    Arguments
    ---------
    id : str
        Speaker, language, sentence and label, e.g. "f1_de_02_angry".
    speaker : str
        One of ``SPEAKERS``.
    label : str
        One of ``LABELS``.
    voice : str
        espeak-ng's name of language and speaker, e.g. "de+f1".
    text : str
        What is said.
    prosody : Prosody
        Whole numbers, in espeak-ng's units.
    """

    id: str
    speaker: str
    label: str
    voice: str
    text: str
    prosody: Prosody


RULES = {  # rate, pitch, pitch range, amplitude, tilt
    "angry": Prosody(1.15, 1.10, 1.30, 1.60, 0.40),
    "happy": Prosody(1.08, 1.25, 1.55, 1.25, 0.20),
    "neutral": Prosody(1.0, 1.0, 1.0, 1.0, 0.0),
    "sad": Prosody(0.86, 0.93, 0.65, 0.70, -0.40),
}
SPEAKER_SPREAD = Prosody(0.05, 0.05, 0.10, 0.15, 0.05)
UTTERANCE_SPREAD = Prosody(0.07, 0.07, 0.15, 0.20, 0.12)
NEUTRAL = Prosody(175, 50, 50, 25, 0)  # espeak-ng's; 25: nothing clips
LOWEST = Prosody(80, 0, 0, 1, -70)
HIGHEST = Prosody(450, 99, 99, 100, 70)

# Variants of espeak-ng that sound clearly different and have no breath noise.
SPEAKERS = ("f1", "linda", "shelby", "steph", "m3", "m5", "m7", "m8")
SENTENCES = {
    "cmn": (
        "火车早上七点开。",
        "书在桌子上。",
        "窗户现在开着。",
        "水在杯子里。",
    ),
    "de": (
        "Der Zug fährt um sieben ab.",
        "Das Buch liegt auf dem Tisch.",
        "Das Fenster ist jetzt offen.",
        "Das Wasser ist im Glas.",
    ),
    "en": (
        "The train leaves at seven.",
        "The book is on the table.",
        "The window is open now.",
        "The water is in the glass.",
    ),
    "it": (
        "Il treno parte alle sette.",
        "Il libro è sul tavolo.",
        "La finestra adesso è aperta.",
        "L'acqua è nel bicchiere.",
    ),
    "ur": (
        "گاڑی سات بجے چلتی ہے۔",
        "کتاب میز پر ہے۔",
        "کھڑکی اب کھلی ہے۔",
        "پانی گلاس میں ہے۔",
    ),
}


def plan_synthemo():
    """Lists what is said, and how; the list is the same on every machine.

    Returns
    -------
    list of Take
        Sorted by id.

    Example
    -------
    >>> takes = plan_synthemo()
    >>> len(takes)
    640
    >>> takes[0].id, takes[0].voice, takes[0].text
    ('f1_cmn_01_angry', 'cmn+f1', '火车早上七点开。')
    """
    # Only random() is used: other methods may change between Python versions.
    rng = random.Random(2602)
    takes = []
    for speaker in SPEAKERS:
        habit = _scatter(Prosody(1, 1, 1, 1, 0), SPEAKER_SPREAD, rng)
        for language, texts in SENTENCES.items():
            for number, text in enumerate(texts, start=1):
                for label in LABELS:
                    rule = _scatter(RULES[label], UTTERANCE_SPREAD, rng)
                    takes.append(
                        Take(
                            id=f"{speaker}_{language}_{number:02d}_{label}",
                            speaker=speaker,
                            label=label,
                            voice=f"{language}+{speaker}",
                            text=text,
                            prosody=_settings(rule, habit),
                        )
                    )
    return sorted(takes, key=lambda take: take.id)


def _scatter(rule, spread, rng):
    """Draws factors around ``rule``; ``spread`` is relative, except tilt's."""
    # The sum of 12 uniform numbers has standard deviation 1. sum() rounds
    # differently since Python 3.12, fsum() does not.
    noise = [math.fsum(rng.random() for _ in range(12)) - 6 for _ in rule]
    drawn = [r + r * s * n for r, s, n in zip(rule, spread, noise, strict=True)]
    return Prosody(*drawn[:-1], rule.tilt + spread.tilt * noise[-1])


def _settings(rule, habit):
    """Returns the synthesizer's settings for a rule and a speaker's habit."""
    wanted = Prosody(
        rate=NEUTRAL.rate * rule.rate * habit.rate,
        pitch=NEUTRAL.pitch + 50 * math.log2(rule.pitch * habit.pitch),
        pitch_range=NEUTRAL.pitch_range * rule.pitch_range * habit.pitch_range,
        amplitude=NEUTRAL.amplitude * rule.amplitude * habit.amplitude,
        tilt=NEUTRAL.tilt + 100 * (rule.tilt + habit.tilt),
    )
    bounded = zip(LOWEST, wanted, HIGHEST, strict=True)
    return Prosody(*(round(min(max(w, low), high)) for low, w, high in bounded))


@contextmanager
def espeak_paths():
    """Finds espeak-ng in the package ``espeakng-loader``.

    Yields
    ------
    library : str
        Path of the shared library.
    data : str
        Path of its data, short enough for the library. It is valid inside the
        context.

    Raises
    ------
    InputError
        If the package is missing or incomplete; the message says how to
        install it.

    Example
    -------
    >>> with espeak_paths() as (library, data):
    ...     Path(library).is_file(), Path(data).is_dir()
    (True, True)
    """
    try:
        import espeakng_loader

        library = espeakng_loader.get_library_path()
        data = espeakng_loader.get_data_path()
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"SynthEmo is spoken by espeak-ng, which is missing ({error}): "
            f"{INSTALL}"
        ) from error
    if len(os.fsencode(data)) < 140:
        yield library, data
        return
    # If the path is longer than 159 bytes, espeak-ng looks for its data
    # elsewhere, without an error.
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder, "espeak-ng-data")
        link.symlink_to(data, target_is_directory=True)
        yield library, str(link)


def speak(take, library, data):
    """Synthesizes one utterance; the samples do not depend on earlier ones.

    Arguments
    ---------
    take : Take
        What is said, and how.
    library : str
        Path of espeak-ng's shared library, see :func:`espeak_paths`.
    data : str
        Path of its data.

    Returns
    -------
    numpy.ndarray
        The samples, int16, [time], at ``SAMPLE_RATE``.

    Raises
    ------
    InputError
        If espeak-ng cannot be loaded, is in use by other code of this
        process, or refuses the voice or text.

    Example
    -------
    >>> with espeak_paths() as paths:
    ...     speech = speak(plan_synthemo()[0], *paths)
    >>> speech.dtype, 1 < len(speech) / SAMPLE_RATE < 3
    (dtype('int16'), True)
    """
    chunks = []

    @ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
    )
    def collect(samples, count, _):
        if samples and count:
            chunks.append(ctypes.string_at(samples, 2 * count))
        return 0  # go on

    rate, pitch, pitch_range, amplitude, tilt = take.prosody
    text = take.text.encode() + b"\0"
    with _fresh_espeak(library, data) as espeak:
        espeak.espeak_SetSynthCallback(collect)
        failures = (
            espeak.espeak_SetVoiceByName(take.voice.encode()),
            # 1 to 4 are espeakRATE, VOLUME, PITCH and RANGE; 0: not relative
            espeak.espeak_SetParameter(1, rate, 0),
            espeak.espeak_SetParameter(2, amplitude, 0),
            espeak.espeak_SetParameter(3, pitch, 0),
            espeak.espeak_SetParameter(4, pitch_range, 0),
            # from character 0 to the end; the flag 1 is espeakCHARS_UTF8
            espeak.espeak_Synth(
                text, ctypes.c_size_t(len(text)), 0, 1, 0, 1, None, None
            ),
        )
    if any(failures) or not chunks:
        raise InputError(
            f"{take.id}: espeak-ng did not speak, its statuses are "
            f"{failures}; reinstall it: {INSTALL}"
        )
    speech = np.frombuffer(b"".join(chunks), dtype=np.int16).astype(np.int32)
    delayed = np.concatenate([speech[:1], speech[:-1]])
    # Whole numbers round in the same way on every machine.
    tilted = (100 * speech - tilt * delayed) // (100 - tilt)
    return np.clip(tilted, -32768, 32767).astype(np.int16)


@contextmanager
def _fresh_espeak(library, data):
    """Loads the library again: nothing else resets its static state."""
    try:
        espeak = ctypes.CDLL(library)
    except OSError as error:
        raise InputError(
            f"espeak-ng cannot be loaded ({error}); reinstall it: {INSTALL}"
        ) from error
    try:
        if espeak.espeak_ng_GetSampleRate() != 0:  # 0 until initialized
            raise InputError(
                f"{library} is in use by other code in this process, which "
                "would change SynthEmo; make it in a process of its own: "
                'python -c "from speechbrain_ptssnn.corpora.synthemo import '
                'make_synthemo; make_synthemo()"'
            )
        # 2: synchronous, samples to the callback; 0x8000: do not exit.
        rate = espeak.espeak_Initialize(2, 0, os.fsencode(data), 0x8000)
        if rate != SAMPLE_RATE:
            raise InputError(
                f"espeak-ng answers {rate} to its data in {data}, expected "
                f"{SAMPLE_RATE} (Hz); reinstall it: {INSTALL}"
            )
        try:
            espeak.espeak_ng_SetRandSeed(ctypes.c_long(1))
            yield espeak
        finally:
            espeak.espeak_Terminate()  # ends its thread
    finally:
        unload(espeak)


def unload(library):
    """Closes a shared library; ctypes itself never does.

    Arguments
    ---------
    library : ctypes.CDLL
        Must not be called afterwards.
    """
    close = getattr(_ctypes, "dlclose", None) or _ctypes.FreeLibrary
    close(library._handle)


def make_synthemo(data_folder=None):
    """Writes ``<speaker>/<id>.wav`` for all utterances that are missing.

    A file appears whole or not at all. Several processes may therefore do
    this at the same time, and a killed one may be started again. It leaves at
    most one ``.part`` file behind, which nothing reads.

    Arguments
    ---------
    data_folder : str or Path, optional
        Where to write; by default ``data/SynthEmo``.

    Raises
    ------
    InputError
        If espeak-ng is missing or does not work; see :func:`espeak_paths` and
        :func:`speak`.
    """
    folder = Path(os.path.expanduser(data_folder or DATA_FOLDER))
    files = {
        folder / take.speaker / f"{take.id}.wav": take
        for take in plan_synthemo()
    }
    missing = [wav for wav in files if not wav.exists()]
    if not missing:
        return
    for speaker in SPEAKERS:
        Path(folder, speaker).mkdir(parents=True, exist_ok=True)
    with espeak_paths() as paths:
        for wav in tqdm(missing, desc="SynthEmo is spoken", unit="wav"):
            part = wav.with_suffix(f".{uuid4().hex}.part")
            try:
                soundfile.write(
                    part,
                    speak(files[wav], *paths),
                    SAMPLE_RATE,
                    subtype="PCM_16",
                    format="WAV",
                )
                os.replace(part, wav)
            finally:
                part.unlink(missing_ok=True)


def read_synthemo(data_folder=None, complete=True):
    """Lists the utterances of SynthEmo, sorted by id.

    Arguments
    ---------
    data_folder : str or Path, optional
        Where they are; by default ``data/SynthEmo``.
    complete : bool
        Whether to make missing files, so that each label has 160; otherwise
        only the files that exist are listed.

    Returns
    -------
    list of Utterance

    Raises
    ------
    InputError
        If espeak-ng is missing or does not work, or a file is damaged or not
        one of SynthEmo's.
    """
    folder = Path(os.path.expanduser(data_folder or DATA_FOLDER))
    if complete:
        make_synthemo(folder)
    takes = {take.id: take for take in plan_synthemo()}
    utterances = []
    for wav in visible(folder, "*/*.wav"):
        take = takes.get(wav.stem)
        if take is None or wav.parent.name != take.speaker:
            raise InputError(
                f"{wav}: not one of SynthEmo's files, such as "
                "f1/f1_de_02_angry.wav; remove it"
            )
        utterances.append(
            Utterance(
                id=take.id,
                wav=str(wav),
                speaker=take.speaker,
                label=take.label,
                duration=audio_seconds(
                    wav, sample_rate=SAMPLE_RATE, channels=1
                ),
                text=take.text,
            )
        )
    if complete:
        check_counts(
            "SynthEmo",
            utterances,
            dict.fromkeys(LABELS, len(takes) // len(LABELS)),
            f"delete {folder}: it will be made again",
        )
    return sorted(utterances, key=lambda utterance: utterance.id)


CORPUS = Corpus(
    name="SynthEmo",
    labels=LABELS,
    read=read_synthemo,
    description="synthetic, 8 voices, 5 languages, 4 emotions, 640 utterances",
)
