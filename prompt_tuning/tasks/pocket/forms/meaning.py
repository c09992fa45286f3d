"""Documents about words and statements: senses, other wordings, beliefs, what follows."""

from prompt_tuning.tasks.pocket import frames
from prompt_tuning.tasks.pocket.beliefs import VERDICTS, belief
from prompt_tuning.tasks.pocket.entailment import inference
from prompt_tuning.tasks.pocket.paraphrase import questions, statements
from prompt_tuning.tasks.pocket.relations import NAMES
from prompt_tuning.tasks.pocket.senses import PAIRS, use
from prompt_tuning.tasks.pocket.text import Dice, a, capital, joined

_LEVELS = ((1, 2, 3), (0.6, 0.25, 0.15))
_GLOSSED = (
    "{T} Here {w} means {g}.",
    "{T} This {w} is {g}.",
    "{T} What does {w} mean here? It means {g}.",
    "{T} What is meant by {w}? {G}.",
    "{n} says: {T} Which {w} is meant, {x} or {y}? {G}.",
    "In this sentence {w} stands for {g}. {T}",
    "{T} Does {w} mean {o} here? No, it means {g}.",
    "{T} Does {w} mean {g} here? Yes.",
)


def glossed(dice: Dice) -> str:
    """A word with two senses, and which is meant."""
    pair = dice.pick(PAIRS)
    sense, other = dice.mixed(pair)
    name, speaker = dice.some(NAMES, 2)
    x, y = dice.mixed((sense.gloss, other.gloss))
    text = use(dice, sense, name).text
    words = {"w": sense.word, "g": sense.gloss, "G": capital(sense.gloss), "o": other.gloss}
    return dice.pick(_GLOSSED).format(T=text, n=speaker, x=x, y=y, **words)


def dictionary(dice: Dice) -> str:
    """Both senses of a word."""
    one, two = dice.mixed(dice.pick(PAIRS))
    word, (n, m, k, l) = one.word, dice.some(NAMES, 4)
    first, second = use(dice, one, k).text, use(dice, two, l).text
    return dice.pick(
        (
            f"The word {word} has two meanings: {one.gloss}, and {two.gloss}.",
            f"{capital(a(word))} is {one.gloss} or {two.gloss}. {first} {second}",
            f"{n} and {m} do not mean the same. {n} says: {first} {m} says: {second} "
            f"To {n}, {a(word)} is {one.gloss}. To {m} it is {two.gloss}.",
            f"One word, two meanings. {first} That is {one.gloss}. {second} That is {two.gloss}.",
        )
    )


_SAME = (
    "In both sentences {w} has the same meaning.",
    "Both times {w} means the same.",
    "Does {w} mean the same in both? Yes, the same: {g}.",
    "Is the meaning of {w} the same or different? It is the same.",
    "Same or different? {w}: same",
    "The word {w} is used in the same sense.",
    "Same meaning or different meaning? Same.",
    "In the first {w} means {g}, in the second {g}. So the meaning is the same.",
    "Here {w} is {g}, and there it is {g}. Same or different? Same.",
)
_DIFFERENT = (
    "In these sentences {w} has different meanings.",
    "The two times {w} means something different.",
    "Does {w} mean the same in both? No, the meanings are different: {g} and {o}.",
    "Is the meaning of {w} the same or different? It is different.",
    "Same or different? {w}: different",
    "The word {w} is used in different senses.",
    "Same meaning or different meaning? Different.",
    "In the first {w} means {g}, in the second {o}. So the meaning is different.",
    "Here {w} is {g}, and there it is {o}. Same or different? Different.",
)


def senses_compared(dice: Dice) -> str:
    """The same word twice, in one sense or in two."""
    same = dice.chance(0.5)
    sense, other = dice.mixed(dice.pick(PAIRS))
    if same:
        other = sense
    n, m = dice.some(NAMES, 2)
    end = dice.pick(_SAME if same else _DIFFERENT)
    texts = [use(dice, sense, n).text, use(dice, other, m).text]
    end = end.format(w=sense.word, g=sense.gloss, o=other.gloss)
    if dice.chance(0.2):
        return joined([f"Look at the word {sense.word}.", *texts, end])
    return joined([*texts, end])


_AGREE = (
    "The two sentences agree.",
    "Do the two sentences agree or differ? They agree.",
    "In other words, both say the same. They agree.",
    "Agree or differ? Agree.",
    "Agree or differ? agree",
    "{n} says the first, {m} says the second. {n} and {m} agree.",
    "So the second sentence says nothing new. They agree.",
)
_DIFFER = (
    "The two sentences differ.",
    "Do the two sentences agree or differ? They differ.",
    "The two sentences do not say the same. They differ.",
    "Agree or differ? Differ.",
    "Agree or differ? differ",
    "{n} says the first, {m} says the second. {n} and {m} differ.",
    "The second sentence says something else. They differ.",
)


def statements_compared(dice: Dice) -> str:
    """Two statements that say the same or not, or one in other words."""
    same = dice.chance(0.5)
    pair = statements(dice, same, dice.sized(*_LEVELS))
    if same and dice.chance(0.3):
        link = dice.pick(("In other words, {c}.", "That is to say, {c}.", "This means that {c}."))
        return f"{pair.one} {link.format(c=frames.clause(pair.two))}"
    n, m = dice.some(NAMES, 2)
    end = dice.pick(_AGREE if same else _DIFFER).format(n=n, m=m)
    return joined([pair.one, pair.two, end])


_REPEATED = (
    "{n}: {A} {m}: {B} {n}: That is a repeated question.",
    "{n} asks: {A} {m} asks: {B} They ask the same.",
    "{A} {B} Is the second question new or repeated? It is repeated.",
    "{A} {B} New or repeated? Repeated.",
    "{A} {B} New or repeated? repeated",
    "{A} Or in other words: {B}",
    "{A} {B} That was asked before, the question is repeated.",
)
_NEW = (
    "{n}: {A} {m}: {B} {n}: That is a new question.",
    "{n} asks: {A} {m} asks: {B} They ask different things.",
    "{A} {B} Is the second question new or repeated? It is new.",
    "{A} {B} New or repeated? New.",
    "{A} {B} New or repeated? new",
    "{A} And another thing: {B}",
    "{A} {B} That was not asked before, the question is new.",
)


def questions_compared(dice: Dice) -> str:
    """Two questions that ask the same or not."""
    same = dice.chance(0.5)
    pair = questions(dice, same, dice.sized(*_LEVELS))
    n, m = dice.some(NAMES, 2)
    return dice.pick(_REPEATED if same else _NEW).format(A=pair.one, B=pair.two, n=n, m=m)


def believed(dice: Dice) -> str:
    """What somebody knows, hopes or is wrong about, and what that tells us."""
    verdict = dice.pick((True, False, None))
    item = belief(dice, verdict, dice.sized((1, 2, 3), (0.65, 0.25, 0.1)))
    claim = frames.clause(item.claim)
    if dice.chance(0.25):
        word = VERDICTS[verdict]
        end = dice.pick(
            (
                f"And is it so that {claim}? We can say: {word}.",
                f"What follows for this claim: {claim}? It is {word}.",
                f"From this we learn that this is {word}: {claim}.",
            )
        )
        return f"{item.premise} {end}"
    return f"{item.premise} {frames.judged(dice, claim, verdict)}"


def followed(dice: Dice) -> str:
    """A statement, and what follows from it or does not."""
    certain = dice.chance(0.5)
    item = inference(dice, certain, dice.sized(*_LEVELS))
    claim = frames.clause(item.hypothesis)
    start = "If this is so, what else is? " if dice.chance(0.1) else ""
    return f"{start}{item.premise} {frames.concluded(dice, claim, certain)}"
