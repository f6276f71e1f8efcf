import math

import pytest

from traintwice import schedules
from traintwice.errors import BadSpec
from traintwice.schedules import (
    Complement,
    CosineDecay,
    CyclicCosine,
    Jump,
    LinearDecay,
    Ramp,
    StepDecay,
    WarmUp,
    at_step,
    resolve,
)


def test_ramp_is_linear_then_flat():
    ramp = Ramp(0.8, steps=4)
    assert [ramp(t) for t in range(7)] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 0.8, 0.8])


def test_jump_is_a_step():
    assert [Jump(0.8, steps=2)(t) for t in range(4)] == [0.0, 0.0, 0.8, 0.8]


def test_decays_end_at_zero_one_step_after_the_last():
    assert [LinearDecay(steps=4)(t) for t in range(5)] == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert [CosineDecay(steps=4)(t) for t in range(5)] == pytest.approx([(1 + math.cos(math.pi * t / 4)) / 2 for t in range(5)])
    assert LinearDecay(to=0.1, steps=10)(10) == pytest.approx(0.1)


def test_complement_is_exact():
    for t in range(6):
        assert at_step(Complement(Ramp(0.3, steps=4)), t) + at_step(Ramp(0.3, steps=4), t) == 1.0


def test_epochs_become_steps():
    assert resolve(Ramp(1.0, epochs=2.5), 10) == Ramp(1.0, steps=25)
    assert resolve(Complement(Jump(1.0, epochs=2)), 10) == Complement(Jump(1.0, steps=20))
    assert LinearDecay().resolve(10, 70) == LinearDecay(steps=70)
    assert CosineDecay(steps=5).resolve(10, 70) == CosineDecay(steps=5)
    assert resolve(0.5, 10) == 0.5


@pytest.mark.parametrize("schedule", [Ramp(1.0, epochs=2), Jump(1.0, epochs=2), LinearDecay(), CosineDecay()])
def test_epochs_must_be_resolved_first(schedule):
    with pytest.raises(BadSpec, match="resolve"):
        schedule(0)


@pytest.mark.parametrize("kind", [Ramp, Jump])
@pytest.mark.parametrize("length", [{}, {"epochs": 1, "steps": 1}, {"epochs": 0}, {"steps": -1}])
def test_exactly_one_length(kind, length):
    with pytest.raises(BadSpec, match="exactly one"):
        kind(1.0, **length)


def test_range_of_linear_decay():
    with pytest.raises(BadSpec, match="got to=2"):
        LinearDecay(to=2)


@pytest.mark.parametrize("schedule", [Ramp(1.0, epochs=2), Jump(1.0, steps=3), Complement(0.25), LinearDecay(), CosineDecay(7)])
def test_prints_as_itself(schedule):
    assert eval(repr(schedule), vars(schedules)) == schedule  # noqa: S307


def test_step_decay_falls_at_each_moment():
    decay = StepDecay(0.5, epochs=(1, 2.5)).resolve(10)
    assert decay == StepDecay(0.5, steps=(10, 25))
    assert [decay(t) for t in (0, 9, 10, 24, 25, 99)] == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_cycles_start_again():
    cycles = CyclicCosine(3).resolve(5, 10)
    assert cycles.cycle_steps == 4  # 4 + 4 + 2
    assert [cycles(t) for t in (0, 4, 8)] == [1.0, 1.0, 1.0]
    assert cycles(3) == pytest.approx((1 + math.cos(math.pi * 3 / 4)) / 2)


def test_warm_up_multiplies_what_follows():
    schedule = WarmUp(StepDecay(epochs=(3,)), epochs=2).resolve(5)
    assert [schedule(t) for t in (0, 4, 9, 14, 15)] == pytest.approx([0.1, 0.5, 1.0, 1.0, 0.1])


def test_every_schedule_refuses_a_step_before_it_is_resolved():
    for schedule in (StepDecay(epochs=(1,)), CyclicCosine(), WarmUp(epochs=1), Ramp(1.0, epochs=1), LinearDecay(), CosineDecay()):
        with pytest.raises(BadSpec, match="resolve"):
            schedule(1)
        assert 0 <= schedule.resolve(10, 20)(1) <= 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: StepDecay(),
        lambda: StepDecay(epochs=(1,), steps=(3,)),
        lambda: StepDecay(steps=(3, 3)),
        lambda: StepDecay(steps=()),
        lambda: StepDecay(0.0, steps=(3,)),
        lambda: CyclicCosine(0),
        lambda: WarmUp(),
        lambda: WarmUp(steps=0),
    ],
)
def test_bad_schedules(make):
    with pytest.raises(BadSpec, match="expected"):
        make()
