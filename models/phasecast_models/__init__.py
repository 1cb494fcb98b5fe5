"""The science of phasecast: arrays in, arrays out; no sockets, no clock, no files but model bundles."""
