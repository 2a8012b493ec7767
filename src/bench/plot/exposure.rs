//! The judge's loss of free-running texts.

use super::{COLOURS, FONT, GRID, INK, SIZE, drawing, legend};
use crate::text::compare::Exposure;
use anyhow::{Result, ensure};
use plotters::coord::Shift;
use plotters::coord::combinators::IntoLogRange;
use plotters::prelude::*;

/// Nats per symbol against symbols since the prompt, a line each.
///
/// # Errors
/// No lines, or a drawing that failed.
pub fn exposure(lines: &[Exposure]) -> Result<String> {
    ensure!(lines.iter().any(|l| !l.stretches.is_empty()), "there is nothing to draw");
    let mut svg = String::new();
    draw(lines, &SVGBackend::with_string(&mut svg, SIZE).into_drawing_area())?;
    Ok(svg)
}

fn draw(lines: &[Exposure], area: &DrawingArea<SVGBackend, Shift>) -> Result<()> {
    let points = |l: &Exposure| -> Vec<(f64, f64)> {
        l.stretches.iter().map(|p| (p.symbols as f64, p.nats_per_symbol)).collect()
    };
    let all: Vec<_> = lines.iter().flat_map(points).collect();
    let span = |of: fn(&(f64, f64)) -> f64| {
        all.iter().map(of).fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)))
    };
    let ((x0, x1), (y0, y1)) = (span(|p| p.0), span(|p| p.1));
    area.fill(&WHITE).map_err(drawing)?;
    let mut chart = ChartBuilder::on(area)
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d((x0..x1).log_scale().base(2.0), y0 - 0.05..y1 + 0.05)
        .map_err(drawing)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .x_desc("symbols since the prompt")
        .y_desc("nats per symbol, by the judge")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .label_style((FONT, 14).into_font().color(&INK))
        .draw()
        .map_err(drawing)?;
    // The first line is the truth's; a second round of colours is thin.
    let styles = std::iter::once((INK, 2)).chain(COLOURS.map(|c| (c, 3))).chain(COLOURS.map(|c| (c, 1)));
    for (line, (colour, width)) in lines.iter().zip(styles.cycle()) {
        let style = colour.stroke_width(width);
        chart
            .draw_series(LineSeries::new(points(line), style))
            .map_err(drawing)?
            .label(&line.model)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    legend(&mut chart, SeriesLabelPosition::UpperLeft)?;
    area.present().map_err(drawing)
}
