"""What `replicate` costs: seconds added to each training, and how busy it keeps the cores. Measure on a calm machine.

Prints wall-clock and processor time per replica. The aims: under 0.3 s beyond the imports of the user's script (NumPy here); trainings of
1 s keep 90 % of the cores busy by processes, and Ray has 80 % of the trainings per second of processes. Without Ray its lines are left out.
"""

import importlib.util
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

import traintwice
from traintwice._processes import cores

REPLICAS = 10


def train(seed):
    return np.random.default_rng(seed).dirichlet([1, 1, 1], 1000)


def seconds(work):
    """Wall-clock and processor time of the child processes of a piece of work, per replica."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (time.perf_counter() - started) / REPLICAS, cpu / REPLICAS


def alone():
    for _ in range(REPLICAS):
        subprocess.run([sys.executable, "-c", "import numpy"], check=True)


def replicated():
    traintwice.replicate(train, replicas=REPLICAS, store=tempfile.mkdtemp(), jobs=1)


def fit(run):
    """About one second of processor time, on one thread, with a small and constant part of imports."""
    from sklearn.datasets import make_classification
    from sklearn.ensemble import RandomForestClassifier

    x, y = make_classification(3000, 20, random_state=0)
    started = time.process_time()
    while time.process_time() - started < 1:
        model = RandomForestClassifier(10, random_state=run.seed).fit(x[:2000], y[:2000])
    run.cost(processor_seconds=time.process_time())
    return model.predict_proba(x[2000:])


def busy(executor):
    """Shares of all cores that worker processes and that the trainings in them keep busy, and trainings per second."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    study = traintwice.replicate(fit, replicas=REPLICAS, store=tempfile.mkdtemp(), executor=executor)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    workers = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    trainings = sum(record["costs"]["processor_seconds"] for record in study.records["base"].values())
    return workers / (wall * cores()), trainings / (wall * cores()), REPLICAS / wall


def in_this_process():
    traintwice.replicate(train, replicas=REPLICAS, store=tempfile.mkdtemp(), executor="in-process")


if __name__ == "__main__":
    in_this_process()  # imports
    for name, work in [
        ("python and numpy", alone),
        ("replicate, processes", replicated),
        ("replicate, in-process", in_this_process),
    ]:
        wall, cpu = seconds(work)
        print(f"{name:22} {wall:.3f} s wall-clock, {cpu:.3f} s processor time of children, per replica")
    share, trained, by_processes = busy("processes")
    print(
        f"trainings of 1 s, processes: {share:.0%} of {cores()} cores busy (aim 90 %), {trained:.0%} before a training ends, "
        f"{by_processes:.2f} trainings per second"
    )
    if importlib.util.find_spec("ray") is not None:
        import ray

        ray.init("local", num_cpus=cores(), include_dashboard=False, log_to_driver=False, logging_level="error")
        busy("ray")  # starts Ray's own processes
        _, trained, by_ray = busy("ray")  # its processes are not children of this one
        print(
            f"trainings of 1 s, ray: {trained:.0%} of {cores()} cores busy, {by_ray / by_processes:.0%} of processes (aim 80 %)"
        )
