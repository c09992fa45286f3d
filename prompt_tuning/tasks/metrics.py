"""The paper's metrics in plain numpy, as T5 defines them (paper appendix A.3).

All take one value per example and give a percentage, 0 to 100 (correlations -100 to 100). A class
of -1 stands for an output that is no legal label: it is wrong whatever the target. Where a
correlation is undefined, because one side is constant, it is 0, so that a collapsed run can be
ranked. Every function raises ValueError when the two sides differ in length or are empty.
"""

import re
import string
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

# Words that T5 ignores when it compares a predicted WSC referent with the given one.
DETERMINERS = frozenset(
    {"a", "an", "each", "every", "few", "her", "his", "many", "much", "my", "our", "some"}
    | {"that", "the", "their", "these", "this", "those", "which", "whose", "your"}
)
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def _check(targets: Sequence[object], predictions: Sequence[object]) -> None:
    if len(targets) != len(predictions):
        raise ValueError(f"{len(targets)} targets but {len(predictions)} predictions")
    if len(targets) == 0:
        raise ValueError("there is nothing to score")


def accuracy(targets: Sequence[object], predictions: Sequence[object]) -> float:
    """Percentage of predictions that equal their target."""
    _check(targets, predictions)
    return 100.0 * sum(t == p for t, p in zip(targets, predictions, strict=True)) / len(targets)


def _class_f1(targets: np.ndarray, predictions: np.ndarray, positive: int) -> float:
    """F1 of one class in [0, 1]; 0 where the class is neither present nor predicted."""
    hits = int(np.sum((targets == positive) & (predictions == positive)))
    total = int(np.sum(targets == positive)) + int(np.sum(predictions == positive))
    return 2.0 * hits / total if total else 0.0


def f1_with_invalid(targets: Sequence[int], predictions: Sequence[int]) -> float:
    """F1 of class 1 of two; a prediction that is neither 0 nor 1 counts as the wrong class."""
    _check(targets, predictions)
    wanted, given = np.asarray(targets), np.asarray(predictions)
    given = np.where((given == 0) | (given == 1), given, 1 - wanted)
    return 100.0 * _class_f1(wanted, given, positive=1)


def mean_class_f1(targets: Sequence[int], predictions: Sequence[int], classes: int) -> float:
    """Unweighted mean of the F1 of each of `classes` classes."""
    _check(targets, predictions)
    wanted, given = np.asarray(targets), np.asarray(predictions)
    return 100.0 * float(np.mean([_class_f1(wanted, given, c) for c in range(classes)]))


def matthews(targets: Sequence[int], predictions: Sequence[int]) -> float:
    """Matthews correlation times 100, for any number of classes (-1 is one more class)."""
    _check(targets, predictions)
    classes, codes = np.unique(np.concatenate([targets, predictions]), return_inverse=True)
    wanted, given = codes[: len(targets)], codes[len(targets) :]
    n, k = len(targets), len(classes)
    true_count = np.bincount(wanted, minlength=k).astype(np.float64)
    given_count = np.bincount(given, minlength=k).astype(np.float64)
    covariance = n * float(np.sum(wanted == given)) - float(true_count @ given_count)
    spread = (n * n - float(true_count @ true_count)) * (n * n - float(given_count @ given_count))
    return 100.0 * covariance / spread**0.5 if spread > 0 else 0.0


def pearson(targets: Sequence[float], predictions: Sequence[float]) -> float:
    """Pearson correlation times 100."""
    _check(targets, predictions)
    x, y = np.asarray(targets, np.float64), np.asarray(predictions, np.float64)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    # Scaled first, so that extreme outputs ("1e300") do not overflow when they are squared.
    x, y = (v / np.max(np.abs(v)) for v in (x, y))
    x, y = (v - np.mean(v) for v in (x, y))
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return 100.0 * min(1.0, max(-1.0, float(x @ y) / norm)) if norm > 0 else 0.0


def spearman(targets: Sequence[float], predictions: Sequence[float]) -> float:
    """Spearman rank correlation times 100; ties share their mean rank."""
    _check(targets, predictions)
    return pearson(_ranks(targets), _ranks(predictions))


def _ranks(values: Sequence[float]) -> list[float]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return [float(r) for r in (last - (counts - 1) / 2)[inverse]]


def normalize_answer(text: str) -> str:
    """SQuAD's normal form: lower case, without ASCII punctuation, articles and extra spaces."""
    text = re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(_PUNCTUATION))
    return " ".join(text.split())


def _word_f1(target: str, prediction: str) -> float:
    wanted, given = target.split(), prediction.split()
    shared = sum((Counter(wanted) & Counter(given)).values())
    return 2.0 * shared / (len(wanted) + len(given)) if shared else 0.0


def squad(answers: Sequence[Sequence[str]], predictions: Sequence[str]) -> tuple[float, float]:
    """Exact match and word F1 of normalised texts, each the best over an example's answers."""
    _check(answers, predictions)
    exact = f1 = 0.0
    for golds, prediction in zip(answers, predictions, strict=True):
        given = normalize_answer(prediction)
        normal = [normalize_answer(gold) for gold in golds]
        exact += given in normal
        f1 += max(_word_f1(gold, given) for gold in normal)
    return 100.0 * exact / len(answers), 100.0 * f1 / len(answers)


def first_of_each_group(groups: Sequence[Hashable]) -> list[int]:
    """Indices of the first example of each group: ReCoRD repeats a query once per gold answer."""
    first: dict[Hashable, int] = {}
    for index, group in enumerate(groups):
        first.setdefault(group, index)
    return list(first.values())


def mean_over_groups(
    groups: Sequence[Hashable],
    targets: Sequence[Any],
    predictions: Sequence[Any],
    metric: Callable[[Sequence[Any], Sequence[Any]], float],
) -> float:
    """Unweighted mean over groups of `metric` within each group."""
    _check(targets, predictions)
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    scores = [
        metric([targets[i] for i in group], [predictions[i] for i in group])
        for group in members.values()
    ]
    return float(np.mean(scores))


def all_match(targets: Sequence[object], predictions: Sequence[object]) -> float:
    """100 if every prediction equals its target, else 0."""
    return 100.0 if accuracy(targets, predictions) == 100.0 else 0.0


def wsc_match(referent: str, prediction: str) -> int:
    """Whether a predicted WSC referent means the given one: 1, 0, or -1 if it has no word.

    Case and determiners are ignored; one word set must contain the other; and either both or
    neither hold an apostrophe, so that "Bob" is not "Bob's hat".
    """
    wanted, given = (
        [w for w in text.strip().lower().split(" ") if w not in DETERMINERS] or [""]
        for text in (referent, prediction)
    )
    if not any(given):
        return -1
    if any("'" in w for w in wanted) != any("'" in w for w in given):
        return 0
    return int(set(given) <= set(wanted) or set(wanted) <= set(given))
