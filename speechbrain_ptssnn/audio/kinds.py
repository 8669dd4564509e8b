"""Says what a file is, by its first bytes, if it is no audio that we read."""

import codecs
import re
import shlex
from functools import cache
from pathlib import Path

HEAD = 512  # bytes of a file that are looked at

# Audio and video that libsndfile does not read: place, bytes, name.
CONVERTIBLE = (
    (4, rb"ftyp3g", "3GP audio or video"),
    (4, rb"ftyp", "MPEG-4 audio or video (m4a, mp4, mov)"),
    (4, rb"(moov|mdat|wide|free|skip)", "QuickTime audio or video"),
    (0, rb"\x1a\x45\xdf\xa3", "WebM or Matroska audio or video"),
    (0, rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media audio (wma)"),
    (0, rb"#!AMR", "AMR audio of a telephone"),
    (0, rb"\x02?#!SILK", "SILK audio of a messenger"),
    (0, rb"\xff[\xf0\xf1\xf8\xf9]", "AAC audio"),
    (0, rb"ADIF", "AAC audio"),
    (0, rb"\x0b\x77", "AC-3 audio"),
    (0, rb"wvpk", "WavPack audio"),
    (0, rb"MAC ", "Monkey's Audio"),
    (0, rb"(MPCK|MP\+)", "Musepack audio"),
    (0, rb"TTA1", "True Audio"),
    (0, rb"(DSD |FRM8)", "DSD audio"),
    (0, rb"(\.RMF|\.ra\xfd)", "RealAudio"),
    (0, rb"FLV", "Flash video"),
    (0, rb"RIFF....AVI ", "AVI video"),
    (0, rb"\x00\x00\x01\xba", "MPEG video"),
    (28, rb"Speex   ", "Speex audio"),
)
# What holds no audio of its own: place, bytes, name, what to do.
OTHERS = (
    (
        0,
        rb"\x00\x05\x16[\x00\x07]",
        "a companion file of macOS, without audio",
        "remove the files whose names begin with '._'",
    ),
    (
        0,
        rb"version https://git-lfs",
        "a git-lfs pointer, not the audio itself",
        "get the audio with 'git lfs pull' where it was cloned",
    ),
    (
        0,
        rb"(\.\./)*(\.git)?/?annex/objects",
        "a git-annex pointer, not the audio itself",
        "get the audio with 'git annex get' where it was cloned",
    ),
    (
        0,
        rb"\s*(<!--.*-->\s*)?<(!doctype\s+html|html|head|body)",
        "a web page, as a failed download leaves",
        "download the audio again",
    ),
    (0, rb"\s*<", "an XML file", "give the audio file itself"),
    (0, rb"PK(\x03\x04|\x05\x06)", "a ZIP archive", "unpack it first"),
    (0, rb"\x1f\x8b", "a gzip archive", "unpack it first"),
    (0, rb"BZh[1-9]", "a bzip2 archive", "unpack it first"),
    (0, rb"\xfd7zXZ", "an xz archive", "unpack it first"),
    (0, rb"7z\xbc\xaf", "a 7z archive", "unpack it first"),
    (0, rb"Rar!", "a RAR archive", "unpack it first"),
    (257, rb"ustar", "a tar archive", "unpack it first"),
    (0, rb"%PDF", "a PDF", "give the audio file itself"),
    (
        0,
        rb"(\x89PNG|\xff\xd8\xff|GIF8|BM....\0\0\0\0)",
        "a picture",
        "give the audio file itself",
    ),
    (0, rb"MThd", "MIDI: notes, without sound", "record it as audio first"),
    (
        0,
        rb"\x93NUMPY",
        "a NumPy array",
        "save it with soundfile.write",
    ),
    (0, rb"\x89HDF", "an HDF5 file", "save its audio with soundfile.write"),
    (0, rb"SQLite format 3", "a database", "give the audio file itself"),
    (0, rb"\x7fELF", "a program", "give the audio file itself"),
    (
        0,
        rb"(ajkg|NIST_1A.*shorten)",
        "Shorten audio",
        "convert it with the program sph2pipe or shorten",
    ),
)

# Audio, even if only letters of it are left, or its header is text.
AUDIO = (
    *(b"RIFF", b"RIFX", b"RF64", b"FORM", b"OggS", b"fLaC", b"caff"),
    *(b".snd", b"ID3", b"NIST_1A", b"PVF1"),
)


def describe(path, head):
    """Says what a file is and what to do, if it is no audio that we read.

    Arguments
    ---------
    path : str or Path
        The file, for the command that converts it.
    head : bytes
        Its first ``HEAD`` bytes.

    Returns
    -------
    str or None
        The end of a sentence that begins with the file's name. None if the
        file may be audio.

    Example
    -------
    >>> describe("a.m4a", bytes(4) + b"ftypM4A ")
    'is MPEG-4 audio or video (m4a, mp4, mov), which is not read here; ...'
    >>> describe("a.wav", b"<html>")
    'is a web page, as a failed download leaves; download the audio again'
    >>> describe("a.wav", b"RIFF....WAVE")
    """
    if not head:
        return "is empty (0 bytes); copy it again"
    if not any(head):
        return (
            f"begins with {len(head)} zero bytes, as an interrupted copy or a "
            "full disk leaves; copy it again"
        )
    for at, pattern, name in CONVERTIBLE:
        if _begins(head[at:], pattern):
            return (
                f"is {name}, which is not read here; convert it: {to_wav(path)}"
            )
    for at, pattern, name, advice in OTHERS:
        if _begins(head[at:], pattern):
            return f"is {name}; {advice}"
    text = _text(head)
    if text is not None:
        return (
            f"is a text file, beginning with {text!r}; give the audio file "
            "itself"
        )
    return None


def to_wav(path):
    """Returns the command that converts a file to WAV beside it.

    Example
    -------
    >>> to_wav("tape 2.m4a"), to_wav("a.wav")
    ("ffmpeg -i 'tape 2.m4a' 'tape 2.wav'", 'ffmpeg -i a.wav a_new.wav')
    """
    path = Path(path)
    target = path.with_suffix(".wav")
    if target == path:
        target = path.with_name(f"{path.stem}_new.wav")
    return f"ffmpeg -i {shlex.quote(str(path))} {shlex.quote(str(target))}"


def _begins(head, pattern):
    return _compiled(pattern).match(head)


@cache  # some forty patterns a file, of 100,000 files
def _compiled(pattern):
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


def _text(head):
    """The first words of a text; None if these are not the bytes of one."""
    if head.startswith(AUDIO):
        return None
    encoding = "utf-8-sig"
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    try:  # the last character may be cut
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return None
    if all(c.isprintable() or c.isspace() for c in text):
        return " ".join(text.split())[:30]
    return None
