"""Buildings and what is said of them: the other domain of the questions about a passage."""

from prompt_tuning.tasks.pocket.people import DAYS, GOODS
from prompt_tuning.tasks.pocket.relations import Relation
from prompt_tuning.tasks.pocket.text import Verb, words

BUILDINGS = words(
    "the mill, the tower, the inn, the school, the church, the barn, the hall, the shop, "
    "the castle, the library"
)

MATERIAL = Relation(
    "material",
    ("stone", "wood", "brick", "glass", "iron", "clay"),
    (("{a}", Verb("be", "made of {v}")), ("{a}", Verb("be", "built of {v}"))),
    ("What is {a} made of?", "Of what is {a} built?"),
    ("what {a} is made of", "of what {a} is built"),
)
PLACE = Relation(
    "place",
    words(
        "by the lake, in the park, behind the station, on the hill, at the harbour, "
        "near the river, next to the market"
    ),
    (("{a}", Verb("stand", "{v}")), ("{a}", Verb("be", "{v}"))),
    ("Where does {a} stand?", "Where is {a}?"),
    ("where {a} stands", "where {a} is"),
)
OWNER = Relation(
    "owner",
    words("the king, the queen, the town, a farmer, a doctor, a widow"),
    (("{a}", Verb("belong", "to {v}")), ("{a}'s owner", Verb("be", "{v}"))),
    ("To whom does {a} belong?", "Who is {a}'s owner?"),
    ("to whom {a} belongs", "who {a}'s owner is"),
)
OPENS = Relation(
    "opens",
    DAYS,
    (("{a}", Verb("open", "on {v}")), ("{a}", Verb("open", "its doors on {v}"))),
    ("When does {a} open?", "On which day does {a} open?"),
    ("when {a} opens", "on which day {a} opens"),
    "on {v}",
)
DOOR = Relation(
    "door",
    ("red", "black", "grey", "white", "green", "yellow", "blue", "brown"),
    (("{a}", Verb("have", "a {v} door")), ("{a}'s door", Verb("be", "{v}"))),
    ("What colour is {a}'s door?", "Which colour does {a}'s door have?"),
    ("what colour {a}'s door is", "which colour {a}'s door has"),
)
STORES = Relation(
    "stores",
    GOODS,
    (("{a}", Verb("be", "full of {v}")), ("{a}", Verb("store", "{v}"))),
    ("What is {a} full of?", "What does {a} store?"),
    ("what {a} stores", "what {a} is full of"),
)
LOCAL = (MATERIAL, PLACE, OWNER, OPENS, DOOR, STORES)
