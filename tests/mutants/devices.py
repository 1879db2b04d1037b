"""Faults in what several devices do together."""

from __future__ import annotations

from tests.mutants.fault import Fault

RANKS, STEP, PLAYER = (f"ganforge/engine/{name}.py" for name in ("backends/torch_ranks", "step", "player"))
D = "tests/test_devices.py::"
TOGETHER = (D + "test_two_processes_train_as_one_does",)

FAULTS = [
    Fault(
        "each-process-with-its-own-gradients",
        "forgotten",
        PLAYER,
        "whole = self.adapter.averaged(gradients)",
        "whole = gradients",
        TOGETHER,
    ),
    Fault(
        "random-numbers-of-the-first-process-for-all",
        "tensor",
        RANKS,
        "[:, self.rank]",
        "[:, 0]",
        TOGETHER,
    ),
    Fault(
        "variances-without-that-of-the-means",
        "forgotten",
        RANKS,
        "(variances + (means - mean).square()).mean(0)",
        "variances.mean(0)",
        TOGETHER,
    ),
    Fault(
        "batch-statistics-of-ones-own-rows",
        "tensor",
        RANKS,
        "_summed(torch.stack([own if rank == self.rank else nothing for rank in range(self.count)]))",
        "torch.stack([own for rank in range(self.count)])",
        TOGETHER,
    ),
    Fault(
        "gradients-that-stay-in-their-process",
        "forgotten",
        RANKS,
        "return _summed(gradients[0])",
        "return gradients[0]",
        TOGETHER,
    ),
    Fault(
        "strategies-steered-by-ones-own-rows",
        "tensor",
        STEP,
        "self.after.run(self._averaged(metrics), context)",
        "self.after.run(metrics, context)",
        TOGETHER,
    ),
    Fault(
        "each-process-with-the-first-ones-pictures",
        "off by one",
        "ganforge/data/batches.py",
        "slice(number * rows, (number + 1) * rows)",
        "slice(0, rows)",
        (D + "test_the_parts_of_a_batch_are_the_batch",),
    ),
]
