"""Names that people bring from other tools, and what they are called here; nothing is imported for them."""

from __future__ import annotations

# What is a setting here too, by another name.
SETTINGS = {
    "lr": "learning_rate",
    "rate": "learning_rate",
    "learning_rates": "learning_rate",
    "g_lr": "learning_rate",
    "size": "image_size",
    "img_size": "image_size",
    "imsize": "image_size",
    "resolution": "image_size",
    "batch": "batch_size",
    "bs": "batch_size",
    "n_epochs": "epochs",
    "num_epochs": "epochs",
    "model": "arch",
    "architecture": "arch",
    "network": "arch",
    "cfg": "arch",
    "strategy": "balance",
    "criterion": "loss",
    "gan_mode": "loss",
    "z_dim": "latent_dim",
    "nz": "latent_dim",
    "noise_dim": "latent_dim",
    "latent_size": "latent_dim",
    "dataset": "data",
    "dataroot": "data",
    "images": "data",
    "input": "data",
    "folder": "data",
    "beta1": "beta_1",
    "b1": "beta_1",
    "outdir": "runs_dir",
    "output": "runs_dir",
    "random_seed": "seed",
    "manual_seed": "seed",
    "average": "ema",
    "ema_decay": "ema",
    "logger": "log",
    "early_stopping": "stop_when",
    "patience": "stop_when",
    "init_from": "from_run",
    "freezed": "freeze_discriminator",
    "freeze_d": "freeze_discriminator",
}
# What is part of another setting: the setting, and an example of its value.
PARTS = {
    "dropout": ("arch", "dcgan:dropout=0.3"),
    "width": ("arch", "dcgan:width=64"),
    "ngf": ("arch", "dcgan:width=64"),
    "ndf": ("arch", "dcgan:discriminator_width=64"),
    "layers": ("arch", "dcgan:layers=4"),
    "depth": ("arch", "dcgan:layers=4"),
    "hidden": ("arch", "fcgan:hidden=256-512"),
    "kernel": ("arch", "dcgan:kernel=4"),
    "noise": ("balance", "input-noise:sigma=0.1"),
    "sigma": ("balance", "input-noise:sigma=0.1"),
    "label_smoothing": ("balance", "label-noise:smooth=0.1"),
    "gamma": ("balance", "r1:gamma=1"),
    "gradient_penalty": ("balance", "r1:gamma=1"),
    "gp": ("balance", "r1:gamma=1"),
    "mirror": ("balance", "mirror"),
    "flip": ("balance", "mirror"),
    "augment": ("balance", "ada"),
    "aug": ("balance", "ada"),
    "n_critic": ("balance", "generator-steps:generator=1,discriminator=5"),
    "d_steps": ("balance", "generator-steps:generator=1,discriminator=5"),
    "g_steps": ("balance", "generator-steps:generator=2"),
    "d_lr": ("balance", "unequal-lr:discriminator=2"),
    "lr_d": ("balance", "unequal-lr:discriminator=2"),
    "lr_g": ("balance", "unequal-lr:generator=2"),
    "beta2": ("optimizer", "adam:beta_2=0.99"),
    "beta_2": ("optimizer", "adam:beta_2=0.99"),
    "weight_decay": ("optimizer", "adamw:weight_decay=0.01"),
    "amp": ("precision", "mixed_bfloat16"),
    "fp16": ("precision", "mixed_bfloat16"),
    "bf16": ("precision", "mixed_bfloat16"),
    "mixed_precision": ("precision", "mixed_bfloat16"),
}
# What is no setting here.
OTHERWISE = {
    **dict.fromkeys(
        ("steps", "iterations", "iters", "max_steps", "n_iter", "kimg", "total_steps"),
        "--epochs sets the length of a run",
    ),
    **dict.fromkeys(
        ("gpu", "gpus", "cuda", "device", "gpu_ids", "num_gpus"),
        "A GPU that the backend finds is used automatically; --devices N uses several",
    ),
    **dict.fromkeys(("workers", "num_workers"), "Pictures are decoded once and cached, so there is nothing to set"),
    **dict.fromkeys(("resume", "checkpoint", "ckpt"), "To continue a run, write `ganforge resume RUN`"),
    "verbose": "Progress is shown unless --quiet is given",
}


def flag(setting: str) -> str:
    """Return a setting as it is written on the command line."""
    return "--" + {"from_run": "from", "plugins": "plugin"}.get(setting, setting).replace("_", "-")


def hint(name: str) -> str:
    """Return what an unknown setting is here, to be put after a message; empty where nothing is known of it."""
    name = name.lstrip("-").replace("-", "_").lower()
    if name in SETTINGS:
        return f" It is {flag(SETTINGS[name])}."
    if name in PARTS:
        setting, value = PARTS[name]
        return f" Write {flag(setting)}='{value}'."
    return f" {OTHERWISE[name]}." if name in OTHERWISE else ""
