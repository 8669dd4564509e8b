"""Compares the length that a file's header gives with the file's size.

libsndfile reads most truncated files without an error, as far as they go.
"""

import os
import re
import struct

# A program that writes to a pipe does not know the size of the audio. It puts
# this size, or a larger one, into the header.
STREAMED = 0x7F000000
STREAMED_WAV = 0x7FFF0000
UNKNOWN = 0xFFFFFFFF
W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
MAT4_BYTES = (8, 4, 4, 2, 2, 1)  # of a value, by the tens digit of the type


def find_cut(path):
    """Says how much audio a file lacks.

    PAF, PVF, IRCAM and headerless files hold no length, so nothing can be
    said about them. MP3 and Ogg have modules of their own; in FLAC libsndfile
    notices.

    Arguments
    ---------
    path : str or Path
        The file.

    Returns
    -------
    str or None
        The end of a sentence that begins with the file's name. None if the
        file holds what its header promises, or if the header gives no length.

    Example
    -------
    >>> wav = getfixture("tmp_path") / "a.wav"
    >>> import soundfile
    >>> soundfile.write(wav, [0.1] * 1000, 16000)
    >>> find_cut(wav)
    >>> _ = wav.write_bytes(wav.read_bytes()[:1044])
    >>> find_cut(wav)
    'is cut short, with 1000 of 2000 bytes of audio; copy the file again'
    """
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        magic = file.read(16)
        find = next(
            (
                find
                for pattern, find in FINDERS.items()
                if re.match(pattern, magic, re.DOTALL)
            ),
            None,
        )
        try:
            found = find and find(file, magic)
        except (struct.error, ValueError, IndexError):  # libsndfile refuses it
            return None
        if found is None:
            return None
        start, promised = found
        present = max(0, size - start)
        if magic == W64_RIFF:
            follows = not _is_w64_chunk(file, start + promised)
        else:
            follows = re.match(TO_THE_END, magic, re.DOTALL) and (
                present > promised + promised % 2
            )
        if follows:  # libsndfile takes it for audio
            return (
                f"has {promised} bytes of audio according to its header, but "
                f"{present - promised} other bytes follow; copy the file again"
            )
        if present < promised:
            return (
                f"is cut short, with {present} of {promised} bytes of audio; "
                "copy the file again"
            )
        return _unexplained(file, start, promised, size)


def _unexplained(file, start, promised, size):
    # A recording that was interrupted may leave a size that was right when it
    # had just begun. Other chunks may follow, but no unnamed bytes.
    file.seek(start + promised + promised % 2)
    name = file.read(4)
    rest = size - start - promised
    if rest <= max(promised, 4096) or name.isascii():
        return None
    return (
        f"has {promised} bytes of audio according to its header, but "
        f"{rest} bytes follow that the header does not explain; repair it "
        "with ffmpeg if its recording was interrupted, or copy it again"
    )


def _chunks(file, layout, align=1, with_header=False):
    """Yields name, start and size of each chunk from where the file stands."""
    n = struct.calcsize(layout)
    while len(header := file.read(n)) == n:
        name, size = struct.unpack(layout, header)
        if with_header:
            size -= n
        if size < 0:
            return
        start = file.tell()
        yield name, start, size
        file.seek(start + size + -size % align)


def _riff(file, magic):
    order = ">" if magic[:4] == b"RIFX" else "<"
    file.seek(12)
    long_size = 0
    for name, start, size in _chunks(file, f"{order}4sI", 2):
        if name == b"ds64":
            long_size = struct.unpack("<8xQ", file.read(16))[0]
        if name == b"data":
            if magic[:4] in (b"RF64", b"BW64") and size == UNKNOWN:
                return (start, long_size) if long_size else None
            return None if size >= STREAMED_WAV else (start, size)
    return None


def _form(file, magic):
    file.seek(12)
    for name, start, size in _chunks(file, ">4sI", 2):
        if name == b"SSND" and size < STREAMED:
            offset = struct.unpack(">I", file.read(4))[0]
            return start + 8 + offset, max(0, size - 8 - offset)
        if name == b"BODY" and size < STREAMED:
            return start, size
    return None


def _au(file, magic):
    order = ">" if magic[:4] == b".snd" else "<"
    start, size = struct.unpack(f"{order}II", magic[4:12])
    return None if size >= STREAMED else (start, size)


def _w64(file, magic):
    file.seek(40)
    for name, start, size in _chunks(file, "<16sq", 8, with_header=True):
        if name == W64_DATA:
            return start, size
    return None


def _is_w64_chunk(file, end):
    """Whether the file ends where the audio does, or with another chunk."""
    file.seek(end + -end % 8)
    rest = file.read(16)
    return not rest or rest[4:] == W64_DATA[4:]


def _caf(file, magic):
    file.seek(8)
    for name, start, size in _chunks(file, ">4sq"):
        if name == b"data":
            return start + 4, size - 4  # after the number of edits
    return None


def _nist(file, magic):
    start = int(magic[8:16])
    file.seek(0)
    fields = dict(re.findall(rb"(\w+) -\w+ (\S+)", file.read(start)))
    size = 1
    for name in (b"sample_count", b"channel_count", b"sample_n_bytes"):
        size *= int(fields.get(name, b"1"))
    return (start, size) if b"sample_count" in fields else None


def _voc(file, magic):
    file.seek(20)
    file.seek(struct.unpack("<H", file.read(2))[0])
    while len(head := file.read(4)) == 4 and head[0]:
        start, size = file.tell(), int.from_bytes(head[1:], "little")
        if head[0] in (1, 2, 9):
            return start, size
        file.seek(start + size)
    return None


def _avr(file, magic):
    file.seek(0)
    stereo, bits, frames = struct.unpack(">12xHH10xI", file.read(30))
    return 128, frames * (2 if stereo else 1) * bits // 8


def _mpc(file, magic):
    file.seek(21)
    stereo, frames = struct.unpack("<B4xI", file.read(9))
    return 42, frames * (2 if stereo else 1) * 2


def _wve(file, magic):
    file.seek(18)
    return 32, struct.unpack(">I", file.read(4))[0]


def _mat4(file, magic):
    file.seek(0)
    order = "<" if magic[4] else ">"
    found = None
    while len(head := file.read(20)) == 20:
        kind, rows, columns, _, name = struct.unpack(f"{order}5I", head)
        start = file.tell() + name
        found = start, rows * columns * MAT4_BYTES[kind % 100 // 10]
        file.seek(sum(found))
    return found


def _mat5(file, magic):
    file.seek(126)
    order = "<" if file.read(2) == b"IM" else ">"
    found = None
    for _, start, size in _chunks(file, f"{order}4sI"):
        found = start, size - 8  # libsndfile writes 8 too many
    return found


def _sds(file, magic):
    bits, *length = magic[6], *magic[10:13]
    samples = sum(part << 7 * k for k, part in enumerate(length))
    in_block = 120 // ((bits + 6) // 7)
    return 21, -(-samples // in_block) * 127


# Of these libsndfile reads all bytes, whatever the header says.
TO_THE_END = rb"FORM....(8SVX|16SV)|NIST_1A|2BIT|\x01\x04|ALawSoundFile"
# By the first bytes of the file.
FINDERS = {
    rb"(RIFF|RIFX|RF64|BW64)....WAVE": _riff,
    rb"FORM....(AIFF|AIFC|8SVX|16SV)": _form,
    rb"(\.snd|dns\.)": _au,
    re.escape(W64_RIFF): _w64,
    rb"caff": _caf,
    rb"NIST_1A": _nist,
    rb"Creative Voice F": _voc,
    rb"2BIT": _avr,
    rb"\x01\x04": _mpc,
    rb"ALawSoundFile": _wve,
    rb"(\0\0\0\0\x01\0\0\0\x01\0\0\0|\0\0\x03\xe8\0\0\0\x01)": _mat4,
    rb"MATLAB 5.0": _mat5,
    rb"\xf0\x7e.\x01": _sds,
}
