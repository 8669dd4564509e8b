"""One process's part when several fill a feature store together."""

from enum import Enum

from speechbrain_ptssnn.features.shards import ShardWriter


class State(Enum):
    """Who computes the features of a key."""

    MINE = "this process"
    OTHERS = "another process, now"
    DONE = "nobody: they are stored"


class Filler:
    """Claims keys, stores their features, and lists them in the index.

    A claim is valid while its owner holds the lock of its shard. The claims
    of a killed process are therefore free at once, on other machines too.

    Arguments
    ---------
    index : Index
        Must be open for writing (:meth:`Index.writing`).

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
        """Frees the claims of processes that have ended."""
        with self._index.transaction():
            self._index.free_dead_claims()

    def claim(self, keys):
        """Claims keys, and lists the records that were appended before.

        Arguments
        ---------
        keys : list of bytes
            The keys to compute next.

        Returns
        -------
        list of State
            One for each key.
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
        """Writes features; if the process is killed later, they are kept.

        Arguments
        ---------
        key : bytes
            The key to find them by.
        features : torch.Tensor
            [..., time, size], float32 or float16.
        """
        self._open()
        offset = self._writer.append(key, features)
        self._rows.append((key, offset, features.shape[-2]))

    def flush(self):
        """Lists the appended records, so that other processes find them."""
        if self._writer is not None:
            self._writer.sync()
            with self._index.transaction():
                self._list()

    def _open(self):
        if self._writer is None:
            self._writer = ShardWriter(self._index.folder)
            with self._index.transaction():
                # The shard's last owner may have been killed before listing.
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
