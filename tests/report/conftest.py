"""Studies whose outcome is known: replicas that flip on a set share of the examples, and one that is really trained."""

import json
import struct
import zlib
from html.parser import HTMLParser

import altair as alt
import numpy as np
import pytest
import vl_convert

from traintwice.data import Dataset, Digits, Split
from traintwice.engine import train
from traintwice.nets import MLP
from traintwice.predictions import Predictions
from traintwice.recipes import Cost, Recipe
from traintwice.study import Experiment, Results, RowResult
from traintwice.study._rows import served_probs

CLASSES = 3


def record(replica, key="k"):
    numerics = {"engine": "loop", "threads": 1}
    return {"key": key, "replica": replica, "seconds": 0.5, "numerics": numerics, "versions": {"numpy": np.__version__}}


def flipping(labels, replicas, share, seed):
    """Votes: right, but on the first ``share`` of the examples each replica is wrong every second time."""
    rng = np.random.default_rng(seed)
    wrong = rng.random((replicas, len(labels))) < 0.5
    wrong[:, round(share * len(labels)) :] = False
    return np.where(wrong, (labels + 1) % CLASSES, labels)


@pytest.fixture
def study():
    """Results of rows given as votes, a share of unstable examples, or "constant"."""

    def build(rows, *, replicas=6, examples=500, pixels=None):
        rng = np.random.default_rng(0)
        labels = rng.integers(0, CLASSES, examples)
        inputs = rng.random((examples, 6)).astype(np.float32)
        split = Split(inputs, labels.astype(np.int64))
        data = Dataset("made", CLASSES, split, split, split, pixels=pixels, class_names=("ant", "bee", "cat"))
        experiment = Experiment("made-up", Digits(), dict.fromkeys(rows, Recipe()), replicas=replicas)
        results = {}
        for number, (name, kind) in enumerate(rows.items()):
            if isinstance(kind, np.ndarray):
                votes = kind
            elif kind == "constant":
                votes = np.zeros((replicas, examples), dtype=int)
            else:
                votes = flipping(labels, replicas, kind, seed=number)
            logits = (3.0 * np.eye(CLASSES)[votes])[:, None].astype(np.float32)
            kept = Predictions(served_probs(logits, "first", components=1), labels)
            records = tuple(record(m, str(number)) for m in range(replicas))
            results[name] = RowResult(
                name,
                Recipe(),
                Cost(1.0 + number, 1.0),
                tuple(range(replicas)),
                {"test": logits, "validation": logits},
                kept,
                kept,
                records,
            )
        return Results(experiment, data, results)

    return build


@pytest.fixture
def fifteen(study):
    """Fifteen rows: one far calmer than the baseline, one far wilder than all, the rest like the baseline."""
    rows = {"baseline": 0.1, "calm": 0.04, **{f"row {n}": 0.1 for n in range(12)}, "wild": 0.9}
    return study(rows, examples=200)


@pytest.fixture(scope="session")
def trained():
    """Three recipes on the digits, three replicas, one epoch, truly trained."""
    base = Recipe(network=MLP((16,)), epochs=1)
    rows = {"baseline": base, 'wider <b>"net"</b>': base.change(network=MLP((24,))), "twice": base.change(epochs=2)}
    experiment = Experiment("tiny", Digits(train=200, validation=60, test=90), rows, replicas=3)
    data = experiment.data.load()
    results = {}
    for name, recipe in rows.items():
        runs = [train(recipe, data, seed=0, replica=m).outputs for m in range(3)]
        logits = {split: np.stack([run[split] for run in runs]) for split in ("validation", "test")}
        kept = {
            s: Predictions(served_probs(v, recipe.method.keep, components=1), data.splits[s].labels) for s, v in logits.items()
        }
        records = tuple(record(m, name) for m in range(3))
        cost = recipe.cost(base, data.shape, data.classes)
        results[name] = RowResult(name, recipe, cost, tuple(range(3)), logits, kept["validation"], kept["test"], records)
    return Results(experiment, data, results)


@pytest.fixture
def without(monkeypatch):
    """Make a package look as if it were not installed."""
    import importlib.util

    real = importlib.util.find_spec

    def hide(module):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == module else real(name, *rest))

    return hide


@pytest.fixture(scope="session")
def decode():
    """A reader of PNG files, written from the specification."""
    return pixels_of


def pixels_of(content):
    """The pixels of a PNG file whose lines are not filtered, written from the PNG specification."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, []
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        kind, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack(">I", content[at + 8 + length : at + 12 + length])
        assert checksum == zlib.crc32(kind + body)
        chunks.append((kind, body))
        at += 12 + length
    assert [kind for kind, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[0][1])
    assert (depth, rest) == (8, [0, 0, 0])
    channels = {0: 1, 2: 3}[colour]
    lines = np.frombuffer(zlib.decompress(chunks[1][1]), np.uint8).reshape(height, 1 + width * channels)
    assert not lines[:, 0].any()
    return lines[:, 1:].reshape(height, width, channels)


VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """A page as elements (name, attributes, text of its own and of what is in it)."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        element = {"tag": tag, "text": "", **dict(attributes)}
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag):
        assert self._open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self._open:
            element["text"] += data.replace("\u00a0", " ")

    def all(self, *tags):
        return [e for e in self.elements if e["tag"] in tags]


@pytest.fixture(scope="session")
def parsed():
    """A function that reads a page."""
    return Page


@pytest.fixture(scope="session")
def svg():
    """A function that draws a chart, with errors for what JSON, the schema or Vega-Lite do not know."""

    def draw(spec):
        alt.Chart.from_dict({name: part for name, part in spec.items() if name != "config"}, validate=True)
        sized = {**json.loads(json.dumps(spec, allow_nan=False)), **({"width": 300} if spec.get("width") == "container" else {})}
        return vl_convert.vegalite_to_svg(sized)

    return draw
