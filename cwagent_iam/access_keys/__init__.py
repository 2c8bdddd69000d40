"""Access keys: the steps that are due for the keys of a user; values, functions, generators."""
