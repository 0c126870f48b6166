"""First-party objectives of mribench."""
