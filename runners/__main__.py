"""`python -m runners` is `agentlab`."""

from runners.cli import main

main()
