"""The memory server: a knowledge graph, and memories in plain text with associations between them."""
