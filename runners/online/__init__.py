"""The experiment shared by all online agents: collect, learn, evaluate."""
