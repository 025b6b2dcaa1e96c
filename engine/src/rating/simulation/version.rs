//! Reference rows as they would be if one version of a card had held for a time.

use crate::rating::facts::{RefFacts, VersionRow};
use crate::rating::span::Span;

impl RefFacts {
    /// These rows with one version of a card in force for a span, whatever its status and its own dates, and no other version of the
    /// card meanwhile; none where there is no such version.
    pub(super) fn with_version_alone(&self, (card_id, version): (&str, i64), span: Span) -> Option<Self> {
        let is_it = |row: &VersionRow| row.card_id == card_id && row.version == version;
        let tried = self.rate_card_versions.iter().find(|row| is_it(row))?.clone();
        let mut rows = Vec::with_capacity(self.rate_card_versions.len() + 2);
        for row in &self.rate_card_versions {
            if row.card_id != card_id {
                rows.push(row.clone());
                continue;
            }
            // The row itself stays, for those that inherit from it.
            rows.push(VersionRow { is_active: false, ..row.clone() });
            let before = Span { from: row.valid.from, until: row.valid.until.min(span.from) };
            let after = Span { from: row.valid.from.max(span.until), until: row.valid.until };
            let parts = [before, after].into_iter().filter(|part| row.is_active && !part.is_empty());
            rows.extend(parts.map(|valid| VersionRow { valid, ..row.clone() }));
        }
        rows.push(VersionRow { valid: span, is_active: true, ..tried });
        Some(Self { rate_card_versions: rows, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(version: i64, from: i64, until: i64, is_active: bool) -> VersionRow {
        VersionRow {
            card_id: "card".to_owned(),
            version,
            valid: Span { from, until },
            is_active,
            base: None,
            rounding: None,
        }
    }

    #[test]
    fn the_version_alone_holds_in_the_span() {
        let facts = RefFacts {
            rate_card_versions: vec![row(1, 0, 50, true), row(2, 50, 100, true), row(3, 70, 80, false)],
            ..RefFacts::default()
        };
        let tried = facts.with_version_alone(("card", 3), Span { from: 40, until: 60 }).expect("it is there");
        let mut held: Vec<(i64, i64, i64)> = tried
            .rate_card_versions
            .iter()
            .filter(|row| row.is_active)
            .map(|row| (row.valid.from, row.valid.until, row.version))
            .collect();
        held.sort_unstable();
        assert_eq!(held, [(0, 40, 1), (40, 60, 3), (60, 100, 2)]);
        assert!(facts.with_version_alone(("card", 4), Span { from: 40, until: 60 }).is_none());
        assert!(facts.with_version_alone(("other", 3), Span { from: 40, until: 60 }).is_none());
    }
}
