"""The multiplications of signal processing, where no weights are learnt.

They are those of a sensible implementation, not of a particular library: a mel
filter is a product of its weights that are not 0, even where a library
multiplies by the whole matrix. As in a head, element-wise functions (logarithm,
root, power) and normalisations of the waveform are not counted.
"""

import math

# Assumptions about speech, for openSMILE's search of pitch periods.
PITCH = 150  # Hz, and all frames are voiced
CANDIDATES = 6  # of the pitch, in both sets
HARMONICS = 15  # that the subharmonic summation adds up
MEL_BANDS = 26  # of openSMILE
STEP = 0.01  # seconds between openSMILE's frames


def frame_count(n_samples, window, step):
    """Returns how many whole windows there are.

    Arguments
    ---------
    n_samples : int
        Length of the waveform.
    window, step : int
        Length of a window, and the samples from one to the next.

    Returns
    -------
    int

    Example
    -------
    >>> frame_count(16000, 400, 160), frame_count(399, 400, 160)
    (98, 0)
    """
    return max(0, 1 + (n_samples - window) // step)


def real_fft(n):
    r"""Returns the real multiplications of an FFT of n real values.

    N log2 N: a radix-2 FFT has N / 2 log2 N butterflies, each with one complex
    multiplication, which is four real ones; real input halves the work. Where
    N is no power of two, this is an approximation.

    Arguments
    ---------
    n : int
        Number of points.

    Returns
    -------
    int

    Example
    -------
    >>> real_fft(8), real_fft(512)
    (24, 4608)
    """
    return round(n * math.log2(n))


def power_spectrum(window, n_fft):
    """Returns the multiplications of one frame's power spectrum: the window,
    the FFT, and two squares for each frequency.

    Arguments
    ---------
    window : int
        Length of the window, in samples.
    n_fft : int
        Points of the FFT.

    Returns
    -------
    int

    Example
    -------
    >>> power_spectrum(6, 8)  # 6 + 24 + 2 * 5
    40
    """
    return window + real_fft(n_fft) + 2 * (n_fft // 2 + 1)


def opensmile(feature_set, n_samples, sample_rate, functionals):
    """Estimates openSMILE's multiplications, part by part, from the set's
    published configuration.

    openSMILE's components are not documented down to the multiplication, so
    several terms are assumptions; ``docs/energy.md`` lists all of them.

    Arguments
    ---------
    feature_set : str
        "ComParE_2016" or "eGeMAPSv02".
    n_samples : int
        Length of the waveform.
    sample_rate : int
        Hz.
    functionals : bool
        Whether the statistics over the utterance are computed too.

    Returns
    -------
    dict
        Name of the part to its multiplications, an int.

    Example
    -------
    >>> parts = opensmile("ComParE_2016", 16000, 16000, functionals=False)
    >>> parts["FFT, 20 ms"], sum(parts.values()) < 10e6
    (538758, True)
    """
    long, short, step = (
        round(seconds * sample_rate) for seconds in (0.06, 0.02, STEP)
    )
    n_long = frame_count(n_samples, long, step)
    n_short = frame_count(n_samples, short, step)
    long_fft, short_fft = (2 ** math.ceil(math.log2(n)) for n in (long, short))
    long_bins, short_bins = long_fft // 2 + 1, short_fft // 2 + 1
    period = sample_rate / PITCH
    is_compare = feature_set == "ComParE_2016"
    # Share of the period by which the next period is searched, to each side.
    reach = 0.25 if is_compare else 0.1
    n_cepstra = 14 if is_compare else 4
    n_contours = 65 if is_compare else 25
    parts = {
        "FFT, 60 ms": n_long * power_spectrum(long, long_fft),
        "FFT, 20 ms": n_short * power_spectrum(short, short_fft),
        # Spline, smoothing, enhancement and weighting of each frequency.
        "octave scale": n_long * 20 * long_bins,
        "pitch": n_long * (HARMONICS * long_bins + 4 * CANDIDATES**2),
        # Three products for each sample of a period and each lag.
        "jitter and shimmer": n_long * round(step * 3 * 2 * reach * period),
        "energy": n_long * long + n_short * short,
        # Twice: squares, and two triangles over each frequency.
        "mel spectra": n_short * 2 * 3 * short_bins,
        "cepstrum": n_short * (n_cepstra * MEL_BANDS + n_cepstra),
        "auditory spectrum": n_short * MEL_BANDS,
    }
    if is_compare:
        parts |= {
            # RASTA's filter: five taps forward, one back.
            "auditory spectrum, RASTA": n_short * MEL_BANDS * (1 + 6),
            "spectral descriptors": n_short * 12 * short_bins,
            # A mean of three, and a regression over two frames to each side.
            "smoothing and deltas": n_short * n_contours * (1 + 3),
        }
    else:
        resampled = round(0.02 * 11000)
        parts |= {
            "spectral descriptors": n_short * 6 * short_bins,
            # Back from the spectrum of 11 kHz; 11 coefficients from 12 lags,
            # and 20 iterations for the roots of their polynomial.
            "formants": n_short
            * (real_fft(short_fft) + 12 * resampled + 21 * 11**2),
            # The autocorrelation is the power spectrum's inverse FFT.
            "harmonics-to-noise ratio": n_long
            * (long_bins + real_fft(long_fft)),
            "smoothing": n_short * n_contours,
        }
    if functionals:
        # A value of a contour (ComParE: of its delta too) meets moments (3),
        # autocorrelation (6), means (1), regressions (8) and peaks (2); in
        # eGeMAPS, moments and slopes (2 each).
        each = 2 * 20 if is_compare else 4
        parts["functionals"] = n_short * n_contours * each
    return parts
