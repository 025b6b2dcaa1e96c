//! Documents for people: templates that a user can copy and change.

use std::path::Path;

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};

use super::{Document, DocumentFormat, TrendPoint, export};
use crate::billing::BillingError;
use crate::chart::bars;

/// The template of an invoice, in `DIR/templates` or built in.
const INVOICE: &str = "invoice.html";
const BUILT_IN: &str = include_str!("../../../templates/invoice.html");
/// Renders documents with the templates of a warehouse.
///
/// A file in the warehouse's `templates` folder stands in for the built-in template of its name. Every value is escaped; a template
/// has the document and nothing else: no files, no queries.
#[derive(Debug)]
pub struct Renderer {
    environment: Environment<'static>,
}

impl Renderer {
    /// A renderer for a warehouse directory, or with the built-in templates only.
    pub fn new(directory: Option<&Path>) -> Self {
        let mut environment = Environment::new();
        let folder = directory.map(|directory| directory.join("templates"));
        environment.set_loader(move |name| match folder.as_deref().map(|folder| read(folder, name)) {
            Some(Ok(Some(own))) => Ok(Some(own)),
            Some(Err(error)) => Err(error),
            Some(Ok(None)) | None => Ok((name == INVOICE).then(|| BUILT_IN.to_owned())),
        });
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_keep_trailing_newline(true);
        Self { environment }
    }

    /// The document in a format.
    ///
    /// # Errors
    /// [`BillingError::Template`] with the line of the template that is wrong.
    pub fn render(&self, document: &Document, format: DocumentFormat) -> Result<String, BillingError> {
        match format {
            DocumentFormat::Html => self.html(document),
            DocumentFormat::Csv => export::csv(document),
            DocumentFormat::Json => export::json(document),
        }
    }

    fn html(&self, document: &Document) -> Result<String, BillingError> {
        let picture = Value::from_safe_string(picture_of(&document.trend)?);
        let failed = |error: minijinja::Error| BillingError::Template {
            name: INVOICE.to_owned(),
            reason: error.line().map_or_else(|| error.to_string(), |line| format!("line {line}: {error}")),
        };
        self.environment
            .get_template(INVOICE)
            .and_then(|template| template.render(minijinja::context! { invoice => document, trend_picture => picture }))
            .map_err(failed)
    }
}

/// The trend as SVG; empty where there is none.
fn picture_of(trend: &[TrendPoint]) -> Result<String, BillingError> {
    if trend.is_empty() {
        return Ok(String::new());
    }
    let failed = |reason: String| BillingError::Template { name: INVOICE.to_owned(), reason };
    // The picture shows about how much; what it stands for is written beside it.
    let amount =
        |point: &TrendPoint| point.amount.parse().map_err(|_| failed(format!("{} is no amount", point.amount)));
    let amounts = trend.iter().map(|point| Ok((point.billing_period.as_str(), amount(point)?)));
    let amounts = amounts.collect::<Result<Vec<_>, BillingError>>()?;
    bars(&amounts).map_err(|error| failed(error.to_string()))
}

/// A template of the warehouse's own; names are those that the product knows, so no path can leave the folder.
fn read(folder: &Path, name: &str) -> Result<Option<String>, minijinja::Error> {
    let is_plain = !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && !name.starts_with('.');
    if !is_plain {
        return Ok(None);
    }
    let path = folder.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(minijinja::Error::new(ErrorKind::TemplateNotFound, format!("{}: {error}", path.display()))),
    }
}
