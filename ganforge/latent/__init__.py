"""Where in the latent space pictures are, and in which directions they change."""
