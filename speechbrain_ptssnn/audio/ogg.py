"""Checks the pages of an Ogg file (RFC 3533)."""

import struct
import zlib

MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def find_problem(data):
    """Says what is wrong with the pages of an Ogg file.

    Each page has a number and a checksum. Many messengers do not mark the last
    page, so a file that is cut between two pages cannot be told from a whole
    one.

    Arguments
    ---------
    data : bytes or mmap
        The whole file.

    Returns
    -------
    problem : str or None
        The end of a sentence that begins with the file's name.
    position : int
        The last granule position before the problem: so many samples are
        whole, at the codec's sample rate.

    Example
    -------
    >>> find_problem(b"OggS")
    ('is cut short within its page 1; copy it again', 0)
    """
    at, pages, numbers, position = 0, 0, {}, 0
    while data[at : at + 4] == b"OggS" or 0 < len(data) - at < 4:
        pages += 1
        head = data[at : at + 27]
        n_segments = head[26] if len(head) == 27 else 0
        size = 27 + n_segments + sum(data[at + 27 : at + 27 + n_segments])
        page = data[at : at + size]
        if len(page) < size:
            problem = f"is cut short within its page {pages}; copy it again"
            return problem, position
        granule, serial, number, checksum = struct.unpack("<6xqIII", page[:26])
        if _checksum(page) != checksum:
            return f"is damaged in its page {pages}; copy it again", position
        if number != numbers.get(serial, number - 1) + 1:
            problem = f"lacks the pages before its page {pages}; copy it again"
            return problem, position
        numbers[serial] = number
        if granule >= 0:  # -1: no packet ends on this page
            position = granule
        at += size
    if data.find(b"OggS", at) >= 0:
        return f"is damaged behind its page {pages}; copy it again", position
    return None, position


def _checksum(page):
    """CRC-32 with the bits in the other order than zlib's, beginning with 0;
    the checksum's own field counts as zero.
    """
    page = (page[:22] + bytes(4) + page[26:]).translate(MIRRORED)
    crc = zlib.crc32(page, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{crc:032b}"[::-1], 2)
