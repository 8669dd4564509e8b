"""Counts the frames of an MP3 file, which its header need not know."""

import struct
from dataclasses import dataclass

RATES = (44100, 48000, 32000)  # of MPEG 1; MPEG 2 has a half, 2.5 a quarter
# kbit/s by (is MPEG 1, layer), for the indices 1 to 14
KBITS = {
    (True, 1): tuple(range(32, 449, 32)),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (
        32,
        48,
        56,
        64,
        80,
        96,
        112,
        128,
        144,
        160,
        176,
        192,
        224,
        256,
    ),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
KBITS[False, 3] = KBITS[False, 2]
TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3", b"3DI")
JUNK = 4096  # bytes that may stand before or after the frames
SEARCHED = 65536  # bytes in which the first frame is looked for


@dataclass(frozen=True)
class Frames:
    """The frames of a file.

    Arguments
    ---------
    count : int
        How many there are, without the one that holds the header.
    samples : int
        Samples of a frame.
    promised : int or None
        How many there are according to the header, if it has one.
    problem : str or None
        What is wrong with the file.
    """

    count: int
    samples: int
    promised: int | None
    problem: str | None


def count_frames(data):
    """Counts the frames.

    Arguments
    ---------
    data : bytes or mmap
        The whole file.

    Returns
    -------
    Frames or None
        None if the frames cannot be followed, as in the free format.

    Example
    -------
    >>> frame = bytes.fromhex("fffb1000") + bytes(100)  # 32 kbit/s, 44.1 kHz
    >>> count_frames(3 * frame)
    Frames(count=3, samples=1152, promised=None, problem=None)
    >>> count_frames((3 * frame)[:-1]).problem
    'is cut short within its last MP3 frame; copy it again'
    """
    first = _first_frame(data)
    if first is None:
        return None
    key, length, samples = _frame(data, first)
    promised = _promised(data[first : first + length])
    count, position, problem = 0, first, None
    while True:
        frame = _frame(data, position)
        if frame is None or frame[0] != key:
            again = _find_frame(data, position, len(data), key)
            if again is not None and _is_tag(data, position):
                position = again  # a second file was joined to the first
                continue
            problem = _tail_problem(data, position, again)
            break
        if position + frame[1] > len(data):
            problem = "is cut short within its last MP3 frame; copy it again"
            break
        count += 1
        position += frame[1]
    if promised is not None:
        count -= 1
        if count < promised - 1:  # some encoders count the header too
            problem = (
                f"is cut short or damaged, with {count} of {promised} MP3 "
                "frames in a row; copy it again"
            )
        elif count > 1.02 * promised + 38:  # 1 s, for encoders that guess
            problem = (
                f"holds {count} MP3 frames, but only {promised} according to "
                "its header, as joined files do; write it anew with ffmpeg"
            )
    return Frames(count, samples, promised, problem)


def _frame(data, at):
    """Version, layer and rate of the frame at a position, its length in bytes
    and in samples; None if there is none.
    """
    if len(data) < at + 4:
        return None
    head = int.from_bytes(data[at : at + 4], "big")
    version, layer = head >> 19 & 3, 4 - (head >> 17 & 3)
    kbits, rate, padding = head >> 12 & 15, head >> 10 & 3, head >> 9 & 1
    if head >> 21 != 0x7FF or version == 1 or layer == 4:
        return None
    if kbits in (0, 15) or rate == 3:
        return None
    bits = KBITS[version == 3, layer][kbits - 1] * 1000
    hertz = RATES[rate] >> (0 if version == 3 else 1 if version == 2 else 2)
    if layer == 1:
        length, samples = (12 * bits // hertz + padding) * 4, 384
    else:
        samples = 576 if layer == 3 and version != 3 else 1152
        length = samples // 8 * bits // hertz + padding
    return head & 0xFFFE0C00, length, samples


def _first_frame(data):
    at = 0
    while data[at : at + 3] == b"ID3" and len(data) >= at + 10:
        size = 0
        for byte in data[at + 6 : at + 10]:
            size = size << 7 | byte & 127
        at += 10 + size + (10 if data[at + 5] & 16 else 0)
    return _find_frame(data, at, SEARCHED)


def _find_frame(data, at, distance, key=None):
    """Finds two frames in a row, or one that ends the file."""
    start = at - 1
    while (start := data.find(b"\xff", start + 1, at + distance)) >= 0:
        frame = _frame(data, start)
        if frame is None or key not in (None, frame[0]):
            continue
        after = start + frame[1]
        follower = _frame(data, after)
        if after == len(data) or (follower and follower[0] == frame[0]):
            return start
    return None


def _promised(frame):
    """The number of frames according to a Xing, Info or VBRI header."""
    for name in (b"Xing", b"Info"):
        at = frame.find(name, 4, 64)
        if at > 0 and len(frame) >= at + 12 and frame[at + 7] & 1:
            return struct.unpack_from(">I", frame, at + 8)[0] or None
    if frame[36:40] == b"VBRI" and len(frame) >= 54:
        return struct.unpack_from(">I", frame, 50)[0] or None
    return None


def _is_tag(data, at):
    return data[at : at + max(map(len, TAGS))].startswith(TAGS)


def _tail_problem(data, at, again):
    """Says what is wrong with the bytes behind a row of frames."""
    length = len(data) - at
    if length < 4 and data[at : at + 1] == b"\xff":
        return "is cut short within its last MP3 frame; copy it again"
    if again is not None:
        return (
            f"is damaged: no MP3 frame begins at byte {at}, but others do "
            f"from byte {again} on; copy it again"
        )
    if length > JUNK and not _is_tag(data, at):
        return (
            f"is damaged: its last {length} bytes are no MP3 frames; copy "
            "it again"
        )
    return None
