"""Checkpoints that a kill at any moment cannot spoil."""

import json
import shutil
import zlib

from speechbrain.utils.checkpoints import CKPT_PREFIX, Checkpointer
from speechbrain.utils.distributed import ddp_barrier, if_main_process

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.files import read_json, sync_folder, write_text

MARK = "complete.json"


class CompleteCheckpointer(Checkpointer):
    r"""SpeechBrain's ``Checkpointer``, blind to checkpoints cut short.

    SpeechBrain writes the meta file of a checkpoint before its parameters
    and takes every folder with a meta file for a checkpoint. Here the last
    file to appear lists the others; a folder counts while all of them are
    there and unchanged, so that a save or a deletion that was killed half-way
    leaves nothing that could be loaded.

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
        """As the parent's, then marks the checkpoint as complete.

        Frees the space of incomplete checkpoints first: a kill or a full disk
        may have left them.
        """
        if if_main_process():
            for path in self.checkpoints_dir.glob(f"{CKPT_PREFIX}*"):
                if path.is_dir() and not _whole(path):
                    shutil.rmtree(path)
        before = set(super()._list_checkpoint_dirs())
        super().save_checkpoint(*args, **kwargs)
        if if_main_process():
            (path,) = set(super()._list_checkpoint_dirs()) - before
            sums = {file.name: _sum(file) for file in sorted(path.iterdir())}
            sync_folder(path)  # the mark is the last to be on the disk
            write_text(path / MARK, json.dumps(sums))
        ddp_barrier()
        if not if_main_process():
            return None
        return self._construct_checkpoint_objects([path])[0]

    def _list_checkpoint_dirs(self):
        return [
            path for path in super()._list_checkpoint_dirs() if _whole(path)
        ]


def _whole(path):
    """Whether all files hold what was saved; a power cut may have left empty
    ones. Old marks are lists of names, without checksums.
    """
    try:
        saved = read_json(path / MARK)
        if isinstance(saved, dict):
            return all(_sum(path / name) == saved[name] for name in saved)
        return all((path / name).stat().st_size for name in saved)
    except (OSError, InputError):
        return False


def _sum(path):
    return zlib.crc32(path.read_bytes())
