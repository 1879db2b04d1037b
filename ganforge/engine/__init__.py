"""The adversarial loop. Knows networks, losses and strategies; nothing of files, pictures or the command line."""
