//! The deliveries that the crash tests land, and what they must add up to, worked out apart from
//! the program in whole numbers of 10^-18.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A decimal amount in units of 10^-18.
pub(super) type Units = i128;

/// What the test calls a slice: billing account and first day of the billing period.
pub(super) type Slice = (String, String);

/// Units of one millionth, the last digit of the costs in the files.
const MILLIONTH: Units = 1_000_000_000_000;

/// The slices of every delivery.
const SLICES: [(&str, &str); 3] =
    [("account-a", "2026-05-01"), ("account-b", "2026-05-01"), ("account-b", "2026-06-01")];

/// Who owns account-a: under the reseller, or bought from the root directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Alpha,
    Beta,
}

impl Owner {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Alpha => Self::Beta,
            Self::Beta => Self::Alpha,
        }
    }

    pub(super) fn node(self) -> &'static str {
        match self {
            Self::Alpha => "alpha",
            Self::Beta => "beta",
        }
    }
}

/// What the provider said at one time; the higher number is the newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delivery(pub(super) u32);

/// Rows of a slice and their exact cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) rows: i64,
    pub(super) cost: Units,
}

impl Delivery {
    fn rows(self, slice: usize) -> u32 {
        60 + (self.0 + u32::try_from(slice).unwrap_or_default()) % 20
    }

    /// Millionths: 1.000007 and up, other digits in every delivery.
    fn cost(self, slice: usize, row: u32) -> i128 {
        let slice = i128::try_from(slice).unwrap_or_default();
        let (number, row) = (i128::from(self.0), i128::from(row));
        1_000_007 + number * 13_000_019 % 97_000_003 + slice * 5_000_011 + row * 770_017
    }

    /// What each slice must hold when this is what it holds.
    pub(super) fn sums(self) -> BTreeMap<Slice, Sums> {
        (0..SLICES.len())
            .map(|slice| {
                let (account, period) = SLICES[slice];
                let rows = self.rows(slice);
                let cost = (0..rows).map(|row| self.cost(slice, row)).sum::<i128>() * MILLIONTH;
                ((account.to_owned(), period.to_owned()), Sums { rows: i64::from(rows), cost })
            })
            .collect()
    }

    /// Writes the provider's file.
    pub(super) fn write(self, directory: &Path) -> PathBuf {
        let mut text = String::from(
            "BilledCost,BillingAccountId,BillingCurrency,BillingPeriodEnd,BillingPeriodStart,ChargeCategory,ChargePeriodEnd,\
             ChargePeriodStart,ConsumedQuantity,ConsumedUnit,ContractedCost,EffectiveCost,ListCost,ProviderName,ServiceCategory,\
             ServiceName,SkuId,ResourceId,SubAccountId,ChargeDescription,InvoiceIssuerName,ChargeFrequency\n",
        );
        for (slice, (account, period)) in SLICES.into_iter().enumerate() {
            let (month, after) = match period {
                "2026-05-01" => ("2026-05", "2026-06-01"),
                _ => ("2026-06", "2026-07-01"),
            };
            for row in 0..self.rows(slice) {
                let millionths = self.cost(slice, row);
                let cost = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
                let (day, service) = (row % 28 + 1, ["Compute", "Storage"][usize::from(row % 3 == 0)]);
                writeln!(
                    text,
                    "{cost},{account},USD,{after} 00:00:00,{period} 00:00:00,Usage,{month}-{day:02} 01:00:00,{month}-{day:02} 00:00:00,\
                     {row},Hours,{cost},{cost},{cost},AWS,{service},{service},sku-{},resource-{row},sub-{},use,AWS,Usage-Based",
                    row % 5,
                    row % 3,
                )
                .expect("text grows");
            }
        }
        let path = directory.join(format!("delivery-{:04}.csv", self.0));
        std::fs::write(&path, text).expect("the provider's file is written");
        path
    }
}

/// What the root gets for a cost: its card for the reseller adds 5 percent, the one for beta 10.
pub(super) fn price(account: &str, owner: Owner, cost: Units) -> Units {
    match (account, owner) {
        ("account-a", Owner::Alpha) => cost / 100 * 105,
        _ => cost / 100 * 110,
    }
}

/// The documents of May by seller and buyer, with the unrounded charges behind each. The
/// reseller's card adds 20 percent to its own cost.
pub(super) fn invoices(delivery: Delivery, owner: Owner) -> BTreeMap<(String, String), Units> {
    let sums = delivery.sums();
    let cost = |account: &str| sums[&(account.to_owned(), "2026-05-01".to_owned())].cost;
    let (a, b) = (cost("account-a"), cost("account-b"));
    let edge = |seller: &str, buyer: &str, charges| ((seller.to_owned(), buyer.to_owned()), charges);
    match owner {
        Owner::Alpha => BTreeMap::from([
            edge("root", "reseller", a / 100 * 105),
            edge("reseller", "alpha", a / 10_000 * 105 * 120),
            edge("root", "beta", b / 100 * 110),
        ]),
        Owner::Beta => BTreeMap::from([edge("root", "beta", (a + b) / 100 * 110)]),
    }
}

/// An amount rounded to cents, half to even.
pub(super) fn cents(amount: Units) -> Units {
    const CENT: Units = 10_000_000_000_000_000;
    let (whole, rest) = (amount.div_euclid(CENT), amount.rem_euclid(CENT));
    let up = match (2 * rest).cmp(&CENT) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => whole.rem_euclid(2),
        std::cmp::Ordering::Greater => 1,
    };
    (whole + up) * CENT
}

/// Reads decimal text exactly.
pub(super) fn units(text: &str) -> Units {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    assert!(part.len() <= 18, "{text} has more than 18 digits after the point");
    let number: Units = format!("{whole}{part:0<18}").parse().expect("a decimal");
    sign * number
}

#[test]
fn the_arithmetic_of_the_crash_tests_holds() {
    assert_eq!(units("-1.5"), -1_500_000_000_000_000_000);
    assert_eq!(units("24450.38385"), 24_450_383_850_000_000_000_000);
    // 0.125 and 0.135: the even cent of 0.12 | 0.13 and of 0.13 | 0.14.
    assert_eq!((cents(units("0.125")), cents(units("0.135"))), (units("0.12"), units("0.14")));
    // 100.000001 at 5 percent and then 20: 105.00000105, 126.00000126.
    assert_eq!(price("account-a", Owner::Alpha, units("100.000001")), units("105.00000105"));
    assert_eq!(units("100.000001") / 10_000 * 105 * 120, units("126.00000126"));
}
