"""Studies of other packages, from distributions that exist for a test only."""

import json

import pytest

from traintwice.presets import PRESETS
from traintwice.presets._studies import installed_studies

MODULE = '''
from functools import partial
from traintwice.study import Experiment
from traintwice.recipes import Recipe
from traintwice.data import Digits


def tiny(seed=0):
    """A tiny study. It has one recipe."""
    recipe = Recipe(epochs=1)
    return Experiment(f"tiny-{seed}", Digits(train=64, validation=20, test=40), {"baseline": recipe}, replicas=2, seed=seed)


def number():
    return 3


def fails():
    raise KeyError("colour")


class Two:
    title = "Two tiny studies."

    def run(self, options):
        for part in options.parts or ("a", "b"):
            results = options.train(tiny(seed={"a": 0, "b": 1}[part]))
            print(part, options.scale, len(results.rows), options.report)

    def text(self):
        return "pair: parts a and b"

    def describe(self):
        return {"parts": ["a", "b"]}


STUDIES = {"tiny-1": partial(tiny, 1), "pair": Two(), "number": number, "fails": fails}
WRONG = {"wrong": 3}
OURS = {"digits": tiny}
SAME = {"pair": tiny}
'''


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution with entry points, each a line "name = module:object"."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "studies_of_tests.py").write_text(MODULE)

    def made(package, *points):
        info = tmp_path / f"{package.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("\n".join(["[traintwice.studies]", *points]) + "\n")
        monkeypatch.syspath_prepend(str(tmp_path))  # forgets what is known of the folder

    return made


def test_a_function_is_a_study_of_the_name_of_its_entry_point(install, traintwice):
    install("acme-studies", "tiny = studies_of_tests:tiny")
    study = installed_studies(PRESETS).by_name["tiny"]
    assert (study.package, study.doc) == ("acme-studies", "A tiny study. It has one recipe.")
    status, out, err = traintwice("run", "tiny", "--no-report", "--replicas", "3", "--quiet", "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["experiment"]["replicas"] == 3


def test_a_mapping_is_many_studies_and_list_names_their_package(install, traintwice):
    install("acme-studies", "anything = studies_of_tests:STUDIES")
    status, out, err = traintwice("list")
    assert (status, err) == (0, "")
    heading = out.index("studies of acme-studies")
    assert out.index("digits") < heading < out.index("tiny-1") < out.index("methods", heading)
    assert "Two tiny studies." in out
    listed = json.loads(traintwice("list", "--json")[1])
    assert listed["packages"] | {"tiny-1": "acme-studies", "digits": "traintwice"} == listed["packages"]
    assert "A tiny study." in traintwice("show", "tiny-1")[1]
    assert "seed = 1" in traintwice("show", "tiny-1", "--toml")[1]


def test_a_composite_study_receives_the_options(install, traintwice, tmp_path):
    install("acme-studies", "anything = studies_of_tests:STUDIES")
    status, out, _ = traintwice("run", "pair", "--part", "b", "--scale", "large", "--report", "out", "--quiet")
    assert (status, out) == (0, "b large 1 out\n")
    assert traintwice("run", "pair", "--no-report", "--quiet")[1] == "a None 1 None\nb None 1 None\n"
    assert traintwice("show", "pair")[1] == "pair: parts a and b\n"
    assert json.loads(traintwice("show", "pair", "--json")[1]) == {"schema": 1, "parts": ["a", "b"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "pair", "--set", "epochs=2"), "--set: pair is a composite study, whose settings are fixed"),
        (("run", "pair", "--name", "mine"), "--name: pair is a composite study"),
        (("run", "tiny-1", "--part", "a"), "--part: tiny-1 is one experiment, which has neither parts nor scales"),
        (("check", "pair"), "pair is a composite study, expected one experiment"),
        (("show", "pair", "--toml"), "--toml: pair is a composite study"),
        (
            ("run", "number"),
            "study number of package acme-studies: its function returned 3, expected an Experiment or a CompositeStudy",
        ),
        (("show", "fails"), "study fails of package acme-studies: KeyError: 'colour'"),
        (("run", "tiny-2"), "no study named 'tiny-2'. Did you mean 'tiny-1'?"),
    ],
)
def test_mistakes_end_in_one_message(install, traintwice, arguments, message):
    install("acme-studies", "anything = studies_of_tests:STUDIES")
    more = ("--no-report",) if arguments[0] == "run" else ()
    status, out, err = traintwice(*arguments, *more)
    assert (status, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    ("point", "problem"),
    [
        ("gone", "ModuleNotFoundError: No module named 'gone_module'"),
        ("wrong", "BadSpec: got 3 for study 'wrong', expected a function without arguments or a CompositeStudy"),
    ],
)
def test_a_broken_plug_in_is_named_and_breaks_nothing_else(install, traintwice, point, problem):
    value = {"gone": "gone_module:STUDIES", "wrong": "studies_of_tests:WRONG"}[point]
    install("broken-studies", f"{point} = {value}")
    install("acme-studies", "tiny = studies_of_tests:tiny")
    message = f"package broken-studies: studies cannot be loaded from {value}: {problem}"
    assert installed_studies(PRESETS).broken == (message,)
    status, out, _ = traintwice("list")
    assert status == 0
    assert f"Note: {message}." in " ".join(out.split())
    assert "studies of acme-studies" in out
    assert traintwice("show", "tiny")[0] == traintwice("show", "digits")[0] == 0
    assert message in traintwice("run", "lost", "--no-report")[2]


def test_our_names_stay_ours(install, traintwice):
    install("acme-studies", "anything = studies_of_tests:OURS")
    studies = installed_studies(PRESETS)
    assert studies.by_name["digits"].package == "traintwice"
    (problem,) = studies.broken
    assert problem == "package acme-studies: study digits is ignored, because traintwice has a study of that name"


def test_a_name_in_two_packages_is_refused_with_both_named(install, traintwice):
    install("acme-studies", "anything = studies_of_tests:STUDIES")
    install("other-studies", "anything = studies_of_tests:SAME")
    status, _, err = traintwice("run", "pair", "--no-report")
    assert status == 2
    assert "study pair is in two packages, " in err
    assert "acme-studies" in err
    assert "other-studies" in err
    assert "pair" not in json.loads(traintwice("list", "--json")[1])["studies"]
    assert traintwice("show", "tiny-1")[0] == 0


def test_without_the_reproduction_its_names_say_what_to_install(traintwice, monkeypatch):
    monkeypatch.setattr("traintwice._installed.entry_points", lambda group: ())
    status, _, err = traintwice("run", "ad.table1", "--no-report")
    assert status == 2
    assert "no study named 'ad.table1'" in err
    assert "such as ad.table1, need the package traintwice-reproduction: pip install ./reproduction" in err
    assert "Traceback" not in err
