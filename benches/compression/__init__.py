"""What compression keeps and what it loses, on documents whose facts are known because we planted them.

`python -m benches.compression --seed N` makes the documents, compresses each to a quarter of its tokens and counts what
is still there; see `metrics` for what is counted and `corpus` for the documents.
"""
