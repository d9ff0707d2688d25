//! What a merchant's work costs the chain, the disk and the node: counted, not timed. Where any of it begins to grow with the
//! number of preauthorizations or with the size of the database, these stories say so on every machine.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Row};

use crate::harness::world::invoice;
use crate::harness::{Api, Plan, Sale, World, until};

/// Tables with a row or more for each preauthorization or request. The others have one for each wallet, tenant, token, …, or
/// keep what is recent only.
const GROWING: &[&str] = &[
    "preauths",
    "operations",
    "outcomes",
    "events",
    "batches",
    "batch_items",
    "attempts",
    "deliveries",
    "delivery_attempts",
    "idempotency_keys",
    "approvals",
    "pay_links",
    "refunds",
    "parties",
    "party_profiles",
    "party_challenges",
    "party_verifications",
    "party_wallets",
    "party_documents",
    "party_reviews",
    "party_claims",
];

/// What the daemon has counted so far.
#[derive(Debug, Clone, Copy)]
struct Counted {
    transactions: u64,
    commits: u64,
    requests: u64,
}

impl Counted {
    async fn of(api: &Api) -> Self {
        let metrics = api.get("/metrics").await.is(200);
        let text = metrics.body.as_str().expect("text");
        let sum = |name: &str| {
            let values = text.lines().filter_map(|line| {
                line.strip_prefix(name).filter(|rest| rest.starts_with([' ', '{']))?.rsplit(' ').next()
            });
            values.map(|value| value.parse::<u64>().expect("a whole number")).sum()
        };
        Self {
            transactions: sum("preauthd_batches_total"),
            commits: sum("preauthd_store_changes_per_commit_count"),
            requests: sum("preauthd_rpc_requests_total"),
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            transactions: self.transactions - before.transactions,
            commits: self.commits - before.commits,
            requests: self.requests - before.requests,
        }
    }

    fn assert_at_most(self, limit: Self, what: &str) {
        println!("{what}: {self:?}");
        let is_within = self.transactions <= limit.transactions
            && self.commits <= limit.commits
            && self.requests <= limit.requests;
        assert!(is_within, "{what} cost {self:?}, and no more than {limit:?} was expected");
    }
}

#[tokio::test]
async fn a_thousand_preauthorizations_cost_few_transactions_commits_and_requests() {
    const THOUSAND: usize = 1_000;
    let world = World::start(Plan::on_node("1")).await;
    let mut sales = Vec::new();
    for _ in 0..5 {
        sales.push(world.sale().await);
    }
    let names: Vec<String> = (0..THOUSAND).map(|_| invoice("INV")).collect();

    let before = Counted::of(&world.api).await;
    let create = |(index, name): (usize, &String)| {
        world.create(name, &sales[index % sales.len()]).amount("0.1").send()
    };
    let created = join_all(names.iter().enumerate().map(create)).await;
    created.into_iter().for_each(|answer| drop(answer.is(201)));
    let locked = Counted::of(&world.api).await;
    locked
        .since(before)
        .assert_at_most(Counted { transactions: 15, commits: 80, requests: 400 }, "a thousand creations");

    let (to_settle, to_expire) = names.split_at(THOUSAND / 2);
    let settled = join_all(to_settle.iter().map(|name| world.api.settle(name, "0.06"))).await;
    settled.into_iter().for_each(|answer| drop(answer.is(200)));
    let closed = Counted::of(&world.api).await;
    closed
        .since(locked)
        .assert_at_most(Counted { transactions: 10, commits: 50, requests: 300 }, "five hundred settlements");

    world.advance(2 * 24 * 60 * 60).await;
    for name in to_expire {
        world.becomes(name, "EXPIRED").await;
    }
    let expired = Counted::of(&world.api).await;
    expired
        .since(closed)
        .assert_at_most(Counted { transactions: 5, commits: 40, requests: 400 }, "five hundred expiries");
}

#[tokio::test]
async fn what_a_working_day_asks_of_the_database_is_found_by_an_index() {
    let plan = Plan::on_node("0.2").logging("error,sqlx::query=debug").told(&["--expiring-before", "172800"]);
    let world = World::start(plan).await;
    let sale = world.sale().await;
    a_working_day(&world, &sale).await;
    a_day_of_onboarding(&world).await;

    let statements = statements_in(&world.log());
    let file = world.house.data_dir().join("preauthd.sqlite");
    let mut database = SqliteConnectOptions::new().filename(file).read_only(true).connect().await.unwrap();
    // An index with a condition holds what is open, and nothing of what has ended.
    let partial: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'")
            .fetch_all(&mut database)
            .await
            .unwrap();
    let (mut explained, mut scans) = (0, Vec::new());
    for statement in &statements {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let Ok(steps) = sqlx::query(explain).fetch_all(&mut database).await else { continue };
        explained += 1;
        let tables = tables_of(statement);
        for step in steps {
            let detail: String = step.try_get("detail").unwrap();
            let Some(scanned) = detail.strip_prefix("SCAN ") else { continue };
            if scanned.rsplit(' ').next().is_some_and(|index| partial.iter().any(|name| name == index)) {
                continue;
            }
            let name = scanned.split(' ').next().unwrap_or_default();
            if tables.iter().any(|(alias, table)| alias == name && GROWING.contains(&table.as_str())) {
                scans.push(format!("{detail}: {statement}"));
            }
        }
    }
    assert!(explained > 60, "a day's work takes more than {explained} statements");
    assert!(scans.is_empty(), "these read a table from end to end:\n{}", scans.join("\n\n"));
}

/// Everything that merchants, payers, the sweep and monitoring do every day.
async fn a_working_day(world: &World, sale: &Sale) {
    let endpoint = json!({ "url": "http://127.0.0.1:9/" });
    world.api.post("/webhooks", endpoint).await.is(201);
    let [settled, cancelled, expired, scheduled] = [
        world.authorized(sale, "1").await,
        world.authorized(sale, "2").await,
        world.authorized(sale, "3").await,
        world.authorized(sale, "4").await,
    ];
    world.api.settle(&settled, "0.5").await.is(200);
    world.api.settle(&settled, "0.5").await.refused(409, "Invalid settlement state: SETTLED");
    world.api.cancel(&cancelled).await.is(200);
    let soon = world.chain.in_seconds(600).await;
    world.api.settle_at(&scheduled, "1", &soon).await.is(202);
    world.create(&settled, sale).amount("1").send().await.refused(409, "Invoice already exists");
    let body = json!({
        "invoiceId": invoice("INV"), "amount": "1", "sender": sale.sender.address, "receiver": sale.receiver,
        "contractAddress": world.ready.token.address,
    });
    world.api.post_under("a-key", "/onchain-preauth", body.clone()).await.is(201);
    world.api.repeat_under("a-key", "/onchain-preauth", body).await.is(201);
    let sender = sale.sender.address;
    for query in ["", "status=AUTHORIZED", "limit=1", &format!("sender={sender}&expiringBefore={soon}")] {
        world.api.list(query).await.is(200);
    }
    world.api.get("/events").await.is(200);
    world.api.timeline(&settled).await;
    for path in ["/wallets", "/tokens", "/webhooks", "/metrics", "/health/ready"] {
        world.api.get(path).await.is(200);
    }
    world.advance(700).await;
    world.becomes(&scheduled, "SETTLED").await;
    world.advance(2 * 24 * 60 * 60).await;
    world.becomes(&expired, "EXPIRED").await;
}

/// Somebody brings papers, fails, justifies that, and staff decides.
async fn a_day_of_onboarding(world: &World) {
    let tenant = world.tenant().await;
    let scopes = ["onboarding:read", "onboarding:write", "onboarding:staff"];
    let api = world.api.with_key(&world.key(&tenant.name, &scopes).await);
    let user = json!({
        "externalUserId": "user-1", "firstName": "Amber", "lastName": "Wenny", "dateOfBirth": "1997-04-02",
        "phone": "+33612349004",
    });
    let made = api.post("/v1/user", user).await.is(201);
    let party = made.body["data"]["userId"].as_str().expect("an id").to_owned();
    let file = json!({
        "externalUserId": "user-1", "documentType": "PASSPORT", "fileName": "passport.pdf", "file": "JVBERi0xLjc=",
    });
    api.post("/v1/user/kyc-file", file).await.is(201);
    let verification = json!({
        "externalUserId": "user-1", "documentType": "PASSPORT", "documentNumber": "6I12UQ171A",
        "documentExpirationDate": "2090-06-11", "openAccountReason": "DAILY_USE", "incomeSource": "SALARY",
        "occupation": "IT", "riskLvl": "LOW",
    });
    api.post("/v1/user/verification", verification).await.is(201);
    let failed = until("the verification has failed", || async {
        let status = api.get("/v1/user/user-1/kyc-status").await.is(200);
        (status.text("status") == "FAILED").then(|| status.text("verificationId").to_owned())
    })
    .await;
    let reviews = "/api/onboarding-justifications/";
    let begun = json!({ "verification_uuid": failed, "user_justification": "It is me" });
    let review =
        api.post(&format!("{reviews}create_justification/"), begun).await.is(200).text("uuid").to_owned();
    api.get(reviews).await.is(200);
    api.post(&format!("{reviews}{review}/approve/"), json!({})).await.is(200);
    for path in ["/parties".to_owned(), format!("/parties/{party}"), format!("/parties/{party}/documents")] {
        api.get(&path).await.is(200);
    }
    api.get(&format!("/tenant/customer/pii-customer-details/{party}")).await.is(200);
}

/// The different statements in a log of sqlx.
fn statements_in(log: &str) -> BTreeSet<String> {
    let quoted = |line: &str, field: &str| {
        let rest = line.split_once(field)?.1;
        let text = serde_json::Deserializer::from_str(rest).into_iter::<String>().next()?.ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    log.lines()
        .filter_map(|line| quoted(line, "db.statement=").or_else(|| quoted(line, "summary=")))
        .collect()
}

/// The tables a statement names, each with what it is called there.
fn tables_of(statement: &str) -> Vec<(String, String)> {
    let words: Vec<&str> =
        statement.split(|letter: char| letter.is_whitespace() || "(),".contains(letter)).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let mut tables = Vec::new();
    for pair in words.windows(3) {
        let [before, table, after] = pair else { continue };
        if ["FROM", "JOIN", "UPDATE", "INTO"].contains(before) {
            tables.push(((*table).to_owned(), (*table).to_owned()));
            tables.push(((*after).to_owned(), (*table).to_owned()));
        }
    }
    if let [.., before, table] = words.as_slice()
        && ["FROM", "JOIN"].contains(before)
    {
        tables.push(((*table).to_owned(), (*table).to_owned()));
    }
    tables
}
