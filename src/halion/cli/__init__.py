"""The command line; see `halion.cli.main.app`."""

__all__: list[str] = []
