"""Networks as the files that are deployed, and the programs that run and measure them."""
