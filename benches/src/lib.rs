//! Criterion benches of the suite.
