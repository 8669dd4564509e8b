"""``ptssnn explore``: the page, from small corpora made for it."""

import re
from html import unescape
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from speechbrain_ptssnn.apps import explore
from speechbrain_ptssnn.cli import main
from speechbrain_ptssnn.features.store import FeatureStore

RNG = np.random.default_rng(0)


@pytest.fixture
def show(tmp_path, capsys):
    """Explores a corpus; returns the page, its text and what was printed."""

    def call(*words):
        main(
            [
                *("explore", *map(str, words), "--backbone=fbank"),
                *("--noprogressbar", "--device=cpu"),
                f"--results_folder={tmp_path / 'results'}",
                f"--features_folder={tmp_path / 'features'}",
            ]
        )
        (path,) = (tmp_path / "results").rglob("explore.html")
        html = path.read_text(encoding="utf-8")
        body = re.sub(r"(?s)<style>.*?</style>|<[^>]+>", " ", html)
        text = " ".join(unescape(body).split())
        said = capsys.readouterr().out
        return SimpleNamespace(path=path, html=html, text=text, said=said)

    return call


@pytest.fixture
def cafe(tmp_path):
    """Writes tones as a corpus of one's own; rows are dicts of its columns."""

    def make(rows, label_map="{calm: calm, angry: angry}"):
        names = list(rows[0])
        lines = [",".join(["path", *names])]
        for k, row in enumerate(rows):
            tone = np.sin(np.arange(4800) * (0.02 + 0.03 * len(row["label"])))
            wave = 0.2 * tone + RNG.normal(0, 0.05, 4800)
            soundfile.write(tmp_path / f"{k}.wav", wave, 16000)
            lines.append(",".join([f"{k}.wav", *map(row.get, names)]))
        (tmp_path / "cafe.csv").write_text("\n".join(lines))
        file = tmp_path / "cafe.yaml"
        file.write_text(
            "base: pts_snn.yaml\ncorpus: Cafe\ndata_folder: cafe.csv\n"
            f"label_map: {label_map}\n"
        )
        return file

    return make


def plain_rows(n=30):
    return [
        {"label": ("calm", "angry")[k % 2], "speaker": f"s{k // 2 % 5}"}
        for k in range(n)
    ]


def test_a_corpus_is_shown(show, mini_urdu):
    page = show("URDU", f"--data_folder={mini_urdu}", "--complete=False")
    assert "URDU before training 40 utterances" in page.text
    assert "8 speakers. Features: fbank" in page.text
    assert "Angry 10 25.0% 8" in page.text
    # SM1 and SM2 speak twice in each of the four classes, the others once.
    assert "SM1 m 8 2 2 2 2 4" in page.text
    assert "SM8 m 4 1 1 1 1 4" in page.text
    assert "44,100 Hz 1 40" in page.text
    assert "has 40 of the 400 utterances of URDU" in page.text  # the reader
    for title in ("class", "speaker"):
        assert f"coloured by {title}" in page.html
    assert "coloured by sex" not in page.html  # all are m
    # The tones tell the class to anything that hears.
    assert "class 4 40 of 40 5 100.0% 100.0% 25.0%" in page.text
    assert str(page.path) in page.said
    assert page.path.parts[-4:] == ("URDU", "random", "fbank", "explore.html")
    assert not re.search(r"(src|href)=\"(?!data:)", page.html)


def test_the_same_corpus_gives_the_same_page(show, cafe, monkeypatch):
    file = cafe(plain_rows())
    first = show(file).html

    def refuse(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(FeatureStore, "_compute", refuse)
    assert show(file).html == first


def test_a_plain_corpus_has_no_sign(show, cafe):
    page = show(cafe(plain_rows()))
    assert "No sign of a confound was found" in page.text
    assert "the random folds and the comparison of all recordings" in page.text
    assert "warning" not in page.said


def test_a_confound_is_said_first(show, cafe):
    rows = plain_rows()
    for k, row in enumerate(rows):
        row["speaker"] = f"{row['label'][0]}{k // 2 % 3}"
        row["session"] = "1" if row["label"] == "calm" else "2"
    page = show(cafe(rows))
    assert "Know this before training" in page.text
    for key, values in (("speaker", "6 of 6 speakers"), ("session", "2 of 2")):
        assert f"The {key} gives the class away" in page.text
        assert f"{values}" in page.text
        assert f"the {key} {values[0]} {values[0]} 100.0% 100.0%" in page.text
    assert page.said.startswith("warning: The speaker gives the class away")
    assert page.text.index("gives the class") < page.text.index("checks say")


def test_twins_are_listed_and_what_training_says_of_them(show, cafe, tmp_path):
    file = cafe(plain_rows())
    (tmp_path / "1.wav").write_bytes((tmp_path / "0.wav").read_bytes())
    page = show(file)
    assert "1 recording is there under two or more classes" in page.text
    assert "1 0, 1 calm, angry" in page.text  # number, ids, classes
    assert "the same recording has two labels or is on two sides" in page.text


def test_a_damaged_file_is_left_out_and_said(show, cafe, tmp_path, monkeypatch):
    file = cafe(plain_rows())
    real = explore.listen

    def damage(utterances, *rest):
        (tmp_path / "3.wav").write_bytes(b"")
        return real(utterances, *rest)

    monkeypatch.setattr(explore, "listen", damage)
    page = show(file)
    assert re.search(r"Left out of this page: \S*3\.wav: is empty", page.text)
    assert "calm 15" in page.text and "angry 14" in page.text


def test_without_speakers_the_page_says_so(show, cafe):
    page = show(cafe([{"label": r["label"]} for r in plain_rows()]))
    assert "speakers not known" in page.text
    assert "nothing on this page can tell whether a voice" in page.text
    assert "has no speakers; random folds may test" in page.text
    assert "coloured by speaker" not in page.html


def test_one_class_and_one_utterance(show, cafe):
    rows = [row for row in plain_rows() if row["label"] == "calm"]
    page = show(cafe(rows), "--complete=False")
    assert "There is one class only, calm" in page.text
    assert "A linear head needs two classes with 5 utterances" in page.text
    page = show(cafe(rows[:1]), "--complete=False")
    assert "Cafe before training 1 utterances" in page.text
    assert "A map needs five utterances or more" in page.text
    assert "--protocol=random: " in page.text  # which cannot split it


def test_no_usable_file_is_one_sentence(show, cafe, monkeypatch):
    file = cafe(plain_rows())
    monkeypatch.setattr(explore, "_mean_frames", lambda *_: {})
    with pytest.raises(SystemExit, match="no features were computed"):
        show(file)


def test_what_is_refused_before_anything_is_computed(show, cafe, tmp_path):
    file = cafe(plain_rows())
    (tmp_path / "5.wav").unlink()
    with pytest.raises(SystemExit, match=r"1 are missing: 5\.wav \(row 7\)"):
        show(file)
    with pytest.raises(SystemExit, match="leaves 1 classes; 2 are needed"):
        show(cafe(plain_rows(), "{calm: all, angry: all}"))
    assert not (tmp_path / "results").exists()


def test_a_large_corpus_is_drawn_in_part(show, cafe, monkeypatch):
    monkeypatch.setattr(explore, "MOST_POINTS", 20)
    page = show(cafe(plain_rows()))
    assert (
        "the mean frame of one utterance (20 utterances, drawn at random"
        in page.text
    )
    assert "of 20 5 " in page.text  # rows of the linear head
