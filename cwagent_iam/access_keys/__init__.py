"""Access keys: what is due about the keys of a user; values, pure functions and generators."""
