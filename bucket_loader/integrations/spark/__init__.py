"""What `spark-submit` starts: the command line as a file.

`python -m bucket_loader.integrations.spark` prints where it is.
"""
