import tomllib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traintwice import controls
from traintwice.averaging import EMA, SWA
from traintwice.components import OwnBatches, Sample
from traintwice.controls import CONTROLS
from traintwice.data import Digits
from traintwice.errors import BadSpec, TraintwiceError, UnknownName
from traintwice.methods import anti_distillation, baseline, co_distillation, ensemble, ensemble_distillation
from traintwice.nets import MLP
from traintwice.optimizers import SGD, AdaGrad, Adam
from traintwice.presets import PRESETS
from traintwice.recipes import Earlier, Recipe
from traintwice.schedules import LinearDecay, Ramp, StepDecay
from traintwice.study import Experiment


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_a_file(name, tmp_path):
    experiment = PRESETS[name]()
    path = tmp_path / "mine.toml"
    path.write_text(experiment.to_toml())
    assert Experiment.read(path) == experiment


def test_rows_are_changes_to_the_base(small):
    plain = tomllib.loads(small.to_toml())
    assert plain["rows"] == {"baseline": {}, "ensemble": {"method": {"components": 2, "keep": "mean-prob"}}}


def test_a_minimal_file():
    experiment = Experiment.from_dict({"name": "a", "data": {"type": "Digits"}})
    assert list(experiment.rows) == ["baseline"]
    assert experiment.replicas == 10


def test_overrides_reach_earlier_models_that_have_the_value_of_the_base(small):
    base = small.rows[small.baseline]
    team = base.change(method=ensemble(2))
    rows = {
        "baseline": base,
        "taught": base.change(method=ensemble_distillation(), teacher=Earlier(team)),
        "taught longer": base.change(method=ensemble_distillation(), teacher=Earlier(team.change(epochs=base.epochs + 7))),
        "chain": base.change(start=Earlier(base.change(start=Earlier(base)))),
    }
    made = replace(small, rows=rows).override([f"epochs={base.epochs + 1}", "optimizer.lr=0.25"])
    changed = base.change(epochs=base.epochs + 1, optimizer=replace(base.optimizer, lr=0.25))
    assert made.rows["baseline"] == changed
    assert made.rows["taught"].teacher == Earlier(changed.change(method=ensemble(2)))
    assert made.rows["taught longer"].teacher.recipe.epochs == base.epochs + 7
    assert made.rows["taught longer"].teacher.recipe.optimizer == changed.optimizer
    drawn = replace(small, rows=rows).override(["sample={}"]).rows
    assert drawn["baseline"].sample == drawn["taught"].teacher.recipe.sample == Sample()
    assert made.rows["chain"] == changed.change(start=Earlier(changed.change(start=Earlier(changed))))


def test_overrides(small):
    changed = small.override(
        [
            "epochs=4",
            "recipe.optimizer.lr=0.5",
            "seed=9",
            "data.test=41",
            'rows.ensemble.method={builder="ensemble", components=3}',
        ]
    )
    assert [r.epochs for r in changed.rows.values()] == [4, 4]
    assert changed.rows["ensemble"].optimizer.lr == 0.5
    assert (changed.seed, changed.data.test, changed.rows["ensemble"].method.components) == (9, 41, 3)
    assert small.override(["network.activation=gelu"]).baseline == "baseline"
    assert small.override(["name=other"]).name == "other"


def test_multiples_follow_the_base():
    rows = (
        Experiment.from_dict({"name": "a", "data": {"type": "Digits"}, "rows": {"baseline": {}, "long": {"epochs": "2x"}}})
        .override(["epochs=60"])
        .rows
    )
    assert rows["long"].epochs == 120


def test_what_is_kept_does_not_change_what_is_trained(small, data):
    keys = [small.override([f'rows.ensemble.method.keep="{keep}"']).key("ensemble", data) for keep in ("mean-prob", "mean-logit")]
    assert keys[0] == keys[1]
    assert small.key("baseline", data) != keys[0]
    assert small.override(["seed=1"]).key("baseline", data) != small.key("baseline", data)
    assert small.override(["replicas=7"]).key("baseline", data) == small.key("baseline", data)


def test_numbers_have_one_digest(small, data):
    by_int, by_float = (small.override([f"optimizer.lr={lr}"]) for lr in ("1", "1.0"))
    assert by_int.key("baseline", data) == by_float.key("baseline", data)


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        (["epoch=3"], UnknownName, r"no setting named 'epoch'. Did you mean 'epochs'\? \(in --set epoch=3\)"),
        (["epochs"], BadSpec, "expected key=value"),
        (["=3"], BadSpec, "expected key=value"),
        (["a b=3"], BadSpec, "not valid TOML"),
        (["epochs=many"], BadSpec, "recipe.epochs: got 'many', expected a whole number"),
        (["epochs=manyx"], BadSpec, "multiple of the base"),
        (["optimizer.lr=inf"], BadSpec, "recipe.optimizer.lr: got inf, expected a finite number"),
        (["optimizer.weight_decay=1e300"], BadSpec, "expected a finite number"),
        (["epochs=10000000000000000"], BadSpec, "expected a smaller number"),
        (["epochs=infx"], BadSpec, "multiple of the base"),
        (["epochs=nanx"], BadSpec, "multiple of the base"),
        (['optimizer.type=["SGD"]'], UnknownName, "no optimizer named"),
        (['lr_schedule={type="CosineDecay", steps=0}'], BadSpec, "CosineDecay.steps: got 0, expected at least 1"),
        (['lr_schedule={type="LinearDecay", steps=-3}'], BadSpec, "LinearDecay.steps: got -3"),
        (['rows.""={}'], BadSpec, "rows: got the name ''"),
        (['rows."a\\nb"={}'], BadSpec, "printable"),
        (["replicas=1"], BadSpec, "replicas: got 1, expected at least 2"),
        (["replicas=-3"], BadSpec, "replicas: got -3, expected at least 2"),
        (["seed=-1"], BadSpec, "seed: got -1"),
        (["name=../x"], BadSpec, "name: got '../x'"),
        (["rows.ensemble.method.components=0"], BadSpec, "rows.ensemble.method: Method.components: got 0"),
        (["data.type=Digit"], UnknownName, "Did you mean 'Digits'"),
        (["schema=2"], BadSpec, "schema: got 2, this version reads 1"),
        (["rows=3"], BadSpec, "rows: got 3, expected a table"),
        (["rows.ensemble=3"], BadSpec, "rows.ensemble: got 3, expected a table of changes"),
    ],
)
def test_mistakes_in_settings(small, settings, kind, message):
    with pytest.raises(kind, match=message):
        small.override(settings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name = 'a'\n", r"mine.toml: data: missing"),
        (b"nam = 'a'\n", r"mine.toml: no setting of an experiment named 'nam'. Did you mean 'name'\?"),
        (b"name = \n", r"mine.toml: not a TOML file"),
        (b"\xff\xfe", r"mine.toml: cannot be read"),
        (b"name='a'\ndata=" + b"[" * 3000, "mine.toml: not a TOML file"),
        (b"name='a'\ndata={type='Digits'}\nrecipe=3\n", "mine.toml: recipe: got 3"),
        (b"name='a'\ndata={type='Digits'}\nrows={}\n", "mine.toml: rows: got none"),
        (b"name='a'\ndata={type='Digits', train='all'}\n", "mine.toml: data.train: got 'all', expected a whole number"),
    ],
)
def test_mistakes_in_files(tmp_path, content, message):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(TraintwiceError, match=message):
        Experiment.read(path)


def test_a_byte_order_mark_is_no_mistake(tmp_path, small):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf" + small.to_toml().encode())
    assert Experiment.read(path) == small


def test_a_missing_file(tmp_path):
    with pytest.raises(BadSpec, match=r"none.toml: cannot be read"):
        Experiment.read(tmp_path / "none.toml")


SETTINGS = {
    "wider": {"times": 2.0, "shape": [64], "classes": 10},
    "narrow_ensemble": {"components": 2, "shape": [64], "classes": 10},
    "with_activation": {"activation": "smelu"},
}


def of_row(changes, **recipe):
    plain = {"name": "a", "data": {"type": "Digits"}, "recipe": recipe, "rows": {"baseline": {}, "row": changes}}
    return Experiment.from_dict(plain).rows


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_by_name_is_its_function_of_the_base_recipe(name):
    settings = SETTINGS.get(name, {})
    rows = of_row({"control": {"builder": name, **settings} if settings else name}, epochs=6)
    made = CONTROLS[name](rows["baseline"], **{key: tuple(v) if isinstance(v, list) else v for key, v in settings.items()})
    assert rows["row"] == made != rows["baseline"]
    experiment = Experiment("a", Digits(), rows)
    assert Experiment.from_dict(tomllib.loads(experiment.to_toml())) == experiment


def test_controls_come_one_after_the_other_and_before_other_changes():
    changes = {"control": ["steady", {"builder": "ema", "decay": 0.5}, "twice_the_epochs"], "optimizer": {"lr": 0.5}}
    rows = of_row(changes, epochs=6)
    steady = controls.twice_the_epochs(controls.ema(controls.steady(rows["baseline"]), 0.5))
    assert rows["row"] == steady.change(optimizer=replace(steady.optimizer, lr=0.5))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("emma", r"no control named 'emma'. Did you mean 'ema'\? \(at rows.row.control\)"),
        ({"builder": "ema", "decy": 0.5}, r"no setting of ema named 'decy'.*\(at rows.row.control.decy\)"),
        ({"builder": "ema", "base": {}}, r"no setting of ema named 'base'"),
        ({"builder": "ema", "decay": 2}, r"rows.row.control: EMA.decay: got 2"),
        ("wider", r"rows.row.control.times: missing; wider needs it"),
        (3, r"rows.row.control: got 3, expected the name of a control"),
        ({"decay": 0.5}, r"rows.row.control: got .* or a table with a builder"),
    ],
)
def test_mistakes_in_a_control_are_named(value, message):
    with pytest.raises(TraintwiceError, match=message):
        of_row({"control": value})


PLAIN = st.builds(
    Recipe,
    network=st.sampled_from([MLP((4,)), MLP((4, 3), "gelu", scale=0.5)]),
    method=st.sampled_from([baseline(), ensemble(2), co_distillation(ramp_epochs=2), co_distillation(Ramp(1.0, steps=4))]),
    optimizer=st.sampled_from([SGD(0.1), SGD(0.1, 0.9, True), AdaGrad(), Adam(decoupled=True)]),
    lr_schedule=st.sampled_from([None, LinearDecay(), LinearDecay(steps=5), StepDecay(epochs=(1.0, 2.0))]),
    epochs=st.sampled_from([1, 2, 3, 6]),
    averaging=st.sampled_from([None, EMA(), EMA(0.9), SWA()]),
    clip_norm=st.sampled_from([None, 1.0]),
    fixed=st.sampled_from([(), ("order",)]),
)


RECIPES = st.one_of(
    PLAIN,
    PLAIN.map(lambda r: r.change(start=Earlier(r.change(epochs=2), "first"))),
    PLAIN.map(lambda r: r.change(method=ensemble_distillation(), teacher=Earlier(r.change(method=ensemble(2))))),
    PLAIN.map(lambda r: r.change(method=anti_distillation(2), own_batches=OwnBatches(0.5))),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(RECIPES, min_size=1, max_size=3))
def test_the_file_says_all(recipes):
    experiment = Experiment("a", Digits(), {f"row {i}": r for i, r in enumerate(recipes)})
    assert Experiment.from_dict(experiment.to_dict()) == experiment


def test_a_row_without_what_the_base_has():
    base = Recipe(lr_schedule=LinearDecay())
    experiment = Experiment("a", Digits(), {"decayed": base, "constant": base.change(lr_schedule=None)})
    assert experiment.to_dict()["rows"]["constant"] == {"lr_schedule": "none"}
    assert experiment.override([]).rows["constant"].lr_schedule is None
