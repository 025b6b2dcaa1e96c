//! Sources that Ratehouse does not know: one SQL file in the warehouse's `sources/` directory makes their files priced like any.

use ratehouse::warehouse::Landed;

use crate::fixture::{Fixture, rows};

/// A private cloud's chargeback report: a line has what cores and what memory cost, and becomes a row of usage for each.
const PRIVATE_CLOUD: &str = r#"-- source: vdc_chargeback
-- title: Chargeback of the private cloud
-- provider: Private cloud
-- detect: Org VDC, VM, CPU Charge, RAM Charge
-- timestamps: day/month/year
-- numbers: CPU GHz Hours, RAM GB Hours
-- conserved: billed_cost = CPU Charge + RAM Charge
--
-- Grain: two rows for each machine and month.

select
    'dc-1' as billing_account_id, 'USD' as billing_currency, 'Usage' as charge_category, "Org VDC" as sub_account_id,
    "From" as charge_period_start, "To" as charge_period_end, 'Compute' as service_category, 'Cores' as service_name,
    "VM" as resource_id, number("CPU GHz Hours") as pricing_quantity, 'GHz Hours' as pricing_unit,
    number("CPU Charge") as billed_cost, number("CPU Charge") as effective_cost, tag_object('"owner": "' || "Owner" || '"') as tags
from source
union all
select
    'dc-1' as billing_account_id, 'USD' as billing_currency, 'Usage' as charge_category, "Org VDC" as sub_account_id,
    "From" as charge_period_start, "To" as charge_period_end, 'Compute' as service_category, 'Memory' as service_name,
    "VM" as resource_id, number("RAM GB Hours") as pricing_quantity, 'GB Hours' as pricing_unit,
    number("RAM Charge") as billed_cost, number("RAM Charge") as effective_cost, tag_object('"owner": "' || "Owner" || '"') as tags
from source
"#;

/// A SaaS that writes JSON lines.
const SAAS: &str = r#"-- source: tickets
-- title: Tickets by workspace
-- provider: Example Desk
-- detect: workspace.id, month, plan.name, total
-- conserved: billed_cost = total
--
-- Grain: one row for each workspace and month.

select
    "workspace.id" as billing_account_id, "currency" as billing_currency, 'Purchase' as charge_category,
    "month" || '-01' as charge_period_start, "next_month" || '-01' as charge_period_end, 'Business Applications' as service_category,
    "plan.name" as service_name, number("seats") as pricing_quantity, 'Seats' as pricing_unit,
    number("total") as billed_cost, number("total") as effective_cost, tag_object("labels") as tags
from source
"#;

async fn land(fixture: &Fixture, name: &str, content: &str) -> Landed {
    let path = fixture.file(name, content);
    fixture.land_path(&path).await.expect("it lands").remove(0)
}

#[tokio::test]
async fn a_private_cloud_and_a_saas_are_one_sql_file_each() {
    let fixture = Fixture::chain().await;
    std::fs::create_dir_all(fixture.path().join("sources")).expect("a folder");
    for (name, mapping) in [("vdc.sql", PRIVATE_CLOUD), ("tickets.sql", SAAS)] {
        std::fs::write(fixture.path().join("sources").join(name), mapping).expect("a mapping");
    }
    let accounts = "provider_name,billing_account_id,sub_account_id,node_id\n\
                    Private cloud,dc-1,vdc-acme,acme\nPrivate cloud,dc-1,vdc-bolt,bolt\nExample Desk,ws-7,,acme\n";
    fixture.copy("accounts", accounts).await;
    let report = "Org VDC,VM,From,To,CPU GHz Hours,CPU Charge,RAM GB Hours,RAM Charge,Owner\n\
                  vdc-acme,db-1,01/10/2025,01/11/2025,720,36.00,1440,14.40,ada\n\
                  vdc-bolt,web-1,01/10/2025,01/11/2025,360,18,720,7.205,bob\n\
                  vdc-bolt,web-2,01/10/2025,01/11/2025,360,18,720,much,bob\n";
    let landed = land(&fixture, "report.csv", report).await;
    let Landed::Landed { source, rows: 4, rejected_rows: 1, .. } = landed else { panic!("{landed:?}") };
    assert_eq!(source, "vdc_chargeback");
    let line = r#"{"workspace": {"id": "ws-7", "region": "eu"}, "month": "2025-10", "next_month": "2025-11", "plan": {"name": "Desk Pro"}, "seats": 3, "total": 57.30, "currency": "USD", "labels": {"team": "care"}}"#;
    let landed = land(&fixture, "tickets.jsonl", &format!("{line}\n")).await;
    let Landed::Landed { source, rows: 1, rejected_rows: 0, .. } = landed else { panic!("{landed:?}") };
    assert_eq!(source, "tickets");
    // Each with 10 % for north and 50 % for its customers: 36, 14.40 and 57.30 times 1.65.
    let charges = "select service_name, resource_id, quantity, unit, cost, tags from charges order by 1";
    assert_eq!(
        rows(&fixture.session("portal@acme"), charges).await,
        [
            r#"Cores|db-1|720|GHz Hours|59.4|{"owner":"ada"}"#,
            r#"Desk Pro|null|3|Seats|94.545|{"team":"care"}"#,
            r#"Memory|db-1|1440|GB Hours|23.76|{"owner":"ada"}"#
        ]
    );
    // 18 + 7.205, and nothing of the line that cannot be read.
    assert_eq!(rows(&fixture.admin(), "select sum(cost) from charges where node_id = 'bolt'").await, ["25.205"]);
    let rejected = "select column_name, reason from ops.rejected_rows";
    assert_eq!(rows(&fixture.admin(), rejected).await, ["RAM Charge|is not a decimal number (line 4)"]);
}
