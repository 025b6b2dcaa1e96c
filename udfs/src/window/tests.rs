//! `allocate` as SQL sees it.

use crate::testing::{error, rows};

#[test]
fn pools_are_split_within_their_partition() {
    let table = "(values ('p', 'a', 100.00, 3), ('p', 'b', 100.00, 3), ('q', 'c', 10.00, 1), ('p', 'd', 100.00, 3)) as t(pool, key, amount, weight)";
    assert_eq!(
        rows(&format!(
            "select pool, key, allocate(amount, weight) over (partition by pool order by key) from {table} order by pool, key"
        )),
        [
            "p a 33.333333333333333334",
            "p b 33.333333333333333333",
            "p d 33.333333333333333333",
            "q c 10.000000000000000000"
        ]
    );
    assert_eq!(
        rows(&format!(
            "select allocate(amount, weight, 'largest', 2) over (partition by pool order by key desc) from {table} where pool = 'p' order by key"
        )),
        ["33.330000000000000000", "33.330000000000000000", "33.340000000000000000"]
    );
    for residue in ["'owner', 2", "residue => 'owner', scale => 2"] {
        assert_eq!(
            rows(&format!(
                "select sum(part) from (select allocate(amount, weight, {residue}) over (partition by pool order by key) as part from {table} where pool = 'p')"
            )),
            ["99.990000000000000000"]
        );
    }
}

#[test]
fn f1_a_credit_flows_3_2_5() {
    assert_eq!(
        rows("select allocate(10000, w) over (order by k) from (values (1, 3), (2, 2), (3, 5)) as t(k, w)"),
        ["3000.000000000000000000", "2000.000000000000000000", "5000.000000000000000000"]
    );
}

#[test]
fn f12_an_idle_pool_is_left_to_the_fallback() {
    assert_eq!(
        rows("select coalesce(allocate(27.00, w) over (order by k), 0), k from (values (1, 0), (2, 0)) as t(k, w)"),
        ["0.000000000000000000 1", "0.000000000000000000 2"]
    );
    assert_eq!(rows("select allocate(27.00, w) over () from (values (0.0), (null)) as t(w)"), ["null", "null"]);
}

#[test]
fn wrong_use_is_an_error() {
    assert!(error("select allocate(1.00, -1) over ()").contains("a weight is negative"));
    assert!(error("select allocate(a, 1) over () from (values (1.5), (2.5)) as t(a)").contains("equal on every row"));
    assert!(error("select allocate(a, 1) over () from (values (1.5), (null)) as t(a)").contains("equal on every row"));
    assert!(error("select allocate(1.00, 1, 'nobody') over ()").contains("unknown residue"));
    assert!(error("select allocate(1.00, 1, 'owner', 19) over ()").contains("constant from 0 to 18"));
    assert!(error("select allocate(1.00, 1.5::float8) over ()").contains("exact weights"));
    assert_eq!(rows("select allocate(null, 1) over ()"), ["null"]);
}
