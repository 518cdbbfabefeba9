"""Environment adapters; each stands alone and is registered with Gymnasium or PettingZoo."""
