"""Where results go: the NeXus file, the picture of the map, the summary."""
