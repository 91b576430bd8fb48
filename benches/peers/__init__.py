"""Gateways, proxies and bridges of others beside ours, under the same load in one run."""
