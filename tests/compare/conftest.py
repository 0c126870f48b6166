"""The results directories that the tests of the report write are compared here too."""
