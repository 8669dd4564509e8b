"""What the fuzzer tries, and what must happen: see fuzz.py.

A case is a function of a random generator and a workspace. It spoils the
workspace, runs commands and returns "accepted" or "refused"; it raises a Find
if something went wrong.
"""

import codecs
import csv
import io
import json
import os
import resource
import shutil
import signal
import unicodedata
from pathlib import Path

import numpy as np
import soundfile
import torch
from fuzz_engine import (
    HEAD,
    LABELS,
    QUIET,
    RUN,
    Find,
    stored_features,
    tone,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from speechbrain_ptssnn.audio import MonoAudio
from speechbrain_ptssnn.backbones import Fbank

CASES = {}  # name to (kind, function, weight)


def case(kind, weight=1):
    """Registers a function as a case of a kind."""

    def register(function):
        CASES[function.__name__] = kind, function, weight
        return function

    return register


# --- audio ------------------------------------------------------------------

NO_HEADER = ("RAW", "SD2")
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
        if expected is not None and not np.array_equal(mine, expected):
            raise Find("accepted with other features than the file's")
    answer = w.run(
        "classify", w.template.bundle, *_files(w, path), "--format=csv"
    )
    said = answer.judge()
    lines = {
        line.split(",")[0].rpartition("/")[2]: line
        for line in answer.out.strip().splitlines()[1:]
    }
    for name, line in w.template.classified.items():
        if name[0] != path.stem and lines.get(name) != line:
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
    (name, _), data, ending = _pick_format(rng)
    if rng.random() < 0.3:
        ending = rng.choice(["wav", "WAV", "flac", "mp3", "ogg", "aiff", "au"])
    path = replace_audio(w, ending, data)
    return check_audio(w, path, w.ask(features_of, path), must="accepted")


@case("audio", 3)
def truncated(rng, w):
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
    data = rng.choice(
        [
            b"",
            b"\0",
            bytes(20000),
            b"RIFF",
            b"RIFF\0\0\0\0WAVE",
            b"fLaC",
            b"OggS",
            b"ID3",
            b"<!DOCTYPE html><html><body>404</body></html>",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
            b"PK\3\4" + rng.randbytes(500),
            b"\x1f\x8b\x08" + rng.randbytes(500),
            b"\0\5\x16\7" + bytes(200),
            b"#!AMR\n" + rng.randbytes(500),
            b"\0\0\0\x20ftypM4A " + rng.randbytes(500),
            b"\x1aE\xdf\xa3" + rng.randbytes(500),
            rng.randbytes(20000),
            codecs.BOM_UTF8 + b"path,label\n",
        ]
    )
    ending = rng.choice(["wav", "flac", "mp3", "ogg", "aiff", "au", "m4a"])
    return check_audio(w, replace_audio(w, ending, data), must="refused")


@case("audio")
def tail_of_zeros(rng, w):
    """After a power cut a file has its size, but zeros in place of data."""
    _, data, ending = _pick_format(rng)
    keep = rng.randrange(len(data))
    data = data[:keep] + bytes(len(data) - keep)
    return check_audio(w, replace_audio(w, ending, data))


# --- samples ----------------------------------------------------------------

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
    rate = rng.choice(
        [
            rng.randrange(4000, 192001),
            rng.choice([4001, 15999, 16001, 44099, 95987, 191999]),
            rng.choice(
                [
                    6000,
                    8000,
                    11025,
                    11127,
                    12000,
                    22050,
                    22255,
                    24000,
                    32000,
                    37800,
                    44056,
                    44100,
                    47250,
                    48000,
                    50000,
                    88200,
                    96000,
                    176400,
                    192000,
                ]
            ),
        ]
    )
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


# --- manifests --------------------------------------------------------------


def _rows(w):
    with open(w / "cafe/cafe.csv", newline="") as file:
        return list(csv.DictReader(file))


def _write_csv(w, rows, *, encoding="utf-8", **dialect):
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), **dialect)
    writer.writeheader()
    writer.writerows(rows)
    (w / "cafe/cafe.csv").write_bytes(stream.getvalue().encode(encoding))


def _check_training(w, must, *words, **how):
    """Trains; "same" is accepted with the undisturbed predictions, "either"
    that or refused.
    """
    outcome = w.train(*words, **how)
    end = outcome.judge()
    if end == "refused":
        w.check_refused()
        if must in ("same", "accepted"):
            raise Find(f"must be accepted: {outcome.sentence}")
    elif must == "refused":
        raise Find("must be refused, and is accepted")
    elif must in ("same", "either"):
        w.check_same()
    w.check_leftovers()
    return end


@case("csv", 3)
def csv_dialect(rng, w):
    """The same table as another program writes it."""
    rows = _rows(w)
    if rng.random() < 0.3:
        rng.shuffle(rows)
    if rng.random() < 0.3:
        rows = [dict(id=Path(r["path"]).stem, **r) for r in rows]
    if rng.random() < 0.3:
        names = list(rows[0])
        rng.shuffle(names)
        rows = [{name: r[name] for name in names} for r in rows]
    if rng.random() < 0.3:
        rows = [dict(r, note=rng.choice(["", "x, y", "é"])) for r in rows]
    if rng.random() < 0.2:
        rows = [
            dict(r, path=str(w / "cafe" / r["path"]), id=r["path"][0])
            for r in rows
        ]
    if rng.random() < 0.2:
        change = rng.choice([str.upper, str.title])
        rows = [{change(name): v for name, v in r.items()} for r in rows]
    encoding = rng.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"])
    _write_csv(
        w,
        rows,
        encoding=encoding,
        delimiter=rng.choice(",;\t"),
        lineterminator=rng.choice(["\n", "\r\n", "\r"]),
        quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    )
    file = w / "cafe/cafe.csv"
    data = file.read_bytes()
    if encoding != "utf-16":
        data = (
            rng.choice([b"", b"", b"\n", b"\n\n"]) * (encoding == "utf-8")
            + data
        )
        data += rng.choice([b"", b"\n", b"\n\n", b"\r\n"])
    file.write_bytes(data)
    fine = encoding.startswith("utf-8")
    return _check_training(w, "same" if fine else "either")


@case("csv", 2)
def csv_odd_dialect(rng, w):
    """A table of another kind: read right, or refused."""
    file = w / "cafe/cafe.csv"
    text = file.read_text()
    kind = rng.randrange(9)
    if kind == 0:
        text = "sep=,\n" + text
    elif kind == 1:
        text = "# a comment; with; semicolons\n" + text
    elif kind == 2:
        text = text.replace(",", "|")
    elif kind == 3:
        text = text.replace(",", " ")
    elif kind == 4:
        text = text.replace("speaker\n", '"speaker; or actor; or voice"\n')
    elif kind == 5:
        text = text.replace(",", ", ")
    elif kind == 6:
        text = text.replace("calm", "'calm'").replace("angry", "'angry'")
    elif kind == 7:
        text = "\n".join(f"{k},{t}" for k, t in enumerate(text.split("\n")))
    else:
        text = "".join(f"{line},\n" for line in text.splitlines())
    file.write_text(text)
    return _check_training(w, "same" if kind == 5 else "either")


ODD_CELLS = [
    "",
    "NaN",
    "nan",
    "None",
    "null",
    "NA",
    "N/A",
    "#N/A",
    "-",
    "?",
    " ",
    "\u00a0",
    "\u200b",
    "0",
    "-1",
    "1e9",
    "inf",
    "x",
    "\0",
    "a\nb",
    '"',
    "'",
    ",",
    ";",
    "a" * 200000,
    "=1+1",
    "../0.wav",
    "~/0.wav",
    "/dev/null",
    ".",
    "/",
    "é",
    "e\u0301",
    "\U0001f600",
    "\ud800",
    "calm ",
    "Calm",
    "CALM",
    "True",
    "2026-11-27",
]


@case("csv", 4)
def csv_cell(rng, w):
    """One cell has an odd value."""
    rows = _rows(w)
    column = rng.choice(
        ["path", "label", "speaker", "id", "start", "end", "fold", "session"]
    )
    value = rng.choice(ODD_CELLS)
    if column not in rows[0]:
        default = {"id": "{}", "start": "0", "end": "0.2"}.get(column, "x")
        rows = [
            dict(r, **{column: default.format(k)}) for k, r in enumerate(rows)
        ]
    k = rng.randrange(8)
    rows[k][column] = value
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    (w / "cafe/cafe.csv").write_bytes(
        stream.getvalue().encode("utf-8", "surrogatepass")
    )
    shutil.copy(w / f"cafe/{k}.wav", w / "home" / "0.wav")
    must = _after_cell(column, value, rows[k])
    return _check_training(w, must, f"--results_folder={w / 'results'}")


def _after_cell(column, value, row):
    """What must happen if a column has a value in one row."""
    cleaned = value.strip(" \u00a0\u200b").lower()
    empty = cleaned in ("", "nan", "none", "null", "na", "n/a", "#n/a")
    if column in ("path", "label", "speaker", "session", "fold") and empty:
        return "refused"
    if column == "label" and value.strip() != row["label"]:
        return "refused"
    if column == "label":
        return "refused" if value.strip() not in LABELS else "any"
    if column == "start":
        return "any" if empty or value in ("0", "-") else "refused"
    if column == "end":
        return "any" if empty or value in ("-",) else "refused"
    if column == "path" and value != "~/0.wav":
        return "refused" if value != "../0.wav" else "any"
    return "any"


@case("csv", 2)
def csv_structure(rng, w):
    """Rows and columns that are missing, twice or too many."""
    file = w / "cafe/cafe.csv"
    lines = file.read_text().splitlines()
    k = rng.randrange(1, 9)
    kind = rng.choice(
        [
            "row twice",
            "header twice",
            "no header",
            "no column",
            "column twice",
            "a cell less",
            "a cell more",
            "open quote",
            "empty",
            "header only",
            "path twice",
            "id twice",
            "case",
            "leading zero",
            "one label",
        ]
    )
    must = "refused"
    if kind == "row twice":
        lines.insert(k, lines[k])
    elif kind == "header twice":
        lines.insert(k, lines[0])
    elif kind == "no header":
        del lines[0]
    elif kind == "no column":
        column = rng.randrange(2)
        lines = [_without(line, column) for line in lines]
    elif kind == "column twice":
        lines = [
            f"{line},{line.split(',')[rng.randrange(3)]}" for line in lines
        ]
        lines[0] = f"path,label,speaker,{rng.choice(['path', 'Label'])}"
    elif kind == "a cell less":
        lines[k] = _without(lines[k], rng.randrange(3))
    elif kind == "a cell more":
        lines[k] += f",{rng.choice(['x', '1'])}"
    elif kind == "open quote":
        lines[k] = '"' + lines[k]
    elif kind == "empty":
        lines = rng.choice([[], [""], ["", " "]])
    elif kind == "header only":
        del lines[1:]
    elif kind == "path twice":
        lines[k] = lines[1 + k % 8].replace("wav,", "wav,", 1)
    elif kind == "id twice":
        ids = ["id", *"01234567"]
        ids[k] = ids[1 + k % 8]
        lines = [f"{i},{line}" for i, line in zip(ids, lines, strict=True)]
    elif kind in ("case", "leading zero"):
        a, b = ("Anna", "anna") if kind == "case" else ("01", "1")
        text = "\n".join(lines)
        text = text.replace(",a", f",{a}").replace(f",{a}ngry", ",angry")
        lines = text.replace(",b", f",{b}").splitlines()
        must = "warned"
    else:
        lines = [line.replace("calm", "angry") for line in lines]
    file.write_text("\n".join(lines) + "\n")
    if must == "refused":
        return _check_training(w, "refused")
    end = _check_training(w, "any")
    said = w.outcomes[-1].err + w.outcomes[-1].out
    if end == "accepted" and not (a in said and b in said and "WARN" in said):
        raise Find(f"speakers {a} and {b} without a warning")
    return end


def _without(line, k):
    cells = line.split(",")
    del cells[k]
    return ",".join(cells)


@case("csv", 2)
def json_manifest(rng, w):
    """A manifest in JSON, whole or with an odd value."""
    rows = [dict(r, id=r["path"][0]) for r in _rows(w)]
    must = "same"
    change = rng.randrange(10)
    k = rng.randrange(8)
    column = rng.choice(["path", "label", "speaker"])
    if change == 0:
        rows[k][column] = rng.choice([None, float("nan"), "NaN", "", " "])
        must = "refused"
    elif change == 1:
        rows[k][column] = rng.choice([1, 1.5, True, [], {}, ["a"], {"a": 1}])
        must = "any" if column == "speaker" else "refused"
    elif change == 2:
        del rows[k][column]
        must = "refused"
    elif change == 3:
        rows[k] = rng.choice([None, 1, "a", []])
        must = "refused"
    elif change == 4:
        rows[k]["id"] = rows[k - 1]["id"]
        must = "refused"
    elif change == 5:
        rows[k]["extra"] = rng.choice([None, 1, [1], {"a": [1]}])
    as_dict = change not in (3, 4) and rng.random() < 0.5
    data = (
        {r["id"]: {n: v for n, v in r.items() if n != "id"} for r in rows}
        if as_dict
        else rows
    )
    text = json.dumps(data, ensure_ascii=rng.random() < 0.5)
    if change == 6:
        text = text[: rng.randrange(len(text))]
        must = "refused"
    elif change == 7:
        text = rng.choice(
            [
                "",
                "[]",
                "{}",
                "null",
                "1",
                '"a"',
                "[[1]]",
                "[" * 100000,
                '{"a": 1}',
                "NaN",
                "[NaN]",
                text * 2,
            ]
        )
        must = "refused"
    elif change == 8:
        text = "\n".join(json.dumps(row) for row in rows)
        must = "either"
    encoding = rng.choice(["utf-8", "utf-8-sig"])
    (w / "cafe/cafe.json").write_text(text, encoding=encoding)
    return _check_training(w, must, "--data_folder=cafe/cafe.json")


@case("csv")
def odd_paths(rng, w):
    """The corpus lies where people's files lie."""
    name = rng.choice(
        [
            "my corpora",
            "é",
            "e\u0301",
            "李",
            "a'b",
            'a"b',
            "a,b",
            "a;b",
            "a#b",
            "a: b",
            "-a",
            "--a=b",
            "[a]",
            "{a}",
            "a%b",
            "$HOME",
            "a\\b",
            "a\tb",
            "a\nb",
            "\U0001f600",
            "a" * 200,
            "2026-11-27",
            "010",
            "a=b",
            "~",
            "null",
            "!ref <seed>",
            "*",
            "?",
            "a b.wav",
        ]
    )
    folder = w / name
    shutil.copytree(w / "cafe", folder)
    rows = _rows(w)
    form = rng.choice(["NFC", "NFD"])
    for r in rows:
        stem = r["path"][0]
        r["id"] = stem
        if rng.random() < 0.3:
            r["path"] = f"{name}/{stem}.wav"
            (folder / name).mkdir(exist_ok=True)
            shutil.copy(folder / f"{stem}.wav", folder / name)
        r["path"] = unicodedata.normalize(form, r["path"])
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    (folder / "cafe.csv").write_text(stream.getvalue(), "utf-8", newline="")
    w.encoding = rng.choice(["utf-8", "ascii", "latin-1"])
    return _check_training(w, "same", target=f"{w / name}/tiny.yaml")


@case("csv")
def home_paths(rng, w):
    """~ is the home folder, in a cell and in YAML."""
    shutil.copytree(w / "cafe", w / "home/cafe")
    rows = [
        dict(r, path=f"~/cafe/{r['path']}", id=r["path"][0]) for r in _rows(w)
    ]
    words, target = (), "cafe/tiny.yaml"
    if rng.random() < 0.5:
        _write_csv(w, rows)
    elif rng.random() < 0.5:
        words = ("--data_folder=~/cafe/cafe.csv",)
    else:
        text = HEAD.replace("cafe.csv", "~/cafe/cafe.csv")
        (w / "cafe/tiny.yaml").write_text(text)
    return _check_training(w, "same", *words, target=target)


# --- settings ---------------------------------------------------------------

ODD_VALUES = [
    "",
    "0",
    "-1",
    "1",
    "2",
    "3",
    "1.5",
    "-0.0",
    "1e3",
    "1e400",
    "1e-400",
    ".inf",
    "-.inf",
    ".nan",
    "010",
    "0x10",
    "0b1",
    "1_000",
    "true",
    "True",
    "no",
    "null",
    "~",
    "Null",
    "None",
    "nan",
    "abc",
    "'1'",
    '"0.1"',
    "[]",
    "[1]",
    "{}",
    "{a: 1}",
    "2026-11-27",
    "2026-11-27 10:00:00",
    "12:30:00",
    "!ref <seed>",
    "!ref <nokey>",
    "!ref <lr>",
    "!new:nosuch.Thing {}",
    "!name:nosuch.thing",
    "!apply:nosuch.thing []",
    "!tuple (1, 2)",
    "!copy <seed>",
    "*a",
    "&a 1",
    "&a [*a]",
    "- 1",
    "a: b",
    "%",
    "@",
    "`",
    "'",
    '"',
    "[",
    "{",
    "|",
    ">",
    "a\tb",
    "é",
    "\U0001f600",
    "1" * 400,
    "9" * 30,
    "a" * 3000,
    "!!python/name:os.system",
    "!!binary aGk=",
    "!!set {a}",
    "<seed>",
    "!ref <seed",
    "${HOME}",
]
SKIPPED = ("corpus", "n_classes")  # keys that only the package sets
# Of these a large value would take hours, as asked.
SLOW = ("number_of_epochs", "jobs", "launcher", "ray_address")
SLOW_VALUES = ("1e3", "1_000", "0x10", "010", "2", "3", "1" * 400, "9" * 30)


def yaml_keys():
    """The keys of the head's file and of its objects, as (outer, key)."""
    document = YAML().load(Path("hparams/pts_snn.yaml").read_text("utf-8"))
    keys = [("", key) for key in document if key not in SKIPPED]
    for outer in (
        "head",
        "loss",
        "plif",
        "token_plif",
        "normalizer",
        "opt_class",
        "lr_annealing",
    ):
        keys += [(outer, key) for key in document[outer]]
    return document, [key for key in keys if not key[1].startswith("_")]


_yaml_keys = {}


def _pick_key(rng):
    if not _yaml_keys:
        root = Path(__file__).resolve().parents[1]
        before = os.getcwd()
        os.chdir(root)
        try:
            _yaml_keys["document"], _yaml_keys["keys"] = yaml_keys()
        finally:
            os.chdir(before)
    outer, key = rng.choice(_yaml_keys["keys"])
    value = rng.choice(ODD_VALUES)
    if key in SLOW and value in SLOW_VALUES:
        value = "-2"
    document = _yaml_keys["document"]
    default = document[outer][key] if outer else document[key]
    return outer, key, value, default


def _is_wrong_kind(default, value):
    """Whether a value is of another kind than a number that it replaces."""
    if not isinstance(default, int | float):
        return False
    try:
        parsed = YAML(typ="safe").load(value)
    except (YAMLError, ValueError):
        return not value.startswith("!")
    if isinstance(default, bool):
        return not isinstance(parsed, bool)
    if isinstance(default, int):
        return not isinstance(parsed, int) or isinstance(parsed, bool)
    return not isinstance(parsed, int | float) or isinstance(parsed, bool)


def check_sound(w, outcome, results=None):
    """If a training is accepted, its results are whole and finite."""
    end = outcome.judge()
    files = [
        file
        for file in w.path.rglob("predictions.csv")
        if not file.parent.name.startswith("fold_")
    ]
    if end == "refused":
        if files:
            raise Find("refused, but there are predictions")
        return end
    if len(files) != 1:
        raise Find(f"accepted, with {len(files)} predictions.csv")
    with open(files[0], encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        values = [float(row[f"p_{label}"]) for label in LABELS]
        if not np.isfinite(values).all() or abs(sum(values) - 1) > 1e-4:
            raise Find(f"posteriors {values}")
    summary = json.loads(files[0].with_name("summary.json").read_text())
    if summary["folds"] * 4 != len(rows):
        raise Find(f"{len(rows)} predictions of {summary['folds']} folds")
    return end


@case("settings", 3)
def yaml_value(rng, w):
    """A key of the YAML has an odd value."""
    outer, key, value, default = _pick_key(rng)
    text = HEAD
    if outer == "head":
        text += f"    {key}: {value}\n"
    elif outer:
        text += f"{outer}: {{{key}: {value}}}\n"
    else:
        lines = [ln for ln in HEAD.splitlines() if not ln.startswith(f"{key}:")]
        text = "\n".join([f"{key}: {value}", *lines]) + "\n"
    (w / "cafe/tiny.yaml").write_text(text)
    end = check_sound(w, w.train())
    if end == "accepted" and not outer and _is_wrong_kind(default, value):
        raise Find(f"{key}: {value} is accepted, the default is {default}")
    w.check_leftovers()
    return end


@case("settings", 3)
def argument_value(rng, w):
    """A key has an odd value on the command line."""
    outer, key, value, default = _pick_key(rng)
    if outer:
        word = f"--{outer}={{{key}: {value}}}"
    else:
        word = f"--{key}={value}"
    words = [word]
    if not outer and rng.random() < 0.2:
        words = [f"--{key}", value]
    w.encoding = rng.choice(["utf-8", "ascii", "latin-1"])
    end = check_sound(w, w.train(*words))
    if end == "accepted" and not outer and _is_wrong_kind(default, value):
        raise Find(f"{key}: {value} is accepted, the default is {default}")
    w.check_leftovers()
    return end


@case("settings", 2)
def yaml_file(rng, w):
    """One of the YAML files is damaged or odd as a whole."""
    name = rng.choice(
        ["tiny.yaml", "two_folds.yaml", "backbones/tiny_fbank.yaml"]
    )
    file = w / "cafe" / name
    data = file.read_bytes()
    lines = data.splitlines(keepends=True)
    k = rng.randrange(len(lines))
    must = "any"
    change = rng.randrange(16)
    if change == 0:
        data = data[: rng.randrange(len(data))]
    elif change == 1:
        position = rng.randrange(len(data))
        data = bytearray(data)
        data[position] ^= 1 << rng.randrange(8)
        data = bytes(data)
    elif change == 2:
        lines.insert(k, lines[k])
        data, must = b"".join(lines), "refused"
    elif change == 3:
        del lines[k]
        data = b"".join(lines)
    elif change == 4:
        data = data.replace(b"    ", b"\t")
    elif change == 5:
        data, must = codecs.BOM_UTF8 + data, "either"
    elif change == 6:
        data, must = data.decode().encode("utf-16"), "either"
    elif change == 7:
        data, must = data.replace(b"\n", b"\r\n"), "same"
    elif change == 8:
        data = data + b"---\n" + data
    elif change == 9:
        data = b"a: " + b"[" * 3000 + b"\n" + data
    elif change == 10:
        data = rng.choice(
            [
                b"",
                b"\n",
                b"# nothing\n",
                b"- a\n",
                b"a\n",
                b"1",
                b"null\n",
                b"\0",
                b"\xff\xfe",
                rng.randbytes(300),
            ]
        )
    elif change == 11:
        data, must = b"nosuchkey: 1\n" + data, "refused"
        must = "any" if name != "tiny.yaml" else must
    elif change == 12:
        data = b"&a " + data
    elif change == 13:
        data = data + b"<<: {seed: 3}\n"
    elif change == 14:
        data, must = b"%YAML 1.1\n---\n" + data, "either"
    else:
        data = data.replace(b":", b": ", 1).replace(b": ", b":", 1)
    file.write_bytes(data)
    if must != "any":
        return _check_training(w, must)
    return check_sound(w, w.train())


ODD_FOLDERS = [
    "run #2",
    "010",
    "2026_11",
    "2026-11-27",
    "",
    "null",
    "~",
    "~/x",
    "é",
    "e\u0301",
    "a b",
    "-x",
    "a" * 300,
    "x/../y",
    "..",
    "a\nb",
    "{a: 1}",
    "[x]",
    "!ref <seed>",
    "1e3",
    "yes",
    "0x1F",
    ".5",
    "a:b",
    "a: b",
    "*a",
    "&a",
    "%",
    "@x",
    "`",
    "'",
    '"',
    "\\",
    "$HOME",
    "<x>",
    "<seed>",
    "true",
    "1.0",
    "a\tb",
    " a",
    "a ",
    "#",
    "|",
    ">",
    "- a",
    "?",
    "!x",
    "%TAG",
    "\U0001f600",
    "results/",
    "./results",
    "a//b",
    "1_000",
    "12:30",
    "=",
    "a=b",
    "None",
    "null/x",
    "a\0b",
    ".inf",
    "...",
    "---",
]


@case("settings", 2)
def results_folder(rng, w):
    """The results lie in the folder of exactly the name that was given."""
    name = rng.choice(ODD_FOLDERS)
    key = rng.choice(["results_folder", "features_folder"])
    words = (f"--{key}={name}",)
    w.encoding = rng.choice(["utf-8", "ascii", "latin-1"])
    if rng.random() < 0.5:
        if "\0" in name:
            name = "a b"
        words = ()
        dump = io.StringIO()
        YAML().dump({key: name}, dump)
        (w / "cafe/tiny.yaml").write_text(HEAD + dump.getvalue(), "utf-8")
    outcome = w.train(*words)
    end = outcome.judge()
    if end == "refused":
        return end
    folder = Path(os.path.normpath(w / name)) if name else w.path
    if name == "~" or name.startswith("~/"):
        folder = w / "home" / name[2:]
    below = folder.glob("Cafe" if key == "results_folder" else "*/index.sqlite")
    if not any(below):
        raise Find(f"{key} {name!r}: written elsewhere")
    return end


# --- command lines ----------------------------------------------------------


@case("words", 3)
def any_words(rng, w):
    """Commands with arguments that people mix up."""
    w.add_run()
    run = f"results/{RUN}"
    (w / "empty").mkdir()
    pool = [
        "",
        "-",
        "--",
        "-h",
        "--help",
        "cafe",
        "cafe/0.wav",
        "cafe/cafe.csv",
        "cafe/tiny.yaml",
        "cafe/missing.wav",
        "missing",
        "missing/model",
        run,
        f"{run}/fold_1",
        f"{run}/fold_1/model",
        f"{run}/fold_1/save",
        "results",
        "results/Cafe",
        str(Path(run).parent),
        "empty",
        ".",
        "/",
        "URDU",
        "urdu",
        "URDO",
        "Custom",
        "EMODB",
        "fbank",
        "pts_snn",
        "table4",
        "hparams/pts_snn.yaml",
        "tiny.yaml",
        "--corpus=URDU",
        "--corpus=Custom",
        "--corpus",
        "--format=csv",
        "--format=xml",
        "--output=out.txt",
        "--output=missing/out.txt",
        "--output=cafe",
        "--output",
        "--json=a.json",
        "--json=.",
        "--json=",
        "--frames=0",
        "--frames=-1",
        "--frames=abc",
        "--frames=225",
        "--backbone=no",
        "--backbone=fbank",
        "--backbone=",
        "--backbone=missing",
        "--features_folder=missing",
        "--features_folder=features",
        "--seed=1",
        "--seed=1,2",
        "--seed=1,1",
        "--seed=a,b",
        "--seed=,",
        "--seed=1.5",
        "--fold=1",
        "--fold=3",
        "--fold=a",
        "--fold=0",
        "--fold=-1",
        "--table_only",
        "--markdown",
        "--energy",
        "--n_folds=2",
        "-seed=1",
        "--Seed=1",
        "–seed=1",
        "—seed=1",
        "--seed =1",
        "--seed= 1",
        "seed=1",
        "--data_folder=cafe",
        "--data_folder=cafe/cafe.csv",
        "--data_folder=",
        "--data_folder=missing",
        "--label_map={calm: calm, angry: angry}",
        "--label_map={calm: a}",
        "--label_map=",
        "--label_map={}",
        "--protocol=speaker",
        "--protocol=cafe/two_folds.yaml",
        "--protocol=missing",
        "--protocol=session",
        "--protocol=column",
        "--number_of_epochs=1",
        "--device=gpu",
        "--device=cuda",
        "--device=x",
        "--device=",
        "--debug",
        "--debug=1",
        "--max_grad_norm=-1",
        "--max_grad_norm=abc",
        "--precision=fp8",
        "--launcher=slurm",
        "--complete=False",
        "--complete=maybe",
        "kinds",
        "corpora",
        "sets",
        "\0",
        "é",
        "\U0001f600",
        "a" * 5000,
        "--=1",
        "--=",
        "=",
        "--é=1",
    ]
    command = rng.choice(
        [
            "train",
            "extract",
            "classify",
            "experiments",
            "compare",
            "energy",
            "report",
            "list",
            "trian",
            "--version",
            "help",
            "",
        ]
    )
    words = rng.choices(pool, k=rng.randrange(5))
    if command in ("train", "extract") and rng.random() < 0.7:
        words = ["cafe/tiny.yaml", *words]
    if command == "classify" and rng.random() < 0.5:
        words = [f"{run}/fold_1/model", *words]
    if command in ("compare", "energy", "report") and rng.random() < 0.5:
        words = [run, *words]
    if command in ("train", "extract", "experiments"):
        words += rng.sample(QUIET, rng.choice([0, 2, 2, 2]))
    w.encoding = rng.choice(["utf-8", "ascii", "latin-1"])
    end = w.run(command, *words).judge()
    w.check_same()
    w.check_leftovers()
    return end


# --- file modes -------------------------------------------------------------


def _obstruct(rng, path):
    """Puts something else where a file or folder is wanted."""
    kind = rng.choice(
        [
            "file",
            "folder",
            "dangling",
            "loop",
            "fifo",
            "read-only",
            "no rights",
            "missing",
            "null",
            "empty",
            "full",
        ]
    )
    mode = path.stat().st_mode if path.exists() else 0
    if kind == "read-only":
        os.chmod(path, mode & 0o555) if mode else path.mkdir(0o555)
        for each in path.rglob("*") if path.is_dir() else ():
            os.chmod(each, each.stat().st_mode & 0o555)
        return kind
    if kind == "no rights":
        os.chmod(path, 0) if mode else path.mkdir(0)
        return kind
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind in ("file", "empty"):
        path.write_text("x" * (kind == "file"))
    elif kind == "folder":
        path.mkdir()
    elif kind == "dangling":
        path.symlink_to("missing/file")
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "fifo":
        os.mkfifo(path, 0o666)
    elif kind in ("null", "full"):
        path.symlink_to(f"/dev/{kind}")
    return kind


@case("modes", 4)
def obstructed(rng, w):
    """A file or folder of a training is something else, or forbidden."""
    w.add_run()
    inputs = [
        "cafe/cafe.csv",
        "cafe/3.wav",
        "cafe/tiny.yaml",
        "cafe",
        "cafe/two_folds.yaml",
        "cafe/backbones/tiny_fbank.yaml",
    ]
    fold = f"results/{RUN}/fold_1"
    outputs = [
        "results",
        "results/Cafe",
        "results/Cafe/two_folds",
        f"results/{RUN}",
        fold,
        f"results/{RUN}/log.txt",
        f"results/{RUN}/settings.json",
        f"results/{RUN}/folds.json",
        f"results/{RUN}/hyperparams.yaml",
        f"{fold}/save",
        f"results/{RUN}/predictions.csv",
        f"results/{RUN}/summary.json",
        f"results/{RUN}/manifest.json",
        f"{fold}/train_log.txt",
        f"{fold}/lock",
        f"{fold}/model",
        f"{fold}/result.json",
        f"{fold}/predictions.csv",
        f"{fold}/tensorboard",
        "features",
        *(
            str(p.relative_to(w.path))
            for p in sorted((w / "features").rglob("*"))
        ),
    ]
    if rng.random() < 0.6:
        shutil.rmtree(w / "results" / RUN / "fold_1")
        (w / "results" / RUN / "fold_1").mkdir()
    if rng.random() < 0.3:
        shutil.rmtree(w / "results")
    name = rng.choice(rng.choice([inputs, outputs]))
    w.give_to_nobody()
    kind = _obstruct(rng, w / name)
    w.notes = f"{name}: {kind}"
    outcome = w.train()
    try:
        end = outcome.judge()
        if end == "accepted":
            _check_predictions_if_readable(w)
    except Find as find:
        raise Find(f"{name} is {kind}: {find}") from find
    return end


def _check_predictions_if_readable(w):
    file = w / "results" / RUN / "predictions.csv"
    if os.path.islink(file) or (file.exists() and not file.is_file()):
        raise Find("accepted, and predictions.csv is no file")
    w.check_same()


@case("modes", 2)
def obstructed_reading(rng, w):
    """The same for the commands that only read, and for their output."""
    w.add_run()
    (w / "out").mkdir()
    fold = f"results/{RUN}/fold_1"
    run = f"results/{RUN}"
    commands = [
        (
            ["classify", f"{fold}/model", "cafe"],
            [
                "cafe/3.wav",
                f"{fold}/model",
                "cafe",
                *(
                    f"{fold}/model/{n}"
                    for n in (
                        "head.ckpt",
                        "hyperparams.yaml",
                        "normalizer.ckpt",
                        "label_encoder.ckpt",
                    )
                ),
            ],
        ),
        (
            ["classify", f"{fold}/model", "cafe", "--output=out/a.txt"],
            ["out", "out/a.txt"],
        ),
        (
            ["compare", run, run, "--json=out/a.json"],
            [
                "out",
                "out/a.json",
                f"{run}/predictions.csv",
                f"{run}/folds.json",
                f"{run}/summary.json",
                f"{run}/settings.json",
                run,
            ],
        ),
        (
            ["energy", run],
            [
                f"{run}/energy.json",
                f"{fold}/model",
                f"{run}/manifest.json",
                f"{run}/hyperparams.yaml",
                "features",
                "cafe/3.wav",
                run,
            ],
        ),
        (
            ["report", run],
            [
                f"{run}/report.html",
                f"{fold}/tensorboard",
                f"{fold}/train_log.txt",
                "features",
                f"{run}/summary.json",
                f"{run}/predictions.csv",
                run,
            ],
        ),
    ]
    words, names = rng.choice(commands)
    name = rng.choice(names)
    w.give_to_nobody()
    kind = _obstruct(rng, w / name)
    try:
        return w.run(*words).judge()
    except Find as find:
        raise Find(f"{words[0]}: {name} is {kind}: {find}") from find


@case("modes", 2)
def file_size_limit(rng, w):
    """A write fails, as on a full disk; then the same command goes on."""
    limit = round(10 ** rng.uniform(0, 4.3))

    def before():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))

    outcome = w.train(before=before)
    if outcome.judge() == "refused" and "too large" not in outcome.sentence:
        raise Find(f"does not say why: {outcome.sentence}")
    _check_training(w, "same")
    check_same_files(w)
    return "refused" if outcome.status else "accepted"


# --- kills and damage -------------------------------------------------------


def check_same_files(w):
    """The results have the same files as the undisturbed training's."""
    found, wanted = (_result_files(each.path) for each in (w, w.template))
    if found != wanted:
        raise Find(f"other files than undisturbed: {sorted(found ^ wanted)}")


def _result_files(folder):
    names = set()
    for path in (folder / "results").rglob("*"):
        parts = [
            "CKPT" if part.startswith("CKPT+") else part
            for part in path.relative_to(folder).parts
        ]
        if "tfevents" not in path.name:
            names.add("/".join(parts))
    return names


@case("kill", 4)
def killed(rng, w):
    """SIGKILL at a random time, perhaps several times, and again."""
    for _ in range(rng.choice([1, 1, 2, 4])):
        after = rng.uniform(0, 1.2 * w.template.seconds)
        outcome = w.train(kill_after=after)
        if outcome.status not in (0, -signal.SIGKILL):
            outcome.judge()
            raise Find(f"refused: {outcome.sentence}")
    _check_training(w, "same")
    check_same_files(w)
    return "accepted"


@case("kill", 4)
def damaged(rng, w):
    """A file of a run is empty, cut or gone, as after a power cut."""
    w.add_run()
    if rng.random() < 0.3:  # the fold has not ended
        for name in ("result.json", "predictions.csv"):
            (w / "results" / RUN / "fold_2" / name).unlink()
        for name in ("predictions.csv", "summary.json"):
            (w / "results" / RUN / name).unlink()
    files = [
        path
        for folder in ("results", "features")
        for path in sorted((w / folder).rglob("*"))
        if path.is_file() and path.name != "lock"
    ]
    spoilt = rng.sample(files, rng.choice([1, 1, 1, 2, 4]))
    for path in spoilt:
        data = path.read_bytes()
        change = rng.randrange(5)
        if change == 0:
            path.write_bytes(b"")
        elif change == 1:
            path.write_bytes(data[: rng.randrange(len(data) + 1)])
        elif change == 2:
            path.write_bytes(bytes(len(data)))
        elif change == 3:
            path.unlink()
        elif data:
            data = bytearray(data)
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path.write_bytes(data)
    names = [str(path.relative_to(w.path)) for path in spoilt]
    try:
        run = f"results/{RUN}"
        words = rng.choice(
            [
                None,
                None,
                None,
                ["report", run],
                ["energy", run],
                ["compare", run, run],
                ["classify", f"{run}/fold_1/model", "cafe"],
            ]
        )
        if words:
            return w.run(*words).judge()
        outcome = w.train()
        end = outcome.judge()
        # A flipped bit in a table of numbers cannot be seen.
        if end == "accepted" and change != 4:
            w.check_same()
        return end
    except Find as find:
        raise Find(f"{names}: {find}") from find


@case("kill")
def other_settings(rng, w):
    """The same folder with other settings is refused, also after a kill."""
    w.train(kill_after=rng.uniform(0, 1.2 * w.template.seconds))
    settings = w / "results" / RUN / "settings.json"
    before = settings.read_text() if settings.exists() else None
    outcome = w.train(rng.choice(["--lr=0.5", "--seed=1", "--crop=0.1"]))
    end = outcome.judge()
    seed = outcome.words[2] == "--seed=1"  # which is the default
    if seed and end == "refused":
        raise Find(f"the same settings are refused: {outcome.sentence}")
    if not seed and end == "accepted" and before is not None:
        again = w.train()
        if again.judge() == "accepted":
            raise Find("two settings in one folder")
    return end


# --- trees ------------------------------------------------------------------


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
    if end == "accepted" and n is not None:
        if f"of {n} utterances" not in outcome.out:
            raise Find(f"{change}: not {n} utterances: {outcome.out.strip()}")
    if must != "any" and end != must:
        raise Find(f"{change}: must be {must}: {outcome.sentence}")
    return end
