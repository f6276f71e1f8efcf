import base64
import hashlib
import json
import re
from dataclasses import replace
from itertools import pairwise

import pytest

from traintwice import metrics
from traintwice._formatting import with_interval
from traintwice.components import Sample
from traintwice.recipes import Recipe
from traintwice.report._findings import KINDS, choose, in_words
from traintwice.report._page import READING, environment, groups, page, reading
from traintwice.study import MATCHED, MEASURES, Results, verdict

NASTY = "</script><script>alert(\"x\")</script> & 'co' {{ 7 * 7 }}"


@pytest.fixture(scope="module")
def made(trained, parsed):
    return parsed(page(trained))


def test_every_row_is_named_and_nothing_in_a_name_is_markup(study, parsed):
    results = study({"baseline": 0.3, NASTY: 0.05, "ünï <i>côde</i>": 0.31}, examples=90)
    made = parsed(page(results))
    assert [e["text"] for e in made.all("th") if e.get("scope") == "col"] == list(results.rows)
    assert any(NASTY in e["text"] for e in made.all("li"))
    assert made.all("i", "script") == [e for e in made.all("i", "script") if e["tag"] == "script" or "style" in e]
    assert len(made.all("script")) == 3 + 2
    assert "49" not in "".join(e["text"] for e in made.all("th"))


def test_the_sentences_stand_in_it(trained, made):
    for said in in_words(verdict(trained), trained):
        assert any(said.text == e["text"] for e in made.all("p", "li"))


def test_cards_are_the_baseline_and_each_kind_of_finding(trained, made):
    found = verdict(trained)
    groups_of_findings = (found.lower, found.lower_at_a_price, found.higher, found.inconclusive)
    titles = [kind.heading for kind, findings in zip(KINDS.values(), groups_of_findings, strict=True) if findings]
    cards = [e for e in made.all("li") if e.get("class", "").startswith("card")]
    shown = [" ".join(e["text"].split()) for e in cards]
    baseline = trained.estimate(metrics.churn, found.baseline)
    assert shown[0].startswith(f"Churn of {found.baseline} {with_interval(baseline, 'fraction')}")
    assert shown[1].startswith(f"Accuracy of {found.baseline} ")
    assert [text.partition(f" of {found.comparisons} recipes")[0].rpartition(" ")[0] for text in shown[2:]] == titles
    (style,) = [e["text"] for e in made.all("style")]
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style


def test_numbers_are_those_of_the_table(trained, made):
    table = trained.table(matched=MATCHED)
    printed = [e["text"] for e in made.all("td")][1:]  # the first is the empty corner
    columns = len(trained.rows)
    lines = {tuple(printed[i : i + columns]) for i in range(0, len(printed), columns)}
    assert lines == set(zip(*table.strings(), strict=True))
    titles = [e["text"] for e in made.all("th") if e.get("scope") == "row"]
    assert sorted(titles) == sorted(column.title for column in table.columns)
    assert all(note in "".join(e["text"] for e in made.all("p")) for note in table.notes)


def test_nothing_is_fetched(made):
    for element in made.elements:
        for attribute in ("src", "href", "srcset", "action", "poster", "data"):
            assert element.get(attribute, "#").startswith(("#", "data:")), element
    styles = "".join(e["text"] for e in made.all("style"))
    assert "@import" not in styles
    assert "url(" not in styles


def test_only_its_own_scripts_may_run(made):
    (policy,) = [e["content"] for e in made.all("meta") if e.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    scripts = [e["text"] for e in made.all("script") if "type" not in e]
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    assert f"script-src {allowed};" in policy
    assert "window.vegaEmbed" in scripts[0]
    assert "vegaEmbed(" in scripts[1]


def test_every_chart_has_its_data_and_its_words(made):
    places = [e["data-chart"] for e in made.all("div") if "data-chart" in e]
    assert places == ["accuracy-churn", "confidence", "matrix"]
    for name in places:
        (content,) = [e["text"] for e in made.all("script") if e.get("id") == f"chart-{name}"]
        specs = json.loads(content)
        assert set(specs) == {"wide", "narrow", "shared"}
        assert all(not set(specs["shared"]) & set(specs[size]["datasets"]) for size in ("wide", "narrow"))
        assert all(specs["shared"].values())
        assert specs["wide"]["description"] in "".join(e["text"] for e in made.all("noscript"))


def test_structure_for_readers_who_do_not_see_it(made):
    assert made.all("html")[0]["lang"] == "en"
    assert made.all("title")[0]["text"]
    levels = [int(e["tag"][1]) for e in made.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    pictures = made.all("img")
    assert pictures
    assert all(e["alt"] and e["src"].startswith("data:image/png;base64,") for e in pictures)
    ids = [e["id"] for e in made.elements if "id" in e]
    assert len(ids) == len(set(ids))
    targets = [e["href"][1:] for e in made.all("a")] + [e["aria-labelledby"] for e in made.elements if "aria-labelledby" in e]
    assert set(targets) <= set(ids)


def test_the_experiment_and_its_environment_stand_in_it(trained, made):
    assert any(trained.experiment.to_toml() == e["text"] for e in made.all("code"))
    values = [e["text"] for e in made.all("dd")]
    assert trained.data.digest in values
    assert any("engine loop, threads 1" in value for value in values)
    assert "free in every row: initialisation, order" in values


def test_the_free_sources_of_each_row_are_named(study):
    results = study({"seeds": 0.1, "draws": 0.1, "again": 0.1})
    draws = replace(results.rows["draws"], recipe=Recipe(sample=Sample()))
    mixed = Results(results.experiment, results.data, {**results.rows, "draws": draws}, {})
    free = dict(environment(mixed))["randomness"]
    assert free == "free: initialisation, order (seeds, again); data, initialisation, order (draws)"
    assert (
        "Each replica draws its own training sample in draws: this churn includes that of other training data." in mixed.notes()
    )
    assert not any("training sample" in note for note in results.notes())


def test_many_rows_are_folded_but_none_is_lost(fifteen, parsed):
    found = verdict(fifteen)
    choice = choose(found, tuple(fifteen.rows))
    made = parsed(page(fifteen))
    items = [e["text"] for e in made.all("li")]
    brief = {b.row for b in choice.briefly}
    assert brief
    for said in in_words(found, fifteen):
        assert any(said.text == e["text"] for e in made.all("p", "li")) == (said.row not in brief)
    assert not any(item.startswith(f"{row}:") for item in items for row in brief)
    (table,) = [e for e in made.all("table") if e.get("class") == "brief"]
    for b in choice.briefly:
        assert all(part in table["text"] for part in (b.row, b.churn, b.accuracy, b.needed))
    assert "7 more inconclusive recipes" in [e["text"] for e in made.all("summary")]


def test_all_measures_of_many_rows_stand_across(fifteen, parsed):
    table = fifteen.table(matched=MATCHED)
    text = page(fifteen)
    (across,) = re.findall(r'<table class="across".*?</table>', text, re.DOTALL)
    made = parsed(across)
    assert [e["text"] for e in made.all("th") if e.get("scope") == "row"] == list(fifteen.rows)
    titles = [e["text"] for e in made.all("th") if e.get("scope") == "col"]
    assert sorted(titles) == sorted(column.title for column in table.columns)
    printed = [e["text"] for e in made.all("td")][2:]  # the first two are empty corners
    lines = [dict(zip(titles, printed[i : i + len(titles)], strict=True)) for i in range(0, len(printed), len(titles))]
    shown = [dict(zip((c.title for c in table.columns), cells, strict=True)) for cells in table.strings()]
    assert lines == shown
    spans = [int(e["colspan"]) for e in made.all("th") if e.get("scope") == "colgroup"]
    assert sum(spans) == len(titles)


def test_parts_with_nothing_to_say_are_not_there(made):
    ids = {e["id"] for e in made.elements if "id" in e}
    assert not ids & {"components", "sources", "warnings"}


def test_the_charts_of_many_rows(fifteen, parsed):
    text = page(fifteen)
    made = parsed(text)
    places = [e["data-chart"] for e in made.all("div") if "data-chart" in e]
    assert places == ["forest", "accuracy-churn", "confidence", "confidence-rest", "matrix", "matrix-rest"]
    for name in places:
        assert (f'data-chart="{name}"' in "".join(re.findall(r"<details>.*?</details>", text, re.DOTALL))) == name.endswith(
            "-rest"
        )
    notes = [e["text"] for e in made.all("figcaption")]
    assert any("wild, churn" in note for note in notes)
    assert len(notes) == 3
    specs = {name: json.loads(e["text"]) for name in places for e in made.all("script") if e.get("id") == f"chart-{name}"}
    panels = {r["panel"] for name in ("confidence", "confidence-rest") for r in specs[name]["shared"]["bins"]}
    squares = {r["recipe"] for name in ("matrix", "matrix-rest") for r in specs[name]["shared"]["pairs"]}
    assert panels | {"baseline"} == squares == set(fifteen.rows)
    ids = [e["id"] for e in made.elements if "id" in e]
    assert len(ids) == len(set(ids))
    assert {e["href"][1:] for e in made.all("a")} <= set(ids)


@pytest.mark.parametrize("options", [{"replicas": 2, "examples": 30}, {"replicas": 3, "examples": 1}])
def test_odd_studies_of_many_rows_have_a_page(study, parsed, options):
    made = parsed(page(study({"baseline": "constant", **{f"row {n}": "constant" for n in range(11)}}, **options)))
    assert "6 more inconclusive recipes" in [e["text"] for e in made.all("summary")]


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        ({"alone": 0.3}, {}),
        ({"baseline": "constant", "other": "constant"}, {}),
        ({"baseline": 0.3, "other": 0.1}, {"replicas": 2}),
        ({"baseline": 0.3, "other": 0.1}, {"replicas": 31, "examples": 7}),
    ],
)
def test_odd_studies_have_a_page(study, parsed, rows, options):
    made = parsed(page(study(rows, **options), level=0.9))
    assert "90 %" in made.all("main")[0]["text"]
    assert ("the first 30 replicas" in made.all("main")[0]["text"]) == (options.get("replicas") == 31)


def test_every_measure_has_a_line_on_how_to_read_it(study):
    table = study({"baseline": 0.3, "other": 0.1}).table(matched=MATCHED)
    explained = dict(reading(table))
    for metric in MEASURES:
        assert explained[metric.definition.title].endswith(".")
    assert {"T", "(T)", "train", "serve"} <= set(explained)
    assert set(READING) <= {m.definition.name for m in metrics.ALL} | {"temperature", "train", "serve"}


def test_groups_hold_every_column_once(study):
    table = study({"baseline": 0.3, "other": 0.1}).table(matched=MATCHED)
    lines = [line for group in groups(table).values() for line in group]
    assert sorted(title for title, _ in lines) == sorted(column.title for column in table.columns)
    by_title = dict(lines)
    for at, column in enumerate(table.columns):
        assert by_title[column.title] == tuple(cells[at] for cells in table.strings())


def test_soft_measures_stand_under_churn_and_accuracy(study):
    first, soft, *_ = groups(study({"baseline": 0.3}).table(matched=MATCHED)).values()
    assert [title for title, _ in first[:2]] == ["accuracy", "churn"]
    assert "Δ₁" in dict(soft)
