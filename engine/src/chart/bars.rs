//! A small picture of a few amounts side by side, for a page.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::ChartError;
use super::draw::{on_area, register_font, short};

const SIZE: (u32, u32) = (680, 150);
const PAST: RGBColor = RGBColor(168, 192, 204);
const PRESENT: RGBColor = RGBColor(11, 92, 122);
const INK: RGBColor = RGBColor(93, 107, 120);
/// Parts of the range of amounts that are left free for what is written above and below.
const ABOVE: f64 = 0.18;

/// Draws amounts with their labels as bars, as SVG; the last one is set off.
///
/// # Errors
/// When there is nothing to draw.
pub fn bars(amounts: &[(&str, f64)]) -> Result<String, ChartError> {
    if amounts.is_empty() {
        return Err(ChartError::Empty);
    }
    register_font()?;
    let mut text = String::new();
    on_area(&SVGBackend::with_string(&mut text, SIZE).into_drawing_area(), |area| drawn(amounts, area))?;
    Ok(text)
}

fn drawn<B: DrawingBackend>(
    amounts: &[(&str, f64)],
    area: &DrawingArea<B, Shift>,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>>
where
    B::ErrorType: 'static,
{
    let values = || amounts.iter().map(|(_, value)| *value);
    let (low, high) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
    let range = if high > low { high - low } else { 1.0 };
    // Below zero there is room only where something is.
    let below = if low < 0.0 { low - ABOVE * range } else { low };
    let count = f64::from(u32::try_from(amounts.len()).unwrap_or(u32::MAX));
    let mut chart = ChartBuilder::on(area)
        .x_label_area_size(22)
        .margin(2)
        .build_cartesian_2d(0.0..count, below..high + ABOVE * range)?;
    let label = |anchor| ("sans-serif", 12).into_font().color(&INK).pos(anchor);
    for ((name, value), left) in amounts.iter().zip(0_u32..) {
        let left = f64::from(left);
        let color = if left + 1.0 < count { PAST } else { PRESENT };
        chart.draw_series([Rectangle::new([(left + 0.15, 0.0), (left + 0.85, *value)], color.filled())])?;
        let side = if *value < 0.0 { VPos::Top } else { VPos::Bottom };
        let above = Text::new(short(*value), (left + 0.5, *value), label(Pos::new(HPos::Center, side)));
        chart.draw_series([above])?;
        let (x, _) = chart.backend_coord(&(left + 0.5, below));
        let at = (x, i32::try_from(SIZE.1).unwrap_or(i32::MAX) - 20);
        area.draw(&Text::new((*name).to_owned(), at, label(Pos::new(HPos::Center, VPos::Top))))?;
    }
    chart.draw_series([PathElement::new([(0.0, 0.0), (count, 0.0)], INK.stroke_width(1))])?;
    area.present()
}

#[cfg(test)]
mod tests {
    use super::bars;

    #[test]
    fn every_amount_has_a_bar_and_its_labels() {
        let picture = bars(&[("2026-08", 1_500_000.0), ("2026-09", -20.0), ("2026-10", 0.0)]).expect("a picture");
        assert_eq!(picture.matches("<rect").count(), 3);
        for label in ["2026-08", "2026-09", "2026-10", "1.5 M", "-20"] {
            assert!(picture.contains(label), "{label}: {picture}");
        }
        assert!(bars(&[]).is_err());
    }
}
