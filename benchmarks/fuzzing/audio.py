"""Audio files of every format, levels and sample rates; trees of files."""

import io
import os
import shutil

import numpy as np
import soundfile
import torch

from fuzzing.cases import case
from fuzzing.engine import Find, classified, stored_features, tone
from fuzzing.pools import NOT_AUDIO, RATES
from speechbrain_ptssnn.audio import MonoAudio
from speechbrain_ptssnn.backbones import Fbank

NO_HEADER = ("RAW", "SD2", "XI")
# Their headers do not say how long the audio is.
NO_LENGTH = ("PAF", "PVF", "IRCAM", "AU", "SVX", "MPC2K", "AVR", "VOC", "OGG")
ENDINGS = {"WAVEX": "wav", "RF64": "wav", "NIST": "wav", "AIFF": "aiff"}
_formats = {}


def audio_formats():
    """The bytes of tone 3 in every format: (format, subtype) to bytes."""
    if not _formats:
        for name in soundfile.available_formats():
            if name in NO_HEADER:
                continue
            for subtype in soundfile.available_subtypes(name):
                data = _encode(name, subtype)
                if data:
                    _formats[name, subtype] = data
    return _formats


def _encode(name, subtype):
    for rate in (16000, 8000, 44100):
        file = io.BytesIO()
        try:
            soundfile.write(
                file, tone(3, rate, 0.5), rate, subtype, "FILE", name
            )
            file.seek(0)
            samples, _ = soundfile.read(file)
        except (soundfile.SoundFileError, ValueError, TypeError):
            continue
        if len(samples) > 0.4 * rate:
            return file.getvalue()
    return None


def decode(path):
    """Everything that libsndfile reads from a file, without a seek."""
    with soundfile.SoundFile(path) as file:
        parts = []
        while len(part := file.read(4096, "float32", always_2d=True)):
            parts.append(part)
        return np.concatenate(parts), file.samplerate


def features_of(path):
    """The features of a file, independently of the package's reader."""
    samples, rate = decode(path)
    wav = MonoAudio(16000)(torch.from_numpy(samples), rate)
    return Fbank(n_mels=4)(wav).numpy()


def replace_audio(w, ending, data, k=3):
    """Writes utterance k anew; its id stays."""
    (w / f"cafe/{k}.wav").unlink()
    path = w / f"cafe/{k}.{ending}"
    path.write_bytes(data)
    manifest = w / "cafe/cafe.csv"
    manifest.write_text(
        manifest.read_text().replace(f"\n{k}.wav", f"\n{k}.{ending}")
    )
    return path


def check_audio(w, path, expected=None, frames=None, must=None):
    """Extracts and classifies; compares both with each other, and the other
    files with the undisturbed corpus.

    Arguments
    ---------
    w : Workspace
        With one file that was changed.
    path : Path
        This file.
    expected : array, optional
        Its features, if it is accepted.
    frames : int, optional
        The fewest frames it must have, if it is accepted.
    must : str, optional
        "accepted" or "refused"; either by default.
    """
    outcome = w.extract()
    end = outcome.judge()
    if end == "accepted":
        found = w.ask(stored_features, w / "cafe/cafe.csv")
        for name, features in w.template.features.items():
            if name != path.stem and not np.array_equal(found[name], features):
                raise Find(f"features of {name} changed")
        mine = found[path.stem]
        if not np.isfinite(mine).all():
            raise Find("features are not finite")
        if frames is not None and len(mine) < frames:
            raise Find(f"accepted with {len(mine)} frames of {frames}")
        if expected is not None and not (
            # MP3 is decoded in other blocks here, and rounds otherwise.
            mine.shape == expected.shape
            and np.allclose(mine, expected, atol=1e-4)
        ):
            raise Find("accepted with other features than the file's")
    answer = w.run(
        "classify", w.template.bundle, *_files(w, path), "--format=json"
    )
    said = answer.judge()
    found = classified(answer.out)
    for name, expected in w.template.classified.items():
        if name[0] != path.stem and found.get(name) != expected:
            raise Find(f"the prediction of {name} changed or is missing")
    if said != end:
        raise Find(
            f"extract {end} it, classify {said} it: {outcome.sentence} | "
            f"{answer.sentence}"
        )
    if said == "refused" and path.name not in answer.sentence:
        raise Find(f"the sentence does not name the file: {answer.sentence}")
    if must and end != must:
        raise Find(f"must be {must}: {outcome.sentence}")
    return end


def _files(w, path):
    others = [f"cafe/{k}.wav" for k in range(8) if str(k) != path.stem]
    return [*others, f"cafe/{path.name}"]


def _pick_format(rng):
    chosen = rng.choice(sorted(audio_formats()))
    return chosen, audio_formats()[chosen], _ending(chosen[0])


def _ending(name):
    return ENDINGS.get(name, name.lower())


@case("audio", 2)
def whole_format(rng, w):
    """Every format that libsndfile writes is read whole."""
    _, data, ending = _pick_format(rng)
    if rng.random() < 0.3:
        ending = rng.choice(["wav", "WAV", "flac", "mp3", "ogg", "aiff", "au"])
    path = replace_audio(w, ending, data)
    return check_audio(w, path, w.ask(features_of, path), must="accepted")


@case("audio", 3)
def truncated(rng, w):
    """A file is cut short."""
    (name, _), data, ending = _pick_format(rng)
    path = replace_audio(w, ending, data)
    frames = len(w.ask(features_of, path))
    path.write_bytes(data[: rng.randrange(len(data))])
    # A header that is not cut says how much is missing.
    tolerance = 0.8
    return check_audio(
        w,
        path,
        frames=None if name in NO_LENGTH else int(tolerance * frames),
    )


@case("audio", 3)
def bits_flipped(rng, w):
    """Bits are flipped, in the header or anywhere."""
    _, data, ending = _pick_format(rng)
    data = bytearray(data)
    end = rng.choice([16, 64, 256, len(data)])
    for _ in range(rng.choice([1, 1, 2, 8])):
        data[rng.randrange(min(end, len(data)))] ^= 1 << rng.randrange(8)
    return check_audio(w, replace_audio(w, ending, bytes(data)))


@case("audio", 3)
def header_field(rng, w):
    """A number of the header becomes huge, zero, negative or odd."""
    _, data, ending = _pick_format(rng)
    data = bytearray(data)
    size = rng.choice([2, 4, 8])
    at = rng.randrange(min(128, len(data) - size))
    value = rng.choice([0, 1, -1, 2**31 - 1, 2**31, 2**24, 2**63, 0x7FFF0000])
    value &= 2 ** (8 * size) - 1
    data[at : at + size] = value.to_bytes(size, rng.choice(["little", "big"]))
    return check_audio(w, replace_audio(w, ending, bytes(data)))


@case("audio")
def junk_appended(rng, w):
    """Bytes follow the audio."""
    (name, _), data, ending = _pick_format(rng)
    path = replace_audio(w, ending, data)
    expected = w.ask(features_of, path)
    has_length = name not in (*NO_LENGTH, "MP3", "MAT4", "MAT5", "XI", "HTK")
    junk = rng.choice(
        [b"\0", b"\0" * 4096, rng.randbytes(5000), b"TAG" + bytes(125), data]
    )
    path.write_bytes(data + junk)
    return check_audio(w, path, expected if has_length else None)


@case("audio")
def no_audio(rng, w):
    """Something else has the ending of audio."""
    data = rng.choice(NOT_AUDIO)
    ending = rng.choice(["wav", "flac", "mp3", "ogg", "aiff", "au", "m4a"])
    return check_audio(w, replace_audio(w, ending, data), must="refused")


@case("audio")
def tail_of_zeros(rng, w):
    """After a power cut a file has its size, but zeros in place of data."""
    _, data, ending = _pick_format(rng)
    keep = rng.randrange(len(data))
    data = data[:keep] + bytes(len(data) - keep)
    return check_audio(w, replace_audio(w, ending, data))


LEVELS = {
    "int16 in float": (lambda x, rng: x * 32767, "warned"),
    "int32 in float": (lambda x, rng: x * 2**31, "warned"),
    "24 bits in float": (lambda x, rng: x * 2**23, "warned"),
    "huge": (lambda x, rng: x * 1e30, "warned"),
    "NaN": (lambda x, rng: _with(x, rng, np.nan), "refused"),
    "inf": (lambda x, rng: _with(x, rng, np.inf), "refused"),
    "one huge sample": (lambda x, rng: _with(x, rng, 1e38), "warned"),
    "silence": (lambda x, rng: x * 0, "warned"),
    "a bit over 1": (lambda x, rng: x * 3.5, "accepted"),
    "clipped": (lambda x, rng: np.clip(9 * x, -1, 1), "accepted"),
    "quiet": (lambda x, rng: x * 10.0 ** -rng.randrange(1, 5), "accepted"),
    "denormal": (lambda x, rng: x * 1e-39, None),
    "offset": (lambda x, rng: x + 0.5, "accepted"),
    "constant": (lambda x, rng: x * 0 + 0.5, None),
}


def _with(x, rng, value):
    x = x.copy()
    x[rng.randrange(len(x))] = value
    return x


@case("levels", 2)
def level(rng, w):
    """Samples on another scale, silence, clipping, NaN."""
    name = rng.choice(sorted(LEVELS))
    change, must = LEVELS[name]
    file = io.BytesIO()
    kind = rng.choice(
        [
            ("WAV", "FLOAT"),
            ("WAV", "DOUBLE"),
            ("AU", "FLOAT"),
            ("CAF", "FLOAT"),
            ("AIFF", "DOUBLE"),
        ]
    )
    soundfile.write(file, change(tone(3), rng), 16000, kind[1], None, kind[0])
    path = replace_audio(w, _ending(kind[0]), file.getvalue())
    end = check_audio(w, path)
    said = " ".join(o.err + o.out for o in w.outcomes if o.words)
    if must == "refused" and end != "refused":
        raise Find(f"{name}: accepted")
    if must == "accepted" and end != "accepted":
        raise Find(f"{name}: refused")
    if must == "warned" and end == "accepted" and path.name not in said:
        raise Find(f"{name}: accepted without a warning that names the file")
    return end


@case("levels", 2)
def sample_rate(rng, w):
    """Every rate from 4,000 to 192,000 Hz is resampled in little memory."""
    rate = rng.choice([rng.randrange(4000, 192001), rng.choice(RATES)])
    time = np.arange(round(0.5 * rate)) / rate
    wave = 0.3 * np.sin(2 * np.pi * 700 * time)
    file = io.BytesIO()
    soundfile.write(file, wave, rate, "FLOAT", None, "WAV")
    path = replace_audio(w, "wav", file.getvalue())
    end = check_audio(w, path, must="accepted")
    found = w.ask(_resampled, path)
    if abs(len(found) - 8000) > 2:
        raise Find(f"{rate} Hz: {len(found)} samples for 8000")
    time = np.arange(len(found)) / 16000
    error = found - 0.3 * np.sin(2 * np.pi * 700 * time)
    error = np.abs(error[1600:-1600]).max()
    if error > 0.003:  # 40 dB below the tone
        raise Find(f"{rate} Hz: resampled with an error of {error:.4f}")
    return end


def _resampled(path):
    samples, rate = decode(path)
    return MonoAudio(16000)(torch.from_numpy(samples), rate).numpy()


@case("levels")
def same_samples_twice(rng, w):
    """One recording in two files, saved by two programs."""
    k, ending, data = 7, *_lossless(rng)
    if rng.random() < 0.5:
        k = 5  # which has the same label as 3, like 7
    is_other = rng.random() < 0.5
    if is_other:
        k = 4
    replace_audio(w, ending, data, k)
    outcome = w.train()
    end = outcome.judge()
    if is_other and end == "accepted":
        raise Find("the same samples with two labels are accepted")
    said = outcome.out + outcome.err
    if end == "accepted" and "same" not in said:
        raise Find("the same samples under two ids without a word")
    return end


def _lossless(rng):
    name, subtype = rng.choice(
        [
            ("WAV", "PCM_16"),
            ("WAV", "PCM_24"),
            ("WAV", "FLOAT"),
            ("FLAC", "PCM_16"),
            ("AIFF", "PCM_16"),
            ("AU", "PCM_16"),
            ("CAF", "PCM_16"),
            ("W64", "PCM_16"),
            ("WAVEX", "PCM_16"),
        ]
    )
    file = io.BytesIO()
    soundfile.write(file, tone(3), 16000, subtype, None, name)
    data = file.getvalue()
    if name == "WAV" and rng.random() < 0.5:
        data += b"LIST" + (12).to_bytes(4, "little") + b"INFOICMT\0\0\0\0"
    return _ending(name), data


def _make_tree(w, corpus):
    """A miniature of a published corpus; returns its files."""
    folder = w / corpus
    files = []
    if corpus == "URDU":
        for k, label in enumerate(("Angry", "Happy", "Neutral", "Sad")):
            for n in range(4):
                name = f"{label}/SM{n + 1}_F{n}_{label[0]}{n:03d}.wav"
                files.append((name, k, 44100))
    else:
        for speaker in ("03", "08"):
            for k, letter in enumerate("WLEAFTN"):
                files.append((f"wav/{speaker}a01{letter}a.wav", k, 16000))
    paths = []
    for name, k, rate in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        wave = tone(k, rate, 0.2) + 1e-3 * len(paths)
        soundfile.write(path, wave, rate)
        paths.append(path)
    return paths


@case("trees", 3)
def tree(rng, w):
    """A published corpus, changed by downloads, archives and people."""
    corpus = rng.choice(["URDU", "EMODB"])
    paths = _make_tree(w, corpus)
    path = rng.choice(paths)
    n, must = len(paths), "any"
    change = rng.choice(
        [
            "none",
            "endings",
            "case",
            "hidden",
            "copy",
            "copy in folder",
            "other format",
            "empty",
            "text",
            "deleted",
            "renamed",
            "link",
            "folder",
            "fifo",
            "desktop.ini",
            "upper folder",
            "nested",
            "cut",
        ]
    )
    if change == "none":
        must = "accepted"
    elif change == "endings":
        for each in paths:
            each.rename(each.with_suffix(".WAV"))
    elif change == "case":
        path.rename(path.with_suffix(".WAV"))
    elif change == "hidden":
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7" * 99)
        must = "accepted"
    elif change == "copy":
        shutil.copy(path, path.with_name(f"{path.stem} (1).wav"))
        must = "refused"
    elif change == "copy in folder":
        shutil.copytree(path.parent, path.parent / "copy")
        n = None
    elif change == "other format":
        samples, rate = soundfile.read(path)
        path.unlink()
        soundfile.write(path.with_suffix(".flac"), samples, rate)
        n = None
    elif change in ("empty", "text", "cut"):
        data = path.read_bytes()
        data = {"empty": b"", "text": b"x" * 99, "cut": data[:3000]}[change]
        path.write_bytes(data)
        must = "refused"
    elif change == "deleted":
        path.unlink()
        n -= 1
        must = "accepted"
    elif change == "renamed":
        path.rename(
            path.with_name(
                rng.choice(
                    ["x.wav", "new recording.wav", "03a01Xa.wav", ".wav"]
                )
            )
        )
        n = None
    elif change == "link":
        path.unlink()
        path.symlink_to("missing.wav")
        n = None
    elif change == "folder":
        path.unlink()
        path.mkdir()
        n = None
    elif change == "fifo":
        path.unlink()
        os.mkfifo(path)
        n = None
    elif change == "desktop.ini":
        for name in ("desktop.ini", "Thumbs.db", ".DS_Store", "README.txt"):
            (path.parent / name).write_bytes(b"\0" * 9)
        must = "accepted"
    elif change == "upper folder":
        parent = path.parent
        parent.rename(parent.with_name(parent.name.upper()))
        n = None
    else:
        inner = w / corpus / corpus
        inner.mkdir()
        for each in list((w / corpus).iterdir()):
            if each != inner:
                each.rename(inner / each.name)
        n = None
    words = (
        f"--data_folder={corpus}",
        "--backbone=cafe/backbones/tiny_fbank.yaml",
    )
    outcome = w.extract(*words, target=corpus)
    if outcome.judge() == "accepted":
        raise Find(f"{change}: a part of {corpus} passes for the whole")
    outcome = w.extract(*words, "--complete=False", target=corpus)
    end = outcome.judge()
    is_counted = n is None or f"of {n} utterances" in outcome.out
    if end == "accepted" and not is_counted:
        raise Find(f"{change}: not {n} utterances: {outcome.out.strip()}")
    if must != "any" and end != must:
        raise Find(f"{change}: must be {must}: {outcome.sentence}")
    return end
