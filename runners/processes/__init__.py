"""Where the arithmetic happens: device, precision, and the processes of one run."""
