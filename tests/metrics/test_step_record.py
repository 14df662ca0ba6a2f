import itertools

import numpy as np

from keras_selfaux.metrics._step_record import (
    StepRecord,
    advanced,
    read,
    size,
)

NAMES = ["a", "b"]


def record_of(steps: np.ndarray) -> StepRecord:
    """Returns the record of steps, `(steps, watched)` bool."""
    vector = np.zeros(size(len(NAMES)), "int64")
    for finite in steps:
        vector = np.asarray(advanced(vector, finite))
    return read(vector, NAMES)


def counted(steps: np.ndarray) -> StepRecord:
    """Returns the same, counted in Python."""
    bad = [not finite.all() for finite in steps]
    runs = [(k, len(list(g))) for k, g in itertools.groupby(bad)]
    leading = runs[0][1] if runs and runs[0][0] else 0
    trailing = runs[-1][1] if runs and runs[-1][0] else 0
    longest = max((length for is_bad, length in runs if is_bad), default=0)
    firsts = {
        name: int(np.argmin(steps[:, i]))
        for i, name in enumerate(NAMES)
        if len(steps) and not steps[:, i].all()
    }
    return StepRecord(len(bad), sum(bad), leading, trailing, longest, firsts)


def test_records_say_what_counting_says() -> None:
    rng = np.random.default_rng(0)
    for length in range(7):
        for chance in (0.0, 0.3, 0.8, 1.0):
            steps = rng.random((length, 2)) < chance
            assert record_of(steps) == counted(steps)


def test_records_of_parts_make_up_the_whole() -> None:
    rng = np.random.default_rng(1)
    for _ in range(100):
        steps = rng.random((8, 2)) < rng.choice([0.2, 0.7])
        cut = rng.integers(9)
        parts = counted(steps[:cut]), counted(steps[cut:])
        assert parts[0].followed_by(parts[1]) == counted(steps)


def test_a_run_that_began_before_goes_on() -> None:
    before = StepRecord.of_bad_steps(3)
    steps = np.array([[False, True], [True, True], [True, False]])
    assert before.followed_by(counted(steps)).longest == 4
    assert before.followed_by(counted(steps)).trailing == 1
    assert before.followed_by(StepRecord()) == before
