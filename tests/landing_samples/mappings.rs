//! Mappings that users bring.

use ratehouse::landing::SourceCatalog;

use super::{file, folder, land_with};

#[tokio::test]
async fn a_mapping_of_the_users_own() {
    let temp = folder();
    let mapping = "-- source: acme\n-- title: Acme Cloud\n-- provider: Acme\n-- detect: Cost, Day, Org\n-- timestamps: day/month/year\n-- inclusive ends: charge_period_end\n-- numbers: Cost, Qty\n-- conserved: billed_cost = Cost\n--\nselect \"Cost\" as billed_cost, product(number(\"Cost\"), number('1.10')) as effective_cost, \"Org\" as billing_account_id, 'EUR' as billing_currency,\n'Usage' as charge_category, \"Day\" as charge_period_start, \"Day\" as charge_period_end, ratio(number(\"Cost\"), number(\"Qty\")) as contracted_unit_price from source where \"Org\" <> 'skip'\n";
    std::fs::create_dir_all(temp.path().join("sources")).expect("folder");
    std::fs::write(temp.path().join("sources/acme.sql"), mapping).expect("mapping");
    let sources = SourceCatalog::with_folder(&temp.path().join("sources")).expect("sources");
    let path = file(
        &temp,
        "u.csv",
        b"Org,Day,Cost,Qty\na,2/9/2023,0.10,3\nskip,2/9/2023,5,1\na,31/12/2023,0.20,0\na,2/9/2023,1e19,1e-18\n",
    );
    let landed = land_with(&path, &sources, None).await.expect("lands");
    assert_eq!(landed.source, "acme");
    assert_eq!(landed.source_rows(), [1, 3]);
    // 2 September 2023: 1693612800; the period is the calendar month: 1693526400 .. 1696118400.
    assert_eq!(landed.instant("charge_period_start", 0), 1_693_612_800_000_000);
    assert_eq!(landed.instant("billing_period_start", 0), 1_693_526_400_000_000);
    assert_eq!(landed.instant("billing_period_end", 0), 1_696_118_400_000_000);
    assert_eq!(landed.money("effective_cost", 0).as_deref(), Some("0.11"));
    assert_eq!(landed.money("contracted_unit_price", 0).as_deref(), Some("0.033333333333333333"));
    assert_eq!(landed.money("contracted_unit_price", 1), None);
    // 1e19 ÷ 1e-18 has 38 digits before the point: that row alone fails.
    assert_eq!((landed.rejected.len(), landed.rejected[0].source_row), (1, 4));
    let taken = SourceCatalog::built_in().and_then(|mut s| s.add("mine.sql", &mapping.replace("acme", "focus_1_0")));
    assert!(taken.expect_err("taken").to_string().contains("already is a source focus_1_0"));
}

#[tokio::test]
async fn queries_that_a_mapping_may_not_be_are_refused() {
    let temp = folder();
    let path = file(&temp, "u.csv", b"a,b\n1,2\n");
    for (query, says) in [
        ("select sum(number(\"a\")) as billed_cost from source", "may select, filter"),
        ("select s.\"a\" as billed_cost from source s join source t on s.\"a\" = t.\"b\"", "may select, filter"),
        ("select \"a\" as bill from source", "no column of usage"),
        ("select 1 as source_row from source", "no column of usage"),
        ("select cast(\"a\" as double) as billed_cost from source", "is a float"),
        ("selec", "source mine"),
    ] {
        let mut sources = SourceCatalog::built_in().expect("built in");
        sources.add("mine.sql", &format!("-- source: mine\n-- detect: a, b\n--\n{query}\n")).expect("directives");
        let error =
            land_with(&path, &sources, None).await.err().unwrap_or_else(|| panic!("{query} landed")).to_string();
        assert!(error.contains(says), "{query}: {error}");
    }
}

/// The example of the README that declares this source.
fn example(name: &str) -> String {
    let readme = include_str!("../../sql/landing/README.md");
    let first = format!("    -- source: {name}");
    readme
        .lines()
        .skip_while(|line| *line != first)
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line)))
        .collect()
}

#[tokio::test]
async fn the_json_example_of_the_readme_lands() {
    let mut sources = super::built_in();
    sources.add("builds.sql", &example("hosted_builds")).expect("directives");
    let temp = folder();
    let lines = concat!(
        r#"{"account": {"id": "acme", "currency": "USD"}, "day": "2026-05-02", "project": "web", "tags": {"team": "core"}, "region": "eu", "#,
        r#""items": [{"sku": "minutes", "qty": 120, "amount": 0.960}, {"sku": "storage", "qty": 3.5, "amount": "0.07"}]}"#,
        "\n",
        r#"{"account": {"id": "acme", "currency": "USD"}, "day": "2026-05-03", "project": "api", "items": []}"#,
        "\n"
    );
    let landed = land_with(&file(&temp, "builds.ndjson", lines.as_bytes()), &sources, None).await.expect("lands");
    assert_eq!((landed.source.as_str(), landed.raw.rows, landed.usage.num_rows()), ("hosted_builds", 2, 2));
    // 0.96 + 0.07; a line without items makes no row and costs nothing.
    assert_eq!(landed.sum("billed_cost").0, "1.03");
    assert_eq!(super::plain(landed.raw.provider_cost.to_i128().expect("small")), "1.03");
    assert_eq!(landed.source_rows(), [1, 1]);
    assert_eq!(landed.text("sku_id", 1), Some("storage"));
    assert_eq!(landed.money("pricing_quantity", 1).as_deref(), Some("3.5"));
    assert_eq!(landed.text("tags", 1), Some(r#"{"team":"core"}"#));
    assert_eq!(landed.text("x_columns", 1), Some(r#"{"x_region":"eu"}"#));
    // 2 May 2026 until the 3rd: 1777680000 .. 1777766400.
    assert_eq!(landed.instant("charge_period_start", 0), 1_777_680_000_000_000);
    assert_eq!(landed.instant("charge_period_end", 0), 1_777_766_400_000_000);
}

#[tokio::test]
async fn the_example_of_the_readme_lands() {
    let mut sources = super::built_in();
    sources.add("acme.sql", &example("acme_cloud")).expect("directives");
    let temp = folder();
    let path = file(&temp, "u.csv", b"Org,Day,Cost,Qty,Note\na,2/9/2023,0.10,4,x\n");
    let landed = land_with(&path, &sources, None).await.expect("lands");
    assert_eq!(landed.source, "acme_cloud");
    assert_eq!(landed.money("contracted_unit_price", 0).as_deref(), Some("0.025"));
    assert_eq!(landed.text("x_columns", 0), Some(r#"{"x_note":"x"}"#));
}
