"""What training will need, found from shapes alone: nothing is loaded, nothing is allocated.

Shape letters: R runs, B rows, T encoder length, U decoder length.
"""

import dataclasses
import functools
import math
from typing import Any, get_args

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from prompt_tuning.errors import UserError
from prompt_tuning.evaluation.rows import bucket
from prompt_tuning.t5 import int8
from prompt_tuning.t5.config import T5Config
from prompt_tuning.t5.load import Dtype
from prompt_tuning.t5.model import REMAT_POLICIES, T5, count_params, param_shapes
from prompt_tuning.t5.sharding import param_specs
from prompt_tuning.training import trees
from prompt_tuning.training.batches import Batch
from prompt_tuning.training.optimizer import PAPER, make_optimizer
from prompt_tuning.training.step import Group, Objective, State, population_loss, train_step

GIB = 2**30
CARDS = (16, 24, 40, 80)  # GB as they are sold, GiB of memory
# The share of a card that a step may need: the driver, and holes between buffers, take the rest.
USABLE = 0.9


@dataclasses.dataclass(frozen=True)
class Setup:
    """Prompt tuning as far as memory and time depend on it."""

    batch: int = 32  # examples of one run in a step
    length: int = 100  # of the prompt
    input: int = 512  # tokens of the text
    target: int = 16  # tokens of the output
    dtype: str = "bfloat16"  # of the frozen weights, as in `Run`; int8 computes in bfloat16
    remat: str = "full"  # as in `Run`
    micro_batches: int = 1  # as in `Run`
    runs: int = 1  # trained together in one program
    devices: int = 1  # that share the work
    model_parallel: int = 1  # over how many devices each weight is split; rows are over the rest

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int) and value < 1:
                raise UserError(f"{field.name} must be at least 1, not {value}")
        if self.dtype not in get_args(Dtype):
            raise UserError(f"unknown dtype {self.dtype!r}; use {', '.join(get_args(Dtype))}")
        if self.remat not in REMAT_POLICIES:
            raise UserError(f"unknown remat {self.remat!r}; use {', '.join(REMAT_POLICIES)}")
        if self.batch % self.micro_batches:
            raise UserError(f"batch {self.batch} is not a multiple of {self.micro_batches}")
        if self.devices % self.model_parallel:
            raise UserError(
                f"model_parallel {self.model_parallel} does not divide the {self.devices} devices"
            )
        if self.rows % self.row_parallel:
            raise UserError(
                f"{self.rows} rows at a time do not divide over {self.row_parallel} devices: "
                "change batch, micro_batches or model_parallel"
            )

    @property
    def rows(self) -> int:
        """Examples of one run that are on the devices at once."""
        return self.batch // self.micro_batches

    @property
    def row_parallel(self) -> int:
        """Over how many devices the rows are split."""
        return self.devices // self.model_parallel

    @property
    def activations(self) -> Any:
        """The type that the layers compute in."""
        return jnp.dtype("float32" if self.dtype == "float32" else "bfloat16")


@dataclasses.dataclass(frozen=True)
class Plan:
    """Bytes on each device, and operations of all devices together."""

    setup: Setup
    frozen_parameters: int
    trained_parameters: int  # of one run
    weights: int  # bytes of the frozen weights
    state: int  # bytes of prompts, optimiser and batch
    kept: int  # bytes of activations kept for the backward pass; where weights are split, at most
    temporary: int  # bytes of all activations and intermediate results at once
    flops: float  # of matrix products in a step, those computed anew included

    @property
    def peak(self) -> int:
        """Bytes needed on each device."""
        return self.weights + self.state + self.temporary

    def fits(self, card: int) -> bool:
        """Whether a card of so many GB suffices."""
        return self.peak <= USABLE * card * GIB


@dataclasses.dataclass(frozen=True)
class _Program:
    """A training step and the shapes of its arguments."""

    objective: Objective
    group: Group
    labels: Any
    state: State
    frozen: Any
    batch: Batch
    keys: Any
    rates: list[Any]

    def step(self, *args: Any) -> Any:
        return train_step(*args, objective=self.objective, groups=(self.group,), labels=self.labels)

    @property
    def arguments(self) -> tuple[Any, ...]:
        return self.state, self.frozen, self.batch, self.keys, self.rates


def _program(
    config: T5Config, setup: Setup, activations: Any, mesh: Mesh | None = None
) -> _Program:
    """The step of `setup` computing in `activations`; with a mesh, its arguments are placed."""
    shape, R = jax.ShapeDtypeStruct, setup.runs
    weights = jax.tree.map(lambda x: shape(x.shape, activations), param_shapes(config))
    if setup.dtype == "int8":
        weights = jax.eval_shape(lambda tree: int8.quantize_params(tree, activations), weights)
    table = shape((setup.length, config.d_model), jnp.float32)
    params = {"model": weights, "prompt": {"table": table}}
    labels = trees.label_tree(params, "prompt")
    trainable, frozen = trees.split(params, labels)
    trainable = jax.tree.map(lambda x: shape((R, *x.shape), x.dtype), trainable)
    optimizer = jax.eval_shape(jax.vmap(make_optimizer(PAPER, labels).init), trainable)
    T, U = bucket(setup.input + setup.length), bucket(setup.target)
    inputs, targets = (shape((R, setup.batch, n), jnp.int32) for n in (T, U))
    batch = Batch(inputs, inputs, targets, targets, targets)
    rate = shape((R,), jnp.float32)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), R))
    start = jax.eval_shape(lambda: State(jnp.int32(0), [], []))
    state = start.replace(trainable=[trainable], optimizer=[optimizer])
    rates: list[Any] = [(rate, rate)]
    if mesh is not None:

        def placed(tree: Any, *axes: str | None) -> Any:
            where = NamedSharding(mesh, PartitionSpec(*axes))
            return jax.tree.map(lambda x: shape(x.shape, x.dtype, sharding=where), tree)

        specs = param_specs(weights, setup.model_parallel)
        model = jax.tree.map(lambda x, s: placed(x, *s), weights, specs)
        frozen = {**frozen, "model": model}
        state, keys, rates = placed(state), placed(keys), placed(rates)
        batch = placed(batch, None, "data")
    model = T5(config, dtype=activations, remat=setup.remat)
    objective = Objective(model, 0.0, "mean", setup.micro_batches)
    group = Group(tuple(range(R)), PAPER, (), ())
    return _Program(objective, group, labels, state, frozen, batch, keys, rates)


def make_plan(config: T5Config, setup: Setup) -> Plan:
    """The needs of a training step, compiled ahead of time for this machine's kind of device.

    On an accelerator, one device's memory is what its compiler assigns. On a CPU, and for several
    devices, the step is compiled for CPU devices with float32 activations (their compiler computes
    bfloat16 in float32), less what the activations kept for the backward pass shrink by: an upper
    estimate of a GPU's, whose compiler fuses more. Raises UserError for `devices` that come too
    late: a process decides before its first computation how many CPU devices it has.
    """
    here = setup.devices == 1 and jax.default_backend() != "cpu"
    kept = kept_bytes(config, setup, setup.activations)
    if here:
        temporary = _temporary_bytes(config, setup, setup.activations)
    else:
        wide = setup if setup.dtype == "int8" else dataclasses.replace(setup, dtype="float32")
        temporary = _temporary_bytes(config, wide, jnp.dtype(jnp.float32))
        before = max(kept_bytes(config, wide, jnp.dtype(jnp.float32)), 1)
        # Where weights are split, so are some of the activations, perhaps all; and not more than
        # the same share of what the compiler found.
        saved = min((before - kept) / setup.devices, temporary * (1 - kept / before))
        temporary -= int(saved)
    program = _program(config, setup, setup.activations)
    state = _bytes((program.state, program.rates)) + _bytes(program.batch) // setup.row_parallel
    return Plan(
        setup,
        frozen_parameters=count_params(config),
        trained_parameters=setup.length * config.d_model,
        weights=_device_bytes(program.frozen["model"], setup),
        state=state,
        kept=kept // setup.row_parallel,
        temporary=temporary,
        flops=step_flops(config, setup),
    )


@functools.lru_cache(maxsize=32)
def _temporary_bytes(config: T5Config, setup: Setup, activations: Any) -> int:
    """What the compiled step holds on each device besides its arguments and results."""
    mesh = None if setup.devices == 1 else _mesh(setup)
    program = _program(config, setup, activations, mesh)
    lowered = jax.jit(program.step, donate_argnums=0).lower(*program.arguments)
    # Buffers are assigned before the machine code is made; here that may be slow code.
    cpu = mesh is not None or jax.default_backend() == "cpu"
    options: dict[str, Any] | None = {"xla_backend_optimization_level": 0} if cpu else None
    memory = lowered.compile(compiler_options=options).memory_analysis()
    if memory is None:
        raise UserError("this device's compiler does not tell the memory it assigned")
    return int(memory.temp_size_in_bytes)


def _mesh(setup: Setup) -> Mesh:
    devices = jax.devices("cpu")
    if len(devices) < setup.devices:
        raise UserError(
            f"this process has {len(devices)} CPU devices, the plan needs {setup.devices}: call "
            f'jax.config.update("jax_num_cpu_devices", {setup.devices}) before anything computes'
        )
    return jax.make_mesh(
        (setup.row_parallel, setup.model_parallel),
        ("data", "model"),
        axis_types=(jax.sharding.AxisType.Auto,) * 2,
        devices=devices[: setup.devices],
    )


@functools.lru_cache(maxsize=32)
def kept_bytes(config: T5Config, setup: Setup, activations: Any) -> int:
    """Bytes that the forward pass of one micro-batch leaves for the backward pass, traced.

    Of all devices together. Arguments of the step, the frozen weights above all, do not count:
    they are there anyway.
    """
    program = _program(config, setup, activations)
    parts = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((x.shape[0], setup.rows, x.shape[2]), x.dtype),
        program.batch,
    )
    scales = jax.ShapeDtypeStruct((setup.runs,), jnp.float32)

    def backward(trainable: Any, frozen: Any, batch: Batch, keys: Any, scales: Any) -> Any:
        rest = (frozen, batch, keys, scales, program.objective, (program.group.members,))
        return jax.vjp(lambda tree: population_loss(tree, *rest), trainable, has_aux=True)[1]

    args = (program.state.trainable, program.frozen, parts, program.keys, scales)
    jaxpr = jax.make_jaxpr(backward)(*args).jaxpr
    given = {id(var) for var in (*jaxpr.invars, *jaxpr.constvars)}
    kept = {id(var): var.aval for var in jaxpr.outvars if id(var) not in given}
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in kept.values())


def step_flops(config: T5Config, setup: Setup) -> float:
    """Operations of a step's matrix products, on all devices together."""
    program = _program(config, setup, setup.activations)
    return count_flops(jax.make_jaxpr(program.step)(*program.arguments).jaxpr)


def count_flops(jaxpr: Jaxpr) -> float:
    """Floating-point operations of the matrix products in a traced program, loops multiplied out.

    XLA's own analysis counts the body of a loop once, so all layers as one.
    """
    total = 0.0
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "dot_general":
            (contracted, _), _ = eqn.params["dimension_numbers"]
            operand: Any = eqn.invars[0].aval
            result: Any = eqn.outvars[0].aval
            depth = math.prod(operand.shape[axis] for axis in contracted)
            total += 2.0 * depth * math.prod(result.shape)
        inner = [part for value in eqn.params.values() for part in _jaxprs(value)]
        repeats = eqn.params["length"] if eqn.primitive.name == "scan" else 1
        total += repeats * sum(count_flops(part) for part in inner)
    return total


def _jaxprs(value: Any) -> list[Jaxpr]:
    if isinstance(value, ClosedJaxpr):
        return [value.jaxpr]
    if isinstance(value, Jaxpr):
        return [value]
    return [part for item in value for part in _jaxprs(item)] if isinstance(value, tuple) else []


def _bytes(tree: Any) -> int:
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree))


def _device_bytes(weights: Any, setup: Setup) -> int:
    """Bytes of the weights on each device."""
    total = 0
    specs = param_specs(weights, setup.model_parallel)
    for leaf, spec in zip(
        jax.tree.leaves(weights),
        jax.tree.leaves(specs, is_leaf=lambda x: isinstance(x, PartitionSpec)),
        strict=True,
    ):
        total += _bytes(leaf) // (setup.model_parallel if "model" in spec else 1)
    return total
