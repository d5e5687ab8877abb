//! yc-sender
