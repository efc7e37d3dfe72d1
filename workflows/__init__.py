"""One durable story a file. Workflows sequence and decide; money is computed in activities."""
