"""What the frozen pocket models answer: right cases, and a model that knows a skill shows it."""

import collections

import pytest

from experiments import known_skills
from prompt_tuning.t5.load import load_t5


@pytest.mark.parametrize("skill", known_skills.SKILLS)
def test_cases_are_answered_by_one_of_the_labels_at_every_level(skill):
    task, _, levels = known_skills.SKILLS[skill]
    cases = known_skills.cases(skill)
    seen = collections.Counter((answer, level) for _, answer, level in cases)
    assert set(seen) == {(answer, level) for answer in task.labels for level in levels}
    assert max(seen.values()) - min(seen.values()) <= (2 if skill == "pocket/multirc" else 1)
    examples = task.load("validation")
    assert [case[1] for case in cases] == [example.target for example in examples]
    assert not {case[0] for case in cases} & {example.input for example in examples}


def test_senses_are_known_by_a_middle_size_and_not_by_the_smallest():
    smallest, middle = (
        known_skills.known(load_t5(f"pocket:{size}"), "pocket/wic", 120)["only the word"]
        for size in ("xs", "b")
    )
    assert smallest < 60 < 75 < middle
