"""Context that is kept on four levels and handed out within a budget of tokens."""
