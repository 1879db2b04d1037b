"""Pictures: reading, caching, batching, and the critters that come embedded."""
