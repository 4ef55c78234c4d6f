//! A plot of one curve: cost of an event above, memory below, both over how many there are.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::{
    BLUE, ChartBuilder, Color as _, DrawingArea, ErrorBar, IntoDrawingArea as _, IntoLogRange as _,
    PathElement, SVGBackend, WHITE,
};

use super::curve::{Curve, Spread};
use super::point::Sample;

const SIZE: (u32, u32) = (720, 560);

/// Writes it as SVG.
pub(super) fn write(path: &Path, curve: &Curve) -> Result<()> {
    draw(path, curve).map_err(|error| anyhow!("draw {}: {error}", path.display()))
}

fn draw(path: &Path, curve: &Curve) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (above, below) = area.split_vertically(SIZE.1 / 2);
    let name = curve.dimension.name();
    panel(
        &above,
        &format!("{name}: CPU seconds of a million events"),
        &curve.spreads(Sample::cpu_each_million),
    )?;
    let memory = curve.spreads(|sample| sample.resident_bytes as f64 / f64::from(1 << 20));
    panel(&below, &format!("{name}: resident memory, MiB"), &memory)?;
    area.present()?;
    Ok(())
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    title: &str,
    spreads: &[(u32, Spread)],
) -> Result<(), Box<dyn std::error::Error>> {
    let first = spreads.first().map_or(1.0, |(size, _)| f64::from(*size));
    let last = spreads.last().map_or(10.0, |(size, _)| f64::from(*size));
    let high = spreads.iter().map(|(_, spread)| spread.high).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(56)
        .build_cartesian_2d((first * 0.8..last * 1.25).log_scale(), 0.0..high * 1.1)?;
    chart.configure_mesh().x_label_formatter(&|size| format!("{size:.0}")).draw()?;
    let points = spreads.iter().map(|(size, spread)| (f64::from(*size), spread.median)).collect::<Vec<_>>();
    chart.draw_series([PathElement::new(points, BLUE)])?;
    chart.draw_series(spreads.iter().map(|(size, Spread { median, low, high })| {
        ErrorBar::new_vertical(f64::from(*size), *low, *median, *high, BLUE.filled(), 10)
    }))?;
    Ok(())
}
