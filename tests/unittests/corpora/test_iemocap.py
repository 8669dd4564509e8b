"""IEMOCAP's annotations, texts and folders, in miniature."""

from collections import Counter

import pytest

from speechbrain_ptssnn.corpora.iemocap import read_iemocap, read_labels
from speechbrain_ptssnn.errors import InputError


@pytest.fixture
def release(mini_corpus):
    return mini_corpus("IEMOCAP")


def labels_of(folder, session=1):
    pattern = f"Session{session}/dialog/EmoEvaluation/Ses*.txt"
    return next(folder.glob(pattern))


def test_what_the_files_say_is_read(release):
    utterances = read_iemocap(release, complete=False)
    assert len(utterances) == 40
    assert Counter(u.label for u in utterances) == dict.fromkeys(
        ("angry", "happy", "neutral", "sad"), 10
    )
    (u,) = (u for u in utterances if u.id.endswith("F001"))
    assert (u.id, u.speaker, u.session) == (
        "Ses02F_impro01_F001",
        "Ses02F",
        "2",
    )
    assert (u.sex, u.label, u.text) == ("f", "angry", "Excuse me, F001.")
    assert u.duration == 0.3
    # The one who speaks, not the one who wears the markers:
    (u,) = (u for u in utterances if u.id.endswith("M006"))
    assert (u.id, u.speaker, u.sex) == ("Ses02M_impro01_M006", "Ses02M", "m")
    (u,) = (u for u in utterances if u.id.endswith("M005"))
    assert (u.id, u.speaker, u.sex) == ("Ses01F_impro01_M005", "Ses01M", "m")


def test_other_labels_are_left_out_and_excited_is_happy(tmp_path):
    path = tmp_path / "Ses01F_impro01.txt"
    codes = ("ang", "hap", "exc", "neu", "sad", "fru", "sur", "fea", "dis")
    path.write_text(
        "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\r\n"
        + "".join(
            f"[{k}.5 - {k + 1}.25]\t{code}\t{code}\t[2.5, 2.5, 2.5] \r\n"
            for k, code in enumerate((*codes, "oth", "xxx"))
        )
    )
    assert read_labels(path) == {
        "ang": "angry",
        "hap": "happy",
        "exc": "happy",
        "neu": "neutral",
        "sad": "sad",
    }


@pytest.mark.parametrize(
    "line",
    [
        "[6.2901 - 8.2357]\tSes01F_impro01_F900\tglad\t[2.5, 2.5, 2.5]",
        "[6.2901 - 8.2357] Ses01F_impro01_F900 neu [2.5, 2.5, 2.5]",
        "[6.2901 - ",
    ],
)
def test_a_line_that_can_not_be_read_is_named(release, line):
    path = labels_of(release)
    n_lines = len(path.read_text().splitlines())
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(InputError, match=rf"{path.name}:{n_lines + 1}: "):
        read_iemocap(release, complete=False)


def test_missing_audio_is_named_or_left_out(release, caplog):
    gone = sorted(release.glob("Session3/sentences/wav/*/*.wav"))[:3]
    for wav in gone:
        wav.unlink()
    with pytest.raises(
        InputError, match=r"3 audio files are .* missing: .*Session3/.*partial"
    ):
        read_iemocap(release)
    found = {u.wav for u in read_iemocap(release, complete=False)}
    assert len(found) == 37
    assert "3 audio files are annotated but missing" in caplog.text
    assert "37 of the 5531 utterances of IEMOCAP" in caplog.text
    assert not found & set(map(str, gone))


def test_audio_alone_is_not_enough(release):
    for path in release.glob("Session*/dialog/EmoEvaluation/*.txt"):
        path.unlink()
    with pytest.raises(InputError, match=r"no Session\*/dialog/EmoEvaluation"):
        read_iemocap(release)


def test_texts_may_be_absent_and_bytes_may_be_odd(release):
    for path in release.glob("Session*/dialog/transcriptions/*.txt"):
        path.unlink()
    with labels_of(release).open("ab") as file:
        file.write(b"C-F1:\tNeutral;\t(caf\xe9)\n")
    utterances = read_iemocap(release, complete=False)
    assert {u.text for u in utterances} == {""}
    assert len(utterances) == 40
