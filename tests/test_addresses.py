"""No password, token or signature of an address is in a message or result, whatever its scheme."""

import pytest

from traintwice._addresses import Address, is_address, without_secrets
from traintwice.errors import BadInput, TraintwiceError

SECRET = "hunter2"
ADDRESSES = {
    f"https://bucket.s3.amazonaws.com/a.parquet?X-Amz-Credential=x&X-Amz-Signature={SECRET}": "https://bucket.s3.amazonaws.com/a.parquet",
    f"https://account.blob.core.windows.net/c/a.parquet?sv=2024&sig={SECRET}%3D": "https://account.blob.core.windows.net/c/a.parquet",
    f"https://{SECRET}@host/a.parquet": "https://host/a.parquet",
    f"http://ann:{SECRET}@host:8080/a.parquet": "http://host:8080/a.parquet",
    f"https://host/a.parquet?{SECRET}": "https://host/a.parquet",
    f"https://host/a.parquet#{SECRET}": "https://host/a.parquet",
    f"HTTPS://ann:{SECRET}@host/a.parquet": "HTTPS://host/a.parquet",
    f"s3://key:{SECRET}@bucket/a.parquet": "s3://key@bucket/a.parquet",
    f"s3://bucket/a.parquet?versionId=7&token={SECRET}": "s3://bucket/a.parquet?versionId=7",
    f"postgresql://ann:{SECRET}@host:5432/db?table=t": "postgresql://ann@host:5432/db?table=t",
    f"postgresql://ann:1/{SECRET}@x@host/db?table=t": "postgresql://ann@host/db?table=t",
    f"postgresql://host/db?user=ann&password={SECRET}&table=my.t": "postgresql://host/db?table=my.t",
    f"postgresql://ann@host/db?query=SELECT 1&password={SECRET}": None,
}
PLAIN = ["s3://bucket/day=1/part-?.parquet", "https://host:8080/preds@3", "abfs://box@account.dfs.core.windows.net/a.parquet"]
PLAIN += ["hf://datasets/ann/preds@main/a.parquet", "old.parquet: 3 of 9 rows", "postgresql://ann@host/db?table=pred_v1"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_secrets_are_removed(address):
    shown = ADDRESSES[address]
    assert SECRET not in without_secrets(address)
    if shown is not None:
        assert without_secrets(address) == shown
        assert without_secrets(f"{address}: access is refused (403)") == f"{shown}: access is refused (403)"
        assert without_secrets(f"see {address}, and {address}.") == f"see {shown}, and {shown}."
    assert SECRET not in str(Address(address)) + repr(Address(address))
    assert SECRET not in str(TraintwiceError(f"{address}: no"))
    error = BadInput(f"{address}: no", without_cells=f"{address}: no cells")
    assert SECRET not in str(error) + error.without_cells


@pytest.mark.parametrize("text", PLAIN)
def test_the_rest_stays(text):
    assert without_secrets(text) == text


@pytest.mark.parametrize(
    "name", ["password", "AWSAccessKeyId", "Signature", "sig", "access_token", "X-Goog-Signature", "secret_key"]
)
def test_parameters_in_messages_of_libraries(name):
    assert without_secrets(f"failed: host=db {name}={SECRET} port=1") == f"failed: host=db {name}=… port=1"
    assert SECRET not in without_secrets(f"failed: {name} = '{SECRET} {SECRET}'")


def test_addresses():
    assert [text for text in ("s3://b/a", "C:/a", "a.parquet", "memory://a", "//host/a") if is_address(text)] == [
        "s3://b/a",
        "memory://a",
    ]
