//! How cost and memory grow with what a node and its cluster hold: processes, flows, pods, policies, watched paths.
//!
//! Each point is an agent of its own that starts beside so much, settles, and then sees a fixed amount of work.

mod change;
mod cold_start;
mod connections;
mod crowd;
mod curve;
mod dimension;
mod held;
mod objects;
mod plot;
mod point;
mod report;
mod usage;

use std::path::Path;

use anyhow::Result;

pub(crate) use self::connections::{Between, Hold};
use self::curve::Curve;
pub(crate) use self::dimension::Dimension;
use self::point::Set;
use crate::machine::Machine;
use crate::network;

/// Rounds over the sizes of a curve, every other one backwards.
const ROUNDS: usize = 3;

/// Measures curves and the cold start, and writes them into a folder. `_network` is where the pods are.
pub(crate) fn run(
    dimensions: &[Dimension],
    output: &Path,
    machine: &Machine,
    _network: &network::Pair,
) -> Result<()> {
    let is_chosen = |dimension: &Dimension| dimensions.is_empty() || dimensions.contains(dimension);
    network::make_local(objects::ADDRESSES)?;
    let start = is_chosen(&Dimension::Start).then(cold_start::measure).transpose()?;
    let mut curves = Vec::new();
    for dimension in Dimension::CURVES.into_iter().filter(is_chosen) {
        curves.push(measure(dimension)?);
    }
    report::write(output, machine, start.as_ref(), &curves)
}

fn measure(dimension: Dimension) -> Result<Curve> {
    let mut sizes = dimension.sizes();
    let mut set = Set::default();
    let mut curve = Curve::of(dimension);
    for round in 0..ROUNDS {
        for size in sizes {
            set.make(dimension, size)?;
            let sample = point::measure(dimension, size)?;
            eprintln!("{} {size}, round {} of {ROUNDS}: {sample}", dimension.name(), round + 1);
            curve.add(size, sample);
        }
        sizes.reverse();
    }
    Ok(curve)
}
