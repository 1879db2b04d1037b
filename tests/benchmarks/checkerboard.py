"""Whether generators draw checkerboards: the energy of patterns that repeat every 2, 4 or 8 pixels.

``python -m tests.benchmarks.checkerboard RUN … [--data FOLDER]`` prints it for the pictures of runs, and for real
ones. A layer that doubles the side and treats even and odd pixels differently adds a pattern of just that period
(Odena et al. 2016, "Deconvolution and Checkerboard Artifacts"): a spike in a spectrum that is smooth for photographs.
1 is no spike; 2 is twice the energy of the frequencies beside.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

PERIODS = (2, 4, 8)
# The window spreads a spike over one frequency on each side; these are compared with.
BESIDE = (-3, -2, 2, 3)


def spikes(pictures: Any) -> dict[int, float]:
    """Return how much energy (N, H, W, C) pictures, H and W multiples of 8, have at each period for that beside it.

    Of lines down and across, which a checkerboard adds to both; of the other axis, slow frequencies alone: elsewhere
    photographs have little energy that is not noise.
    """
    pictures = np.asarray(pictures, "float64")
    height, width = pictures.shape[1:3]
    window = np.outer(np.hanning(height + 1)[:-1], np.hanning(width + 1)[:-1])[None, :, :, None]
    mean = (pictures * window).sum((1, 2), keepdims=True) / window.sum()
    power = (np.abs(np.fft.fft2((pictures - mean) * window, axes=(1, 2))) ** 2).mean((0, 3))
    lines = power[:, : width // 8].sum(1), power[: height // 8].sum(0)
    return {period: float(np.mean([_spike(line, len(line) // period) for line in lines])) for period in PERIODS}


def _spike(line: np.ndarray, at: int) -> float:
    # Spectra fall like a power of the frequency: between neighbours lies their geometric mean.
    return float(line[at] / np.exp(np.mean(np.log([line[(at + n) % len(line)] for n in BESIDE]))))


def _row(name: str, pictures: np.ndarray) -> str:
    found = spikes(pictures)
    return f"{name:32}" + "".join(f"{found[period]:10.2f}" for period in PERIODS)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--data", type=Path, help="a folder of real pictures")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--count", type=int, default=1000)
    asked = parser.parse_args(arguments)
    print(" " * 32 + "".join(f"{f'period {period}':>10}" for period in PERIODS))
    if asked.data:
        from ganforge.data.folder import load_folder

        print(_row("real", load_folder(asked.data, image_size=asked.image_size, limit=asked.count).array))
    for path in asked.runs:
        from ganforge import Run

        print(_row(str(path), Run(path).sample(asked.count)))


if __name__ == "__main__":
    main()
