"""Checkpoints after a kill, a power cut or a full disk."""

import json

import pytest
import torch

from speechbrain_ptssnn.training import checkpoints
from speechbrain_ptssnn.training.checkpoints import CompleteCheckpointer


@pytest.fixture
def checkpointer(tmp_path):
    layer = torch.nn.Linear(1, 1)
    return CompleteCheckpointer(tmp_path, {"layer": layer})


@pytest.mark.parametrize("name", ["complete.json", "layer.ckpt", "CKPT.yaml"])
def test_a_checkpoint_with_an_empty_file_does_not_count(name, checkpointer):
    first = checkpointer.save_checkpoint(meta={"epoch": 1})
    second = checkpointer.save_checkpoint(meta={"epoch": 2})
    (second.path / name).write_bytes(b"")
    assert checkpointer.find_checkpoint().path == first.path


def test_the_space_of_an_incomplete_checkpoint_is_freed(checkpointer, tmp_path):
    killed = checkpointer.save_checkpoint().path
    (killed / "complete.json").unlink()
    early = tmp_path / "CKPT+2026-01-01+00-00-00+00"  # before its meta file
    early.mkdir()
    done = checkpointer.save_checkpoint().path
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [done]


def test_the_mark_is_the_last_on_the_disk(checkpointer, monkeypatch):
    order = []
    monkeypatch.setattr(
        checkpoints, "sync_folder", lambda path: order.append(("synced", path))
    )
    monkeypatch.setattr(
        checkpoints,
        "write_text",
        lambda path, text: order.append((json.loads(text), path)),
    )
    path = checkpointer.save_checkpoint().path
    (synced, (sums, mark)) = order
    assert synced == ("synced", path)
    assert ([*sums], mark) == (
        ["CKPT.yaml", "layer.ckpt"],
        path / "complete.json",
    )


def test_a_checkpoint_with_a_changed_byte_is_none(tmp_path):
    layer = torch.nn.Linear(1, 1)
    checkpointer = CompleteCheckpointer(tmp_path, {"layer": layer})
    path = checkpointer.save_checkpoint().path / "layer.ckpt"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert not checkpointer.list_checkpoints()
