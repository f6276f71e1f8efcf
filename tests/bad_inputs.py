"""Files for the table of bad inputs: two good models, and one file for each mistake."""

import gzip
import json
import struct
import zipfile

import numpy as np

GOOD = "id,p,y,country\n1,0.1,0,BR\n2,0.8,1,BR\n3,0.3,1,AR\n4,0.6,0,AR\n"
OTHER = "id,p,y,country\n1,0.2,0,BR\n2,0.3,1,BR\n3,0.7,1,AR\n4,0.9,0,AR\n"
STUDY = 'name = "s"\nreplicas = 2\n[data]\ntype = "Digits"\n[recipe]\nepochs = 1\n'

TEXTS = {
    "a.csv": GOOD,
    "b.csv": OTHER,
    "blank-line.csv": "\nid,p,y\n1,0.1,0\n",
    "spaces-only.csv": "   \n",
    "header-only.csv": "id,p,y,country\n",
    "no-header.csv": "1,0.1,0\n2,0.8,1\n",
    "cr-only.csv": GOOD.replace("\n", "\r"),
    "ragged.csv": "id,p,y\n1,0.1,0\n2,0.8\n",
    "too-many-cells.csv": "id,p,y\n1,0.1,0\n2,0.8,1,7,7\n",
    "open-quote.csv": 'id,p,y\n1,"0.1,0\n2,0.8,1\n',
    "half-last-line.csv": "id,p,y\n1,0.1,0\n2,0.8",
    "half-object.jsonl": '{"id": 1, "p": 0.5}\n{"id": 2, "p": 0',
    "mixed-line-ends.csv": "id,p,y\r1,0.1,0\n2,0.8,1\r\n",
    "twice-named.csv": "id,p,p\n1,0.1,0\n",
    "case-named.csv": "id,p,P\n1,0.1,0\n",
    "double-ids.csv": GOOD.replace("2,0.8", "1,0.8"),
    "empty-id.csv": GOOD.replace("2,0.8", ",0.8"),
    "other-ids.csv": GOOD.replace("4,0.6", "5,0.6"),
    "text-ids.csv": GOOD.replace("\n1,", "\nx,").replace("\n4,", "\nz,"),
    "above-one.csv": GOOD.replace("0.8", "1.8"),
    "below-zero.csv": GOOD.replace("0.8", "-0.8"),
    "nan.csv": GOOD.replace("0.8", "nan"),
    "inf.csv": GOOD.replace("0.8", "inf"),
    "huge.csv": GOOD.replace("0.8", "1e999"),
    "word.csv": GOOD.replace("0.8", "abc"),
    "empty-cell.csv": GOOD.replace("0.8", ""),
    "sum-not-one.csv": "id,p_0,p_1,y\n1,0.5,0.9,0\n2,0.8,0.9,1\n",
    "no-predictions.csv": "id,country\n1,BR\n2,AR\n",
    "only-id.csv": "id\n1\n2\n",
    "other-labels.csv": GOOD.replace("0.1,0", "0.1,1"),
    "text-labels.csv": GOOD.replace(",0,", ",no,").replace(",1,", ",yes,"),
    "third-label.csv": GOOD.replace("0.1,0", "0.1,7"),
    "weights-zero.csv": "id,p,y,w\n1,0.1,0,0\n2,0.8,1,0\n3,0.3,1,0\n4,0.6,0,0\n",
    "weights-negative.csv": "id,p,y,w\n1,0.1,0,-1\n2,0.8,1,1\n3,0.3,1,1\n4,0.6,0,1\n",
    "weights-huge.csv": "id,p,y,w\n1,0.1,0,1e200\n2,0.8,1,1e200\n3,0.3,1,1e200\n4,0.6,0,1e200\n",
    "weights-tiny.csv": "id,p,y,w\n1,0.1,0,5e-324\n2,0.8,1,5e-324\n3,0.3,1,5e-324\n4,0.6,0,5e-324\n",
    "weights-text.csv": "id,p,y,w\n1,0.1,0,a\n2,0.8,1,b\n3,0.3,1,c\n4,0.6,0,d\n",
    "escape.csv": "id,p,y,country\n1,0.1,0,\x1b[31mBR\n2,0.8,1,BR\n",
    "formula.csv": 'id,p,y,country\n1,0.1,0,"=1+1"\n2,0.8,1,"@x"\n3,0.3,1,-2\n4,0.6,0,+3\n',
    "no-ending": GOOD,
    "model.pkl": "x",
    "model.xlsx": "x",
    "broken.jsonl": '{"id": 1, "p": 0.5}\n{"id": 2, "p"',
    "list.jsonl": "[1, 2]\n",
    "one-object.jsonl": "7\n",
    "nested.jsonl": '{"id": {"a": 1}, "p": 0.5}\n{"id": {"a": 2}, "p": 0.6}\n',
    "deep.jsonl": '{"id": 1, "p": ' + "[" * 3000 + "]" * 3000 + "}\n",
    "text.parquet": "not parquet",
    "text.npz": "not an archive",
    "text.npy": "not an array",
    "text.safetensors": "not tensors",
    "ids.txt": "1\n2\n",
    "other-groups.csv": GOOD.replace("1,AR", "1,BR"),
    "weighted.csv": "id,p,y,w\n1,0.1,0,1\n2,0.8,1,2\n3,0.3,1,1\n4,0.6,0,1\n",
    "other-weights.csv": "id,p,y,w\n1,0.1,0,1\n2,0.8,1,3\n3,0.3,1,1\n4,0.6,0,1\n",
    "decided-01.csv": "id,pred\n1,0\n2,1\n",
    "decided-words.csv": "id,pred\n1,no\n2,yes\n",
    "decided-truth.csv": "id,pred\n1,False\n2,True\n",
    "empty.toml": "",
    "no-budgets.toml": 'old = "a.csv"\nnew = "b.csv"\n',
    "unknown-key.toml": 'old = "a.csv"\nnew = "b.csv"\nbudgits = []\n',
    "bad-limit.toml": 'old = "a.csv"\nnew = "b.csv"\n[[budgets]]\nmeasure = "churn"\nmax = "a lot"\n',
    "no-percent.toml": 'old = "a.csv"\nnew = "b.csv"\n[[budgets]]\nmeasure = "churn"\nmax = "2"\n',
    "whole-percent.toml": 'old = "a.csv"\nnew = "b.csv"\n[[budgets]]\nmeasure = "churn"\nmax = 2\n',
    "no-side.toml": 'old = "a.csv"\nnew = "b.csv"\n[[budgets]]\nmeasure = "churn"\n',
    "bad-measure.toml": 'old = "a.csv"\nnew = "b.csv"\n[[budgets]]\nmeasure = "chrun"\nmax = 0.1\n',
    "text-level.toml": 'old = "a.csv"\nnew = "b.csv"\nlevel = "high"\n[[budgets]]\nmeasure = "churn"\nmax = 0.1\n',
    "list-old.toml": 'old = ["a.csv"]\nnew = "b.csv"\n[[budgets]]\nmeasure = "churn"\nmax = 0.1\n',
    "missing-old.toml": 'old = "nowhere.csv"\nnew = "b.csv"\n[[budgets]]\nmeasure = "churn"\nmax = 0.1\n',
    "budgets-text.toml": 'old = "a.csv"\nnew = "b.csv"\nbudgets = "churn"\n',
    "budgets-numbers.toml": 'old = "a.csv"\nnew = "b.csv"\nbudgets = [1, 2]\n',
    "syntax.toml": "old = \n",
    "deep.toml": "a = " + "[" * 5000 + "]" * 5000 + "\n",
    "long-number.toml": "level = " + "9" * 6000 + "\n",
    "huge-number.toml": 'old = "a.csv"\nnew = "b.csv"\nmin_support = ' + "9" * 60 + '\n[[budgets]]\nmeasure = "churn"\nmax = 0.1\n',
    "infinite.toml": 'old = "a.csv"\nnew = "b.csv"\n[[budgets]]\nmeasure = "churn"\nmax = inf\n',
    "nan.toml": 'old = "a.csv"\nnew = "b.csv"\n[[budgets]]\nmeasure = "churn"\nmax = nan\n',
    "study.toml": STUDY,
    "study-no-name.toml": STUDY.replace('name = "s"\n', ""),
    "study-slash.toml": STUDY.replace('"s"', '"../s"'),
    "study-one-replica.toml": STUDY.replace("= 2", "= 1"),
    "study-text-replicas.toml": STUDY.replace("= 2", '= "two"'),
    "study-huge-replicas.toml": STUDY.replace("= 2", "= 99999999999"),
    "study-negative-seed.toml": "seed = -1\n" + STUDY,
    "study-unknown-data.toml": STUDY.replace("Digits", "Digit"),
    "study-data-text.toml": 'name = "s"\ndata = "Digits"\n',
    "study-no-data.toml": 'name = "s"\n',
    "study-rows-text.toml": 'rows = "a"\n' + STUDY,
    "study-recipe-list.toml": 'name = "s"\nrecipe = []\n[data]\ntype = "Digits"\n',
    "study-epochs-zero.toml": STUDY.replace("epochs = 1", "epochs = 0"),
    "study-epochs-huge.toml": STUDY.replace("epochs = 1", "epochs = 999999999999999999999999"),
    "study-epochs-float.toml": STUDY.replace("epochs = 1", "epochs = 1.5"),
    "study-lr-nan.toml": STUDY + "[recipe.optimizer]\nlr = nan\n",
    "study-unknown-setting.toml": STUDY + "epoch = 1\n",
    "study-unknown-method.toml": STUDY + 'method = "ensembel"\n',
    "study-many-components.toml": STUDY + 'method = {builder = "ensemble", components = 100000000}\n',
    "study-loss-text.toml": STUDY + 'method = {terms = [{loss = "CrossEntropy"}]}\n',
    "study-no-terms.toml": STUDY + "method = {terms = []}\n",
    "study-row-name.toml": STUDY + '[rows."a\\nb"]\n',
    "study-row-text.toml": STUDY + '[rows]\nbaseline = "x"\n',
    "study-row-times.toml": STUDY + '[rows.baseline]\n[rows.more]\nepochs = "manyx"\n',
    "study-row-control.toml": STUDY + '[rows.baseline]\n[rows.more]\ncontrol = 7\n',
    "study-schema.toml": "schema = 9\n" + STUDY,
    "study-code.toml": 'name = "s"\n[data]\ntype = "Loader"\nmaker = "nowhere:make"\nclasses = 2\nexamples = 4\n',
    "study-code-text.toml": 'name = "s"\n[data]\ntype = "Loader"\nmaker = "not a function"\nclasses = 2\nexamples = 4\n',
    "study-missing-files.toml": 'name = "s"\n[data]\ntype = "Arrays"\npath = "nowhere.npz"\n',
    "study-deep.toml": "name = " + "[" * 5000 + "]" * 5000 + "\n",
}  # fmt: skip


def make_files(folder):
    """Write all files of the table."""
    for name, text in TEXTS.items():
        (folder / name).write_text(text, newline="")
    (folder / "utf16.csv").write_bytes(GOOD.encode("utf-16"))
    (folder / "latin1.csv").write_bytes(GOOD.replace("country", "paîs").encode("latin-1"))
    (folder / "latin1-cell.csv").write_bytes(GOOD.replace("BR", "Brás").encode("latin-1"))
    (folder / "zero-byte.csv").write_bytes(GOOD.replace("0.8", "0.\0" + "8").encode())
    (folder / "empty.csv").touch()
    (folder / "empty.npy").touch()
    (folder / "empty.parquet").touch()
    (folder / "folder.csv").mkdir()
    (folder / "nothing").mkdir()
    packed = gzip.compress(GOOD.encode())
    (folder / "good.csv.gz").write_bytes(packed)
    (folder / "cut.csv.gz").write_bytes(packed[:-12])
    (folder / "crc.csv.gz").write_bytes(packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:])
    (folder / "plain.csv.gz").write_text(GOOD)
    np.save(folder / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.save(folder / "complex.npy", np.ones(4, dtype=complex))
    np.save(folder / "no-rows.npy", np.zeros((0, 2)))
    np.save(folder / "cube.npy", np.ones((2, 3, 4)))
    np.save(folder / "scalar.npy", np.float64(1))
    np.savez(folder / "lengths.npz", id=np.arange(4), p=np.ones(3) / 2)
    np.savez(folder / "objects.npz", id=np.array([None, {}], dtype=object), p=np.ones(2))
    np.savez(folder / "good.npz", id=np.arange(1, 5), p=np.array([0.1, 0.8, 0.3, 0.6]), y=np.array([0, 1, 1, 0]))
    whole = (folder / "good.npz").read_bytes()
    (folder / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with zipfile.ZipFile(folder / "members.npz", "w") as archive:
        archive.writestr("../../evil.txt", "x")
    header = str({"descr": "<f8", "fortran_order": False, "shape": (10**15,)}).encode().ljust(117) + b"\n"
    (folder / "claims.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    with zipfile.ZipFile(folder / "claims.npz", "w") as archive:
        archive.writestr("p.npy", (folder / "claims.npy").read_bytes())
    damaged = bytearray(whole)
    damaged[whole.index(np.array([0.1, 0.8]).tobytes())] ^= 1
    (folder / "crc.npz").write_bytes(damaged)
    table = json.dumps({"p": {"dtype": "F64", "shape": [10**12], "data_offsets": [0, 8]}}).encode()
    (folder / "claims.safetensors").write_bytes(struct.pack("<Q", len(table)) + table + b"\0" * 8)
    (folder / "long-header.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{}")
    (folder / "binary.toml").write_bytes(b"\xff\xfe\0")
    (folder / "store").mkdir()
    (folder / "store" / "thesis.tex").touch()
    for name, marker in (
        ("newer", '{"schema": 1, "layout": 9}'),
        ("damaged", "{"),
        ("listed", "[]"),
        ("fine", '{"schema": 1, "layout": 1}'),
    ):
        for part in ("studies", "replicas", "locks"):
            (folder / name / part).mkdir(parents=True)
        (folder / name / "store.json").write_text(marker)
    (folder / "fine" / "studies" / "odd.json").write_text("7")
