//! Who is let in, to do what, and what is written down of it.

use crate::http::testing::House;
use crate::model::Scope;

const DENIED: &str = "Access Denied";

#[tokio::test]
async fn neither_kind_of_key_opens_the_others_door() {
    let house = House::open().await;
    let (tenants, admins) = (house.key(&Scope::ALL).await, house.admin_key(&Scope::OF_ADMINS).await);
    for path in ["/admin/overview", "/admin/preauths", "/admin/deliveries", "/admin/audit", "/admin/keys"] {
        let denied = house.ask_admin("GET", path, "").header("x-api-key", &tenants).send().await;
        assert_eq!(denied.error(), (401, DENIED, DENIED, "unauthenticated"), "{path}");
        assert_eq!(house.ask_admin("GET", path, "").send().await.status, 401, "{path}");
        assert_eq!(house.ask_admin("GET", path, "").header("x-api-key", &admins).send().await.status, 200);
        assert_eq!(house.get(path).header("x-api-key", &admins).send().await.status, 404, "{path}");
    }
    assert_eq!(house.get("/tokens").header("x-api-key", &admins).send().await.status, 401);
}

#[tokio::test]
async fn a_scope_opens_its_own_doors_only() {
    let house = House::open().await;
    let body = r#"{"name":"ci","scopes":["read"]}"#;
    for scope in Scope::OF_ADMINS {
        let key = house.admin_key(&[scope]).await;
        for (method, path, body, wanted) in [
            ("GET", "/admin/series", "", Scope::Read),
            ("POST", "/admin/deliveries/1/resend", "", Scope::Write),
            ("POST", "/admin/keys", body, Scope::Admin),
        ] {
            let answer = house.ask_admin(method, path, body).header("x-api-key", &key).send().await;
            assert_eq!(answer.status != 403, scope == wanted, "{scope:?} {path}");
        }
    }
}

#[tokio::test]
async fn a_revoked_key_ends_at_once_and_the_log_tells_who_ended_it() {
    let house = House::open().await;
    let keeper = house.admin_key(&Scope::OF_ADMINS).await;
    let body = r#"{"name":"ci","scopes":["read"]}"#;
    let made = house.ask_admin("POST", "/admin/keys", body).header("x-api-key", &keeper).send().await;
    assert_eq!(made.status, 201, "{}", made.text);
    let (key, prefix) = (made.body["key"].as_str().unwrap(), made.body["prefix"].as_str().unwrap());
    let look = || house.ask_admin("GET", "/admin/audit", "").header("x-api-key", key).send();
    assert_eq!(look().await.status, 200);
    let path = format!("/admin/keys/{prefix}");
    let revoke = || house.ask_admin("DELETE", &path, "").header("x-api-key", &keeper).send();
    assert_eq!(revoke().await.status, 204);
    assert_eq!(look().await.status, 401);
    assert_eq!(revoke().await.error().3, "admin_key_not_found");

    let log = house.ask_admin("GET", "/admin/audit", "").header("x-api-key", &keeper).send().await;
    let acts = log.body["data"].as_array().unwrap();
    let told: Vec<_> = acts.iter().map(|entry| (entry["act"].as_str().unwrap(), &entry["subject"])).collect();
    assert_eq!(told[0], ("admin_key.revoke", &prefix.into()));
    assert_eq!(told[1], ("admin_key.new", &format!("{prefix} ci").into()));
    assert_eq!(acts[0]["actor"], format!("key {} night shift", &keeper[..12]));
    assert!(!log.text.contains(key));
}

#[tokio::test]
async fn the_overview_counts_what_there_is() {
    let house = House::open().await;
    let key = house.admin_key(&[Scope::Read]).await;
    house.store_preauth("INV-1").await;
    house.store_preauth("INV-2").await;
    house.state.standing.report("lane", Some("no gas at https://node.example/key".into()));
    let look = |path: &'static str| house.ask_admin("GET", path, "").header("x-api-key", &key).send();
    let overview = look("/admin/overview").await.body;
    assert_eq!(
        (&overview["counts"][0]["status"], &overview["counts"][0]["count"]),
        (&"PENDING".into(), &2.into())
    );
    assert!(!overview["troubles"].to_string().contains("node.example"));
    let held = &overview["held"][0];
    assert_eq!(
        (&held["symbol"], &held["held"], &held["balance"]),
        (&"DEMO".into(), &"0".into(), &"0".into())
    );
    let found = look("/admin/preauths?invoice=INV-2").await.body;
    assert_eq!(found["data"].as_array().unwrap().len(), 1);
    assert_eq!(found["data"][0]["tenant"], "shop");
    let id = found["data"][0]["transactionId"].as_str().unwrap().to_owned();
    let path = format!("/admin/preauths/{id}");
    let story = house.ask_admin("GET", &path, "").header("x-api-key", &key).send().await;
    assert_eq!((story.status, &story.body["invoiceId"]), (200, &"INV-2".into()));
    let hours = look("/admin/series?hours=3").await.body;
    assert_eq!(hours["data"].as_array().unwrap().len(), 3);
    assert_eq!(look("/admin/series?hours=169").await.status, 400);
}

#[tokio::test]
async fn the_page_is_for_everybody_and_admits_nothing_from_elsewhere() {
    let answer = House::open().await.ask_admin("GET", "/dashboard", "").send().await;
    assert_eq!(answer.status, 200);
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("cache-control"), "no-store");
}
