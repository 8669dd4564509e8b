"""Where someone speaks in a recording: Silero's voice activity detector.

Its weights are in the package ``silero-vad`` (MIT); nothing is downloaded.
"""

import numpy as np
import torch

from speechbrain_ptssnn.utils.extras import extra_package

SAMPLE_RATE = 16000  # of the audio that the detector takes
FRAME = 512  # samples that get one probability, 32 ms
# Seconds. A shorter pause is part of the speech, and shorter speech is none.
# Speech keeps this much of what stands before and after it.
PAUSE, SHORTEST, EDGE = 0.3, 0.25, 0.03
# The last frame of a stretch has this probability at least. Silero holds on
# when noise sets in where the speech has ended, with 0.5 to 0.7; own choice,
# of benchmarks/speech_ends.py.
SURE = 0.7


class SpeechFinder:
    """Finds speech in audio that comes in blocks.

    The stretches and their starts are those of Silero's
    ``get_speech_timestamps`` for the whole audio, with a probability of 0.5 as
    threshold. A stretch ends after its last frame with a probability of
    ``sure``; if it has none, where Silero ends it. Of the audio only an
    unfinished frame is kept, and of each frame its probability: 450 kB an
    hour.

    Arguments
    ---------
    sure : float
        Probability of a stretch's last frame, 0.5 to 1.

    Raises
    ------
    InputError
        If the package silero-vad is missing.

    Example
    -------
    >>> finder = SpeechFinder()
    >>> for _ in range(4):
    ...     finder(np.zeros(5000, np.float32))
    >>> finder.finish()
    []
    """

    def __init__(self, sure=SURE):
        self.sure = sure
        self._package = vad_package()
        self._model = self._package.load_silero_vad()
        self._held = np.zeros(0, np.float32)
        self._n_samples = 0
        self._probabilities = []

    @torch.no_grad()
    def __call__(self, samples):
        """Takes the next samples, [time], at 16 kHz, float32."""
        self._n_samples += len(samples)
        held = np.concatenate([self._held, samples])
        n = len(held) // FRAME * FRAME
        for frame in torch.from_numpy(held[:n].reshape(-1, FRAME)):
            self._probabilities.append(self._model(frame, SAMPLE_RATE).item())
        self._held = held[n:]

    def finish(self):
        """Says where the speech is, after the last samples.

        Returns
        -------
        list of tuple
            Start and end of each stretch of speech, in seconds.
        """
        n_samples, rest = self._n_samples, len(self._held)
        if rest:
            self(np.zeros(FRAME - rest, np.float32))
        found = self._package.get_speech_timestamps_from_probs(
            self._probabilities,
            min_silence_duration_ms=round(1000 * PAUSE),
            min_speech_duration_ms=round(1000 * SHORTEST),
            speech_pad_ms=round(1000 * EDGE),
            audio_length_samples=n_samples,
        )
        return [
            (each["start"] / SAMPLE_RATE, self._end(**each) / SAMPLE_RATE)
            for each in found
        ]

    def _end(self, start, end):
        """The end of a stretch, in samples like Silero's start and end."""
        first = start // FRAME
        frames = np.array(self._probabilities[first : end // FRAME + 1])
        sure = np.flatnonzero(frames >= self.sure)
        if not len(sure):
            return end
        last = (first + int(sure[-1]) + 1) * FRAME
        return min(end, last + round(EDGE * SAMPLE_RATE))


def vad_package():
    """Returns the package silero_vad.

    Returns
    -------
    module

    Raises
    ------
    InputError
        If it is not installed.

    Example
    -------
    >>> vad_package().__name__
    'silero_vad'
    """
    threads = torch.get_num_threads()
    need = "speech is found by the package silero-vad"
    package = extra_package("silero_vad", need, "timeline")
    torch.set_num_threads(threads)  # its import sets one
    return package
