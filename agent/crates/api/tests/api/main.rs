//! The API as its clients see it.

mod fixture;
mod hostile;
mod openapi;
mod records;
mod tcp;
