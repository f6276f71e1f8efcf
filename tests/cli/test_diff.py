import json
import re
import subprocess
import sys

import pytest


def strict(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def answers(text):
    """Question to verdict, of the lines at the top."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"(Quality|Regressions|Disagreement|Slices|Operating point) {2,}(.*?)(?: {2,}|$)", line)
        if match:
            found[match[1]] = match[2]
    return found


def test_answers_each_question_and_ends_with_the_worst(files, traintwice):
    status, out, err = traintwice("diff", "old.csv", "new.csv", "--by", "country", "--floor", "again*.csv")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert " ".join(lines[:2]).startswith(
        "old.csv → new.csv · 600 rows in the same order, every id compared · 3 classes in p_0 … p_2 · id row_id"
    )
    found = answers(out)
    assert found["Quality"] == "worse"
    assert found["Regressions"] == found["Disagreement"] == "more than retraining causes"
    assert found["Slices"].startswith(("worse in 1 of", "churn above"))
    assert "Operating point" not in found
    assert "\nVerdict: The new model is worse: log loss" in out
    assert max(map(len, lines)) <= 100
    assert len(lines) <= 24
    assert "Noise floor" not in out
    full = " ".join(traintwice("diff", "old.csv", "new.csv", "--by", "country", "--floor", "again*.csv", "--full")[1].split())
    assert "5 retrains of the old recipe, given this old model" in full
    assert "within noise means below 1.5 times the floor" in full
    assert lines[-1] == "Details: --full, --report FILE.html, --rows FILE.parquet"


def test_a_retrain_is_within_noise(files, traintwice):
    retrains = [f"again{k}.csv" for k in range(1, 5)]
    out = traintwice("diff", "old.csv", "again0.csv", "--floor", *retrains, "--margin", "3", "--full")[1]
    assert answers(out)["Disagreement"] == "within noise"
    assert "within noise means below 3 times the floor" in " ".join(out.split())
    strictly = traintwice("diff", "old.csv", "again0.csv", "--floor", "again[1234].csv", "--margin", "1.001")[1]
    assert answers(strictly)["Disagreement"] == "inconclusive"


def test_full_has_every_table(files, traintwice):
    short, full = (traintwice("diff", "old.csv", "new.csv", "--by", "country", *more)[1] for more in ([], ["--full"]))
    for title in ("Between old and new", "By the class that the old model predicts", "Calibration", "Largest changes"):
        assert f"\n{title}\n" in full
        assert title not in short
    assert "Details: --report FILE.html, --rows FILE.parquet" in full


def test_how_much_accuracy_may_change_is_an_option(files, traintwice):
    verdicts = {}
    for margin in ("30%", "0.3", "0.01%"):
        verdicts[margin] = answers(traintwice("diff", "old.csv", "again4.csv", "--same-within", margin)[1])["Quality"]
    assert verdicts["30%"] == verdicts["0.3"] == "no change that matters"
    assert verdicts["0.01%"] != "no change that matters"


def test_columns_to_show_with_regressed_rows(files, traintwice):
    status, out, _ = traintwice("diff", "old.csv", "new.csv", "--show", "country")
    assert status == 0
    (head,) = [line for line in out.splitlines() if "old → new" in line]
    assert head.endswith("country")
    assert any(re.match(r"id\d+ .*\b(BR|DE)$", line) for line in out.splitlines())


def test_retrains_quoted_or_expanded_are_the_same(files, traintwice):
    quoted = traintwice("diff", "old.csv", "new.csv", "--floor", "again*.csv", "--json")
    expanded = traintwice("diff", "old.csv", "new.csv", "--floor", *[f"again{k}.csv" for k in range(5)], "--json")
    first = traintwice("diff", "--floor", *[f"again{k}.csv" for k in range(5)], "old.csv", "new.csv", "--json")
    assert quoted == expanded == first
    found = strict(quoted[1])
    assert [floor["retrains"] for floor in found["floors"]] == [5, 5]
    assert found["floors"][0]["verdict"] == "beyond noise"


def test_retrains_of_both_recipes(files, traintwice):
    status, out, _ = traintwice(
        "diff",
        "old.csv",
        "new.csv",
        "--floor",
        "again0.csv",
        "again1.csv",
        "again2.csv",
        "--new-floor",
        "again3.csv",
        "again4.csv",
        "--full",
    )
    assert status == 0
    assert "3 retrains of the old recipe and 2 of the new" in " ".join(out.split())


def test_another_order_is_joined_to_the_same_numbers(files, traintwice):
    same, joined = (strict(traintwice("diff", "old.csv", name, "--json")[1]) for name in ("new.csv", "shuffled.csv"))
    assert joined["alignment"]["order"] == "joined"
    for one, other in zip(same["measures"], joined["measures"], strict=True):
        assert other["estimate"]["value"] == pytest.approx(one["estimate"]["value"])


def test_json_is_alone_on_standard_output_and_strict(files, traintwice):
    status, out, _ = traintwice("diff", "old.csv", "new.csv", "--json")
    found = strict(out)
    assert status == 0
    assert found["schema"] == 2
    assert [a["question"] for a in found["answers"]] == ["quality", "regressions", "disagreement", "slices"]
    assert found["measures"][0]["name"] == "churn"
    assert out.count("\n") == 1
    assert out.isascii()


def test_markdown(files, traintwice):
    status, out, _ = traintwice("diff", "old.csv", "new.csv", "--markdown", "--by", "country")
    assert status == 0
    assert out.startswith("**Verdict: ")
    assert "| churn |" in out
    assert "| country=BR |" in out


def test_rows_and_report_are_written(files, traintwice):
    import duckdb

    status, out, _ = traintwice("diff", "old.csv", "new.csv", "--rows", "rows.parquet", "--report", "diff.html")
    assert status == 0
    assert out.splitlines()[-3:] == ["Details: --full", "Report: diff.html", "Rows: rows.parquet"]
    columns = [row[0] for row in duckdb.sql("DESCRIBE SELECT * FROM 'rows.parquet'").fetchall()]
    assert {"row_id", "instability", "changed", "distance"} <= set(columns)
    assert duckdb.sql("SELECT count(*) FROM 'rows.parquet'").fetchall() == [(600,)]
    page = (files / "diff.html").read_text()
    for chart in ("density", "flow", "predicted", "confidence"):
        assert f'data-chart="{chart}"' in page


def test_ids_stay_out_of_every_output(files, traintwice):
    outputs = [traintwice("diff", "old.csv", "new.csv", "--no-rows", *form)[1] for form in ([], ["--json"], ["--markdown"])]
    traintwice("diff", "old.csv", "new.csv", "--no-rows", "--report", "diff.html")
    outputs.append((files / "diff.html").read_text().partition("<script>")[0])
    refused = traintwice("diff", "old.csv", "short.csv", "--no-rows")
    assert refused[0] == 2
    assert "1 of 600 ids of old.csv are missing from short.csv. Pass --on-missing drop" in refused[2]

    for text in (*outputs, refused[2]):
        assert not re.search(r"\bid\d+\b", text)
    assert re.search(r"\bid\d+\b", traintwice("diff", "old.csv", "new.csv")[1])


def test_what_may_be_dropped_is_said(files, traintwice):
    status, out, _ = traintwice("diff", "old.csv", "short.csv", "--on-missing", "drop")
    assert status == 0
    assert "599 rows joined by id" in out
    assert "old.csv: 1 row left out (ids missing in another file, or on several rows)" in out


def test_every_option_reaches_the_comparison(files, traintwice):
    (files / "a.csv").write_text("k1,k2,s,t,w,g\n" + "".join(f"{i},x,{i / 9!r},{i % 2},{i + 1},{i % 2}\n" for i in range(10)))
    (files / "b.csv").write_text("k1,k2,s\n" + "".join(f"{i},x,{(9 - i) / 9!r}\n" for i in range(10)))
    status, out, _ = traintwice(
        "diff", "a.csv", "b.csv", "--id", "k1", "--id", "k2", "--probs", "s", "--label", "t", "--weight", "w", "--by", "g",
        "--threshold", "0.3", "--top-k", "3", "--min-support", "2", "--level", "0.9", "--memory", "500MB", "--json",
        "--classes", "no,yes",
    )  # fmt: skip
    found = strict(out)
    assert status == 0
    assert found["effective_rows"] < 10
    assert found["level"] == 0.9
    assert [d["threshold"] for d in found["decisions"]] == [0.3]
    assert [s["rows"] for s in found["swap_sets"]] == [3]
    assert {(s["column"], s["value"]) for s in found["slices"]} == {("g", "0"), ("g", "1")}
    assert {(s["column"], s["value"]) for s in found["predicted"]} >= {("predicted class", "yes")}
    ranked = strict(traintwice("diff", "a.csv", "b.csv", "--id", "k1", "--probs", "s", "--label", "t", "--rank", "--json")[1])
    assert "kendall_tau" in [m["name"] for m in ranked["measures"]]
    by_position = traintwice("diff", "a.csv", "b.csv", "--by-position", "--probs", "s", "--regression", "--json")
    assert strict(by_position[1])["regression"]
    logits = traintwice(
        "diff", "a.csv", "b.csv", "--id", "k1", "--probs", "s", "--logits", "--match-temperature", "--label", "t", "--json"
    )
    assert strict(logits[1])["alignment"]["layouts"][0].startswith("one logit")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["old.csv", "none.csv"], "none.csv"),
        (["old.csv", "short.csv"], "Pass --on-missing drop to compare the 599 rows that both have"),
        (["old.csv", "new.csv", "--json", "--markdown"], "--json and --markdown exclude each other"),
        (["old.csv", "new.csv", "--rows", "r.parquet", "--no-rows"], "--rows and --no-rows exclude each other"),
        (["old.csv", "new.csv", "--show", "country", "--no-rows"], "--show and --no-rows exclude each other"),
        (["old.csv", "new.csv", "--same-within", "2"], "--same-within 2: reads as 200 %; write 2% or 0.02"),
        (["old.csv", "new.csv", "--same-within", "some"], "--same-within some: expected a share"),
        (["old.csv", "new.csv", "--margin", "0.5"], "margin"),
        (["old.csv", "new.csv", "--report", "none/d.html"], "there is no directory none"),
        (["old.csv", "new.csv", "--report", "."], "is a directory"),
        (["old.csv", "new.csv", "--label", "z"], "'z'"),
        (["old.csv", "new.csv", "--level", "2"], "level: got 2.0"),
        (["old.csv", "new.csv", "--new-floor", "again0.csv"], "new_floor needs floor"),
        (["old.csv", "old.csv"], "named twice"),
        (["old.csv", "new.csv", "--floor", "nothing*.csv"], "nothing*.csv"),
        (["old.csv", "new.csv", "--memory", "much"], "memory: got 'much'"),
    ],
)
def test_mistakes_end_in_one_message_and_status_2(files, traintwice, arguments, message):
    before = {p.name for p in files.iterdir()}
    status, out, err = traintwice("diff", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("traintwice: ")
    assert message in err
    assert "Traceback" not in err
    assert {p.name for p in files.iterdir()} == before


def test_usage_mistakes_are_status_2(traintwice):
    for arguments in ([], ["a.csv"], ["a.csv", "b.csv", "--nonsense"], ["a.csv", "b.csv", "--level", "x"]):
        assert traintwice("diff", *arguments)[0] == 2


def test_loads_neither_torch_nor_altair(files):
    code = (
        "import sys; sys.argv = ['traintwice', 'diff', 'old.csv', 'new.csv', '--by', 'country', '--quiet']\n"
        "from traintwice.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(sorted({'torch', 'altair', 'sklearn', 'pandas', 'pyarrow'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=files, capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


@pytest.mark.skipif(sys.platform == "win32", reason="/dev/full")
def test_a_full_disk_behind_standard_output_is_an_error(files):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        command = [sys.executable, "-c", "from traintwice.cli import main; main()", "diff", "old.csv", "new.csv", "--json"]
        done = subprocess.run(command, cwd=files, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "traintwice: standard output cannot be written (No space left on device)\n"


def test_a_reader_who_leaves_early_hears_no_complaint(files):
    command = [sys.executable, "-c", "from traintwice.cli import main; main()", "diff", "old.csv", "new.csv", "--json"]
    process = subprocess.Popen(command, cwd=files, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 2
    process.stderr.close()


def test_names_of_slices_are_whole_where_there_is_no_terminal(files, traintwice):
    name = "a country with a very long name " * 8
    for file in ("old.csv", "new.csv"):
        (files / file).write_text((files / file).read_text().replace(",BR", f",{name}"))
    out = traintwice("diff", "old.csv", "new.csv", "--by", "country", "--full")[1]
    assert f"country={name.strip()}" in out


def test_a_defect_is_not_an_outcome(files, traintwice, monkeypatch):
    from traintwice import gates

    monkeypatch.setattr(gates, "gate", "no function")
    status, _, err = traintwice("gate", "old.csv", "new.csv", "--max", "churn=1")
    assert status == 4
    assert "TypeError" in err
