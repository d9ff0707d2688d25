//! A webhook can be believed: who verifies it is never our own code.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::harness::world::invoice;
use crate::harness::{Message, Receiver, World};

#[tokio::test]
async fn a_key_is_rotated_with_both_signing_for_a_day() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    let sale = world.sale_of(&tenant).await;
    let receiver = Receiver::open().await;
    let hook = receiver.listen(&tenant.api).await;
    let rotated = tenant.api.post(&format!("{}/rotate", hook.path()), json!({})).await.is(200);
    let new = rotated.text("secret");
    assert_ne!(new, hook.secret);
    let name = invoice("INV");
    world.create_by(&tenant.api, &name, &sale).amount("1").send().await.is(201);
    let message = receiver.until_told("preauth.authorized", &name).await;
    let time =
        |text: &Value| text.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok()).expect("a time");
    let left = time(&rotated.body["oldKeyUntil"]).duration_since(time(&message.body["timestamp"])).as_hours();
    assert!((23..=24).contains(&left), "{left} hours");
    assert!(message.is_signed_with(new) && message.is_signed_with(&hook.secret));
    assert_eq!(message.header("webhook-signature").split(' ').count(), 2);
    let never = format!("whsec_{}", STANDARD.encode([7; 32]));
    assert!(!message.is_signed_with(&never));
}

#[tokio::test]
async fn a_receiver_may_verify_with_a_public_key() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    let sale = world.sale_of(&tenant).await;
    let receiver = Receiver::open().await;
    let hook = receiver.listen_with(&tenant.api, json!({ "signing": "v1a" })).await;
    assert!(hook.body["secret"].is_null());
    let name = invoice("INV");
    world.create_by(&tenant.api, &name, &sale).amount("1").send().await.is(201);
    let message = receiver.until_told("preauth.authorized", &name).await;
    let key = hook.body["publicKey"].as_str().and_then(|key| key.strip_prefix("whpk_")).expect("a key");
    let signature = message.header("webhook-signature").strip_prefix("v1a,").expect("of this scheme");
    let decoded = |text: &str| STANDARD.decode(text).expect("base64");
    let mut signed = format!("{}.{}.", message.id(), message.header("webhook-timestamp")).into_bytes();
    signed.extend_from_slice(&message.raw);
    UnparsedPublicKey::new(&ED25519, decoded(key)).verify(&signed, &decoded(signature)).expect("it is ours");
}

#[tokio::test]
async fn the_library_of_another_language_verifies_it() {
    let Some(python) = tokio::task::spawn_blocking(python_with_library).await.expect("a look") else {
        eprintln!("SKIPPED: there is no python3 into which `standardwebhooks` can be installed");
        return;
    };
    let world = World::shared().await;
    let tenant = world.tenant().await;
    let sale = world.sale_of(&tenant).await;
    let receiver = Receiver::open().await;
    let hook = receiver.listen(&tenant.api).await;
    let name = invoice("INV");
    world.create_by(&tenant.api, &name, &sale).amount("1").send().await.is(201);
    let message = receiver.until_told("preauth.authorized", &name).await;
    assert_eq!(verified_by(&python, &hook.secret, &message), Ok(()));
    let mut forged = message.clone();
    forged.raw =
        message.raw.iter().map(|byte| if *byte == b'1' { b'2' } else { *byte }).collect::<Vec<_>>().into();
    assert!(verified_by(&python, &hook.secret, &forged).is_err());
}

const VERIFY: &str = "
import json, sys
from standardwebhooks.webhooks import Webhook
secret, headers, body = json.load(sys.stdin)
Webhook(secret).verify(body, headers)
";

fn verified_by(python: &Path, secret: &str, message: &Message) -> Result<(), String> {
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let headers: serde_json::Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), json!(message.header(name)))).collect();
    let input = json!([secret, headers, String::from_utf8_lossy(&message.raw)]).to_string();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), input).expect("a file that is written");
    let mut command = Command::new(python);
    command.args(["-c", VERIFY]).stdin(std::fs::File::open(file.path()).expect("a file"));
    let output = command.output().expect("python starts");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// A Python with the library of its registry, set up once beside what the tests are built from.
fn python_with_library() -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("standardwebhooks-1.1.0");
    let python = venv.join("bin/python");
    let works = |python: &Path| {
        let imported = Command::new(python).args(["-c", "import standardwebhooks"]).output();
        imported.is_ok_and(|output| output.status.success())
    };
    if !works(&python) {
        let ran = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        let made = ran(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
        let pip = ["-m", "pip", "install", "--quiet", "standardwebhooks==1.1.0"];
        if !made || !ran(Command::new(&python).args(pip)) || !works(&python) {
            return None;
        }
    }
    Some(python)
}
