//! The stage on a real anvil, and what a probe makes of tokens there.

use std::time::Duration;

use alloy::primitives::{Address, U256};
use alloy::sol_types::{SolCall, SolConstructor};

use super::anvil::{self, Anvil};
use super::{Saved, cast, stage};
use crate::chain::{Chain, MoodyToken, Step, TransferProbe};
use crate::model::{TokenSigning, WalletRole};
use crate::store::{Store, tenants, tokens, wallets};

alloy::sol!(FallbackToken, "contracts/artifacts/FallbackToken.json");

async fn start(block_time: &str) -> (Anvil, Chain) {
    let anvil = Anvil::start(&anvil::find().unwrap(), Some(block_time)).await.unwrap();
    let chain = Chain::connect(&anvil.url.as_str().into()).await.unwrap();
    (anvil, chain)
}

#[tokio::test]
async fn the_stage_is_set_whatever_the_mining_mode() {
    // None but the last mines while the stage is set.
    for block_time in ["0", "60", "0.1"] {
        let (anvil, chain) = start(block_time).await;
        let folder = tempfile::tempdir().unwrap();
        let saved = stage::set(&chain, folder.path(), true, |_| ()).await.unwrap();
        assert!(stage::still_stands(&chain, &saved).await.unwrap());
        for sender in &saved.senders {
            let balance = chain.token_balance(saved.token.address, sender.address).await.unwrap();
            assert_eq!(balance, U256::from(1_000_000_000_000u64));
            let allowance = chain.allowance(saved.token.address, sender.address, saved.escrow).await.unwrap();
            assert_eq!(allowance, U256::MAX);
        }
        for receiver in &saved.receivers {
            assert!(chain.receiver_active_from(saved.escrow, receiver.address).await.unwrap().is_some());
        }
        assert!(chain.is_operator(saved.escrow, saved.operator).await.unwrap());

        let store = Store::open(folder.path()).await.unwrap();
        let mut reader = store.read().await.unwrap();
        let tenant = tenants::by_name(&mut reader, "demo").await.unwrap().unwrap();
        assert_eq!(tenant.id.to_string(), saved.tenant);
        for (role, expected) in
            [(WalletRole::Sender, saved.senders.len()), (WalletRole::Receiver, saved.receivers.len())]
        {
            let page = wallets::page(&mut reader, tenant.id, Some(role), 0, 100).await.unwrap();
            assert_eq!(page.len(), expected);
        }
        assert!(tokens::by_address(&mut reader, saved.token.address).await.unwrap().unwrap().active);
        anvil.stop().await;
    }
}

#[tokio::test]
async fn an_escrow_of_another_chain_does_not_stand() {
    let (anvil, chain) = start("0").await;
    let folder = tempfile::tempdir().unwrap();
    let saved = stage::set(&chain, folder.path(), false, |_| ()).await.unwrap();
    saved.write(folder.path()).unwrap();
    let saved = Saved::read(folder.path()).unwrap().unwrap();
    anvil.stop().await;

    let (empty, chain) = start("0").await;
    assert!(!stage::still_stands(&chain, &saved).await.unwrap());
    // The same deployment at the same address, but in another block: not the chain the database knows.
    chain.advance_clock(60).await.unwrap();
    let other = tempfile::tempdir().unwrap();
    let again = stage::set(&chain, other.path(), false, |_| ()).await.unwrap();
    assert_eq!(again.escrow, saved.escrow);
    assert!(!stage::still_stands(&chain, &saved).await.unwrap());
    empty.stop().await;
}

#[tokio::test]
async fn anvil_ends_when_its_lifeline_is_cut() {
    let (mut anvil, chain) = start("0").await;
    chain.head().await.unwrap();
    drop(anvil.cut());
    tokio::time::timeout(Duration::from_secs(5), anvil.ended()).await.unwrap();
    assert!(chain.head().await.is_err());
}

#[tokio::test]
async fn a_probe_tells_good_tokens_from_bad_ones() {
    let (anvil, chain) = start("0").await;
    let admin = cast::admin().unwrap();
    let arguments = MoodyToken::constructorCall { name: "Moody".into(), symbol: "MOOD".into(), decimals_: 8 };
    let input = [MoodyToken::BYTECODE.as_ref(), &arguments.abi_encode()].concat().into();
    let token = chain.transact(&admin, Step { to: None, input }).await.unwrap().contract.unwrap();
    let tell = async |input: Vec<u8>| {
        chain.transact(&admin, Step { to: Some(token), input: input.into() }).await.unwrap();
    };
    let probe = async |payer: Option<Address>| chain.probe_token(token, payer).await.unwrap().unwrap();

    let good = probe(None).await;
    assert_eq!((good.decimals, good.symbol.as_deref()), (Some(8), Some("MOOD")));
    assert_eq!(good.transfer, TransferProbe::Exact);

    assert!(matches!(probe(Some(admin.address())).await.transfer, TransferProbe::Untried(_)));
    tell(MoodyToken::mintCall { to: admin.address(), amount: U256::from(5) }.abi_encode()).await;
    assert_eq!(probe(Some(admin.address())).await.transfer, TransferProbe::Exact);

    tell(MoodyToken::setFeeBpsCall { newFeeBps: U256::from(100) }.abi_encode()).await;
    assert!(matches!(probe(None).await.transfer, TransferProbe::Other(why) if why.contains("fee")));
    tell(MoodyToken::setFeeBpsCall { newFeeBps: U256::ZERO }.abi_encode()).await;

    tell(MoodyToken::setReturnFalseCall { answersFalse: true }.abi_encode()).await;
    assert!(matches!(probe(None).await.transfer, TransferProbe::Other(_)));

    // Nothing was moved by all that.
    assert_eq!(chain.token_balance(token, admin.address()).await.unwrap(), U256::from(5));
    assert!(chain.probe_token(Address::repeat_byte(0x77), None).await.unwrap().is_none());
    anvil.stop().await;
}

#[tokio::test]
async fn what_holders_can_sign_is_tried_and_not_believed() {
    let (anvil, chain) = start("0").await;
    let admin = cast::admin().unwrap();
    let deploy = async |input: Vec<u8>| {
        let deployed = chain.transact(&admin, Step { to: None, input: input.into() }).await.unwrap();
        deployed.contract.unwrap()
    };
    let demo = chain.transact(&admin, Step::deploy_demo_token("Demo", "DEMO", 6)).await.unwrap();
    let demo = demo.contract.unwrap();
    let permit = chain.probe_signing(demo).await.unwrap().permit.unwrap();
    assert_eq!(Some(permit.domain.separator()), chain.domain_separator(demo).await.unwrap());
    assert_eq!(permit.domain.version.as_deref(), Some("1"));

    // It takes every call and checks nothing.
    let swallowing = deploy(FallbackToken::BYTECODE.to_vec()).await;
    assert_eq!(chain.probe_signing(swallowing).await.unwrap(), TokenSigning::default());
    let arguments = MoodyToken::constructorCall { name: "Moody".into(), symbol: "MOOD".into(), decimals_: 6 };
    let plain = deploy([MoodyToken::BYTECODE.as_ref(), &arguments.abi_encode()].concat()).await;
    assert_eq!(chain.probe_signing(plain).await.unwrap(), TokenSigning::default());
    assert_eq!(chain.probe_signing(Address::repeat_byte(0x77)).await.unwrap(), TokenSigning::default());
    anvil.stop().await;
}

#[tokio::test]
async fn what_the_escrow_refuses_is_not_sent() {
    let (anvil, chain) = start("0").await;
    let folder = tempfile::tempdir().unwrap();
    let saved = stage::set(&chain, folder.path(), false, |_| ()).await.unwrap();
    let operator = cast::operator().unwrap();
    let nonce = chain.transaction_count(operator.address(), None).await.unwrap();
    let step = Step::register_receiver(saved.escrow, Address::repeat_byte(0x77));
    let refused = chain.transact(&operator, step).await.unwrap_err().to_string();
    assert!(refused.contains("OwnableUnauthorizedAccount"), "{refused}");
    assert_eq!(chain.transaction_count(operator.address(), None).await.unwrap(), nonce);
    anvil.stop().await;
}
