"""The seed paper: its layouts of tables, its published numbers, and what its text says of them."""
