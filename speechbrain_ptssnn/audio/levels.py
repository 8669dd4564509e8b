"""Warns of silent and of too loud recordings, once for many files."""

LOUD = 2  # a peak that decoders and resamplers do not reach by rounding
NAMED = 3  # the number of files that a warning names


class Levels:
    r"""Notes which recordings are silent or too loud.

    Digital silence means that all samples are equal: what a muted microphone
    or an empty track leaves.

    Example
    -------
    >>> levels = Levels()
    >>> levels.note("a.wav", torch.zeros(100))
    >>> levels.note("b.wav", torch.tensor([0.1, -0.1]))
    >>> levels.note("c.wav", torch.tensor([0.1, -4.0]))
    >>> print(*levels.warnings(), sep="\n")
    a.wav: is digital silence (all its samples are equal); check the recording
    c.wav: its samples reach 4, but audio lies between -1 and 1; check its scale
    """

    def __init__(self):
        self.heard = 0
        self.silent = []
        self.loud = []

    def note(self, name, samples):
        """Looks at one recording.

        Arguments
        ---------
        name : str
            What a warning calls it.
        samples : torch.Tensor
            [time], before resampling.
        """
        low, high = (float(end) for end in samples.aminmax())
        self.heard += 1
        if low == high:
            self.silent.append(name)
        elif max(-low, high) > LOUD:
            self.loud.append((name, max(-low, high)))

    def all_silent(self):
        """Tells whether there are recordings, and all of them are silent."""
        return 0 < self.heard == len(self.silent)

    def warnings(self):
        """Returns at most two sentences: on silent and on loud recordings."""
        result = []
        if len(self.silent) == 1:
            result.append(
                f"{self.silent[0]}: is digital silence (all its samples are "
                "equal); check the recording"
            )
        elif self.silent:
            result.append(
                f"{len(self.silent)} of {self.heard} recordings are digital "
                "silence (all their samples are equal), e.g. "
                f"{', '.join(self.silent[:NAMED])}; check them"
            )
        if len(self.loud) == 1:
            name, peak = self.loud[0]
            result.append(
                f"{name}: its samples reach {peak:.3g}, but audio lies between "
                "-1 and 1; check its scale"
            )
        elif self.loud:
            some = [f"{name} ({peak:.3g})" for name, peak in self.loud[:NAMED]]
            result.append(
                f"the samples of {len(self.loud)} of {self.heard} recordings "
                "are far beyond -1 and 1, where audio lies, e.g. "
                f"{', '.join(some)}; check their scale"
            )
        return result
