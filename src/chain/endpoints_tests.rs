//! What several endpoints do for one: scripted nodes, and a clock that jumps over what hangs.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use alloy::primitives::{Address, B256, Bytes};
use alloy::rpc::client::RpcClient;
use alloy::rpc::json_rpc::{RequestPacket, ResponsePacket};
use alloy::rpc::types::Block;
use alloy::transports::{BoxTransport, RpcError, TransportError, TransportErrorKind, TransportFut};
use serde_json::{Value, json};
use tower::Service;

use super::endpoints::Endpoints;
use super::{BlockView, Chain, ChainError, SendAdvice};

const CHAIN_ID: u64 = 7;

#[derive(Clone)]
enum Mood {
    Answers(Value),
    Refuses(i64, &'static str),
    Status(u16),
    Garbage,
    Unreachable,
    Hangs,
}

/// A node that does as its mood is, and remembers what it was asked.
#[derive(Clone)]
struct Node {
    chain_id: u64,
    mood: Arc<Mutex<Mood>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Node {
    fn new(mood: Mood) -> Self {
        Self { chain_id: CHAIN_ID, mood: Arc::new(Mutex::new(mood)), asked: Arc::default() }
    }

    fn saying(answer: &str) -> Self {
        Self::new(Mood::Answers(json!(answer)))
    }

    /// A chain of empty blocks, each with the hash that `hash` tells.
    fn showing(hash: B256) -> Self {
        let mut block = Block::<B256>::default();
        block.header.hash = hash;
        block.header.inner.number = 5;
        Self::new(Mood::Answers(serde_json::to_value(block).unwrap()))
    }

    fn becomes(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Requests other than for its chain since the last look.
    fn asked(&self) -> usize {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.iter().filter(|method| *method != "eth_chainId").count()
    }
}

impl Service<RequestPacket> for Node {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        let request = request.as_single().unwrap().clone();
        self.asked.lock().unwrap().push(request.method().to_owned());
        let mood = self.mood.lock().unwrap().clone();
        let chain_id = self.chain_id;
        Box::pin(async move {
            let mut body = json!({ "jsonrpc": "2.0", "id": request.id() });
            match mood {
                Mood::Answers(answer) => {
                    let asks_chain = request.method() == "eth_chainId";
                    body["result"] = if asks_chain { json!(format!("{chain_id:#x}")) } else { answer };
                }
                Mood::Refuses(code, message) => body["error"] = json!({ "code": code, "message": message }),
                Mood::Status(status) => return Err(TransportErrorKind::http_error(status, "busy".into())),
                Mood::Garbage => {
                    let error = serde_json::from_str::<Value>("<html>").unwrap_err();
                    return Err(RpcError::deser_err(error, "<html>"));
                }
                Mood::Unreachable => {
                    return Err(TransportErrorKind::custom_str("error for url (http://secret.example/key)"));
                }
                Mood::Hangs => std::future::pending().await,
            }
            Ok(serde_json::from_value(body).unwrap())
        })
    }
}

fn boxed(nodes: &[&Node]) -> Vec<BoxTransport> {
    nodes.iter().map(|node| BoxTransport::new((*node).clone())).collect()
}

fn client(nodes: &[&Node]) -> RpcClient {
    RpcClient::new(Endpoints::of_chain(CHAIN_ID, boxed(nodes)), false)
}

async fn read(client: &RpcClient) -> Result<String, ChainError> {
    Ok(client.request_noparams::<String>("eth_anything").await?)
}

#[tokio::test(start_paused = true)]
async fn reads_stay_with_the_endpoint_that_answered() {
    let (first, second) = (Node::saying("first"), Node::saying("second"));
    let client = client(&[&first, &second]);
    assert_eq!(read(&client).await.unwrap(), "first");
    assert_eq!((first.asked(), second.asked()), (1, 0));
    first.becomes(Mood::Unreachable);
    assert_eq!(read(&client).await.unwrap(), "second");
    first.becomes(Mood::Answers(json!("first")));
    assert_eq!(read(&client).await.unwrap(), "second", "it is not left for one that answers again");
    assert_eq!((first.asked(), second.asked()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_failure_leads_to_the_next_endpoint() {
    for mood in [
        Mood::Unreachable,
        Mood::Hangs,
        Mood::Garbage,
        Mood::Status(429),
        Mood::Status(503),
        Mood::Refuses(-32005, "limit exceeded"),
        Mood::Refuses(429, "slow down"),
        Mood::Refuses(-32000, "too many requests"),
    ] {
        let (first, second) = (Node::saying("first"), Node::saying("second"));
        let client = client(&[&first, &second]);
        assert_eq!(read(&client).await.unwrap(), "first");
        first.becomes(mood);
        assert_eq!(read(&client).await.unwrap(), "second");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_an_answer_is_no_failure() {
    for (code, message) in [
        (3, "execution reverted"),
        (3, "execution reverted: rate limit"),
        (-32000, "execution reverted: too many requests"),
        (-32000, "nonce too low"),
        (-32601, "the method does not exist"),
    ] {
        let (first, second) = (Node::saying("first"), Node::saying("second"));
        let client = client(&[&first, &second]);
        read(&client).await.unwrap();
        first.becomes(Mood::Refuses(code, message));
        assert!(read(&client).await.unwrap_err().to_string().contains(message));
        assert_eq!(second.asked(), 0, "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_all_fail_each_is_named_by_its_position_alone() {
    let (first, second) = (Node::saying("first"), Node::saying("second"));
    let client = client(&[&first, &second]);
    read(&client).await.unwrap();
    first.becomes(Mood::Unreachable);
    second.becomes(Mood::Hangs);
    let before = tokio::time::Instant::now();
    let error = read(&client).await.unwrap_err().to_string();
    assert!(before.elapsed() <= 2 * super::REQUEST_TIMEOUT);
    assert!(error.contains("endpoint 1: ") && error.contains("endpoint 2: no answer"), "{error}");
    assert!(!error.contains("secret.example"), "{error}");
    assert_eq!(
        (first.asked(), second.asked()),
        (2, 0),
        "each once, and the second not before its chain is known"
    );
    second.becomes(Mood::Refuses(-32005, "limit exceeded"));
    assert!(
        read(&client).await.unwrap_err().to_string().contains("limit exceeded"),
        "what a node said tells more"
    );
}

#[tokio::test(start_paused = true)]
async fn endpoints_of_two_chains_are_refused_at_start() {
    let (first, mut second) = (Node::saying("first"), Node::saying("second"));
    second.chain_id = 8;
    let error = Endpoints::identify(boxed(&[&first, &second])).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("endpoint 2 is on chain 8"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_silent_at_start_says_its_chain_before_it_is_used() {
    let (mut late, good) = (Node::new(Mood::Hangs), Node::saying("good"));
    late.chain_id = 8;
    let (endpoints, chain_id) = Endpoints::identify(boxed(&[&late, &good])).await.unwrap();
    assert_eq!(chain_id, CHAIN_ID);
    let client = RpcClient::new(endpoints, false);
    assert_eq!(read(&client).await.unwrap(), "good", "reads begin where there was an answer");
    late.becomes(Mood::Answers(json!("late")));
    good.becomes(Mood::Unreachable);
    let error = read(&client).await.unwrap_err().to_string();
    assert!(error.contains("endpoint 1: it is on chain 8 instead of 7"), "{error}");
    assert_eq!(late.asked(), 0, "another chain is asked nothing else");

    let nobody = Endpoints::identify(boxed(&[&Node::new(Mood::Hangs), &Node::new(Mood::Unreachable)])).await;
    assert!(nobody.is_err());
}

#[tokio::test(start_paused = true)]
async fn signed_bytes_go_to_all_and_one_that_takes_them_suffices() {
    let nodes = [(); 4].map(|()| Node::new(Mood::Answers(json!(B256::ZERO))));
    let [refusing, hanging, away, knowing] = &nodes;
    let chain = Chain::over(boxed(&[refusing, hanging, away, knowing]), CHAIN_ID, 1);
    assert_eq!(chain.send(&Bytes::from_static(&[1])).await, SendAdvice::Accepted);
    for node in &nodes {
        until_asked(node).await;
    }
    refusing.becomes(Mood::Refuses(-32000, "nonce too low"));
    hanging.becomes(Mood::Hangs);
    away.becomes(Mood::Unreachable);
    knowing.becomes(Mood::Refuses(-32000, "already known"));
    let before = tokio::time::Instant::now();
    assert_eq!(chain.send(&Bytes::from_static(&[2])).await, SendAdvice::Accepted);
    assert!(before.elapsed().is_zero(), "nobody waits for the one that hangs");
    until_asked(hanging).await;
}

async fn until_asked(node: &Node) {
    let asked = async {
        while node.asked() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(super::REQUEST_TIMEOUT, asked).await.expect("it is asked in time");
}

#[tokio::test(start_paused = true)]
async fn the_most_telling_refusal_of_a_send_is_told() {
    let nodes = [(); 3].map(|()| Node::saying("x"));
    let [first, second, third] = &nodes;
    let chain = Chain::over(boxed(&[first, second, third]), CHAIN_ID, 1);
    chain.send(&Bytes::from_static(&[1])).await;
    first.becomes(Mood::Unreachable);
    second.becomes(Mood::Hangs);
    third.becomes(Mood::Refuses(-32000, "nonce too low"));
    let before = tokio::time::Instant::now();
    assert_eq!(chain.send(&Bytes::from_static(&[2])).await, SendAdvice::NonceUsed);
    assert!(before.elapsed() < super::REQUEST_TIMEOUT, "a refusal waits a moment for a second opinion");
    third.becomes(Mood::Status(503));
    let SendAdvice::Unknown(why) = chain.send(&Bytes::from_static(&[3])).await else {
        panic!("nobody took it")
    };
    assert!(why.contains("endpoint 1: ") && why.contains("endpoint 3: "), "{why}");
}

fn block(hash: B256) -> BlockView {
    let header = super::BlockHeader {
        number: 5,
        hash,
        parent: B256::ZERO,
        timestamp: crate::model::ChainTime(0),
        gas_limit: 0,
    };
    BlockView { header, transactions: Vec::new() }
}

const REAL: B256 = B256::repeat_byte(1);
const OTHER: B256 = B256::repeat_byte(2);

async fn agree(chain: &Chain, hash: B256) -> Result<bool, ChainError> {
    chain.agrees_on_block(&[Address::ZERO], &block(hash), &[], &[]).await
}

#[tokio::test(start_paused = true)]
async fn a_block_is_believed_where_so_many_show_it() {
    let nodes = [REAL, REAL, OTHER].map(Node::showing);
    let [first, second, liar] = &nodes;
    let two_of_three = Chain::over(boxed(&[first, second, liar]), CHAIN_ID, 2);
    assert!(agree(&two_of_three, REAL).await.unwrap());
    let error = agree(&two_of_three, OTHER).await.unwrap_err().to_string();
    assert_eq!(error, "the endpoints disagree about block 5");
    let three_of_three = Chain::over(boxed(&[first, second, liar]), CHAIN_ID, 3);
    assert!(agree(&three_of_three, REAL).await.is_err());
    let one = Chain::over(boxed(&[first, second, liar]), CHAIN_ID, 1);
    first.asked();
    assert!(agree(&one, OTHER).await.unwrap());
    assert_eq!(first.asked(), 0, "where one suffices nobody else is asked");
}

#[tokio::test(start_paused = true)]
async fn a_doubted_endpoint_is_not_read_from_next() {
    let (liar, honest) = (Node::showing(OTHER), Node::showing(REAL));
    let chain = Chain::over(boxed(&[&liar, &honest]), CHAIN_ID, 2);
    assert_eq!(chain.block_at(5).await.unwrap().unwrap().header.hash, OTHER);
    agree(&chain, OTHER).await.unwrap_err();
    assert_eq!(chain.block_at(5).await.unwrap().unwrap().header.hash, REAL);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_lags_or_is_silent_is_waited_for_and_named_in_time() {
    for (mood, said) in [
        (Mood::Answers(Value::Null), "endpoint 2 does not show block 5 yet"),
        (Mood::Unreachable, "block 5 waits for endpoint 2: "),
    ] {
        let (first, second) = (Node::showing(REAL), Node::new(mood));
        let chain = Chain::over(boxed(&[&first, &second]), CHAIN_ID, 2);
        assert!(!agree(&chain, REAL).await.unwrap(), "at first nothing is said");
        tokio::time::sleep(std::time::Duration::from_secs(6)).await;
        let error = agree(&chain, REAL).await.unwrap_err().to_string();
        assert!(error.starts_with(said) && !error.contains("secret"), "{error}");
        second.becomes(Node::showing(REAL).mood.lock().unwrap().clone());
        assert!(agree(&chain, REAL).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_reorg_is_believed_where_so_many_show_it() {
    let (first, second) = (Node::showing(OTHER), Node::showing(REAL));
    let chain = Chain::over(boxed(&[&first, &second]), CHAIN_ID, 2);
    assert!(chain.agrees_on_reorg(None, (5, REAL)).await.is_err(), "one still has the block");
    second.becomes(Node::showing(OTHER).mood.lock().unwrap().clone());
    assert!(chain.agrees_on_reorg(None, (5, REAL)).await.unwrap());
    second.becomes(Mood::Answers(Value::Null));
    assert!(!chain.agrees_on_reorg(None, (5, REAL)).await.unwrap(), "one that lacks it shows nothing");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_stands_still_is_left() {
    let (still, moving) = (Node::showing(REAL), Node::showing(OTHER));
    let chain = Chain::over(boxed(&[&still, &moving]), CHAIN_ID, 1);
    for _ in 0..14 {
        assert_eq!(chain.head().await.unwrap().hash, REAL);
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    chain.head().await.unwrap();
    assert_eq!(chain.head().await.unwrap().hash, OTHER);
}
