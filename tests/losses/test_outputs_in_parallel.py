"""Two processes that see half of a batch each learn what one process learns from all of it."""

import subprocess
import sys
import textwrap

import pytest
import torch
from loss_examples import MEMBERS, change, outputs, value

from heavy import heavy

WORKER = """
import sys
sys.path.insert(0, {tests!r})
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from loss_examples import MEMBERS, value
from traintwice.losses import Outputs

torch.set_num_threads(1)
rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method="file://" + sys.argv[2] + "/meeting", rank=rank, world_size=2)

class Components(torch.nn.Module):
    def __init__(self, weight, gate):
        super().__init__()
        self.weight, self.gate = torch.nn.Parameter(weight.clone()), torch.nn.Parameter(gate.clone())
    def forward(self, x):
        logits = torch.einsum("bd,jdk->jbk", x, self.weight)
        return logits, x @ self.gate

given = torch.load(sys.argv[2] + "/given.pt")
part = slice(0, 5) if rank == 0 else slice(5, 8)  # parts of different size
results = []
for loss in MEMBERS:
    model = Components(given["weight"], given["gate"])
    model = DistributedDataParallel(model, find_unused_parameters=True)
    logits, gate = model(given["x"][part])
    out = Outputs(logits, given["labels"][part], given["peers"][:, part], given["teacher"][:, part], gate,
                  {{"tower": 2 * logits}}, group=dist.group.WORLD)
    loss_value = value(loss, out)
    (loss_value + 0 * (logits.sum() + gate.sum())).backward()
    results.append((loss_value.detach(), model.module.weight.grad, model.module.gate.grad))
torch.save(results, sys.argv[2] + f"/{{rank}}.pt")
dist.destroy_process_group()
"""


@pytest.fixture(scope="module")
def given():
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return {
        "weight": normal(3, 6, 4),
        "gate": normal(6, 3),
        "x": normal(8, 6),
        "labels": torch.randint(4, (8,), generator=generator),
        "peers": normal(3, 8, 4),
        "teacher": normal(2, 8, 4),
    }


@pytest.fixture(scope="module")
def of_both(given, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parallel")
    torch.save(given, folder / "given.pt")
    tests = next(path for path in sys.path if path.endswith("losses"))
    code = textwrap.dedent(WORKER).format(tests=tests)
    workers = [
        subprocess.Popen([sys.executable, "-c", code, str(rank), str(folder)], stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    for worker in workers:
        _, said = worker.communicate(timeout=120)
        assert worker.returncode == 0, said
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@heavy
@pytest.mark.parametrize("i", range(len(MEMBERS)), ids=[repr(m) for m in MEMBERS])
def test_value_and_gradient_are_those_of_one_process(i, given, of_both):
    weight, gate = given["weight"].clone().requires_grad_(), given["gate"].clone().requires_grad_()
    logits = torch.einsum("bd,jdk->jbk", given["x"], weight)
    out = outputs()
    out = change(
        out,
        lambda x: x,
        logits=logits,
        labels=given["labels"],
        peers=given["peers"],
        teacher=given["teacher"],
        gate=given["x"] @ gate,
        signals={"tower": 2 * logits},
    )
    expected = value(MEMBERS[i], out)
    gradients = torch.autograd.grad(expected + 0 * (logits.sum() + gate.sum()), (weight, gate))
    for of_process in of_both:
        for got, wanted in zip(of_process[i], (expected, *gradients), strict=True):
            torch.testing.assert_close(got, wanted.detach(), rtol=1e-10, atol=1e-12)
