from pathlib import Path

import pytest

from speechbrain_ptssnn.utils.long_lists import named

NAMES = ["a.wav", "鹿 1.wav", "c\udce9.wav", "d.wav"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("n", [0, 1, 3])
def test_a_short_list_is_named_whole_and_needs_no_file(n, folder):
    assert named(NAMES[:n], "bad files") == "; ".join(NAMES[:n])
    assert not list(folder.iterdir())


def test_of_a_long_list_three_are_named_and_all_are_in_a_file(folder):
    text = named(iter(NAMES), "bad files")
    begin, path = text.split(", all listed in ")
    assert begin == "; ".join([*NAMES[:3], "and 1 more"])
    assert Path(path).parent == folder
    assert Path(path).name.startswith("bad_files_")
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    assert lines == ["a.wav", "鹿 1.wav", r"c\udce9.wav", "d.wav"]


def test_a_list_that_cannot_be_written_hides_no_error(folder, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(folder / "none"))
    assert named(NAMES, "bad files").endswith("; and 1 more")


def test_a_list_that_is_somewhere_already_needs_no_file(folder):
    text = named(NAMES, "bad files", "out.csv")
    assert text.endswith("; and 1 more, all listed in out.csv")
    assert not list(folder.iterdir())
