"""`python -m agentlab_runner.runners` is `agentlab`."""

from agentlab_runner.runners.cli import main

main()
