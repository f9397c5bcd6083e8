"""What `genego COMMAND` runs: one module a command."""
