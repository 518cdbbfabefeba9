"""What only a GPU can tell: the same numbers as on the CPU, NCCL, memory, speed. `python -m benchmarks.gpu`."""
