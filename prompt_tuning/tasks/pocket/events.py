"""What happens and why: chains of three events, each the cause of the next.

An event is told in two ways. The person is `{a}` as subject, `{o}` as object and `{g}` as owner;
the first of these in a clause is the name ("Anna", "Anna's") unless a pronoun will do. `{p}` is
always the pronoun ("her"). Some events have no person in them.
"""

import dataclasses
import functools

from prompt_tuning.tasks.pocket.relations import pronouns

# Scene -> chains; a line is an event, its two wordings separated by a slash.
_SCENES = {
    "weather": """
        it rained all night / heavy rain fell until morning
        the river rose / there was too much water in the river
        the bridge was closed / nobody could cross the bridge

        the snow fell for two days / deep snow came down on the town
        the road was blocked / no cart could use the road
        the bread did not reach the market / there was no bread on the market

        the sun shone for weeks / no drop of rain fell that summer
        the grass became dry / the fields turned brown
        the cows gave little milk / there was less milk than before

        a strong wind blew / a storm came from the sea
        a tree fell on the roof / the roof was hit by an oak
        water ran into the house / the floor of the house was wet

        the fog was thick / nobody could see the street
        the ferry stayed in the harbour / no ferry left that day
        {a} could not reach the island / {a} had to wait for the ferry

        it was very hot / the heat was great that day
        the ice melted / there was no ice left
        the milk became sour / {a} had no fresh milk
    """,
    "home": """
        {a} forgot the soup on the stove / {a} left the stove on
        the soup burned / the kitchen filled with smoke
        there was no dinner / {a} had to eat cold bread

        {a} left the window open / the window was not closed
        a bird flew into the room / a robin got into the house
        the cat broke the lamp / the lamp fell to the floor

        {a} dropped the cup / the cup fell out of {g} hand
        the cup broke / there was glass on the floor
        {a} cut one finger / {g} finger was bleeding

        {a} lost the key / the key fell out of {g} coat
        {a} could not open the door / the door stayed shut for {o}
        {a} slept at the house of a friend / a friend gave {o} a bed

        the lamp had no oil / there was no oil in the house
        the room was dark / {a} sat in the dark
        {a} fell over the basket / the basket made {o} fall

        the roof had a hole / part of the roof was missing
        rain came into the bedroom / the bed became wet
        {a} slept in the kitchen / {a} moved to the kitchen for the night
    """,
    "road": """
        {a} did not hear the clock / the clock failed to wake {o}
        {a} missed the bus / the bus left without {o}
        {a} walked to work / {a} went to work on foot

        there was ice on the road / the road was frozen
        the cart slid into a wall / the cart left the road
        the wheel was broken / the cart needed a new wheel

        {a} could not read the map / the map was wrong
        {a} took the wrong road / {a} went the wrong way
        {a} came too late to the wedding / the wedding began without {o}

        the train stood still for an hour / the train had to wait for a cow
        {a} arrived at night / {a} reached the town after dark
        the inn was already shut / {a} found no room at the inn

        the bridge was old and weak / the wood of the bridge was rotten
        the bridge broke / the bridge fell into the river
        people crossed the river by boat / a boat took people across

        {a} lent the sledge to a neighbour / the sledge was with a neighbour
        {a} had no sledge / there was no sledge in the barn
        {a} carried the wood home / {a} had the wood on {p} back
    """,
    "farm": """
        {a} left the gate open / nobody closed the gate
        the sheep ran away / the sheep were gone in the morning
        {a} searched the hills all day / {a} looked for the sheep until dark

        a fox came at night / a fox got into the barn
        the hens were afraid / the hens made a loud noise
        the hens laid no eggs / there were no eggs for a week

        {a} planted many trees / {a} put young trees into the ground
        there was much fruit / the trees were full of pears
        {a} sold pears on the market / the market had cheap pears

        the horse hurt a leg / the horse could not walk
        the field was not ploughed / nobody worked in the field
        there was little wheat that year / the wheat was poor

        the well was dry / no water came from the well
        the goats were thirsty / the goats wanted to drink
        {a} led the goats to the lake / the goats walked to the lake

        mice came into the barn / the barn was full of mice
        the mice ate the corn / the sacks of corn were empty
        {a} got a cat / a cat came to live on the farm
    """,
    "school": """
        {a} read every evening / {a} studied for many weeks
        {a} knew all the answers / {a} passed the test
        the teacher praised {o} / {a} got a prize

        {a} played all evening / {a} opened no book that week
        {a} failed the test / {a} knew none of the answers
        {a} had to stay after school / {a} wrote the test again

        the teacher was ill / the teacher had to stay in bed
        there were no lessons / the school was closed
        the children played in the park / the park was full of children

        {a} forgot the glasses at home / {a} came without glasses
        {a} could not read the board / the board was hard to read for {o}
        {a} moved to the first row / {a} asked for a seat in front

        the bell was broken / nobody heard the bell
        the lesson did not end / the lesson went on and on
        the children came home late / it was evening when the children left

        {a} spoke too loud / {a} talked in the library
        the others could not read / the others were disturbed
        {a} was sent out / {a} had to leave the library
    """,
    "shop": """
        the price of honey fell / honey became cheap
        many people bought honey / the shop was full of people
        the honey was sold out / there was no honey left

        {a} saved money for a year / {a} put coins in a box every week
        {a} bought a piano / a new piano came to {g} house
        there was music every evening / the neighbours heard songs at night

        the lock was old / the lock of the shop did not close
        a thief came into the shop / the silver was stolen
        {a} bought a dog / {a} now has a dog to guard the shop

        the baker used salt instead of sugar / there was salt in the cake
        the cake tasted awful / nobody ate the cake
        the guests went home early / the party ended soon

        the ship with the glass was late / the glass came by ship and was late
        the shop had no jars / there were no jars for sale
        {a} kept the honey in a bucket / the honey went into a bucket

        {a} made very good shoes / {g} shoes were very good
        the queen heard of it / the queen asked for new shoes
        {a} became rich / {a} earned much silver
    """,
    "health": """
        {a} swam in cold water / {a} sat in the rain for hours
        {a} caught a cold / {a} had a cough
        {a} stayed in bed / {a} drank hot tea all day

        {a} ate twelve plums / {a} ate too much cake
        {a} felt sick / {a} had a pain in the belly
        {a} called the doctor / the doctor came to see {o}

        a bee sat on {g} hand / {a} touched a bee
        the bee stung {o} / {a} was stung
        {g} hand was red and large / {a} could not close {p} hand

        {a} ran every morning / {a} trained for a year
        {a} became strong and fast / {a} was faster than the others
        {a} won the race / {a} came home with a gold cup

        {a} read by a weak candle / {a} had too little light for reading
        {a} had a pain in the eyes / {g} eyes hurt
        {a} bought a better lamp / a better lamp stands on {g} desk

        {a} worked day and night / {a} took no rest for a month
        {a} was very tired / {a} could hardly stand
        {a} fell asleep in the theatre / {a} slept during the play
    """,
    "sea": """
        there was a hole in the boat / a stone broke the side of the boat
        the boat filled with water / the boat began to sink
        {a} swam to the beach / {a} had to swim

        the lamp in the tower went out / there was no light in the tower
        the ship hit the rocks / the captain did not see the rocks
        the wool was lost at sea / the ship lost its load

        the whales went south / there were no whales in the north
        {a} saw no whales / {a} waited for the whales in vain
        {a} was sad / {a} went home with a long face

        the net was strong and new / {a} mended the net
        {a} caught many fish / the boat came back full of fish
        there was fish for everyone / each house had fish for dinner

        {a} forgot the rope / the boat was not tied up
        the boat floated away / the waves took the boat
        {a} had to buy a new boat / {a} paid for another boat

        the captain saw dark clouds / a storm was near the ship
        the ship turned back / the ship went back to the harbour
        the passengers were angry / the passengers wanted their money back
    """,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Event:
    """`step` 0, 1, 2: its place in its chain. Named by scene, chain and step."""

    scene: str
    chain: int
    step: int
    wordings: tuple[str, str]

    @functools.cached_property
    def _named(self) -> tuple[str, ...]:
        """The wordings with the first mention of the person as `{n}`."""
        result = []
        for text in self.wordings:
            found = [(text.index(mark), mark) for mark in ("{a}", "{g}", "{o}") if mark in text]
            if found:
                _, first = min(found)
                text = text.replace(first, "{n}'s" if first == "{g}" else "{n}", 1)
            result.append(text)
        return tuple(result)

    def told(self, wording: int, name: str, pronoun: bool = False) -> str:
        """A clause; with `pronoun` the person was named before."""
        he, his, him = pronouns(name) or ("they", "their", "them")
        text = (self.wordings if pronoun else self._named)[wording]
        return text.format(n=name, a=he, g=his, p=his, o=him)

    @functools.cached_property
    def personal(self) -> bool:
        """Whether every wording names the person."""
        return all("{" in text for text in self.wordings)

    @functools.cached_property
    def key(self) -> str:
        return f"{self.scene}/{self.chain}/{self.step}"


def _event(scene: str, chain: int, step: int, line: str) -> Event:
    one, other = line.strip().split(" / ")
    return Event(scene, chain, step, (one, other))


def _chains() -> dict[str, tuple[tuple[Event, ...], ...]]:
    return {
        scene: tuple(
            tuple(_event(scene, chain, step, line) for step, line in enumerate(block.splitlines()))
            for chain, block in enumerate(table.strip().split("\n\n"))
        )
        for scene, table in _SCENES.items()
    }


CHAINS = _chains()
SCENES = tuple(CHAINS)
