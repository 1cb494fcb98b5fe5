"""The live page: a reader of result files that asks for things through the mailbox only."""
