"""How a found network leaves a study: as files that need no code of ours to read, as ONNX, or trained fully."""
