"""Warns of silent and of too loud recordings, once for many files."""

from speechbrain_ptssnn.utils.long_lists import named

LOUD = 2  # a peak that decoders and resamplers do not reach by rounding


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

    def warnings(self):
        """Returns at most two sentences: on silent and on loud recordings."""
        return [each for each in (self.silence(), self.loudness()) if each]

    def silence(self):
        """Returns a sentence on the silent recordings; "" without any."""
        if not self.silent:
            return ""
        if len(self.silent) == 1:
            return (
                f"{self.silent[0]}: is digital silence (all its samples are "
                "equal); check the recording"
            )
        return (
            f"{len(self.silent)} of {self.heard} recordings are digital "
            "silence (all their samples are equal); check them: "
            f"{named(self.silent, 'silent recordings')}"
        )

    def loudness(self):
        """Returns a sentence on the loud recordings; "" without any."""
        if not self.loud:
            return ""
        if len(self.loud) == 1:
            name, peak = self.loud[0]
            return (
                f"{name}: its samples reach {peak:.3g}, but audio lies between "
                "-1 and 1; check its scale"
            )
        names = [f"{name} ({peak:.3g})" for name, peak in self.loud]
        return (
            f"the samples of {len(self.loud)} of {self.heard} recordings are "
            "far beyond -1 and 1, where audio lies; check their scale: "
            f"{named(names, 'loud recordings')}"
        )
