"""A tour of GANForge from Python: train, inspect, draw, animate, resume, and add a strategy of your own.

    python examples/api_tour.py            # about a minute on two cores; everything goes to api_tour/

Everything the command line does can be done from here; ``ganforge.train`` takes the flags' names with underscores.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")  # before Keras is imported, or not at all

import numpy as np

import ganforge
from ganforge import hookimpl

STRATEGY = '''
from keras import ops
from pydantic import Field
from ganforge import Options, Strategy, hookimpl


class Flip(Strategy):
    """Mirror each picture that the discriminator sees, real or fake, with the same probability."""

    name = "flip"

    class Options(Options):
        probability: float = Field(0.5, ge=0, le=1, description="fraction of the pictures to mirror")

    @hookimpl
    def plan_step(self):
        return {"probability": self.options.probability}

    @hookimpl
    def discriminator_images(self, images, controls, random):
        mirrored = random.bernoulli((ops.shape(images)[0], 1, 1, 1), controls["probability"])
        return ops.where(mirrored > 0, ops.flip(images, axis=2), images)


@hookimpl
def register_strategies(register):
    register(Flip)
'''


class Watch:
    """An observer: any object with methods marked as hooks."""

    @hookimpl
    def epoch_ended(self, epoch):
        m = epoch.metrics  # what was logged last; empty before that
        said = "  ".join(f"{name} {m[name]:.2f}" for name in ("d_loss", "g_loss", "d_real", "d_fake") if name in m)
        print(f"  epoch {epoch.epoch}/{epoch.epochs}: {said}")


def main(
    folder: Path, arch: str = "dcgan:width=16,discriminator_width=16", count: int = 1024, epochs: int = 6
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    common = {"data": f"critters:count={count}", "image_size": 32, "batch_size": 32, "runs_dir": folder / "runs"}

    print("1. Train on cartoon cats and dogs, noise fading out on everything the discriminator sees")
    run = ganforge.train(arch, "noise-anneal:start=0.2", epochs=epochs, seed=7, observers=[Watch()], **common)
    print(f"  {run.id} is {run.state}; it stands in {run.path}")

    print("2. Look at what was measured")
    lines = run.metrics()
    print(
        f"  {len(lines)} logged lines; the last: D(real) {lines[-1]['d_real']:.2f}, D(fake) {lines[-1]['d_fake']:.2f}"
    )
    print(f"  snapshots of epochs {[epoch for epoch, _ in run.snapshots()]}")

    print("3. Draw new pictures, and walk between latents")
    pictures = run.sample(16, seed=3)
    walk = run.interpolate(frames=12, n=4)
    print(f"  pictures {pictures.shape} {pictures.dtype}, a walk {walk.shape}")
    print(f"  {run.make_gif(folder / 'progression.gif', fps=6)}")

    print("4. The generator is a plain Keras model")
    generator = run.generator()
    latents = np.zeros((1, run.config.latent_dim), "float32")
    print(f"  {generator.count_params():,} parameters; the zero latent gives {run.decode(latents).shape}")

    print("5. Train further: exactly as if it had never stopped")
    run = run.resume(epochs=epochs + 2, observers=[Watch()])
    print(f"  {run.id} now has {run.manifest['progress']['epoch']} epochs")

    print("6. Bring a strategy of your own, from a file, and compare")
    file = folder / "flip.py"
    file.write_text(STRATEGY, "utf-8")
    other = ganforge.train(arch, "flip:probability=0.5", plugins=[str(file)], epochs=epochs, seed=7, **common)
    for one in (run, other):
        last = one.metrics()[-1]
        balance = ", ".join(strategy["name"] for strategy in one.manifest["strategies"])
        print(f"  {one.id} ({balance}): D(real) {last['d_real']:.2f}, D(fake) {last['d_fake']:.2f}")

    print("7. A mistake is one line")
    try:
        ganforge.train("dcgan:widht=16")
    except ganforge.UsageError as error:
        print(f"  {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("api_tour"))
