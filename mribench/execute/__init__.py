"""mribench execute."""
