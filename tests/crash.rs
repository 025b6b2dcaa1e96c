//! 200 `kill -9` at random instants of landing, refresh, close and collection by the real program.
//!
//! After every kill the warehouse is opened anew and must be in exactly the old state or exactly
//! the new one: sums by exact decimals against those worked out apart from the program, usage,
//! charges and roll-ups in agreement slice by slice, documents whole, snapshots and numbers
//! without gaps, no listed file missing. The same command run again must end in the new state. At
//! the end the audit chain holds, and collection removes what the killed runs left and nothing else.
//!
//! Instants come from a seed, which is printed: `RATEHOUSE_CRASH_SEED=7 cargo test crash`.

#![cfg(unix)]

#[path = "crash/deliveries.rs"]
mod deliveries;
#[path = "crash/house.rs"]
mod house;
#[path = "crash/state.rs"]
mod state;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use deliveries::{Delivery, Owner, Slice, cents, invoices, price};
use house::{Ending, House};
use state::{SliceState, State};

/// Kills of each command.
const LANDING_KILLS: u32 = 90;
const REFRESH_KILLS: u32 = 50;
const CLOSE_KILLS: u32 = 50;
const COLLECTION_KILLS: u32 = 10;
/// A broken chain stays broken, so it is enough to verify it now and then.
const VERIFY_EVERY: u32 = 15;

/// How the runs of a test ended.
#[derive(Debug, Default)]
struct Tally {
    killed: u32,
    finished: u32,
    left_old: u32,
    left_new: u32,
}

/// A warehouse, what must be in it, and where the kills come from.
struct World {
    house: House,
    files: PathBuf,
    newest: Delivery,
    owner: Owner,
    seed: u64,
    random: u64,
    /// How long the command takes when it is left alone, newest last.
    times: Vec<Duration>,
    tally: Tally,
}

impl World {
    /// A priced warehouse that holds the first delivery.
    fn build(salt: u64) -> Self {
        let seed =
            std::env::var("RATEHOUSE_CRASH_SEED").map_or(20_261_121, |text| text.parse().expect("a whole number"));
        let house = House::build();
        let files = house.folder("provider");
        let mut world = Self {
            house,
            files,
            newest: Delivery(0),
            owner: Owner::Alpha,
            seed,
            random: seed ^ salt,
            times: Vec::new(),
            tally: Tally::default(),
        };
        world.land();
        world
    }

    /// The next number of a splitmix64 sequence, in [0, 1).
    fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let high = u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or_default();
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }

    /// Lands the next delivery undisturbed.
    fn land(&mut self) {
        self.newest = Delivery(self.newest.0 + 1);
        let file = self.newest.write(&self.files);
        self.house.run(&["land", self.house.path(), file.to_str().expect("a text")]);
    }

    /// Gives account-a to the other customer: its slice becomes stale.
    fn change_owner(&mut self) {
        self.owner = self.owner.other();
        let node = self.owner.node();
        self.house.sql(&format!("update ref.accounts set node_id = '{node}' where billing_account_id = 'account-a'"));
    }

    /// Kills a run of the command at a random instant of its usual duration.
    fn kill(&mut self, arguments: &[&str]) -> Ending {
        let recent = self.times.len().saturating_sub(5);
        let mut times = self.times[recent..].to_vec();
        times.sort_unstable();
        let usual = times.get(times.len() / 2).copied().unwrap_or(Duration::from_millis(200));
        // Every second kill comes about when the run commits, which is near its end.
        let part = if self.random() < 0.5 { self.random() } else { 0.75 + 0.2 * self.random() };
        let after = usual.mul_f64(part);
        let ending = self.house.kill(arguments, after);
        match ending {
            Ending::Killed => self.tally.killed += 1,
            Ending::Finished => self.tally.finished += 1,
        }
        ending
    }

    /// Runs the command again, undisturbed; its time counts if it had all of the work to do.
    fn again(&mut self, arguments: &[&str], left_new: bool) -> String {
        let (text, took) = self.house.timed(arguments);
        if left_new {
            self.tally.left_new += 1;
        } else {
            self.tally.left_old += 1;
            self.times.push(took);
        }
        if (self.tally.killed + self.tally.finished).is_multiple_of(VERIFY_EVERY) {
            self.house.run(&["verify", self.house.path()]);
        }
        text
    }

    /// Whether the test is not done; runs that outpace their kills do not count for ever.
    fn goes_on(&self, kills: u32) -> bool {
        assert!(self.tally.finished < 50 + kills, "the kills come too late: {:?}", self.tally);
        self.tally.killed < kills
    }

    /// What must hold at the end of every test.
    fn end(self, what: &str) {
        let before = State::read(&self.house);
        let unlisted = before.unlisted(&self.house);
        // Their writers may still be at work, for all that collection knows.
        self.house.run(&["clean", self.house.path()]);
        assert_eq!(before.unlisted(&self.house), unlisted, "a young object was removed");
        self.house.age_objects();
        self.house.run(&["clean", self.house.path()]);
        let after = State::read(&self.house);
        assert_eq!(after.unlisted(&self.house), Vec::<String>::new(), "orphans are left");
        assert_eq!(after, before, "collection touched what is listed");
        self.house.run(&["verify", self.house.path()]);
        println!(
            "{what}: seed {}, {:?}, {} snapshots, {} orphans removed, {} files kept",
            self.seed,
            self.tally,
            after.snapshots,
            unlisted.len(),
            after.listed.len()
        );
        assert!(self.tally.left_old > 0, "no kill came early enough");
    }
}

/// The slices when they hold a delivery and account-a belongs to `owner`.
fn slices(delivery: Delivery, owner: Owner) -> BTreeMap<Slice, SliceState> {
    let state = |(slice, sums): (Slice, deliveries::Sums)| {
        let price = price(&slice.0, owner, sums.cost);
        (slice, SliceState { sums, price, is_stale: false })
    };
    delivery.sums().into_iter().map(state).collect()
}

/// The same after account-a was given to another owner and before its slice is rated anew.
fn stale(delivery: Delivery, before: Owner) -> BTreeMap<Slice, SliceState> {
    let mut slices = slices(delivery, before);
    for (slice, state) in &mut slices {
        state.is_stale = slice.0 == "account-a";
    }
    slices
}

#[test]
fn a_killed_landing_leaves_the_old_delivery_or_the_new_one() {
    let mut world = World::build(1);
    let mut before = State::read(&world.house);
    assert_eq!(before.slices, slices(world.newest, world.owner));
    while world.goes_on(LANDING_KILLS) {
        let next = Delivery(world.newest.0 + 1);
        let file = next.write(&world.files);
        let directory = world.house.path().to_owned();
        let command = ["land", &directory, file.to_str().expect("a text")];
        let ending = world.kill(&command);
        let left = State::read(&world.house);
        let is_new = left.deliveries == before.deliveries + 1;
        assert!(is_new || (ending == Ending::Killed && left == before), "neither the old state nor the new one");
        let said = world.again(&command, is_new);
        assert_eq!(said.contains("landed before"), is_new, "{said}");
        world.newest = next;
        let after = State::read(&world.house);
        assert_eq!(after.slices, slices(next, world.owner));
        assert_eq!((after.snapshots, after.deliveries), (before.snapshots + 1, before.deliveries + 1));
        if is_new {
            assert_eq!(left, after, "landing the same again changed something");
        }
        before = after;
    }
    world.end("landing");
}

#[test]
fn a_killed_refresh_leaves_the_old_prices_or_the_new_ones() {
    let mut world = World::build(2);
    let mut before = State::read(&world.house);
    while world.goes_on(REFRESH_KILLS) {
        let old = world.owner;
        world.change_owner();
        before.slices = stale(world.newest, old);
        before.snapshots += 1;
        let directory = world.house.path().to_owned();
        let command = ["sql", &directory, "-c", "call refresh()"];
        let ending = world.kill(&command);
        let left = State::read(&world.house);
        let is_new = left.slices == slices(world.newest, world.owner);
        assert!(is_new || (ending == Ending::Killed && left == before), "neither the old state nor the new one");
        world.again(&command, is_new);
        let after = State::read(&world.house);
        assert_eq!(after.slices, slices(world.newest, world.owner));
        assert_eq!(after.snapshots, before.snapshots + 1);
        before = after;
    }
    world.end("refresh");
}

/// Documents are those of a delivery and an owner, to the last digit.
fn are_documents_of(state: &State, delivery: Delivery, owner: Owner) -> bool {
    let charges: BTreeMap<_, _> =
        state.invoices.iter().map(|(edge, invoice)| (edge.clone(), invoice.charges)).collect();
    charges == invoices(delivery, owner)
}

#[test]
fn a_killed_close_leaves_the_old_documents_or_the_new_ones() {
    let mut world = World::build(3);
    let directory = world.house.path().to_owned();
    let command = ["close", directory.as_str(), "2026-05"];
    world.house.run(&command);
    let mut rounds = 0;
    while world.goes_on(CLOSE_KILLS) {
        let old = (world.newest, world.owner);
        // By turns: another delivery, or prices to be worked out anew by the close itself.
        let expected = if rounds % 2 == 0 {
            world.land();
            slices(world.newest, world.owner)
        } else {
            world.change_owner();
            stale(world.newest, old.1)
        };
        rounds += 1;
        let before = State::read(&world.house);
        assert_eq!(before.slices, expected);
        assert!(are_documents_of(&before, old.0, old.1), "a close is not what it must be");
        let ending = world.kill(&command);
        let left = State::read(&world.house);
        let is_new = are_documents_of(&left, world.newest, world.owner);
        if is_new {
            assert_eq!(left.slices, slices(world.newest, world.owner), "documents of old charges");
        } else {
            assert_eq!(ending, Ending::Killed);
            assert_eq!(left.invoices, before.invoices, "neither the old documents nor the new ones");
            assert!(left.slices == before.slices || left.slices == slices(world.newest, world.owner));
        }
        world.again(&command, is_new);
        let after = State::read(&world.house);
        assert!(are_documents_of(&after, world.newest, world.owner), "closing again does not converge");
        assert_eq!(after.slices, slices(world.newest, world.owner));
        if is_new {
            assert_eq!(after.invoices, left.invoices, "closing again changed documents");
        }
    }
    world.end("close");
}

#[test]
fn a_killed_collection_removes_nothing_that_is_listed() {
    let mut world = World::build(4);
    let directory = world.house.path().to_owned();
    world.house.write_settings("keep_replaced_days = 0\n");
    let command = ["clean", directory.as_str()];
    while world.goes_on(COLLECTION_KILLS) {
        world.land();
        let before = State::read(&world.house);
        world.kill(&command);
        let left = State::read(&world.house);
        let is_new = left.listed != before.listed;
        world.again(&command, is_new);
        let after = State::read(&world.house);
        for state in [&left, &after] {
            assert_eq!(state.slices, slices(world.newest, world.owner));
            assert!(state.listed.is_subset(&before.listed));
        }
        // What the delivery before had, one file of each layer and slice and more, is forgotten.
        assert!(after.listed.len() < before.listed.len());
    }
    world.end("collection");
}

#[test]
fn cents_are_those_of_the_documents() {
    // 23,400.3819 at 5 and 20 percent is 29,484.481194, of which a document shows 29,484.48.
    assert_eq!(cents(deliveries::units("29484.481194")), deliveries::units("29484.48"));
}
