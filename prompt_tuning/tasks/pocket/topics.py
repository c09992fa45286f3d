"""Short reports from six fields, for saying what a text is about."""

import dataclasses

from prompt_tuning.tasks.pocket.people import DAYS, TOWNS
from prompt_tuning.tasks.pocket.relations import NAMES
from prompt_tuning.tasks.pocket.text import Dice, capital

# Field -> lines "sentence: words for {x}"; {n} is a name, {t} a town, {d} a day.
_FIELDS = {
    "weather": """
        there was {x} in {t} on {d}: rain, snow, fog, hail, frost
        we expect {x} on {d}: rain, snow, a storm, strong wind, warm air
        {n} stayed at home because of the {x}: storm, rain, snow, heat, fog
        after the {x} the sky over {t} was clear again: storm, rain, fog, hail
        the {x} in {t} will last until {d}: rain, frost, heat, wind, snow
        it was too {x} for a walk in {t}: cold, hot, wet, dark
    """,
    "sport": """
        {n} won the {x} in {t}: race, match, game, gold cup, final
        the team of {t} lost the {x}: match, game, cup, final
        our {x} trains every {d}: team, runner, swimmer, rider
        the {x} from {t} was faster than all others: runner, swimmer, rider, team
        {n} hit the ball and the {x} was won: match, game, cup, final
        the players {x} the game on {d}: won, lost, liked, left
    """,
    "music": """
        {n} played the {x} in {t}: violin, harp, flute, piano, drum
        the {x} sang in {t} on {d}: choir, singer, children, sailors
        {n} wrote a new song for the {x}: violin, harp, choir, singer, piano
        the concert in {t} began with a {x}: flute, drum, harp, song
        the {x} of the old song pleased {n}: sound, notes, tune, end
        the choir of {t} learned a {x} tune on {d}: new, sad, slow, happy
    """,
    "health": """
        {n} has a {x} and stays in bed: fever, cough, cold, pain
        the doctor gave {n} {x}: hot tea, a medicine, good news, two weeks of rest
        the hospital in {t} needs {x}: nurses, beds, doctors, light
        the {x} came to see the sick child on {d}: nurse, doctor, teacher, neighbour
        {n} went to the hospital with a {x}: cough, fever, broken leg, red hand
        this medicine helps {n} against {x}: pain, fever, a cough, a cold
    """,
    "travel": """
        the {x} to {t} leaves on {d}: train, bus, ferry, ship, boat
        {n} bought a ticket for the {x}: train, bus, ferry, tram, journey
        {n} missed the {x} to {t}: train, bus, ferry, boat
        the journey to {t} takes {x}: two days, an hour, a week, all night
        many travellers came to {t} by {x}: train, bus, boat, ship, ferry
        {n} took a map and a {x} for the journey: coat, book, basket, lamp
    """,
    "trade": """
        the price of {x} fell in {t}: wool, honey, salt, cheese, paper, silver
        {n} sold {x} on the market: wool, honey, cheese, apples, glass, bread
        the shops of {t} are full of {x}: wool, paper, cheese, glass, people
        {n} paid too much money for the {x}: house, cart, wool, silver, boat
        the {x} was cheap in {t} on {d}: honey, salt, wool, bread, paper
        {n} opened a {x} shop in {t}: hat, book, flower, cheese, bread
    """,
}
# Words in passing, which do not make the report one about their field.
_SPEAKERS = {
    "weather": ("a man who looked at the sky", "a woman who likes the rain"),
    "sport": ("a runner", "a swimmer", "the rider of a horse"),
    "music": ("a singer", "a man with a violin", "the choir"),
    "health": ("a nurse", "a doctor", "a sick child"),
    "travel": ("the driver of the bus", "a woman on the train", "the captain of the ferry"),
    "trade": ("the owner of a shop", "a woman on the market", "a man who sells wool"),
}
# Words that say nothing of the field.
_OPENINGS = ("Here is the news of {d}.", "This comes from {t}.", "{n} sends this from {t}.")
TOPICS = tuple(_FIELDS)
_LINES = {
    topic: tuple(
        (text.strip(), tuple(words.strip().split(", ")))
        for text, _, words in (line.rpartition(":") for line in table.strip().splitlines())
    )
    for topic, table in _FIELDS.items()
}


# Field -> the contents that its sentences can have.
CONTENTS = {
    topic: tuple(f"{topic}/{text.replace('{x}', word)}" for text, words in lines for word in words)
    for topic, lines in _LINES.items()
}


@dataclasses.dataclass(frozen=True)
class Report:
    """`level`: 1 two sentences on the topic, 2 one, 3 one that another field reports.

    `keys` name the content of each sentence, without names of people, towns and days.
    """

    topic: str
    level: int
    text: str
    keys: tuple[str, ...]


def report(dice: Dice, topic: str, level: int) -> Report:
    texts, keys = [], []
    if dice.chance(0.4):
        names = {"n": dice.pick(NAMES), "t": dice.pick(TOWNS), "d": dice.pick(DAYS)}
        texts.append(dice.pick(_OPENINGS).format(**names))
    for text, words in dice.some(_LINES[topic], 2 if level == 1 else 1):
        word = dice.pick(words)
        names = {"n": dice.pick(NAMES), "t": dice.pick(TOWNS), "d": dice.pick(DAYS)}
        texts.append(f"{capital(text.format(x=word, **names))}.")
        keys.append(f"{topic}/{text.replace('{x}', word)}")
    if level == 3:
        speaker = dice.pick(_SPEAKERS[dice.other(TOPICS, topic)])
        texts[-1] = f"{texts[-1][:-1]}, {speaker} said."
    return Report(topic, level, " ".join(texts), tuple(keys))
