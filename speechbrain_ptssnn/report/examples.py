"""A few test utterances of a run: the sound, and what the neurons did."""

import base64
from dataclasses import dataclass
from io import BytesIO

import soundfile
import torch

from speechbrain_ptssnn.audio import load_audio
from speechbrain_ptssnn.corpora.common import Utterance
from speechbrain_ptssnn.evaluation.summary import read_predictions
from speechbrain_ptssnn.nnet.monitor import LayerRecorder

SECONDS = 5  # at most, of an utterance that is shown and heard


@dataclass
class Example:
    """One test utterance.

    Arguments
    ---------
    why : str
        What it is an example of.
    utterance : Utterance
        Who said what.
    posteriors : dict
        Label to the model's posterior, the largest first.
    wave : torch.Tensor
        [time], the first SECONDS at most.
    sample_rate : int
        Hz.
    seconds : float
        How long the whole utterance is.
    watched : LayerRecorder
        Of the head that tested it, while it heard the whole utterance.
    """

    why: str
    utterance: Utterance
    posteriors: dict
    wave: torch.Tensor
    sample_rate: int
    seconds: float
    watched: LayerRecorder

    @property
    def audio(self):
        """The wave as a ``data:`` URI, a 16-bit wav."""
        file = BytesIO()
        wave = self.wave.clamp(-1, 1).numpy()
        soundfile.write(file, wave, self.sample_rate, "PCM_16", format="WAV")
        return data_uri("audio/wav", file.getvalue())


def data_uri(kind, content):
    """Bytes as an address that needs no network.

    Example
    -------
    >>> data_uri("text/plain", b"hi")
    'data:text/plain;base64,aGk='
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def pick(rows, labels):
    """Picks telling utterances by their posteriors.

    Arguments
    ---------
    rows : list of dict
        Of :func:`~speechbrain_ptssnn.evaluation.summary.read_predictions`.
    labels : sequence of str
        The classes.

    Returns
    -------
    dict
        Id of an utterance to what it is an example of: the surest right and
        wrong answers and the least sure one, where there are such.

    Example
    -------
    >>> rows = [
    ...     {"id": "a", "label": "x", "prediction": "x", "p_x": .9, "p_y": .1},
    ...     {"id": "b", "label": "y", "prediction": "x", "p_x": .6, "p_y": .4},
    ... ]
    >>> pick(rows, ["x", "y"])
    {'a': 'the surest right answer', 'b': 'the surest wrong answer'}
    """

    def sureness(row):
        second, first = sorted(float(row[f"p_{label}"]) for label in labels)[
            -2:
        ]
        return first - second

    by_sureness = sorted(rows, key=lambda row: (-sureness(row), row["id"]))
    kinds = {
        "the surest right answer": [
            row for row in by_sureness if row["label"] == row["prediction"]
        ],
        "the surest wrong answer": [
            row for row in by_sureness if row["label"] != row["prediction"]
        ],
        "the least sure answer": by_sureness[::-1],
    }
    picked = {}
    for kind, found in kinds.items():
        if found:
            picked.setdefault(found[0]["id"], kind)
    return picked


@torch.no_grad()
def examples(run):
    """Takes a run's first fold apart on a few of its test utterances.

    Arguments
    ---------
    run : TrainedRun
        What is looked at.

    Returns
    -------
    list of Example
    """
    number, labels = run.summary["folds_done"][0], run.summary["labels"]
    rows = read_predictions(run.folder / f"fold_{number}" / "predictions.csv")
    head, features = run.load(number)
    result = []
    for id, why in pick(rows, labels).items():
        with LayerRecorder(head) as watched:
            outputs = head(features(id))[0]
        posteriors = dict(
            zip(labels, outputs.softmax(-1).tolist(), strict=True)
        )
        utterance = run.utterances[id]
        audio = run.store.audio
        wave = load_audio(utterance.wav, audio, utterance.start, utterance.end)
        result.append(
            Example(
                why,
                utterance,
                dict(sorted(posteriors.items(), key=lambda each: -each[1])),
                wave[: SECONDS * audio.sample_rate],
                audio.sample_rate,
                len(wave) / audio.sample_rate,
                watched,
            )
        )
    return result
