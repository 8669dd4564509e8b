"""PTS-SNN, the paper's figure 2: its encoder and the whole head."""

from itertools import pairwise

import torch
from torch.nn import functional

from speechbrain_ptssnn.lobes.base import Head
from speechbrain_ptssnn.lobes.classifier import PLIFClassifier
from speechbrain_ptssnn.nnet.attention import (
    PromptsAlone,
    SpikingSparseLinearAttention,
)
from speechbrain_ptssnn.nnet.calibration import (
    BiasOverTime,
    HomeostaticBiasGenerator,
)
from speechbrain_ptssnn.nnet.frame_pooling import FramePooling
from speechbrain_ptssnn.nnet.fusing import FusedWeights, learns
from speechbrain_ptssnn.nnet.masking import frame_mask
from speechbrain_ptssnn.nnet.normalization import (
    MaskedBatchNorm,
    SoftSaturation,
)
from speechbrain_ptssnn.nnet.plif import PLIF, SingleStepPLIF
from speechbrain_ptssnn.nnet.spiking_input import SpikingInput
from speechbrain_ptssnn.nnet.stream_state import part
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
        "membrane" adds a projection of h, without bias, to the current, so
        that the output stays binary; "spike" adds it after the neurons;
        "none" has no projection. Own choice: the paper only says "residual".
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
        self._fused = FusedWeights()
        if shortcut != "none":
            self.projection = torch.nn.Linear(
                input_size, output_size, bias=False
            )

    def forward(self, h, lengths=None, state=None):
        """Maps h, [batch, time, input_size], to spikes, [batch, time,
        output_size]. Padded frames of h must be 0, those of the spikes are.
        A stream, in evaluation, gives its state, a dict.
        """
        tensors = self._tensors()
        if learns(self, tensors):
            current = self.norm(self.linear(self.shift(h)), lengths)
            if self.shortcut == "membrane":
                current = current + self.projection(h)
        else:
            unshifted, shifted, bias = self._fused(
                self.fuse, tensors, check=not state
            )
            current = functional.linear(h, unshifted, bias)
            self.shift.add_product(current, h, shifted, **part(state, "shift"))
        spikes = self.plif(current, lengths, **part(state, "plif"))
        if self.shortcut == "spike":
            return spikes + self.projection(h)
        return spikes

    def _tensors(self):
        tensors = [self.linear.weight, self.linear.bias, *self.norm.tensors()]
        if self.shortcut == "membrane":
            tensors.append(self.projection.weight)
        return tensors

    def fuse(self):
        """Fuses BatchNorm and the membrane shortcut into the weights: in
        evaluation the current is affine in h.

        Returns
        -------
        unshifted : torch.Tensor
            Weight of h, [output_size, input_size].
        shifted : torch.Tensor
            Weight of the shifted h; only the shifted channels' columns count.
        bias : torch.Tensor
            [output_size].
        """
        scale, offset = self.norm.affine()
        shifted = self.linear.weight * scale.unsqueeze(-1)
        unshifted = shifted.clone()
        unshifted[:, : self.shift.n_shifted(unshifted.shape[1])] = 0
        if self.shortcut == "membrane":
            unshifted += self.projection.weight
        return unshifted, shifted, offset + self.linear.bias * scale


class TemporalShiftSpikingEncoder(torch.nn.Module):
    r"""Two residual spiking blocks with temporal shift (eq. 6, figure 3).

    It is causal, unless the shift is two-sided.

    Arguments
    ---------
    input_size : int
        Channels of the (saturated) features.
    hidden_size : int
        Channels after the first block.
    output_size : int
        Channels after the second block.
    shift_fraction, two_sided_shift : float, bool
        See :class:`~speechbrain_ptssnn.nnet.temporal_shift.TemporalShift`.
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

    def forward(self, x, lengths=None, state=None):
        """Maps x, [batch, time, input_size], to spikes, [batch, time,
        output_size], whose padded frames are 0. A stream, in evaluation, gives
        its state, a dict.
        """
        mask = frame_mask(lengths, x.shape[1])
        if mask is not None:
            x = x.masked_fill(~mask, 0)
        for k, block in enumerate(self.blocks):
            x = block(x, lengths, **part(state, f"block{k}"))
        return x


class PTSSNN(Head):
    r"""Prompt-tuned temporal-shift spiking neural network (arXiv:2602.08240).

    Arguments
    ---------
    input_size, n_classes, n_layers : int
        See :class:`~speechbrain_ptssnn.lobes.base.Head`.
    hidden_size : int
        Channels between the two encoder blocks.
    size : int
        Channels of encoder output, attention and bias.
    shift_fraction : float
        Share of channels that the temporal shift delays.
    two_sided_shift : bool
        Whether as many channels are shifted from the future; the head is then
        not causal.
    shortcut : str
        "membrane", "spike" or "none"; see :class:`SpikingShiftBlock`.
    n_prompts : int
        Soft prompts (figure 4a: 1 to 6). 0 leaves out the bias generator too,
        because the prompts are its only input (table V).
    key_size : int, optional
        Columns of Q and K; ``size // 4`` by default.
    bias_hidden : int
        Bottleneck of the bias generator.
    kappa : float
        Bound of the bias voltage (figure 4b: 0.4 to 1.0).
    bias_dropout : float
        Probability that an utterance gets no bias in training; see
        :class:`~speechbrain_ptssnn.nnet.calibration.HomeostaticBiasGenerator`.
    saturation : float
        Scale of eq. 5.
    layer_norm : bool
        Whether eq. 5 has its LayerNorm.
    plif : callable
        ``plif(n_neurons)`` makes a layer of neurons; the YAML gives
        :class:`~speechbrain_ptssnn.nnet.plif.PLIF` with its numbers.
    token_plif : callable
        ``token_plif()`` makes the attention's single-step neurons.
    pooling : int
        Frames that are averaged into one before the first layer.
    spiking_input : bool
        Whether the saturated features become spikes before the first product,
        which then needs accumulations only; see
        :class:`~speechbrain_ptssnn.nnet.spiking_input.SpikingInput`.
    spike_encoder : callable, optional
        ``spike_encoder(size)`` makes a layer that turns features into spikes in
        place of the saturation, such as
        :class:`~speechbrain_ptssnn.nnet.residual_spike_encoder.ResidualSpikeEncoder`
        for mel filters; see docs/spike_encoder.md. Own choice.
    attention : bool
        False leaves out the attention (table V): the encoder's spikes are the
        classifier's current. The prompts then see no frame, so every
        utterance gets the same learnt bias.
    attention_norm : bool
        Whether a BatchNorm stands between eq. 9 and eq. 13.
    causal : bool
        Whether the attention of a frame sees the prompts and the frames up to
        it only. No part of the head then looks ahead, so it can classify a
        stream; see :meth:`stream`. Own choice: the paper has whole utterances.
    bias_period : int
        With ``causal``, the bias voltages follow the prompts every so many
        (pooled) frames.
    readout : str
        "spike" or "membrane"; see
        :class:`~speechbrain_ptssnn.lobes.classifier.PLIFClassifier`.
    logit_scale : float
        Factor on the rates; see there.

    Raises
    ------
    ValueError
        If ``shortcut``, ``n_prompts``, ``shift_fraction``, ``pooling``,
        ``bias_dropout``, ``readout`` or ``bias_period`` is not allowed,
        ``causal`` and ``two_sided_shift`` are both True, or ``spike_encoder``
        stands beside ``spiking_input`` or ``pooling``.

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
        bias_dropout=0.0,
        attention_norm=True,
        causal=False,
        bias_period=1,
        spike_encoder=None,
    ):
        super().__init__(input_size, n_layers)
        if spike_encoder is not None and (spiking_input or pooling != 1):
            raise ValueError(
                "spike_encoder excludes spiking_input: True and pooling other "
                "than 1, as it reads each frame and makes the spikes itself"
            )
        if causal and two_sided_shift:
            raise ValueError(
                "causal: True and two_sided_shift: True exclude each other, as "
                "a two-sided shift sees the next frame"
            )
        if bias_period != 1 and not (causal and attention and n_prompts):
            raise ValueError(
                f"bias_period is {bias_period}, but only causal: True with "
                "attention and prompts has a bias that changes; leave it at 1"
            )
        self.causal = causal
        self.pooling = FramePooling(pooling)
        feature_size = self.feature_size
        self.spike_encoder = self.saturation = self.spiking_input = None
        if spike_encoder is not None:
            self.spike_encoder = spike_encoder(feature_size)
            feature_size = self.spike_encoder.output_size
        else:
            self.saturation = SoftSaturation(
                feature_size, saturation, layer_norm
            )
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
                size,
                n_prompts,
                key_size,
                token_plif,
                attention_norm,
                causal,
                bias_period,
            )
        else:
            self.attention = PromptsAlone(size, n_prompts)
        self.bias_generator = None
        if n_prompts:
            self.bias_generator = HomeostaticBiasGenerator(
                size, bias_hidden, kappa, bias_dropout
            )
        self.bias_over_time = None
        if causal and attention and n_prompts:
            self.bias_over_time = BiasOverTime(bias_period)
        self.classifier = PLIFClassifier(
            size, n_classes, plif, readout, logit_scale
        )

    def forward(self, feats, lengths=None):
        """Returns mean firing rates, [batch, n_classes], in [0, 1], or what
        ``readout`` and ``logit_scale`` make of them.
        """
        x = self.mix(feats)
        if frame_mask(lengths, x.shape[1]) is None:
            lengths = None  # nothing is padded: no layer has to check again
        return self.classify_pooled(*self.pooling(x, lengths))

    def classify_pooled(self, x, lengths=None, state=None):
        """Classifies frames that are mixed and pooled.

        Arguments
        ---------
        x : torch.Tensor
            [batch, time, feature_size].
        lengths : torch.Tensor, optional
            Relative lengths, [batch].
        state : dict, optional
            A stream's, empty at its start: what the layers keep of the frames
            before. It is replaced by what they keep after these frames.

        Returns
        -------
        torch.Tensor
            As :meth:`forward`; in a stream, over all frames so far.
        """
        if self.spike_encoder is not None:
            x = self.spike_encoder(x, lengths)
        else:
            x = self.saturation(x)
        if self.spiking_input is not None:
            x = self.spiking_input(x, lengths, **part(state, "spiking_input"))
        encoded = self.encoder(x, lengths, **part(state, "encoder"))
        kept, first = part(state, "bias_over_time"), 0
        if self.bias_over_time is not None:
            first = self.bias_over_time.first(kept.get("state"))
        prompts, features = self.attention(
            encoded, lengths, **part(state, "attention"), first=first
        )
        if self.bias_generator is not None:
            bias = self.bias_generator(prompts)
            if self.bias_over_time is None:
                bias = bias.unsqueeze(1)
            else:
                bias = self.bias_over_time(bias, features.shape[1], **kept)
            features = features + bias
        return self.classifier(features, lengths, **part(state, "classifier"))
