"""The world: its facts are consistent, and one cannot be told from another."""

import re

from prompt_tuning.tasks.pocket.atlas import ATLAS, CIVIC, MASTERS
from prompt_tuning.tasks.pocket.events import CHAINS, SCENES
from prompt_tuning.tasks.pocket.opinions import SIDES
from prompt_tuning.tasks.pocket.people import KIN, PERSONAL, TOWNS
from prompt_tuning.tasks.pocket.places import LOCAL
from prompt_tuning.tasks.pocket.relations import MEN, NAMES, WOMEN, Fact, pronouns
from prompt_tuning.tasks.pocket.senses import PAIRS
from prompt_tuning.tasks.pocket.text import Verb, dice
from prompt_tuning.tasks.pocket.things import (
    CATEGORIES,
    FLY,
    IN_WATER,
    MEMBERS,
    TELLING,
    THINGS,
    WHEELS,
)

BY_NAME = {thing.name: thing for thing in THINGS}


def test_traits_are_inherited_with_exceptions():
    for thing in THINGS:
        own = {trait for category in thing.category.line for trait in category.traits}
        assert set(thing.traits) == (own - set(thing.lacks)) | set(thing.extra)
        assert not set(thing.others) & set(thing.traits)
        assert set(thing.others) | set(thing.traits) >= set(TELLING)
        assert thing.traits
    assert FLY in BY_NAME["sparrow"].traits
    assert FLY in BY_NAME["penguin"].others
    assert FLY in BY_NAME["bat"].traits
    assert IN_WATER in BY_NAME["whale"].traits
    assert WHEELS in BY_NAME["sledge"].others
    assert {t.category for t in THINGS} == set(CATEGORIES)
    assert all(len(members) >= 5 for members in MEMBERS.values())


def test_names_of_things_are_different():
    assert len(BY_NAME) == len(THINGS)
    names = {c.name for t in THINGS for c in t.category.line}
    assert not names & set(BY_NAME)


def test_every_town_has_its_facts_and_no_rule_tells_them():
    assert set(ATLAS) == set(TOWNS)
    triples = [tuple(ATLAS[t][r].value for r in CIVIC) for t in TOWNS]
    assert len(set(triples)) == len(TOWNS)
    for one in range(3):
        for other in range(3):
            if one != other:
                pairs = {(t[one], t[other]) for t in triples}
                # No value of one relation goes with a single value of the other.
                assert len(pairs) > 1.5 * len({t[one] for t in triples})
    assert len({tuple(f.value for f in facts.values()) for facts in MASTERS.values()}) == 16


def test_relations_name_their_value_and_subject():
    for relation in (*PERSONAL, *LOCAL, *KIN, *CIVIC):
        assert len(set(relation.values)) == len(relation.values) >= 4
        assert len(relation.claims) >= 2
        for yes, no in relation.claims:
            assert "{a}" in yes
            assert "{v}" in yes
            assert re.search(r"\b(not|cannot)\b", no)
        assert all("{a}" in text and "{v}" in text for text in relation.checks)
        assert all("{a}" in text and text.endswith("?") for text in relation.asks)
        assert all("{a}" in text for text in relation.wonders)
    for relation in PERSONAL:
        # Something can be said and asked of "Anna's cousin" without owning twice.
        assert relation.ways_for("Anna's cousin")
        assert relation.asks_for("Anna's cousin")


def test_pronouns():
    assert {pronouns(name) for name in WOMEN} == {("she", "her", "her")}
    assert {pronouns(name) for name in MEN} == {("he", "his", "him")}
    assert pronouns("the mill") == ("it", "its", "it")
    assert pronouns("Anna's cousin") is None
    assert len(set(NAMES)) == len(NAMES)
    fact = Fact("Anna", PERSONAL[0], "Arlen")
    told = {fact.told(dice(n), pronoun=True) for n in range(50)}
    assert told == {"She lives in Arlen.", "Her home is in Arlen.", "She has a house in Arlen."}


def test_verbs():
    live = Verb("live", "in {v}")
    assert live.says() == "lives in {v}"
    assert live.says(many=True, negated=True) == "do not live in {v}"
    assert live.asks("Anna") == "does Anna live in {v}"
    assert Verb("can", "fly").says(negated=True) == "cannot fly"
    assert Verb("can", "fly").asks("owls", many=True) == "can owls fly"
    assert Verb("be", "red").asks("owls", many=True) == "are owls red"


def test_words_have_two_senses_and_sentences_one():
    seen = set()
    for one, two in PAIRS:
        assert one.word == two.word
        assert one.gloss != two.gloss
        for sense in (one, two):
            assert len(sense.companions) == len(set(sense.companions)) == 5
            assert len(sense.uses) == len(set(sense.uses)) == 5
            for use in sense.uses:
                assert re.search(rf"\b{sense.word}\b", use), use
                assert "{o}" in use
                assert use not in seen
                seen.add(use)


def test_events():
    assert all(len(CHAINS[scene]) == 6 for scene in SCENES)
    wordings = [w for s in SCENES for c in CHAINS[s] for e in c for w in e.wordings]
    assert len(set(wordings)) == len(wordings) == 8 * 6 * 3 * 2
    dropped = next(e for c in CHAINS["home"] for e in c if "dropped" in e.wordings[0])
    assert dropped.told(0, "Anna") == "Anna dropped the cup"
    assert dropped.told(1, "Anna") == "the cup fell out of Anna's hand"
    assert dropped.told(1, "Emil", pronoun=True) == "the cup fell out of his hand"


def test_adjectives_are_good_or_bad():
    for item, sides in SIDES.items():
        for side, (bad, good) in sides.items():
            assert not set(bad) & set(good), (item, side)
    bad, good = (
        {w for s in SIDES.values() for side in s.values() for w in side[n]} for n in (0, 1)
    )
    assert not bad & good
    assert not {"bad", "good"} & (bad | good)
