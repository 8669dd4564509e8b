"""One process's part in filling a feature store together with others."""

from enum import Enum

from speechbrain_ptssnn.features.shards import ShardWriter


class State(Enum):
    """What is to be done about a key."""

    MINE = "this process computes it"
    OTHERS = "another one is computing it"
    DONE = "its features are there"


class Filler:
    """Claims keys, keeps what is computed for them, and lists it.

    A claim holds as long as its owner has its shard locked, so what a killed
    process claimed is free at once, on other machines too.

    Arguments
    ---------
    index : Index
        Being written (:meth:`Index.writing`).

    Example
    -------
    >>> from speechbrain_ptssnn.features.index import Index
    >>> index = Index(getfixture("tmp_path"))
    >>> with index.writing(), Filler(index) as one, Filler(index) as two:
    ...     print(one.claim([b"1" * 16]), two.claim([b"1" * 16, b"2" * 16]))
    ...     one.append(b"1" * 16, torch.zeros(50, 160))
    ...     one.flush()
    ...     print(two.claim([b"1" * 16]))
    [<State.MINE: ...] [<State.OTHERS: ...>, <State.MINE: ...]
    [<State.DONE: ...]
    """

    def __init__(self, index):
        self._index = index
        self._writer = None
        self._rows = []

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.flush()
        finally:
            if self._writer is not None:
                self._writer.close()

    def free_dead_claims(self):
        """Frees what processes had claimed that are no more."""
        with self._index.transaction():
            self._index.free_dead_claims()

    def claim(self, keys):
        """Says of each key what to do, and lists what was appended before.

        Arguments
        ---------
        keys : list of bytes
            A batch.

        Returns
        -------
        list of State
        """
        if self._writer is not None and self._writer.is_full:
            self.flush()
            self._writer.close()
            self._writer = None
        self._open()
        self._writer.sync()
        with self._index.transaction():
            self._list()
            return [self._claim(key) for key in keys]

    def append(self, key, features):
        """Writes features; a kill from now on does not lose them.

        Arguments
        ---------
        key : bytes
            What they are found by.
        features : torch.Tensor
            [..., time, size], float32 or float16.
        """
        self._open()
        offset = self._writer.append(key, features)
        self._rows.append((key, offset, features.shape[-2]))

    def flush(self):
        """Lists what was appended, so that others find it."""
        if self._writer is not None:
            self._writer.sync()
            with self._index.transaction():
                self._list()

    def _open(self):
        if self._writer is None:
            self._writer = ShardWriter(self._index.folder)
            with self._index.transaction():
                # What the shard's last owner was killed before listing.
                self._index.list_shard(self._writer.number)

    def _list(self):
        self._index.add(self._writer.number, self._writer.end, self._rows)
        self._rows = []

    def _claim(self, key):
        if self._index.find(key):
            return State.DONE
        if self._index.claim(key, self._writer.number):
            return State.MINE
        return State.OTHERS
