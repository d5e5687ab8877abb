//! Fuzz targets of the suite.
