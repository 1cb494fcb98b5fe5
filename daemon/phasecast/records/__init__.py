"""What people say during a beamtime, and what services say of themselves: files that everyone may read."""
