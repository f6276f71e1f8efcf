"""traintwice's losses in a plain PyTorch loop: a pair that learns to agree, an ensemble pushed apart, and their export.

pip install 'traintwice[torch,demo,onnx]' && python examples/own_loop.py --epochs 20 --out exported
"""

from argparse import ArgumentParser
from pathlib import Path

import onnxruntime
import torch
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from traintwice.losses import Outputs
from traintwice.methods import anti_distillation, co_distillation


class Served(nn.Module):
    """What is deployed: the probabilities of one network, or the mean of those of several."""

    def __init__(self, components):
        super().__init__()
        self.networks = nn.ModuleList(nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)) for _ in range(components))

    def forward(self, x):
        return torch.stack([network(x).softmax(-1) for network in self.networks]).mean(0)


def train(method, data, epochs):
    loader = DataLoader(data, batch_size=64, shuffle=True)
    method = method.resolve(steps_per_epoch=len(loader))
    model = Served(method.components)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(epochs):
        for i, (x, y) in enumerate(loader):
            logits = torch.stack([network(x) for network in model.networks])
            loss = method.loss(Outputs(logits, y), step=epoch * len(loader) + i)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.networks = model.networks[: method.kept_components]
    return model.eval()


def export(model, x, folder):
    """Save the model in three forms; how far the predictions of each, loaded again, are from its own."""
    folder.mkdir(parents=True, exist_ok=True)
    program = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    save_file(model.state_dict(), folder / "weights.safetensors")
    torch.export.save(program, folder / "model.pt2")
    torch.onnx.export(program, dynamo=True, verbose=False).save(folder / "model.onnx")

    again = Served(len(model.networks))
    again.load_state_dict(load_file(folder / "weights.safetensors"))
    program = torch.export.load(folder / "model.pt2").module()
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    by_onnx = session.run(None, {session.get_inputs()[0].name: x[:7].numpy()})[0]  # another batch size than it was exported with
    return [(model(x[:7]) - other).abs().max().item() for other in (again(x[:7]), program(x[:7]), torch.from_numpy(by_onnx))]


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
    with torch.no_grad():
        accuracy = (model(x[1200:]).argmax(-1) == y[1200:]).float().mean().item()
        differences = export(model, x[1200:], options.out / name)
    if max(differences) > 1e-5:
        raise SystemExit(f"{name}: predictions differ by {differences} after export as state dict, torch.export, ONNX")
    print(f"  accuracy {accuracy:.3f}; in {options.out / name}, predictions equal within {max(differences):.0e}")
