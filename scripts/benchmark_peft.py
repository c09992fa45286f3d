"""PEFT's side of `benchmark.py`; it imports nothing of this package, whose start would count."""

import importlib
import multiprocessing
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

Ids = Sequence[Sequence[int]]


class Peft:
    """PEFT's prompt tuning of the same weights, read from a Hugging Face folder."""

    def __init__(self, folder: pathlib.Path, prompt_PD: np.ndarray, batch: int):
        self.torch = torch = importlib.import_module("torch")
        peft = importlib.import_module("peft")
        transformers = importlib.import_module("transformers")
        transformers.logging.set_verbosity_error()
        base = transformers.T5ForConditionalGeneration.from_pretrained(folder)
        base.config.dropout_rate = 0.0
        config = peft.PromptTuningConfig(
            task_type="SEQ_2_SEQ_LM",
            num_virtual_tokens=len(prompt_PD),
            num_transformer_submodules=1,
        )
        self.model, self.batch = peft.get_peft_model(base, config).eval(), batch
        [prompt] = [p for p in self.model.parameters() if p.requires_grad]
        with torch.no_grad():
            prompt.copy_(torch.from_numpy(prompt_PD))
        self.optimizer = torch.optim.Adafactor([prompt], lr=0.3, weight_decay=0.0)

    def train(self, inputs: Ids, targets: Ids) -> float:
        """One step on examples padded to the longest; the mean loss before it."""
        ids, mask = self._padded(inputs)
        labels, valid = self._padded(targets)
        labels = labels.masked_fill(~valid, -100)
        self.optimizer.zero_grad()
        loss = self.model(input_ids=ids, attention_mask=mask.long(), labels=labels).loss
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def score(self, inputs: Ids, labels: Ids) -> np.ndarray:
        """Log-likelihoods `[examples, labels]`: a forward pass for each label."""
        torch, parts = self.torch, []
        for start in range(0, len(inputs), self.batch):
            ids, mask = self._padded(inputs[start : start + self.batch])
            columns = []
            for label in labels:
                wanted = torch.tensor([list(label)] * len(ids))
                with torch.no_grad():
                    out = self.model(input_ids=ids, attention_mask=mask.long(), labels=wanted)
                logp = out.logits.log_softmax(-1)
                columns.append(logp.gather(-1, wanted[:, :, None])[:, :, 0].sum(-1))
            parts.append(torch.stack(columns, 1).numpy())
        return np.concatenate(parts)

    def generate(self, inputs: Ids, length: int) -> np.ndarray:
        """Greedy ids `[examples, length]`, padded after the end."""
        torch, parts = self.torch, []
        for start in range(0, len(inputs), self.batch):
            ids, mask = self._padded(inputs[start : start + self.batch])
            with torch.no_grad():
                out = self.model.generate(
                    input_ids=ids, attention_mask=mask.long(), max_new_tokens=length,
                    num_beams=1, do_sample=False,
                )  # fmt: skip
            out = out[:, 1:].numpy()
            parts.append(np.pad(out, ((0, 0), (0, length - out.shape[1]))))
        return np.concatenate(parts)

    def _padded(self, rows: Ids) -> tuple[Any, Any]:
        """(ids, which of them are real), padded to the longest."""
        lengths = np.array([len(row) for row in rows])
        real = np.arange(lengths.max())[None, :] < lengths[:, None]
        ids = np.zeros(real.shape, np.int64)
        ids[real] = [i for row in rows for i in row]
        return self.torch.from_numpy(ids), self.torch.from_numpy(real)


class PeftProcess:
    """`Peft` in a process of its own, so that it has the memory settings that its users have."""

    def __init__(self, folder: pathlib.Path, prompt_PD: np.ndarray, batch: int, threads: int):
        context = multiprocessing.get_context("spawn")
        self.ours, theirs = context.Pipe()
        args = (theirs, folder, prompt_PD, batch, threads)
        self.process = context.Process(target=_serve, args=args, daemon=True)
        self.process.start()
        theirs.close()

    def train(self, inputs: Ids, targets: Ids) -> float:
        """As `Peft.train`."""
        return self._ask("train", inputs, targets)

    def score(self, inputs: Ids, labels: Ids) -> np.ndarray:
        """As `Peft.score`."""
        return self._ask("score", inputs, labels)

    def generate(self, inputs: Ids, length: int) -> np.ndarray:
        """As `Peft.generate`."""
        return self._ask("generate", inputs, length)

    def close(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.join()
        self.ours.close()

    def _ask(self, name: str, *args: Any) -> Any:
        self.ours.send((name, args))
        try:
            return self.ours.recv()
        except EOFError:
            raise RuntimeError("PEFT's process has ended; its error is above") from None


def _serve(
    pipe: Any, folder: pathlib.Path, prompt_PD: np.ndarray, batch: int, threads: int
) -> None:
    side = Peft(folder, prompt_PD, batch)
    side.torch.set_num_threads(threads)
    while True:
        name, args = pipe.recv()
        pipe.send(getattr(side, name)(*args))
