"""What the frozen pocket models answer: right cases, and a model that knows a skill shows it."""

import collections

import pytest

from experiments import known_skills
from prompt_tuning.t5.load import load_t5


@pytest.mark.parametrize("skill", known_skills.SKILLS)
def test_cases_are_answered_by_one_of_the_labels_at_every_level(skill):
    make, answers = known_skills.SKILLS[skill]
    cases = [make(n) for n in range(600)]
    assert cases[7] == make(7)
    seen = collections.Counter((answer, level) for _, answer, level in cases)
    levels = {level for _, _, level in cases}
    assert set(seen) == {(answer, level) for answer in answers for level in levels}
    assert max(seen.values()) < 2 * min(seen.values())
    assert all(text.endswith(":") for text, _, _ in cases)


def test_topics_are_known_by_a_middle_size_and_not_by_the_smallest():
    smallest, middle = (
        known_skills.known(load_t5(f"pocket:{size}"), "pocket/topic", 120)["all"]
        for size in ("xs", "b")
    )
    assert smallest < 40 < 60 < middle
