"""The executor of Ray: two nodes of a cluster on this machine, one of them killed. Runs in `make test-frameworks`."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from traintwice import replicate
from traintwice.errors import BadSpec
from traintwice.replication import Ray

ray = pytest.importorskip("ray", reason="Ray is not installed (make test-frameworks)")
pytestmark = pytest.mark.filterwarnings("default")  # Ray warns of its own parts

SCRIPT = """
import os, sys, time
import numpy as np
import traintwice
from helper import ROWS

def train(run, fail=None):
    print("training", run.replica, "in", os.getcwd())
    (run.folder / "node.txt").write_text(os.environ.get("NODE", "head"))
    {body}
    p = run.stream("init").random(ROWS)
    return np.stack([1 - p, p], axis=1)
"""


COMMAND = """
import os, random, sys
import helper
print(os.getcwd())
rng = random.Random(int(sys.argv[1]))
with open(sys.argv[2], "w") as file:
    print("id,p,y", *[f"{i},{rng.random()},{i % 2}" for i in range(helper.ROWS)], sep="\\n", file=file)
"""


@pytest.fixture(scope="module")
def cluster():
    """A cluster of a head without cores and two nodes of one core."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [made.add_node(num_cpus=1, env_vars={"NODE": f"node {n}"}) for n in range(2)]
    yield made, nodes
    if ray.is_initialized():
        ray.shutdown()
    made.shutdown()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A function that writes a training of a project and returns it, imported."""
    import importlib

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))

    def write(body="pass"):
        (tmp_path / "helper.py").write_text("ROWS = 40\n")
        (tmp_path / "raytrain.py").write_text(SCRIPT.format(body=body))
        importlib.invalidate_caches()
        sys.modules.pop("raytrain", None)
        return importlib.import_module("raytrain").train

    yield write
    for name in ("raytrain", "helper"):
        sys.modules.pop(name, None)


def contents(study):
    return [path.read_bytes() for path in study.paths["base"]]


def test_predictions_logs_and_files_come_back(cluster, project, tmp_path):
    made, _ = cluster
    train = project("time.sleep(1)")
    study = replicate(train, replicas=4, store=tmp_path / "a", executor="ray", address=made.address)
    here = replicate(train, replicas=4, store=tmp_path / "b", executor="in-process")
    assert contents(study) == contents(here)
    assert not ray.is_initialized()
    assert (tmp_path / "a" / "logs" / "base" / "0003.log").read_text().startswith("training 3 in")
    nodes = {(tmp_path / "a" / "folders" / "base" / f"000{m}" / "node.txt").read_text() for m in range(4)}
    assert nodes == {"node 0", "node 1"}


def test_errors_of_users_are_one_sentence_each(cluster, project, tmp_path):
    made, _ = cluster
    train = project("""
    if run.replica == 0: raise ValueError("no data")
    if run.replica == 1: os._exit(7)
    if run.replica == 2: time.sleep(600)
    if run.replica == 3: return np.full((40, 2), np.nan)
    if run.replica == 4: return np.full((39, 2), 0.5)""")
    with pytest.warns(UserWarning, match="5 replicas failed"):
        study = replicate(
            train, replicas=6, labels=np.array([0, 1] * 20), store=tmp_path / "a", executor="ray", address=made.address, timeout=8
        )
    assert {f.replica: f.reason for f in study.failures} == {
        0: "ValueError: no data",
        1: "its process ended with status 7 before it returned predictions",
        2: "took longer than 8 s and was ended (--timeout)",
        3: "80 of 80 predictions are NaN or infinite (first: row 0)",
        4: "39 rows of predictions, expected 40, one for each label",
    }
    assert 'raise ValueError("no data")' in study.failures[0].traceback
    assert list(study.records["base"]) == [5]


def test_a_copy_of_the_project_on_the_nodes(cluster, project, tmp_path):
    made, _ = cluster
    (tmp_path / "train.py").write_text(COMMAND)
    project()
    executor = Ray(made.address, working_dir=tmp_path)
    try:
        command = [sys.executable, "train.py", "{seed}", "{out}"]
        study = replicate(command, replicas=2, store=tmp_path.parent / "copied", executor=executor)
    finally:
        executor.close()
    printed = (tmp_path.parent / "copied" / "logs" / "base" / "0000.log").read_text()
    assert len(study.paths["base"]) == 2
    assert str(tmp_path) not in printed
    assert "working_dir_files" in printed


def test_replicas_of_a_lost_node_are_trained_again(cluster, project, tmp_path):
    made, nodes = cluster
    started = tmp_path / "started.txt"
    train = project(f"""
    with open({str(started)!r}, "a") as file: print(os.environ.get("NODE"), run.replica, sep=",", file=file)
    time.sleep(4)""")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(replicate, train, replicas=4, store=tmp_path / "a", executor="ray", address=made.address)
        deadline = time.monotonic() + 60
        while not (started.exists() and "node 1," in started.read_text()) and time.monotonic() < deadline:
            time.sleep(0.1)
        made.remove_node(nodes[1], allow_graceful=False)
        study = running.result()
    assert not study.failures
    lost = [line.partition(",")[2] for line in started.read_text().splitlines() if line.startswith("node 1")]
    again = [line.partition(",")[2] for line in started.read_text().splitlines() if line.startswith("node 0")]
    assert lost
    assert sorted(again) == ["0", "1", "2", "3"]
    here = replicate(project(), replicas=4, store=tmp_path / "b", executor="in-process")
    assert contents(study) == contents(here)


def test_the_command_line_starts_ray_on_this_machine(project, tmp_path):
    project()
    words = ["replicate", "--on", "ray", "--replicas", "2", "--store", "runs", "-q", "raytrain:train"]
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, "-m", "traintwice", *words], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 of 2 replicas" in done.stdout


def test_bad_options(cluster, tmp_path, project):
    made, _ = cluster
    train = project()
    with pytest.raises(BadSpec, match=r"address: no Ray cluster could be used at 127\.0\.0\.1:1 "):
        replicate(train, replicas=1, store=tmp_path / "a", executor="ray", address="127.0.0.1:1")
    with pytest.raises(BadSpec, match="jobs: got 2; Ray trains as many replicas at a time"):
        replicate(train, replicas=1, store=tmp_path / "a", executor="ray", jobs=2)
    with pytest.raises(BadSpec, match=r"working_dir: .* is not a directory"):
        Ray(made.address, working_dir=tmp_path / "nowhere")
    with pytest.raises(BadSpec, match="expected threads and timeout above 0"):
        Ray(made.address, retries=-1)
    with pytest.raises(BadSpec, match='are for executor "ray"'):
        replicate(train, replicas=1, store=tmp_path / "a", address="auto")
