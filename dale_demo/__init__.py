"""Dale meets Langevin, live: generative modelling by multiplication, never changing sign."""

import os

# Before PyTorch is imported, whose OpenMP reads it then. By default its threads spin for
# milliseconds at the end of every operation; where another process, or another visitor's session,
# has taken a core, the small operations of a sampling run then take 50 times as long.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
