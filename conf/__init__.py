"""Every default value of agentlab, one YAML a choice."""
