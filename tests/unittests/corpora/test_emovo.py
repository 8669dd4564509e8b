"""EMOVO: the real corpus where it is, and small trees with faults."""

from collections import Counter

import pytest

from speechbrain_ptssnn.corpora.checks import check_utterances
from speechbrain_ptssnn.corpora.registry import find_corpus
from speechbrain_ptssnn.errors import InputError


def test_real_emovo_is_as_published(shared_data):
    utterances = find_corpus("EMOVO").read(shared_data / "EMOVO")
    check_utterances(find_corpus("EMOVO"), utterances)
    assert len(utterances) == 588
    # Balanced: 14 sentences for every speaker in every emotion.
    pairs = Counter((u.speaker, u.label) for u in utterances)
    assert len(pairs) == 6 * 7
    assert set(pairs.values()) == {14}
    sentences = {u.id.rpartition("-")[2] for u in utterances}
    assert len(sentences) == 14


def test_emovo_names_become_speaker_and_label(tmp_path, write_wav):
    for name in ("m1/tri-m1-l3", "f2/rab-f2-b1"):
        write_wav(tmp_path / f"{name}.wav", rate=48000, channels=2)
    assert [
        (u.id, u.speaker, u.label)
        for u in find_corpus("EMOVO").read(tmp_path, complete=False)
    ] == [("rab-f2-b1", "f2", "anger"), ("tri-m1-l3", "m1", "sadness")]
    with pytest.raises(InputError, match=r"EMOVO.*'anger': 1.*84"):
        find_corpus("EMOVO").read(tmp_path)


@pytest.mark.parametrize(
    "name", ["f1/rab-f2-b1", "f1/xyz-f1-b1", "f1/noise", "m1/rab-f1-b1"]
)
def test_emovo_refuses_a_name_that_is_not_like_its_folder(
    tmp_path, name, write_wav
):
    wav = write_wav(tmp_path / f"{name}.wav", rate=48000, channels=2)
    with pytest.raises(InputError, match=wav.stem):
        find_corpus("EMOVO").read(tmp_path, complete=False)
