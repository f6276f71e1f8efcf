"""The losses of traintwice in a plain PyTorch loop: co-distillation of two networks, a decorrelated ensemble, and their export.

pip install 'traintwice[torch,demo,onnx]' && python examples/own_loop.py --epochs 20 --out exported
"""

from argparse import ArgumentParser
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from traintwice.engine import Deployed, export_model
from traintwice.losses import Outputs
from traintwice.methods import anti_distillation, co_distillation


def train(method, data, epochs):
    loader = DataLoader(data, batch_size=64, shuffle=True)
    method = method.resolve(steps_per_epoch=len(loader))
    networks = nn.ModuleList(nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)) for _ in range(method.components))
    optimizer = torch.optim.Adam(networks.parameters(), lr=1e-3)
    for step, (x, y) in enumerate(batch for _ in range(epochs) for batch in loader):
        logits = torch.stack([network(x) for network in networks])  # J B K
        loss = method.loss(Outputs(logits, y), step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Deployed.of(method, networks)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--out", type=Path, default=Path("exported"))
options = parser.parse_args()
digits = load_digits()
x, y = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)
methods = {"co-distilled": co_distillation(ramp_epochs=5), "anti-distilled": anti_distillation(2, 0.05, center="class")}
for name, method in methods.items():
    print(name, *method.warnings(classes=10), sep="\n  note: ")
    model = train(method, TensorDataset(x[:1200], y[:1200]), options.epochs)
    accuracy = (model(x[1200:]).argmax(-1) == y[1200:]).float().mean()
    written = export_model(model, x[1200:], options.out / name)  # raises if a file predicts something else
    print(f"  accuracy {accuracy:.3f}; these predict the same:", *written.values())
