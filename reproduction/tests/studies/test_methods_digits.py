"""The study of every method and every control."""

import pytest

from traintwice import controls, losses, methods
from traintwice_reproduction.kept import ROOT
from traintwice_reproduction.pages.methods import NO_NUMBERS
from traintwice_reproduction.site.marks import filled
from traintwice_reproduction.studies import methods_digits

CARDS = [filled(page.read_text()) for page in (ROOT / "docs" / "methods").glob("*.md")]
NEW = {name for name in (*methods.BUILDERS, *controls.CONTROLS) for card in CARDS if f"`{name}`" in card and NO_NUMBERS in card}
"""Members whose card has no numbers yet: their rows may be missing."""


@pytest.fixture(scope="module")
def made():
    """What each builder and each control made while the study was put together, by name, and the rows of the study."""
    found = {name: [] for name in (*methods.BUILDERS, *controls.CONTROLS)}

    def kept(name, function):
        def call(*arguments, **settings):
            found[name].append(function(*arguments, **settings))
            return found[name][-1]

        return call

    with pytest.MonkeyPatch.context() as patch:
        for room, members in ((methods, methods.BUILDERS), (controls, controls.CONTROLS)):
            for name, function in members.items():
                patch.setattr(room, name, kept(name, function))
        return found, methods_digits().rows


@pytest.mark.parametrize("name", methods.BUILDERS)
def test_every_method_has_a_row(made, name):
    found, rows = made
    used = [recipe.method for recipe in rows.values()]
    assert found[name] or name in NEW
    assert all(method in used for method in found[name])


@pytest.mark.parametrize("name", controls.CONTROLS)
def test_every_control_has_a_row(made, name):
    found, rows = made
    assert any(recipe in rows.values() for recipe in found[name]) or name in NEW


@pytest.mark.parametrize("loss", losses.ALL)
def test_every_loss_has_a_row(made, loss):
    used = [recipe.method for recipe in made[1].values()] + [methods.BUILDERS[name]() for name in methods.BUILDERS if name in NEW]
    assert loss in {type(term.loss) for method in used for term in method.terms}


CHOICES = """
    'covariance' 'residue' 'probabilities' center='class' normalize=True rho= 'inverse' power=1.0 'mean-logit' 'gate' components=3
    'skl' 'l1' 'ce' lag_steps=13 cap= top_k=3 SharedTrunk OwnBatches(share=0.5 input_scale=10.0 replica='first' replica='own'
"""


@pytest.mark.parametrize("choice", CHOICES.split())
def test_every_choice_of_form_is_made_by_some_row(made, choice):
    assert choice in repr(made[1])
