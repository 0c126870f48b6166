"""mribench data."""
