"""Where results go while a scan runs: the NeXus file."""
