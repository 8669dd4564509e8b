"""The CSV that grows row by row: torn, foreign, full disks, odd names."""

import csv
import errno
import json
import os

import pytest

from speechbrain_ptssnn.deploy.answer_table import AnswerTable
from speechbrain_ptssnn.errors import InputError

LABELS = ["calm", "mad"]
SETTINGS = {"model_sha256": "1f", "unsure": None, "labels": LABELS}
ODD = [
    *('a, "b".wav', "new\nline.wav", "car\rriage.wav", "both\r\n.wav"),
    *("byte\udcff.wav", "鹿.wav", " .wav", "'.wav", "tab\t.wav", "\u2028.wav"),
]


@pytest.fixture
def open_table(tmp_path):
    def table(labels=LABELS, **settings):
        return AnswerTable(
            tmp_path / "out.csv", labels, {**SETTINGS, **settings}, "my/model"
        )

    return table


def fill(table, names, label="calm"):
    for k, name in enumerate(names):
        table.append(name, label, {"calm": 0.75, "mad": 0.25}, size=k, time=5)


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_odd_names_are_read_back(open_table, tmp_path):
    with open_table() as table:
        fill(table, ODD)
        table.finish({"x\udcfe": "why"})
    rows = rows_of(tmp_path / "out.csv")
    shown = [name.replace("\udcff", "\\udcff") for name in ODD]
    assert [row["path"] for row in rows] == sorted(shown)
    assert {row["p_calm"] for row in rows} == {"0.750000"}
    about = json.loads((tmp_path / "out.csv.json").read_text())
    assert about["skipped"] == {"x\udcfe": "why"}
    assert {each.name for each in tmp_path.iterdir()} == {
        *("out.csv", "out.csv.json"),
    }
    with open_table() as table:
        assert all(table.has(name, k, 5) for k, name in enumerate(ODD))
        assert not table.has(ODD[0], 1, 5)  # another size
        assert not table.has(ODD[0], 0, 6)  # another time
        assert not table.has("other.wav", 0, 5)


@pytest.mark.parametrize("last", ["b.wav", *ODD[:4], ODD[4]])
def test_a_row_that_was_cut_is_left_out(last, open_table):
    with open_table() as table:
        fill(table, ["a.wav"])
        before = table.part.read_bytes()
        fill(table, [last])
        whole = table.part.read_bytes()
    for end in range(len(before), len(whole), 3):
        table.part.write_bytes(whole[:end])
        with open_table() as table:
            assert [*table.rows] == ["a.wav"]
            assert table.part.read_bytes() == before
            fill(table, [last])
            assert table.part.read_bytes() == whole
    for end in (0, 7, before.index(b"\n")):  # in the header
        table.part.write_bytes(whole[:end])
        with open_table() as table:
            assert not table.rows
            fill(table, ["a.wav"])
            assert table.part.read_bytes() == before


def test_other_settings_are_named(open_table, tmp_path):
    with open_table(unsure=0.5) as table:
        fill(table, "a")
    for settings, message in (
        ({"unsure": 0.6}, "by my/model: unsure was 0.5 and is 0.6 now; give"),
        ({"unsure": 0.5, "model_sha256": "2e"}, 'was "1f" and is "2e" now'),
    ):
        with (
            pytest.raises(InputError, match=message),
            open_table(**settings),
        ):
            pass
    with open_table(unsure=0.5) as table:
        assert table.has("a", 0, 5)
        table.finish({})
    with pytest.raises(InputError, match="unsure was"), open_table():
        pass
    assert not table.part.exists()
    table.path.unlink()  # which is how one starts anew
    with open_table() as table:
        assert not table.rows


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("out.csv", b"id,label\n1,2\n"),
        ("out.csv", b"path,label,p_calm,p_mad,warning,error,bytes,mod"),
        ("out.csv", b"\xff\xfep\0a\0\n"),
        ("out.csv.json", b"[]"),
        ("out.csv.json", b"{}"),
    ],
)
def test_a_file_of_another_program_is_not_touched(
    name, content, open_table, tmp_path
):
    with open_table() as table:
        fill(table, "ab")
        table.finish({})
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: is not as"), open_table():
        pass
    assert path.read_bytes() == content
    table.about.unlink()
    if name == "out.csv":
        with (
            pytest.raises(InputError, match=r"but not out\.csv\.json"),
            open_table(),
        ):
            pass
    assert not table.part.exists()


def test_a_changed_row_is_refused(open_table):
    with open_table() as table:
        fill(table, "ab")
        table.finish({})
    text = table.path.read_text()
    table.path.write_text(text.replace("b,calm,", "b,"))
    with pytest.raises(InputError, match="is not as"), open_table():
        pass


def test_one_process_writes(open_table):
    with open_table() as table:
        fill(table, "a")
        with (
            pytest.raises(InputError, match="another process is writing it"),
            open_table(),
        ):
            pass
        table.finish({})
    with open_table() as table:
        assert table.has("a", 0, 5)


def test_a_full_disk_is_named_and_loses_no_row(open_table, monkeypatch):
    with open_table() as table:
        fill(table, "a")

        class Full:
            """Takes some bytes, and then none."""

            def __init__(self, file):
                self.file, self.left = file, 10

            def write(self, data):
                if not self.left:
                    reason = os.strerror(errno.ENOSPC)
                    raise OSError(errno.ENOSPC, reason)
                n = self.file.write(data[: self.left])
                self.left -= n
                return n

            def __getattr__(self, name):
                return getattr(self.file, name)

        table._file = Full(table._file)
        message = r"out\.csv\.part: No space left on device; free some space"
        with pytest.raises(InputError, match=message):
            fill(table, "b")
        assert table.part.read_bytes().endswith(b"\nb,calm,0.7")
    with open_table() as table:
        assert [*table.rows] == ["a"]
        fill(table, "b")
        table.finish({})
    assert [row["path"] for row in rows_of(table.path)] == ["a", "b"]


def test_what_failed_is_tried_again_and_later_rows_count(open_table):
    with open_table() as table:
        table.append("a", error="is no audio", size=0, time=5)
        assert not table.has("a", 0, 5)
        fill(table, "b")
        table.finish({})
    with open_table() as table:
        assert not table.has("a", 0, 5)
        fill(table, "a")
        table.finish({})
    rows = rows_of(table.path)
    assert [(row["path"], row["error"]) for row in rows] == [
        *(("a", ""), ("b", "")),
    ]


@pytest.mark.parametrize("end", ["", ".part", ".json"])
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused(end, make, open_table, tmp_path):
    make(tmp_path / f"out.csv{end}")
    message = rf"out\.csv{end}: is not an ordinary file"
    with pytest.raises(InputError, match=message), open_table():
        pass
