//! The table of rules.

use std::borrow::Cow;

use arrow::buffer::BooleanBuffer;

use super::Severity::{Error, Note, Warning};
use super::columns::Columns;
use super::{FocusVersion, Rule, Severity, amounts, periods, shape, values};

/// Rows that break a rule; `None` for rules that look across rows (`across`, `issuers`).
pub(super) type Check = fn(&Columns<'_>, FocusVersion) -> Option<BooleanBuffer>;

const fn rule(id: &'static str, since: FocusVersion, severity: Severity, says: &'static str) -> Rule {
    Rule { id, says: Cow::Borrowed(says), severity, since }
}

/// Every rule, in order.
pub(super) static ALL: [(Rule, Check); 22] = [
    (rule("R1", (1, 0), Warning, "list cost is list unit price times pricing quantity"), amounts::r1),
    (rule("R2", (1, 0), Warning, "contracted cost is contracted unit price times pricing quantity"), amounts::r2),
    (rule("R3", (1, 0), Error, "billed, effective, list and contracted cost are never null"), amounts::r3),
    (rule("R4", (1, 0), Warning, "unit prices are not negative; a negative row has a negative quantity"), amounts::r4),
    (rule("R5", (1, 0), Warning, "a tax has no price, quantity or SKU; usage and purchases have them"), shape::r5),
    (
        rule(
            "R6",
            (1, 3),
            Warning,
            "without a SKU price id there are no prices and quantities; with one there are prices",
        ),
        shape::r6,
    ),
    (rule("R7", (1, 0), Warning, "a quantity has a unit and a unit has a quantity"), shape::r7),
    (
        rule("R8", (1, 0), Warning, "usage that is not an unused commitment has a consumed quantity, nothing else has"),
        shape::r8,
    ),
    (rule("R9", (1, 0), Note, "names, types and states come with the id they belong to"), shape::r9),
    (rule("R10", (1, 0), Warning, "a purchase is not usage-based"), values::r10),
    (rule("R11", (1, 0), Warning, "values are those that FOCUS lists, in its spelling"), values::r11),
    (
        rule(
            "R12",
            (1, 0),
            Error,
            "periods end after they start, and charges lie in their billing period unless they correct",
        ),
        periods::r12,
    ),
    (rule("R13", (1, 0), Note, "a correction is of a charge period before its billing period"), periods::r13),
    (
        rule(
            "R14",
            (1, 4),
            Warning,
            "taxes and credits have the effective cost that is billed, credits also the contracted",
        ),
        amounts::r14,
    ),
    (rule("R15", (1, 0), Warning, "without a commitment the effective cost is the billed cost"), amounts::r15),
    (
        rule("R16", (1, 0), Warning, "usage of a commitment bills nothing, its purchase has no effective cost"),
        amounts::r16,
    ),
    (
        rule(
            "R17",
            (1, 2),
            Warning,
            "what somebody else invoices bills nothing: a billing account pays one invoice issuer",
        ),
        |_, _| None,
    ),
    (rule("R18", (1, 0), Warning, "tags are a JSON object of plain values"), values::r18),
    (rule("R19", (1, 1), Warning, "a service subcategory belongs to its category"), values::r19),
    (rule("R20", (1, 0), Error, "the billing currency is a national currency of ISO 4217"), values::r20),
    (rule("X1", (1, 0), Note, "a SKU price id has one SKU"), |_, _| None),
    (rule("X2", (1, 0), Note, "a service has one category"), |_, _| None),
];
