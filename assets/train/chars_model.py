"""A small character-level decoder: RMSNorm, rotary positions, SwiGLU, and a key-value cache at its edges.

The shape is the common one of today's language models (pre-normalised residual blocks, no biases), so that its exported graph asks of
a runtime what theirs do. Names of inputs and outputs follow transformers' exports.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Shape:
    """The sizes that make a decoder."""

    vocabulary: int
    layers: int = 4
    width: int = 128
    heads: int = 4
    hidden: int = 344
    context: int = 512
    """Characters seen at once in training; positions past it are not learned."""

    @property
    def head_width(self):
        return self.width // self.heads


class RmsNorm(nn.Module):
    """Root-mean-square normalisation with a learned scale (Zhang and Sennrich, 2019)."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6))


def rotate(x, cosine, sine):
    """Rotary position embedding (Su et al., 2021), with the first and second half of a head as the pairs."""
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-second, first), dim=-1) * sine


class Attention(nn.Module):
    """Causal self-attention over the cache and the new characters."""

    def __init__(self, shape):
        super().__init__()
        self.heads = shape.heads
        self.q_proj = nn.Linear(shape.width, shape.width, bias=False)
        self.k_proj = nn.Linear(shape.width, shape.width, bias=False)
        self.v_proj = nn.Linear(shape.width, shape.width, bias=False)
        self.o_proj = nn.Linear(shape.width, shape.width, bias=False)

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x, rotation, allowed, past):
        """`allowed` is None in training: plain causal attention without a cache, by the fused kernel."""
        query = rotate(self.split(self.q_proj(x)), *rotation)
        key = rotate(self.split(self.k_proj(x)), *rotation)
        value = self.split(self.v_proj(x))
        if allowed is None:
            mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        else:
            key = torch.cat((past[0], key), dim=2)
            value = torch.cat((past[1], value), dim=2)
            scores = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5
            scores = torch.where(allowed, scores, torch.finfo(scores.dtype).min)
            mixed = torch.softmax(scores, dim=-1) @ value
        return self.o_proj(mixed.transpose(1, 2).flatten(2)), key, value


class Block(nn.Module):
    """Attention and a gated feed-forward part (SwiGLU; Shazeer, 2020), each added to the residual stream."""

    def __init__(self, shape):
        super().__init__()
        self.attention_norm = RmsNorm(shape.width)
        self.attention = Attention(shape)
        self.mlp_norm = RmsNorm(shape.width)
        self.gate_proj = nn.Linear(shape.width, shape.hidden, bias=False)
        self.up_proj = nn.Linear(shape.width, shape.hidden, bias=False)
        self.down_proj = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x, rotation, allowed, past):
        mixed, key, value = self.attention(self.attention_norm(x), rotation, allowed, past)
        x = x + mixed
        normed = self.mlp_norm(x)
        return x + self.down_proj(F.silu(self.gate_proj(normed)) * self.up_proj(normed)), key, value


class Decoder(nn.Module):
    """Characters in, logits of the next character out."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = RmsNorm(shape.width)
        self.head = nn.Linear(shape.width, shape.vocabulary, bias=False)
        pairs = torch.arange(0, shape.head_width, 2, dtype=torch.float32) / shape.head_width
        self.register_buffer("inverse_frequency", 10000.0**-pairs, persistent=False)
        self.initialise()

    def initialise(self):
        """Normal weights; what writes into the residual stream starts at zero."""
        for name, weight in self.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight", "head.weight")):
                nn.init.zeros_(weight)
            elif weight.dim() == 2:
                nn.init.normal_(weight, std=weight.shape[1] ** -0.5)

    def rotation(self, positions):
        """Cosine and sine of every position's angles, `[batch, 1, seq, head_width]`."""
        angles = positions.unsqueeze(-1).to(torch.float32) * self.inverse_frequency
        angles = torch.cat((angles, angles), dim=-1).unsqueeze(1)
        return angles.cos(), angles.sin()

    def forward(self, ids):
        """Logits without a cache, for training."""
        positions = torch.arange(ids.shape[1]).unsqueeze(0)
        x, rotation = self.embed(ids), self.rotation(positions)
        for layer in self.layers:
            x, _, _ = layer(x, rotation, None, None)
        return self.head(self.norm(x))


class Cached(nn.Module):
    """The decoder as it is exported: the cache goes in and comes out with the new characters appended."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, input_ids, attention_mask, position_ids, past):
        """`past` is a list of (key, value) pairs, one per layer, each `[batch, heads, past, head_width]`."""
        seq, total = input_ids.shape[1], attention_mask.shape[1]
        row = torch.arange(seq).unsqueeze(1) + past[0][0].shape[2]
        causal = torch.arange(total).unsqueeze(0) <= row
        allowed = causal & attention_mask.to(torch.bool).unsqueeze(1).unsqueeze(1)

        x, rotation = self.decoder.embed(input_ids), self.decoder.rotation(position_ids)
        present = []
        for layer, pair in zip(self.decoder.layers, past):
            x, key, value = layer(x, rotation, allowed, pair)
            present += [key, value]
        return self.decoder.head(self.decoder.norm(x)), *present
