"""`agentlab clean`: what it reads, runs, prints and writes."""
