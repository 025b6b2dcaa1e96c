//! The header comment of a mapping file: what SQL cannot say about a source.
//!
//! `sql/landing/README.md` documents every directive for users; this module reads them and
//! refuses what it does not know, so that a misspelt directive is an error and not silence.

use super::elements::ElementsOf;
use super::error::LandingError;
use super::instant::InstantFormat;

/// Whether a source's rows are what the provider bills, or another view of the same cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceRole {
    /// Its rows are charged. Per provider, account and period there is exactly one.
    Priced,
    /// What commitments cost day by day, beside a priced source that bills them. Its rows of covered and unused commitments
    /// take the place of that one's covered usage; its others repeat that one's and are never charged.
    Amortised,
    /// Shown beside the priced rows, never charged.
    Reference,
}

impl SourceRole {
    /// Its name in mappings and in the catalog.
    pub fn name(self) -> &'static str {
        match self {
            Self::Priced => "priced",
            Self::Amortised => "amortised",
            Self::Reference => "reference",
        }
    }
}

/// A tag column family: `resourceTags/user:` becomes tag keys without the prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TagColumns {
    pub(crate) prefix: String,
    pub(crate) key_prefix: String,
}

/// What the directives of one mapping file say.
#[derive(Debug, Clone)]
pub(crate) struct Directives {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) provider: Option<String>,
    pub(crate) role: SourceRole,
    /// The FOCUS version that files of this source claim to be.
    pub(crate) focus: Option<(u8, u8)>,
    /// All of these must be in the header.
    pub(crate) detect: Vec<String>,
    /// If not empty, one of these must be.
    pub(crate) detect_any: Vec<String>,
    /// None of these may be.
    pub(crate) absent: Vec<String>,
    /// If not empty, the delivery's name or its manifest's type must match one of these globs.
    pub(crate) file_names: Vec<String>,
    pub(crate) required: Vec<String>,
    pub(crate) nulls: Vec<String>,
    pub(crate) column_nulls: Vec<(String, Vec<String>)>,
    pub(crate) formats: Vec<InstantFormat>,
    pub(crate) numbers: Vec<String>,
    /// Output columns whose instants are the last moment inside the period.
    pub(crate) inclusive_ends: Vec<String>,
    pub(crate) tag_columns: Vec<TagColumns>,
    /// Other spellings of a column: (canonical, alias).
    pub(crate) aliases: Vec<(String, String)>,
    /// The usage column whose sum must equal that of these source columns (the first that is not null; `A + B` is a sum; none is 0).
    pub(crate) conserved: Option<(String, Vec<String>)>,
    /// Members of the elements of array columns whose sums are added to that: the column, and the keys that lead to the member.
    pub(crate) conserved_elements: Vec<(String, Vec<String>)>,
    /// Relations of the elements of array columns.
    pub(crate) elements: Vec<ElementsOf>,
    /// Output columns that a row may lack, although rows usually must have them.
    pub(crate) nullable: Vec<String>,
    /// The column whose latest month is the billing period of every row of a delivery.
    pub(crate) delivery_period: Option<String>,
}

/// Columns of `usage` without which a row cannot be billed or placed in time.
pub(crate) const NEVER_NULL: [&str; 9] = [
    "billed_cost",
    "billing_account_id",
    "billing_currency",
    "billing_period_start",
    "charge_category",
    "charge_period_end",
    "charge_period_start",
    "effective_cost",
    "provider_name",
];

impl Directives {
    /// Reads the leading comment lines of a mapping, up to the first that is not `-- key: value`.
    /// A bare `--` ends the directives; what follows is for people.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, LandingError> {
        let fail = |reason: String| LandingError::Mapping { source_name: file.to_owned(), reason };
        let mut found = Self::empty();
        for (number, line) in text.lines().enumerate().take_while(|(_, l)| l.starts_with("-- ")) {
            let parts = line.strip_prefix("-- ").and_then(|l| l.split_once(": "));
            let (key, value) =
                parts.ok_or_else(|| fail(format!("line {}: a directive reads `-- key: value`", number + 1)))?;
            found.take(key.trim(), value.trim()).map_err(|reason| fail(format!("line {}: {reason}", number + 1)))?;
        }
        let lacks = |what: &str| Err(fail(format!("the header comment lacks `-- {what}: `")));
        if found.name.is_empty() {
            return lacks("source");
        }
        if found.detect.is_empty() {
            return lacks("detect");
        }
        if found.formats.contains(&InstantFormat::MonthDayYear) && found.formats.contains(&InstantFormat::DayMonthYear)
        {
            return Err(fail("month/day/year and day/month/year in one source would be guessing".to_owned()));
        }
        if found.formats.is_empty() {
            found.formats.push(InstantFormat::Iso);
        }
        Ok(found)
    }

    fn empty() -> Self {
        Self {
            name: String::new(),
            title: String::new(),
            provider: None,
            role: SourceRole::Priced,
            focus: None,
            detect: Vec::new(),
            detect_any: Vec::new(),
            absent: Vec::new(),
            file_names: Vec::new(),
            required: Vec::new(),
            nulls: Vec::new(),
            column_nulls: Vec::new(),
            formats: Vec::new(),
            numbers: Vec::new(),
            inclusive_ends: Vec::new(),
            tag_columns: Vec::new(),
            aliases: Vec::new(),
            conserved: None,
            conserved_elements: Vec::new(),
            elements: Vec::new(),
            nullable: Vec::new(),
            delivery_period: None,
        }
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "source" => self.name = name_of(value)?,
            "title" => self.title = value.to_owned(),
            "provider" => self.provider = Some(value.to_owned()),
            "role" => self.role = role_of(value)?,
            "focus" => {
                self.focus = Some(version_of(value).ok_or_else(|| format!("a FOCUS version reads 1.2, not `{value}`"))?)
            }
            "detect" => self.detect.extend(items(value)?),
            "detect any" => self.detect_any.extend(items(value)?),
            "absent" => self.absent.extend(items(value)?),
            "file name" => self.file_names.extend(items(value)?),
            "required" => self.required.extend(items(value)?),
            "nulls" => self.nulls.extend(items(value)?),
            "timestamps" => {
                for name in items(value)? {
                    self.formats.push(InstantFormat::named(&name).ok_or(format!("there is no timestamp form {name}"))?);
                }
            }
            "numbers" => self.numbers.extend(items(value)?),
            "inclusive ends" => self.inclusive_ends.extend(items(value)?),
            "nullable" => self.nullable.extend(items(value)?),
            "delivery period" => self.delivery_period = Some(value.to_owned()),
            "tag columns" => {
                for item in items(value)? {
                    let (prefix, key_prefix) = item.split_once(" =>").unwrap_or((&item, ""));
                    self.tag_columns.push(TagColumns {
                        prefix: prefix.trim().to_owned(),
                        key_prefix: key_prefix.trim().to_owned(),
                    });
                }
            }
            "alias" => {
                let (canonical, aliases) = value.split_once(" = ").ok_or("an alias reads `Column = OtherName, …`")?;
                self.aliases.extend(items(aliases)?.into_iter().map(|alias| (canonical.trim().to_owned(), alias)));
            }
            "conserved" => self.conserve(value)?,
            "elements" => {
                let (relation, column) = value.split_once(" = ").ok_or("elements reads `relation = Column`")?;
                let relation = name_of(relation.trim())?;
                if relation == "source" || self.elements.iter().any(|e| e.relation == relation) {
                    return Err(format!("there already is a relation {relation}"));
                }
                self.elements.push(ElementsOf { relation, column: column.trim().to_owned() });
            }
            _ => match key.strip_prefix("nulls of ") {
                Some(column) => self.column_nulls.push((column.trim().to_owned(), items(value)?)),
                None => return Err(format!("there is no directive `{key}`")),
            },
        }
        Ok(())
    }

    /// `billed_cost = cost + credits[].amount`: which columns add up to it, and which members of array columns.
    fn conserve(&mut self, value: &str) -> Result<(), String> {
        let wrong = || "what is added reads `Column`, `column[].member` or `column[].object.member`".to_owned();
        let (column, sources) = value.split_once(" = ").ok_or("conserved reads `billed_cost = Column, …`")?;
        let (elements, own): (Vec<&str>, Vec<&str>) =
            sources.split(" + ").map(str::trim).partition(|term| term.contains("[]."));
        let is_bracketed = |text: &str| text.contains(['[', ']']);
        if own.iter().any(|term| is_bracketed(term)) {
            return Err(wrong());
        }
        self.conserved = Some((column.trim().to_owned(), items(&own.join(" + "))?));
        for (array, path) in elements.iter().filter_map(|term| term.split_once("[].")) {
            let keys: Vec<String> = path.split('.').map(str::to_owned).collect();
            if array.is_empty() || is_bracketed(path) || keys.iter().any(String::is_empty) {
                return Err(wrong());
            }
            self.conserved_elements.push((array.to_owned(), keys));
        }
        Ok(())
    }
}

fn name_of(value: &str) -> Result<String, String> {
    let is_name = !value.is_empty() && value.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    is_name.then(|| value.to_owned()).ok_or_else(|| "such a name has lower-case letters, digits and _".to_owned())
}

fn role_of(value: &str) -> Result<SourceRole, String> {
    [SourceRole::Priced, SourceRole::Amortised, SourceRole::Reference]
        .into_iter()
        .find(|role| role.name() == value)
        .ok_or_else(|| format!("role is `priced`, `amortised` or `reference`, not `{value}`"))
}

fn version_of(value: &str) -> Option<(u8, u8)> {
    let (major, minor) = value.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Items separated by commas; an item in single quotes may contain commas and blanks.
fn items(value: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut rest = value.trim();
    while !rest.is_empty() {
        let (item, after) = match rest.strip_prefix('\'') {
            Some(quoted) => {
                let (item, after) = quoted.split_once('\'').ok_or("a quote is not closed")?;
                (item.to_owned(), after.trim_start().strip_prefix(',').unwrap_or(after))
            }
            None => {
                let (item, after) = rest.split_once(',').unwrap_or((rest, ""));
                (item.trim().to_owned(), after)
            }
        };
        if item.is_empty() {
            return Err("an item is empty".to_owned());
        }
        found.push(item);
        rest = after.trim();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read() {
        let text = "-- source: acme_cloud\n-- title: Acme: usage\n-- provider: Acme\n-- role: reference\n-- detect: a, 'b, c'\n\
                    -- nulls: NULL, 'N/A'\n-- nulls of Region: -2\n-- timestamps: iso, month/day/year\n-- alias: Cost = cost_eur, amount\n\
                    -- conserved: billed_cost = Net + Tax, Cost\n-- delivery period: Day\n-- tag columns: tags/ => , aws: => aws:\n--\n-- a remark: is one\nselect 1";
        let found = Directives::parse("acme.sql", text).expect("directives");
        assert_eq!(found.name, "acme_cloud");
        assert_eq!(found.title, "Acme: usage");
        assert_eq!(found.role, SourceRole::Reference);
        assert_eq!(found.detect, ["a", "b, c"]);
        assert_eq!(found.nulls, ["NULL", "N/A"]);
        assert_eq!(found.column_nulls, [("Region".to_owned(), vec!["-2".to_owned()])]);
        assert_eq!(found.formats, [InstantFormat::Iso, InstantFormat::MonthDayYear]);
        assert_eq!(found.aliases.len(), 2);
        assert_eq!(found.conserved, Some(("billed_cost".to_owned(), vec!["Net + Tax".to_owned(), "Cost".to_owned()])));
        assert_eq!(found.delivery_period.as_deref(), Some("Day"));
        let text = "-- source: a\n-- detect: b\n-- conserved: billed_cost = cost + credits[].amount + extras[].of.all.sum\n-- elements: credit = credits\n";
        let nested = Directives::parse("a.sql", text).expect("directives");
        assert_eq!(nested.conserved, Some(("billed_cost".to_owned(), vec!["cost".to_owned()])));
        let keys = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let sums = [("credits".to_owned(), keys(&["amount"])), ("extras".to_owned(), keys(&["of", "all", "sum"]))];
        assert_eq!(nested.conserved_elements, sums);
        assert_eq!((nested.elements[0].relation.as_str(), nested.elements[0].column.as_str()), ("credit", "credits"));
        assert_eq!(found.tag_columns[1], TagColumns { prefix: "aws:".to_owned(), key_prefix: "aws:".to_owned() });
    }

    #[test]
    fn mistakes_are_errors() {
        for (text, says) in [
            ("-- source: a\n-- detekt: b\n", "no directive `detekt`"),
            ("-- detect: b\n", "lacks `-- source"),
            ("-- source: a\n", "lacks `-- detect"),
            ("-- source: A b\n", "lower-case"),
            ("-- source: a\n-- detect: b\n-- elements: source = b\n", "already is a relation source"),
            ("-- source: a\n-- detect: b\n-- elements: b\n", "relation = Column"),
            ("-- source: a\n-- detect: b\n-- conserved: billed_cost = b + c[0].d\n", "column[].member"),
            ("-- source: a\n-- detect: b\n-- conserved: billed_cost = c[].d[].e\n", "column[].object.member"),
            ("-- source: a\n-- detect: b\n-- conserved: billed_cost = c[].d..e\n", "column[].object.member"),
            ("-- source: a\n-- detect: b\n-- conserved: billed_cost = c[].\n", "column[].object.member"),
            ("-- source: a\n-- detect: b\n-- role: both\n", "priced"),
            ("-- source: a\n-- detect: b\n-- timestamps: month/day/year, day/month/year\n", "guessing"),
            ("-- source: a\n-- detect: b\n-- timestamps: yyyy\n", "no timestamp form"),
        ] {
            let error = Directives::parse("x.sql", text).expect_err(text).to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
