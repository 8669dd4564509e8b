"""Measures of recordings whose values are known by hand."""

import numpy as np
import pytest
import soundfile
import soxr

from speechbrain_ptssnn.audio.measures import LOWEST, measure

RATE = 16000
TIME = np.arange(RATE) / RATE
SINE = np.sin(2 * np.pi * 440 * TIME)
NOISE = np.random.default_rng(0).normal(0, 0.1, RATE)


def test_level_and_peak_of_a_sine():
    found = measure(SINE, RATE)
    assert found.level == pytest.approx(-3.0103, abs=1e-3)  # 1 / sqrt(2)
    assert found.peak == pytest.approx(1, abs=1e-3)
    assert (found.channels, found.sample_rate) == (1, RATE)
    assert found.correlation is found.level_difference is None


def test_an_offset_is_no_level():
    found = measure(0.25 + 0.1 * SINE, RATE)
    assert found.offset == pytest.approx(0.25)
    assert found.has_offset and not measure(SINE, RATE).has_offset
    assert found.level == pytest.approx(-23.0103, abs=1e-3)


def test_flat_tops_are_counted_at_any_level():
    # 440 periods, each with a flat top and a flat bottom of 12 samples.
    clipped = measure(0.3 * np.clip(SINE, -0.5, 0.5), RATE)
    assert clipped.flat_tops == 2 * 440
    assert clipped.is_clipped
    # 16 bits: a natural peak may be flat by rounding, but only once.
    once = np.r_[np.arange(50), [50, 50, 50], np.arange(50)[::-1]] / 100
    assert measure(once, RATE).flat_tops == 1
    assert not measure(once, RATE).is_clipped
    assert not measure(NOISE, RATE).is_clipped


def test_silence_at_the_start_and_inside():
    # Half a second of zeros, a quarter of noise, a quarter 60 dB below it.
    quarter = NOISE[: RATE // 4]
    wave = np.r_[np.zeros(RATE // 2), quarter, quarter / 1000]
    found = measure(wave, RATE)
    assert found.leading_zeros == 0.5
    assert found.starts_silent
    # The offset, which is the mean, is far below 40 dB under the noise.
    assert found.quiet == pytest.approx(0.75, abs=0.02)
    assert measure(NOISE, RATE).quiet == 0


def test_digital_silence_is_measured_too():
    found = measure(np.zeros((800, 2)), 8000)
    assert found.level == found.above_band == LOWEST
    assert found.leading_zeros == 0.1
    assert found.quiet == 1
    assert not found.is_clipped and not found.is_band_limited
    assert found.correlation is None


def test_energy_above_5_khz_of_white_noise_is_its_share_of_the_band():
    found = measure(NOISE, RATE)
    assert found.above_band == pytest.approx(10 * np.log10(3 / 8), abs=0.2)
    assert not found.is_band_limited


@pytest.mark.parametrize("rate", [16000, 44100])
def test_telephone_audio_is_found_at_a_higher_rate(rate):
    telephone = soxr.resample(NOISE, RATE, 8000)
    stored = np.round(soxr.resample(telephone, 8000, rate) * 2**15) / 2**15
    assert measure(stored, rate).is_band_limited
    assert measure(telephone, 8000).above_band == LOWEST


def test_two_channels_are_compared():
    other = np.random.default_rng(1).normal(0, 0.1, RATE)
    both = np.stack([NOISE, -NOISE / 2], 1)
    found = measure(both, RATE, 1)
    assert found.correlation == pytest.approx(-1)
    assert found.level_difference == pytest.approx(6.0206, abs=1e-3)
    assert (found.channels, found.channel) == (2, 1)
    assert found.peak == pytest.approx(np.abs(NOISE).max() / 2)
    unlike = measure(np.stack([NOISE, other], 1), RATE)
    reference = np.corrcoef(NOISE, other)[0, 1]
    assert unlike.correlation == pytest.approx(reference)


def test_real_corpora_show_what_is_known(shared_data):
    def measured(pattern):
        for wav in sorted(shared_data.glob(pattern)):
            samples, rate = soundfile.read(wav, always_2d=True)
            yield measure(samples, rate)

    digits = list(measured("FSDD/recordings/*_0.wav"))
    assert digits and all(m.is_band_limited for m in digits)
    actors = list(measured("EMOVO/f1/*-b1.wav"))
    assert (
        abs(np.median([m.correlation for m in actors if m.channels > 1])) < 0.5
    )
    shows = list(measured("URDU/*/SM5_*1.wav"))
    for each in (actors, shows):
        assert each and not any(m.is_band_limited for m in each)
