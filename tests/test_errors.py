import pytest

from traintwice import errors
from traintwice.errors import MissingExtra, TraintwiceError, UnknownName, require, unknown


def test_every_error_is_a_value_error_and_a_traintwice_error():
    kinds = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    assert len(kinds) >= 9
    for kind in kinds:
        assert issubclass(kind, TraintwiceError)
        assert issubclass(kind, ValueError)


def test_unknown_offers_the_nearest_or_all_or_a_listing():
    assert str(unknown("preset", "mnst", ["mnist", "cifar"])) == "no preset named 'mnst'. Did you mean 'mnist'?"
    assert str(unknown("preset", "zzz", ["mnist", "cifar"])) == "no preset named 'zzz'. Known: cifar, mnist."
    assert str(unknown("preset", "zzz", [])) == "no preset named 'zzz'. Known: none."
    many = [f"recipe{i:02}" for i in range(13)]
    assert str(unknown("recipe", "zzz", many)) == "no recipe named 'zzz'. There are 13; `traintwice list` shows them."
    assert str(unknown("row", "zzz", many, listed="the report")).endswith("There are 13; the report shows them.")
    assert str(unknown("recipe", "zzz", [], hint="Or give a file.")).endswith("Known: none. Or give a file.")
    assert isinstance(unknown("a", "b", []), UnknownName)


def test_require_names_the_extra():
    require("json", extra="torch", purpose="Training")
    with pytest.raises(MissingExtra, match=r"Training needs no_such_module. Install it with: pip install 'traintwice\[torch\]'"):
        require("no_such_module", extra="torch", purpose="Training")
