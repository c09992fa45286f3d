"""People, and what one document says of them."""

from prompt_tuning.tasks.pocket.relations import NAMES, Relation
from prompt_tuning.tasks.pocket.text import Verb, words

TOWNS = words(
    "Arlen, Bardon, Calder, Dorwick, Elmsby, Farrow, Garth, Holm, Inver, Kelby, "
    "Lorne, Marden, Norby, Orton, Penmoor, Rushford, Selby, Tarring, Ulford, "
    "Wenlock"
)
JOBS = words(
    "a baker, a farmer, a nurse, a sailor, a teacher, a miller, a painter, a doctor, "
    "a cook, a tailor"
)
GOODS = ("cheese", "glass", "wool", "paper", "salt", "honey", "bread", "cloth")
DAYS = words("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday")

HOME = Relation(
    "home",
    TOWNS,
    (
        ("{a}", Verb("live", "in {v}")),
        ("{a}'s home", Verb("be", "in {v}")),
        ("{a}", Verb("have", "a house in {v}")),
    ),
    ("Where does {a} live?", "Where is {a}'s home?", "In which town does {a} have a house?"),
    ("where {a} lives", "in which town {a} lives", "where {a}'s home is"),
    "in {v}",
)
JOB = Relation(
    "job",
    JOBS,
    (
        ("{a}", Verb("be", "{v}")),
        ("{a}", Verb("work", "as {v}")),
        ("{a}'s job", Verb("be", "that of {v}")),
    ),
    ("What is {a}'s job?", "What does {a} work as?", "What kind of work does {a} do?"),
    ("what {a}'s job is", "what {a} works as"),
)
LIKES = Relation(
    "likes",
    words("apples, pears, plums, cherries, lemons, carrots, onions, potatoes, bread, fish"),
    (
        ("{a}", Verb("like", "{v}")),
        ("{a}", Verb("be", "fond of {v}")),
        ("{a}", Verb("enjoy", "{v}")),
    ),
    ("What does {a} like?", "What is {a} fond of?", "Which food does {a} enjoy?"),
    ("what {a} likes", "which food {a} enjoys"),
)
PET = Relation(
    "pet",
    words("a dog, a cat, a rabbit, a goat, a hen, a horse, a mouse, a duck"),
    (
        ("{a}", Verb("have", "{v}")),
        ("{a}", Verb("keep", "{v}")),
        ("{a}'s pet", Verb("be", "{v}")),
    ),
    ("Which animal does {a} have?", "What is {a}'s pet?", "What kind of animal does {a} keep?"),
    ("which animal {a} keeps", "what {a}'s pet is"),
)
PLAYS = Relation(
    "plays",
    words("the flute, the drum, the violin, the piano, the harp, the horn"),
    (
        ("{a}", Verb("play", "{v}")),
        ("{a}'s instrument", Verb("be", "{v}")),
        ("{a}", Verb("make", "music on {v}")),
    ),
    ("What does {a} play?", "What is {a}'s instrument?", "On what does {a} make music?"),
    ("what {a} plays", "which instrument {a} plays"),
)
COAT = Relation(
    "coat",
    ("red", "black", "grey", "white", "green", "yellow", "blue", "brown"),
    (
        ("{a}'s coat", Verb("be", "{v}")),
        ("{a}", Verb("wear", "a {v} coat")),
        ("{a}", Verb("have", "a {v} coat")),
    ),
    ("What colour is {a}'s coat?", "Which colour does {a} wear?", "Of what colour is {a}'s coat?"),
    ("what colour {a}'s coat is", "which colour {a} wears"),
)
MARKET = Relation(
    "market",
    DAYS,
    (
        ("{a}", Verb("go", "to the market on {v}")),
        ("{a}'s market day", Verb("be", "{v}")),
        ("{a}", Verb("visit", "the market on {v}")),
    ),
    ("When does {a} go to the market?", "On which day does {a} visit the market?"),
    ("when {a} goes to the market", "on which day {a} visits the market"),
    "on {v}",
)
TRAVEL = Relation(
    "travel",
    ("bus", "train", "tram", "cart", "boat", "sledge"),
    (
        ("{a}", Verb("travel", "by {v}")),
        ("{a}", Verb("go", "to work by {v}")),
        ("{a}", Verb("take", "the {v} to work")),
    ),
    ("How does {a} travel?", "How does {a} go to work?", "In what way does {a} travel?"),
    ("how {a} travels", "how {a} goes to work"),
    "by {v}",
)
FEAR = Relation(
    "fear",
    words("dogs, bees, wasps, bats, mice, wolves, sharks, horses"),
    (
        ("{a}", Verb("be", "afraid of {v}")),
        ("{a}", Verb("fear", "{v}")),
        ("{a}", Verb("run", "away from {v}")),
    ),
    ("What is {a} afraid of?", "What does {a} fear?", "From what does {a} run away?"),
    ("what {a} fears", "what {a} is afraid of"),
)
PERSONAL = (HOME, JOB, LIKES, PET, PLAYS, COAT, MARKET, TRAVEL, FEAR)

# Who is whose: a bridge between two people, for questions of two steps.
KIN = tuple(
    Relation(
        kin,
        NAMES,
        (("{a}'s " + kin, Verb("be", "{v}")), ("{v}", Verb("be", "{a}'s " + kin))),
        ("Who is {a}'s " + kin + "?",),
        ("who {a}'s " + kin + " is",),
    )
    for kin in ("friend", "cousin", "neighbour", "teacher")
)
