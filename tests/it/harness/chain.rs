//! Eyes on the chain that owe nothing to the daemon, and hands to bring it into trouble.

use std::collections::HashMap;

use alloy::consensus::Transaction;
use alloy::dyn_abi::TypedData;
use alloy::eips::BlockNumberOrTag;
use alloy::network::Ethereum;
use alloy::primitives::{Address, B256, Bytes, TxHash, U256};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::client::RpcClient;
use alloy::rpc::types::{Filter, TransactionReceipt, TransactionRequest};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolEventInterface};
use preauthd::chain::PreauthEscrow::PreauthEscrowEvents;
use preauthd::chain::{MoodyToken, PreauthEscrow};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Client, until};

alloy::sol! {
    #[sol(rpc)]
    interface Token {
        function balanceOf(address account) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function approve(address spender, uint256 amount) external returns (bool);
        function transfer(address to, uint256 amount) external returns (bool);
        function block(address account, bool isBlocked) external;
        function mint(address to, uint256 amount) external;
        function setPaused(bool isPaused) external;
        function setFeeBps(uint256 newFeeBps) external;
        function setReturnFalse(bool answersFalse) external;
    }
}

alloy::sol! {
    struct Terms {
        address sender;
        address receiver;
        address token;
        uint96 hold;
        uint40 expiresAt;
        bytes32 preauthId;
    }

    /// ERC-2612, which anyone who has the signature may send.
    interface Permit {
        function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
            external;
    }

    /// What others than the daemon may call.
    interface Public {
        function cancel(Terms calldata terms) external;
        function expire(Terms calldata terms) external;
    }
}

/// An account whose key we hold.
#[derive(Debug, Clone)]
pub struct Wallet {
    pub address: Address,
    pub signer: PrivateKeySigner,
}

impl Wallet {
    pub fn new() -> Self {
        PrivateKeySigner::random().into()
    }

    /// What a wallet does with typed data.
    pub fn sign(&self, typed_data: &Value) -> String {
        self.signer.sign_hash_sync(&digest(typed_data)).expect("a signature").to_string()
    }
}

/// What is signed of typed data.
pub fn digest(typed_data: &Value) -> B256 {
    let typed: TypedData =
        serde_json::from_value(typed_data.clone()).expect("typed data that a wallet can read");
    typed.eip712_signing_hash().expect("a digest")
}

impl From<PrivateKeySigner> for Wallet {
    fn from(signer: PrivateKeySigner) -> Self {
        Self { address: signer.address(), signer }
    }
}

/// Base units of a token with six decimals.
pub fn units(tokens: &str) -> U256 {
    let (whole, fraction) = tokens.split_once('.').unwrap_or((tokens, ""));
    format!("{whole}{fraction:0<6}").parse().expect("an amount")
}

/// A small number as Solidity takes it.
pub fn number(number: u64) -> U256 {
    U256::from(number)
}

/// One log of the escrow.
#[derive(Debug)]
pub struct Seen {
    pub event: PreauthEscrowEvents,
    pub transaction: B256,
}

#[derive(Clone)]
pub struct Eyes {
    pub provider: RootProvider<Ethereum>,
    pub escrow: Address,
    pub token: Address,
    client: Client,
}

impl Eyes {
    pub fn new(rpc_url: &str, escrow: Address, token: Address) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let client = RpcClient::builder().http_with_client(http, rpc_url.parse().expect("an RPC URL"));
        Self { provider: RootProvider::new(client), escrow, token, client: Client::chosen() }
    }

    // ------------------------------------------------------------------ looking

    pub async fn balance(&self, account: Address) -> U256 {
        self.balance_of(self.token, account).await
    }

    pub async fn balance_of(&self, token: Address, account: Address) -> U256 {
        Token::new(token, &self.provider).balanceOf(account).call().await.expect("a balance")
    }

    /// What the escrow may take of an account.
    pub async fn allowance(&self, owner: Address) -> U256 {
        Token::new(self.token, &self.provider)
            .allowance(owner, self.escrow)
            .call()
            .await
            .expect("an allowance")
    }

    /// What the contract says of a preauth, in the API's words; `NONE` where it never heard of it.
    pub async fn status_of(&self, preauth_id: B256) -> &'static str {
        let escrow = PreauthEscrow::new(self.escrow, &self.provider);
        let status = escrow.statusOf(preauth_id).call().await.expect("a status");
        ["NONE", "AUTHORIZED", "SETTLED", "CANCELLED", "EXPIRED"][usize::from(status)]
    }

    /// Every log of the escrow, oldest first.
    pub async fn logs(&self) -> Vec<Seen> {
        self.logs_up_to(BlockNumberOrTag::Latest).await
    }

    async fn logs_up_to(&self, block: BlockNumberOrTag) -> Vec<Seen> {
        let filter = Filter::new().address(self.escrow).from_block(0).to_block(block);
        let logs = self.provider.get_logs(&filter).await.expect("logs");
        logs.iter()
            .filter_map(|log| {
                Some(Seen {
                    event: PreauthEscrowEvents::decode_log(&log.inner).ok()?.data,
                    transaction: log.transaction_hash?,
                })
            })
            .collect()
    }

    /// How often a preauth was locked and how often it was closed, by anyone.
    pub async fn effects(&self, preauth_id: B256) -> Effects {
        self.logs()
            .await
            .iter()
            .fold(Effects::default(), |effects, seen| effects.and(preauth_id, &seen.event))
    }

    /// The same for every preauth that the logs name.
    pub async fn effects_of_all(&self) -> HashMap<B256, Effects> {
        let mut all: HashMap<B256, Effects> = HashMap::new();
        for seen in self.logs().await {
            let preauth_id = match &seen.event {
                PreauthEscrowEvents::Authorized(event) => event.preauthId,
                PreauthEscrowEvents::Settled(event) => event.preauthId,
                PreauthEscrowEvents::Cancelled(event) => event.preauthId,
                PreauthEscrowEvents::Expired(event) => event.preauthId,
                _ => continue,
            };
            let effects = all.entry(preauth_id).or_default();
            *effects = effects.and(preauth_id, &seen.event);
        }
        all
    }

    /// What the escrow holds and what is locked and not closed by the logs alone, both in one block.
    pub async fn held_and_open(&self) -> (U256, U256) {
        let (block, _) = self.head().await;
        let token = Token::new(self.token, &self.provider);
        let held = token.balanceOf(self.escrow).block(block.into()).call().await.expect("a balance");
        let mut open = HashMap::new();
        for seen in self.logs_up_to(block.into()).await {
            match seen.event {
                PreauthEscrowEvents::Authorized(event) if event.token == self.token => {
                    open.insert(event.preauthId, U256::from(event.hold));
                }
                PreauthEscrowEvents::Settled(event) => drop(open.remove(&event.preauthId)),
                PreauthEscrowEvents::Cancelled(event) => drop(open.remove(&event.preauthId)),
                PreauthEscrowEvents::Expired(event) => drop(open.remove(&event.preauthId)),
                _ => {}
            }
        }
        (held, open.values().sum())
    }

    /// The block of the newest claim.
    pub async fn block_of_the_claim(&self) -> u64 {
        let filter = Filter::new().address(self.escrow).from_block(0);
        let logs = self.provider.get_logs(&filter).await.expect("logs");
        let is_claim = |log: &&alloy::rpc::types::Log| {
            let event = PreauthEscrowEvents::decode_log(&log.inner);
            event.is_ok_and(|event| matches!(event.data, PreauthEscrowEvents::Claimed(_)))
        };
        logs.iter().rfind(is_claim).and_then(|log| log.block_number).expect("a claim")
    }

    /// Transactions that carried locks.
    pub async fn lock_transactions(&self) -> usize {
        let logs = self.logs().await;
        let locks = logs.iter().filter(|seen| matches!(seen.event, PreauthEscrowEvents::Authorized(_)));
        locks.map(|seen| seen.transaction).collect::<std::collections::HashSet<_>>().len()
    }

    pub async fn operators(&self) -> Vec<Address> {
        let logs = self.logs().await;
        let set = logs.iter().filter_map(|seen| match &seen.event {
            PreauthEscrowEvents::OperatorSet(event) if event.allowed => Some(event.operator),
            _ => None,
        });
        set.collect()
    }

    /// Transactions of an account that were mined.
    pub async fn sent_by(&self, account: Address) -> u64 {
        self.provider.get_transaction_count(account).await.expect("a nonce")
    }

    /// Transactions that all operator keys have sent, waiting ones included.
    pub async fn operator_transactions(&self) -> u64 {
        let mut sum = 0;
        for operator in self.operators().await {
            sum += self.provider.get_transaction_count(operator).pending().await.expect("a nonce");
        }
        sum
    }

    pub async fn admin(&self) -> Address {
        PreauthEscrow::new(self.escrow, &self.provider).owner().call().await.expect("an owner")
    }

    pub async fn receipt(&self, hash: &str) -> Option<TransactionReceipt> {
        self.provider.get_transaction_receipt(hash.parse().ok()?).await.expect("a node that answers")
    }

    /// Gas a mined transaction used, and the limit it was given.
    pub async fn gas(&self, hash: &str) -> (u64, u64) {
        let sent = self.provider.get_transaction_by_hash(hash.parse().expect("a hash")).await;
        let limit = sent.expect("a node that answers").expect("the transaction").gas_limit();
        (self.receipt(hash).await.expect("a receipt").gas_used, limit)
    }

    /// The chain's time, Unix seconds.
    pub async fn now(&self) -> u64 {
        self.head().await.1
    }

    /// Number and time of the newest block.
    pub async fn head(&self) -> (u64, u64) {
        let block =
            self.provider.get_block_by_number(BlockNumberOrTag::Latest).await.expect("a node that answers");
        let header = block.expect("a newest block").header;
        (header.number, header.timestamp)
    }

    /// `seconds` from the chain's time, as the API takes it.
    pub async fn in_seconds(&self, seconds: i64) -> String {
        rfc3339(i64::try_from(self.now().await).expect("a time") + seconds)
    }

    /// The transactions that wait to be mined.
    pub async fn waiting(&self) -> Vec<TxHash> {
        self.client.waiting(self).await
    }

    pub async fn rpc<T: for<'de> Deserialize<'de> + std::fmt::Debug + Send + Sync + Unpin + 'static>(
        &self,
        method: &'static str,
        params: Value,
    ) -> T {
        self.provider
            .client()
            .request(method, params)
            .await
            .unwrap_or_else(|error| panic!("{method} failed: {error}"))
    }

    // ------------------------------------------------------------------- acting

    /// Sends a call as `from`, whose key we need not hold. It waits for a block.
    pub async fn submit(&self, from: Address, to: Address, call: impl SolCall, tip: u128) -> TxHash {
        self.submit_input(from, to, call.abi_encode().into(), tip).await
    }

    async fn submit_input(&self, from: Address, to: Address, input: Bytes, tip: u128) -> TxHash {
        self.impersonate(from).await;
        let request = TransactionRequest {
            from: Some(from),
            to: Some(to.into()),
            input: input.into(),
            gas: Some(1_000_000),
            max_fee_per_gas: Some(tip + 1_000_000_000_000),
            max_priority_fee_per_gas: Some(tip),
            ..Default::default()
        };
        self.rpc("eth_sendTransaction", json!([request])).await
    }

    /// Sends a call as `from` and returns when it was mined; asserts that it succeeded.
    pub async fn act(&self, from: Address, to: Address, call: impl SolCall) {
        self.act_with(from, to, call.abi_encode().into()).await;
    }

    /// The same with a call that is encoded already.
    pub async fn act_with(&self, from: Address, to: Address, input: Bytes) {
        let hash = self.submit_input(from, to, input, 1_000_000_000).await;
        let receipt = until("a transaction of the story is mined", || async {
            self.provider.get_transaction_receipt(hash).await.expect("a node that answers")
        })
        .await;
        assert!(receipt.status(), "a transaction of the story failed");
    }

    /// Sends a call that is mined before everything that waits, and mines one block of all of it.
    pub async fn overtake(&self, from: Address, to: Address, call: impl SolCall) {
        let hash = self.submit(from, to, call, 900_000_000_000).await;
        self.mine().await;
        let receipt = self.provider.get_transaction_receipt(hash).await.expect("a node that answers");
        let receipt = receipt.expect("the overtaking transaction is mined");
        assert!(receipt.status());
        assert_eq!(receipt.transaction_index, Some(0), "it is the first of its block");
    }

    pub async fn overtake_with_approval(&self, sender: Address, amount: U256) {
        self.overtake(sender, self.token, Token::approveCall { spender: self.escrow, amount }).await;
    }

    /// Empties the node's pool; nothing may be on its way there.
    pub async fn forget_all(&self) {
        self.drop_pool().await;
        assert!(self.waiting().await.is_empty());
    }

    /// Drops what waits at this moment.
    pub async fn drop_pool(&self) {
        self.client.drop_pool(self).await;
    }

    /// How many locks there are of so many base units.
    pub async fn locks_of(&self, units: &u32) -> usize {
        let of_amount = |seen: &Seen| match &seen.event {
            PreauthEscrowEvents::Authorized(event) => U256::from(event.hold) == U256::from(*units),
            _ => false,
        };
        self.logs().await.iter().filter(|seen| of_amount(seen)).count()
    }

    /// Pays a sender what could not be pushed to him.
    pub async fn claim(&self, sender: Address, token: Address) {
        self.act(sender, self.escrow, PreauthEscrow::claimCall { sender, token }).await;
    }

    /// A token of six decimals with moods.
    pub async fn deploy_moody_token(&self) -> Address {
        let code = MoodyToken::deploy_builder(&self.provider, "Moody".into(), "MOOD".into(), 6);
        self.deploy(code.calldata().clone()).await
    }

    /// Deploys a contract: its bytecode and what its constructor takes.
    pub async fn deploy(&self, code: Bytes) -> Address {
        let from = Wallet::new().address;
        self.impersonate(from).await;
        let request = json!([{ "from": from, "data": code, "gas": "0x500000" }]);
        let hash: TxHash = self.rpc("eth_sendTransaction", request).await;
        let receipt = until("a contract of the story is deployed", || async {
            self.provider.get_transaction_receipt(hash).await.expect("a node that answers")
        })
        .await;
        receipt.contract_address.expect("a contract")
    }

    pub async fn approve(&self, sender: Address, amount: U256) {
        self.act(sender, self.token, Token::approveCall { spender: self.escrow, amount }).await;
    }

    pub async fn mine(&self) {
        self.order("evm_mine", json!([])).await;
    }

    /// Makes a block every so many seconds; zero stops it.
    pub async fn mine_every(&self, seconds: u64) {
        self.client.mine_every(self, seconds).await;
    }

    /// Moves the clock and mines a block, behind the daemon's back.
    pub async fn pass(&self, seconds: u64) {
        self.order("evm_increaseTime", json!([seconds])).await;
        self.mine().await;
    }

    /// Mines a block that stands exactly at `time`.
    pub async fn mine_at(&self, time: u64) {
        self.order("evm_setNextBlockTimestamp", json!([time])).await;
        self.mine().await;
    }

    /// Stops the making of blocks. What is submitted from here on waits for [`mine`](Self::mine).
    pub async fn hold_still(&self) {
        self.mine_every(0).await;
    }

    /// Waits until so many transactions wait to be mined.
    pub async fn until_waiting(&self, transactions: usize) -> Vec<TxHash> {
        until(&format!("{transactions} transactions wait to be mined"), || async {
            let waiting = self.waiting().await;
            (waiting.len() >= transactions).then_some(waiting)
        })
        .await
    }

    /// The newest `depth` blocks are undone and replaced by empty ones.
    pub async fn reorg(&self, depth: u64) {
        self.reorg_with(depth, json!([])).await;
    }

    /// The same with transactions `instead`, each with the number of its block among the new ones.
    pub async fn reorg_with(&self, depth: u64, instead: Value) {
        self.order("anvil_reorg", json!([depth, instead])).await;
    }
}

/// How often a preauth was locked, and how often closed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Effects {
    pub locked: u32,
    pub settled: u32,
    pub cancelled: u32,
    pub expired: u32,
}

impl Effects {
    pub fn and(mut self, preauth_id: B256, event: &PreauthEscrowEvents) -> Self {
        match event {
            PreauthEscrowEvents::Authorized(event) if event.preauthId == preauth_id => self.locked += 1,
            PreauthEscrowEvents::Settled(event) if event.preauthId == preauth_id => self.settled += 1,
            PreauthEscrowEvents::Cancelled(event) if event.preauthId == preauth_id => self.cancelled += 1,
            PreauthEscrowEvents::Expired(event) if event.preauthId == preauth_id => self.expired += 1,
            _ => {}
        }
        self
    }

    pub fn closed(self) -> u32 {
        self.settled + self.cancelled + self.expired
    }
}

/// Unix seconds as RFC 3339 in UTC.
pub fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).expect("a time").to_string()
}
