"""`python -m bucket_loader` is `bucket-loader`."""

from bucket_loader.cli import main

main(prog_name="bucket-loader")
