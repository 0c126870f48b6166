"""First-party tasks of mribench."""
