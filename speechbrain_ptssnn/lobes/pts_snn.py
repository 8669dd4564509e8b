"""PTS-SNN, the paper's figure 2, read from top to bottom."""

from itertools import pairwise

import torch
from torch.nn import functional

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.lobes.classifier import PLIFClassifier
from speechbrain_ptssnn.nnet.attention import (
    PromptsAlone,
    SpikingSparseLinearAttention,
)
from speechbrain_ptssnn.nnet.calibration import HomeostaticBiasGenerator
from speechbrain_ptssnn.nnet.frame_pooling import FramePooling
from speechbrain_ptssnn.nnet.fusing import Folding, learns
from speechbrain_ptssnn.nnet.layer_mixture import LayerMixture
from speechbrain_ptssnn.nnet.masking import frame_mask
from speechbrain_ptssnn.nnet.normalization import (
    MaskedBatchNorm,
    SoftSaturation,
)
from speechbrain_ptssnn.nnet.plif import PLIF, SingleStepPLIF
from speechbrain_ptssnn.nnet.spiking_input import SpikingInput
from speechbrain_ptssnn.nnet.temporal_shift import TemporalShift


class SpikingShiftBlock(torch.nn.Module):
    r"""One residual block of the encoder: PLIF(BN(W shift(h) + b)) (eq. 6).

    Arguments
    ---------
    input_size : int
        Channels in.
    output_size : int
        Channels out.
    shift : torch.nn.Module
        The temporal shift.
    shortcut : str
        "membrane" adds a bias-free projection of h to the current, so that
        the output stays binary; "spike" adds it after the neurons; "none"
        leaves it out. Own choice: the paper says "residual" and no more.
    plif : callable
        ``plif(n_neurons)`` makes a layer of neurons.

    Raises
    ------
    ValueError
        If ``shortcut`` is none of the three.

    Example
    -------
    >>> block = SpikingShiftBlock(4, 3, TemporalShift(0.25))
    >>> block(torch.rand(2, 5, 4)).shape
    torch.Size([2, 5, 3])
    """

    def __init__(
        self,
        input_size,
        output_size,
        shift,
        shortcut="membrane",
        plif=PLIF,
    ):
        super().__init__()
        if shortcut not in ("membrane", "spike", "none"):
            raise ValueError(
                "shortcut must be 'membrane', 'spike' or 'none', got "
                f"{shortcut!r}"
            )
        self.shortcut = shortcut
        self.shift = shift
        self.linear = torch.nn.Linear(input_size, output_size)
        self.norm = MaskedBatchNorm(output_size)
        self.plif = plif(output_size)
        self._folding = Folding()
        if shortcut != "none":
            self.projection = torch.nn.Linear(
                input_size, output_size, bias=False
            )

    def forward(self, h, lengths=None):
        """Maps h, [batch, time, input_size], to spikes, [batch, time,
        output_size]; padded frames of both are 0.
        """
        if learns(self, self.linear.weight):
            current = self.norm(self.linear(self.shift(h)), lengths)
            if self.shortcut == "membrane":
                current = current + self.projection(h)
        else:
            still, moving, bias = self._folding(self._fold, self._tensors())
            current = functional.linear(h, still, bias)
            self.shift.add_product(current, h, moving)
        spikes = self.plif(current, lengths)
        if self.shortcut == "spike":
            return spikes + self.projection(h)
        return spikes

    def _tensors(self):
        tensors = [self.linear.weight, self.linear.bias, *self.norm.tensors()]
        if self.shortcut == "membrane":
            tensors.append(self.projection.weight)
        return tensors

    def _fold(self):
        """Evaluation's current is linear in h: what acts on h as it stands,
        norm and membrane shortcut included, what acts on the channels that
        shift, and the bias.
        """
        scale, offset = self.norm.affine()
        moving = self.linear.weight * scale.unsqueeze(-1)
        still = moving.clone()
        still[:, : self.shift.n_moving(still.shape[1])] = 0
        if self.shortcut == "membrane":
            still += self.projection.weight
        return still, moving, offset + self.linear.bias * scale


class TemporalShiftSpikingEncoder(torch.nn.Module):
    r"""Two residual spiking blocks with temporal shift (eq. 6, figure 3).

    Causal, unless the shift is two-sided.

    Arguments
    ---------
    input_size : int
        Channels of the (saturated) features.
    hidden_size : int
        Channels after the first block.
    output_size : int
        Channels after the second.
    shift_fraction : float
        Share of channels that the shift delays by one frame.
    two_sided_shift : bool
        Whether as many channels are shifted from the future.
    shortcut : str
        "membrane", "spike" or "none"; see :class:`SpikingShiftBlock`.
    plif : callable
        ``plif(n_neurons)`` makes a layer of neurons.

    Example
    -------
    >>> encoder = TemporalShiftSpikingEncoder(768)
    >>> encoder(torch.randn(2, 10, 768)).shape
    torch.Size([2, 10, 256])
    """

    def __init__(
        self,
        input_size,
        hidden_size=512,
        output_size=256,
        shift_fraction=0.25,
        two_sided_shift=False,
        shortcut="membrane",
        plif=PLIF,
    ):
        super().__init__()
        sizes = [input_size, hidden_size, output_size]
        self.blocks = torch.nn.ModuleList(
            SpikingShiftBlock(
                n_in,
                n_out,
                TemporalShift(shift_fraction, two_sided_shift),
                shortcut,
                plif,
            )
            for n_in, n_out in pairwise(sizes)
        )

    def forward(self, x, lengths=None):
        """Encodes features into spikes.

        Arguments
        ---------
        x : torch.Tensor
            [batch, time, input_size].
        lengths : torch.Tensor, optional
            Relative lengths, [batch].

        Returns
        -------
        torch.Tensor
            [batch, time, output_size], padded frames 0.
        """
        mask = frame_mask(lengths, x.shape[1])
        if mask is not None:
            x = x.masked_fill(~mask, 0)
        for block in self.blocks:
            x = block(x, lengths)
        return x


class PTSSNN(torch.nn.Module):
    r"""Prompt-tuned temporal-shift spiking neural network (arXiv:2602.08240).

    Arguments
    ---------
    input_size : int
        Channels of the frozen backbone's features.
    n_classes : int
        Emotions.
    hidden_size : int
        Channels between the two encoder blocks.
    size : int
        Channels of encoder output, attention and bias.
    shift_fraction : float
        Share of channels that the temporal shift delays.
    two_sided_shift : bool
        Whether as many are shifted from the future; not causal then.
    shortcut : str
        "membrane", "spike" or "none".
    attention : bool
        False leaves the attention out (table V): the encoder's spikes are the
        classifier's current, and prompts, which see no frame then, give the
        same learnt bias to every utterance.
    n_prompts : int
        Soft prompts (figure 4a: 1 to 6). 0 leaves them out, and with them the
        bias generator, which has no other input (table V).
    key_size : int, optional
        Columns of Q and K; ``size // 4`` by default.
    bias_hidden : int
        Bottleneck of the bias generator.
    kappa : float
        Bound of the bias voltage (figure 4b: 0.4 to 1.0).
    saturation : float
        Scale of eq. 5.
    layer_norm : bool
        Whether eq. 5 has its LayerNorm.
    plif : callable
        ``plif(n_neurons)`` makes a layer of neurons; the YAML gives
        :class:`~speechbrain_ptssnn.nnet.plif.PLIF` with its numbers.
    token_plif : callable
        ``token_plif()`` makes the attention's single-step neurons.
    n_layers : int
        Hidden states that stand side by side in the features
        (``layer: weighted``); a learnt mixture of them is what the saturation
        gets.
    pooling : int
        Frames that are averaged into one before all else.
    spiking_input : bool
        Whether the saturated features become spikes before the first product,
        which then costs accumulations only; see :class:`SpikingInput`.
    readout : str
        "spike" or "membrane"; see :class:`PLIFClassifier`.
    logit_scale : float
        Factor on the rates; see :class:`PLIFClassifier`.

    Raises
    ------
    ValueError
        If ``shortcut``, ``n_prompts``, ``shift_fraction``, ``pooling`` or
        ``readout`` is not allowed.
    InputError
        If the features have another size than ``input_size``, or no frame.

    Example
    -------
    >>> head = PTSSNN()
    >>> head(torch.randn(2, 50, 768), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 4])
    >>> sum(p.numel() for p in head.parameters())
    1187656
    """

    def __init__(
        self,
        input_size=768,
        n_classes=4,
        hidden_size=512,
        size=256,
        shift_fraction=0.25,
        two_sided_shift=False,
        shortcut="membrane",
        n_prompts=5,
        key_size=None,
        bias_hidden=64,
        kappa=0.5,
        saturation=0.1,
        layer_norm=True,
        plif=PLIF,
        token_plif=SingleStepPLIF,
        n_layers=1,
        pooling=1,
        spiking_input=False,
        attention=True,
        readout="spike",
        logit_scale=1.0,
    ):
        super().__init__()
        self.input_size = input_size
        self.mixture = LayerMixture(n_layers)
        self.pooling = FramePooling(pooling)
        feature_size = input_size // n_layers
        self.saturation = SoftSaturation(feature_size, saturation, layer_norm)
        self.spiking_input = None
        if spiking_input:
            self.spiking_input = SpikingInput(feature_size, plif=plif)
        self.encoder = TemporalShiftSpikingEncoder(
            2 * feature_size if spiking_input else feature_size,
            hidden_size,
            size,
            shift_fraction,
            two_sided_shift,
            shortcut,
            plif,
        )
        if attention:
            self.attention = SpikingSparseLinearAttention(
                size, n_prompts, key_size, token_plif
            )
        else:
            self.attention = PromptsAlone(size, n_prompts)
        self.bias_generator = None
        if n_prompts:
            self.bias_generator = HomeostaticBiasGenerator(
                size, bias_hidden, kappa
            )
        self.classifier = PLIFClassifier(
            size, n_classes, plif, readout, logit_scale
        )

    def forward(self, feats, lengths=None):
        """Classifies utterances.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, time, input_size].
        lengths : torch.Tensor, optional
            Relative lengths, [batch].

        Returns
        -------
        torch.Tensor
            Mean firing rates, [batch, n_classes], in [0, 1] (or what
            ``readout`` and ``logit_scale`` make of them).
        """
        check_feature_size(self, feats)
        if frame_mask(lengths, feats.shape[1]) is None:
            lengths = None  # every frame is real: no part has to look again
        feats, lengths = self.pooling(self.mixture(feats), lengths)
        feats = self.saturation(feats)
        if self.spiking_input is not None:
            feats = self.spiking_input(feats, lengths)
        encoded = self.encoder(feats, lengths)
        prompts, features = self.attention(encoded, lengths)
        if self.bias_generator is not None:
            features = features + self.bias_generator(prompts).unsqueeze(1)
        return self.classifier(features, lengths)


def check_feature_size(head, feats):
    """Raises InputError unless feats is [batch, time, head.input_size]."""
    right = feats.ndim == 3 and feats.shape[-1] == head.input_size
    if not right or feats.shape[1] == 0:
        raise InputError(
            f"{type(head).__name__} needs features [batch, time, "
            f"{head.input_size}], got {list(feats.shape)}; set input_size to "
            "the backbone's output_size"
        )
