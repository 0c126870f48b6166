"""First-party trackers of mribench."""
