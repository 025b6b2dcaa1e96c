//! A source's mapping fitted to one header: which cells are read how, and what becomes of them.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;

use super::checks::Check;
use super::error::LandingError;
use super::header_names::{HeaderNames, extension_key};
use super::json::Members;
use super::program::{Program, Step, TAG_COLUMNS};
use super::rows::{ColumnReading, Need, Nulls, Reading};
use super::source::Source;
use crate::lake::schema::{USAGE_DECIMALS, USAGE_INSTANTS, usage};

/// Where an output column of the query comes from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A source column, only renamed: position in the program's input.
    Renamed(usize),
    /// An expression.
    Computed(Arc<dyn PhysicalExpr>),
}

/// A mapping ready to run over the rows of one part.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) source: Arc<Source>,
    pub(crate) reading: Reading,
    pub(crate) program: Program,
    /// For each column of the program's input, its position in the header.
    pub(crate) input_of: Vec<Option<usize>>,
    /// One for one queries: the origin of each output column, and the scan under it.
    pub(crate) simple: Option<(Vec<Origin>, Vec<usize>, SchemaRef)>,
    /// Header columns that become members of `x_columns`.
    pub(crate) extensions: Vec<(Arc<str>, usize)>,
    /// Header columns that become tags.
    pub(crate) tags: Vec<(Arc<str>, usize)>,
    /// Header columns whose sum is the provider's cost of a row: the first group that is not null.
    pub(crate) conserved: Vec<Vec<usize>>,
    /// The billing period that the whole delivery is of, where its source has one for all rows: its first and the next one's
    /// first instant.
    pub(crate) delivery_period: Option<(i64, i64)>,
    /// Conditions on header columns.
    pub(crate) checks: Vec<(usize, Check)>,
    /// Header columns with arrays, and the keys of the member whose sum is added to that.
    pub(crate) conserved_elements: Vec<(usize, Vec<String>)>,
    /// Header columns with arrays whose elements become rows.
    pub(crate) elements: Vec<usize>,
    /// How members become columns, where the format has no header.
    pub(crate) members: Option<Arc<Members>>,
    pub(crate) nulls: Arc<Nulls>,
}

impl Mapping {
    /// Fits `source` to a header.
    pub(crate) async fn fit(source: &Arc<Source>, file: &str, header: &HeaderNames) -> Result<Self, LandingError> {
        let directives = &source.directives;
        let wrong = |reason: String| LandingError::Mapping { source_name: directives.name.clone(), reason };
        let program = Program::compile(&source.sql, &directives.elements).await;
        let program = program.map_err(|e| wrong(e.strip_backtrace()))?;
        check_output(&program.output).map_err(wrong)?;
        let closed = if header.is_open() { Some(named_only(source, &program, header)) } else { None };
        let header = closed.as_ref().unwrap_or(header);
        let find = |name: &str| {
            let found = header.find(name, &directives.aliases);
            found.map_err(|reason| LandingError::Header { file: file.to_owned(), reason })
        };
        let mut input_of = Vec::with_capacity(program.input.fields().len());
        for field in program.input.fields() {
            input_of.push(if field.name() == TAG_COLUMNS { None } else { find(field.name())? });
        }
        let mut conserved = Vec::new();
        for names in directives.conserved.iter().flat_map(|(_, groups)| groups) {
            let found = names.split(" + ").map(find).collect::<Result<Vec<_>, _>>()?;
            conserved.push(found.into_iter().flatten().collect());
        }
        let mut conserved_elements = Vec::new();
        for (array, keys) in &directives.conserved_elements {
            conserved_elements.extend(find(array)?.map(|i| (i, keys.clone())));
        }
        let mut elements = Vec::new();
        for of in &directives.elements {
            elements.extend(find(&of.column)?);
        }
        let mut checked = Vec::new();
        for name in &directives.numbers {
            checked.extend(find(name)?);
        }
        let simple = simple_origins(&program.root);
        let mut mapping = Self {
            source: Arc::clone(source),
            reading: Reading { columns: Vec::new(), formats: directives.formats.clone().into() },
            program,
            input_of,
            simple,
            extensions: Vec::new(),
            tags: Vec::new(),
            conserved,
            delivery_period: None,
            checks: Vec::new(),
            conserved_elements,
            elements,
            members: closed.as_ref().map(|closed| Arc::new(members_of(source, closed))),
            nulls: Arc::new(Nulls::new(directives.nulls.iter().map(String::as_str))),
        };
        mapping.place_other_columns(header);
        mapping.reading.columns = mapping.readings(header, &checked);
        Ok(mapping)
    }

    /// The same with conditions on columns that the query gives as texts.
    pub(crate) fn with_checks(self, checks: &[(usize, Check)]) -> Self {
        Self { checks: checks.to_vec(), ..self }
    }

    /// Columns that the query does not name are tags or extensions.
    fn place_other_columns(&mut self, header: &HeaderNames) {
        for (i, name) in header.names.iter().enumerate() {
            if self.input_of.contains(&Some(i)) || !header.stands_alone(i, &self.input_of) {
                continue;
            }
            let families = &self.source.directives.tag_columns;
            let family = families.iter().filter(|f| name.starts_with(&f.prefix)).max_by_key(|f| f.prefix.len());
            if let Some(family) = family {
                self.tags.push((format!("{}{}", family.key_prefix, &name[family.prefix.len()..]).into(), i));
            } else if !name.is_empty() {
                let mut key = extension_key(name);
                while self.extensions.iter().any(|(taken, _)| **taken == *key) {
                    key.push_str("_2");
                }
                self.extensions.push((key.into(), i));
            }
        }
    }

    fn readings(&self, header: &HeaderNames, checked: &[usize]) -> Vec<ColumnReading> {
        let mut needs = vec![Need::default(); header.names.len()];
        for (_, i) in self.extensions.iter().chain(&self.tags) {
            needs[*i].text = true;
        }
        for i in self.conserved.iter().flatten() {
            needs[*i].number = true;
        }
        for i in self.conserved_elements.iter().map(|(i, _)| i).chain(&self.elements) {
            needs[*i].text = true;
        }
        for i in checked {
            needs[*i].check = true;
        }
        match &self.simple {
            None => {
                for i in self.input_of.iter().flatten() {
                    needs[*i].text = true;
                }
            }
            Some((origins, scan, _)) => {
                for (origin, field) in origins.iter().zip(self.program.output.fields()) {
                    self.add_need(&mut needs, origin, scan, field.name());
                }
            }
        }
        let spellings = &self.source.directives;
        let nulls_of = |name: &str| {
            let own = spellings.column_nulls.iter().filter(|(column, _)| {
                // Compared as the header resolves it, so that dialects share one list.
                HeaderNames::new(&[name.to_owned()]).has(column, &spellings.aliases)
            });
            let mut own = own.flat_map(|(_, nulls)| nulls).peekable();
            match own.peek() {
                None => Arc::clone(&self.nulls),
                Some(_) => Arc::new(Nulls::new(spellings.nulls.iter().chain(own).map(String::as_str))),
            }
        };
        let readings = header.names.iter().zip(needs);
        readings.map(|(name, need)| ColumnReading { name: name.as_str().into(), nulls: nulls_of(name), need }).collect()
    }

    fn add_need(&self, needs: &mut [Need], origin: &Origin, scan: &[usize], output: &str) {
        match origin {
            Origin::Renamed(input) => {
                let Some(i) = self.input_of[*input] else {
                    return;
                };
                if USAGE_DECIMALS.contains(&output) {
                    needs[i].number = true;
                } else if USAGE_INSTANTS.contains(&output) {
                    needs[i].instant = true;
                } else {
                    needs[i].text = true;
                }
            }
            Origin::Computed(expression) => {
                for column in collect_columns(expression) {
                    if let Some(i) = scan.get(column.index()).and_then(|input| self.input_of[*input]) {
                        needs[i].text = true;
                    }
                }
            }
        }
    }
}

/// The columns that a mapping names, as `seen` spells them or else as it does itself: the columns of a
/// format whose rows have whatever members they have.
fn named_only(source: &Source, program: &Program, seen: &HeaderNames) -> HeaderNames {
    let d = &source.directives;
    let of_query = program.input.fields().iter().map(|f| f.name()).filter(|name| *name != TAG_COLUMNS);
    let of_sums: Vec<String> = d
        .conserved
        .iter()
        .flat_map(|(_, groups)| groups)
        .flat_map(|group| group.split(" + "))
        .map(str::to_owned)
        .collect();
    let of_elements = d.conserved_elements.iter().map(|(array, _)| array);
    let mut names: Vec<String> = Vec::new();
    for name in of_query.chain(&of_sums).chain(of_elements).chain(&d.numbers) {
        let spelt = match seen.find(name, &d.aliases) {
            Ok(Some(i)) => seen.names[i].clone(),
            Ok(None) | Err(_) => name.clone(),
        };
        if !names.contains(&spelt) {
            names.push(spelt);
        }
    }
    HeaderNames::new(&names)
}

/// How members become the columns of `header`; an alias that is not there may still come.
fn members_of(source: &Source, header: &HeaderNames) -> Members {
    let d = &source.directives;
    let aliases = d.aliases.iter().flat_map(|(name, alias)| [name, alias].map(|spelling| (name, spelling)));
    let others = aliases.filter_map(|(name, spelling)| {
        let column = header.find(name, &d.aliases).ok().flatten()?;
        Some((spelling.clone(), column))
    });
    Members::new(&header.names, &others.collect::<Vec<_>>(), &d.tag_columns)
}

/// Outputs are columns of `usage`, extensions, `reject_reason` or `finding`.
fn check_output(output: &SchemaRef) -> Result<(), String> {
    let usage = usage();
    for field in output.fields() {
        let name = field.name();
        let is_ours = FILLED_LATER.contains(&name.as_str()) || name == "x_columns";
        let is_known = usage.field_with_name(name).is_ok()
            || name.starts_with("x_")
            || [REJECT_REASON, FINDING].contains(&name.as_str());
        if is_ours || !is_known {
            return Err(format!(
                "the query makes a column {name}, which is no column of usage that a mapping may fill (own columns begin with x_)"
            ));
        }
        if field.data_type() == &DataType::Float64 && USAGE_DECIMALS.contains(&name.as_str()) {
            return Err(format!("column {name} is a float; use number(\"…\") so that money stays exact"));
        }
    }
    Ok(())
}

/// The last columns of `usage`, in its order: no mapping fills them. `delivery_id`, `line_key` and
/// `line_no` leave landing as 0; whoever commits the delivery knows them.
pub(crate) const FILLED_LATER: [&str; 6] =
    ["billing_period", "delivery_id", "source_file", "source_row", "line_key", "line_no"];

/// The output column in which a mapping says why a row cannot be landed; null means it can.
pub(crate) const REJECT_REASON: &str = "reject_reason";

/// The output column in which a mapping says what is odd about a row that lands all the same; null means nothing.
pub(crate) const FINDING: &str = "finding";

/// The origins of a query that is one `select` over the source without a filter.
fn simple_origins(root: &Step) -> Option<(Vec<Origin>, Vec<usize>, SchemaRef)> {
    let Step::Project { expressions, input, .. } = root else {
        return None;
    };
    let Step::Scan(scan, schema) = input.as_ref() else {
        return None;
    };
    let origins = expressions
        .iter()
        .map(|expression| match expression.downcast_ref::<Column>() {
            Some(column) => Origin::Renamed(scan[column.index()]),
            None => Origin::Computed(Arc::clone(expression)),
        })
        .collect();
    Some((origins, scan.clone(), Arc::clone(schema)))
}
