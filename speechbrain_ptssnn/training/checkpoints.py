"""Checkpoints that a kill at any moment cannot spoil."""

import json

from speechbrain.utils.checkpoints import Checkpointer
from speechbrain.utils.distributed import ddp_barrier, if_main_process

from speechbrain_ptssnn.utils.files import write_text

MARK = "complete.json"


class CompleteCheckpointer(Checkpointer):
    r"""SpeechBrain's ``Checkpointer``, blind to checkpoints cut short.

    SpeechBrain writes the meta file of a checkpoint before its parameters
    and takes every folder with a meta file for a checkpoint. Here the last
    file to appear lists the others; a folder counts while all of them are
    there, so that a save or a deletion that was killed half-way leaves nothing
    that could be loaded.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> layer = torch.nn.Linear(1, 1)
    >>> checkpointer = CompleteCheckpointer(folder, {"layer": layer})
    >>> checkpoint = checkpointer.save_checkpoint()
    >>> len(checkpointer.list_checkpoints())
    1
    >>> (checkpoint.path / "layer.ckpt").unlink()
    >>> len(checkpointer.list_checkpoints())
    0
    """

    def save_checkpoint(self, *args, **kwargs):
        """As the parent's, then marks the checkpoint as complete."""
        before = set(super()._list_checkpoint_dirs())
        super().save_checkpoint(*args, **kwargs)
        if if_main_process():
            (path,) = set(super()._list_checkpoint_dirs()) - before
            names = sorted(file.name for file in path.iterdir())
            write_text(path / MARK, json.dumps(names))
        ddp_barrier()
        if not if_main_process():
            return None
        return self._construct_checkpoint_objects([path])[0]

    def _list_checkpoint_dirs(self):
        return [
            path for path in super()._list_checkpoint_dirs() if _whole(path)
        ]


def _whole(path):
    mark = path / MARK
    return mark.is_file() and all(
        (path / name).is_file() for name in json.loads(mark.read_text())
    )
