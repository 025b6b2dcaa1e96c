//! Nothing is lost and nothing is made: the laws of conservation over random worlds, from the file to the invoice.
//!
//! Sums are made here, of rows as sessions show them; the engine's own checks (`ops.reconciliation`) are asked as well.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::fixture::{Fixture, Line, rows, run};

const WORLDS: u64 = 8;
const LINES: usize = 1_250;
const BUYERS: [(&str, &str, &str, &str); 8] = [
    ("north", "dist", "reseller", "USD"),
    ("south", "dist", "reseller", "EUR"),
    ("acme", "north", "customer", "USD"),
    ("bolt", "north", "customer", "EUR"),
    ("core", "south", "customer", "EUR"),
    ("dune", "south", "customer", "USD"),
    ("ops", "acme", "department", "USD"),
    ("web", "ops", "team", "USD"),
];
/// What is invoiced: edges of the root and of resellers.
const SELLERS: [&str; 3] = ["dist", "north", "south"];

/// An amount at scale 18.
fn amount(text: &str) -> i128 {
    if text == "null" {
        return 0;
    }
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    sign * format!("{whole}{fraction:0<18}").parse::<i128>().unwrap_or_else(|_| panic!("{text} is an amount"))
}

/// To cents, the even one of two that are equally near.
fn cents(amount: i128) -> i128 {
    let cent = 10_i128.pow(16);
    let (whole, rest) = (amount.div_euclid(cent), amount.rem_euclid(cent));
    let up = rest * 2 > cent || (rest * 2 == cent && whole % 2 != 0);
    (whole + i128::from(up)) * cent
}

struct Maker(StdRng);

impl Maker {
    fn pick<'t>(&mut self, choices: &[&'t str]) -> &'t str {
        choices.choose(&mut self.0).copied().expect("there are choices")
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.0.random_range(0..n) == 0
    }

    async fn world(&mut self) -> Fixture {
        let fixture = Fixture::empty();
        let nodes: String = BUYERS
            .iter()
            .map(|(node, parent, kind, currency)| format!("{node},{parent},{kind},{node},{currency}\n"))
            .collect();
        fixture.copy("nodes", &format!("node_id,parent_id,kind,name,currency\n{nodes}")).await;
        let rates = "fx_rate_id,source,base_currency,quote_currency,valid_from,rate\n\
                     r1,market,USD,EUR,2025-09-01,0.9137\nr2,market,USD,EUR,2025-10-05,0.871\nr3,market,EUR,USD,2025-10-17,1.1003\n";
        fixture.copy("fx_rates", rates).await;
        self.accounts(&fixture).await;
        self.cards(&fixture).await;
        self.pools(&fixture).await;
        self.own(&fixture).await;
        for login in ["finance@north", "finance@south"] {
            fixture.user(login, &login["finance@".len()..], "finance").await;
        }
        fixture
    }

    async fn accounts(&mut self, fixture: &Fixture) {
        let owners = ["north", "acme", "bolt", "core", "dune", "ops", "web"];
        let mut accounts = "provider_name,billing_account_id,sub_account_id,node_id,valid_from,valid_to\n".to_owned();
        for account in 0..10 {
            let day = format!("2025-10-{:02}T{:02}:30:00Z", self.0.random_range(2..28), self.0.random_range(0..24));
            let (one, other) = (self.pick(&owners), self.pick(&owners));
            accounts += &format!("Globex,B1,a{account},{one},2000-01-01,{day}\nGlobex,B1,a{account},{other},{day},\n");
        }
        fixture.copy("accounts", &accounts).await;
    }

    async fn cards(&mut self, fixture: &Fixture) {
        // What sellers bill by themselves has no list price.
        let methods = ["markup_pct", "margin_pct"];
        let bands = r#""[{""up_to"": ""500"", ""price"": ""0.37""}, {""up_to"": null, ""price"": ""0.11""}]""#;
        for (buyer, seller, _, currency) in BUYERS.iter().filter(|(.., kind, _)| *kind != "team") {
            let card = format!("to-{buyer}");
            let row =
                format!("card_id,seller_node_id,buyer_node_id,currency,name\n{card},{seller},{buyer},{currency},x\n");
            fixture.copy("rate_cards", &row).await;
            let day = format!("2025-10-{:02}", self.0.random_range(2..28));
            let versions = format!("card_id,version,valid_from,valid_to\n{card},1,2000-01-01,{day}\n{card},2,{day},\n");
            fixture.copy("rate_card_versions", &versions).await;
            let mut rules = "card_id,version,rule_id,service_name,sku_id,method,value,bands,scope\n".to_owned();
            for version in 1..=2 {
                let percent = || format!("{}.{}", 3 + version, 17 * version);
                rules += &format!("{card},{version},all,,,{},{},,node\n", self.pick(&methods), percent());
                rules += &format!("{card},{version},disk,Disks,,unit_price,0.0{version}3,,node\n");
                if self.one_in(2) {
                    rules += &format!("{card},{version},m2,,M2,discount_pct,{},,node\n", percent());
                }
                let scope = self.pick(&["node", "account", "subtree"]);
                rules += &format!("{card},{version},m1,,M1,graduated,,{bands},{scope}\n");
                if self.one_in(2) && SELLERS.contains(seller) {
                    rules += &format!("{card},{version},fee,,,flat,12.34,,node\n");
                    rules += &format!("{card},{version},least,,,minimum,99999.99,,node\n");
                }
            }
            fixture.copy("rate_rules", &rules).await;
            for version in ["1", "2"] {
                fixture.activate(&card, version).await;
            }
        }
        let mut policies = "node_id,charge_category,policy\n".to_owned();
        for seller in SELLERS {
            for category in ["Tax", "Credit"] {
                policies += &format!("{seller},{category},{}\n", self.pick(&["pass", "retain", "report"]));
            }
        }
        fixture.copy("charge_policies", &policies).await;
    }

    async fn pools(&mut self, fixture: &Fixture) {
        let pools = [
            ("dist", ["north", "south", "core"]),
            ("north", ["acme", "bolt", "north"]),
            ("acme", ["ops", "web", "acme"]),
        ];
        for (owner, nodes) in pools {
            let method = self.pick(&["percentage", "even", "fixed"]);
            let row = format!("owner_node_id,pool_id,method\n{owner},shared,{method}\n");
            fixture.copy("pools", &row).await;
            let shares = match method {
                "percentage" => ["33.333333", "0.000001", "66.666666"],
                "fixed" => ["70.07", "0.01", "5"],
                _ => ["", "", ""],
            };
            let shares = nodes.iter().zip(shares).map(|(node, share)| format!("{owner},shared,{node},{share}\n"));
            let shares: String = shares.collect();
            fixture.copy("pool_shares", &format!("owner_node_id,pool_id,node_id,share\n{shares}")).await;
            let rule = format!(
                "rule_id,owner_node_id,tag_key,tag_value,method,pool_id\ns,{owner},shared,{owner},pool,shared\n"
            );
            fixture.copy("attribution_rules", &rule).await;
        }
    }

    async fn own(&mut self, fixture: &Fixture) {
        let day = self.0.random_range(2..28);
        let licences = format!(
            "seller_node_id,licence_id,node_id,product,seats,unit_price,currency,convention,valid_from\n\
             dist,l1,acme,Office,7,3.33,USD,actual,2025-10-{day:02}\nsouth,l2,core,Backup,3,9.99,EUR,30,2025-09-{day:02}\n\
             north,l3,web,Editor,11,1.01,USD,full_month,2025-10-{day:02}\n"
        );
        fixture.copy("licences", &licences).await;
        let hours = "seller_node_id,entry_id,node_id,project,engineer,worked_at,hours,rate,currency\n\
                     north,e1,bolt,Move,ada,2025-10-07T10:00:00Z,3.25,149.99,EUR\n";
        fixture.copy("time_entries", hours).await;
        let contracts = "seller_node_id,contract_id,buyer_node_id,currency,commit_amount,valid_from\n\
                         dist,c1,south,EUR,1000000,2025-10-01\nsouth,c2,dune,USD,0.01,2025-10-01\n";
        fixture.copy("contracts", contracts).await;
        fixture.copy("credit_policies", "node_id,policy,keep_share,pass_share\nnorth,split,1,2\n").await;
        let credits = "credit_id,seller_node_id,node_id,source,amount,currency,valid_from\n\
                       k1,dist,acme,Programme,777.77,USD,2025-10-01\nk2,south,core,Goodwill,0.01,EUR,2025-10-01\n";
        fixture.copy("credits", credits).await;
        for credit in ["k1", "k2"] {
            run(&fixture.admin(), &format!("call submit('credit', '{credit}', 'agreed')")).await;
        }
    }

    /// A line's account, cost, category and so on, as texts that live as long as the line does.
    fn parts(&mut self) -> [String; 5] {
        let account = format!("a{}", self.0.random_range(0..11));
        let cost = format!("{}.{:018}", self.0.random_range(-9..90), self.0.random_range(0..10_i64.pow(18)));
        let quantity = format!("{}.{:03}", self.0.random_range(0..40), self.0.random_range(0..1000));
        let day = self.0.random_range(1..31);
        let from = format!("2025-10-{day:02}T{:02}:00:00Z", self.0.random_range(0..24));
        let tag = self.pick(&["dist", "north", "acme", "none", "none"]);
        [account, cost, quantity, from, format!(r#"{{"shared": "{tag}"}}"#)]
    }
}

fn line<'a>(maker: &mut Maker, parts: &'a [String; 5]) -> Line<'a> {
    let [account, cost, quantity, from, tags] = parts;
    let is_month = maker.one_in(4);
    let from: &'a str = if is_month { "2025-10-01T00:00:00Z" } else { from };
    Line {
        from,
        to: "2025-11-01T00:00:00Z",
        quantity,
        tags,
        category: maker.pick(&["Usage", "Usage", "Usage", "Purchase", "Tax", "Credit"]),
        service: maker.pick(&["Machines", "Disks"]),
        sku: maker.pick(&["M1", "M2"]),
        resource: maker.pick(&["r1", "r2", ""]),
        ..Line::usage(account, cost)
    }
}

/// Sums of the last column by the others.
async fn sums(fixture: &Fixture, login: &str, sql: &str) -> BTreeMap<String, i128> {
    let mut sums = BTreeMap::new();
    for row in rows(&fixture.session(login), sql).await {
        let (key, value) = row.rsplit_once('|').expect("a key and an amount");
        *sums.entry(key.to_owned()).or_insert(0) += amount(value);
    }
    sums
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_made_in_random_worlds() {
    let mut seen = BTreeMap::<String, usize>::new();
    for seed in 0..WORLDS {
        let mut maker = Maker(StdRng::seed_from_u64(seed));
        let fixture = maker.world().await;
        let parts: Vec<[String; 5]> = (0..LINES).map(|_| maker.parts()).collect();
        let lines: Vec<Line<'_>> = parts.iter().map(|parts| line(&mut maker, parts)).collect();
        fixture.land("october.csv", &lines).await;
        let admin = fixture.admin();
        // The account a10 is nobody's: what is unallocated is billed to nobody, and stops no close.
        run(&admin, "call refresh()").await;
        run(&admin, "call close_period('2025-10')").await;

        // Laws 1 to 3: each line's charges cost what it did, whoever owns them and however they are shared out.
        let landed: BTreeMap<String, i128> =
            (2..).zip(&lines).map(|(row, line): (u64, _)| (row.to_string(), amount(line.billed))).collect();
        let charged = sums(&fixture, "admin", "select source_row, cost from charges where origin = 'usage'").await;
        let first = charged.keys().filter_map(|row| row.parse::<u64>().ok()).min().expect("there are charges");
        let landed: BTreeMap<String, i128> = landed
            .into_iter()
            .map(|(row, cost)| (row.parse::<u64>().expect("a number") - 2 + first, cost))
            .map(|(row, cost)| (row.to_string(), cost))
            .collect();
        assert_eq!(charged, landed, "seed {seed}");
        for fate in rows(&admin, "select origin || ' ' || fate, count(*) from charges group by 1").await {
            let (fate, count) = fate.split_once('|').expect("two columns");
            *seen.entry(fate.to_owned()).or_default() += count.parse::<usize>().expect("a count");
        }

        // Roll-ups say what charges say, to everybody.
        for login in ["admin", "finance@north", "finance@south"] {
            for column in ["cost", "price", "quantity"] {
                let of = |table: &str| format!("select origin, node_id, outcome, fate, {column} from {table}");
                let charges = sums(&fixture, login, &of("charges")).await;
                assert_eq!(sums(&fixture, login, &of("charges_daily")).await, charges, "seed {seed}, {login}");
                assert_eq!(sums(&fixture, login, &of("charges_monthly")).await, charges, "seed {seed}, {login}");
            }
        }

        // Law 4: what a node's children pay it is what it sees as its price, and what it pays is what its seller sees.
        let tiers = "select c.charge_id, t.depth, t.payer_node_id, t.currency, t.outcome, t.amount \
                     from charges c join charges_by_tier t using (charge_id) order by 1, 2";
        let mut edges: BTreeMap<(String, String, String), i128> = BTreeMap::new();
        let mut above = (String::new(), String::new());
        for row in rows(&admin, tiers).await {
            let cells: Vec<&str> = row.split('|').collect();
            let [charge, depth, payer, currency, outcome, paid] = cells[..] else { panic!("{row}") };
            if depth != "0" && outcome == "billed" {
                // What a seller originates has no tier above its buyer: its seller is the buyer's parent.
                let parent = BUYERS.iter().find(|(buyer, ..)| *buyer == payer).map_or("", |(_, parent, ..)| parent);
                assert!(above.0 != charge || above.1 == parent, "seed {seed}: {row} below {above:?}");
                *edges.entry((parent.to_owned(), payer.to_owned(), currency.to_owned())).or_default() += amount(paid);
            }
            above = (charge.to_owned(), payer.to_owned());
        }
        for seller in ["north", "south"] {
            let login = format!("finance@{seller}");
            let sold =
                sums(&fixture, &login, "select price_currency, price from charges where outcome = 'billed'").await;
            let mut expected: BTreeMap<String, i128> = BTreeMap::new();
            for ((_, _, currency), paid) in edges.iter().filter(|((from, ..), _)| from == seller) {
                *expected.entry(currency.clone()).or_default() += paid;
            }
            let sold: BTreeMap<String, i128> = sold.into_iter().filter(|(currency, _)| currency != "null").collect();
            assert_eq!(sold, expected, "seed {seed}: what {seller} sells");
            let own = format!("select outcome, amount from charges_by_tier where payer_node_id = '{seller}'");
            let bought = sums(&fixture, &login, &own).await;
            let paid: i128 = edges.iter().filter(|((_, to, _), _)| to == seller).map(|(_, paid)| paid).sum();
            assert_eq!(bought.get("billed").copied().unwrap_or_default(), paid, "seed {seed}: what {seller} buys");
        }

        // Law 5: lines add up to the document, documents to the charges, rounded once.
        let totals = "select seller_node_id, buyer_node_id, currency, total from invoices";
        let invoiced = sums(&fixture, "admin", totals).await;
        let lined = "select i.seller_node_id, i.buyer_node_id, i.currency, l.amount from invoices i join invoice_lines l using (invoice_id)";
        assert_eq!(sums(&fixture, "admin", lined).await, invoiced, "seed {seed}");
        let billed: BTreeMap<String, i128> = edges
            .iter()
            .filter(|((seller, ..), _)| SELLERS.contains(&seller.as_str()))
            .map(|((seller, buyer, currency), paid)| (format!("{seller}|{buyer}|{currency}"), cents(*paid)))
            .collect();
        assert_eq!(invoiced, billed, "seed {seed}");
        // Law 6: each entry of the ledger adds up to nothing, and something was drawn.
        let entries = sums(&fixture, "admin", "select entry, credit_id, currency, amount from credits_ledger").await;
        assert!(entries.values().all(|sum| *sum == 0), "seed {seed}: {entries:?}");
        let broken = rows(&admin, "select * from ops.reconciliation where status not in ('ok', 'rounding')").await;
        assert_eq!(broken, Vec::<String>::new(), "seed {seed}");
    }
    for kind in [
        "usage direct",
        "usage allocated",
        "usage unallocated",
        "licence direct",
        "labour direct",
        "fee direct",
        "minimum direct",
        "shortfall direct",
        "credit direct",
    ] {
        assert!(seen.get(kind).copied().unwrap_or_default() > 0, "{kind} is not among {seen:?}");
    }
}
