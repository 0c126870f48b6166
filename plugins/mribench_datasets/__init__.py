"""First-party datasets of mribench."""
