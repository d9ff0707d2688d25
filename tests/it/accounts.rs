//! The accounts: whatever happened, their sums are what logs and receipts say, read here by the story itself.

use std::collections::{BTreeMap, BTreeSet};

use alloy::consensus::Transaction;
use alloy::network::TransactionResponse;
use alloy::primitives::{Address, U256};
use alloy::providers::Provider;
use alloy::rpc::types::{BlockTransactions, Filter};
use alloy::sol_types::SolEventInterface;
use preauthd::chain::PreauthEscrow::PreauthEscrowEvents;
use serde_json::Value;

use crate::harness::chain::{Token, rfc3339};
use crate::harness::world::invoice;
use crate::harness::{Api, Plan, World, units, until};

/// Day, token, receiver; and what happened there, how often, to how many base units.
type Books = BTreeMap<(String, Address, Address), BTreeMap<&'static str, (u64, U256)>>;

/// What both the logs and the accounts tell.
const TOLD: [&str; 6] = ["held", "settled", "remainder", "cancelled", "expired", "deferred"];

fn enter(books: &mut Books, key: &(String, Address, Address), what: &'static str, units: U256) {
    let entry = books.entry(key.clone()).or_default().entry(what).or_default();
    *entry = (entry.0 + 1, entry.1 + units);
}

fn day_of(timestamp: u64) -> String {
    rfc3339(i64::try_from(timestamp).expect("a time"))[..10].to_owned()
}

/// The accounts as the escrow's logs tell them.
async fn books_of_the_chain(world: &World) -> Books {
    let filter = Filter::new().address(world.ready.escrow).from_block(0);
    let logs = world.chain.provider.get_logs(&filter).await.expect("logs");
    let (mut books, mut holds) = (Books::new(), BTreeMap::new());
    for log in logs {
        let number = log.block_number.expect("a block");
        let block = world.chain.provider.get_block_by_number(number.into()).await.expect("a node");
        let day = day_of(block.expect("a block").header.timestamp);
        let Ok(event) = PreauthEscrowEvents::decode_log(&log.inner) else { continue };
        let (preauth_id, closes) = match event.data {
            PreauthEscrowEvents::Authorized(event) => {
                let hold = U256::from(event.hold);
                holds.insert(event.preauthId, (event.token, event.receiver, hold));
                enter(&mut books, &(day, event.token, event.receiver), "held", hold);
                continue;
            }
            PreauthEscrowEvents::Settled(event) => {
                (event.preauthId, ("settled", Some(U256::from(event.amount))))
            }
            PreauthEscrowEvents::Cancelled(event) => (event.preauthId, ("cancelled", None)),
            PreauthEscrowEvents::Expired(event) => (event.preauthId, ("expired", None)),
            PreauthEscrowEvents::RefundDeferred(event) => {
                (event.preauthId, ("deferred", Some(U256::from(event.amount))))
            }
            _ => continue,
        };
        let (token, receiver, hold) = holds[&preauth_id];
        let (what, amount) = closes;
        let key = (day, token, receiver);
        enter(&mut books, &key, what, amount.unwrap_or(hold));
        if let ("settled", Some(paid)) = (what, amount)
            && paid < hold
        {
            enter(&mut books, &key, "remainder", hold - paid);
        }
    }
    books
}

/// The accounts as the daemon reports them.
fn books_of(lines: &[Value]) -> Books {
    let mut books = Books::new();
    for line in lines {
        let address = |name: &str| line[name].as_str().expect("an address").parse().expect("an address");
        let key = (
            line["day"].as_str().expect("a day").to_owned(),
            address("contractAddress"),
            address("receiver"),
        );
        for what in TOLD {
            let (count, units) = total(line, what);
            if count > 0 {
                let entry = books.entry(key.clone()).or_default().entry(what).or_default();
                *entry = (entry.0 + count, entry.1 + units);
            }
        }
    }
    books
}

fn total(line: &Value, what: &str) -> (u64, U256) {
    let total = &line[what];
    let units = total["baseUnits"].as_str().expect("base units").parse().expect("a number");
    (total["count"].as_u64().expect("a count"), units)
}

fn sum(lines: &[Value], what: &str) -> (u64, U256) {
    lines
        .iter()
        .map(|line| total(line, what))
        .fold((0, U256::ZERO), |all, one| (all.0 + one.0, all.1 + one.1))
}

fn gas_cost(lines: &[Value]) -> U256 {
    lines
        .iter()
        .map(|line| line["gasCostWei"].as_str().expect("wei").parse::<U256>().expect("a number"))
        .sum()
}

/// What the operators paid for transactions to the escrow, by the receipts.
async fn paid_for_gas(world: &World) -> U256 {
    let operators: BTreeSet<Address> = world.chain.operators().await.into_iter().collect();
    let mut sum = U256::ZERO;
    for number in 0..=world.chain.head().await.0 {
        let block = world.chain.provider.get_block_by_number(number.into()).full().await.expect("a node");
        let BlockTransactions::Full(transactions) = block.expect("a block").transactions else { continue };
        for sent in transactions {
            if operators.contains(&sent.from()) && sent.to() == Some(world.ready.escrow) {
                let hash = sent.tx_hash();
                let receipt = world.chain.provider.get_transaction_receipt(hash).await.expect("a node");
                let receipt = receipt.expect("a receipt");
                sum += U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price);
            }
        }
    }
    sum
}

/// Every page of a tenant's accounts.
async fn report(api: &Api, query: &str) -> Vec<Value> {
    let (mut lines, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/reports/settlements?{query}{cursor}")).await.is(200);
        lines.extend(page.body["data"].as_array().expect("a list").clone());
        match page.body["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return lines,
        }
    }
}

#[tokio::test]
async fn the_accounts_are_what_the_chain_says() {
    let world = World::start(Plan::on_node("0.2").replacing_after("1")).await;
    let from = day_of(world.chain.now().await);

    // Settled in part, cancelled, and, by another tenant, settled with a tip.
    let sale = world.sale().await;
    let name = world.authorized(&sale, "10").await;
    world.api.settle(&name, "7.5").await.is(200);
    let name = world.authorized(&sale, "3").await;
    world.api.cancel(&name).await.is(200);
    let tenant = world.tenant().await;
    world.cli(&["tenant", "set", &tenant.name, "--tip-bps", "1000"]).await;
    let tipping = world.sale_of(&tenant).await;
    let name = invoice("TIP");
    world.create_by(&tenant.api, &name, &tipping).amount("100").send().await.is(201);
    tenant.api.settle(&name, "108").await.is(200);

    // A token that refuses the refund.
    let (moody, token) = world.sale_in_moody_token().await;
    let name = invoice("MOOD");
    world.create(&name, &moody).token(token).amount("10").send().await.is(201);
    let (account, receiver) = (moody.sender.address, moody.receiver);
    world.chain.act(receiver, token, Token::blockCall { account, isBlocked: true }).await;
    assert_eq!(world.api.cancel(&name).await.is(200).status, 200);
    assert_eq!(world.api.preauth(&name).await.text("refundClaimable"), "10");

    // Two locks in one transaction, whose fees are raised before it is mined.
    let other = world.sale().await;
    world.chain.hold_still().await;
    let names = [invoice("TWO"), invoice("TWO")];
    world.create(&names[0], &sale).amount("1.000001").respond_async().send().await.is(202);
    world.create(&names[1], &other).amount("2").respond_async().send().await.is(202);
    until("its fees are raised", || async {
        world.api.metric("preauthd_replacements_total").await.filter(|count| *count > 0.0)
    })
    .await;
    world.chain.mine_every(1).await;
    for name in &names {
        world.becomes(name, "AUTHORIZED").await;
    }

    // A lock that fails on chain costs gas and moves nothing.
    world.chain.hold_still().await;
    let failing = invoice("FAIL");
    world.create(&failing, &other).amount("2").respond_async().send().await.is(202);
    world.chain.until_waiting(1).await;
    world.chain.overtake_with_approval(other.sender.address, U256::ZERO).await;
    world.becomes(&failing, "REJECTED").await;

    // A settlement that a reorg undoes, and that is made again.
    let settling = world.api.post_async(&format!("/onchain-preauth/{}/settle", names[0]), amount("1")).await;
    assert_eq!(settling.status, 202, "{}", settling.body);
    world.chain.until_waiting(1).await;
    world.chain.mine().await;
    world.becomes(&names[0], "SETTLED").await;
    world.until_daemon_stands_at_the_head().await;
    world.chain.reorg(1).await;
    world.becomes(&names[0], "AUTHORIZED").await;
    world.chain.mine_every(1).await;
    world.becomes(&names[0], "SETTLED").await;

    // The next day: what nobody settled has expired.
    world.advance(24 * 60 * 60 + 1).await;
    world.becomes(&names[1], "EXPIRED").await;
    let name = world.authorized(&sale, "5").await;
    world.until_settled_down(&name).await;
    world.chain.hold_still().await;
    world.until_daemon_stands_at_the_head().await;

    let to = day_of(world.chain.now().await);
    assert_ne!(from, to);
    let query = format!("from={from}&to={to}");
    let (ours, theirs) = (report(&world.api, &query).await, report(&tenant.api, &query).await);
    let all = [ours.clone(), theirs.clone()].concat();
    assert_eq!(books_of(&all), books_of_the_chain(&world).await);
    assert_eq!(gas_cost(&all), paid_for_gas(&world).await, "every wei is somebody's");

    // What the chain does not know: amounts without the room for a tip.
    assert_eq!(sum(&theirs, "authorized"), (1, units("100")));
    assert_eq!((sum(&theirs, "tipped"), sum(&theirs, "settled")), ((1, units("8")), (1, units("108"))));
    assert_eq!(sum(&ours, "authorized"), (6, units("31.000001")));
    assert_eq!((sum(&ours, "tipped"), sum(&ours, "claimable")), ((0, U256::ZERO), (1, units("10"))));
    assert_eq!(
        sum(&ours, "released").1,
        units("2.5") + units("3") + units("10") + units("0.000001") + units("2")
    );

    // The same for each preauthorization, for one token, for one receiver, from the command line, and in CSV.
    let single = report(&world.api, &format!("{query}&by=invoice")).await;
    assert_eq!((books_of(&single), gas_cost(&single)), (books_of(&ours), gas_cost(&ours)));
    let rejected =
        single.iter().find(|line| line["invoiceId"] == failing.as_str()).expect("it cost something");
    assert_eq!((total(rejected, "held").0, &rejected["calls"]), (0, &1.into()));
    let in_moody = report(&world.api, &format!("{query}&token={token}")).await;
    assert_eq!(sum(&in_moody, "held"), (1, units("10")));
    let of_other = report(&world.api, &format!("{query}&receiver={}", other.receiver)).await;
    assert_eq!(sum(&of_other, "expired"), (1, units("2")));
    let told = world.cli(&["report", "settlements", "--from", &from, "--to", &to]).await;
    let told = told.as_array().expect("a list");
    assert_eq!((books_of(told), gas_cost(told)), (books_of(&all), gas_cost(&all)));
    let csv = world.try_cli(&["report", "settlements", "--from", &from, "--to", &to, "--csv"]).await;
    let csv = String::from_utf8(csv.stdout).expect("text");
    assert_eq!(csv.lines().count(), all.len() + 1, "{csv}");
    let answered = world.api.get(&format!("/reports/settlements?{query}&format=csv")).await.is(200);
    let answered = answered.body.as_str().expect("text").to_owned();
    assert_eq!(answered.lines().count(), ours.len() + 1, "{answered}");
    assert!(answered.lines().all(|line| csv.contains(line.trim_end())), "{answered}\n{csv}");
}

#[tokio::test]
async fn what_is_asked_for_is_checked() {
    let world = World::shared().await;
    for (query, words) in [
        ("", "from must be a day"),
        ("from=2026-03-01", "to must be a day"),
        ("from=2026-03-01&to=2026-02-28", "to must not be before from"),
        ("from=2026-03-01&to=2027-03-02", "to must be within 366 days"),
        ("from=2026-3-1&to=2026-03-02", "from must be a day"),
        ("from=2026-03-01&to=2026-03-02&token=0x1", "token"),
        ("from=2026-03-01&to=2026-03-02&format=xml", "format must be json or csv"),
        ("from=2026-03-01&to=2026-03-02&cursor=00", "cursor must be"),
    ] {
        world.api.get(&format!("/reports/settlements?{query}")).await.refused_naming(400, words);
    }
    let nothing = world.api.get("/reports/settlements?from=2001-01-01&to=2001-12-31").await.is(200);
    assert_eq!(nothing.body["data"], serde_json::json!([]));
    world.api.with_key("").get("/reports/settlements?from=2001-01-01&to=2001-12-31").await.denied(401);
}

#[tokio::test]
async fn a_refund_that_was_put_off_is_shown_until_its_sender_has_it() {
    let world = World::start(Plan::on_node("0.2")).await;
    let (moody, token) = world.sale_in_moody_token().await;
    let from = day_of(world.chain.now().await);
    let open = format!("preauthd_claims_open{{token=\"{token}\"}}");
    let units_open = format!("preauthd_claims_open_base_units{{token=\"{token}\"}}");
    let block = |is_blocked| Token::blockCall { account: moody.sender.address, isBlocked: is_blocked };
    let names = [invoice("MOOD"), invoice("MOOD")];
    for name in &names {
        world.create(name, &moody).token(token).amount("10").send().await.is(201);
    }
    world.chain.act(moody.receiver, token, block(true)).await;
    world.api.cancel(&names[0]).await.is(200);
    world.api.settle(&names[1], "7.5").await.is(200);

    // Both wait, for their tenant alone to see, and the daemon's claim is refused without a transaction.
    let first = world.api.get("/claims?limit=1").await.is(200);
    assert_eq!(
        (&first.body["data"][0]["invoiceId"], &first.body["hasMore"]),
        (&names[0].as_str().into(), &true.into())
    );
    let second = world.api.get(&format!("/claims?cursor={}", first.text("nextCursor"))).await.is(200);
    let rest = &second.body["data"][0];
    assert_eq!(
        (&rest["invoiceId"], &rest["amount"], &rest["baseUnits"]),
        (&names[1].as_str().into(), &"2.5".into(), &"2500000".into())
    );
    let stranger = world.tenant().await;
    assert_eq!(stranger.api.get("/claims").await.is(200).body["data"], serde_json::json!([]));
    until("the numbers show both", || async {
        (world.api.metric(&open).await == Some(2.0)
            && world.api.metric(&units_open).await == Some(12_500_000.0))
        .then_some(())
    })
    .await;

    // The token lets him again: he is paid without anybody's asking.
    world.chain.act(moody.receiver, token, block(false)).await;
    until("the sender has what is his", || async {
        (world.chain.balance_of(token, moody.sender.address).await == units("992.5")).then_some(())
    })
    .await;
    let none_waits = || async {
        let claims = world.api.get("/claims").await.is(200);
        claims.body["data"].as_array().expect("a list").is_empty().then_some(())
    };
    until("no refund waits", none_waits).await;
    until("the number is zero", || async { (world.api.metric(&open).await == Some(0.0)).then_some(()) })
        .await;
    let log = world.log();
    assert_eq!(
        log.matches("a refund that was put off is claimed for its sender").count(),
        1,
        "one claim pays both"
    );

    // A reorg that undoes the claim: it is sent again.
    world.chain.hold_still().await;
    world.until_daemon_stands_at_the_head().await;
    let (head, _) = world.chain.head().await;
    let claimed = world.chain.block_of_the_claim().await;
    world.chain.reorg(head - claimed + 1).await;
    until("both wait again", || async {
        let claims = world.api.get("/claims").await.is(200);
        (claims.body["data"].as_array().expect("a list").len() == 2).then_some(())
    })
    .await;
    world.chain.mine_every(1).await;
    until("no refund waits", none_waits).await;
    world.chain.hold_still().await;
    world.until_daemon_stands_at_the_head().await;

    // What it cost is in the accounts of those it was for.
    let query = format!("from={from}&to={}", day_of(world.chain.now().await));
    let lines = report(&world.api, &query).await;
    assert_eq!(gas_cost(&lines), paid_for_gas(&world).await);
    assert_eq!((sum(&lines, "deferred"), sum(&lines, "claimable")), ((2, units("12.5")), (0, U256::ZERO)));
}

fn amount(amount: &str) -> Value {
    serde_json::json!({ "amount": amount })
}
