"""First-party encoders of mribench."""
