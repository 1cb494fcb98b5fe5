"""The loop that every instrument shares: read, decode, run a stage, join, keep the ledger, emit documents."""
