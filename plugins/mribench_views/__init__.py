"""First-party views of mribench."""
