"""Things and their categories: knowledge that is the same in every document, and is inherited.

A sparrow is a bird and a bird is an animal, so a sparrow has what birds and animals have. A few
things lack what their category has (penguins do not fly), and a few have what it lacks (bats do).
"""

import dataclasses
import functools

from prompt_tuning.tasks.pocket.text import Verb, a, plural

FLY, WINGS, EGGS = Verb("can", "fly"), Verb("have", "wings"), Verb("lay", "eggs")
FEATHERS, SIX_LEGS = Verb("have", "feathers"), Verb("have", "six legs")
SWIM, FINS, IN_WATER = Verb("can", "swim"), Verb("have", "fins"), Verb("live", "in water")
MILK, BARK, WOOD = Verb("feed", "milk to the young"), Verb("have", "bark"), Verb("give", "wood")
SWEET, SOUP = Verb("taste", "sweet"), Verb("be", "cooked in soup")
RIDE, WHEELS, MUSIC = Verb("carry", "people"), Verb("have", "wheels"), Verb("make", "music")
WORN, CLOTH = Verb("be", "worn on the body"), Verb("be", "made of cloth")

# What has one of these is known in full, so of all other things they are false.
TELLING = (
    *(FLY, WINGS, EGGS, FEATHERS, SIX_LEGS, FINS, IN_WATER, MILK, BARK, WOOD, SWEET, SOUP),
    *(RIDE, WHEELS, MUSIC, WORN, CLOTH),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Category:
    """`home` is how one says where its members are; `traits` are true of the members."""

    name: str
    parent: "Category | None"
    traits: tuple[Verb, ...]
    home: Verb

    @functools.cached_property
    def plural(self) -> str:
        return plural(self.name)

    @property
    def line(self) -> "tuple[Category, ...]":
        """The category itself, its parent, and so on."""
        return (self, *(self.parent.line if self.parent else ()))


LIVE, GROW, FOUND = Verb("live", "{v}"), Verb("grow", "{v}"), Verb("be", "found {v}")
ANIMAL = Category("animal", None, (Verb("need", "food"), Verb("can", "move")), LIVE)
PLANT = Category("plant", None, (Verb("need", "light"), Verb("have", "roots")), GROW)
FOOD = Category("food", None, (Verb("can", "be eaten"), Verb("be", "sold on the market")), GROW)
OBJECT = Category("object", None, (Verb("be", "made by people"),), FOUND)

BIRD = Category("bird", ANIMAL, (FEATHERS, FLY, WINGS, EGGS), LIVE)
FISH = Category("fish", ANIMAL, (FINS, SWIM, IN_WATER, EGGS), LIVE)
INSECT = Category("insect", ANIMAL, (SIX_LEGS, EGGS), LIVE)
MAMMAL = Category("mammal", ANIMAL, (MILK, Verb("have", "warm blood")), LIVE)
TREE = Category("tree", PLANT, (BARK, WOOD), GROW)
FLOWER = Category("flower", PLANT, (Verb("have", "petals"), Verb("please", "the bees")), GROW)
FRUIT = Category("fruit", FOOD, (SWEET, Verb("have", "seeds")), GROW)
VEGETABLE = Category("vegetable", FOOD, (SOUP,), GROW)
TOOL = Category("tool", OBJECT, (Verb("be", "used for work"), Verb("have", "a handle")), FOUND)
VEHICLE = Category("vehicle", OBJECT, (RIDE, WHEELS), FOUND)
INSTRUMENT = Category("instrument", OBJECT, (MUSIC,), FOUND)
GARMENT = Category("garment", OBJECT, (WORN, CLOTH), FOUND)
CONTAINER = Category("container", OBJECT, (Verb("can", "hold things"),), FOUND)

CATEGORIES = (
    *(BIRD, FISH, INSECT, MAMMAL, TREE, FLOWER, FRUIT, VEGETABLE),
    *(TOOL, VEHICLE, INSTRUMENT, GARMENT, CONTAINER),
)
ROOTS = (ANIMAL, PLANT, FOOD, OBJECT)


@dataclasses.dataclass(frozen=True, eq=False)
class Thing:
    """`extra` traits it has beyond its category's, `lacks` those that it has not."""

    name: str
    category: Category
    colour: str
    size: str
    place: str
    extra: tuple[Verb, ...] = ()
    lacks: tuple[Verb, ...] = ()

    @functools.cached_property
    def plural(self) -> str:
        return plural(self.name)

    @functools.cached_property
    def one(self) -> str:
        return a(self.name)

    @functools.cached_property
    def traits(self) -> tuple[Verb, ...]:
        """All that is true of it."""
        inherited = [trait for category in self.category.line for trait in category.traits]
        return (*(t for t in inherited if t not in self.lacks), *self.extra)

    @functools.cached_property
    def others(self) -> tuple[Verb, ...]:
        """Traits that it has not."""
        return tuple(trait for trait in TELLING if trait not in self.traits)


def _members(category: Category, table: str, **special: dict[str, tuple[Verb, ...]]) -> list[Thing]:
    """Things from lines of name, colour, size, place; `special` holds extra and lacks."""
    things = []
    for line in table.strip().splitlines():
        name, colour, size, place = line.split(maxsplit=3)
        things.append(Thing(name, category, colour, size, place, **special.get(name, {})))
    return things


THINGS = (
    *_members(
        BIRD,
        """
        sparrow brown small in the garden
        robin   red   small in the garden
        crow    black large in the field
        owl     grey  large in the forest
        duck    brown large on the lake
        gull    white large by the sea
        hen     white large on the farm
        penguin black large by the sea
        """,
        duck={"extra": (SWIM,)},
        gull={"extra": (SWIM,)},
        penguin={"extra": (SWIM,), "lacks": (FLY,)},
        hen={"lacks": (FLY,)},
    ),
    *_members(
        FISH,
        """
        trout   brown small in the river
        salmon  pink  large in the river
        herring grey  small in the sea
        shark   grey  large in the sea
        carp    green large in the lake
        """,
    ),
    *_members(
        INSECT,
        """
        bee    yellow small in the garden
        ant    black  small in the forest
        wasp   yellow small in the field
        beetle green  small in the forest
        moth   grey   small in the field
        """,
        bee={"extra": (FLY, WINGS)},
        wasp={"extra": (FLY, WINGS)},
        beetle={"extra": (FLY, WINGS)},
        moth={"extra": (FLY, WINGS)},
    ),
    *_members(
        MAMMAL,
        """
        cow    brown large on the farm
        horse  brown large on the farm
        goat   white large on the farm
        sheep  white large in the field
        dog    brown small in the house
        cat    black small in the house
        fox    red   small in the forest
        wolf   grey  large in the forest
        mouse  grey  small in the house
        rabbit brown small in the field
        bat    black small in the cave
        otter  brown small by the river
        whale  blue  large in the sea
        """,
        dog={"extra": (SWIM,)},
        horse={"extra": (RIDE, SWIM)},
        bat={"extra": (FLY, WINGS)},
        otter={"extra": (SWIM,)},
        whale={"extra": (SWIM, FINS, IN_WATER)},
    ),
    *_members(
        TREE,
        """
        oak    brown large in the forest
        pine   green large in the forest
        birch  white large by the lake
        willow green large by the river
        elm    brown large in the park
        """,
    ),
    *_members(
        FLOWER,
        """
        rose   red    small in the garden
        tulip  yellow small in the garden
        lily   white  small by the lake
        poppy  red    small in the field
        violet blue   small in the park
        """,
    ),
    *_members(
        FRUIT,
        """
        apple  red    small in the garden
        pear   green  small in the garden
        plum   blue   small on the farm
        cherry red    small in the garden
        lemon  yellow small in the south
        """,
        lemon={"lacks": (SWEET,)},
    ),
    *_members(
        VEGETABLE,
        """
        carrot  orange small in the field
        onion   white  small on the farm
        cabbage green  large in the field
        potato  brown  small in the field
        leek    green  small on the farm
        """,
        carrot={"extra": (SWEET,)},
    ),
    *_members(
        TOOL,
        """
        hammer grey  small in the shed
        saw    grey  large in the shed
        axe    black large in the barn
        spade  black large in the shed
        rake   brown large in the shed
        """,
    ),
    *_members(
        VEHICLE,
        """
        bus    red    large at the station
        train  green  large at the station
        tram   yellow large in the street
        cart   brown  small in the barn
        sledge brown  small in the barn
        """,
        sledge={"lacks": (WHEELS,)},
    ),
    *_members(
        INSTRUMENT,
        """
        flute  grey  small in the school
        drum   red   large in the school
        violin brown small in the hall
        piano  black large in the hall
        harp   white large in the hall
        """,
    ),
    *_members(
        GARMENT,
        """
        coat  black  large in the hall
        hat   green  small in the hall
        scarf red    small in the house
        shirt white  small in the house
        boot  brown  small in the cellar
        """,
        boot={"lacks": (CLOTH,)},
    ),
    *_members(
        CONTAINER,
        """
        cup    white small in the kitchen
        jar    green small in the kitchen
        basket brown large in the cellar
        bucket grey  large in the barn
        box    brown large in the cellar
        """,
    ),
)

MEMBERS = {
    category: tuple(thing for thing in THINGS if thing.category is category)
    for category in CATEGORIES
}
COLOURS = tuple(dict.fromkeys(thing.colour for thing in THINGS))
