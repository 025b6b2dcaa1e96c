//! Looking a rate up: the same answer as rating, one edge at a time.

use super::fixtures::{World, at, chain, dec, span};
use super::worlds;
use crate::rating::{Dimension, EdgeTerms, Question, RateBook, Span};

/// Who buys what, on 2026-10-05.
fn ask<'a>(book: &RateBook, buyer: &str, texts: &[(Dimension, &'a str)]) -> Question<'a> {
    Question {
        buyer: book.tree().node(buyer).expect("a node"),
        at: at("2026-10-05"),
        texts: texts.to_vec(),
        marketplace: false,
        tags: None,
        unit: None,
        is_correction: false,
        cost: None,
        list_cost: None,
        quantity: None,
        currency: None,
    }
}

fn terms(world: &World, change: impl FnOnce(&mut Question<'_>)) -> EdgeTerms {
    let book = world.book();
    let mut question = ask(&book, "res", &[]);
    change(&mut question);
    book.lookup(&question).expect("in range").expect("an edge")
}

/// `card/version/rule`, or `-`.
fn rule(terms: &EdgeTerms) -> String {
    let rule = terms.rule.as_ref();
    rule.map_or("-".to_owned(), |rule| format!("{}/{}/{}", rule.card_id, rule.version, rule.row.rule_id))
}

const EDGE: &str = "dist>res";

#[test]
fn the_rule_is_named_with_what_made_it_win() {
    let world = chain().card(EDGE, "USD").card("dist>*", "USD");
    let world = world
        .rule("dist>*", "rest", "markup_pct", "20")
        .rule_with(EDGE, "region", "markup_pct", "15", |r| r.region_id = Some("eu".into()))
        .rule_with(EDGE, "sku", "discount_pct", "5", |r| {
            (r.sku_id, r.provider_name) = (Some("sku-1".into()), Some("aws".into()));
        })
        .rule_with(EDGE, "tagged", "unit_price", "2", |r| {
            (r.tag_key, r.tag_value, r.priority) = (Some("env".into()), Some("prod".into()), 7);
        });
    let found = |texts: &[(Dimension, &'static str)], tags| {
        let terms = terms(&world, |q| (q.texts, q.tags) = (texts.to_vec(), tags));
        let rule = terms.rule.expect("a rule");
        let dimensions: Vec<&str> = rule.dimensions.iter().map(|d| d.column()).collect();
        (rule.row.rule_id, rule.is_default_card, dimensions.join(" "), rule.row.priority, rule.base)
    };
    let of = |id: &str, is_default, dimensions: &str, priority, base| {
        (id.to_owned(), is_default, dimensions.to_owned(), priority, base)
    };
    let (sku, region, aws) = ((Dimension::Sku, "sku-1"), (Dimension::Region, "eu"), (Dimension::Provider, "aws"));
    assert_eq!(found(&[region], None), of("region", false, "region_id", 0, Some("cost")));
    assert_eq!(found(&[region, sku, aws], None), of("sku", false, "sku_id provider_name", 0, Some("list")));
    // Nothing of the buyer's own card matches another SKU: the seller's card for all speaks.
    assert_eq!(found(&[(Dimension::Sku, "sku-2"), aws], None), of("rest", true, "", 0, Some("cost")));
    let tags = Some(r#"{"env":"prod"}"#);
    assert_eq!(found(&[region, sku, aws], tags), of("tagged", false, "tag_value tag_key", 7, None));
}

#[test]
fn a_version_holds_from_its_instant_to_the_next() {
    let middle = "2026-10-15T06:00:00";
    let world = chain()
        .card_only(EDGE, "USD")
        .version(EDGE, 1, span("2026-10-01", middle))
        .version(EDGE, 2, span(middle, ""))
        .rule("dist>res#1", "all", "markup_pct", "10")
        .rule("dist>res#2", "all", "markup_pct", "12.5");
    let on = |instant: i64| {
        let terms = terms(&world, |q| (q.at, q.cost) = (instant, Some(dec("100"))));
        (rule(&terms), terms.price, terms.outcome.name(), terms.reason.map(|reason| reason.name()))
    };
    assert_eq!(on(at("2026-10-01")), ("dist>res/1/all".to_owned(), Some(dec("110")), "billed", None));
    assert_eq!(on(at(middle) - 1).0, "dist>res/1/all");
    assert_eq!(on(at(middle)), ("dist>res/2/all".to_owned(), Some(dec("112.5")), "billed", None));
    assert_eq!(on(at("2026-10-01") - 1), ("-".to_owned(), None, "unrated", Some("no_rule")));
    let held = terms(&world, |q| q.at = at("2026-10-20")).rule.expect("a rule").valid;
    assert_eq!(held, Span { from: at(middle), until: i64::MAX });
}

#[test]
fn the_price_needs_the_amount_that_the_rule_prices() {
    let bands = r#"[{"up_to": "5", "price": "10"}, {"up_to": null, "price": "8"}]"#;
    let sku = |text: &'static str| move |r: &mut crate::rating::RuleRow| r.sku_id = Some(text.to_owned());
    let world = chain()
        .card(EDGE, "USD")
        .rule("dist>res", "markup", "markup_pct", "15")
        .rule_with(EDGE, "discount", "discount_pct", "20", sku("listed"))
        .rule_with(EDGE, "hours", "unit_price", "0.5", |r| {
            (r.sku_id, r.unit) = (Some("vm".into()), Some("Hours".into()))
        })
        .rule_with(EDGE, "bands", "graduated", "", |r| {
            (r.sku_id, r.bands) = (Some("banded".into()), Some(bands.into()))
        });
    let price = |sku: &'static str, change: &dyn Fn(&mut Question<'_>)| {
        let terms = terms(&world, |q| {
            q.texts = vec![(Dimension::Sku, sku)];
            q.unit = Some("Hours");
            change(q);
        });
        (terms.price, terms.outcome.name(), terms.reason.map(|reason| reason.name()))
    };
    let billed = |text: &str| (Some(dec(text)), "billed", None);
    let open = (None, "billed", None);
    assert_eq!(price("other", &|q| q.cost = Some(dec("10000"))), billed("11500"));
    assert_eq!(price("other", &|q| q.list_cost = Some(dec("10000"))), open);
    assert_eq!(price("listed", &|q| q.list_cost = Some(dec("50"))), billed("40"));
    assert_eq!(price("listed", &|q| q.cost = Some(dec("50"))), open);
    assert_eq!(price("vm", &|q| q.quantity = Some(dec("3"))), billed("1.5"));
    assert_eq!(price("vm", &|_| {}), open);
    assert_eq!(price("vm", &|q| (q.quantity, q.unit) = (Some(dec("3")), Some("GB"))), (None, "unrated", Some("unit")));
    // 5 × 10 + 3 × 8.
    assert_eq!(price("banded", &|q| q.quantity = Some(dec("8"))), billed("74"));
    assert_eq!(price("banded", &|_| {}), open);
}

#[test]
fn policies_come_first_and_name_no_rule() {
    let world = chain()
        .card(EDGE, "USD")
        .rule("dist>res", "all", "markup_pct", "10")
        .policy(EDGE, "Purchase", "retain")
        .policy(EDGE, "Usage/Correction", "pass");
    let of = |category: &'static str, is_correction: bool| {
        let terms = terms(&world, |q| {
            q.texts = vec![(Dimension::ChargeCategory, category)];
            (q.is_correction, q.cost) = (is_correction, Some(dec("100")));
        });
        (terms.outcome.name(), terms.price, rule(&terms))
    };
    assert_eq!(of("Usage", false), ("billed", Some(dec("110")), "dist>res/1/all".to_owned()));
    assert_eq!(of("Usage", true), ("billed", Some(dec("100")), "-".to_owned()));
    assert_eq!(of("Purchase", false), ("retained", None, "-".to_owned()));
    assert_eq!(of("Tax", false), ("retained", None, "-".to_owned()));
    assert_eq!(of("Gift", false).0, "unrated");
}

#[test]
fn costs_are_in_the_sellers_currency_unless_said_and_prices_in_the_buyers() {
    let world = World::default()
        .node("dist", "distributor", "USD")
        .node("dist/res", "reseller", "EUR")
        .node("res/cust", "customer", "USD")
        .fx("USD/EUR", "2026-10-01", "0.9")
        .card(EDGE, "EUR")
        .rule(EDGE, "all", "markup_pct", "10")
        .card("res>*", "USD")
        .rule("res>*", "all", "markup_pct", "0");
    let book = world.book();
    let ask = |buyer, currency| {
        let question = Question { cost: Some(dec("100")), currency, ..ask(&book, buyer, &[]) };
        let terms = book.lookup(&question).expect("in range").expect("an edge");
        (terms.price, terms.currency, terms.fx_rate_id)
    };
    let rate = Some("USD/EUR@2026-10-01".to_owned());
    // 100 USD are 90 EUR, and 10 % more 99.
    assert_eq!(ask("res", None), (Some(dec("99")), "EUR".to_owned(), rate.clone()));
    assert_eq!(ask("res", Some("EUR")), (Some(dec("110")), "EUR".to_owned(), None));
    // 100 EUR by the inverse of 0.9.
    assert_eq!(ask("cust", None), (Some(dec("111.111111111111111111")), "USD".to_owned(), rate));
    assert_eq!(ask("cust", Some("XXX")), (None, "USD".to_owned(), None));
}

#[test]
fn an_inherited_rule_bears_the_version_in_force() {
    let mut world = chain().card(EDGE, "USD").rule("dist>res", "all", "markup_pct", "10");
    world.0.rate_card_versions[0].valid = span("", "2026-10-01");
    world = world.version(EDGE, 2, span("2026-10-01", ""));
    world.0.rate_card_versions[1].base = Some((EDGE.to_owned(), 1));
    let found = terms(&world, |q| q.cost = Some(dec("1")));
    assert_eq!((rule(&found).as_str(), found.price), ("dist>res/2/all", Some(dec("1.1"))));
}

#[test]
fn who_has_no_seller_then_has_no_terms() {
    let world = chain().with_node(|node| node.valid = span("2026-10-03", ""));
    let book = world.book();
    let found = |buyer: &str, at| {
        let question = Question { at, ..ask(&book, buyer, &[]) };
        book.lookup(&question).expect("in range").is_some()
    };
    assert!(
        found("cust", at("2026-10-03")) && !found("cust", at("2026-10-03") - 1) && !found("dist", at("2026-10-03"))
    );
}

#[test]
fn random_edges_have_the_terms_that_rating_gives_their_charges() {
    let mut seen = std::collections::BTreeMap::<&str, usize>::new();
    for seed in 1000..1500 {
        let (world, lines) = worlds::random(seed, 8);
        let book = world.book();
        for line in lines {
            // Alone in its period, with one cost, and not covered by a commitment: what a question can say.
            let cost = line.get("billed_cost").expect("a cost").to_owned();
            let mut line = line.set("effective_cost", &cost).set("contracted_cost", &cost);
            line.columns.retain(|(name, _)| !name.starts_with("commitment"));
            let charges = world.rate(std::slice::from_ref(&line));
            let [charge] = &charges[..] else { continue };
            let path: Vec<&str> = charge.path.split('/').collect();
            for (k, buyer) in path.iter().enumerate().take(charge.steps.len()).skip(1) {
                let (above, step) = (&charge.steps[k - 1], &charge.steps[k]);
                let currency = if k == 1 { line.get("billing_currency") } else { Some(above.currency.as_str()) };
                if currency != line.get("billing_currency") {
                    continue;
                }
                let texts = Dimension::ALL.into_iter().filter_map(|d| Some((d, line.get(d.column())?)));
                let question = Question {
                    at: charge.start,
                    marketplace: line.marketplace == Some(true),
                    tags: line.get("tags"),
                    unit: line.get("pricing_unit"),
                    is_correction: line.get("charge_class") == Some("Correction"),
                    cost: above.price.as_deref().map(dec),
                    list_cost: line.get("list_cost").map(dec),
                    quantity: line.get("pricing_quantity").map(dec),
                    currency,
                    ..ask(&book, buyer, &texts.collect::<Vec<_>>())
                };
                let found = book.lookup(&question).expect("in range").expect("an edge");
                let is_open = line.get("pricing_quantity").is_none() && step.outcome == "unrated";
                if is_open {
                    // Rating cannot price it; a question without a quantity only asks for the terms.
                    assert_eq!(found.price, None, "seed {seed} {line:?} at {k}");
                    continue;
                }
                assert_eq!(found.outcome.name(), step.outcome, "seed {seed} {line:?} at {k}");
                assert_eq!(found.price, step.price.as_deref().map(dec), "seed {seed} {line:?} at {k}");
                assert_eq!(found.fx_rate_id, step.fx_rate, "seed {seed} {line:?} at {k}");
                if let Some(expected) = &step.rule {
                    assert_eq!(rule(&found), *expected, "seed {seed} {line:?} at {k}");
                }
                *seen.entry(found.outcome.name()).or_default() += 1;
            }
        }
    }
    for outcome in ["billed", "retained", "reported", "unrated"] {
        assert!(seen.get(outcome).copied().unwrap_or(0) > 5, "{seen:?}");
    }
}
