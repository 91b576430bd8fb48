"""Python code in a jail, and tools for code: lint, format, type check, tests."""
