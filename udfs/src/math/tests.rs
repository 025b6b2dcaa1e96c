//! Expected values as PostgreSQL 15 gives them.

use crate::testing::{rows, value};

#[test]
fn ceil_and_floor_go_to_the_neighbouring_integer() {
    assert_eq!(
        rows("select ceil(1.2), ceil(-1.2), ceiling(2.0), floor(1.2), floor(-1.2), ceil(-0.5)"),
        ["2 -1 2 1 -2 0"]
    );
    assert_eq!(value("select ceil(99999999999999999999.5::numeric(38,18))"), "100000000000000000000");
    assert_eq!(value("select floor(-99999999999999999999.5::numeric(38,18))"), "-100000000000000000000");
    assert_eq!(
        rows("select ceil(x * x), floor(x * x) from (values (-1.5::numeric(38,18)), (null)) as t(x)"),
        ["3 2", "null null"]
    );
    assert_eq!(value("select ceil(1.2::double precision)"), "2");
    assert_eq!(value("select ceil(7)"), "7");
}

#[test]
fn trunc_drops_digits_toward_zero() {
    assert_eq!(
        rows("select trunc(41.2199, 2), trunc(-1.7), trunc(1234.5, -2), trunc(1.5, 5), trunc(-0.0999, 1)"),
        ["41.21 -1 1200 1.5 0.0"]
    );
    assert_eq!(value("select trunc(x * x, 1) from (values (-1.23::numeric(38,18))) as t(x)"), "1.5");
    assert_eq!(value("select trunc(1.79::double precision, 1)"), "1.7");
}

#[test]
fn round_goes_half_away_from_zero_at_both_widths() {
    assert_eq!(rows("select round(2.5), round(-2.5), round(1.005, 2), round(1250, -2)"), ["3 -3 1.01 1300"]);
    // The number of places types the result, also where it is compared before constants are folded.
    assert_eq!(rows("select round(cast(1.234 as decimal(38,4)), 2) = 1.23, round(1.235, 2) = 1.24"), ["true true"]);
    assert_eq!(
        rows("select round(x, n) from (values (1.25::numeric(38,18), 1), (1250.5, -2)) as t(x, n)"),
        ["1.300000000000000000", "1300.000000000000000000"]
    );
    // 1.5^2 = 2.25, (-2.25)^2 = 5.0625
    assert_eq!(rows("select round(x * x, 1) from (values (1.5::numeric(38,18)), (-2.25)) as t(x)"), ["2.3", "5.1"]);
    assert_eq!(value("select round(99999999999999999999.999999999999999999::numeric(38,18))"), "100000000000000000000");
}

#[test]
fn signs_remainders_and_absolute_values() {
    assert_eq!(rows("select abs(-1.5 * 1.5), -(1.5 * 1.5), mod(-7.5, 2), mod(7, 4)"), ["2.25 -2.25 -1.5 3"]);
}
