"""Files after a kill, a power cut or a full disk, and what is said of them."""

import errno
import os
import sqlite3

import pytest
import torch

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils import files
from speechbrain_ptssnn.utils.files import (
    read_json,
    share_lock,
    system_errors,
    try_lock,
    write_text,
)


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []

    def fsync(descriptor):
        done.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    def replace(*paths):
        done.append("named")

    monkeypatch.setattr(files.os, "fsync", fsync)
    monkeypatch.setattr(files.os, "replace", replace)
    write_text(tmp_path / "a.json", "{}")
    assert done[0].startswith(str(tmp_path / "a.json."))
    assert done[1:] == ["named", str(tmp_path)]


def test_a_full_disk_leaves_the_old_file_and_names_it(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_text(path, "old")

    def fsync(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", fsync)
    with (
        pytest.raises(InputError, match=r"a\.json: No space left on device"),
        system_errors(),
    ):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("text", "state"), [("", "empty"), ("{", "damaged")])
def test_what_is_no_json_is_named(text, state, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"a\.json: is {state}"):
        read_json(path)
    path.write_bytes(b"\xff\0")
    with pytest.raises(InputError, match=r"a\.json: is damaged"):
        read_json(path)


def test_errors_of_the_system_are_sentences(tmp_path):
    (tmp_path / "file").touch()

    def folder_in_a_file():
        (tmp_path / "file" / "b").mkdir()

    def folder_over_a_file():
        (tmp_path / "file").mkdir(exist_ok=True)

    def long_name():
        (tmp_path / ("x" * 300)).mkdir()

    for function, message in (
        (folder_in_a_file, r"b: Not a directory; a file stands where a folder"),
        (folder_over_a_file, r"file: File exists; a file stands where"),
        (long_name, r"xxx: File name too long; choose a shorter one"),
    ):
        with pytest.raises(InputError, match=message), system_errors():
            function()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("PytorchStreamWriter failed writing file data/1"),
        RuntimeError("[enforce fail at inline_container.cc:778] . pos"),
        sqlite3.OperationalError("database or disk is full"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
)
def test_what_names_no_path_gets_one(error):
    with (
        pytest.raises(InputError, match=r"^here: .*; free some space"),
        system_errors("here"),
    ):
        raise error


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="a bug"), system_errors():
        raise RuntimeError("a bug")


def test_torch_cannot_write_to_a_full_disk(tmp_path):
    with pytest.raises(InputError, match="cannot be written"), system_errors():
        torch.save({"a": torch.zeros(2**20)}, "/dev/full")


def test_a_lock_becomes_a_shared_one(tmp_path):
    path = tmp_path / "lock"
    with open(path, "a") as one, open(path, "a") as other:
        assert try_lock(one)
        assert not try_lock(other, shared=True)
        share_lock(one)
        assert try_lock(other, shared=True)
        assert not try_lock(one)


def test_a_pipe_or_a_device_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    for name in ("pipe", "device"):
        with pytest.raises(OSError, match="not an ordinary file"):
            files.read_file(tmp_path / name)
