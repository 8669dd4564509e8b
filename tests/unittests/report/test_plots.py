"""What the figures show of a spike encoder."""

import numpy as np
import torch
from matplotlib.colors import to_hex

from speechbrain_ptssnn.lobes.spike_encoder_net import SpikeEncoderNet
from speechbrain_ptssnn.nnet.fixed_spike_encoders import RateEncoder
from speechbrain_ptssnn.nnet.residual_spike_encoder import ResidualSpikeEncoder
from speechbrain_ptssnn.report.examples import hear
from speechbrain_ptssnn.report.plots import (
    BLUE,
    VERMILLION,
    example_figure,
    stages_figure,
)

WHITE = "#ffffff"


def drawn(encoder, x):
    """The figure of one utterance; its rasters, row by row from below."""
    head = SpikeEncoderNet(x.shape[1], 2, size=3, encoder=encoder).eval()
    heard = hear("a", torch.zeros(160), 16000, head, x[None], ["b", "c"], 1.0)
    figure, words = example_figure(heard, ["b", "c"])
    rasters = {
        axes.get_title(): axes.images[0].get_array()
        for axes in figure.axes
        if axes.images
    }
    return rasters, words


def colors(picture):
    return [[to_hex(cell).upper() for cell in row] for row in picture]


def test_ups_are_above_downs_in_each_channels_row():
    x = torch.tensor([[1.5, 0.0], [1.5, -2.0], [-0.75, -2.0]])
    rasters, words = drawn(lambda n: ResidualSpikeEncoder(n, [1.0, 0.25]), x)
    assert [*rasters] == [
        "spikes of the encoder, coarse stream",
        "spikes of the encoder, fine stream",
        "spikes of hidden.0.neurons",
        "spikes of hidden.1.neurons",
    ]
    white, blue, red = WHITE.upper(), BLUE.upper(), VERMILLION.upper()
    assert colors(rasters["spikes of the encoder, coarse stream"]) == [
        [white, white, red],  # the first channel's downs
        [blue, white, white],  # and its ups
        [white, red, red],
        [white, white, white],
    ]
    assert "coarse stream spikes at a rate of 0.167 and 0.500" in words


def test_a_stream_of_one_direction_has_one_color():
    rasters, _ = drawn(RateEncoder, torch.tensor([[9.0, -9.0], [-9.0, 9.0]]))
    white, blue = WHITE.upper(), BLUE.upper()
    picture = rasters["spikes of the encoder"]
    assert colors(picture) == [[blue, white], [white, blue]]


def test_stages_over_training_are_drawn_where_they_were_logged():
    assert stages_figure([{"loss/train": {1: 0.5}}]) is None
    fold = {
        "stages/encoder/error": {1: 0.5, 2: 0.25},
        "stages/mel/between": {1: 0.125, 2: 0.125},
        "stages/encoder/between": {1: 0.125, 2: 0.375},
    }
    figure, words = stages_figure([fold, fold])
    errors, shares = figure.axes
    (line,) = errors.lines
    assert np.array_equal(line.get_xydata(), [[1, 0.5], [2, 0.25]])
    labels = [line.get_label() for line in shares.lines]
    assert labels == ["mel", "encoder"]
    assert shares.lines[1].get_color() == line.get_color()
    assert "error of encoder 0.250" in words
    assert "between classes encoder 0.375" in words
