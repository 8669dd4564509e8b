"""Stored features as a head gets them."""

import torch


class NormalizedFeatures:
    r"""Reads features and normalises them, by speaker where the rule says so.

    A speaker's statistics come from all of the speaker's utterances, whichever
    side of a fold they are on; labels are not looked at. They are computed
    when the speaker is first asked for.

    Arguments
    ---------
    store : FeatureStore
        Has the features.
    normalizer : FeatureNorm or StreamNorm
        Fitted on the training fold.
    utterances : iterable of Utterance
        The corpus.

    Example
    -------
    >>> from speechbrain_ptssnn.corpora.common import Utterance
    >>> from speechbrain_ptssnn.nnet.normalization import FeatureNorm
    >>> store = {"a": torch.tensor([[1.0], [3.0]]), "b": torch.tensor([[9.0]])}
    >>> anna, ben = (Utterance(k, "", f"speaker {k}", "", 1.0) for k in "ab")
    >>> norm = FeatureNorm(1, rule="speaker")
    >>> features = NormalizedFeatures(store, norm, [anna, ben])
    >>> features("a").tolist(), features("b").tolist()
    ([[-1.0], [1.0]], [[0.0]])
    """

    def __init__(self, store, normalizer, utterances):
        self.normalizer = normalizer
        self._store = store
        self._utterances = {u.id: u for u in utterances}
        self._by_speaker = {}

    def label(self, name):
        """Returns an utterance's label."""
        return self._utterances[name].label

    def __call__(self, name, longest=None):
        """Returns an utterance's features.

        Arguments
        ---------
        name : str
            The utterance's id.
        longest : int, optional
            Frames that are given at most: a random stretch, drawn from torch's
            global generator.

        Returns
        -------
        torch.Tensor
            [time, channels].
        """
        features = self._store[name]
        if longest is not None:
            spare = max(len(features) - longest, 0)
            skipped = torch.randint(spare + 1, ()).item()
            features = features[skipped : skipped + longest]
        return self._norm(self._utterances[name].speaker)(features)

    def _norm(self, speaker):
        if not self.normalizer.by_speaker:
            return self.normalizer
        if speaker not in self._by_speaker:
            self._by_speaker[speaker] = self.normalizer.adapted(
                self._store[u.id]
                for u in self._utterances.values()
                if u.speaker == speaker
            )
        return self._by_speaker[speaker]
