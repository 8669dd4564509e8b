"""PTS-SNN, a prompt-tuned temporal-shift spiking neural network
(arXiv:2602.08240), for speech emotion recognition with SpeechBrain.
"""

import os

# Beside another program, threads of GNU OpenMP that keep their cores busy while
# they wait make training many times slower; with this they soon sleep. OpenMP
# reads it once, when torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

from speechbrain_ptssnn.lobes.baselines import LinearProbe, VanillaSNN
from speechbrain_ptssnn.lobes.classifier import PLIFClassifier
from speechbrain_ptssnn.lobes.pts_snn import PTSSNN, TemporalShiftSpikingEncoder
from speechbrain_ptssnn.losses import FocalSmoothingLoss
from speechbrain_ptssnn.metrics import unweighted_accuracy, weighted_accuracy
from speechbrain_ptssnn.nnet.attention import SpikingSparseLinearAttention
from speechbrain_ptssnn.nnet.calibration import HomeostaticBiasGenerator
from speechbrain_ptssnn.nnet.normalization import SoftSaturation
from speechbrain_ptssnn.nnet.plif import PLIF
from speechbrain_ptssnn.nnet.temporal_shift import TemporalShift

__version__ = "0.1.0"

__all__ = [
    "PLIF",
    "PTSSNN",
    "FocalSmoothingLoss",
    "HomeostaticBiasGenerator",
    "LinearProbe",
    "PLIFClassifier",
    "SoftSaturation",
    "SpikingSparseLinearAttention",
    "TemporalShift",
    "TemporalShiftSpikingEncoder",
    "VanillaSNN",
    "unweighted_accuracy",
    "weighted_accuracy",
]
