//! The sources that can be landed, and which of them a header is.

use std::path::Path;
use std::sync::Arc;

use super::data_set::DataSet;
use super::directives::{Directives, SourceRole};
use super::error::LandingError;
use super::header_names::HeaderNames;

/// The built-in mappings, one SQL file each.
const BUILT_IN: [(&str, &str); 16] = [
    ("aws_cur_legacy.sql", include_str!("../../../sql/landing/aws_cur_legacy.sql")),
    ("azure_ea_actual.sql", include_str!("../../../sql/landing/azure_ea_actual.sql")),
    ("azure_ea_amortized.sql", include_str!("../../../sql/landing/azure_ea_amortized.sql")),
    ("azure_mca_actual.sql", include_str!("../../../sql/landing/azure_mca_actual.sql")),
    ("azure_mca_amortized.sql", include_str!("../../../sql/landing/azure_mca_amortized.sql")),
    ("azure_usage_details.sql", include_str!("../../../sql/landing/azure_usage_details.sql")),
    ("focus_1_0.sql", include_str!("../../../sql/landing/focus_1_0.sql")),
    ("focus_1_1.sql", include_str!("../../../sql/landing/focus_1_1.sql")),
    ("focus_1_2.sql", include_str!("../../../sql/landing/focus_1_2.sql")),
    ("focus_1_3.sql", include_str!("../../../sql/landing/focus_1_3.sql")),
    ("focus_1_4.sql", include_str!("../../../sql/landing/focus_1_4.sql")),
    ("gcp_billing_export.sql", include_str!("../../../sql/landing/gcp_billing_export.sql")),
    ("oci_cost_report.sql", include_str!("../../../sql/landing/oci_cost_report.sql")),
    ("partner_center_daily_usage.sql", include_str!("../../../sql/landing/partner_center_daily_usage.sql")),
    ("partner_center_invoice.sql", include_str!("../../../sql/landing/partner_center_invoice.sql")),
    ("partner_center_utilization.sql", include_str!("../../../sql/landing/partner_center_utilization.sql")),
];

/// What a delivery's source is, for the catalog and for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceInfo {
    /// Name of the mapping, such as `focus_1_0`.
    pub name: String,
    /// Its title for people.
    pub title: String,
    /// The provider, if every row has the same.
    pub provider: Option<String>,
    /// Whether its rows are priced.
    pub role: SourceRole,
    /// The FOCUS version that its files claim to be; `None` for native formats.
    pub focus: Option<(u8, u8)>,
    /// The usage column whose sum over accepted and rejected rows equals `Totals::provider_cost`.
    pub conserved: String,
}

/// One mapping: directives and a query over the columns of `source`.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) directives: Directives,
    pub(crate) sql: String,
}

impl Source {
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, LandingError> {
        Ok(Self { directives: Directives::parse(file, text)?, sql: text.to_owned() })
    }

    pub(crate) fn info(&self) -> SourceInfo {
        let d = &self.directives;
        SourceInfo {
            name: d.name.clone(),
            title: d.title.clone(),
            provider: d.provider.clone(),
            role: d.role,
            focus: d.focus,
            conserved: d.conserved.as_ref().map_or_else(|| "billed_cost".to_owned(), |(column, _)| column.clone()),
        }
    }

    fn has(&self, header: &HeaderNames, column: &str) -> bool {
        header.has(column, &self.directives.aliases)
    }

    /// Columns of the header that detection lacks, and ones it must not have.
    fn missing(&self, header: &HeaderNames) -> Vec<String> {
        let d = &self.directives;
        let mut missing: Vec<String> = d.detect.iter().filter(|c| !self.has(header, c)).cloned().collect();
        if !d.detect_any.is_empty() && !d.detect_any.iter().any(|c| self.has(header, c)) {
            missing.push(format!("one of {}", d.detect_any.join(" or ")));
        }
        missing
    }

    fn fits(&self, header: &HeaderNames, names: &[String]) -> bool {
        self.missing(header).is_empty()
            && !self.directives.absent.iter().any(|c| self.has(header, c))
            && self.fits_names(names)
    }

    fn fits_names(&self, names: &[String]) -> bool {
        let options = glob::MatchOptions {
            case_sensitive: false,
            require_literal_separator: false,
            require_literal_leading_dot: false,
        };
        let patterns = &self.directives.file_names;
        patterns.is_empty()
            || patterns
                .iter()
                .filter_map(|p| glob::Pattern::new(p).ok())
                .any(|pattern| names.iter().any(|name| pattern.matches_with(name, options)))
    }

    /// Of several that fit, the one that asks for most is meant.
    fn specificity(&self) -> usize {
        let d = &self.directives;
        d.detect.len() + usize::from(!d.detect_any.is_empty()) + usize::from(!d.file_names.is_empty())
    }

    /// Required columns that the header lacks.
    pub(crate) fn missing_required(&self, header: &HeaderNames) -> Vec<String> {
        let d = &self.directives;
        d.required.iter().chain(&d.detect).filter(|c| !self.has(header, c)).cloned().collect()
    }
}

/// Every mapping that `land` knows: the built-in ones and a folder of the user's.
#[derive(Debug, Clone)]
pub struct SourceCatalog {
    sources: Vec<Arc<Source>>,
}

impl SourceCatalog {
    /// The mappings that come with Ratehouse.
    ///
    /// # Errors
    /// Never for the shipped files; their directives are read here all the same.
    pub fn built_in() -> Result<Self, LandingError> {
        let sources =
            BUILT_IN.iter().map(|(file, text)| Source::parse(file, text).map(Arc::new)).collect::<Result<_, _>>()?;
        Ok(Self { sources })
    }

    /// The built-in mappings and every `*.sql` of `folder`, if there is such a folder.
    ///
    /// # Errors
    /// A file that cannot be read or has wrong directives; a name that another mapping has: a
    /// user's mapping never replaces one silently, so a copy gets a name of its own.
    pub fn with_folder(folder: &Path) -> Result<Self, LandingError> {
        let mut catalog = Self::built_in()?;
        if !folder.is_dir() {
            return Ok(catalog);
        }
        let unreadable = |error: std::io::Error| LandingError::Unreadable {
            file: folder.display().to_string(),
            reason: error.to_string(),
        };
        let mut files: Vec<_> =
            std::fs::read_dir(folder).map_err(unreadable)?.filter_map(Result::ok).map(|e| e.path()).collect();
        files.retain(|file| file.extension().is_some_and(|e| e == "sql"));
        files.sort();
        for file in files {
            let text = std::fs::read_to_string(&file).map_err(unreadable)?;
            catalog.add(&file.display().to_string(), &text)?;
        }
        Ok(catalog)
    }

    /// Adds one mapping from its text; `file` names it in errors.
    ///
    /// # Errors
    /// Wrong directives, or a name that is taken.
    pub fn add(&mut self, file: &str, text: &str) -> Result<(), LandingError> {
        let source = Source::parse(file, text)?;
        let name = &source.directives.name;
        if self.sources.iter().any(|s| s.directives.name == *name) || DataSet::names().any(|taken| taken == name) {
            let reason = format!("there already is a source {name}; give this one a name of its own (-- source: …)");
            return Err(LandingError::Mapping { source_name: file.to_owned(), reason });
        }
        self.sources.push(Arc::new(source));
        Ok(())
    }

    /// What can be landed, by name.
    pub fn infos(&self) -> Vec<SourceInfo> {
        self.sources.iter().map(|s| s.info()).collect()
    }

    fn known(&self) -> String {
        let mut names: Vec<&str> = self.sources.iter().map(|s| s.directives.name.as_str()).collect();
        for name in DataSet::names() {
            names.push(name);
        }
        names.join(", ")
    }

    /// The mapping called `name`, if the header has what it requires.
    pub(crate) fn named(&self, name: &str, file: &str, header: &HeaderNames) -> Result<Arc<Source>, LandingError> {
        let Some(source) = self.sources.iter().find(|s| s.directives.name == name) else {
            return Err(LandingError::UnknownSourceName { name: name.to_owned(), known: self.known() });
        };
        Self::complete(source, file, header)
    }

    /// The mapping whose signature the header has; `names` are the delivery's and its manifest's.
    pub(crate) fn detect(
        &self,
        file: &str,
        header: &HeaderNames,
        names: &[String],
    ) -> Result<Arc<Source>, LandingError> {
        let fitting: Vec<_> = self.sources.iter().filter(|s| s.fits(header, names)).collect();
        let Some(most) = fitting.iter().map(|s| s.specificity()).max() else {
            return Err(self.unknown(file, header));
        };
        let best: Vec<_> = fitting.into_iter().filter(|s| s.specificity() == most).collect();
        match best.as_slice() {
            [one] => Self::complete(one, file, header),
            several => Err(LandingError::AmbiguousSource {
                file: file.to_owned(),
                candidates: several.iter().map(|s| s.directives.name.as_str()).collect::<Vec<_>>().join(" and "),
            }),
        }
    }

    fn complete(source: &Arc<Source>, file: &str, header: &HeaderNames) -> Result<Arc<Source>, LandingError> {
        let missing = source.missing_required(header);
        if missing.is_empty() {
            return Ok(Arc::clone(source));
        }
        Err(LandingError::MissingColumns {
            file: file.to_owned(),
            source_name: source.directives.name.clone(),
            missing: missing.join(", "),
        })
    }

    /// Names the source that shares the largest part of its signature with the header.
    fn unknown(&self, file: &str, header: &HeaderNames) -> LandingError {
        let share = |s: &Arc<Source>| {
            let wanted = s.directives.detect.len() + s.directives.required.len();
            let missing = s.missing_required(header).len().min(wanted);
            // Parts per million, so that the comparison is of integers.
            (wanted - missing) * 1_000_000 / wanted.max(1)
        };
        let nearest = self.sources.iter().rev().max_by_key(|s| share(s));
        let (name, mut missing) = nearest.map_or((String::new(), Vec::new()), |s| {
            let mut missing = s.missing(header);
            missing.extend(s.missing_required(header));
            (s.directives.name.clone(), missing)
        });
        missing.dedup();
        missing.sort();
        missing.dedup();
        LandingError::UnknownSource {
            file: file.to_owned(),
            nearest: name,
            missing: missing.join(", "),
            known: self.known(),
        }
    }
}
