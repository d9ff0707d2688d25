//! An operator key is taken out of the configuration while its batch is open: nothing waits for ever, nothing is locked
//! twice, and whom it waits for is said.

use alloy::primitives::Address;
use alloy::providers::Provider;
use preauthd::chain::PreauthEscrow;

use crate::harness::chain::Token;
use crate::harness::world::invoice;
use crate::harness::{Api, until};
use crate::operator::{Shop, status};

/// A shop without a daemon: the last one was killed while a batch of one of its keys waited to be mined.
struct Orphan {
    shop: Shop,
    name: String,
    /// The key that has signed.
    key: Address,
}

impl Orphan {
    async fn left_behind(more: &str) -> Self {
        let shop = Shop::open(more).await;
        let (mut daemon, api) = shop.serve().await;
        let name = invoice("INV");
        shop.chain.hold_still().await;
        shop.create(&api, &name).respond_async().send().await.is(202);
        let waiting = shop.chain.until_waiting(1).await;
        let signed = shop.chain.provider.get_transaction_by_hash(waiting[0]).await.expect("a node");
        let key = signed.expect("a transaction").inner.signer();
        daemon.kill();
        shop.chain.forget_all().await;
        shop.dismiss(key);
        Self { shop, name, key }
    }

    fn missing(&self) -> String {
        format!("lane {} (no key)", self.key)
    }

    async fn until_locked(&self, api: &Api) {
        until("the lock lands", || async { (status(api, &self.name).await == "AUTHORIZED").then_some(()) })
            .await;
        let id = api.preauth(&self.name).await.is(200).text("preauthId").parse().expect("32 bytes");
        assert_eq!(self.shop.chain.effects(id).await.locked, 1);
    }
}

#[tokio::test]
async fn what_a_dismissed_key_has_signed_is_sent_again_and_done() {
    let orphan = Orphan::left_behind("").await;
    let (mut daemon, api) = orphan.shop.serve().await;
    api.until_it_says(&orphan.missing()).await;
    api.until_it_says(&format!("the key {} is not configured, and 1 operations wait", orphan.key)).await;
    let gauge = format!("preauthd_trouble{{part=\"{}\"}}", orphan.missing());
    assert_eq!(api.metric(&gauge).await, Some(1.0));
    orphan.shop.chain.until_waiting(1).await;

    orphan.shop.chain.mine_every(1).await;
    orphan.until_locked(&api).await;
    api.until_ready().await;
    assert_eq!(api.metric(&gauge).await, Some(0.0));
    assert_eq!(orphan.shop.chain.sent_by(orphan.key).await, 1, "the dismissed key's own transaction did it");
    api.settle(&orphan.name, "1").await.is(200);
    assert!(daemon.stop());
}

#[tokio::test]
async fn another_key_carries_what_a_dismissed_key_never_will() {
    let orphan = Orphan::left_behind("").await;
    let chain = &orphan.shop.chain;
    // Somebody has the old key still, and its nonce is gone.
    let call = Token::approveCall { spender: Address::repeat_byte(9), amount: Default::default() };
    chain.overtake(orphan.key, chain.token, call).await;
    chain.mine_every(1).await;

    let (daemon, api) = orphan.shop.serve().await;
    orphan.until_locked(&api).await;
    assert!(daemon.said().contains(&orphan.missing()), "who was missed was said");
    assert_eq!(chain.sent_by(orphan.key).await, 1, "the stranger's transaction, and none of ours");
    let ready = api.get("/health/ready").await.body.to_string();
    assert!(!ready.contains("(no key)"), "{ready}");
    assert!(ready.contains(&format!("key {}: somebody else uses", orphan.key)), "{ready}");
    assert_eq!(api.metric("preauthd_foreign_nonces_total").await, Some(1.0));
    api.settle(&orphan.name, "1").await.is(200);
}

#[tokio::test]
async fn what_a_revoked_key_has_signed_fails_and_is_done_by_another() {
    let orphan = Orphan::left_behind("").await;
    let chain = &orphan.shop.chain;
    let revoke = PreauthEscrow::setOperatorCall { operator: orphan.key, allowed: false };
    chain.overtake(chain.admin().await, chain.escrow, revoke).await;

    let (daemon, api) = orphan.shop.serve().await;
    api.until_it_says(&orphan.missing()).await;
    chain.until_waiting(1).await;
    chain.mine_every(1).await;
    orphan.until_locked(&api).await;
    api.until_ready().await;
    assert_eq!(chain.sent_by(orphan.key).await, 1, "its transaction was mined, in vain");
    assert!(!daemon.said().contains("somebody else uses"), "and it was ours");
    api.settle(&orphan.name, "1").await.is(200);
}

#[tokio::test]
async fn a_key_that_comes_back_goes_on_with_its_batch() {
    let orphan = Orphan::left_behind("replace_after_s = 1").await;
    let chain = &orphan.shop.chain;
    // Without the key nothing can be offered that this base fee would take.
    chain.spike_base_fee(500_000_000_000).await;
    let (mut daemon, api) = orphan.shop.serve().await;
    api.until_it_says(&orphan.missing()).await;
    daemon.kill();

    let [one, _] = orphan.shop.operators;
    let name = if orphan.key == one { "PREAUTHD_ONE_KEY" } else { "PREAUTHD_TWO_KEY" };
    orphan.shop.reconfigure(|config| format!("{config}[[operators]]\nenv = \"{name}\"\n"));
    let (mut daemon, api) = orphan.shop.serve().await;
    chain.mine_many(60).await;
    chain.mine_every(1).await;
    orphan.until_locked(&api).await;
    api.until_ready().await;
    assert!(!daemon.said().contains("(no key)"), "a key that is there is not missed");
    assert_eq!(chain.sent_by(orphan.key).await, 1);
    assert!(daemon.stop());
}
