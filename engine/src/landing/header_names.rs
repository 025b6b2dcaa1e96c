//! Which column of a header a mapping means.
//!
//! Providers write one name in many ways: `BillingCurrency`, `billingCurrency`,
//! `billing_currency`, `Währung (BillingCurrency)`. Names are compared by their letters and digits
//! without case, after a translated header has been reduced to the English name in parentheses;
//! an exact match wins. Aliases name what is truly called differently.

use hashbrown::HashMap;

/// The columns of a header by what they are called.
#[derive(Debug)]
pub(crate) struct HeaderNames {
    exact: HashMap<String, usize>,
    loose: HashMap<String, Vec<usize>>,
    /// The names, byte-order mark and blanks removed.
    pub(crate) names: Vec<String>,
    /// Columns that are there only if a mapping names them: structs, whose fields are columns too.
    structs: Vec<bool>,
    /// Whether rows may have more than these: JSON lines have no header.
    is_open: bool,
}

impl HeaderNames {
    pub(crate) fn new(header: &[String]) -> Self {
        let names: Vec<String> =
            header.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect();
        let mut exact = HashMap::new();
        let mut loose: HashMap<String, Vec<usize>> = HashMap::new();
        for (i, name) in names.iter().enumerate() {
            exact.entry(name.clone()).or_insert(i);
            loose.entry(self::loose(name)).or_default().push(i);
        }
        let structs = vec![false; names.len()];
        Self { exact, loose, names, structs, is_open: false }
    }

    /// Columns by their paths, and whether each is a struct.
    pub(crate) fn nested(paths: Vec<(String, bool)>) -> Self {
        let (names, structs): (Vec<String>, Vec<bool>) = paths.into_iter().unzip();
        Self { structs, ..Self::new(&names) }
    }

    /// Names that were seen in a format without a header.
    pub(crate) fn open(names: &[String]) -> Self {
        Self { is_open: true, ..Self::new(names) }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether column `i` is kept although no mapping names it; `named` are the columns that one does.
    pub(crate) fn stands_alone(&self, i: usize, named: &[Option<usize>]) -> bool {
        let is_inside = |outer: usize| {
            let rest = self.names[i].strip_prefix(self.names[outer].as_str());
            self.structs[outer] && rest.is_some_and(|rest| rest.starts_with('.'))
        };
        !self.structs[i] && !named.iter().flatten().any(|outer| is_inside(*outer))
    }

    /// The column called `canonical` or one of its aliases; an error if two are.
    pub(crate) fn find(&self, canonical: &str, aliases: &[(String, String)]) -> Result<Option<usize>, String> {
        let others = aliases.iter().filter(|(name, _)| name == canonical).map(|(_, alias)| alias.as_str());
        for name in std::iter::once(canonical).chain(others) {
            if let Some(found) = self.exact.get(name) {
                if self.names.iter().filter(|n| *n == name).count() > 1 {
                    return Err(format!("column {name} is there twice"));
                }
                return Ok(Some(*found));
            }
            match self.loose.get(&letters(name)).map(Vec::as_slice) {
                Some([one]) => return Ok(Some(*one)),
                Some([first, second, ..]) => {
                    return Err(format!("columns {} and {} both mean {name}", self.names[*first], self.names[*second]));
                }
                Some([]) | None => {}
            }
        }
        Ok(None)
    }

    /// Whether the header has the column, under any of its names.
    pub(crate) fn has(&self, canonical: &str, aliases: &[(String, String)]) -> bool {
        !matches!(self.find(canonical, aliases), Ok(None))
    }
}

/// `Ressourcengruppe (ResourceGroup)` is `ResourceGroup`.
fn english(name: &str) -> &str {
    let inner = name.strip_suffix(')').and_then(|n| n.rsplit_once(" (")).map(|(_, inner)| inner);
    inner.filter(|inner| !inner.is_empty() && inner.chars().all(|c| c.is_ascii_alphanumeric())).unwrap_or(name)
}

/// The spelling by which names are compared.
pub(crate) fn loose(name: &str) -> String {
    letters(english(name))
}

fn letters(name: &str) -> String {
    let is_extension = name.starts_with("x_");
    let mut found: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    if is_extension {
        // `x_BilledCost` is somebody's own column, never a spelling of another name.
        found.insert(0, '_');
    }
    found
}

/// The key of a column in `x_columns`: FOCUS `x_` names as they are, others `x_` and snake case.
pub(crate) fn extension_key(name: &str) -> String {
    if name.starts_with("x_") {
        return name.to_owned();
    }
    let mut key = String::from("x_");
    let characters: Vec<char> = english(name).chars().collect();
    for (i, c) in characters.iter().enumerate() {
        if !c.is_alphanumeric() {
            if !key.ends_with('_') {
                key.push('_');
            }
            continue;
        }
        let follows_lower = i > 0 && (characters[i - 1].is_lowercase() || characters[i - 1].is_numeric());
        let ends_acronym =
            i > 0 && characters[i - 1].is_uppercase() && characters.get(i + 1).is_some_and(|n| n.is_lowercase());
        if c.is_uppercase() && (follows_lower || ends_acronym) && !key.ends_with('_') {
            key.push('_');
        }
        key.extend(c.to_lowercase());
    }
    key.trim_end_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(header: &[&str]) -> HeaderNames {
        HeaderNames::new(&header.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn dialects_of_one_name() {
        for header in [
            "BillingCurrency",
            "billingCurrency",
            "billing_currency",
            "\u{feff}BillingCurrency",
            "Währung (BillingCurrency)",
            "BILLINGCURRENCY",
        ] {
            assert_eq!(names(&["a", header]).find("BillingCurrency", &[]), Ok(Some(1)), "{header}");
        }
        let aliases = [("BillingCurrency".to_owned(), "BillingCurrencyCode".to_owned())];
        assert_eq!(names(&["billingCurrencyCode"]).find("BillingCurrency", &aliases), Ok(Some(0)));
        assert_eq!(names(&["x_BillingCurrency"]).find("BillingCurrency", &aliases), Ok(None));
        assert_eq!(names(&["savings_plan_savings_plan_a_r_n"]).find("savingsPlan/SavingsPlanARN", &[]), Ok(Some(0)));
    }

    #[test]
    fn an_exact_name_wins_and_two_meanings_are_an_error() {
        assert_eq!(names(&["cost", "Cost"]).find("Cost", &[]), Ok(Some(1)));
        assert!(names(&["cost", "COST"]).find("Cost", &[]).is_err());
        assert!(names(&["Cost", "Cost"]).find("Cost", &[]).is_err());
    }

    #[test]
    fn a_struct_stands_for_its_fields_once_it_is_named() {
        let paths = [("project.id", false), ("project.name", false), ("project", true), ("projects", false)];
        let header = HeaderNames::nested(paths.map(|(path, is_struct)| (path.to_owned(), is_struct)).into());
        let alone = |named: &[Option<usize>]| (0..4).filter(|i| header.stands_alone(*i, named)).collect::<Vec<_>>();
        assert_eq!(alone(&[None]), [0, 1, 3]);
        assert_eq!(alone(&[Some(2)]), [3]);
        assert_eq!(alone(&[Some(0)]), [0, 1, 3]);
    }

    #[test]
    fn extension_keys() {
        for (name, key) in [
            ("x_Discounts", "x_Discounts"),
            ("Id", "x_id"),
            ("PublisherName", "x_publisher_name"),
            ("lineItem/UsageType", "x_line_item_usage_type"),
            ("savingsPlan/SavingsPlanARN", "x_savings_plan_savings_plan_arn"),
            ("costCategory/Charge type", "x_cost_category_charge_type"),
            ("pricing/OfferingClasspricing/PurchaseOption", "x_pricing_offering_classpricing_purchase_option"),
            ("Ressourcengruppe (ResourceGroup)", "x_resource_group"),
            ("ServiceInfo1", "x_service_info1"),
        ] {
            assert_eq!(extension_key(name), key);
        }
    }
}
