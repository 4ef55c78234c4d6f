//! The dashboard asks for metrics that exist.
