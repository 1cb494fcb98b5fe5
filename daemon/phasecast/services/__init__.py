"""Composition roots: each service wires concrete parts, and owns their life."""
