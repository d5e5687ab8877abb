//! Fuzz targets of the suite: see `fuzz_targets`, one for each parser, and `README.md` for how to run them.
