//! Pairs of warehouses that differ only in what an observer may not see.

use crate::fixture::{Fixture, Line, run};

/// A word that only hidden rows hold.
pub(super) const CANARY: &str = "SECRET";

/// Who looks, and at which pair of worlds.
pub(super) struct Pair {
    pub(super) name: &'static str,
    pub(super) logins: &'static [&'static str],
    pub(super) one: Fixture,
    pub(super) other: Fixture,
}

/// A card for everything of an edge.
struct Terms(&'static str, &'static str, &'static str);

const ABOVE: Terms = Terms("wholesale-north", "dist", "north");
const BESIDE: [Terms; 2] = [Terms("wholesale-south", "dist", "south"), Terms("retail-south", "south", "core")];

/// A version (`number,from`) of a card that is not in force, with rules (`version,rule` and what the header says).
async fn draft(fixture: &Fixture, card: &str, version: &str, header: &str, rules: &str) {
    fixture.copy("rate_card_versions", &format!("card_id,version,valid_from\n{card},{version}\n")).await;
    let rules: String = rules.lines().map(|rule| format!("{card},{rule}\n")).collect();
    fixture.copy("rate_rules", &format!("card_id,version,rule_id,{header}\n{rules}")).await;
}

/// A draft of the reseller's that looks at what none of its cards looked at when the month was rated.
async fn late_draft(fixture: &Fixture) {
    let rules = "3,all,,margin_pct,70,cost\n3,eu,eu,margin_pct,30,cost\n";
    draft(fixture, "list-acme", "3,2031-01-01", "region_id,method,value,base", rules).await;
}

async fn price(fixture: &Fixture, Terms(card, seller, buyer): &Terms, percent: &str) {
    fixture.card(card, seller, buyer, "markup_pct", percent).await;
}

/// The tree of [`Fixture::chain`] with logins of every role at a reseller and at a customer, and the cards of that
/// reseller. The customer pays by list cost, so that what its reseller pays is not in any of its prices.
/// `own` begins the names of what the reseller shares out.
async fn base(own: &str) -> Fixture {
    let fixture = Fixture::with_nodes(
        "north,dist,reseller\nsouth,dist,reseller\nacme,north,customer\nbolt,north,customer\ncore,south,customer",
    )
    .await;
    fixture.accounts(&format!("a-bolt,bolt\na-core,core\na-north,north\nSECRET-dist,dist\n{own}-north,north")).await;
    // Acme's since October; whose it was before is hidden.
    let row = "provider_name,billing_account_id,sub_account_id,node_id,valid_from\nGlobex,B1,a-acme,acme,2025-10-01\n";
    fixture.copy("accounts", row).await;
    let rates = "fx_rate_id,source,base_currency,quote_currency,valid_from,rate\n\
                 r1,market,USD,EUR,2025-09-01,0.9\nr2,market,USD,EUR,2025-10-03,0.8\n\
                 r3,market,EUR,USD,2025-09-01,1.1\nr4,market,EUR,USD,2025-10-08,1.25\n";
    fixture.copy("fx_rates", rates).await;
    fixture.card("retail-bolt", "north", "bolt", "markup_pct", "50").await;
    fixture
        .copy("rate_cards", "card_id,seller_node_id,buyer_node_id,currency,name\nlist-acme,north,acme,USD,x\n")
        .await;
    fixture.copy("rate_card_versions", "card_id,version\nlist-acme,1\n").await;
    fixture
        .copy("rate_rules", "card_id,version,rule_id,method,value,base\nlist-acme,1,all,discount_pct,5,list\n")
        .await;
    fixture.activate("list-acme", "1").await;
    let rules = "2,all,,discount_pct,7,list\n2,m2,M2,margin_pct,30,cost\n";
    draft(&fixture, "list-acme", "2,2030-01-01", "sku_id,method,value,base", rules).await;
    // Shared cost of the root and of the reseller; who else has a share is hidden from each that has one.
    let pools = "dist,SECRET-backbone,percentage\nnorth,network,percentage\n";
    fixture.copy("pools", &format!("owner_node_id,pool_id,method\n{pools}")).await;
    let rules = format!("SECRET-d,dist,SECRET-dist,pool,SECRET-backbone\nn,north,{own}-north,pool,network\n");
    fixture.copy("attribution_rules", &format!("rule_id,owner_node_id,sub_account_id,method,pool_id\n{rules}")).await;
    // What the reseller bills by itself, and a minimum that its customer does not reach.
    bill_own(
        &fixture,
        "north,office,acme,Office,3,7.77,USD,2025-10-09\n",
        "north,e1,acme,Move,ada,2025-10-02,1.5,99.9,USD\n",
    )
    .await;
    fixture.copy("contracts", &format!("{CONTRACTS}north,c1,acme,USD,2000,2025-10-01\n")).await;
    // Tags that the reseller makes and tells its customers of.
    make_tags(&fixture, "north,told,stage,live,team,true\nnorth,all,cost_center,CC-1,,true\n").await;
    announce(&fixture, "north,told,acme,percent,20,2025-10-20\nacme,own,,amount,1,2025-11-02\n").await;
    limit(&fixture, "dist,all,,100\nnorth,acme,acme,50\nacme,own,,70\n").await;
    watch(&fixture, "acme", 1).await;
    count(&fixture, "acme,orders,acme,,7,2025-10-01,2025-10-02\n").await;
    for role in ["admin", "finance"] {
        fixture.user(&format!("{role}@north"), "north", role).await;
    }
    fixture.user("portal@acme", "acme", "portal").await;
    for role in ["engineering", "executive", "sales_ops", "accounting", "auditor", "portal"] {
        fixture.user(&format!("{role}@north"), "north", role).await;
    }
    for role in ["admin", "finance", "engineering", "executive", "accounting"] {
        fixture.user(&format!("{role}@acme"), "acme", role).await;
    }
    fixture
}

/// What the provider billed for what acme consumed. A keyed hash of the whole line identifies a charge, so these are the
/// same in every world: what the key hides is not for bytes to compare.
const COSTS: [&str; 3] = ["100", "70", "6"];

/// What acme consumed.
fn acme<'a>(cost: [&'a str; 3]) -> Vec<Line<'a>> {
    let line = |resource, sku, list, cost, tags| Line {
        resource,
        sku,
        list,
        tags,
        billed: cost,
        effective: cost,
        ..Line::usage("a-acme", cost)
    };
    vec![
        line("vm-1", "M1", "120", cost[0], r#"{"team": "red"}"#),
        line("vm-2", "M2", "80.5", cost[1], r#"{"team": "blue", "n": "1"}"#),
        Line { service: "Storage", service_category: "Storage", unit: "GB", ..line("disk", "S1", "7.25", cost[2], "") },
        // A month, cut wherever terms change above; a day of it does not come out even at 18 digits.
        Line { list: "62", resource: "plan", sku: "M2", ..Line::october("a-acme", "31") },
        Line { list: "100.000000000000000007", resource: "plan", sku: "M3", ..Line::october("a-acme", "33.33") },
        // Covered by a commitment of the root's.
        Line { commitment: "sp-1", status: "Used", ..line("vm-3", "M1", "9", "0", "") },
    ]
}

/// What is shared, of the root and of the reseller. The lines are the same in all worlds; what they say of the resource is nobody's
/// below the pool's owner.
fn shared(own: [&'static str; 2]) -> Vec<Line<'static>> {
    let line = |account, text, cost| Line {
        resource: text,
        description: text,
        tags: if text == CANARY { r#"{"SECRET": "1"}"# } else { "" },
        list: cost,
        ..Line::usage(account, cost)
    };
    // A percent of each line does not come out even at 18 digits.
    let [account, text] = own;
    let month = Line { account, resource: text, ..Line::october(account, "93") };
    vec![
        line("SECRET-dist", CANARY, "0.000000000000000777"),
        line("SECRET-dist", CANARY, "1234.567891234567891"),
        line(account, text, "76.543210987654321"),
        month,
    ]
}

const CONTRACTS: &str = "seller_node_id,contract_id,buyer_node_id,currency,commit_amount,valid_from\n";

/// What a savings plan cost, and what of it was not used.
fn plan<'a>(account: &'a str, [cost, unused]: [&'a str; 2]) -> Vec<Line<'a>> {
    let of_plan = Line { commitment: "sp-1", effective: "0", list: "0", ..hidden(account, "0", CANARY) };
    vec![
        Line { category: "Purchase", billed: cost, ..of_plan },
        Line { status: "Unused", effective: unused, list: unused, ..of_plan },
    ]
}

/// Who owns the plan and bears what is unused.
async fn plan_policy(fixture: &Fixture, terms: &str) {
    fixture
        .copy(
            "commitment_policies",
            &format!("policy_id,commitment_id,benefit,purchase,unused,valid_from\nSECRET,{terms}\n"),
        )
        .await;
}

/// Licences and hours worked.
async fn bill_own(fixture: &Fixture, licences: &str, hours: &str) {
    let header = "seller_node_id,licence_id,node_id,product,seats,unit_price,currency,valid_from\n";
    fixture.copy("licences", &format!("{header}{licences}")).await;
    let header = "seller_node_id,entry_id,node_id,project,engineer,worked_at,hours,rate,currency\n";
    fixture.copy("time_entries", &format!("{header}{hours}")).await;
}

/// Credits with the policies of those on their way, given at once.
async fn grant(fixture: &Fixture, policies: &str, credits: &str) {
    fixture.copy("credit_policies", &format!("node_id,policy,keep_share,pass_share\n{policies}")).await;
    let header = "credit_id,seller_node_id,node_id,kind,source,amount,currency,valid_from,expires_at\n";
    fixture.copy("credits", &format!("{header}{credits}")).await;
    for credit in credits.lines().filter_map(|line| line.split(',').next()) {
        run(&fixture.admin(), &format!("call submit('credit', '{credit}', 'agreed')")).await;
    }
}

/// Changes that are planned.
async fn announce(fixture: &Fixture, rows: &str) {
    let header = "owner_node_id,plan_id,node_id,change_type,value,valid_from\n";
    fixture.copy("planned_changes", &format!("{header}{rows}")).await;
}

/// Budgets, submitted, and thresholds of the same names and nodes.
async fn limit(fixture: &Fixture, rows: &str) {
    let (mut budgets, mut thresholds) = (String::new(), String::new());
    for row in rows.lines() {
        budgets.push_str(&format!("{row},USD\n"));
        let [owner, name, node, amount] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
        thresholds.push_str(&format!("{owner},{name},anomalies,{node},,,{amount}\n"));
        thresholds.push_str(&format!("{owner},{name}-spend,spend_over_forecast,{node},1{amount}0,1{amount}1,\n"));
    }
    fixture.copy("budgets", &format!("owner_node_id,budget_id,node_id,amount,currency\n{budgets}")).await;
    let header = "owner_node_id,threshold_id,rule,node_id,warning_pct,critical_pct,min_impact\n";
    fixture.copy("thresholds", &format!("{header}{thresholds}")).await;
    for row in rows.lines() {
        let [owner, name, ..] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
        run(&fixture.admin(), &format!("call submit('budget', '{owner}/{name}', 'agreed')")).await;
    }
}

/// Virtual tags, of lines with a tag or of all.
async fn make_tags(fixture: &Fixture, rows: &str) {
    let header = "owner_node_id,rule_id,virtual_key,virtual_value,tag_key,disclose\n";
    fixture.copy("virtual_tags", &format!("{header}{rows}")).await;
}

/// What was measured of a cluster, and whose it is.
async fn measure(fixture: &Fixture, rule: &str) {
    fixture.copy("driver_rules", &format!("owner_node_id,rule_id,namespace,node_id\n{rule}\n")).await;
    let (owner, _) = rule.split_once(',').expect("an owner");
    watch(fixture, owner, 99).await;
    let allocation = "name,window.start,window.end,cpuCoreHours,ramByteHours,properties.cluster,properties.providerID,properties.namespace\n\
                      SECRET,2025-10-01,2025-10-31,1,1,SECRET,SECRET,SECRET\n";
    let path = fixture.file("allocation.csv", allocation);
    fixture.land_path(&path).await.expect("it lands");
    count(fixture, &format!("{owner},SECRET,acme,SECRET,99,2025-10-01,2025-10-02\n")).await;
}

/// Metrics that land.
async fn count(fixture: &Fixture, metrics: &str) {
    let header = "owner_node_id,driver,node_id,resource_id,quantity,valid_from,valid_to\n";
    let path = fixture.file("metrics.csv", &format!("{header}{metrics}"));
    fixture.land_path(&path).await.expect("it lands");
}

/// How much of a machine and of some seats of acme was used, as one of those above it or acme itself says.
async fn watch(fixture: &Fixture, owner: &str, used: u32) {
    let days = (1..=7).map(|day| format!("{owner},cpu_pct,acme,plan,{used},2025-10-{day:02},2025-10-{:02}\n", day + 1));
    let drivers = format!("{}{owner},seats_in_use,acme,M2,{used},2025-10-01,2025-11-01\n", days.collect::<String>());
    let header = "owner_node_id,driver,node_id,resource_id,quantity,valid_from,valid_to\n";
    fixture.copy("drivers", &format!("{header}{drivers}")).await;
}

async fn shares(fixture: &Fixture, rows: &str) {
    fixture.copy("pool_shares", &format!("owner_node_id,pool_id,node_id,share\n{rows}")).await;
}

/// Lines of others. They have descriptions, which none that is seen has: an identity must not depend on that.
fn hidden<'a>(account: &'a str, cost: &'a str, text: &'a str) -> Line<'a> {
    Line { resource: text, description: text, service: text, sku: text, tags: "not json", ..Line::usage(account, cost) }
}

/// Ends the rows of a reference table on a day.
async fn end(fixture: &Fixture, table: &str, rows: &str, day: &str) {
    run(&fixture.admin(), &format!("update ref.{table} set valid_to = '{day}' where {rows}")).await;
}

async fn land(fixture: &Fixture, name: &str, lines: &[Line<'_>]) {
    fixture.land(name, lines).await;
}

/// Below `north` nothing differs; beside and above it everything does.
pub(super) async fn beside_a_reseller() -> Pair {
    let base = base("plain").await;
    price(&base, &ABOVE, "10").await;
    let (one, other) = (base.copy_of(), base.copy_of());
    let north =
        [acme(COSTS), shared(["plain-north", "nat"]), vec![Line::usage("a-bolt", "200"), Line::usage("a-north", "10")]]
            .concat();
    // What siblings have of the root's pool differs, and one is added.
    let own = "north,network,acme,33.3\nnorth,network,bolt,66.7\n";
    shares(&one, &format!("{own}dist,SECRET-backbone,north,40\ndist,SECRET-backbone,south,60\n")).await;

    for terms in &BESIDE {
        price(&one, terms, "20").await;
    }
    // Of each credit the same arrives at north, whatever it was above.
    let lasting = ",USD,2025-10-01,2031-01-01\n";
    let credits = format!("map,dist,acme,promotional,MAP,30{lasting}sla,dist,north,service_level,SLA,9{lasting}");
    grant(&one, "dist,split,1,2\nnorth,split,1,3\n", &credits).await;
    land(&one, "october.csv", &[north.clone(), vec![Line::usage("a-core", "400")]].concat()).await;
    run(&one.admin(), "call close_period('2025-10')").await;
    late_draft(&one).await;

    // Other prices, other logins and nodes, more commits, more rows with values that break expressions.
    let admin = other.admin();
    for terms in &BESIDE {
        price(&other, terms, "77").await;
    }
    // 30 x 2/3 is 20, and so is 80 x 1/4; 9 x 2/3 and 24 x 1/4 are 6.
    let siblings =
        format!("SECRET-5,dist,core,incentive,SECRET,77{lasting}SECRET-6,south,core,incentive,SECRET,5{lasting}");
    let credits = credits.replace(",MAP,30,", ",MAP,80,").replace(",SLA,9,", ",SLA,24,");
    grant(&other, "dist,split,3,1\nnorth,split,1,3\nsouth,retain,,\n", &format!("{credits}{siblings}")).await;
    other.nodes("secret-east,dist,reseller\nsecret-core2,south,customer\nsecret-e1,secret-east,customer").await;
    other.accounts("a-secret,secret-e1\na-secret2,secret-core2").await;
    // They own the plan that covers some of north's usage, and pay for it.
    plan_policy(&other, "sp-1,user,pass,purchaser,2000-01-01").await;
    let siblings =
        "dist,SECRET-backbone,north,40\ndist,SECRET-backbone,south,7\ndist,SECRET-backbone,secret-core2,53\n";
    shares(&other, &format!("{own}{siblings}")).await;
    other.card("secret-card", "dist", "secret-east", "markup_pct", "3").await;
    other.card("secret-retail", "secret-east", "secret-e1", "markup_pct", "4").await;
    other.card("secret-core", "south", "secret-core2", "markup_pct", "5").await;
    other.user("secret", "secret-east", "finance").await;
    // A sibling's draft looks at everything: the roll-up that simulations read keeps it for all.
    let header = "region_id,service_name,tag_key,unit,method,value,bands,scope";
    let bands = r#""[{""up_to"": null, ""price"": ""1""}]""#;
    let rules = format!(
        "2,a,eu,,,,markup_pct,1,,node\n2,b,,Machines,,,markup_pct,1,,node\n2,c,,,team,Hours,markup_pct,1,,node\n2,d,,,,,graduated,,{bands},account\n"
    );
    draft(&other, "secret-core", "2,2030-01-01", header, &rules).await;
    // The siblings' own terms, and those between them and the root.
    let licences = "south,SECRET-1,core,SECRET,9,9,USD,2025-10-01\ndist,SECRET-2,secret-e1,SECRET,4,4,USD,2025-10-02\n";
    bill_own(&other, licences, "dist,SECRET-3,core,SECRET,SECRET,2025-10-03,7,7,USD\n").await;
    other.copy("contracts", &format!("{CONTRACTS}dist,SECRET-4,south,USD,99999,2025-10-01\n")).await;
    make_tags(
        &other,
        "dist,SECRET,SECRET,SECRET,team,false\ndist,SECRET-2,cost_center,SECRET,n,false\nsouth,SECRET,n,SECRET,,true\n",
    )
    .await;
    announce(&other, "dist,SECRET,north,percent,50,2025-10-05\nsouth,SECRET,core,set,9,2025-10-05\n").await;
    limit(&other, "dist,SECRET,north,9\nsouth,SECRET,core,3\n").await;
    measure(&other, "dist,SECRET,SECRET,south").await;
    let names: Vec<String> = (0..40).map(|number| format!("{CANARY}-{number}")).collect();
    let mut rows = north;
    rows.extend(names.iter().map(|name| hidden("a-core", "-0.000000000000000001", name)));
    rows.extend(names.iter().map(|name| hidden("a-secret", "99999999999999", name)));
    rows.push(hidden("a-secret2", "0", "0"));
    rows.extend(plan("a-secret", ["77", "7"]));
    // The sibling moves to another depth within the month, an account of its customer to a stranger.
    end(&other, "nodes", "node_id = 'south'", "2025-10-12").await;
    let row = "node_id,parent_id,kind,name,currency,valid_from\nsouth,secret-east,reseller,South,USD,2025-10-12\n";
    other.copy("nodes", row).await;
    other.card("secret-south", "secret-east", "south", "markup_pct", "6").await;
    end(&other, "accounts", "sub_account_id = 'a-core'", "2025-10-10").await;
    let row =
        "provider_name,billing_account_id,sub_account_id,node_id,valid_from\nGlobex,B1,a-core,secret-e1,2025-10-10\n";
    other.copy("accounts", row).await;
    rows.push(Line { resource: "SECRET", ..Line::october("a-core", "620") });
    land(&other, "october.csv", &rows).await;
    let september = Line {
        period: "2025-09",
        from: "2025-09-05T00:00:00Z",
        to: "2025-09-05T01:00:00Z",
        ..hidden("a-core", "5", CANARY)
    };
    land(&other, "september.csv", &[september]).await;
    run(&admin, "call close_period('2025-09')").await;
    run(&admin, "call close_period('2025-10')").await;
    run(&admin, "call issue_invoices('2025-09')").await;
    late_draft(&other).await;
    Pair {
        name: "beside and above a reseller",
        logins: &[
            "admin@north",
            "finance@north",
            "engineering@north",
            "executive@north",
            "sales_ops@north",
            "accounting@north",
            "auditor@north",
            "portal@north",
        ],
        one,
        other,
    }
}

/// What acme sees is the same; its reseller's purchase prices and its siblings are not.
pub(super) async fn above_a_customer() -> Pair {
    let base = base(CANARY).await;
    let (one, other) = (base.copy_of(), base.copy_of());
    price(&one, &ABOVE, "10").await;
    // Of each credit the same arrives at acme, whoever gave it.
    let lasting = ",USD,2025-10-01,2031-01-01\n";
    let credits = format!("map,dist,acme,promotional,MAP,30{lasting}sla,north,acme,service_level,SLA,7{lasting}");
    grant(&one, "dist,split,1,2\nnorth,split,1,3\n", &credits).await;
    shares(&one, "dist,SECRET-backbone,north,100\nnorth,network,acme,33.3\nnorth,network,bolt,66.7\n").await;
    land(
        &one,
        "october.csv",
        &[acme(COSTS), shared(["SECRET-north", CANARY]), vec![Line::usage("a-bolt", "200")]].concat(),
    )
    .await;
    run(&one.admin(), "call close_period('2025-10')").await;

    let admin = other.admin();
    other
        .copy("rate_cards", "card_id,seller_node_id,buyer_node_id,currency,name\nwholesale-north,dist,north,USD,x\n")
        .await;
    // The terms above change within the month, for one SKU in another way than for others.
    other.version("wholesale-north", "1,2000-01-01,2025-10-04", "all,markup_pct,55\n").await;
    other.copy("rate_card_versions", "card_id,version,valid_from\nwholesale-north,2,2025-10-04\n").await;
    let rules = "wholesale-north,2,all,,,markup_pct,7\nwholesale-north,2,m2,M2,,markup_pct,8\n\
                 wholesale-north,2,team,,team,markup_pct,9\n";
    other.copy("rate_rules", &format!("card_id,version,rule_id,sku_id,tag_key,method,value\n{rules}")).await;
    other.activate("wholesale-north", "2").await;
    run(&admin, "insert into ref.charge_policies (node_id, buyer_node_id, charge_category, policy) values ('dist', 'north', 'Tax', 'pass')").await;
    other.user("secret@north", "north", "finance").await;
    // 30 x 2/3 x 3/4 is 15, and so is 45 x 1/3; 7 x 3/4 is 5.25, and so is 15.75 x 1/3.
    let siblings =
        format!("SECRET-7,north,bolt,incentive,SECRET,55{lasting}SECRET-8,dist,north,incentive,SECRET,66{lasting}");
    let credits = credits
        .replace(",MAP,30,", ",MAP,45,")
        .replace("sla,north,acme,service_level,SLA,7,", "sla,dist,acme,service_level,SLA,15.75,");
    grant(&other, "dist,pass,,\nnorth,split,2,1\n", &format!("{credits}{siblings}")).await;
    // What its reseller is billed beside usage, and what the reseller bills others.
    let licences = "dist,SECRET-1,north,SECRET,9,9,USD,2025-10-01\nnorth,SECRET-2,bolt,SECRET,4,4,USD,2025-10-02\n";
    bill_own(&other, licences, "dist,SECRET-3,north,SECRET,SECRET,2025-10-03,7,7,USD\n").await;
    other.copy("contracts", &format!("{CONTRACTS}dist,SECRET-4,north,USD,99999,2025-10-01\n")).await;
    announce(&other, "dist,SECRET,north,percent,50,2025-10-05\nnorth,SECRET,acme,set,9,2025-10-05\n").await;
    limit(&other, "dist,SECRET,north,9\nnorth,SECRET,,3\n").await;
    make_tags(&other, "dist,SECRET,SECRET,SECRET,team,false\nnorth,SECRET,n,SECRET,,false\nnorth,SECRET-2,cost_center,SECRET,n,false\n").await;
    measure(&other, "north,SECRET,SECRET,bolt").await;
    other.nodes("secret-acme,north,customer").await;
    other.card("secret-card", "north", "secret-acme", "markup_pct", "4").await;
    other.accounts("a-secret,secret-acme").await;
    // Its account was another's before; its reseller moves below a stranger that pays in another currency.
    let row = "provider_name,billing_account_id,sub_account_id,node_id,valid_from,valid_to\n\
               Globex,B1,a-acme,bolt,2000-01-01,2025-10-01\n";
    other.copy("accounts", row).await;
    end(&other, "nodes", "node_id = 'north'", "2025-10-12").await;
    let rows = "node_id,parent_id,kind,name,currency,valid_from,fx_policy\n\
                secret-mid,dist,reseller,Mid,EUR,2000-01-01,market\nnorth,secret-mid,reseller,north,USD,2025-10-12,market\n";
    other.copy("nodes", rows).await;
    let card = "card_id,seller_node_id,buyer_node_id,currency,name\nsecret-mid,dist,secret-mid,EUR,x\n";
    other.copy("rate_cards", card).await;
    other.version("secret-mid", "1,2000-01-01,", "all,markup_pct,1\n").await;
    other.card("secret-north", "secret-mid", "north", "markup_pct", "2").await;
    // A sibling is added to the pool, and the reseller's pool comes to have another owner's share above it.
    let siblings = "north,network,bolt,10\nnorth,network,secret-acme,56.7\n";
    shares(&other, &format!("dist,SECRET-backbone,dist,100\nnorth,network,acme,33.3\n{siblings}")).await;
    // Its reseller owns the plan that covers some of its usage, and pays for it.
    plan_policy(&other, "sp-1,user,pass,purchaser,2025-10-04").await;
    let mut rows = [acme(COSTS), shared(["SECRET-north", CANARY]), plan("a-north", ["77", "7"])].concat();
    let names: Vec<String> = (0..30).map(|number| format!("{CANARY}-{number}")).collect();
    rows.extend(names.iter().map(|name| hidden("a-bolt", "12345678901234", name)));
    rows.push(hidden("a-secret", "1", "9999-99-99"));
    land(&other, "october.csv", &rows).await;
    run(&admin, "call close_period('2025-10')").await;
    Pair {
        name: "beside and above a customer",
        logins: &["portal@acme", "admin@acme", "finance@acme", "engineering@acme", "executive@acme", "accounting@acme"],
        one,
        other,
    }
}

/// October was issued and restated: below `north` in the same way, beside it in others, of which some are submitted and settled.
pub(super) async fn restated() -> Pair {
    let base = base("plain").await;
    price(&base, &ABOVE, "10").await;
    for terms in &BESIDE {
        price(&base, terms, "20").await;
    }
    shares(&base, "north,network,acme,33.3\nnorth,network,bolt,66.7\ndist,SECRET-backbone,north,40\ndist,SECRET-backbone,south,60\n")
        .await;
    base.user("checker", "dist", "finance").await;
    let of_north = |cost, list| {
        let mut lines = [acme(COSTS), shared(["plain-north", "nat"])].concat();
        lines.push(Line { list, resource: "vm-1", ..Line::usage("a-acme", cost) });
        lines.push(Line::usage("a-bolt", "200"));
        lines
    };
    let before = of_north("12", "15");
    land(&base, "october.csv", &[before, vec![Line::usage("a-core", "400")]].concat()).await;
    run(&base.admin(), "call close_period('2025-10')").await;
    run(&base.admin(), "call issue_invoices('2025-10')").await;
    let (one, other) = (base.copy_of(), base.copy_of());
    // What acme has of vm-1 comes to more, and the reseller's own hours are others.
    let now = of_north("13.5", "17.25");
    land(&one, "october-2.csv", &[now.clone(), vec![Line::usage("a-core", "400")]].concat()).await;
    run(&one.admin(), "call refresh()").await;

    let names: Vec<String> = (0..20).map(|number| format!("{CANARY}-{number}")).collect();
    let mut rows = now;
    rows.extend(names.iter().map(|name| hidden("a-core", "7", name)));
    land(&other, "october-2.csv", &rows).await;
    run(&other.admin(), "call refresh()").await;
    other
        .copy("adjustment_policies", "policy_id,seller_node_id,buyer_node_id,method\nSECRET,dist,south,true_up\n")
        .await;
    for edge in ["dist/south/2025-10", "south/core/2025-10"] {
        run(&other.admin(), &format!("call submit('adjustment', '{edge}', 'SECRET')")).await;
    }
    run(&other.session("checker"), "call approve('adjustment', 'dist/south/2025-10', 'SECRET')").await;
    run(&other.admin(), "call refresh()").await;
    Pair {
        name: "after invoices were restated",
        logins: &["admin@north", "finance@north", "auditor@north", "accounting@north", "portal@acme", "admin@acme"],
        one,
        other,
    }
}
