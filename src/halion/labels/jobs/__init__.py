"""What runs in a code's own Python: scripts that import nothing of halion."""

__all__: list[str] = []
