//! The API as its clients see it.

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod records;
#[cfg(test)]
mod tcp;
