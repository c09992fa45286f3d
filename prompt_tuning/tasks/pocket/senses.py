"""Words with two senses, each with a gloss and sentences that tell which one is meant."""

import dataclasses

from prompt_tuning.tasks.pocket.text import Dice, capital

# Word: gloss of a sense; companions {o} of that sense; then its uses, with {a} for a name.
_TABLE = """
bank: the side of a river; boats, ducks, willows, trout, children
{a} sat on the bank and watched the {o} / the {o} near the bank pleased {a} / on the green bank
{a} drew the {o} / {a} saw the {o} from the bank / there were {o} on the other bank

bank: a place for money; coins, savings, gold, letters, silver
{a} brought the {o} to the bank / the bank keeps the {o} safe / at the bank {a} asked for the {o}
/ the bank in the town lost the {o} / a thief took the {o} from the bank

bat: a small animal that flies at night; cave, barn, tower, cellar, castle
a bat slept in the {o} / {a} saw a bat fly out of the {o} / the bat in the {o} eats moths
/ at night the bat left the {o} / a young bat fell from the roof of the {o}

bat: a piece of wood for hitting a ball; game, match, cup, final, race
{a} broke a bat in the {o} / {a} brought a bat to the {o} / the {o} was won with an old bat
/ for the {o} we need a heavy bat / {a} held the bat and the {o} began

ring: a jewel for a finger; red stone, white stone, blue stone, gold rose, silver star
{a} wore a ring with a {o} / the {o} of the ring shone / the queen has a ring with a {o}
/ {a} lost the ring with the {o} / a thief stole the ring with the {o}

ring: the sound of a bell; door, church, school, gate, castle
{a} heard the ring of the bell at the {o} / the loud ring came from the {o}
/ a ring at the {o} woke {a} / after the last ring the {o} was shut / one ring and the {o} opens

spring: the season after winter; snow, tulips, birds, warm days, rain
{a} waited for spring and the {o} / in spring we think of the {o} / this spring the {o} came early
/ last spring {a} was happy about the {o} / spring is here and so are the {o}

spring: a place where water comes out of the ground; jar, bottle, bucket, cup, basket
{a} filled the {o} at the spring / {a} carried the {o} to the spring / cold water from the spring
ran into the {o} / {a} left the {o} beside the spring / the {o} fell into the spring

bark: the skin of a tree; oak, pine, birch, willow, elm
the bark of the {o} is rough / {a} touched the bark of the {o} / a beetle lives in the bark of the
{o} / {a} cut a name into the bark of the {o} / the {o} has lost its bark

bark: the sound that a dog makes; garden, house, yard, street, barn
a loud bark came from the {o} / {a} heard a bark in the {o} / the bark in the {o} scared the cat
/ with a bark the dog ran into the {o} / one short bark and the {o} was quiet

seal: an animal of the sea; herring, waves, ice, salmon, rocks
a seal swam near the {o} / the seal looked for the {o} / {a} saw a seal play with the {o}
/ the young seal liked the {o} / a hungry seal came to the {o}

seal: a mark in wax; letter, king, paper, queen, book
{a} broke the seal of the {o} / the {o} has a red seal / the seal of the {o} was gone
/ {a} knew the seal of the {o} / by its seal {a} knew that the {o} was old

crane: a tall bird; lake, nest, river, eggs, island
a crane stood near the {o} / {a} saw a crane fly over the {o} / the crane spread its wings above
the {o} / a hungry crane watched the {o} / two young birds and a crane sat by the {o}

crane: a machine that lifts things; stones, ship, harbour, wall, bridge
the crane was needed for the {o} / {a} drives the crane near the {o} / a crane of iron stood over
the {o} / workers moved the crane to the {o} / without a crane the {o} cannot be built

match: a game between two teams; team, town, school, choir, village
the {o} won the match / {a} saw the match of the {o} / after the match the {o} was happy
/ the {o} lost the match by one goal / the ball of the last match belongs to the {o}

match: a small stick that makes fire; fire, candle, lamp, stove, paper
{a} lit the {o} with a match / one match was enough for the {o} / the match burned and so did the
{o} / {a} had no dry match for the {o} / {a} held a match to the {o}

letter: a message on paper; friend, king, cousin, doctor, teacher
{a} sent a letter to the {o} / the {o} never read the letter / a long letter came from the {o}
/ the letter told the {o} the news / {a} waited for a letter from the {o}

letter: a sign of the alphabet; word, name, line, title, song
the {o} begins with a round letter / {a} forgot one letter of the {o} / the last letter of the {o}
is silent / every letter in the {o} was large / {a} cannot read the first letter of the {o}

key: a tool that opens a lock; door, box, gate, cellar, shop
{a} opened the {o} with a key / the key of the {o} is lost / {a} hid the key to the {o}
/ without the key the {o} stays shut / the key did not fit the lock of the {o}

key: a part of a piano; tune, song, music, note, sound
{a} pressed a key and the {o} began / one white key spoiled the {o} / {a} played the {o} on one key
/ with each key the {o} became louder / a broken key changed the {o} of the piano

fan: a person who loves a team or a singer; singer, team, band, runner, choir
every fan of the {o} sang / {a} is a fan of the {o} / a fan wrote to the {o}
/ the {o} thanked each fan / one fan waited for the {o} all night

fan: a thing that moves the air; kitchen, hall, room, shop, train
{a} needs a fan in the {o} / the fan cooled the {o} / {a} turned on the fan in the {o}
/ the air in the {o} was hot without the fan / an old fan hung in the {o}

glass: a thing to drink from; milk, water, wine, tea, juice
{a} drank a glass of {o} / the glass was full of {o} / {a} filled the glass with {o}
/ a glass of {o} stood on the table / {a} asked for a glass of {o}

glass: what windows are made of; window, roof, door, lamp, tower
the glass in the {o} broke / {a} cleaned the glass of the {o} / the {o} is made of green glass
/ rain ran down the glass of the {o} / a stone hit the glass of the {o}

note: a single sound of music; flute, harp, singer, violin, choir
the {o} held a high note / {a} heard a false note from the {o} / the last note of the {o} was soft
/ the song ends with a note of the {o} / one loud note of the {o} woke {a}

note: a short message; teacher, neighbour, doctor, nurse, cook
{a} left a note for the {o} / the {o} wrote {a} a note / a note from the {o} lay on the table
/ the {o} read the note twice / {a} found the note of the {o} under the door

star: a light in the sky at night; moon, roof, sea, hill, tower
a bright star stood over the {o} / {a} saw a star above the {o} / the first star came out over the
{o} / one star was near the {o} / by night a star led {a} to the {o}

star: a famous person; film, play, team, band, concert
the star of the {o} was kind / {a} became the star of the {o} / the {o} needs a new star
/ the star left the {o} / {a} wrote a letter to the star of the {o}

wave: moving water at sea; boat, beach, ship, rocks, harbour
a wave reached the {o} / the wave broke on the {o} / {a} saw a wave hit the {o}
/ one high wave covered the {o} / a cold wave threw {a} against the {o}

wave: a sign made with the hand; friend, guests, children, king, driver
with a wave {a} greeted the {o} / {a} gave the {o} a wave / the queen had a wave for the {o}
/ the {o} answered {a} with a wave / a short wave told the {o} to stop

chest: the front of the body; cough, pain, cold, fever, heart
{a} felt the {o} in the chest / the doctor asked about the {o} and the chest
/ a warm scarf for the chest is good against the {o} / the {o} sits deep in the chest
/ {a} put a hand on the chest because of the {o}

chest: a strong box; gold, coins, maps, silver, letters
{a} found {o} in the chest / the chest was full of {o} / under the lid of the chest lay {o}
/ {a} hid {o} in the chest / two men carried the chest with the {o}
"""


@dataclasses.dataclass(frozen=True, eq=False)
class Sense:
    word: str
    gloss: str
    companions: tuple[str, ...]
    uses: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Use:
    """A sentence with a word in one of its senses; `key` names its content, whoever is in it."""

    sense: Sense
    template: str
    companion: str
    text: str

    @property
    def key(self) -> str:
        return f"{self.sense.word}/{self.template.replace('{o}', self.companion)}"

    def shares(self, other: "Use") -> bool:
        """Whether both have more in common than the word."""
        return self.template == other.template or self.companion == other.companion


def use(dice: Dice, sense: Sense, name: str) -> Use:
    template, companion = dice.pick(sense.uses), dice.pick(sense.companions)
    text = capital(template.replace("{o}", companion))
    return Use(sense, template, companion, f"{text.replace('{a}', name)}.")


def _pairs() -> tuple[tuple[Sense, Sense], ...]:
    senses = []
    for block in _TABLE.strip().split("\n\n"):
        head, uses = block.split("\n", 1)
        word, meaning = head.split(": ")
        gloss, companions = meaning.split("; ")
        lines = tuple(" ".join(use.split()) for use in uses.split("/"))
        senses.append(Sense(word, gloss, tuple(companions.split(", ")), lines))
    return tuple(zip(senses[::2], senses[1::2], strict=True))


PAIRS = _pairs()
SENSES = tuple(sense for pair in PAIRS for sense in pair)
