//! Draws a picture as SVG or PNG.

use std::error::Error as _;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::png::encode;
use super::{ChartError, Picture};

const SIZE: (u32, u32) = (960, 480);
/// Okabe and Ito's colours, which the colour-blind can tell apart: <https://jfly.uni-koeln.de/color/>.
const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(80, 80, 80),
];
const MARK: RGBColor = RGBColor(200, 0, 0);

/// Draws to a file whose name ends in `.svg` or `.png`.
///
/// # Errors
/// When the name ends in something else, or the file cannot be written.
pub fn draw(picture: &Picture, path: &Path) -> Result<(), ChartError> {
    register_font()?;
    let bytes = match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => {
            let mut text = String::new();
            on_area(&SVGBackend::with_string(&mut text, SIZE).into_drawing_area(), |area| drawn(picture, area))?;
            text.into_bytes()
        }
        Some("png") => {
            let mut pixels = vec![0; 3 * SIZE.0 as usize * SIZE.1 as usize];
            on_area(&BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area(), |area| drawn(picture, area))?;
            encode(&pixels, SIZE).map_err(|error| ChartError::Drawing { cause: error.to_string() })?
        }
        _ => return Err(ChartError::Form { path: path.display().to_string() }),
    };
    std::fs::write(path, bytes).map_err(|error| ChartError::Drawing { cause: format!("{}: {error}", path.display()) })
}

/// DejaVu Sans, its Latin, Greek and Cyrillic letters: the same picture on every machine.
pub(super) fn register_font() -> Result<(), ChartError> {
    const BYTES: &[u8] = include_bytes!("font/DejaVuSans.ttf");
    let refused = |_| ChartError::Drawing { cause: "the font cannot be read".to_owned() };
    plotters::style::register_font("sans-serif", FontStyle::Normal, BYTES).map_err(refused)
}

/// Draws on an area; what goes wrong there is told in words.
pub(super) fn on_area<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    drawn: impl FnOnce(&DrawingArea<B, Shift>) -> Result<(), DrawingAreaErrorKind<B::ErrorType>>,
) -> Result<(), ChartError>
where
    B::ErrorType: 'static,
{
    drawn(area).map_err(|error| {
        let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        ChartError::Drawing { cause }
    })
}

fn drawn<B: DrawingBackend>(
    picture: &Picture,
    area: &DrawingArea<B, Shift>,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>>
where
    B::ErrorType: 'static,
{
    area.fill(&WHITE)?;
    let (from, to) = picture.times();
    let (low, high) = picture.values();
    let mut chart = ChartBuilder::on(area)
        .caption(&picture.title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(72)
        .build_cartesian_2d(from..to, low..high)?;
    let form = if to - from > TimeDelta::days(3) { "%Y-%m-%d" } else { "%m-%d %H:%M" };
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .axis_style(RGBColor(120, 120, 120))
        .x_labels(8)
        .y_labels(8)
        .x_label_formatter(&|at: &DateTime<Utc>| at.format(form).to_string())
        .y_label_formatter(&|value| short(*value))
        .label_style(("sans-serif", 13))
        .draw()?;
    // The widest first, so that narrower ones lie on it.
    for band in &picture.bands {
        let color = COLORS[band.color % COLORS.len()].mix(0.16);
        for piece in band.pieces() {
            let upper = piece.iter().map(|(at, _, high)| (*at, *high));
            let lower = piece.iter().rev().map(|(at, low, _)| (*at, *low));
            chart.draw_series(std::iter::once(Polygon::new(upper.chain(lower).collect::<Vec<_>>(), color.filled())))?;
        }
    }
    for (number, series) in picture.series.iter().enumerate() {
        let style = COLORS[number % COLORS.len()].stroke_width(2);
        let mut is_named = false;
        for piece in series.pieces() {
            let drawn = match piece {
                [(at, value)] => chart.draw_series(std::iter::once(Circle::new((*at, *value), 2, style.filled())))?,
                _ => chart.draw_series(LineSeries::new(piece.iter().copied(), style))?,
            };
            if !is_named && !series.name.is_empty() {
                is_named = true;
                drawn.label(&series.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
            }
        }
    }
    let marks = picture.marks.iter().map(|(at, value)| Circle::new((*at, *value), 5, MARK.stroke_width(2)));
    let marked = chart.draw_series(marks)?;
    if !picture.marks.is_empty() {
        marked.label("unusual").legend(|(x, y)| Circle::new((x + 9, y), 5, MARK.stroke_width(2)));
    }
    if picture.has_legend() {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(RGBColor(200, 200, 200))
            .label_font(("sans-serif", 13))
            .draw()?;
    }
    area.present()
}

/// A number as an axis has it: 1.5 M for 1,500,000.
pub(super) fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        size if size >= 1e9 => (value / 1e9, " G"),
        size if size >= 1e6 => (value / 1e6, " M"),
        size if size >= 1e4 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let text = format!("{scaled:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{}{unit}", if text == "-0" { "0" } else { text })
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn numbers_of_an_axis_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (-0.001, "0"),
            (0.25, "0.25"),
            (9_999.0, "9999"),
            (12_500.0, "12.5 k"),
            (-3e6, "-3 M"),
            (2e9, "2 G"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
