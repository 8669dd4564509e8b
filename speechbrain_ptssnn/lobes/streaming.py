"""A causal head on frames as they come."""

import hashlib

import torch
from torch.nn import functional

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.nnet.members import members_of
from speechbrain_ptssnn.nnet.plif import PLIF
from speechbrain_ptssnn.nnet.stream_state import flat, nested


class HeadStream:
    r"""Classifies frames as they come, with the same result as the whole
    utterance, however it is cut.

    Calling it with some frames returns the mean firing rates of all frames so
    far. An unfinished group of pooled frames counts in them, as the last group
    of an utterance does, and is kept until it is finished. An error leaves the
    state as it was, so the stream can go on with the next block.

    Spikes equal those of the whole utterance in float64. In float32, where
    matrix products of other shapes round otherwise, about one spike in a
    million neuron-frames may differ (docs/streaming.md).

    Arguments
    ---------
    head : PTSSNN or Committee
        A head with ``causal: True``, or a committee of such, in evaluation
        mode.
    batch_size : int
        Streams that are processed side by side, frame by frame.

    Raises
    ------
    InputError
        If the head is not causal, its neurons are not PLIF neurons, or it has
        a spike encoder.

    Example
    -------
    >>> head = PTSSNN(8, causal=True, pooling=3).eval()
    >>> feats = torch.randn(1, 50, 8)
    >>> stream = head.stream()
    >>> for block in feats.split(7, dim=1):
    ...     rates = stream(block)
    >>> torch.equal(rates, head(feats).detach())
    True
    """

    def __init__(self, head, batch_size=1):
        name = type(head).__name__
        if not head.causal:
            raise InputError(
                f"this {name} is not causal, so it cannot classify a stream; "
                "train PTSSNN with causal: True (ablations/causal), or a "
                "committee with --head='{member: {causal: True}}'"
            )
        for each in members_of(head):
            _check_parts(each)
        self.head = head
        self.batch_size = batch_size
        self._fingerprint = _fingerprint(head)
        self.reset()

    @property
    def state(self):
        """What the stream keeps between two calls: a dict of tensors, whose
        sizes never change. ``torch.save`` and :meth:`load_state` take it.
        """
        return dict(self._state)

    @torch.no_grad()
    def reset(self):
        """Starts a new utterance."""
        held = next(self.head.parameters()).new_zeros(
            self.batch_size,
            self.head.pooling.n_frames - 1,
            self.head.feature_size,
        )
        # What the layers keep after no frame is where they start.
        state = {"held": held, "n_held": torch.tensor(0)}
        self._advance(held[:, :0], state)
        self._keep(state)

    def load_state(self, state):
        """Goes on from a state.

        Arguments
        ---------
        state : dict
            :attr:`state` of a stream of the same head and batch size.

        Raises
        ------
        InputError
            If it is the state of another head, or of another batch size.
        """
        if not isinstance(state, dict) or not (
            torch.is_tensor(state.get("head"))
            and torch.equal(state["head"].cpu(), self._fingerprint)
            and state.keys() == self._state.keys()
        ):
            raise InputError(
                "this is not a state of this head, with the weights and "
                "settings that it has now; load one of the same head"
            )
        for name, mine in self._state.items():
            if state[name].shape != mine.shape:
                raise InputError(
                    f"the state's {name} has the shape "
                    f"{list(state[name].shape)}, but this stream's, of batch "
                    f"size {self.batch_size}, has {list(mine.shape)}"
                )
        self._state = {
            name: state[name].to(mine, copy=True)
            for name, mine in self._state.items()
        }

    @torch.no_grad()
    def __call__(self, feats):
        """Takes the next frames of every stream.

        Arguments
        ---------
        feats : torch.Tensor
            [batch_size, time, input_size], one frame or more.

        Returns
        -------
        torch.Tensor
            What the head returns for all frames so far, [batch_size,
            n_classes].

        Raises
        ------
        InputError
            If the features have another shape or type or are not finite, or
            the head is in training mode. The state is then unchanged.
        """
        x, dtype = self.head.mix(feats), self._state["held"].dtype
        if feats.dtype != dtype:
            raise InputError(
                f"this stream's head computes in {dtype}, got features in "
                f"{feats.dtype}; convert them with feats.to({dtype})"
            )
        if len(x) != self.batch_size:
            raise InputError(
                f"this stream has the batch size {self.batch_size}, got "
                f"features of {len(x)}"
            )
        if not feats.isfinite().all():
            raise InputError(
                "the features hold NaN or infinite values; this block was left "
                "out, and the stream can go on with the next"
            )
        state, size = nested(self._state), self.head.pooling.n_frames
        x = torch.cat([state["held"][:, : int(state["n_held"])], x], 1)
        x, rest = x.tensor_split([x.shape[1] // size * size], 1)
        if x.shape[1]:
            rates = self._advance(x, state)
        if rest.shape[1]:
            rates = self._advance(rest, nested(flat(state)))
        state["n_held"] = torch.tensor(rest.shape[1])
        state["held"] = functional.pad(
            rest, (0, 0, 0, size - 1 - rest.shape[1])
        )
        self._keep(state)
        return rates

    def _advance(self, x, state):
        """Classifies frames, a short last group included."""
        if self.head.training:
            raise InputError(
                "a stream needs a head in evaluation mode; call head.eval()"
            )
        x, _ = self.head.pooling(x)
        return self.head.classify_pooled(x, state=state)

    def _keep(self, state):
        # Clones, since a slice would keep the whole block.
        self._state = {
            name: each.clone(memory_format=torch.contiguous_format)
            for name, each in flat(state).items()
        }
        self._state["head"] = self._fingerprint


def _check_parts(head):
    """Refuses a causal head whose layers keep no state."""
    if head.spike_encoder is not None:
        raise InputError(
            "a spike encoder cannot go on with a stream's next frames; "
            "train PTSSNN with spike_encoder: null (ablations/causal)"
        )
    neurons = [each.plif for each in head.encoder.blocks]
    for each in [*neurons, head.classifier.hidden]:
        if not isinstance(each, PLIF):
            raise InputError(
                f"neurons of the class {type(each).__name__} cannot go on "
                "with a stream's next frames; only PLIF neurons can"
            )


def _fingerprint(head):
    """A number that changes if a weight, statistic or setting does."""
    digest = hashlib.sha256()
    for name, module in head.named_modules():
        for key, value in sorted(vars(module).items()):
            if isinstance(value, int | float | str) and key != "training":
                digest.update(f"{name}.{key}={value}".encode())
    for name, value in sorted(head.state_dict().items()):
        value = value.detach().cpu().contiguous().view(-1)
        digest.update(f"{name} {value.dtype} {len(value)}".encode())
        digest.update(value.view(torch.uint8).numpy().tobytes())
    return torch.tensor(int.from_bytes(digest.digest()[:7]))
