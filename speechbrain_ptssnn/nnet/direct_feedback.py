"""Direct feedback alignment: the output's error reaches every layer at once."""

import math

import torch

from speechbrain_ptssnn.nnet.masking import frame_mask


class DirectFeedback(torch.nn.Module):
    r"""Gives each layer the output's error through a fixed random matrix.

    It returns the logits as they are. In the backward pass, with e the
    gradient of the logits, the spikes of layer l get B_l e / T as gradient in
    each of the T valid frames of an utterance. A layer whose input is detached
    and whose neurons are ``local`` then learns from delta[t] = (B_l e / T) *
    S(u[t]) times the trace of its input at t: what the membrane still holds of
    the inputs up to t. Nothing comes from other layers or through spikes of
    other frames.

    Source: Nøkland 2016, arXiv:1609.01596. Own choices: e is shared evenly
    between the frames, as the gradient of a mean is; B_l is normal with a
    variance of 1 / n_classes.

    Arguments
    ---------
    sizes : list of int
        Neurons of each layer.
    n_classes : int
        Outputs.

    Example
    -------
    >>> feedback = DirectFeedback([2], n_classes=1)
    >>> _ = feedback.layer_0.copy_(torch.tensor([[3.0, -1.0]]))
    >>> spikes = torch.zeros(1, 2, 2, requires_grad=True)
    >>> logits = torch.zeros(1, 1, requires_grad=True)
    >>> feedback(logits, [spikes]).backward()  # e = 1
    >>> spikes.grad.tolist()
    [[[1.5, -0.5], [1.5, -0.5]]]
    """

    def __init__(self, sizes, n_classes):
        super().__init__()
        for k, size in enumerate(sizes):
            matrix = torch.randn(n_classes, size) / math.sqrt(n_classes)
            self.register_buffer(f"layer_{k}", matrix)

    def forward(self, logits, spikes, lengths=None):
        """Returns the logits.

        Arguments
        ---------
        logits : torch.Tensor
            [batch, n_classes].
        spikes : list of torch.Tensor
            Of each layer, [batch, time, size].
        lengths : torch.Tensor, optional
            Relative lengths, [batch]; padded frames get no error.

        Returns
        -------
        torch.Tensor
            [batch, n_classes].
        """
        n_frames = spikes[0].shape[1]
        mask = frame_mask(lengths, n_frames)
        if mask is None:
            mask = logits.new_ones(len(logits), n_frames, 1)
        share = mask / mask.sum(1, keepdim=True)
        matrices = [getattr(self, f"layer_{k}") for k in range(len(spikes))]
        return _Feedback.apply(logits, share, len(spikes), *spikes, *matrices)


class _Feedback(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, share, n_layers, *spikes_and_matrices):
        ctx.save_for_backward(share, *spikes_and_matrices[n_layers:])
        return logits.clone()

    @staticmethod
    def backward(ctx, error):
        share, *matrices = ctx.saved_tensors
        fed_back = [(error @ each).unsqueeze(1) * share for each in matrices]
        return error, None, None, *fed_back, *[None] * len(matrices)
