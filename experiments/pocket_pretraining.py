"""The pocket family: T5 1.1 in five sizes, pre-trained on the pocket language and LM-adapted.

Command: `python experiments/pocket_pretraining.py --size xs --out FOLDER` (several sizes, or all
without `--size`). It can be interrupted at any time and goes on where it was; what is finished is
not repeated. With `--install` the models are then written into the package as `pocket:xs` ...
Cost: hours of two CPU cores for all sizes.
As in the paper (section 2): span corruption first, then the prefix language model, at last on
lessons in rounds (`tasks/pocket/lessons.py`). The largest starts not from random weights but from
the next smaller one, widened. What adaptation starts from (`@0`) and models on the way (`@STEPS`)
are kept for the ablations of section 3.2, and shipped where there is room.
Expect: losses that fall from `xs` to `b`; each model's are in its model card.
"""

import argparse
import dataclasses
import json
import pathlib
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from prompt_tuning.cli import exit_status
from prompt_tuning.errors import UserError
from prompt_tuning.t5.config import T5Config
from prompt_tuning.t5.load import POCKET_MODELS, load_t5, save_t5
from prompt_tuning.tasks.pocket import TOKENIZER, VERSION, document
from prompt_tuning.tasks.pocket.lessons import far_lesson, first_lesson, lesson, plain_lesson
from prompt_tuning.training.corpus import TextConfig, load_corpus
from prompt_tuning.training.model_card import file_hashes, write_card
from prompt_tuning.training.optimizer import OptimizerConfig
from prompt_tuning.training.pretrain import pretrain
from prompt_tuning.training.pretraining import Pretraining
from prompt_tuning.training.validation import Validation

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXT = TextConfig(documents=450_000, held_out=1000, seed=1)
FIRST_LESSONS = TextConfig(documents=200_000, held_out=1000, seed=5)
LESSONS = TextConfig(documents=600_000, held_out=1000, seed=3)
FAR_LESSONS = TextConfig(documents=150_000, held_out=1000, seed=6)
WARMUP = 200  # steps
SHARD_BYTES = 4_000_000  # no file of the repository is above 5 MB


class Phase(NamedTuple):
    """Span corruption or adaptation."""

    steps: int
    learning_rate: float


@dataclasses.dataclass(frozen=True)
class Lessons:
    """One round of lessons."""

    made: Callable[[int, int], str]
    text: TextConfig
    steps: int
    learning_rate: float
    length: int = 128  # ids of a row


@dataclasses.dataclass(frozen=True)
class Size:
    """One member of the family and how it is trained."""

    d_model: int
    layers: int  # on each side
    d_kv: int
    d_ff: int
    span_corruption: Phase
    adaptation: Phase
    lessons: tuple[Lessons, ...]  # round by round
    keep: tuple[int, ...]  # steps of adaptation after which the model is kept, too
    ship: tuple[int, ...]  # of these, 0 and the last: what the package holds, too
    widened: str | None = None  # the finished model whose weights it starts from; None: random

    @property
    def architecture(self) -> T5Config:
        return T5Config(
            vocab_size=1536,
            d_model=self.d_model,
            d_kv=self.d_kv,
            d_ff=self.d_ff,
            num_layers=self.layers,
            num_decoder_layers=self.layers,
            num_heads=self.d_model // self.d_kv,
        )


def _small(d_model: int, layers: int, d_kv: int, d_ff: int, rate: float) -> Size:
    """One rate for all."""
    rounds = (
        Lessons(first_lesson, FIRST_LESSONS, 2000, rate),
        Lessons(lesson, LESSONS, 8000, rate),
    )
    return Size(
        *(d_model, layers, d_kv, d_ff, Phase(2000, rate), Phase(3000, rate), rounds),
        keep=(150, 300, 750, 1500),
        ship=(0, 300, 1500, 3000),
    )


# Smaller models take larger rates. In bfloat16 the package may hold 25 MB; one xl is 11 of them.
SIZES = {
    "xs": _small(16, 2, 8, 32, 1e-2),
    "s": _small(32, 2, 16, 64, 8e-3),
    "b": _small(64, 2, 16, 128, 5e-3),
    "l": Size(
        *(128, 3, 32, 256, Phase(2000, 3e-3), Phase(2500, 3e-3)),
        (  # with words in front at once it learns more slowly
            Lessons(first_lesson, FIRST_LESSONS, 2000, 3e-3),
            Lessons(plain_lesson, LESSONS, 6000, 1.5e-3),
            Lessons(lesson, LESSONS, 5000, 1.5e-3),
            Lessons(far_lesson, FAR_LESSONS, 5000, 1e-3, length=160),
        ),
        keep=(125, 250, 625, 1250),
        ship=(0,),
    ),
    "xl": Size(
        *(256, 3, 64, 512, Phase(1000, 1.5e-3), Phase(1000, 1e-3)),
        (  # it has had the first rounds as `l`
            Lessons(lesson, LESSONS, 2500, 6e-4),
            Lessons(far_lesson, FAR_LESSONS, 3000, 4e-4, length=160),
        ),
        keep=(50, 100, 250, 500),
        ship=(),
        widened="l",
    ),
}


def shipped(name: str) -> list[str]:
    """The models of a size that the package holds."""
    return [*(f"{name}@{steps}" for steps in SIZES[name].ship), name]


def pretraining(name: str, start: pathlib.Path | None = None) -> Pretraining:
    """Span corruption, from random weights or those of a narrower model."""
    size = SIZES[name]
    return Pretraining(
        name=name,
        architecture=size.architecture,
        start=None if start is None else str(start),
        tokenizer=str(TOKENIZER),
        **_shared(*size.span_corruption),
    )


def adaptation(name: str, start: pathlib.Path) -> Pretraining:
    """The prefix language model, from the result of span corruption."""
    size = SIZES[name]
    return _prefix_lm(name, start, *size.adaptation, keep_steps=size.keep, save_dtype="bfloat16")


def lessons(name: str, number: int, start: pathlib.Path) -> Pretraining:
    """A round, from the adapted model or the round before.

    They are questions in the words of the language, of which the answer alone is learnt.
    """
    taught = SIZES[name].lessons[number]
    return _prefix_lm(
        name,
        start,
        taught.steps,
        taught.learning_rate,
        text=taught.text,
        length=taught.length,
        split="last",
        batch_size=16,
        seed=1 + number,  # in another order than before
    )


def _prefix_lm(
    name: str, start: pathlib.Path, steps: int, rate: float, **fields: Any
) -> Pretraining:
    shared = _shared(steps, rate) | fields
    return Pretraining(name=name, start=str(start), objective="prefix_lm", **shared)


def _shared(steps: int, rate: float) -> dict[str, Any]:
    optimizer = OptimizerConfig(
        name="muon",
        learning_rate=rate,
        weight_decay=0.0,
        warmup_steps=WARMUP,
        decay="linear",
        beta2=0.98,
        clip_global_norm=1.0,
    )
    # Documents are short: rows of 128 ids hold whole ones, packed. bfloat16 is faster on CPUs too.
    return {
        "steps": steps,
        "text": TEXT,
        "length": 128,
        "batch_size": 32,
        "eval_every": 500,
        "optimizer": optimizer,
        "z_loss": 1e-4,
        "dtype": "bfloat16",
    }


def train(name: str, out: pathlib.Path, **options: Any) -> dict[str, pathlib.Path]:
    """All of one size, or what is left of it; folders by name: "xs@0" ... "xs@3000", "xs"."""
    size = SIZES[name]
    narrow = train(size.widened, out, **options)[size.widened] if size.widened else None
    options |= {"command": _command(name)}
    start = pretrain(pretraining(name, narrow), out, document=document, **options)
    last = pretrain(adaptation(name, start), out, document=document, **options)
    models = {f"{name}@{steps}": last.parent / f"step-{steps}" for steps in size.keep}
    models |= {f"{name}@0": start, f"{name}@{size.adaptation.steps}": last}
    for number, taught in enumerate(size.lessons):
        last = pretrain(lessons(name, number, last), out, document=taught.made, **options)
    return models | {name: last}


def _command(name: str) -> str:
    return f"python experiments/pocket_pretraining.py --size {name}"


def measure(folder: pathlib.Path) -> dict[str, float]:
    """Held-out "loss" and "accuracy" of a model's stored weights, with float32 activations.

    Raises UserError if the pocket language is not the one that the model was trained on.
    """
    card = json.loads((folder / "model_card.json").read_text(encoding="utf-8"))
    config = dataclasses.replace(Pretraining.from_dict(card["config"]), dtype="float32")
    t5 = load_t5(folder, dtype="float32")
    made = {LESSONS: lesson, FAR_LESSONS: far_lesson}.get(config.text, document)
    held_out = load_corpus(config.text, "held_out", t5.tokenizer, document=made)
    if held_out.sha256 != card["text"]["held_out_sha256"]:
        raise UserError(f"{folder.name}: the pocket language has changed since it was trained")
    return Validation(config, t5.config, t5.tokenizer, held_out).measure(t5.params)


def install(models: Mapping[str, pathlib.Path], target: pathlib.Path = POCKET_MODELS) -> None:
    """Write models as folders of the package in bfloat16; the loss in a card is that of these."""
    aside = target.with_name(f".{target.name}")
    shutil.rmtree(aside, ignore_errors=True)  # what a kill has left
    for name, source in models.items():
        fresh = aside / name
        save_t5(load_t5(source, dtype="float32"), fresh, "bfloat16", max_shard_bytes=SHARD_BYTES)
        shutil.copy(source / "model_card.json", fresh)
        measured = measure(fresh)
        card = json.loads((fresh / "model_card.json").read_text(encoding="utf-8"))
        card |= {
            "name": f"pocket:{name}",
            "command": _command(name.partition("@")[0]),
            "validation_loss": measured["loss"],
            "validation_accuracy": measured["accuracy"],
            "sha256": file_hashes(fresh),
        }
        card["text"]["language_version"] = VERSION
        write_card(card, fresh)
        target.mkdir(parents=True, exist_ok=True)
        if (target / name).exists():
            (target / name).rename(aside / f"{name}.old")
        fresh.rename(target / name)
        print(f"pocket:{name}: held-out loss {measured['loss']:.4f}", flush=True)
    shutil.rmtree(aside, ignore_errors=True)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "results" / "pocket_pretraining")
    parser.add_argument("--workers", type=int, default=0, help="processes that make the text")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument(
        "--install",
        type=pathlib.Path,
        nargs="?",
        const=POCKET_MODELS,
        metavar="FOLDER",
        help="write the models here when trained; without a folder, into the package",
    )
    args = parser.parse_args(argv)
    for name in args.size:
        models = train(name, args.out, workers=args.workers, quiet=args.quiet)
        if args.install is not None:
            install({model: models[model] for model in shipped(name)}, args.install)


if __name__ == "__main__":
    sys.exit(exit_status(main))
