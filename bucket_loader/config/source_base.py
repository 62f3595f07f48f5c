"""What every source type is, for the files that say what each of them may hold."""

from bucket_loader.config.scalars import Model


class SourceSpec(Model):
    """What all sources are: something that a row of the table in `sources` tells how to open."""
