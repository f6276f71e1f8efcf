"""A study in forks of one process, which begin at once where a new process imports for seconds; most are killed in the middle.

python fork_and_kill.py FOLDER RECIPE DATA REPLICAS KILLS ENGINE trains the replicas undisturbed into FOLDER/whole, then into FOLDER/broken,
killed so many times at random moments. It writes what it saw at each kill.
"""

import json
import os
import random
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path


def forked(run: Callable[[], None], seconds: float = 0.0) -> bool:
    """Run in a fork of this process; whether it came to its end.

    After so many seconds of its own processor time (0 never) the system ends it on the spot, as `kill -9` does: no line of it
    runs any more. Processor time, so that as much is done between kills on a busy machine as on an idle one.
    """
    child = os.fork()
    if child == 0:
        try:
            signal.setitimer(signal.ITIMER_PROF, seconds)
            run()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF:
        return False
    if status != 0:
        raise SystemExit(f"a training failed: wait status {status}")
    return True


def main() -> None:
    import torch

    from traintwice.data import Digits
    from traintwice.engine import Execution
    from traintwice.recipes import Recipe
    from traintwice.specs import decode, identity, key_of
    from traintwice.study import Every, Store
    from traintwice.study._worker import train_into

    torch.set_num_threads(1)
    folder, replicas, kills, engine = Path(sys.argv[1]), int(sys.argv[4]), int(sys.argv[5]), sys.argv[6]
    groupings = random.Random(1)
    recipe, source = (decode(kind, json.loads(text)) for kind, text in ((Recipe, sys.argv[2]), (Digits, sys.argv[3])))
    data = source.load()
    key = key_of(recipe, data.digest, 0)

    groups = [[replica] for replica in range(replicas)] if engine == "loop" else [list(range(replicas))]

    def into(name: str, every: Every, of: Recipe = recipe) -> tuple[Store, Callable[[], None]]:
        store, its_key = Store(folder / name), key_of(of, data.digest, 0)
        store.prepare(its_key, identity(of, data.digest, 0))

        def study() -> None:
            for group in groups:
                for _ in train_into(
                    store, of, source, data, seed=0, replicas=group, save_weights=True, every=every, execution=Execution(engine)
                ):
                    pass

        return store, study

    into("first", Every(), recipe.change(epochs=1))[
        1
    ]()  # PyTorch imports more when it is first used: once here, not in every fork
    forked(into("whole", Every())[1])
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    whole = usage.ru_utime + usage.ru_stime

    store, study = into("broken", Every(steps=5))
    of_each = recipe.epochs * recipe.steps_per_epoch(len(data.train))
    moments, seen, left = random.Random(0), [], 1.0
    # In proportion to what is left, so that the kills come before the end however little a fork costs here.
    while len(seen) < kills and not forked(study, moments.uniform(0, 5 * left * whole / kills)):
        finished = store.replicas(key)
        at = [store.checkpoint(key, replica) for replica in range(replicas)]
        steps = [json.loads(p.read_bytes().partition(b"\n")[0])["steps"] for p in at if p.exists()]
        files = {p.name: p.stat().st_mtime_ns for m in finished for p in store.folder(key).glob(f"{m:04d}.*s*")}
        seen.append({"steps": steps, "files": files})
        if engine == "stacked":
            order = groupings.sample(range(replicas), replicas)
            at = groupings.randrange(1, replicas)
            groups[:] = [order[:at], order[at:]]
        left = 1 - (len(finished) * of_each + sum(steps)) / (replicas * of_each)
    forked(study)
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main()
