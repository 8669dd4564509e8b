"""Utterances with their audio and their spikes; a few test ones of a run."""

from dataclasses import dataclass
from io import BytesIO

import soundfile
import torch

from speechbrain_ptssnn.audio import load_audio
from speechbrain_ptssnn.corpora.common import Utterance
from speechbrain_ptssnn.evaluation.predictions import read_predictions
from speechbrain_ptssnn.nnet.monitor import LayerRecorder
from speechbrain_ptssnn.report.html import data_uri

SECONDS = 5  # at most so much of an utterance is shown and played


@dataclass
class Heard:
    """One utterance, and what a head made of it.

    Arguments
    ---------
    name : str
        What it is called.
    posteriors : dict
        Label to the model's posterior, the largest first.
    wave : torch.Tensor
        [time], at most the first SECONDS.
    sample_rate : int
        Hz.
    seconds : float
        Length of the whole utterance.
    watched : LayerRecorder
        Currents and spikes of the head, over the whole utterance.
    outputs : torch.Tensor
        The head's, [classes].
    """

    name: str
    posteriors: dict
    wave: torch.Tensor
    sample_rate: int
    seconds: float
    watched: LayerRecorder
    outputs: torch.Tensor

    @property
    def audio(self):
        """The wave as a ``data:`` URI of a 16-bit wav file."""
        file = BytesIO()
        wave = self.wave.clamp(-1, 1).numpy()
        soundfile.write(file, wave, self.sample_rate, "PCM_16", format="WAV")
        return data_uri("audio/wav", file.getvalue())


@dataclass
class Example(Heard):
    """One test utterance.

    Arguments
    ---------
    kind : str
        What it is an example of, e.g. "most confident wrong prediction".
    utterance : Utterance
        Its row of the manifest.
    """

    kind: str
    utterance: Utterance


@torch.no_grad()
def hear(name, wave, sample_rate, head, feats, labels, temperature):
    """Runs a head on an utterance and watches its spiking layers.

    Arguments
    ---------
    name : str
        What the utterance is called.
    wave : torch.Tensor
        [time], the whole utterance.
    sample_rate : int
        Hz.
    head : torch.nn.Module
        Any head, in eval mode.
    feats : torch.Tensor
        The head's input for the utterance, [1, time, channels].
    labels : sequence of str
        The classes, in index order.
    temperature : float
        What the head's outputs are divided by for posteriors.

    Returns
    -------
    Heard

    Example
    -------
    >>> head = PTSSNN(160, 2).eval()
    >>> heard = hear(
    ...     "a", torch.zeros(16000), 16000, head, torch.randn(1, 9, 160),
    ...     ["calm", "mad"], 0.1,
    ... )
    >>> heard.seconds, round(sum(heard.posteriors.values()), 6)
    (1.0, 1.0)
    >>> tuple(heard.watched.spikes["classifier.output"].shape)
    (9, 2)
    """
    with LayerRecorder(head) as watched:
        outputs = head(feats)[0]
    posteriors = zip(
        labels, (outputs / temperature).softmax(-1).tolist(), strict=True
    )
    return Heard(
        name,
        dict(sorted(posteriors, key=lambda pair: -pair[1])),
        wave[: SECONDS * sample_rate],
        sample_rate,
        len(wave) / sample_rate,
        watched,
        outputs,
    )


def pick(rows, labels):
    """Picks utterances by how confident the model's predictions are.

    The confidence is the difference between the two largest posteriors.

    Arguments
    ---------
    rows : list of dict
        The rows of a fold's ``predictions.csv``.
    labels : sequence of str
        The classes.

    Returns
    -------
    dict
        Id of an utterance to what it is an example of: the most confident
        correct and wrong predictions and the least confident prediction. A
        kind is missing if no utterance, or only one picked before, is of it.

    Example
    -------
    >>> rows = [
    ...     {"id": "a", "label": "x", "prediction": "x", "p_x": .9, "p_y": .1},
    ...     {"id": "b", "label": "y", "prediction": "x", "p_x": .6, "p_y": .4},
    ... ]
    >>> pick(rows, ["x", "y"])
    {'a': 'most confident correct prediction',
     'b': 'most confident wrong prediction'}
    """

    def confidence(row):
        posteriors = sorted(float(row[f"p_{label}"]) for label in labels)
        return posteriors[-1] - posteriors[-2]

    ranked = sorted(rows, key=lambda row: (-confidence(row), row["id"]))
    correct = [row for row in ranked if row["label"] == row["prediction"]]
    wrong = [row for row in ranked if row["label"] != row["prediction"]]
    picked = {}
    for kind, candidates in (
        ("most confident correct prediction", correct),
        ("most confident wrong prediction", wrong),
        ("least confident prediction", ranked[::-1]),
    ):
        if candidates:
            picked.setdefault(candidates[0]["id"], kind)
    return picked


def examples(run):
    """Runs the first fold's head on a few of its test utterances.

    Arguments
    ---------
    run : TrainedRun
        The run.

    Returns
    -------
    list of Example
        The utterances of :func:`pick`.
    """
    number, labels = run.summary["folds_done"][0], run.summary["labels"]
    rows = read_predictions(run.files.fold(number).predictions)
    temperature = run.files.temperature(number)
    head, features = run.load(number)
    audio = run.store.audio
    result = []
    for id, kind in pick(rows, labels).items():
        utterance = run.utterances[id]
        wave = load_audio(utterance.wav, audio, utterance.start, utterance.end)
        heard = hear(
            id,
            wave,
            audio.sample_rate,
            head,
            features(id),
            labels,
            temperature,
        )
        result.append(Example(**vars(heard), kind=kind, utterance=utterance))
    return result
