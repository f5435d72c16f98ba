"""Dale meets Langevin, live: generative modelling by multiplication, never changing sign."""
