"""Tensors on disk, in append-only files from which an index can be rebuilt.

A record is a header of 64 bytes and the tensor's bytes, padded to a multiple
of 64. The header holds the record's key, type and shape, the checksum of the
tensor's bytes and its own checksum. By that a scan tells whole records from
what a killed process left behind.
"""

import errno
import math
import mmap
import os
import shutil
import struct
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.files import try_lock

ALIGNMENT = 64
MAGIC = b"\x89PTSSNN\n"
# Magic, key, type, number of dimensions, shape, checksum of the payload. The
# checksum of the header follows.
HEADER = struct.Struct("<8s16s8sI4II")
CHECKSUM = struct.Struct("<I")
MAX_DIMENSIONS = 4
DTYPES = {"float32": torch.float32, "float16": torch.float16}

SHARD_BYTES = 2**30  # a larger shard is full: the writer takes another one
SPARE_BYTES = 2**24  # to leave free on the disk: the index needs space as well
OPEN_MAPS = 64


class Record(NamedTuple):
    """The content of a header.

    Arguments
    ---------
    key : bytes
        16 bytes that identify the record.
    dtype : str
        A key of ``DTYPES``.
    shape : tuple of int
        The tensor's shape.
    checksum : int
        CRC-32 of the payload.
    """

    key: bytes
    dtype: str
    shape: tuple
    checksum: int

    @property
    def payload(self):
        """The tensor's size in bytes."""
        return math.prod(self.shape) * DTYPES[self.dtype].itemsize

    @property
    def size(self):
        """The record's size on disk in bytes."""
        return _aligned(ALIGNMENT + self.payload)


def pack(key, features):
    """Returns a record's bytes.

    Arguments
    ---------
    key : bytes
        16 bytes that identify the record.
    features : torch.Tensor
        float32 or float16, on the CPU, of one to four dimensions.

    Returns
    -------
    bytes

    Example
    -------
    >>> record = parse(pack(b"k" * 16, torch.zeros(3, 5)))
    >>> record.dtype, record.shape, record.payload, record.size
    ('float32', (3, 5), 60, 128)
    """
    payload = features.numpy().tobytes()
    shape = tuple(features.shape)
    header = HEADER.pack(
        MAGIC,
        key,
        str(features.dtype).removeprefix("torch.").encode(),
        len(shape),
        *shape,
        *(0,) * (MAX_DIMENSIONS - len(shape)),
        zlib.crc32(payload),
    )
    header += CHECKSUM.pack(zlib.crc32(header))
    data = header.ljust(ALIGNMENT, b"\0") + payload
    return data.ljust(_aligned(len(data)), b"\0")


def parse(header):
    """Reads a header.

    Arguments
    ---------
    header : bytes
        The first 64 bytes of a record.

    Returns
    -------
    Record or None
        None if they are not a header, or a damaged one.
    """
    if len(header) < ALIGNMENT or header[: len(MAGIC)] != MAGIC:
        return None
    (checksum,) = CHECKSUM.unpack_from(header, HEADER.size)
    if zlib.crc32(header[: HEADER.size]) != checksum:
        return None
    _, key, dtype, n_dimensions, *shape, checksum = HEADER.unpack_from(header)
    return Record(
        key,
        dtype.rstrip(b"\0").decode(),
        tuple(shape[:n_dimensions]),
        checksum,
    )


def scan(path, start=0):
    """Finds the whole records of a shard, without reading the tensors.

    Arguments
    ---------
    path : Path
        The shard.
    start : int
        The offset to begin at, in bytes.

    Yields
    ------
    tuple
        (offset, :class:`Record`).
    """
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        offset = _aligned(start)
        while offset + ALIGNMENT <= size:
            record = parse(os.pread(file.fileno(), ALIGNMENT, offset))
            if record is not None and (
                offset + ALIGNMENT + record.payload <= size
            ):
                yield offset, record
                offset += record.size
            else:  # damaged or cut off: continue at the next header
                offset = _next_magic(file, offset + ALIGNMENT, size)


def shard_path(folder, number):
    """Returns the file of a shard."""
    return Path(folder, f"{number:05d}.bin")


def shard_numbers(folder):
    """Returns the numbers of the shards in a folder, sorted."""
    return sorted(int(path.stem) for path in Path(folder).glob("[0-9]*.bin"))


class ShardWriter:
    """Appends records to one shard, and keeps other processes from it.

    It takes the first shard that is neither full nor locked, or makes a new
    one. The lock of the shard tells others that this process is alive.

    Arguments
    ---------
    folder : Path
        Holds the shards.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """

    def __init__(self, folder):
        self.folder = folder
        self.file = None
        try:
            for number in shard_numbers(folder):
                if self._take(number, os.O_RDWR):
                    return
            number = 0
            while not self._take(number, os.O_RDWR | os.O_CREAT | os.O_EXCL):
                number += 1
        except OSError as error:
            raise self._refusal(error) from error

    def _take(self, number, flags):
        path = shard_path(self.folder, number)
        try:
            file = os.fdopen(os.open(path, flags, 0o666), "r+b", buffering=0)
        except (FileExistsError, FileNotFoundError):
            return False
        is_mine = try_lock(file)
        end = os.fstat(file.fileno()).st_size  # final if it is locked
        if not is_mine or end >= SHARD_BYTES:
            file.close()
            return False
        self.file, self.number, self.end = file, number, end
        return True

    @property
    def is_full(self):
        """Whether the next record must go to another shard."""
        return self.end >= SHARD_BYTES

    def append(self, key, features):
        """Writes one record.

        Arguments
        ---------
        key : bytes
            16 bytes.
        features : torch.Tensor
            As in :func:`pack`.

        Returns
        -------
        int
            The record's offset, in bytes.

        Raises
        ------
        InputError
            If the disk is full; the shard is as it was before.
        """
        data = memoryview(pack(key, features))
        offset = position = _aligned(self.end)
        try:
            free = shutil.disk_usage(self.folder).free
            if free < len(data) + SPARE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            while data:
                written = os.pwrite(self.file.fileno(), data, position)
                data, position = data[written:], position + written
        except OSError as error:
            os.ftruncate(self.file.fileno(), self.end)
            raise self._refusal(error) from error
        self.end = position
        return offset

    def sync(self):
        """Waits until all records are on the disk."""
        try:
            os.fsync(self.file.fileno())
        except OSError as error:
            raise self._refusal(error) from error

    def close(self):
        """Unlocks the shard."""
        self.file.close()

    def _refusal(self, error):
        return InputError(
            f"{self.folder}: features cannot be written "
            f"({error.strerror}); free some space or choose another "
            "--features_folder; what was computed before is kept"
        )


class ShardReader:
    """Reads records from memory maps; at most ``OPEN_MAPS`` are open.

    Arguments
    ---------
    folder : Path
        Holds the shards.
    """

    def __init__(self, folder):
        self.folder = folder
        self._maps = OrderedDict()

    def __getstate__(self):
        return {"folder": self.folder, "_maps": OrderedDict()}

    def read(self, key, number, offset, verify):
        """Reads one tensor.

        Arguments
        ---------
        key : bytes
            The key that the record must have.
        number : int
            The shard's number.
        offset : int
            The record's offset, in bytes.
        verify : bool
            Whether to compare the tensor's bytes with their checksum.

        Returns
        -------
        torch.Tensor or None
            A float32 copy; None if the record is damaged.
        """
        header = self._view(number, offset, offset + ALIGNMENT)
        record = header and parse(bytes(header))
        if not record or record.key != key:
            return None
        begin = offset + ALIGNMENT
        payload = self._view(number, begin, begin + record.payload)
        if payload is None:
            return None
        if verify and zlib.crc32(payload) != record.checksum:
            return None
        stored = np.frombuffer(payload, record.dtype).reshape(record.shape)
        # A copy, because all reads share the map. Copying is cheap compared
        # with opening a file.
        return torch.from_numpy(stored.astype(np.float32))

    def _view(self, number, begin, end):
        """Returns bytes of a shard; None if it is shorter."""
        known = self._maps.get(number)
        if known is None or len(known) < end:  # it may have grown
            known = self._open(number)
            if known is None or len(known) < end:
                return None
        self._maps.move_to_end(number)
        return memoryview(known)[begin:end]

    def _open(self, number):
        try:
            with open(shard_path(self.folder, number), "rb") as file:
                known = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):  # missing or empty
            return None
        self._maps[number] = known
        if len(self._maps) > OPEN_MAPS:
            self._maps.popitem(last=False)
        return known


def _aligned(position):
    return -(-position // ALIGNMENT) * ALIGNMENT


def _next_magic(file, offset, size):
    """Returns the offset at which the next header may begin."""
    while offset < size:
        block = os.pread(file.fileno(), 2**20, offset)
        found = block.find(MAGIC)
        while found != -1 and found % ALIGNMENT:
            found = block.find(MAGIC, found + 1)
        if found != -1:
            return offset + found
        offset += 2**20
    return size
