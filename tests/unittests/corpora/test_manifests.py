import json

import pytest
from speechbrain.dataio.dataset import DynamicItemDataset

from speechbrain_ptssnn.corpora.common import Utterance
from speechbrain_ptssnn.corpora.manifests import (
    read_manifest,
    read_utterances,
    write_manifest,
)
from speechbrain_ptssnn.errors import InputError

ROWS = [
    ("row 2", {"path": "a b.wav", "label": "ärgerlich"}),
    ("row 3", {"path": "鹿.wav", "label": "calm"}),
]
JSON = '"path": "a b.wav", "label": "ärgerlich"'


@pytest.mark.parametrize(
    "text",
    [
        "path,label\na b.wav,ärgerlich\n鹿.wav,calm\n",
        "path,label\na b.wav,ärgerlich\n鹿.wav,calm",
        "\ufeffpath,label\r\na b.wav,ärgerlich\r\n鹿.wav,calm\r\n",
        "Path ;LABEL\n a b.wav;ärgerlich\n鹿.wav; calm \n;\n",
        'path\tlabel\n"a b.wav"\tärgerlich\n鹿.wav\tcalm\n\n\n',
        "path|label\na b.wav|ärgerlich\n鹿.wav|calm\n",
        "sep=;\r\npath;label\r\na b.wav;ärgerlich\r\n鹿.wav;calm\r\n",
        '\ufeff"sep=\t"\npath\tlabel\na b.wav\tärgerlich\n鹿.wav\tcalm\n',
        "SEP=#\npath#label\na b.wav#ärgerlich\n鹿.wav#calm\n",
    ],
)
def test_what_spreadsheets_write_reads_alike(text, tmp_path):
    (tmp_path / "a.csv").write_bytes(text.encode())
    assert read_manifest(tmp_path / "a.csv") == ROWS


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_excels_unicode_text_is_read(encoding, tmp_path):
    text = "path\tlabel\na b.wav\tärgerlich\n鹿.wav\tcalm\n"
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    assert read_manifest(tmp_path / "a.csv") == ROWS


@pytest.mark.parametrize(
    "comments",
    [
        "# recorded in 2024, by Anna; two rooms\n",
        "Our corpus\n\n",
        "Our corpus;\n# a;b\n",
        '"# one, two"\n',
    ],
)
def test_lines_before_the_header_are_told(comments, tmp_path, caplog):
    (tmp_path / "a.csv").write_text(f"{comments}path;label\na b.wav;calm, x\n")
    ((location, row),) = read_manifest(tmp_path / "a.csv")
    assert row == {"path": "a b.wav", "label": "calm, x"}
    assert location == f"row {comments.count(chr(10)) + 2}"
    assert "rows that are no header and are left out: row 1: " in caplog.text


@pytest.mark.parametrize(
    "header",
    [
        '"path, relative";label;"text, as said; or not"',
        '"path; a, b, c, d";"label";x',
    ],
)
def test_separators_in_quotes_do_not_count(header, tmp_path):
    (tmp_path / "a.csv").write_text(f"{header}\na.wav;calm;Hi, you, there\n")
    ((_, row),) = read_manifest(tmp_path / "a.csv")
    assert list(row.values()) == ["a.wav", "calm", "Hi, you, there"]


def test_text_with_other_separators_does_not_count(tmp_path):
    rows = "".join(f"{k}.wav;calm;Hi, you, {k}\n" for k in range(9))
    (tmp_path / "a.csv").write_text(f"path;label;text\n{rows}")
    assert read_manifest(tmp_path / "a.csv")[8][1]["text"] == "Hi, you, 8"


def test_rows_are_counted_as_a_spreadsheet_does(tmp_path):
    text = 'path,text\na,"two\nlines, and a comma"\n\nb,c\n'
    (tmp_path / "a.csv").write_text(text)
    assert read_manifest(tmp_path / "a.csv") == [
        ("row 2", {"path": "a", "text": "two\nlines, and a comma"}),
        ("row 4", {"path": "b", "text": "c"}),
    ]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("[]", []),
        ("{}", []),
        (
            '[{"path": "a.wav", "start": 1.5}, {"Path": "b.wav", "end": null}]',
            [
                {"path": "a.wav", "start": "1.5", "end": ""},
                {"path": "b.wav", "start": "", "end": ""},
            ],
        ),
        (
            f'\ufeff{{"ä 1": {{{JSON}}}}}',
            [{"id": "ä 1", "path": "a b.wav", "label": "ärgerlich"}],
        ),
    ],
)
def test_json_is_a_list_or_speechbrains_form(text, rows, tmp_path):
    (tmp_path / "a.json").write_bytes(text.encode())
    locations = [f"item {k + 1}" for k in range(len(rows))]
    assert read_manifest(tmp_path / "a.json") == list(
        zip(locations, rows, strict=True)
    )


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b"path\n\xfc.wav\n", "is not UTF-8 text; save it as"),
        (
            "a.csv",
            b"path,label\na,b\na,b,c\n",
            "header has 2 .* 1 of 2 rows .* row 3: has 3 cells$",
        ),
        (
            "a.csv",
            b"path,label\na,b\na\n",
            "header has 2 .* row 3: has 1 cells$",
        ),
        ("a.csv", b'path,label\n"a,b\n', "line 2: unexpected end of data"),
        ("a.csv", b"path,Path\n", "'path' occurs 2 times"),
        ("a.csv", b"a,b\n" + b"c\n" * 9, "9 of 9 .* and 6 more, all listed"),
        ("a.csv", b"PK\3\4", "is a workbook or another ZIP file; save"),
        ("a.json", b"{", "is not JSON"),
        ("a.json", b'[{"path": ["a"]}]', "1 values are lists .* item 1: 'pa"),
        ("a.json", b'{"x": {}, "x": {}}', "'x' occurs 2 times"),
        ("a.json", b'{"x": 1}', "is neither a list of objects nor like {id"),
        ("a.json", b"3", "is neither a list of objects nor like {id"),
    ],
)
def test_what_is_no_table_is_refused(name, data, message, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=rf"{name}.*{message}"):
        read_manifest(tmp_path / name)
    with pytest.raises(InputError, match=r"none\.csv: cannot be read"):
        read_manifest(tmp_path / "none.csv")


def test_a_manifest_is_speechbrains(tmp_path):
    rows = [
        Utterance("b", "sad/b.wav", "speaker", "sad", 1.0, sex="f"),
        Utterance("ä", "happy/ä.wav", "speaker", "happy", 1.0, end=1.5),
    ]
    write_manifest(tmp_path / "all.json", rows)
    manifest = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert list(manifest) == ["b", "ä"]
    assert read_utterances(tmp_path / "all.json") == rows
    dataset = DynamicItemDataset.from_json(tmp_path / "all.json")
    dataset.set_output_keys(["id", "wav", "speaker", "label", "duration"])
    assert dataset[1] == {
        "id": "ä",
        "wav": "happy/ä.wav",
        "speaker": "speaker",
        "label": "happy",
        "duration": 1.0,
    }


def test_lines_may_end_as_on_an_old_mac(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"path,label\ra.wav,calm\rb.wav,mad\r")
    assert [row["path"] for _, row in read_manifest(path)] == ["a.wav", "b.wav"]


def test_json_that_is_nested_too_deeply_is_named(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"a\.json: is nested too deeply"):
        read_manifest(path)
