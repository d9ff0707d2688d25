//! Tokens that misbehave after the lock: paused, upgraded to answer `false`, to take a fee, or to burn all gas. What
//! cannot be done fails with its reason, what is the payer's becomes claimable, and neither stops its neighbours.

use alloy::hex;
use alloy::primitives::{Address, Bytes, U256};
use alloy::providers::Provider;
use alloy::sol_types::{SolCall, SolError};
use preauthd::chain::MoodyToken;
use tokio::task::JoinHandle;

use crate::harness::chain::{Token, number};
use crate::harness::world::invoice;
use crate::harness::{Answer, Eyes, Plan, Sale, World, units, until};

const CANNOT_START: &str = "Errors occurred while initializing transaction on chain";

/// A sale in a token with moods, beside one in an honest token.
struct Market {
    world: World,
    moody: (Sale, Address),
    honest: Sale,
}

impl Market {
    async fn open() -> Self {
        let world = World::start(Plan::on_node("0.2")).await;
        let moody = world.sale_in_moody_token().await;
        let honest = world.sale().await;
        Self { world, moody, honest }
    }

    fn token(&self) -> Address {
        self.moody.1
    }

    async fn moody_hold(&self) -> String {
        let name = invoice("INV");
        self.world.create(&name, &self.moody.0).token(self.token()).amount("10").send().await.is(201);
        name
    }

    /// Changes the token's mood.
    async fn mood(&self, call: impl SolCall) {
        self.world.chain.act(self.moody.0.receiver, self.token(), call).await;
    }

    /// A settlement of either token, both in one transaction that waits for a block; the chain holds still.
    async fn both_signed(&self, moody: &str, honest: &str) -> (JoinHandle<Answer>, JoinHandle<Answer>) {
        let (world, chain) = (&self.world, &self.world.chain);
        chain.hold_still().await;
        // Something is under way, so that both settlements gather for the next batch.
        let first = invoice("INV");
        world.create(&first, &self.honest).amount("1").respond_async().send().await.is(202);
        chain.until_waiting(1).await;
        let settling = |name: &str, amount: &'static str| {
            let (api, name) = (world.api.clone(), name.to_owned());
            tokio::spawn(async move { api.settle(&name, amount).await })
        };
        let answers = (settling(moody, "7"), settling(honest, "4"));
        for name in [moody, honest] {
            until("the settlement was accepted", || async {
                (world.api.preauth(name).await.body["pendingOperation"] == "settle").then_some(())
            })
            .await;
        }
        chain.mine().await;
        assert_eq!(chain.until_waiting(1).await.len(), 1, "one transaction carries both");
        answers
    }

    /// Changes the token's mood before what is signed is mined, and lets the chain go on.
    async fn turn_in_between(&self, mood: impl SolCall) {
        self.world.chain.overtake(self.moody.0.receiver, self.token(), mood).await;
        self.world.chain.mine_every(1).await;
    }

    async fn in_escrow(&self) -> U256 {
        self.world.chain.balance_of(self.token(), self.world.ready.escrow).await
    }
}

fn reason(answer: &Answer) -> String {
    answer.body["errors"][0]["detail"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_token_that_takes_more_gas_in_a_block_than_in_dry_runs_fails_nobody() {
    let market = Market::open().await;
    let (world, chain) = (&market.world, &market.world.chain);
    // More than is set aside for a lock that was not tried before, and less than its cap.
    market.mood(MoodyToken::setHungerCall { gas: U256::from(50_000) }).await;
    chain.hold_still().await;
    let first = invoice("INV");
    world.create(&first, &market.honest).amount("1").respond_async().send().await.is(202);
    chain.until_waiting(1).await;
    let names: Vec<String> = (0..40).map(|_| invoice("INV")).collect();
    for name in &names {
        let creation = world.create(name, &market.moody.0).token(market.token()).amount("1");
        creation.respond_async().send().await.is(202);
    }
    chain.mine().await;
    assert_eq!(chain.until_waiting(1).await.len(), 1, "one transaction carries all of them");
    chain.mine_every(1).await;
    for name in &names {
        world.becomes(name, "AUTHORIZED").await;
    }
    assert!(world.log().contains("succeeded=false"), "the gas sufficed, so nothing was put to the test");
    let transactions = chain.lock_transactions().await;
    assert!(transactions <= 6, "{transactions}");
}

#[tokio::test]
async fn a_paused_token_fails_its_own_settlement_and_not_its_neighbours() {
    let market = Market::open().await;
    let world = &market.world;
    let (name, neighbour) = (market.moody_hold().await, world.authorized(&market.honest, "5").await);
    let (failing, settling) = market.both_signed(&name, &neighbour).await;
    market.turn_in_between(Token::setPausedCall { isPaused: true }).await;
    settling.await.expect("an answer").is(200);
    let failed = failing.await.expect("an answer");
    failed.refused(500, "Settlement failed");
    let words =
        format!("the token refused with error {}", hex::encode_prefixed(MoodyToken::TokenPaused::SELECTOR));
    assert_eq!(reason(&failed), words);
    world.assert_paid(&market.honest, "4", "1").await;
    assert_eq!(market.in_escrow().await, units("10"), "the hold stays");
    assert_eq!(world.api.preauth(&name).await.text("status"), "AUTHORIZED");

    // Known before anything is signed from now on; and the others go on.
    let again = world.api.settle(&name, "7").await;
    again.refused(400, CANNOT_START);
    assert_eq!(reason(&again), reason(&failed));
    let other = world.authorized(&market.honest, "2").await;
    world.api.settle(&other, "2").await.is(200);

    market.mood(Token::setPausedCall { isPaused: false }).await;
    world.api.settle(&name, "7").await.is(200);
    assert_eq!(world.chain.balance_of(market.token(), market.moody.0.receiver).await, units("7"));
    assert_eq!(market.in_escrow().await, units("0"));
    world.assert_paid(&market.honest, "6", "1").await;
}

#[tokio::test]
async fn a_token_that_comes_to_answer_false_pays_nobody_and_keeps_nothing() {
    let market = Market::open().await;
    let world = &market.world;
    let (name, neighbour) = (market.moody_hold().await, world.authorized(&market.honest, "5").await);
    let soon = world.chain.in_seconds(3_000).await;
    let expiring = [invoice("INV"), invoice("INV")];
    let create = world.create(&expiring[0], &market.moody.0).token(market.token());
    create.amount("10").expires_at(&soon).send().await.is(201);
    world.create(&expiring[1], &market.honest).amount("3").expires_at(&soon).send().await.is(201);

    let (failing, settling) = market.both_signed(&name, &neighbour).await;
    market.turn_in_between(Token::setReturnFalseCall { answersFalse: true }).await;
    settling.await.expect("an answer").is(200);
    let failed = failing.await.expect("an answer");
    failed.refused(500, "Settlement failed");
    assert_eq!(reason(&failed), "the token refused the transfer", "{}", failed.body);
    assert_eq!(world.api.preauth(&name).await.text("status"), "AUTHORIZED");

    // What cannot be pushed is noted as the payer's, and the honest neighbour has his back.
    world.chain.pass(3_001).await;
    assert_eq!(world.becomes(&expiring[0], "EXPIRED").await.text("refundClaimable"), "10");
    assert!(world.becomes(&expiring[1], "EXPIRED").await.body["refundClaimable"].is_null());
    let cancelled = world.api.cancel(&name).await.is(200);
    assert_eq!((cancelled.text("status"), cancelled.text("refundClaimable")), ("CANCELLED", "10"));
    assert_eq!(market.in_escrow().await, units("20"), "nothing has moved");
    world.assert_paid(&market.honest, "4", "1").await;

    market.mood(Token::setReturnFalseCall { answersFalse: false }).await;
    world.chain.claim(market.moody.0.sender.address, market.token()).await;
    assert_eq!(world.chain.balance_of(market.token(), market.moody.0.sender.address).await, units("1000"));
}

#[tokio::test]
async fn a_token_that_comes_to_take_a_fee_takes_it_from_whom_it_pays() {
    let market = Market::open().await;
    let world = &market.world;
    let (settled, cancelled) = (market.moody_hold().await, market.moody_hold().await);
    market.mood(Token::setFeeBpsCall { newFeeBps: number(1_000) }).await;

    // The escrow lets go of what it held, no more: the fee is between the token and whoever is paid in it.
    world.api.settle(&settled, "6").await.is(200);
    world.api.cancel(&cancelled).await.is(200);
    let balance = |account| world.chain.balance_of(market.token(), account);
    assert_eq!(balance(market.moody.0.receiver).await, units("5.4"));
    assert_eq!(balance(market.moody.0.sender.address).await, units("992.6"));
    assert_eq!(market.in_escrow().await, units("0"));

    let refused = invoice("INV");
    let create = world.create(&refused, &market.moody.0).token(market.token()).amount("10");
    create.send().await.refused(500, "Failed to check preapproval");
    world.authorized(&market.honest, "1").await;
}

#[tokio::test]
async fn a_token_that_comes_to_burn_all_gas_stops_nobody_else() {
    let market = Market::open().await;
    let world = &market.world;
    let (name, neighbour) = (market.moody_hold().await, world.authorized(&market.honest, "5").await);
    let soon = world.chain.in_seconds(3_000).await;
    let expiring = invoice("INV");
    let create = world.create(&expiring, &market.moody.0).token(market.token());
    create.amount("10").expires_at(&soon).send().await.is(201);
    let (failing, settling) = market.both_signed(&name, &neighbour).await;
    let before = upgrade_to_burn_gas(&world.chain, market.token()).await;
    world.chain.mine_every(1).await;
    settling.await.expect("an answer").is(200);
    failing.await.expect("an answer").refused(500, "Settlement failed");

    // From now on it is known before anything is signed, and the others go on.
    let refused = world.api.settle(&name, "7").await;
    refused.refused(400, CANNOT_START);
    assert_eq!(world.api.preauth(&name).await.text("status"), "AUTHORIZED");
    let other = world.authorized(&market.honest, "2").await;
    world.chain.pass(3_001).await;
    assert_eq!(world.becomes(&expiring, "EXPIRED").await.text("refundClaimable"), "10");
    assert_eq!(world.api.cancel(&name).await.is(200).text("refundClaimable"), "10");
    world.api.settle(&other, "2").await.is(200);
    world.assert_paid(&market.honest, "6", "1").await;
    assert_eq!(market.in_escrow().await, units("20"), "nothing has moved");

    // Upgraded once more, it lets the payer have what is his.
    world.chain.set_code(market.token(), before).await;
    world.chain.claim(market.moody.0.sender.address, market.token()).await;
    assert_eq!(world.chain.balance_of(market.token(), market.moody.0.sender.address).await, units("1000"));
}

/// Gives a token new code, as a proxy's upgrade does: `transfer` never comes to an end, everything else is as before.
/// Returns the old code.
async fn upgrade_to_burn_gas(chain: &Eyes, token: Address) -> Bytes {
    let old = chain.provider.get_code_at(token).await.expect("code");
    let implementation = Address::random();
    chain.set_code(implementation, old.clone()).await;
    let mut code = Vec::new();
    // if selector == transfer: jump to the loop
    code.extend(hex!("5f3560e01c63a9059cbb14603b57"));
    // delegatecall the implementation with what came
    code.extend(hex!("365f5f375f5f365f73"));
    code.extend(implementation.as_slice());
    // and answer as it does
    code.extend(hex!("5af43d5f5f3e6037573d5ffd5b3d5ff3"));
    // the loop
    assert_eq!(code.len(), 0x3b, "where the jump goes");
    code.extend(hex!("5b603b56"));
    chain.set_code(token, code.into()).await;
    old
}
