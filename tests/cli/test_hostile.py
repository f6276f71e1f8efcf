"""Outputs over inputs, links and devices; code that studies name; stores with foreign files; standard streams that fail; killed runs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from traintwice._files import SCRATCH, make_scratch, refuse_overwriting, remove_scratch, write_whole
from traintwice.errors import BadInput
from traintwice.study import Experiment, Store

COMMAND = [sys.executable, "-c", "from traintwice.cli import main; main()"]
OLD = "id,p,y\n1,0.1,0\n2,0.8,1\n3,0.3,1\n4,0.6,0\n"
STUDY = """
name = "s"
replicas = 2
[data]
type = "Loader"
maker = "evil_code:make"
classes = 2
examples = 4
[recipe]
epochs = 1
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a.csv").write_text(OLD)
    (tmp_path / "b.csv").write_text(OLD.replace("0.1", "0.9"))
    return tmp_path


@pytest.mark.parametrize("output", ["a.csv", "./x/../a.csv", "soft.html", "hard.html"])
def test_an_output_is_never_an_input(files, traintwice, output):
    (files / "x").mkdir()
    (files / "soft.html").symlink_to("a.csv")
    os.link(files / "a.csv", files / "hard.html")
    for command in (
        ["diff", "a.csv", "b.csv", "--report", output],
        ["gate", "*.csv", "b.csv", "--max", "churn=1%", "--junit", output],
    ):
        status, out, err = traintwice(*command)
        assert (status, out) == (2, "")
        assert "is the same file as the input a.csv" in err
    assert (files / "a.csv").read_text() == OLD


def test_an_output_is_no_input_of_a_gate_file_either(files, traintwice):
    (files / "g.toml").write_text('old = "a.csv"\nnew = "b.csv"\n[[budgets]]\nmeasure = "churn"\nmax = 0.1\n')
    for output in ("a.csv", "g.toml"):
        assert "is the same file as the input" in traintwice("gate", "g.toml", "--junit", output)[2]


def test_rows_are_no_input_in_python_either(files):
    from traintwice import diff

    (files / "a.parquet").write_text("x")
    with pytest.raises(BadInput, match=r"rows_file .*a\.parquet: is the same file as the input"):
        diff(files / "a.parquet", files / "b.csv", rows_file=files / "a.parquet")


def test_links_and_pipes_stay(tmp_path):
    (tmp_path / "plain").write_text("old")
    (tmp_path / "link").symlink_to("plain")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "plain").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_whole(tmp_path / "pipe", b"through")
    assert os.read(reader, 99) == b"through"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()
    with pytest.raises(BadInput, match="same file as --junit"):
        refuse_overwriting({"--junit": tmp_path / "x", "--report": tmp_path / "x"}, [])


def test_looking_imports_nothing(tmp_path, traintwice, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "evil_code.py").write_text(
        "import pathlib\npathlib.Path('RAN').touch()\ndef make(*a, **k): raise ValueError('no data')\n"
    )
    (tmp_path / "s.toml").write_text(STUDY)
    store = Store(tmp_path / "runs")
    store.save_study("s", Experiment.read(tmp_path / "s.toml").to_dict())
    for command in (["show", "s.toml"], ["show", "s.toml", "--json"], ["store", "runs"], ["store", "runs", "--prune"]):
        assert traintwice(*command)[0] == 0
    for command in (["report", "runs"], ["export", "runs", "--row", "baseline"]):
        status, _, err = traintwice(*command)
        assert status == 2
        assert "the study names the code 'evil_code:make', which is imported only by" in " ".join(err.split())
    assert not (tmp_path / "RAN").exists()
    err = traintwice("run", "s.toml", "--no-report", "--store", "new")[2]
    assert "imports the code that the study names: evil_code:make (data.maker)" in err
    assert (tmp_path / "RAN").exists()


def test_pruning_touches_only_what_a_store_writes(tmp_path, traintwice):
    store = Store(tmp_path / "runs")
    key = "0" * 32
    (store.folder(key)).mkdir()
    for name in ("recipe.json", "0001.json", "mine.txt"):
        (store.folder(key) / name).write_text("{}")
    for name in ("mine", "replicas/photos"):
        (store.path / name).mkdir()
        (store.path / name / f".tmp-{0:032x}").write_text("x")
        os.utime(store.path / name / f".tmp-{0:032x}", (0, 0))
    (store.path / "replicas" / ("1" * 32)).symlink_to(store.path / "mine")
    status, out, _ = traintwice("store", "runs", "--prune")
    assert status == 0
    assert "no store wrote them: mine.txt" in " ".join(out.split())
    left = {str(path.relative_to(store.path)) for path in store.path.rglob("*") if path.is_file() and path.name != "store.json"}
    assert left == {f"replicas/{key}/mine.txt", f"mine/.tmp-{0:032x}", f"replicas/photos/.tmp-{0:032x}"}


def test_a_flipped_byte_in_a_recipe_is_shown(tmp_path, traintwice):
    from traintwice.specs import digest

    store, meant = Store(tmp_path / "runs"), {"recipe": {"epochs": 1}}
    store.prepare(digest(meant), meant)
    assert json.loads(traintwice("store", "runs", "--json")[1])["recipes"][0]["described"]
    note = store.folder(digest(meant)) / "recipe.json"
    note.write_bytes(note.read_bytes().replace(b"1", b"3"))
    assert "recipe.json damaged" in traintwice("store", "runs")[1]


@pytest.mark.parametrize(
    ("arguments", "streams"),
    [
        ("gate a.csv b.csv --max nonsense", "2>/dev/full"),
        ("gate a.csv b.csv --nope", "2>/dev/full"),
        ("gate a.csv b.csv --nope", "2>&-"),
        ("gate a.csv b.csv --max churn=100% -q", ">/dev/full"),
        ("gate a.csv b.csv --max churn=100% -q", ">&- 2>&-"),
        ("--version", ">&-"),
    ],
)
def test_a_stream_that_fails_is_not_an_outcome(files, arguments, streams):
    command = ["/bin/sh", "-c", f'"$@" {arguments} {streams}', "sh", *COMMAND]
    done = subprocess.run(command, cwd=files, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_a_minus_sign_survives_an_ascii_terminal(files):
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*COMMAND, "diff", "a.csv", "b.csv", "-q"], cwd=files, env=environment, capture_output=True, check=True)
    assert b"pp, -" in done.stdout
    assert b"right -> wrong" in done.stdout


def test_a_long_name_gives_a_short_message(traintwice):
    status, _, err = traintwice("diff", "x" * 100_000 + ".csv", "b.csv")
    assert status == 2
    assert len(err) < 500


def test_ids_are_no_groups_where_rows_are_hidden(files, traintwice):
    status, out, err = traintwice("diff", "a.csv", "b.csv", "--no-rows", "--by", "id")
    assert (status, out) == (2, "")
    assert "id is an id, which no_rows (--no-rows) hides" in err


def test_folders_of_killed_runs_are_removed_and_those_in_use_stay(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / f"{SCRATCH}left"
    left.mkdir()
    (left / "spill").write_text("x")
    (tmp_path / "traintwice-runs").mkdir()
    first, second = make_scratch(), make_scratch()
    assert not left.exists()
    assert first.is_dir()
    remove_scratch(first)
    remove_scratch(second)
    assert [path.name for path in tmp_path.iterdir()] == ["traintwice-runs"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_removes_what_was_spilled(tmp_path, number):
    code = (
        "import signal, time\nfrom traintwice.cli._output import end_by_signal\nfrom traintwice._files import make_scratch\n"
        f"signal.signal({int(number)}, end_by_signal)\n(make_scratch() / 'spill').write_text('x')\ntime.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"TMPDIR": str(tmp_path)})
    for _ in range(600):
        if any(Path(tmp_path).glob(f"{SCRATCH}*/spill")):
            break
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait() == -number
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("before", "taken"), [(signal.SIG_DFL, True), (signal.SIG_IGN, False)])
def test_the_end_of_a_terminal_removes_it_too_unless_nohup_ignores_it(monkeypatch, before, taken):
    from traintwice.cli import _app

    numbers = []
    monkeypatch.setattr(signal, "getsignal", lambda _: before)
    monkeypatch.setattr(signal, "signal", lambda number, _: numbers.append(number))
    for name, result in {"app": 0, "prepare_streams": None, "end_streams": None}.items():
        monkeypatch.setattr(_app, name, lambda result=result, **_: result)
    with pytest.raises(SystemExit):
        _app.main()
    assert (signal.SIGHUP in numbers) == taken
    assert {signal.SIGINT, signal.SIGTERM} <= {*numbers}
