"""From output texts to the metrics of each kind of task (paper appendix A.3), and the averages."""

import math
from collections.abc import Mapping, Sequence

from prompt_tuning.errors import UserError
from prompt_tuning.tasks import metrics
from prompt_tuning.tasks.base import Example


def _classes(
    examples: Sequence[Example], outputs: Sequence[str], labels: tuple[str, ...]
) -> tuple[list[int], list[int]]:
    """Class indices of targets and outputs."""
    wanted = [labels.index(e.target) for e in examples]
    return wanted, [class_index(output, labels) for output in outputs]


def class_index(output: str, labels: tuple[str, ...]) -> int:
    """The class that an output names exactly, else -1."""
    return labels.index(output) if output in labels else -1


def accuracy(
    examples: Sequence[Example], outputs: Sequence[str], labels: tuple[str, ...]
) -> dict[str, float]:
    """Share of outputs equal to the target text."""
    return {"accuracy": metrics.accuracy([e.target for e in examples], outputs)}


def f1_and_accuracy(
    examples: Sequence[Example], outputs: Sequence[str], labels: tuple[str, ...]
) -> dict[str, float]:
    """MRPC and QQP: F1 of the second label, accuracy."""
    wanted, given = _classes(examples, outputs, labels)
    return {
        "f1": metrics.f1_with_invalid(wanted, given),
        "accuracy": metrics.accuracy(wanted, given),
    }


def mean_f1_and_accuracy(
    examples: Sequence[Example], outputs: Sequence[str], labels: tuple[str, ...]
) -> dict[str, float]:
    """CommitmentBank: unweighted mean of the classes' F1, accuracy."""
    wanted, given = _classes(examples, outputs, labels)
    return {
        "mean_f1": metrics.mean_class_f1(wanted, given, len(labels)),
        "accuracy": metrics.accuracy(wanted, given),
    }


def matthews(
    examples: Sequence[Example], outputs: Sequence[str], labels: tuple[str, ...]
) -> dict[str, float]:
    """CoLA and AX-b: Matthews correlation."""
    return {"matthews": metrics.matthews(*_classes(examples, outputs, labels))}


def multirc(
    examples: Sequence[Example], outputs: Sequence[str], labels: tuple[str, ...]
) -> dict[str, float]:
    """MultiRC: F1 over all answers; share of questions with every answer right."""
    wanted, given = _classes(examples, outputs, labels)
    groups = [e.group for e in examples]
    return {
        "f1a": metrics.f1_with_invalid(wanted, given),
        "em": metrics.mean_over_groups(groups, wanted, given, metrics.all_match),
    }


def question_answering(
    examples: Sequence[Example], outputs: Sequence[str], labels: tuple[str, ...]
) -> dict[str, float]:
    """SQuAD, MRQA, ReCoRD: exact match and F1, best over the answers, once per group if any."""
    chosen = metrics.first_of_each_group([e.group or e.id for e in examples])
    exact, f1 = metrics.squad([examples[i].answers for i in chosen], [outputs[i] for i in chosen])
    return {"em": exact, "f1": f1}


def wsc(
    examples: Sequence[Example], outputs: Sequence[str], labels: tuple[str, ...]
) -> dict[str, float]:
    """WSC: whether the output names the given referent, compared with the row's label."""
    given = [metrics.wsc_match(e.target, o) for e, o in zip(examples, outputs, strict=True)]
    return {"accuracy": metrics.accuracy([e.label for e in examples], given)}


def similarity(
    examples: Sequence[Example], outputs: Sequence[str], labels: tuple[str, ...]
) -> dict[str, float]:
    """STS-B: correlations of the numbers written; an output that is no number counts as -1."""
    wanted = [float(e.target) for e in examples]
    given = [float(o) if is_number(o) else -1.0 for o in outputs]
    return {
        "pearson": metrics.pearson(wanted, given),
        "spearman": metrics.spearman(wanted, given),
    }


def is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def gender_parity(
    examples: Sequence[Example], outputs: Sequence[str], labels: tuple[str, ...]
) -> dict[str, float]:
    """AX-g: accuracy; share of pronoun pairs whose two outputs agree."""
    pairs: dict[str, set[str]] = {}
    for example, output in zip(examples, outputs, strict=True):
        pairs.setdefault(example.group, set()).add(output)
    same = 100.0 * sum(len(texts) == 1 for texts in pairs.values()) / len(pairs)
    return accuracy(examples, outputs, labels) | {"gender_parity": same}


SUPERGLUE = ("boolq", "cb", "copa", "multirc", "record", "rte", "wic", "wsc")
GLUE = ("cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "qnli", "rte")


def superglue_average(scores: Mapping[str, float]) -> float:
    """Unweighted mean of the eight tasks' primary scores, keyed by name ("super_glue/rte", "rte").

    The two metrics of CB, MultiRC and ReCoRD are averaged before, as `Scores.primary` is.
    """
    return _mean_of("SuperGLUE", "super_glue/", scores, SUPERGLUE)


def glue_average(scores: Mapping[str, float]) -> float:
    """Unweighted mean of GLUE's primary scores, keyed by name; WNLI is left out as in T5.

    MNLI is one task: pass the mean of its matched and mismatched score as "mnli".
    """
    return _mean_of("GLUE", "glue/", scores, GLUE)


def _mean_of(
    benchmark: str, prefix: str, scores: Mapping[str, float], names: tuple[str, ...]
) -> float:
    short = {name.removeprefix(prefix): score for name, score in scores.items()}
    missing = [name for name in names if name not in short]
    if missing:
        raise UserError(f"the {benchmark} average lacks the score of {', '.join(missing)}")
    return sum(short[name] for name in names) / len(names)
