"""Processes that may take little memory more than they have, 20 MB at first and 20 more each time, until eight replicas are trained.

Writes as JSON the megabytes, whether all eight would have fitted at once, and the digest of each replica's weights and logits.
How much memory a group needs depends on the processor and its library, so the limit is searched.
"""

import hashlib
import json
import os
import re
import resource
import sys
import traceback
from pathlib import Path

import numpy as np
import torch

from traintwice.data import Digits
from traintwice.engine import Execution, train_group
from traintwice.engine._execution import out_of_memory
from traintwice.engine._reading import TrainingSet
from traintwice.engine._stacked import StackedGroup
from traintwice.engine._training import TrainingSpec
from traintwice.nets import MLP
from traintwice.optimizers import SGD
from traintwice.recipes import Recipe

DATA = Digits(train=48, validation=8, test=16).load()
RECIPE = Recipe(network=MLP((1024, 1024)), optimizer=SGD(0.05), epochs=1, batch_size=24)
REPLICAS = range(8)


def digest(made):
    arrays, found = {**made.weights, **made.outputs}, hashlib.blake2b(digest_size=8)
    for name in sorted(arrays):
        found.update(np.ascontiguousarray(arrays[name]))
    return found.hexdigest()


def fits(count):
    """Whether a group of so many can be trained at once."""
    execution = Execution("stacked")
    spec = TrainingSpec(RECIPE.resolve(len(DATA.train)), DATA, 0, execution)
    try:
        training = StackedGroup(spec, TrainingSet.of(DATA, execution), REPLICAS[:count])
        for _ in training.steps(0, spec.steps):
            pass
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        return False
    return True


def digests(at_once):
    """Of all replicas, trained in groups of so many, or of as many as fit."""
    return {str(m): digest(made) for m, made in train_group(RECIPE, DATA, seed=0, replicas=REPLICAS, at_once=at_once)}


def limited(megabytes):
    """In a process that may take so much more memory than it has; whether it reached its end."""
    process = os.fork()
    if process:
        return os.waitpid(process, 0)[1] == 0
    status = 1
    try:
        (kilobytes,) = re.findall(r"^VmSize:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
        resource.setrlimit(resource.RLIMIT_AS, ((int(kilobytes) << 10) + (megabytes << 20),) * 2)
        all_fit = fits(len(REPLICAS))
        json.dump({"megabytes": megabytes, "all_fit": all_fit, "digests": digests(len(REPLICAS))}, sys.stdout)
        sys.stdout.flush()
        status = 0
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            traceback.print_exc()
    finally:
        os._exit(status)


def main():
    torch.set_num_threads(1)
    fits(2)  # what is imported and made at the first use
    if not any(limited(megabytes) for megabytes in range(20, 320, 20)):
        sys.exit("eight replicas are not trained with 300 MB more")


if __name__ == "__main__":
    main()
