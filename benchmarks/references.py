"""Heads from the parts of other libraries, for comparison with PTS-SNN."""

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import nn


def _plif():
    return neuron.ParametricLIFNode(
        decay_input=False,
        v_reset=None,
        surrogate_function=surrogate.Sigmoid(alpha=5.0),
        detach_reset=True,
        step_mode="m",
    )


class StockBlock(nn.Module):
    """A residual block of the encoder, made of SpikingJelly's layers."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.linear = layer.Linear(n_in, n_out, step_mode="m")
        self.norm = nn.BatchNorm1d(n_out)
        self.shortcut = layer.Linear(n_in, n_out, bias=False, step_mode="m")
        self.plif = _plif()

    def forward(self, x):  # [time, batch, channels]
        n = x.shape[-1] // 4
        shifted = torch.zeros_like(x)
        shifted[1:, :, :n] = x[:-1, :, :n]
        shifted[..., n:] = x[..., n:]
        current = self.linear(shifted)
        current = self.norm(current.flatten(0, 1)).view_as(current)
        return self.plif(current + self.shortcut(x))


class StockHead(nn.Module):
    """The default PTS-SNN, made of parts of SpikingJelly 2.0 and PyTorch.

    Sizes and matrix products are the same. There are no masks, and the first
    dimension is time.
    """

    def __init__(self, input_size=768, n_classes=4, n_prompts=5, key_size=64):
        super().__init__()
        self.saturation = nn.LayerNorm(input_size)
        self.blocks = nn.Sequential(
            StockBlock(input_size, 512), StockBlock(512, 256)
        )
        self.prompts = nn.Parameter(torch.normal(1.0, 0.5, (n_prompts, 256)))
        self.tokens = neuron.IFNode(
            v_reset=None, surrogate_function=surrogate.Sigmoid(alpha=5.0)
        )
        self.query = nn.Linear(256, key_size, bias=False)
        self.key = nn.Linear(256, key_size, bias=False)
        self.value = nn.Linear(256, 256, bias=False)
        self.norm = nn.BatchNorm1d(256)
        self.down, self.up = nn.Linear(256, 64), nn.Linear(64, 256)
        self.hidden = _plif()
        self.linear = layer.Linear(256, n_classes, step_mode="m")
        self.output = _plif()

    def forward(self, feats):  # [batch, time, channels]
        functional.reset_net(self)
        x = torch.tanh(0.1 * self.saturation(feats)).transpose(0, 1)
        x = self.blocks(x.contiguous()).transpose(0, 1)
        prompts = self.prompts.expand(len(x), -1, -1)
        tokens = self.tokens(torch.cat([prompts, x], dim=1))
        query, key = self.query(tokens), self.key(tokens).softmax(1)
        y = query @ (key.transpose(1, 2) @ self.value(tokens))
        prompts, feats = y[:, : len(self.prompts)], y[:, len(self.prompts) :]
        feats = self.norm(feats.flatten(0, 1)).view_as(feats)
        context = torch.relu(self.down(prompts.mean(1)))
        bias = 0.5 * torch.tanh(self.up(context))
        current = (feats + bias.unsqueeze(1)).transpose(0, 1).contiguous()
        return self.output(self.linear(self.hidden(current))).mean(0)


class MatrixProducts(nn.Module):
    """Only the head's matrix products: no head can be faster."""

    def __init__(self, input_size=768, n_classes=4, key_size=64):
        super().__init__()
        sizes = [
            (input_size, 512),
            (input_size, 512),
            (512, 256),
            (512, 256),
            (256, key_size),
            (256, key_size),
            (256, 256),
            (256, n_classes),
        ]
        self.weights = nn.ParameterList(
            torch.randn(n_out, n_in) / n_in**0.5 for n_in, n_out in sizes
        )

    def forward(self, feats):
        w = self.weights
        linear = nn.functional.linear
        if self.training:  # the head's first norm needs this gradient
            feats = feats.detach().requires_grad_()
        first, shortcut = linear(feats, w[0]), linear(feats, w[1])
        second, shortcut2 = linear(first, w[2]), linear(shortcut, w[3])
        query, key = linear(second, w[4]), linear(shortcut2, w[5])
        value = linear(second, w[6])
        context = key.transpose(1, 2) @ value
        return linear(query @ context, w[7])


class TransformerLayer(nn.Module):
    """A transformer layer, mean and output, with the head's 1.19 M
    parameters.
    """

    def __init__(self, input_size=768, n_classes=4):
        super().__init__()
        self.project = nn.Linear(input_size, 256)
        self.layer = nn.TransformerEncoderLayer(
            256, 4, dim_feedforward=1408, dropout=0.0, batch_first=True
        )
        self.output = nn.Linear(256, n_classes)

    def forward(self, feats):
        return self.output(self.layer(self.project(feats)).mean(1))
