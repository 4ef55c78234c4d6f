//! A ledger as its users have it: written, searched, damaged, cut down and taken away.

mod bundle;
mod common;
mod damage;
mod made;
mod opening;
mod retention;
mod search;
