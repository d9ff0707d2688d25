//! Rules of a tenant's own, as the operator writes them, tries them out and sets them, and as the merchant meets them.

use alloy::primitives::Address;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::world::{OtherTenant, invoice};
use crate::harness::{Plan, Wallet, World};

fn rules(name: &str, allow: &str, why: &str) -> String {
    json!({ "expressions": [{ "name": name, "allow": allow, "why": why }] }).to_string()
}

async fn set(world: &World, tenant: &OtherTenant, rules: &str) {
    world.cli(&["tenant", "set", &tenant.name, "--rules", rules]).await;
}

#[tokio::test]
async fn an_expression_refuses_with_its_name_and_its_reason() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    let sale = world.sale_of(&tenant).await;
    let allow = "amount <= tokens('50.000001') || invoiceId.startsWith('BIG-')";
    set(&world, &tenant, &rules("small", allow, "large sales are made by hand")).await;

    let name = invoice("INV");
    let refused = world.create_by(&tenant.api, &name, &sale).amount("50.000002").send().await;
    refused.refused(400, "Rule small refused the preauthorization: large sales are made by hand");
    assert_eq!((refused.code(), &refused.body["errors"][0]["detail"]), ("rule_refused", &json!("small")));
    tenant.api.preauth(&name).await.refused(404, "Preauthorization not found");

    world.create_by(&tenant.api, &name, &sale).amount("50.000001").send().await.is(201);
    world.create_by(&tenant.api, &invoice("BIG"), &sale).amount("51").send().await.is(201);
    world.assert_paid(&sale, "0", "101.000001").await;
}

#[tokio::test]
async fn rules_that_are_changed_count_from_the_next_creation() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    let sale = world.sale_of(&tenant).await;
    for limit in ["5", "7", "6"] {
        set(&world, &tenant, &rules("small", &format!("amount == tokens({limit})"), "not what was agreed"))
            .await;
        for amount in ["5", "6", "7"] {
            let answer = world.create_by(&tenant.api, &invoice("INV"), &sale).amount(amount).send().await;
            assert_eq!(answer.status, if amount == limit { 201 } else { 400 }, "{amount} under {limit}");
        }
    }
}

#[tokio::test]
async fn an_expression_about_what_is_open_cannot_be_outrun() {
    let world = World::start(Plan::on_node("1")).await;
    let tenant = world.tenant().await;
    let sale = world.sale_of(&tenant).await;
    set(&world, &tenant, &rules("open", "openTotal + hold <= tokens(10)", "pay what is open first")).await;
    let names: Vec<String> = (0..8).map(|_| invoice("INV")).collect();
    let creations = names.iter().map(|name| world.create_by(&tenant.api, name, &sale).amount("4").send());
    let (created, refused): (Vec<_>, Vec<_>) =
        join_all(creations).await.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(created.len(), 2, "a limit of 10 covers two holds of 4");
    refused.iter().for_each(|answer| answer.refused_naming(400, "pay what is open first"));
    world.assert_paid(&sale, "0", "8").await;
}

#[tokio::test]
async fn what_depends_on_the_payer_is_asked_when_he_is_known() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    let sale = world.sale_of(&tenant).await;
    let (payer, other) = (sale.sender.address.to_string(), Wallet::new().address.to_string());
    // Checksums or not, it is the same address.
    set(&world, &tenant, &rules("known", &format!("sender in ['{other}']"), "we do not know you")).await;
    let link = || async {
        let creation =
            tenant.api.create(&invoice("INV")).receiver(sale.receiver).token(world.ready.token.address);
        creation.amount("3").only_link().send().await.is(201)
    };
    let offered = |url: String| {
        let page = tenant.api.with_key("");
        let path = url.strip_prefix(&world.ready.url).expect("a link to this daemon").to_owned();
        let body = json!({ "sender": payer });
        async move { page.post(&format!("{path}/terms"), body).await }
    };
    let made = link().await;
    offered(made.text("url").to_owned()).await.refused_naming(400, "known");
    set(&world, &tenant, &rules("known", &format!("sender in ['{}']", payer.to_lowercase()), "who are you"))
        .await;
    offered(made.text("url").to_owned()).await.is(200);

    // That he has to sign is asked when he consents, not when terms are offered to him.
    set(&world, &tenant, &rules("signed", "consent != 'allowance'", "we want it signed")).await;
    let name = invoice("INV");
    world.create_by(&tenant.api, &name, &sale).amount("3").only_terms().send().await.is(200);
    world.create_by(&tenant.api, &name, &sale).amount("3").send().await.refused_naming(400, "signed");
}

#[tokio::test]
async fn rules_that_cannot_be_judged_are_not_saved() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    let listed = || async {
        let all = world.cli(&["tenant", "list"]).await;
        let all = all.as_array().expect("tenants").clone();
        all.into_iter().find(|one| one["name"] == tenant.name.as_str()).expect("the tenant")["rules"].clone()
    };
    for (allow, told) in [
        ("amount <", "line 1, column 9"),
        ("amount < 5", "tokens('12.50')"),
        ("true || amout < tokens(5)", "line 1, column 9: unknown variable \"amout\""),
        ("amount", "must be a truth value"),
        ("[1].all(x, true)", "there are no loops"),
    ] {
        let rules = rules("mine", allow, "because");
        let refused = world.try_cli(&["tenant", "set", &tenant.name, "--rules", &rules]).await;
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains("\"mine\"") && said.contains(told), "{said}");
        assert_eq!(listed().await, json!({}), "nothing was saved");
    }
    let good: Value = serde_json::from_str(&rules("mine", "amount < tokens(5)", "because")).expect("json");
    set(&world, &tenant, &good.to_string()).await;
    assert_eq!(listed().await, good);
}

/// What `preauthd rules test` says: its exit code, and each rule's verdict.
async fn tried(world: &World, arguments: &[&str]) -> (Option<i32>, Vec<(String, String)>) {
    let output = world.try_cli(&[&["rules", "test", "--json"], arguments].concat()).await;
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let lines = said["rules"].as_array().cloned().unwrap_or_default();
    let word = |line: &Value, field: &str| line[field].as_str().expect("a word").to_owned();
    (output.status.code(), lines.iter().map(|line| (word(line, "rule"), word(line, "verdict"))).collect())
}

#[tokio::test]
async fn rules_are_tried_out_before_they_are_set() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    let sale = world.sale_of(&tenant).await;
    let body = |amount: &str| {
        let creation = world.create_by(&tenant.api, "INV-1", &sale).amount(amount);
        creation.body().to_string()
    };
    let verdicts = |words: &[(&str, &str)]| -> Vec<(String, String)> {
        words.iter().map(|(rule, verdict)| ((*rule).to_owned(), (*verdict).to_owned())).collect()
    };
    let open = rules("open", "openTotal + hold <= tokens(10)", "pay what is open first");
    set(&world, &tenant, &open).await;
    world.create_by(&tenant.api, &invoice("INV"), &sale).amount("4").send().await.is(201);

    // Under the tenant's rules, with what is really open.
    let under = ["--tenant", tenant.name.as_str()];
    let allowed = tried(&world, &[&[&*body("6")], &under[..]].concat()).await;
    assert_eq!(allowed, (Some(0), verdicts(&[("open", "passes")])));
    let refused = tried(&world, &[&[&*body("6.000001")], &under[..]].concat()).await;
    assert_eq!(refused, (Some(1), verdicts(&[("open", "refuses")])));
    let supposed = tried(&world, &[&[&*body("6"), "--open-total", "5"], &under[..]].concat()).await;
    assert_eq!(supposed.0, Some(1));

    // Under rules that are not set, on a link whose payer is not known yet.
    let blocked = Address::repeat_byte(7);
    let candidate = json!({
        "maxTtlSeconds": 86_400,
        "blockedAddresses": [blocked],
        "expressions": [
            { "name": "known", "allow": format!("sender != '{blocked}'"), "why": "we know you" },
            { "name": "by day", "allow": "(now / 3600) % 24 >= 6", "why": "we sleep" },
        ],
    });
    let link = json!({
        "invoiceId": "INV-1", "receiver": sale.receiver, "amount": "1", "contractAddress": world.ready.token.address,
    });
    let (link, candidate) = (link.to_string(), candidate.to_string());
    let arguments = [&*link, "--pay-link", "--rules", &candidate, "--at", "2026-11-26T05:59:59Z"];
    let found = tried(&world, &arguments).await;
    let expected = [
        ("blockedAddresses", "passes"),
        ("maxTtlSeconds", "passes"),
        ("known", "waits"),
        ("by day", "refuses"),
    ];
    assert_eq!(found, (Some(1), verdicts(&expected)));
    let arguments = [&*link, "--pay-link", "--rules", &candidate, "--at", "2026-11-26T06:00:00Z"];
    assert_eq!(tried(&world, &arguments).await.0, Some(0));

    // What cannot be judged is neither allowed nor refused.
    assert_eq!(tried(&world, &[&[&*body("0.0000001")], &under[..]].concat()).await.0, Some(2));
    assert_eq!(tried(&world, &["{}", "--tenant", &tenant.name]).await.0, Some(2));
}
