//! Traces, as a collector gets them: what follows from one request belongs to its trace.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use reqwest::Method;

use crate::harness::world::invoice;
use crate::harness::{Api, Receiver, until};
use crate::operator::{Shop, status};

/// A trace that a merchant's system has begun, and its span that asks.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const ASKING: &str = "00f067aa0ba902b7";

/// The spans that a collector was sent of the merchant's trace, by name.
fn spans(collector: &Receiver) -> BTreeMap<String, Span> {
    let sent = collector.got().into_iter();
    let requests =
        sent.map(|message| ExportTraceServiceRequest::decode(message.raw).expect("what OTLP says of traces"));
    requests
        .flat_map(|request| request.resource_spans)
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .filter(|span| alloy::hex::encode(&span.trace_id) == TRACE)
        .map(|span| (span.name.clone(), span))
        .collect()
}

async fn until_traced(collector: &Receiver, name: &str) -> Span {
    until(&format!("{name:?} is in the trace"), || async { spans(collector).remove(name) }).await
}

async fn collected() -> (Receiver, Shop) {
    let collector = Receiver::open().await;
    let shop = Shop::open(&format!("otlp_endpoint = \"{}\"", collector.url)).await;
    (collector, shop)
}

async fn create_traced(shop: &Shop, api: &Api, name: &str) -> u16 {
    let headers = [
        ("content-type", "application/json"),
        ("prefer", "respond-async"),
        ("traceparent", &format!("00-{TRACE}-{ASKING}-01")),
    ];
    let body = shop.create(api, name).body().to_string().into_bytes();
    api.send(Method::POST, "/onchain-preauth", &headers, body).await.status
}

fn says(span: &Span, key: &str) -> Option<String> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let found = span.attributes.iter().find(|fact| fact.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::BoolValue(bool) => Some(bool.to_string()),
        _ => None,
    }
}

#[tokio::test]
async fn a_request_its_batch_and_its_block_are_one_trace() {
    let (collector, shop) = collected().await;
    let (mut daemon, api) = shop.serve().await;
    let name = invoice("INV");
    assert_eq!(create_traced(&shop, &api, &name).await, 202);
    let request = until_traced(&collector, "request").await;
    assert_eq!(alloy::hex::encode(&request.parent_span_id), ASKING);
    assert_eq!(says(&request, "route").as_deref(), Some("/onchain-preauth"));

    let batched = until_traced(&collector, "wait for a batch").await;
    let mined = until_traced(&collector, "wait for a block").await;
    for span in [&batched, &mined] {
        assert_eq!(span.parent_span_id, request.span_id, "{} follows from the request", span.name);
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
    }
    assert_eq!(says(&mined, "succeeded").as_deref(), Some("true"));
    let locked_in = api.preauth(&name).await.is(200).text("lockTransactionHash").to_lowercase();
    assert_eq!(says(&mined, "transaction"), Some(locked_in));

    assert!(daemon.stop());
    let everything: Vec<u8> = collector.got().iter().flat_map(|message| message.raw.to_vec()).collect();
    let sent = String::from_utf8_lossy(&everything).into_owned();
    assert!(!sent.contains(&api.key), "no key is in a trace");
}

#[tokio::test]
async fn what_was_asked_for_before_a_kill_stays_in_its_trace() {
    let (collector, shop) = collected().await;
    let (mut daemon, api) = shop.serve().await;
    let name = invoice("INV");
    shop.chain.hold_still().await;
    assert_eq!(create_traced(&shop, &api, &name).await, 202);
    shop.chain.until_waiting(1).await;
    daemon.kill();
    drop(daemon);
    shop.chain.mine_every(1).await;
    let (_daemon, api) = shop.serve().await;
    until("the lock is known", || async { (status(&api, &name).await == "AUTHORIZED").then_some(()) }).await;
    let mined = until_traced(&collector, "wait for a block").await;
    assert_eq!(alloy::hex::encode(&mined.trace_id), TRACE);
}
