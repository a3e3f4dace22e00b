"""The peer of `tests.benchmarks.training`, for a Python that has PyTorch: the same model, weights, batches and steps.

    python training_torch.py data.npz batch epochs

prints the loss of a first batch, then the seconds of each epoch of a training, as JSON.
"""

import json
import sys
import time

import numpy as np
import torch
from torch import nn


class NextItem(nn.Module):
    """Item and action embeddings, an LSTM, and a score for every item at every position."""

    def __init__(self, weights):
        super().__init__()
        items, actions, kernel, recurrent, bias, head, head_bias = map(torch.tensor, weights)
        self.items = nn.Embedding.from_pretrained(items, freeze=False)
        self.actions = nn.Embedding.from_pretrained(actions, freeze=False)
        self.encoder = nn.LSTM(len(kernel), len(recurrent), batch_first=True)
        self.head = nn.Linear(*head.shape)
        given = kernel.T, recurrent.T, bias, torch.zeros_like(bias)  # the gates stand in the same order
        for parameter, values in zip(self.encoder.parameters(), given):
            parameter.data = values.contiguous()
        self.encoder.bias_hh_l0.requires_grad = False  # Keras has one bias, not two
        self.head.weight.data, self.head.bias.data = head.T.contiguous(), head_bias

    def forward(self, items, actions):
        encoded, _ = self.encoder(torch.cat([self.items(items), self.actions(actions)], dim=-1))
        return self.head(encoded)


def train(data, epochs, batch_size, learning_rate=3e-3, seed=0):
    """Train from the given weights; return the mean loss of the last epoch and the seconds of each."""
    model = NextItem([data[f"weight_{number}"] for number in range(7)])
    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    adam = torch.optim.Adam(learnt, learning_rate, eps=1e-7)
    items, actions, targets = (torch.tensor(data[name], dtype=torch.long) for name in ("items", "actions", "targets"))
    random, order, ends = np.random.default_rng(seed), np.arange(len(targets)), [time.perf_counter()]
    for _ in range(epochs):
        random.shuffle(order)
        losses = []
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            scores = model(items[rows], actions[rows])
            loss = nn.functional.cross_entropy(scores.flatten(0, 1), targets[rows].flatten(), ignore_index=0)
            adam.zero_grad()
            loss.backward()
            for parameter in learnt:
                nn.utils.clip_grad_norm_([parameter], 1.0)
            adam.step()
            losses.append(loss.item())
        ends.append(time.perf_counter())
    return float(np.mean(losses)), np.diff(ends).tolist()


if __name__ == "__main__":
    data, batch, epochs = dict(np.load(sys.argv[1])), *map(int, sys.argv[2:])
    first = data | {name: data[name][:batch] for name in ("items", "actions", "targets")}
    print(json.dumps([train(first, 1, batch)[0], train(data, epochs, batch)[1]]))
