//! Random statements over the relations that a login sees.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// What a column holds, as far as expressions care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Date,
    Instant,
    Other,
}

#[derive(Debug)]
struct Column {
    name: String,
    kind: Kind,
}

#[derive(Debug)]
struct Relation {
    name: String,
    columns: Vec<Column>,
}

/// The relations of a login.
#[derive(Debug)]
pub(super) struct Schema(Vec<Relation>);

impl Schema {
    /// From rows of relation, column and type, in the order of relations.
    pub(super) fn new(rows: impl IntoIterator<Item = (String, String, String)>) -> Self {
        let mut relations: Vec<Relation> = Vec::new();
        for (name, column, data_type) in rows {
            let kind = match data_type.as_str() {
                "numeric" | "bigint" | "integer" | "smallint" | "double precision" => Kind::Number,
                "text" | "character varying" => Kind::Text,
                "date" => Kind::Date,
                "timestamp with time zone" | "timestamp without time zone" => Kind::Instant,
                _ => Kind::Other,
            };
            let column = Column { name: column, kind };
            match relations.last_mut().filter(|relation| relation.name == name) {
                Some(relation) => relation.columns.push(column),
                None => relations.push(Relation { name, columns: vec![column] }),
            }
        }
        Self(relations)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Views whose plans are so long that a statement over one takes as much time as thirty others: they are drawn that much more seldom.
const LONG: [&str; 10] = [
    "public.forecasts",
    "public.forecast_accuracy",
    "public.anomalies",
    "public.spend_over_forecast",
    "public.budget_status",
    "public.executive",
    "public.engineering",
    "public.finance",
    "public.underutilised",
    "public.waste_candidates",
];
const LONG_SELDOM: usize = 15;

/// Statements that are the same for every login: catalogs, settings, transactions, what must be refused.
pub(super) const FIXED: &[&str] = &[
    "select * from forecasts",
    "select * from forecast_accuracy",
    "select * from anomalies",
    "select * from spend_over_forecast",
    "select * from budget_status",
    "select * from effective_thresholds",
    "select * from subtrees",
    "select * from metrics",
    "select * from unit_economics",
    "select * from waste_candidates",
    "select * from executive",
    "select * from finance",
    "select * from engineering",
    "select * from forecast(charges_daily, data_col => 'cost', timestamp_col => 'charge_date', id_cols => array['node_id'])",
    "select * from detect_anomalies(charges_daily, data_col => 'cost', timestamp_col => 'charge_date', id_cols => array['node_id'])",
    "select * from pg_class order by oid",
    "select * from pg_attribute order by attrelid, attnum",
    "select * from pg_namespace",
    "select * from pg_roles order by rolname",
    "select * from pg_proc order by oid limit 50",
    "select * from pg_description order by 1, 2, 3",
    "select * from pg_constraint order by oid",
    "select * from pg_settings order by name",
    "select * from pg_stat_activity",
    "select * from pg_tables order by 1, 2",
    "select * from pg_views order by 1, 2",
    "select * from information_schema.tables order by 1, 2, 3",
    "select * from information_schema.columns order by 1, 2, 3, 5",
    "select * from information_schema.views order by 1, 2, 3",
    "select * from information_schema.table_privileges order by 1, 2, 3, 4, 5, 6",
    "select 'secret-card'::regclass",
    "select has_table_privilege('ops.deliveries', 'select')",
    "select has_table_privilege('secret', 'charges', 'select')",
    "select pg_relation_size('charges'), pg_database_size('ratehouse')",
    "show all",
    "show ratehouse.snapshot",
    "set ratehouse.snapshot = 3",
    "select set_config('ratehouse.snapshot', '3', false)",
    "begin; select count(*) from charges; savepoint a; select nope from charges; rollback to a; select sum(cost) from charges; commit",
    "rollback",
    "begin; declare c cursor for select charge_id from charges order by 1; fetch 2 from c; move 1 in c; fetch all from c; commit",
    "rollback",
    "prepare p (numeric) as select count(*) from charges where cost > $1; execute p(1); deallocate p",
    "copy (select * from charges order by charge_id) to stdout with (format csv, header)",
    "copy charges_daily to '/tmp/out'",
    "create table t (a int)",
    "create external table t stored as csv location '/etc/passwd'",
    "insert into charges values (1)",
    "insert into ref.nodes (node_id, parent_id, kind, name, currency) values ('secret-east', 'dist', 'reseller', 'x', 'USD')",
    "insert into ref.rate_cards (card_id, seller_node_id, currency, name) values ('secret-card', 'north', 'USD', 'x')",
    "update ref.nodes set name = 'x' where node_id = 'south'",
    "delete from ref.nodes where node_id = 'secret-east'",
    "delete from ref.users where login = 'secret'",
    "create user \"secret\" password 'correct horse' node 'acme' role portal",
    "alter user \"secret\" password 'correct horse'",
    "drop user \"secret\"",
    "call close_period('2025-10')",
    "call issue_invoices('2025-09')",
    "call approve('rate_card_version', 'secret-card/1', 'why')",
    "call submit('rate_card_version', 'secret-card/1', 'why')",
    "call submit('adjustment', 'south/core/2025-10', 'why')",
    "call submit('adjustment', 'dist/south/2025-10', 'why')",
    "call approve('adjustment', 'south/core/2025-10', 'why')",
    "call reject('adjustment', 'south/core/2025-10', 'why')",
    "call credit_note('south/core/0001/1', 1, 'why')",
    "select * from proposed_adjustments order by 1",
    "select * from proposed_adjustments",
    "select * from adjustments",
    "select * from ops.restatements",
    "select * from ops.snapshots",
    "select * from ops.deliveries",
    "select * from usage",
    "select * from secret",
    "select * from rate_lookup('secret-east', date '2025-10-05', cost => 5)",
    "select * from rate_lookup('acme', date '2025-10-05', cost => 5, list_cost => 7)",
    "select * from rate_lookup('bolt', date '2025-10-05', cost => 5)",
    "select * from simulate_rate_card('list-acme', 2, '2025-09', '2025-10')",
    "select * from simulate_rate_card('list-acme', 3, '2025-09', '2025-10')",
    "select * from simulate_rate_card('retail-bolt', 1, '2025-09', '2025-10')",
    "select * from simulate_rate_card('wholesale-north', 1, '2025-09', '2025-10')",
    "select * from simulate_rate_card('secret-core', 2, '2025-09', '2025-10')",
    "explain select * from simulate_rate_card('list-acme', 2, '2025-09', '2025-10')",
    "select * from explain_rule('sale', 'list-acme')",
    "select * from explain_rule('sale', 'wholesale-north/1/all')",
    "select * from explain_rule('sale', 'retail-south')",
    "select * from explain_rule('account', 'a-acme')",
    "select * from explain_rule('account', 'SECRET-dist')",
    "select * from explain_rule('rule', 'north/n')",
    "select * from explain_rule('rule', 'dist/SECRET-d')",
    "select * from explain_rule('pool', 'north/network')",
    "select * from explain_rule('pool', 'dist/SECRET-backbone')",
    "select * from explain_rule('fx_rate', 'r1')",
    "select * from explain_rule('fx_rate', 'r3')",
    "select * from explain_rule('charge_policy', 'dist/Usage')",
    "select * from explain_rule('charge_policy', 'acme/Usage')",
    "select * from explain_rule('commitment', 'sp-1')",
    "select * from explain_rule('own', 'SECRET')",
    "select * from explain_rule('rule', 'SECRET')",
    "explain select * from explain_rule('pool', 'dist/SECRET-backbone')",
    "select * from explain_row(1, 1)",
    "select secret_column from charges",
    "select current_node(), current_role_name(), current_user, version()",
    "explain verbose select * from charges",
    "explain analyze select * from charges",
    "select pg_cancel_backend(1), pg_terminate_backend(1)",
    "select * from generate_series(1, 3) as g(x)",
    "with recursive t(n) as (select 1 union all select n + 1 from t where n < 20) select sum(n) from t",
    "discard all",
    "listen x; unlisten *",
];

/// Makes statements.
pub(super) struct Statements<'a> {
    pub(super) schema: &'a Schema,
    pub(super) rng: StdRng,
}

impl Statements<'_> {
    /// The next statement.
    pub(super) fn next(&mut self) -> String {
        match self.rng.random_range(0..100) {
            0..6 => self.pick(FIXED).to_owned(),
            6..12 => format!("explain {}", self.query(2)),
            12..18 => {
                let (a, b) = (self.simple_query(), self.simple_query());
                let operator = self.pick(&["union all", "union", "intersect", "except"]);
                // Both sides run at the same time: without an order, which comes first is chance.
                format!("{a} {operator} {b} order by 1")
            }
            18..24 => {
                let query = self.query(2);
                format!("with q as ({query}) select count(*) from q")
            }
            _ => self.query(2),
        }
    }

    fn pick<'b>(&mut self, from: &[&'b str]) -> &'b str {
        from.choose(&mut self.rng).copied().unwrap_or_default()
    }

    fn relation(&mut self) -> usize {
        loop {
            let relation = self.rng.random_range(0..self.schema.0.len());
            let is_long = LONG.contains(&self.schema.0[relation].name.as_str());
            if !is_long || self.rng.random_range(0..LONG_SELDOM) == 0 {
                return relation;
            }
        }
    }

    fn column(&mut self, relation: usize, kind: Kind, alias: &str) -> Option<String> {
        let found: Vec<&Column> = self.schema.0[relation].columns.iter().filter(|column| column.kind == kind).collect();
        found.choose(&mut self.rng).map(|column| format!("{alias}.\"{}\"", column.name))
    }

    fn any_column(&mut self, relation: usize, alias: &str) -> String {
        let columns = &self.schema.0[relation].columns;
        let at = self.rng.random_range(0..columns.len());
        format!("{alias}.\"{}\"", columns[at].name)
    }

    /// One column, so that set operations fit more often than not.
    fn simple_query(&mut self) -> String {
        let relation = self.relation();
        let name = &self.schema.0[relation].name;
        let value = self.number(relation, "a", 2);
        let condition = self.condition(relation, "a", 1);
        format!("select {value} as v from {name} a where {condition}")
    }

    fn query(&mut self, depth: usize) -> String {
        let relation = self.relation();
        let name = self.schema.0[relation].name.clone();
        let from = match self.rng.random_range(0..10) {
            0 | 1 => {
                let other = self.relation();
                let other_name = self.schema.0[other].name.clone();
                let kind = self.pick(&["join", "left join", "full join", "cross join"]);
                let (left, right) = (self.any_column(relation, "a"), self.any_column(other, "b"));
                let on = if kind == "cross join" { String::new() } else { format!(" on {left} = {right}") };
                format!("{name} a {kind} {other_name} b{on}")
            }
            2 if depth > 0 => {
                format!("(select * from {name} where {}) a", self.condition(relation, &name_alias(&name), depth - 1))
            }
            _ => format!("{name} a"),
        };
        let condition = match self.rng.random_range(0..3) {
            0 => String::new(),
            _ => format!(" where {}", self.condition(relation, "a", depth)),
        };
        match self.rng.random_range(0..6) {
            0 => {
                let group = self.any_column(relation, "a");
                let sums = self.aggregates(relation, depth);
                let grouping = if self.rng.random_bool(0.2) { format!("rollup ({group})") } else { group.clone() };
                format!("select {group}, {sums} from {from}{condition} group by {grouping} order by 1, 2 limit 20")
            }
            1 => format!("select {} from {from}{condition}", self.aggregates(relation, depth)),
            2 => {
                let (by, value) = (self.any_column(relation, "a"), self.number(relation, "a", depth));
                // Ranks, not numbers: which of two equal rows is the first is chance.
                format!(
                    "select {value}, rank() over (order by {by}), sum({value}) over (partition by {by}) from {from}{condition}"
                )
            }
            3 => format!("select distinct {} from {from}{condition}", self.any_column(relation, "a")),
            4 => format!("select * from {from}{condition}"),
            _ => {
                let (number, text) = (self.number(relation, "a", depth), self.text(relation, "a", depth));
                // Which rows come first without an order is for the way in which they are stored to say.
                let order = match self.rng.random_range(0..4) {
                    0 | 1 => String::new(),
                    skipped => format!(" order by 1, 2 offset {} limit 25", skipped - 2),
                };
                format!("select {number} as x, {text} as y from {from}{condition}{order}")
            }
        }
    }

    fn aggregates(&mut self, relation: usize, depth: usize) -> String {
        let number = self.number(relation, "a", depth);
        let any = self.any_column(relation, "a");
        let functions = [
            "count(*)".to_owned(),
            format!("sum({number})"),
            format!("avg({number})"),
            format!("min({any}), max({any})"),
            format!("count(distinct {any})"),
            format!("string_agg(cast({any} as text), ',' order by cast({any} as text))"),
            // A float: its last digits depend on the order in which rows are added.
            format!("round(cast(stddev({number}) as numeric), 6)"),
            format!("sum({number}) filter (where {})", self.condition(relation, "a", 0)),
        ];
        let count = self.rng.random_range(1..3);
        functions.choose_multiple(&mut self.rng, count).cloned().collect::<Vec<_>>().join(", ")
    }

    fn number(&mut self, relation: usize, alias: &str, depth: usize) -> String {
        let literal = self
            .pick(&["0", "1", "-1", "2.5", "100", "7.25", "99999999999999999999", "0.000000000000000001"])
            .to_owned();
        let column = self.column(relation, Kind::Number, alias).unwrap_or_else(|| literal.clone());
        if depth == 0 {
            return if self.rng.random_bool(0.7) { column } else { literal };
        }
        let inner = self.number(relation, alias, depth - 1);
        match self.rng.random_range(0..16) {
            0 => format!("({column} + {inner})"),
            1 => format!("({column} * {inner})"),
            2 => format!("({inner} - {literal})"),
            // What fails for one value tells of that value.
            3 => format!("({inner} / ({column} - {literal}))"),
            4 => format!("(1 / ({column} - {inner}))"),
            5 => format!("({inner} % {literal})"),
            6 => format!("cast({} as numeric)", self.text(relation, alias, depth - 1)),
            7 => format!("cast({} as integer)", self.text(relation, alias, depth - 1)),
            8 => format!("length({})", self.text(relation, alias, depth - 1)),
            9 => format!("round({inner}, {})", self.rng.random_range(0..4)),
            10 => format!("coalesce({column}, {inner})"),
            11 => format!("case when {} then {column} else {inner} end", self.condition(relation, alias, depth - 1)),
            12 => format!("cast({inner} as smallint)"),
            13 => {
                match self.column(relation, Kind::Instant, alias).or_else(|| self.column(relation, Kind::Date, alias)) {
                    Some(at) => format!("extract(day from {at})"),
                    None => inner,
                }
            }
            _ => column,
        }
    }

    fn text(&mut self, relation: usize, alias: &str, depth: usize) -> String {
        let literal = self.pick(&["'a'", "'SECRET'", "'%'", "''", "'2025-10'", "'core'", "'x''y'", "'1'"]).to_owned();
        let column = self.column(relation, Kind::Text, alias).unwrap_or_else(|| literal.clone());
        if depth == 0 {
            return if self.rng.random_bool(0.7) { column } else { literal };
        }
        let inner = self.text(relation, alias, depth - 1);
        match self.rng.random_range(0..12) {
            0 => format!("upper({inner})"),
            1 => format!("({inner} || {column})"),
            2 => format!("substr({inner}, {})", self.rng.random_range(1..4)),
            3 => format!("cast({} as text)", self.number(relation, alias, depth - 1)),
            4 => format!("split_part({inner}, '-', 1)"),
            5 => format!("replace({column}, {literal}, 'z')"),
            6 => format!("lpad({inner}, {}, 'q')", self.rng.random_range(0..12)),
            7 => format!("regexp_replace({inner}, '[a-z]', 'r')"),
            8 => match self.column(relation, Kind::Instant, alias) {
                Some(at) => format!("to_char({at}, 'YYYY-MM')"),
                None => inner,
            },
            9 => match self.column(relation, Kind::Other, alias) {
                Some(json) => format!("({json} ->> 'team')"),
                None => inner,
            },
            _ => column,
        }
    }

    fn condition(&mut self, relation: usize, alias: &str, depth: usize) -> String {
        let number = self.number(relation, alias, depth);
        let text = self.text(relation, alias, depth);
        let comparison = self.pick(&["=", "<>", "<", "<=", ">", ">="]);
        match self.rng.random_range(0..14) {
            0 | 1 => format!("{number} {comparison} {}", self.number(relation, alias, 0)),
            2 => format!("{text} {comparison} {}", self.text(relation, alias, 0)),
            3 => format!("{text} like {}", self.pick(&["'%a%'", "'SECRET%'", "'_'", "'%'"])),
            4 => format!("{text} in ('a', 'SECRET-1', 'Machines', 'core')"),
            5 => format!("{} is null", self.any_column(relation, alias)),
            6 => format!("{number} between 0 and 100"),
            7 if depth > 0 => {
                let (a, b) = (self.condition(relation, alias, depth - 1), self.condition(relation, alias, depth - 1));
                let word = self.pick(&["and", "or"]);
                format!("({a} {word} {b})")
            }
            8 if depth > 0 => format!("not ({})", self.condition(relation, alias, depth - 1)),
            9 if depth > 0 => {
                let inner = self.relation();
                let name = self.schema.0[inner].name.clone();
                let (column, condition) = (self.text(inner, "s", 0), self.condition(inner, "s", 0));
                format!("{text} in (select {column} from {name} s where {condition})")
            }
            10 if depth > 0 => {
                let inner = self.relation();
                let name = self.schema.0[inner].name.clone();
                let condition = self.condition(inner, "s", 0);
                format!("exists (select 1 from {name} s where {condition})")
            }
            11 => match self.column(relation, Kind::Date, alias) {
                Some(date) => format!("{date} >= date '2025-10-{:02}'", self.rng.random_range(1..28)),
                None => "true".to_owned(),
            },
            12 => match self.column(relation, Kind::Instant, alias) {
                Some(at) => format!("{at} < timestamptz '2025-10-05 00:30:00+00'"),
                None => "false".to_owned(),
            },
            _ => format!("cast({} as text) <> '5'", self.any_column(relation, alias)),
        }
    }
}

/// A relation's name without its schema, by which its columns are named where it has no alias.
fn name_alias(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).to_owned()
}
