//! The same request sixty-four times at once: it has one effect, and every answer says what became of it.
//!
//! `PREAUTHD_ROUNDS=1000 cargo nextest run identical --no-capture` asks so often at each endpoint and prints a table.

use std::collections::HashMap;

use futures::future::join_all;
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::harness::chain::Effects;
use crate::harness::world::invoice;
use crate::harness::{Answer, Plan, Sale, Wallet, World};

/// Requests of one round.
const REQUESTS: usize = 64;
/// Rounds side by side.
const ABREAST: usize = 8;
/// Seconds by the chain's clock to a settlement that is scheduled; the rounds take less.
const LATER: i64 = 80_000;

fn rounds() -> usize {
    std::env::var("PREAUTHD_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(2)
}

/// What may be answered to the requests of a round.
struct Rule {
    /// The status of a success.
    success: u16,
    /// Whether everybody is told of the same success; else one is, and the others are refused.
    repeated: bool,
    /// Code and words of a refusal.
    refusals: &'static [(&'static str, &'static str)],
}

impl Rule {
    /// What is wrong with the answers of a round.
    fn broken_by(&self, answers: &[Answer]) -> Option<String> {
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == self.success);
        let improper = lost.iter().find(|answer| {
            let message = answer.body["errors"][0]["message"].as_str().unwrap_or_default();
            let proper = |(code, words): &(&str, &str)| answer.code() == *code && message.contains(words);
            answer.status != 409 || !self.refusals.iter().any(proper)
        });
        if let Some(improper) = improper {
            return Some(format!("answered {} {}", improper.status, improper.body));
        }
        let expected = if self.repeated { answers.len() } else { 1 };
        if won.len() != expected {
            return Some(format!("{} successes instead of {expected}", won.len()));
        }
        won.iter()
            .find(|answer| told(&answer.body) != told(&won[0].body))
            .map(|other| format!("two successes that differ: {} and {}", won[0].body, other.body))
    }
}

/// What a success says, without the time at which the row was last written.
fn told(body: &Value) -> Value {
    let mut body = body.clone();
    body.as_object_mut().map(|fields| fields.remove("updatedAt"));
    body
}

/// What was found at one endpoint.
#[derive(Default)]
struct Tally {
    rounds: usize,
    double: usize,
    stories: Vec<String>,
}

impl Tally {
    fn answered(&mut self, name: &str, rule: &Rule, answers: &[Answer]) {
        self.rounds += 1;
        self.stories.extend(rule.broken_by(answers).map(|story| format!("{name}: {story}")));
    }

    fn had(&mut self, name: &str, effects: usize) {
        if effects != 1 {
            self.double += usize::from(effects > 1);
            self.stories.push(format!("{name}: {effects} effects"));
        }
    }

    fn print(self, endpoint: &str) {
        println!("| endpoint | rounds | requests | double effects | improper answers |");
        println!(
            "| {endpoint} | {} | {} | {} | {} |",
            self.rounds,
            self.rounds * REQUESTS,
            self.double,
            self.stories.len()
        );
        assert!(self.stories.is_empty(), "{}", self.stories.join("\n"));
    }
}

async fn quick_world() -> (World, Sale) {
    let world = World::start(Plan::on_node("0.1")).await;
    let sale = world.sale().await;
    (world, sale)
}

/// Asks in all rounds, some of them side by side, and returns what each of them was about with its answers.
async fn in_rounds<T>(round: impl AsyncFn() -> (T, Vec<Answer>)) -> Vec<(T, Vec<Answer>)> {
    stream::iter(0..rounds()).map(|_| round()).buffer_unordered(ABREAST).collect().await
}

/// What became of the invoices on chain.
async fn judge(
    world: &World,
    endpoint: &str,
    rule: &Rule,
    asked: Vec<(String, Vec<Answer>)>,
    effects_of: fn(&Effects) -> u32,
) {
    let mut tally = Tally::default();
    let effects = world.chain.effects_of_all().await;
    for (name, answers) in asked {
        tally.answered(&name, rule, &answers);
        let effects = effects.get(&world.preauth_id(&name).await).copied().unwrap_or_default();
        assert!(effects.locked == 1 && effects.closed() <= 1, "{name}: {effects:?}");
        tally.had(&name, usize::try_from(effects_of(&effects)).expect("a count"));
    }
    world.assert_escrow_holds_what_is_open().await;
    assert!(!world.log().contains("panic"), "no panic");
    tally.print(endpoint);
}

#[tokio::test]
async fn sixty_four_identical_creations_lock_once() {
    let (world, sale) = quick_world().await;
    let asked = in_rounds(async || {
        let name = invoice("INV");
        let creations = (0..REQUESTS).map(|_| world.create(&name, &sale).amount("0.01").send());
        let answers = join_all(creations).await;
        (name, answers)
    });
    let asked = asked.await;
    let refusals = &[("invoice_exists", "Invoice already exists")];
    let rule = Rule { success: 201, repeated: false, refusals };
    judge(&world, "create", &rule, asked, |effects| effects.locked).await;
}

#[tokio::test]
async fn sixty_four_identical_settlements_pay_once() {
    let (world, sale) = quick_world().await;
    let asked = in_rounds(async || {
        let name = world.authorized(&sale, "0.02").await;
        let answers = join_all((0..REQUESTS).map(|_| world.api.settle(&name, "0.01"))).await;
        (name, answers)
    });
    let asked = asked.await;
    let refusals = &[("operation_pending", "settle"), ("invalid_state", "Invalid settlement state: SETTLED")];
    let rule = Rule { success: 200, repeated: false, refusals };
    judge(&world, "settle", &rule, asked, |effects| effects.settled).await;
}

#[tokio::test]
async fn sixty_four_identical_cancellations_return_once() {
    let (world, sale) = quick_world().await;
    let asked = in_rounds(async || {
        let name = world.authorized(&sale, "0.01").await;
        let answers = join_all((0..REQUESTS).map(|_| world.api.cancel(&name))).await;
        (name, answers)
    });
    let asked = asked.await;
    // Repeating a cancellation gives the same answer.
    let rule = Rule { success: 200, repeated: true, refusals: &[] };
    judge(&world, "cancel", &rule, asked, |effects| effects.cancelled).await;
}

#[tokio::test]
async fn sixty_four_identical_schedules_pay_once() {
    let (world, sale) = quick_world().await;
    let later = world.chain.in_seconds(LATER).await;
    let asked = in_rounds(async || {
        let name = world.authorized(&sale, "0.02").await;
        let answers = join_all((0..REQUESTS).map(|_| world.api.settle_at(&name, "0.01", &later))).await;
        (name, answers)
    });
    let asked = asked.await;
    assert!(world.chain.in_seconds(0).await < later, "the rounds were over before the settlements fell due");
    world.advance(LATER.unsigned_abs()).await;
    for (name, _) in &asked {
        world.becomes(name, "SETTLED").await;
    }
    // Scheduling again replaces a schedule with its like.
    let rule = Rule { success: 202, repeated: true, refusals: &[] };
    judge(&world, "settle with settleAt", &rule, asked, |effects| effects.settled).await;
}

#[tokio::test]
async fn sixty_four_identical_withdrawals_withdraw_once() {
    let (world, sale) = quick_world().await;
    let later = world.chain.in_seconds(LATER).await;
    let asked = in_rounds(async || {
        let name = world.authorized(&sale, "0.01").await;
        world.api.settle_at(&name, "0.01", &later).await.is(202);
        let answers = join_all((0..REQUESTS).map(|_| world.api.withdraw_settlement(&name))).await;
        (name, answers)
    });
    let asked = asked.await;
    // Once this one is settled, the others would be, too, had they not been withdrawn.
    let witness = world.authorized(&sale, "0.01").await;
    world.api.settle_at(&witness, "0.01", &later).await.is(202);
    world.advance(LATER.unsigned_abs()).await;
    world.becomes(&witness, "SETTLED").await;
    // Its one effect is that the hold stays open; two would be a payment after all.
    let rule = Rule { success: 200, repeated: false, refusals: &[("nothing_scheduled", "")] };
    judge(&world, "withdraw settlement", &rule, asked, |effects| 1 + effects.settled).await;
}

#[tokio::test]
async fn sixty_four_identical_registrations_register_once() {
    let (world, _) = quick_world().await;
    let admin = world.admin();
    let asked = in_rounds(async || {
        let address = Wallet::new().address.to_string();
        let body = json!({ "address": address, "role": "sender" });
        let answers = join_all((0..REQUESTS).map(|_| admin.post("/wallets", body.clone()))).await;
        (address, answers)
    });
    let asked = asked.await;
    let registered = registered(&world).await;
    // Registering again changes nothing.
    let rule = Rule { success: 201, repeated: true, refusals: &[] };
    let mut tally = Tally::default();
    for (address, answers) in asked {
        tally.answered(&address, &rule, &answers);
        tally.had(&address, registered.get(&address).copied().unwrap_or_default());
    }
    tally.print("register wallet");
}

/// How often each wallet is listed.
async fn registered(world: &World) -> HashMap<String, usize> {
    let (mut listed, mut cursor) = (HashMap::new(), String::new());
    loop {
        let page = world.api.get(&format!("/wallets?role=sender&limit=100{cursor}")).await.is(200);
        for wallet in page.body["data"].as_array().expect("wallets") {
            *listed.entry(wallet["address"].as_str().expect("an address").to_owned()).or_default() += 1;
        }
        match page.body["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return listed,
        }
    }
}
