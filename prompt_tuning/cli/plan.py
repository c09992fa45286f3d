"""`prompt-tuning plan`: memory and operations of a training step, without weights or network."""

import contextlib
import dataclasses
from typing import Annotated, get_args

import jax
import tyro

from prompt_tuning.errors import UserError
from prompt_tuning.sweep.cost import model_config
from prompt_tuning.t5.config import SIZES, T5Config
from prompt_tuning.t5.load import Dtype
from prompt_tuning.t5.model import REMAT_POLICIES
from prompt_tuning.training.plan import CARDS, GIB, USABLE, Plan, Setup, make_plan

SetupFlags = Annotated[Setup, tyro.conf.arg(name="")]
_DEFAULT = Setup()


def plan(model: str = "xxl", setup: SetupFlags = _DEFAULT, alternatives: bool = True) -> None:
    """Memory and operations of a training step of prompt tuning, found from shapes alone.

    Nothing is loaded or downloaded. Answers for an accelerator are those of its compiler, where
    the command runs on one and asks for one device; otherwise they are estimates, and it says how.

    Args:
        model: small, base, large, xl or xxl of T5 1.1, a pocket: model, or a folder with a
            config.json.
        setup: what is trained, and on what.
        alternatives: also the needs under every remat policy and dtype, which takes minutes for
            large models.
    """
    config = SIZES.get(model) or model_config(model)
    if config is None:
        raise UserError(
            f"model {model!r} tells nothing of its size: name one of {', '.join(SIZES)}, a pocket: "
            "model, or a folder with config.json"
        )
    if setup.devices > 1:
        with contextlib.suppress(RuntimeError):  # too late: make_plan says so
            jax.config.update("jax_num_cpu_devices", setup.devices)
    _print(model, make_plan(config, setup))
    if alternatives:
        _print_alternatives(config, setup)
    print(f"\n{_notes(setup)}")


def _print(model: str, found: Plan) -> None:
    setup = found.setup
    runs = f"{setup.runs} runs together, each " if setup.runs > 1 else ""
    print(f"{model}: {runs}batch {setup.batch} of {setup.input} + {setup.length} -> {setup.target}")
    print(f"  {setup.dtype}, remat {setup.remat}, {setup.micro_batches} micro-batches, "
          f"{setup.devices} devices, each weight over {setup.model_parallel}")  # fmt: skip
    print(f"  parameters          {found.frozen_parameters:,} frozen, "
          f"{found.trained_parameters:,} trained{' by each run' if runs else ''}")  # fmt: skip
    print(f"  a step              {found.flops / 1e12:,.2f} TFLOP in matrix products")
    print("  on each device")
    for name, value in (
        ("weights", found.weights),
        ("prompt, optimiser", found.state),
        ("activations", found.temporary),
        ("  kept for backward", found.kept),
        ("peak", found.peak),
    ):
        print(f"    {name:<19} {value / GIB:9.3f} GiB")


def _print_alternatives(config: T5Config, setup: Setup) -> None:
    cards = "".join(f"{card:>4}" for card in CARDS)
    print(f"\n  {'remat':<6} {'dtype':<9} {'TFLOP':>9} {'peak GiB':>9}   fits GB:{cards}")
    for remat in REMAT_POLICIES:
        for dtype in get_args(Dtype):
            found = make_plan(config, dataclasses.replace(setup, remat=remat, dtype=dtype))
            fits = "".join(f"{'yes' if found.fits(card) else '-':>4}" for card in CARDS)
            numbers = f"{found.flops / 1e12:9.2f} {found.peak / GIB:9.2f}"
            print(f"  {remat:<6} {dtype:<9} {numbers}           {fits}", flush=True)


def _notes(setup: Setup) -> str:
    here = setup.devices == 1 and jax.default_backend() != "cpu"
    how = (
        "Activations: assigned by the compiler of this machine's accelerator."
        if here
        else "Activations: assigned by the compiler for CPU with float32 activations, less what "
        "those kept\nfor the backward pass shrink by in the asked type. A GPU's compiler fuses "
        "more; expect less."
    )
    return (
        f"{how}\nWeights, prompts, optimiser, activations kept for the backward pass: exact, from "
        f"shapes.\nA card counts as its GiB, of which {USABLE:.0%} can be used. Evaluation is not "
        "part of the plan."
    )
