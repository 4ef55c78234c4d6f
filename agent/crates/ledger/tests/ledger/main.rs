//! A ledger as its users have it: written, searched, damaged, cut down and taken away.

#[cfg(test)]
mod bundle;
#[cfg(test)]
mod common;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod damaged_tables;
#[cfg(test)]
mod made;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod search;
