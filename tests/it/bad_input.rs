//! Everything a client can get wrong in the form of a request: the envelope, a message that names the field, no row, no
//! transaction, no panic.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::world::invoice;
use crate::harness::{Plan, World};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Amounts that are no plain number, for any request that takes one.
fn bad_amounts() -> Vec<Value> {
    let ten_to_the_40th = format!("1{}", "0".repeat(40));
    let texts = [
        "1e3",
        "+1",
        " 1",
        "1 ",
        ".5",
        "1.",
        "0.0000001",
        "１",
        &ten_to_the_40th,
        "",
        "0x10",
        "1_000",
        "1,5",
        "NaN",
        "1.2.3",
        "--1",
        "-",
        "٣",
    ];
    let mut amounts: Vec<Value> = texts.into_iter().map(|text| json!(text)).collect();
    amounts.extend([
        json!(150.75),
        json!(1),
        json!(null),
        json!(true),
        json!(["1"]),
        json!({ "value": "1" }),
    ]);
    amounts
}

/// Texts that name no account.
fn bad_addresses(wrong_checksum: &str) -> Vec<Value> {
    let no_prefix = "41c528683845350e9bfc937e0f6c72bc999b5cdc";
    let texts = [
        "",
        "0x",
        "0x12",
        no_prefix,
        "0x41c528683845350e9bfc937e0f6c72bc999b5cdg",
        "0x41c528683845350e9bfc937e0f6c72bc999b5cdc00",
        " 0x41c528683845350e9bfc937e0f6c72bc999b5cdc",
        "0x0000000000000000000000000000000000000000",
        wrong_checksum,
        "vitalik.eth",
    ];
    let mut addresses: Vec<Value> = texts.into_iter().map(|text| json!(text)).collect();
    addresses.extend([json!(7), json!(null), json!([])]);
    addresses
}

/// Flips the case of one letter of a checksummed address.
fn wrong_checksum(address: &str) -> String {
    let letter =
        address.char_indices().skip(2).find(|(_, char)| char.is_ascii_alphabetic()).expect("a letter");
    let flipped = if letter.1.is_ascii_lowercase() {
        letter.1.to_ascii_uppercase()
    } else {
        letter.1.to_ascii_lowercase()
    };
    format!("{}{flipped}{}", &address[..letter.0], &address[letter.0 + 1..])
}

#[tokio::test]
async fn a_malformed_creation_names_the_field_and_leaves_nothing() {
    let world = World::start(Plan::quick()).await;
    let sale = world.sale().await;
    let sent_before = world.chain.operator_transactions().await;
    let good = |name: &str| world.create(name, &sale).amount("1").body();

    let mut cases: Vec<(&str, Option<Value>)> = Vec::new();
    for field in ["invoiceId", "sender", "receiver", "amount", "contractAddress"] {
        cases.push((field, None));
    }
    cases.extend(bad_amounts().into_iter().map(|value| ("amount", Some(value))));
    let mistyped = wrong_checksum(&sale.receiver.to_string());
    for field in ["sender", "receiver", "contractAddress"] {
        cases.extend(bad_addresses(&mistyped).into_iter().map(|value| (field, Some(value))));
    }
    let too_long = "x".repeat(129);
    for bad in
        ["", &too_long, "a/b", "a%2Fb", "a\\b", "a\nb", "a\u{0}b", "\u{7f}", ".", "..", " a", "a?b", "a#b"]
    {
        cases.push(("invoiceId", Some(json!(bad))));
    }
    cases.extend([json!(7), json!(null), json!({})].into_iter().map(|value| ("invoiceId", Some(value))));
    cases.extend(
        [json!(1_774_872_000), json!(true), json!({})].into_iter().map(|value| ("expiresAt", Some(value))),
    );
    let beyond = world.chain.in_seconds(90_000).await;
    let past = world.chain.in_seconds(-60).await;
    for bad in [json!("soon"), json!("2026-03-30T12:00:00"), json!(beyond), json!(past), json!(7)] {
        cases.push(("settleAt", Some(bad)));
    }
    for bad in
        [json!("0x12"), json!({}), json!({ "type": "eip712" }), json!({ "signature": "0x12" }), json!([])]
    {
        cases.push(("consent", Some(bad)));
    }
    for (kind, signature) in [("eip712", "12"), ("eip712", "0xzz"), ("eip712", "0x1"), ("pinky", "0x12")] {
        cases.push(("consent", Some(json!({ "type": kind, "signature": signature }))));
    }
    for unknown in ["amounts", "invoiceID", "expires_at", "status", "__proto__"] {
        cases.push((unknown, Some(json!("1"))));
    }

    for (field, value) in cases {
        let name = invoice("INV");
        let mut body = good(&name);
        match value {
            Some(value) => body[field] = value,
            None => drop(body.as_object_mut().expect("an object").remove(field)),
        }
        let answer = world.api.post("/onchain-preauth", body).await;
        answer.refused_naming(400, field);
        world.api.preauth(&name).await.refused(404, "Preauthorization not found");
    }

    // Times of a wrong form keep the words of the contract.
    for time in ["tomorrow", "2026-03-30", "2026-03-30T12:00:00", "2026-02-30T12:00:00Z", "", "1774872000"] {
        let name = invoice("INV");
        let answer = world.create(&name, &sale).amount("1").expires_at(time).send().await;
        answer.refused(400, "Invalid expires_at format");
        world.api.preauth(&name).await.envelope(404);
    }

    assert_eq!(world.api.list("").await.is(200).body["data"], json!([]), "no row");
    assert_eq!(world.chain.operator_transactions().await, sent_before, "no transaction");
    assert!(!world.log().contains("panic"), "no panic");
}

#[tokio::test]
async fn every_malformed_field_is_named_at_once() {
    let world = World::shared().await;
    let body = json!({ "invoiceId": "", "sender": "0x", "receiver": "0x", "amount": "1e3", "contractAddress": "0x" });
    let answer = world.api.post("/onchain-preauth", body).await;
    answer.envelope(400);
    let named: Vec<&str> = answer.body["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .filter_map(|error| error["field"].as_str())
        .collect();
    assert_eq!(named, ["invoiceId", "sender", "receiver", "contractAddress", "amount"]);
}

#[tokio::test]
async fn a_body_that_is_no_object_of_json_is_refused() {
    let world = World::shared().await;
    let bodies: Vec<(u16, Vec<u8>)> = vec![
        (400, b"".to_vec()),
        (400, b"{".to_vec()),
        (400, b"nonsense".to_vec()),
        (400, b"[]".to_vec()),
        (400, b"null".to_vec()),
        (400, b"\"text\"".to_vec()),
        (400, b"{\"amount\":\"1\",\"amount\":\"2\"}".to_vec()),
        (400, b"{\"amount\":\"1\"} {}".to_vec()),
        (400, b"{\"amount\":\"\xff\xfe\"}".to_vec()),
        (400, [vec![b'['; 30_000], vec![b']'; 30_000]].concat()),
        (413, format!("{{\"invoiceId\":\"{}\"}}", "x".repeat(70_000)).into_bytes()),
        (413, vec![b' '; 500_000]),
    ];
    for path in ["/onchain-preauth", "/onchain-preauth/INV-1/settle", "/preauth-terms", "/wallets"] {
        for (status, body) in &bodies {
            world.api.send(Method::POST, path, &[JSON], body.clone()).await.envelope(*status);
        }
        let form = [("content-type", "application/x-www-form-urlencoded")];
        world.api.send(Method::POST, path, &form, b"amount=1".to_vec()).await.envelope(415);
    }
    assert!(!world.log().contains("panic"), "no panic");
}

#[tokio::test]
async fn a_malformed_settlement_names_the_field_and_moves_nothing() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let name = world.authorized(&sale, "10").await;
    world.api.settle_with(&name, json!({})).await.refused_naming(400, "amount");
    for amount in bad_amounts() {
        world.api.settle_with(&name, json!({ "amount": amount })).await.refused_naming(400, "amount");
    }
    for time in [json!("soon"), json!(7), json!("2026-03-30T12:00:00")] {
        let body = json!({ "amount": "1", "settleAt": time });
        world.api.settle_with(&name, body).await.refused_naming(400, "settleAt");
    }
    world.api.settle_with(&name, json!({ "amount": "1", "tip": "1" })).await.refused_naming(400, "tip");
    world.assert_paid(&sale, "0", "10").await;
    assert_eq!(world.api.preauth(&name).await.text("status"), "AUTHORIZED");
}

#[tokio::test]
async fn a_malformed_question_names_the_parameter() {
    let world = World::shared().await;
    let cases = [
        ("limit", "limit=0"),
        ("limit", "limit=101"),
        ("limit", "limit=-1"),
        ("limit", "limit=ten"),
        ("limit", "limit=99999999999999999999"),
        ("status", "status=OPEN"),
        ("status", "status=authorized"),
        ("cursor", "cursor=garbage"),
        ("cursor", "cursor=%00"),
        ("sender", "sender=0x12"),
        ("receiver", "receiver="),
        ("expiringBefore", "expiringBefore=tomorrow"),
        ("expiringBefore", "expiringBefore=2026-03-30T12:00:00"),
        ("colour", "colour=red"),
    ];
    for (parameter, query) in cases {
        world.api.list(query).await.refused_naming(400, parameter);
    }
    for (parameter, query) in
        [("limit", "limit=0"), ("role", "role=owner"), ("cursor", "cursor=x"), ("a", "a=1")]
    {
        world.api.get(&format!("/wallets?{query}")).await.refused_naming(400, parameter);
    }
    world.api.delete("/wallets/0x12").await.refused_naming(400, "address");
}

#[tokio::test]
async fn a_path_that_can_name_no_invoice_finds_none() {
    let world = World::shared().await;
    let message = "Preauthorization not found";
    let long = "x".repeat(200);
    for segment in ["a%2Fb", "a%252Fb", "%00", "%0A", "%20", "%2E%2E%2F", long.as_str(), "%F0%9F%92%A9"] {
        world.api.get(&format!("/onchain-preauth/{segment}")).await.refused(404, message);
        let path = format!("/onchain-preauth/{segment}/settle");
        world.api.post(&path, json!({ "amount": "1" })).await.refused(404, message);
    }
    // No UTF-8 at all.
    let answer = world.api.get("/onchain-preauth/%FF%FE").await;
    assert!(matches!(answer.status, 400 | 404));
    answer.envelope(answer.status);
}

#[tokio::test]
async fn a_malformed_wallet_names_the_field() {
    let world = World::shared().await;
    let good = "0x41c528683845350e9bfc937e0f6c72bc999b5cdc";
    let nonce = format!("0x{}", "11".repeat(32));
    let cases = [
        ("address", json!({ "role": "sender" })),
        ("role", json!({ "address": good })),
        ("role", json!({ "address": good, "role": "owner" })),
        ("role", json!({ "address": good, "role": 1 })),
        ("proof", json!({ "address": good, "role": "sender", "proof": "0x12" })),
        (
            "nonce",
            json!({ "address": good, "role": "sender", "proof": { "nonce": "0x12", "signature": "0x12" } }),
        ),
        (
            "signature",
            json!({ "address": good, "role": "sender", "proof": { "nonce": nonce, "signature": "x" } }),
        ),
        ("name", json!({ "address": good, "role": "sender", "name": "mine" })),
    ];
    for (field, body) in cases {
        world.api.post("/wallets", body).await.refused_naming(400, field);
    }
    for address in bad_addresses(&wrong_checksum("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")) {
        let body = json!({ "address": address, "role": "sender" });
        world.api.post("/wallets", body).await.refused_naming(400, "address");
    }
}
