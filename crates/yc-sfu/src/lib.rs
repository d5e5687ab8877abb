//! yc-sfu
